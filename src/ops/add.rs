//! `skep add`: another program in a project that is there.
//!
//! What a template has in `src/` is the program; its manifest and its README
//! are a new project's and stay away, so that no file of the user's is
//! touched.

use super::Session;
use super::new::{self, Request};
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use crate::project::manifest::UserKind;
use crate::project::{Project, name};
use crate::scaffold::{self, Error, File, Lang};
use std::path::{Path, PathBuf};

/// What a template's Rust program is called; in a project that is there it
/// becomes one of several.
const RUST_MAIN: &str = "src/main.rs";

/// What was added.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The program's name.
    pub name: String,
    /// The template's name.
    pub template: String,
    /// The project's directory.
    pub root: PathBuf,
    /// What the user program is written in.
    pub lang: Lang,
    /// The new files, relative to the project.
    pub files: Vec<PathBuf>,
}

/// Adds a program called `request.name` to the project here. Without
/// `request.lang` it is in the project's own language, if the template has
/// that.
///
/// # Errors
/// There is no project here; a file of the program's is there already; the
/// language is another one than the project's.
pub fn run(session: &Session, request: &Request) -> Result<Outcome, Failure> {
    let project = Project::find(&session.cwd)?;
    new::check_name(&request.name)?;
    let lang = lang(session, &project, request)?;
    let request = Request { lang: Some(lang), ..request.clone() };
    let (_, files) = new::rendered(session, &request)?;
    let files: Vec<File> = files.into_iter().filter_map(|file| own(file, &request.name)).collect();
    scaffold::write_into(&project.root, &files).map_err(|error| match error {
        Error::Exists { path } => exists(session, &project, &path),
        error => error.into(),
    })?;
    let files: Vec<PathBuf> = files.into_iter().map(|file| file.path).collect();
    say(session, &project, &request, &files);
    Ok(Outcome {
        name: request.name,
        template: request.template.name,
        root: project.root,
        lang,
        files,
    })
}

/// The license of the project here, if there is one that says it.
pub fn license(session: &Session) -> Option<String> {
    Project::find(&session.cwd).ok()?.manifest.package.license
}

/// The language of the new user program.
fn lang(session: &Session, project: &Project, request: &Request) -> Result<Lang, Failure> {
    let own = match project.manifest.user.kind.value {
        UserKind::C => Lang::C,
        UserKind::Rust => Lang::Rust,
        UserKind::None => Lang::None,
    };
    match request.lang {
        Some(Lang::None) => Ok(Lang::None),
        Some(wanted) if wanted != own => {
            let manifest = project.manifest_name();
            let message = format!("a program in `{wanted}` cannot be built in this project");
            Err(Diagnostic::new(codes::BAD_ANSWER, Origin::Command, message)
                .note(format!("{manifest} says `kind = \"{own}\"` in [user]"))
                .help("change it there first, or leave out `--lang`")
                .into())
        }
        Some(wanted) => Ok(request.template.lang(Some(wanted))?),
        None if request.template.langs.contains(&own) => Ok(own),
        None => {
            session.note(format!(
                "the template `{}` has no user program in `{own}`; the BPF side alone was added",
                request.template.name
            ));
            Ok(Lang::None)
        }
    }
}

/// The file as it is called in a project that has others, unless it is a new
/// project's own.
fn own(file: File, name: &str) -> Option<File> {
    if file.path == Path::new(RUST_MAIN) {
        let path = format!("src/bin/{}.rs", name::identifier(name));
        return Some(File { path: path.into(), ..file });
    }
    (file.path.starts_with("src") || file.path.starts_with("include")).then_some(file)
}

fn exists(session: &Session, project: &Project, path: &Path) -> Failure {
    let path = project.root.join(path);
    let message = format!("{} is there already", session.display(&path).display());
    Diagnostic::new(codes::NOT_EMPTY, Origin::Command, message)
        .note("skep overwrites nothing; no file was written")
        .help("give the program another name with `--name`")
        .into()
}

/// What the project's manifest has to say of the new program.
fn say(session: &Session, project: &Project, request: &Request, files: &[PathBuf]) {
    let manifest = project.manifest_name();
    let template = &request.template;
    if let Some(min) = project.manifest.kernels.min
        && template.kernel > min
    {
        session.note(format!(
            "the program needs Linux {}; {manifest} says `min = \"{min}\"`",
            template.kernel
        ));
    }
    if project.manifest.user.kind.value == UserKind::None
        && let Some(lang) = template.langs.iter().find(|lang| **lang != Lang::None)
    {
        session.note(format!(
            "the program came without its user program, because {manifest} says `kind = \"none\"` in \
             [user]; there is one in `{lang}`"
        ));
    }
    let sources = project.sources().unwrap_or_default();
    for file in files.iter().filter(|file| file.to_string_lossy().ends_with(".bpf.c")) {
        if !sources.iter().any(|source| source.path == *file) {
            session.note(format!("no pattern in {manifest} matches {}", file.display()));
        }
    }
}
