//! `skep gen`: skeletons, subskeletons and types of one object.

use super::{Session, build};
use crate::base::fs;
use crate::build::skeleton::{self, types};
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use crate::elf::Object;
use crate::vmlinux;
use std::path::{Path, PathBuf};

/// The language of what is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// C, and C++.
    #[default]
    C,
    /// Rust.
    Rust,
}

/// What is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A skeleton.
    Skeleton,
    /// A skeleton for an object that is linked into others.
    Subskeleton,
    /// Types of maps' keys and values and of global variables.
    Types,
}

/// What `skep gen` is asked to do.
#[derive(Clone, Debug)]
pub struct Request {
    /// What to write.
    pub kind: Kind,
    /// The object, or a source that is built first.
    pub path: PathBuf,
    /// The name, if not the one that the file's name gives.
    pub name: Option<String>,
    /// In which language.
    pub language: Language,
    /// The file to write, if not standard output.
    pub output: Option<PathBuf>,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The text, if it goes to standard output and could be made.
    pub text: Option<Vec<u8>>,
    /// What clang says of a source; mistakes of a manifest.
    pub diagnostics: Vec<Diagnostic>,
}

/// Writes what is asked for.
///
/// # Errors
/// The path names no single object, or one that cannot be read; the file
/// cannot be written.
pub fn run(session: &Session, request: &Request) -> Result<Outcome, Failure> {
    let wanted = build::Request { paths: vec![request.path.clone()], ..Default::default() };
    let built = build::objects(session, &wanted)?;
    let failed = built.failed();
    let mut outcome = Outcome { text: None, diagnostics: built.diagnostics };
    if failed {
        return Ok(outcome);
    }
    let [artifact] = &built.artifacts[..] else {
        let count = built.artifacts.len();
        let message = format!("{} has {count} objects", request.path.display());
        return Err(Diagnostic::new(codes::WRONG_INPUT, Origin::Command, message)
            .help("name one object, or one source")
            .into());
    };
    let text = write(session, request, &artifact.object)?;
    match &request.output {
        Some(path) => {
            let path = session.absolute(path);
            fs::write_if_changed(&path, &text)?;
        }
        None => outcome.text = Some(text),
    }
    Ok(outcome)
}

fn write(session: &Session, request: &Request, path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = fs::read(path)?;
    let object = Object::parse(&bytes)
        .map_err(|error| Failure::from(Diagnostic::from(error).in_file(session.display(path))))?;
    let name = request.name.clone().unwrap_or_else(|| skeleton::name_of(path));
    if name.is_empty() || skeleton::identifier(&name) != name || name.as_bytes()[0].is_ascii_digit()
    {
        let message = format!("`{}` is no C identifier", name.escape_debug());
        return Err(Diagnostic::new(codes::BAD_NAME, Origin::Command, message)
            .help(format!("use `--name {}`", usable(&name)))
            .into());
    }
    let failed = |reason: String| -> Failure {
        let message = format!("nothing can be written: {reason}");
        Diagnostic::new(codes::SKELETON_FAILED, Origin::Object, message)
            .in_file(session.display(path))
            .into()
    };
    let text = match (request.kind, request.language) {
        (Kind::Skeleton, Language::C) => skeleton::c(&object, &bytes, &name),
        (Kind::Skeleton, Language::Rust) => {
            return rust_skeleton(session, path, &bytes, request.name.as_deref(), &failed);
        }
        (Kind::Subskeleton, _) => skeleton::subskeleton(&object, &name),
        (Kind::Types, Language::Rust) => types::rust(&object, &name),
        (Kind::Types, Language::C) => {
            let roots = types::roots(&object, &name).map_err(|error| failed(error.to_string()))?;
            let definitions = match object.btf.as_deref() {
                Some(btf) => vmlinux::definitions(btf, &roots).map_err(Diagnostic::from)?,
                None => String::new(),
            };
            types::c(&object, &name, &definitions)
        }
    };
    text.map(String::into_bytes).map_err(|error| failed(error.to_string()))
}

/// libbpf-cargo takes the name from the file, and writes into one.
fn rust_skeleton(
    session: &Session,
    path: &Path,
    bytes: &[u8],
    name: Option<&str>,
    failed: &dyn Fn(String) -> Failure,
) -> Result<Vec<u8>, Failure> {
    let scratch = fs::temporary_dir(&session.cache)?;
    let file = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let stem = file.strip_suffix(".bpf.o").or_else(|| file.strip_suffix(".o")).unwrap_or(&file);
    let stem = skeleton::identifier(name.unwrap_or(stem));
    let object = scratch.path().join(format!("{stem}.bpf.o"));
    fs::write_atomic(&object, bytes)?;
    let output = scratch.path().join("skel.rs");
    skeleton::rust::write(&object, &output, false).map_err(failed)?;
    Ok(fs::read(&output)?)
}

/// A name like this that C takes.
fn usable(name: &str) -> String {
    let name = skeleton::identifier(name);
    match name.as_bytes().first() {
        Some(first) if !first.is_ascii_digit() => name,
        _ => format!("bpf_{name}"),
    }
}
