//! Building: from sources to objects.
//!
//! [`build`] makes a graph of steps of a [`Request`] and runs what is not
//! fresh ([`steps`], [`record`]): libbpf's headers and `vmlinux.h` into the
//! build directory, then clang on every source. clang's text becomes
//! diagnostics in one place ([`complaints`]).
//!
//! The build directory:
//!
//! | path | what |
//! |---|---|
//! | `PROFILE/NAME.bpf.o` | objects |
//! | `include/vmlinux.h`, `include/bpf/*.h` | headers that skep supplies |
//! | `.state/PROFILE/*.json` | records of the steps |
//! | `.state/clang.json` | what each clang said of itself |
//! | `.state/aside/` | files that are being written; emptied by each build |
//! | `.state/lock` | held while a build runs |
//!
//! One build at a time: a second one waits, and says for whom.

pub mod arch;
pub mod clang;
mod compile_commands;
mod complaints;
mod depfile;
mod error;
mod flags;
mod includes;
mod libbpf;
mod record;
mod steps;

pub use arch::Arch;
pub use clang::Clang;
pub use error::Error;

use crate::base::digest::Digest;
use crate::base::{Cancel, fs, process};
use crate::diagnostics::{Diagnostic, Failure};
use crate::events::{Event, Sink};
use record::Files;
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use steps::{Outcome, Ran, Runner, Step, put};

/// A source to be compiled.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file, relative to [`Request::root`].
    pub path: PathBuf,
    /// The object's name, without `.bpf.o`; `/` makes directories.
    pub name: String,
    /// The object file, absolute.
    pub object: PathBuf,
}

/// How `vmlinux.h` is made.
pub struct Header<'a> {
    /// What it is made from, for people: `the running kernel's BTF`.
    pub from: String,
    /// What decides about it besides the files: the kind, the version of the
    /// generator, the identity of the running kernel.
    pub key: String,
    /// The files it is made from; absolute.
    pub inputs: Vec<PathBuf>,
    /// Makes its text.
    pub make: Box<dyn Fn() -> Result<Vec<u8>, Failure> + Send + Sync + 'a>,
}

/// Says how `vmlinux.h` is made for these files, sources and headers of the
/// project, which use its types. Asked only if a source includes it.
pub type HeaderFor<'a> = dyn Fn(&BTreeSet<PathBuf>) -> Result<Header<'a>, Failure> + Sync + 'a;

/// What is to be built, and with what.
pub struct Request<'a> {
    /// The project's directory, absolute; clang runs there.
    pub root: &'a Path,
    /// The build directory, absolute.
    pub target: &'a Path,
    /// The name of a set of records; builds with another name do not know of
    /// each other's.
    pub profile: &'a str,
    /// The sources.
    pub sources: &'a [Source],
    /// The user's include directories, absolute.
    pub include: &'a [PathBuf],
    /// Macros.
    pub defines: &'a [String],
    /// Further arguments of clang.
    pub cflags: &'a [String],
    /// The value of `-mcpu`.
    pub mcpu: &'a str,
    /// The architecture to compile for.
    pub arch: Arch,
    /// The compiler.
    pub clang: &'a Clang,
    /// Where `vmlinux.h` comes from; nothing if skep is to make none.
    pub vmlinux: Option<&'a HeaderFor<'a>>,
    /// Whether editors are to be told of the command lines, in the project's
    /// directory.
    pub compile_commands: bool,
    /// How many steps run at once.
    pub jobs: NonZeroUsize,
    /// The wish to stop.
    pub cancel: &'a Cancel,
    /// Who listens.
    pub sink: &'a dyn Sink,
}

/// An object that was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The index of its source in the request.
    pub source: usize,
    /// Whether it was there already and nothing had to be done.
    pub fresh: bool,
}

/// How a build came out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The objects that are there now and belong to their sources.
    pub built: Vec<Built>,
    /// What clang says of the sources, in their order; of those that were not
    /// compiled again, what it said when they were.
    pub diagnostics: Vec<Diagnostic>,
}

/// Where a build directory keeps what is not for users.
fn state_dir(target: &Path) -> PathBuf {
    target.join(".state")
}

/// The file that remembers what clangs say of themselves.
pub fn clang_answers(target: &Path) -> PathBuf {
    state_dir(target).join("clang.json")
}

/// Builds.
///
/// # Errors
/// What kept the build from being done. That clang rejects a source is none:
/// it is among the report's diagnostics.
pub fn build(request: &Request<'_>) -> Result<Report, Error> {
    let state = state_dir(request.target);
    prepare(request.target, &state)?;
    let holder = format!("skep build (process {})", std::process::id());
    let lock = fs::Lock::acquire_unless(&state.join("lock"), &holder, request.cancel, |holder| {
        let holder = if holder.is_empty() { "another skep" } else { holder };
        let target = request.target.display();
        request.sink.emit(Event::Note(format!("waiting for {holder}, which builds in {target}")));
    })?;
    let Some(_lock) = lock else { return Err(process::Error::Cancelled.into()) };
    let aside = state.join("aside");
    // What a killed build left.
    fs::remove_dir_all(&aside)?;
    fs::create_dir_all(&aside)?;

    let generated = request.target.join("include");
    let common = flags::Common {
        clang: request.clang,
        root: request.root,
        target: request.target,
        generated: &generated,
        include: request.include,
        defines: request.defines,
        cflags: request.cflags,
        mcpu: request.mcpu,
        arch: request.arch,
    };
    let files = Files::new(request.root);
    let runner = Runner {
        files: &files,
        records: &state.join(request.profile),
        aside: &aside,
        jobs: request.jobs,
        cancel: request.cancel,
        sink: request.sink,
    };
    let mut steps = vec![libbpf_step(&generated, &aside)];
    let mut before_all = vec![0];
    let needs = needs_vmlinux(request);
    if let Some((header, users)) = header_step(request, &needs, &generated, &aside)? {
        steps.push(header);
        before_all.push(1);
        debug_assert!(!users.is_empty());
    }
    let first = steps.len();
    for (source, needs) in request.sources.iter().zip(&needs) {
        let after = if needs.needs_vmlinux { before_all.clone() } else { vec![0] };
        steps.push(compile_step(request, &common, source, after, &aside));
    }
    if request.compile_commands {
        tell_editors(request, &common)?;
    }
    let outcomes = runner.run(&steps)?;
    Ok(report(request, &outcomes[first..]))
}

/// Makes the build directory, marked as something that backups and version
/// control leave out.
fn prepare(target: &Path, state: &Path) -> Result<(), Error> {
    if fs::is_dir(state) {
        return Ok(());
    }
    fs::create_dir_all(state)?;
    fs::write_atomic(&target.join(".gitignore"), b"*\n")?;
    fs::write_atomic(
        &target.join("CACHEDIR.TAG"),
        // The signature is fixed: https://bford.info/cachedir/
        b"Signature: 8a477f597d28d172789f06886806bc55\n# This directory was made by skep.\n",
    )?;
    Ok(())
}

fn libbpf_step<'a>(generated: &Path, aside: &Path) -> Step<'a> {
    let headers = libbpf::HEADERS;
    let key = Digest::of_parts(
        headers.iter().flat_map(|header| [header.name.as_bytes(), header.text.as_bytes()]),
    );
    let outputs: Vec<PathBuf> = headers.iter().map(|header| generated.join(header.name)).collect();
    let (paths, aside) = (outputs.clone(), aside.to_owned());
    Step {
        name: "include/bpf".to_owned(),
        verb: None,
        subject: "libbpf's headers".to_owned(),
        key: vec![("libbpf's headers", key.to_string())],
        inputs: Vec::new(),
        outputs,
        after: Vec::new(),
        run: Box::new(move || {
            for (header, path) in headers.iter().zip(&paths) {
                put(path, header.text.as_bytes(), &aside)?;
            }
            Ok(Ran::default())
        }),
    }
}

fn needs_vmlinux(request: &Request<'_>) -> Vec<includes::Found> {
    let look =
        |source: &Source| includes::follow(&request.root.join(&source.path), request.include);
    match request.vmlinux {
        Some(_) => request.sources.iter().map(look).collect(),
        None => request.sources.iter().map(|_| includes::Found::default()).collect(),
    }
}

fn header_step<'a>(
    request: &Request<'a>,
    needs: &[includes::Found],
    generated: &Path,
    aside: &Path,
) -> Result<Option<(Step<'a>, BTreeSet<PathBuf>)>, Error> {
    let users: BTreeSet<PathBuf> = needs
        .iter()
        .filter(|found| found.needs_vmlinux)
        .flat_map(|found| found.files.iter().cloned())
        .collect();
    let Some(header_for) = request.vmlinux.filter(|_| !users.is_empty()) else {
        return Ok(None);
    };
    let header = header_for(&users).map_err(Error::Header)?;
    let (path, aside) = (generated.join(includes::VMLINUX), aside.to_owned());
    let make = header.make;
    let step = Step {
        name: format!("include/{}", includes::VMLINUX),
        verb: Some("Generating"),
        subject: format!("vmlinux.h from {}", header.from),
        key: vec![("the source of vmlinux.h", header.key)],
        inputs: header.inputs,
        outputs: vec![path.clone()],
        after: Vec::new(),
        run: Box::new(move || {
            let text = make().map_err(Error::Header)?;
            put(&path, &text, &aside)?;
            Ok(Ran::default())
        }),
    };
    Ok(Some((step, users)))
}

fn compile_step<'a>(
    request: &'a Request<'_>,
    common: &'a flags::Common<'_>,
    source: &'a Source,
    after: Vec<usize>,
    aside: &Path,
) -> Step<'a> {
    let unique = Digest::of(source.name.as_bytes()).short();
    let aside_object = aside.join(format!("{unique}.o"));
    let dependencies = aside.join(format!("{unique}.d"));
    let mut inputs = vec![request.root.join(&source.path)];
    if after.len() > 1 {
        inputs.push(common.generated.join(includes::VMLINUX));
    }
    Step {
        name: format!("{}.bpf.o", source.name),
        verb: Some("Compiling"),
        subject: source.path.display().to_string(),
        key: vec![
            ("the compiler", request.clang.version.clone()),
            ("the compiler's place", request.clang.path.display().to_string()),
            ("the command line", common.key()),
        ],
        inputs,
        outputs: vec![source.object.clone()],
        after,
        run: Box::new(move || compile(request, common, source, &aside_object, &dependencies)),
    }
}

fn compile(
    request: &Request<'_>,
    common: &flags::Common<'_>,
    source: &Source,
    object: &Path,
    dependencies: &Path,
) -> Result<Ran, Error> {
    let command = common.compile(&source.path, object, dependencies);
    let words: Vec<_> = command.words().map(|word| word.to_string_lossy()).collect();
    request.sink.emit(Event::Detail(words.join(" ")));
    let output = command.run(request.cancel)?;
    let log = output.stderr_text();
    if !output.success() {
        // Whoever presses Ctrl-C may hit clang first.
        if request.cancel.is_cancelled() {
            return Err(process::Error::Cancelled.into());
        }
        if log.contains("No space left on device") {
            return Err(Error::DiskFull { source: source.path.clone() });
        }
        let said = complaints::parse(&log, request.root, &|_| None);
        if !said.iter().any(Diagnostic::is_error) {
            let source = request.root.join(&source.path);
            return Err(Error::ClangFailed { source, ending: output.ending(), said: tail(&log) });
        }
        return Ok(Ran { log, failed: true, ..Ran::default() });
    }
    let rule = fs::read(dependencies)?;
    fs::remove_file(dependencies)?;
    let inputs = depfile::parse(&String::from_utf8_lossy(&rule))
        .into_iter()
        .map(|path| request.root.join(path))
        .collect();
    install(object, &source.object)?;
    Ok(Ran { inputs, log, failed: false })
}

/// Puts a finished object in its place, unless the same bytes are there: what
/// watches the object's time is then not woken.
fn install(from: &Path, to: &Path) -> Result<(), Error> {
    let bytes = fs::read(from)?;
    if fs::read_if_exists(to)?.is_some_and(|known| known == bytes) {
        return Ok(());
    }
    fs::create_dir_all(fs::parent_of(to))?;
    // The place may be on another file system: beside a source that was
    // named on the command line.
    if fs::rename(from, to).is_err() {
        fs::write_atomic(to, &bytes)?;
    }
    Ok(())
}

/// The last lines of a text.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}

fn report(request: &Request<'_>, outcomes: &[Outcome]) -> Report {
    let read = |path: &Path| fs::read(path).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let mut report = Report::default();
    for (source, outcome) in outcomes.iter().enumerate() {
        let log = match outcome {
            Outcome::Fresh(log) | Outcome::Done(log) => {
                let fresh = matches!(outcome, Outcome::Fresh(_));
                report.built.push(Built { source, fresh });
                log
            }
            Outcome::Refused(log) => log,
            Outcome::Skipped => continue,
        };
        for diagnostic in complaints::parse(log, request.root, &read) {
            // What is wrong in a header that several sources include is said
            // once.
            let is_same = |known: &Diagnostic| {
                (known.code, &known.message, &known.primary)
                    == (diagnostic.code, &diagnostic.message, &diagnostic.primary)
            };
            if diagnostic.primary.is_none() || !report.diagnostics.iter().any(is_same) {
                report.diagnostics.push(diagnostic);
            }
        }
    }
    report
}

fn tell_editors(request: &Request<'_>, common: &flags::Common<'_>) -> Result<(), Error> {
    let relative = |path: &Path| {
        path.strip_prefix(request.root).unwrap_or(path).to_string_lossy().into_owned()
    };
    let entries: Vec<_> = request
        .sources
        .iter()
        .map(|source| compile_commands::Entry {
            file: source.path.to_string_lossy().into_owned(),
            output: relative(&source.object),
            arguments: common.for_editors(&source.path, &source.object),
        })
        .collect();
    if !compile_commands::write(request.root, &entries)? {
        let name = compile_commands::NAME;
        request.sink.emit(Event::Detail(format!("{name} is somebody else's, and was left alone")));
    }
    Ok(())
}
