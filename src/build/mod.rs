//! Building: from sources to objects.
//!
//! [`build`] makes a graph of steps of a [`Request`] and runs what is not
//! fresh ([`steps`], [`record`]): libbpf's headers and `vmlinux.h` into the
//! build directory ([`headers`]), then clang on every source, then libbpf's
//! linker where objects are linked or stripped, then skeletons ([`skeleton`])
//! and programs of the user side ([`user`]). clang's text becomes diagnostics
//! in one place ([`complaints`]).
//!
//! The build directory:
//!
//! | path | what |
//! |---|---|
//! | `PROFILE/NAME.bpf.o` | objects |
//! | `PROFILE/gen/NAME.skel.h` | their skeletons |
//! | `PROFILE/NAME` | programs of the user side |
//! | `include/vmlinux.h`, `include/bpf/*.h` | headers that skep supplies |
//! | `PROFILE/vmlinux/SOURCE/vmlinux.h` | what one source uses of it |
//! | `.state/PROFILE/{vmlinux,compile,link,skeleton,user,program}/`, `.state/include/` | records of the steps |
//! | `.state/PROFILE/summary` | the records of the last build that had nothing to do |
//! | `.state/PROFILE/{objects,user}/` | objects on their way to a linker |
//! | `.state/{clang,cc,pkg-config}.json` | what these programs said |
//! | `.state/aside/PID/` | files that are being written; emptied by each build |
//! | `.state/lock` | held while a build runs |
//!
//! One build at a time: a second one waits, and says for whom.

pub mod arch;
pub mod clang;
mod compile_commands;
mod complaints;
mod conflict;
mod depfile;
mod error;
mod flags;
mod headers;
pub mod includes;
pub mod libbpf;
mod link;
mod record;
pub mod skeleton;
mod steps;
mod summary;
pub mod user;

pub use arch::Arch;
pub use clang::Clang;
pub use error::Error;

use crate::base::digest::Digest;
use crate::base::{Cancel, Jobs, fs, process};
use crate::diagnostics::{Diagnostic, Failure, names_allowed};
use crate::events::{Event, Sink};
use headers::Headers;
use record::{COMPILER, Files, Record};
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use steps::{Outcome, Ran, Results, Runner, Step, put};

/// A source to be compiled.
#[derive(Clone, Debug, Hash)]
pub struct Source {
    /// The file, relative to [`Request::root`].
    pub path: PathBuf,
    /// Macros.
    pub defines: Vec<String>,
    /// Further arguments of clang; they come last and win.
    pub cflags: Vec<String>,
    /// The value of `-mcpu`.
    pub mcpu: &'static str,
}

/// An object to be made.
#[derive(Clone, Debug, Hash)]
pub struct Object {
    /// Its name, without `.bpf.o`; `/` makes directories.
    pub name: String,
    /// The file, absolute.
    pub path: PathBuf,
    /// The indices of the sources it is made of; of several, it is linked.
    pub sources: Vec<usize>,
    /// Whether DWARF is left out; BTF stays. Linked objects have none anyway.
    pub strip: bool,
}

impl Object {
    /// Whether the linker has work to do.
    fn is_linked(&self) -> bool {
        self.strip || self.sources.len() != 1
    }
}

/// A skeleton to be written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Skeleton {
    /// The index of its object.
    pub object: usize,
    /// The header, absolute.
    pub path: PathBuf,
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
    /// Makes its text, with all there is.
    pub make: Box<dyn Fn() -> Result<Vec<u8>, Failure> + Send + Sync + 'a>,
    /// Makes one for a single source; nothing where all sources get the whole
    /// one.
    pub prune: Option<Box<Prune<'a>>>,
}

impl Header<'_> {
    /// What decides about it, the bytes of its files left out.
    fn identity(&self) -> String {
        format!("{} {:?} {}", self.key, self.inputs, self.prune.is_some())
    }
}

/// Makes a header with what some files (absolute) and definitions
/// (`NAME=VALUE`) use. Nothing if that is what the words with the identity in
/// the last argument stand for.
pub type Prune<'a> = dyn Fn(&BTreeSet<PathBuf>, &[String], Option<&str>) -> Result<Option<PrunedHeader>, Failure>
    + Send
    + Sync
    + 'a;

/// A header cut down to what a source uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrunedHeader {
    /// The identity of the words it was made of, and of the BTF; no space in
    /// it.
    pub words: String,
    /// Its text.
    pub text: Vec<u8>,
}

/// Says how `vmlinux.h` is made. Asked only if a source includes it.
pub type HeaderFor<'a> = dyn Fn() -> Result<Header<'a>, Failure> + Sync + 'a;

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
    /// What is made of them; each source is in one of these.
    pub objects: &'a [Object],
    /// The objects' skeletons.
    pub skeletons: &'a [Skeleton],
    /// The programs that use those.
    pub user: Option<&'a user::User>,
    /// The user's include directories, absolute.
    pub include: &'a [PathBuf],
    /// A program that is started in clang's place, with arguments; the first
    /// word is its path. Empty for none.
    pub launcher: &'a [PathBuf],
    /// The architecture to compile for.
    pub arch: Arch,
    /// The compiler.
    pub clang: &'a Clang,
    /// Where `vmlinux.h` comes from; nothing if skep is to make none.
    pub vmlinux: Option<&'a HeaderFor<'a>>,
    /// Whether editors are to be told of the command lines, in the project's
    /// directory.
    pub compile_commands: bool,
    /// How many steps run at once, those of other requests counted.
    pub jobs: &'a Jobs,
    /// The wish to stop.
    pub cancel: &'a Cancel,
    /// Who listens.
    pub sink: &'a dyn Sink,
}

impl Request<'_> {
    /// The files that clang read the last time it compiled the sources,
    /// absolute; of those that it refused, the sources alone. What skep makes
    /// itself is left out.
    pub fn files_read(&self) -> Vec<PathBuf> {
        let records = state_dir(self.target).join(self.profile).join("compile");
        let mut read: BTreeSet<PathBuf> = BTreeSet::new();
        for source in self.sources {
            read.insert(self.root.join(&source.path));
            let record = records.join(format!("{}.json", source.path.display()));
            if let Some(record) = Record::read(&record) {
                read.extend(record.inputs().map(|path| self.root.join(path)));
            }
        }
        read.into_iter().filter(|path| !path.starts_with(self.target)).collect()
    }
}

/// An object that was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// Its index in the request.
    pub object: usize,
    /// Whether it was there already and nothing had to be done.
    pub fresh: bool,
}

/// A program of the user side that was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltProgram {
    /// Its index among the request's.
    pub program: usize,
    /// Whether it was there already and nothing had to be done.
    pub fresh: bool,
}

/// How a build came out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The objects that are there now and belong to their sources.
    pub built: Vec<Built>,
    /// The programs of the user side that are there now.
    pub programs: Vec<BuiltProgram>,
    /// What clang says of the sources, in their order; of those that were not
    /// compiled again, what it said when they were. Then what the linker says.
    pub diagnostics: Vec<Diagnostic>,
    /// The indices of the sources with a comment that allows findings.
    pub remarked: Vec<usize>,
}

/// Where a build directory keeps what is not for users.
fn state_dir(target: &Path) -> PathBuf {
    target.join(".state")
}

/// The file that remembers what a program said: `clang` of itself, `cc` of
/// itself, `pkg-config` of the machine's libraries.
pub fn answers_of(program: &str, target: &Path) -> PathBuf {
    state_dir(target).join(format!("{program}.json"))
}

/// The clang that compiled a source, given relative to its project, as it
/// called itself then; nothing for what is not built.
pub fn compiler_of(target: &Path, profile: &str, source: &Path) -> Option<String> {
    let name = format!("{}.json", compile_record(profile, source));
    let record = Record::read(&state_dir(target).join(name))?;
    record.value(COMPILER).map(str::to_owned)
}

/// The name of the step that compiles a source.
fn compile_record(profile: &str, source: &Path) -> String {
    format!("{profile}/compile/{}", source.display())
}

/// A build directory that is locked and ready.
struct Workspace<'w, 'r> {
    request: &'w Request<'r>,
    /// Records, and objects on their way to the linker.
    state: PathBuf,
    /// Files that are being written.
    aside: PathBuf,
    /// Headers that skep supplies.
    generated: PathBuf,
    _lock: fs::Lock,
}

impl<'w, 'r> Workspace<'w, 'r> {
    /// Locks it, and makes it ready to be written to.
    fn enter(request: &'w Request<'r>) -> Result<Self, Error> {
        let workspace = Self::lock(request)?;
        workspace.make_ready()?;
        Ok(workspace)
    }

    fn lock(request: &'w Request<'r>) -> Result<Self, Error> {
        let state = state_dir(request.target);
        let lock = lock(request.target, "skep build", request.cancel, request.sink)?;
        let aside = state.join("aside").join(std::process::id().to_string());
        let generated = request.target.join("include");
        Ok(Self { request, state, aside, generated, _lock: lock })
    }

    fn make_ready(&self) -> Result<(), Error> {
        prepare(self.request.target, &self.state)?;
        // What a killed build left. A clang that a launcher started may live on
        // and write: so each process has a directory of its own.
        fs::remove_dir_all(fs::parent_of(&self.aside))?;
        Ok(fs::create_dir_all(&self.aside)?)
    }

    fn flags(&self) -> flags::Common<'_> {
        let request = self.request;
        flags::Common {
            clang: request.clang,
            root: request.root,
            target: request.target,
            generated: &self.generated,
            include: request.include,
            launcher: request.launcher,
            arch: request.arch,
        }
    }

    /// Does some steps.
    fn run(&self, files: &Files, steps: &[Step<'_>]) -> Result<Results, Error> {
        self.run_with(self.request.jobs, files, steps)
    }

    /// Does a step in the course of another one, whose slot it uses.
    fn run_within(&self, files: &Files, step: &Step<'_>) -> Result<(), Error> {
        let own = Jobs::new(NonZeroUsize::MIN);
        self.run_with(&own, files, std::slice::from_ref(step)).map(drop)
    }

    fn run_with(&self, jobs: &Jobs, files: &Files, steps: &[Step<'_>]) -> Result<Results, Error> {
        let request = self.request;
        let runner = Runner {
            files,
            records: &self.state,
            aside: &self.aside,
            jobs,
            cancel: request.cancel,
            sink: request.sink,
            told: Mutex::default(),
        };
        runner.run(steps)
    }
}

/// Takes the lock of a build directory, and says for whom it waits.
fn lock(target: &Path, command: &str, cancel: &Cancel, sink: &dyn Sink) -> Result<fs::Lock, Error> {
    let holder = format!("{command} (process {})", std::process::id());
    let on_wait = |holder: &str| {
        let holder = if holder.is_empty() { "another skep" } else { holder };
        let text = format!("waiting for {holder}, which works in {}", target.display());
        sink.emit(Event::Note(text));
    };
    let path = state_dir(target).join("lock");
    match fs::Lock::acquire_unless(&path, &holder, cancel, on_wait)? {
        Some(lock) => Ok(lock),
        None => Err(process::Error::Cancelled.into()),
    }
}

/// What [`clean`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Removes a build directory, or of it only what belongs to one profile.
/// A build that is under way is waited for.
///
/// # Errors
/// A file could not be removed; Ctrl-C while waiting.
pub fn clean(
    target: &Path,
    profile: Option<&str>,
    cancel: &Cancel,
    sink: &dyn Sink,
) -> Result<Removed, Error> {
    let mut removed = Removed::default();
    if !fs::exists(target) {
        return Ok(removed);
    }
    let _lock = lock(target, "skep clean", cancel, sink)?;
    let places = match profile {
        None => vec![target.to_owned()],
        Some(profile) => vec![target.join(profile), state_dir(target).join(profile)],
    };
    for place in places {
        if fs::is_dir(&place) {
            count(&place, &mut removed)?;
            fs::remove_dir_all(&place)?;
        }
    }
    Ok(removed)
}

fn count(dir: &Path, removed: &mut Removed) -> Result<(), Error> {
    for path in fs::read_dir(dir)? {
        // A link is removed, and not what it leads to.
        let meta = fs::link_metadata(&path)?;
        if meta.is_dir() {
            count(&path, removed)?;
        } else {
            removed.files += 1;
            removed.bytes += meta.len();
        }
    }
    Ok(())
}

/// Builds.
///
/// # Errors
/// What kept the build from being done. That clang rejects a source is none:
/// it is among the report's diagnostics.
pub fn build(request: &Request<'_>) -> Result<Report, Error> {
    let workspace = Workspace::lock(request)?;
    let summary = workspace.state.join(request.profile).join("summary");
    if let Some(known) = summary::read(&summary, request) {
        let outcomes: Vec<Outcome> = known.logs.into_iter().map(Outcome::Fresh).collect();
        return Ok(Report { remarked: known.remarked, ..report(request, &outcomes) });
    }
    workspace.make_ready()?;
    let flags = workspace.flags();
    let files = Files::new(request.root);
    let found = follow_includes(request, request.sources);
    let mut headers = Headers::new(&workspace, request.sources, &found)?;
    let mut steps = std::mem::take(&mut headers.steps);
    let first = steps.len();
    for (index, source) in request.sources.iter().enumerate() {
        // The linker reads what clang wrote, from a place of its own.
        let target = request
            .objects
            .iter()
            .find(|object| object.sources.contains(&index) && !object.is_linked())
            .map_or_else(|| intermediate(&workspace, source), |object| object.path.clone());
        let compiler =
            Compiler { workspace: &workspace, flags: &flags, headers: &headers, files: &files };
        steps.push(compile_step(compiler, source, index, target));
    }
    for object in request.objects.iter().filter(|object| object.is_linked()) {
        steps.push(link_step(&workspace, object, first));
    }
    let skeletons = steps.len();
    for skeleton in request.skeletons {
        steps.push(skeleton_step(&workspace, skeleton, first));
    }
    if let Some(user) = request.user {
        let after: Vec<usize> = (skeletons..steps.len()).collect();
        let next = steps.len();
        steps.extend(user::steps::steps(&workspace, user, &after, next));
    }
    let results = workspace.run(&files, &steps);
    let commands = record::settled_stamp_of(&request.root.join(compile_commands::NAME));
    if request.compile_commands {
        let refused = |index: usize| match &results {
            Ok(results) => matches!(results.outcomes[first + index], Outcome::Refused(_)),
            Err(_) => false,
        };
        tell_editors(request, &flags, &headers, &refused)?;
    }
    let Results { outcomes, records } = results?;
    let mut report = report(request, &outcomes[first..]);
    report.remarked = remarked(request);
    if let Some(records) = records {
        let fresh = summary::Fresh {
            records: &records,
            // What the steps before the first source said is for nobody.
            first,
            absent: found.iter().flat_map(|found| &found.absent).collect(),
            header: headers.identity.as_deref(),
            remarked: &report.remarked,
            commands,
        };
        // Only the next run's speed is at stake.
        drop(summary::write(&summary, request, &fresh, &workspace.aside));
    }
    Ok(report)
}

/// The sources with a comment that allows findings.
fn remarked(request: &Request<'_>) -> Vec<usize> {
    let has_remark = |source: &Source| {
        let bytes = fs::read(&request.root.join(&source.path)).unwrap_or_default();
        names_allowed(&String::from_utf8_lossy(&bytes)).next().is_some()
    };
    let sources = request.sources.iter().enumerate();
    sources.filter(|(_, source)| has_remark(source)).map(|(index, _)| index).collect()
}

/// What [`preprocess`] gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preprocessed {
    /// The text.
    pub text: Vec<u8>,
    /// What clang says.
    pub diagnostics: Vec<Diagnostic>,
}

/// Gives the text of one source as the compiler proper sees it.
///
/// # Errors
/// As those of [`build`].
pub fn preprocess(request: &Request<'_>, source: usize) -> Result<Preprocessed, Error> {
    preprocess_in(&Workspace::enter(request)?, source)
}

fn preprocess_in(workspace: &Workspace<'_, '_>, source: usize) -> Result<Preprocessed, Error> {
    let request = workspace.request;
    let source = &request.sources[source];
    let found = follow_includes(request, std::slice::from_ref(source));
    let headers = Headers::new(workspace, std::slice::from_ref(source), &found)?;
    let files = Files::new(request.root);
    workspace.run(&files, &headers.steps)?;
    let pruned = headers.own[0].as_ref().and_then(|own| own.pruned.as_ref());
    let pruned = pruned.filter(|pruned| !pruned.is_refused()).map(|pruned| &*pruned.dir);
    if pruned.is_none() {
        headers.make_whole(workspace, &files)?;
    }
    let output = workspace.flags().preprocess(source, pruned).run(request.cancel)?;
    let log = output.stderr_text();
    let diagnostics = complaints::parse(&log, request.root, &|_| None);
    if !output.success() && !diagnostics.iter().any(Diagnostic::is_error) {
        return Err(Error::CompilerFailed {
            compiler: "clang".to_owned(),
            source: request.root.join(&source.path),
            ending: output.ending(),
            said: tail(&log),
        });
    }
    Ok(Preprocessed { text: output.stdout, diagnostics })
}

/// Compiles the preprocessed text of one source with more text behind it; the
/// object's bytes, unless clang refuses that.
///
/// # Errors
/// As those of [`build`].
pub fn compile_with_more(
    request: &Request<'_>,
    source: usize,
    more: &dyn Fn(&[u8]) -> String,
) -> Result<Option<Vec<u8>>, Error> {
    let workspace = Workspace::enter(request)?;
    let mut text = preprocess_in(&workspace, source)?.text;
    text.extend_from_slice(more(&text).as_bytes());
    let command = workspace.flags().command(&request.sources[source], None);
    let output = command
        .args(["-w", "-x", "cpp-output", "-c", "-", "-o", "-"])
        .stdin(text)
        .run(request.cancel)?;
    Ok(output.success().then_some(output.stdout))
}

/// Where an object waits for the linker.
fn intermediate(workspace: &Workspace<'_, '_>, source: &Source) -> PathBuf {
    let name = format!("{}.o", source.path.display());
    workspace.state.join(workspace.request.profile).join("objects").join(name)
}

/// Makes the build directory, marked as something that backups and version
/// control leave out.
fn prepare(target: &Path, state: &Path) -> Result<(), Error> {
    if fs::is_file(&state.join("ready")) {
        return Ok(());
    }
    fs::write_atomic(&target.join(".gitignore"), b"*\n")?;
    fs::write_atomic(
        &target.join("CACHEDIR.TAG"),
        // The signature is fixed: https://bford.info/cachedir/
        b"Signature: 8a477f597d28d172789f06886806bc55\n# This directory was made by skep.\n",
    )?;
    Ok(fs::write_atomic(&state.join("ready"), b"")?)
}

/// What each source includes, as far as it has to be known beforehand.
fn follow_includes(request: &Request<'_>, sources: &[Source]) -> Vec<includes::Found> {
    let look = |source: &Source| match request.vmlinux {
        Some(_) => {
            let flags = includes::Flags::of(request.root, &source.cflags);
            let include = [request.include, &flags.include].concat();
            let first = std::iter::once(request.root.join(&source.path)).chain(flags.files);
            includes::follow(first, &include)
        }
        None => includes::Found::default(),
    };
    sources.iter().map(look).collect()
}

/// What compiling a source needs.
#[derive(Clone, Copy)]
struct Compiler<'a, 'w, 'r> {
    workspace: &'a Workspace<'w, 'r>,
    flags: &'a flags::Common<'a>,
    headers: &'a Headers<'r>,
    files: &'a Files,
}

fn compile_step<'a>(
    compiler: Compiler<'a, '_, '_>,
    source: &'a Source,
    index: usize,
    object: PathBuf,
) -> Step<'a> {
    let Compiler { workspace, flags, headers, .. } = compiler;
    let request = workspace.request;
    let unique = Digest::of(source.path.as_os_str().as_encoded_bytes()).short();
    let aside_object = workspace.aside.join(format!("{unique}.o"));
    let dependencies = workspace.aside.join(format!("{unique}.d"));
    let (mut after, mut inputs) = (vec![0], vec![request.root.join(&source.path)]);
    let own = headers.own[index].as_ref();
    if let Some(own) = own {
        after.push(own.step);
        inputs.push(own.path.clone());
    }
    let pruned = own.and_then(|own| own.pruned.as_ref());
    Step {
        name: compile_record(request.profile, &source.path),
        verb: Some("Compiling"),
        subject: source.path.display().to_string(),
        key: vec![
            (COMPILER, request.clang.version.clone()),
            ("the compiler's place", request.clang.path.display().to_string()),
            ("the command line", flags.key(source, pruned.map(|pruned| &*pruned.dir))),
        ],
        inputs,
        outputs: vec![object.clone()],
        after,
        run: Box::new(move || {
            let ran = compiler.compile(source, pruned, &aside_object, &dependencies)?;
            if !ran.failed {
                install(&aside_object, &object)?;
            }
            Ok(ran)
        }),
    }
}

impl Compiler<'_, '_, '_> {
    /// Compiles with the pruned header, and with the whole one where clang
    /// refuses that: what it says then is what counts.
    fn compile(
        &self,
        source: &Source,
        pruned: Option<&headers::Pruned>,
        object: &Path,
        dependencies: &Path,
    ) -> Result<Ran, Error> {
        let request = self.workspace.request;
        let parse = |log: &str| complaints::parse(log, request.root, &|_| None);
        let with = |pruned: Option<&Path>| {
            let command = self.flags.compile(source, pruned, object, dependencies);
            compile(request, &command, &source.path, dependencies, &parse)
        };
        let Some(pruned) = pruned else { return with(None) };
        let is_refused = pruned.is_refused();
        if !is_refused {
            let ran = with(Some(&pruned.dir))?;
            if !ran.failed {
                return Ok(ran);
            }
        }
        self.headers.make_whole(self.workspace, self.files)?;
        let began = record::next_tick();
        let mut ran = with(None)?;
        ran.began = Some(began);
        // Other words, or other BTF, and the pruned header gets another try.
        ran.inputs.push(pruned.words.clone());
        if !ran.failed {
            let source = source.path.display();
            let text =
                format!("{source} needs more of vmlinux.h than it names; compiled with all of it");
            request.sink.emit(Event::Detail(text));
            if !is_refused {
                pruned.refuse(&self.workspace.aside)?;
            }
        }
        Ok(ran)
    }
}

fn link_step<'a>(workspace: &'a Workspace<'_, '_>, object: &'a Object, first: usize) -> Step<'a> {
    let sources = object.sources.iter().map(|&source| &workspace.request.sources[source]);
    let inputs: Vec<PathBuf> = sources.map(|source| intermediate(workspace, source)).collect();
    let aside = workspace.aside.clone();
    Step {
        name: format!("{}/link/{}", workspace.request.profile, object.name),
        verb: if object.sources.len() > 1 { Some("Linking") } else { None },
        subject: object.name.clone(),
        // The order of the objects decides about that of programs and maps.
        key: vec![("the linker", link::version()), ("the objects", format!("{inputs:?}"))],
        inputs: inputs.clone(),
        outputs: vec![object.path.clone()],
        after: object.sources.iter().map(|source| first + source).collect(),
        run: Box::new(move || match link::link(&inputs) {
            Ok(bytes) => {
                install_bytes(&bytes, &object.path, &aside)?;
                Ok(Ran::default())
            }
            Err(Error::Link { reason, said }) => {
                Ok(Ran { log: format!("{reason}\n{said}"), failed: true, ..Ran::default() })
            }
            Err(error) => Err(error),
        }),
    }
}

fn skeleton_step<'a>(
    workspace: &'a Workspace<'_, '_>,
    skeleton: &'a Skeleton,
    first: usize,
) -> Step<'a> {
    let request = workspace.request;
    let object = &request.objects[skeleton.object];
    let aside = workspace.aside.clone();
    let linked = request.objects[..skeleton.object].iter().filter(|known| known.is_linked());
    let after = match object.sources[..] {
        [source] if !object.is_linked() => first + source,
        _ => first + request.sources.len() + linked.count(),
    };
    let name = skeleton::name_of(&object.path);
    Step {
        name: format!("{}/skeleton/{}", request.profile, object.name),
        verb: None,
        subject: format!("{name}'s skeleton"),
        key: vec![
            ("skep", env!("CARGO_PKG_VERSION").to_owned()),
            ("the linker", link::version()),
            ("the name", name.clone()),
        ],
        inputs: vec![object.path.clone()],
        outputs: vec![skeleton.path.clone()],
        after: vec![after],
        run: Box::new(move || {
            let bytes = without_dwarf(object)?;
            let parsed = crate::elf::Object::parse(&bytes).map_err(|error| error.to_string());
            let written = parsed.and_then(|parsed| {
                skeleton::c(&parsed, &bytes, &name).map_err(|error| error.to_string())
            });
            match written {
                Ok(text) => {
                    put(&skeleton.path, text.as_bytes(), &aside)?;
                    Ok(Ran::default())
                }
                Err(log) => Ok(Ran { log, failed: true, ..Ran::default() }),
            }
        }),
    }
}

/// An object's bytes as they are embedded: DWARF is of no use to a loader, and
/// has a hash of the source in it, by which a comment would wake the user side.
fn without_dwarf(object: &Object) -> Result<Vec<u8>, Error> {
    if !object.is_linked() {
        match link::link(&[&object.path]) {
            Ok(bytes) => return Ok(bytes),
            // The loader may understand what the linker does not.
            Err(Error::Link { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(fs::read(&object.path)?)
}

/// Runs a compiler, reads what it says, and lists what it read.
fn compile(
    request: &Request<'_>,
    command: &process::Command,
    source: &Path,
    dependencies: &Path,
    parse: &dyn Fn(&str) -> Vec<Diagnostic>,
) -> Result<Ran, Error> {
    request.sink.emit(Event::Detail(user::steps::in_words(command)));
    let output = command.run(request.cancel)?;
    let log = output.stderr_text();
    if !output.success() {
        // Whoever presses Ctrl-C may hit clang first.
        if request.cancel.is_cancelled() {
            return Err(process::Error::Cancelled.into());
        }
        if log.contains("No space left on device") {
            return Err(Error::DiskFull { source: source.to_owned() });
        }
        if !parse(&log).iter().any(Diagnostic::is_error) {
            let compiler = command.words().next().map(Path::new).and_then(Path::file_name);
            return Err(Error::CompilerFailed {
                compiler: compiler.unwrap_or_default().to_string_lossy().into_owned(),
                source: request.root.join(source),
                ending: output.ending(),
                said: tail(&log),
            });
        }
        return Ok(Ran { log, failed: true, ..Ran::default() });
    }
    let rule = fs::read(dependencies)?;
    fs::remove_file(dependencies)?;
    let inputs = depfile::parse(&String::from_utf8_lossy(&rule))
        .into_iter()
        .map(|path| request.root.join(path))
        .collect();
    Ok(Ran { inputs, log, ..Ran::default() })
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

/// [`install`] of an object that is in memory.
fn install_bytes(bytes: &[u8], to: &Path, aside: &Path) -> Result<(), Error> {
    if fs::read_if_exists(to)?.is_some_and(|known| known == bytes) {
        return Ok(());
    }
    // Beside a source that was named on the command line there may be another
    // file system.
    if put(to, bytes, aside).is_err() {
        fs::write_atomic(to, bytes)?;
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
    let (compiled, rest) = outcomes.split_at(request.sources.len());
    let linked = request.objects.iter().filter(|object| object.is_linked()).count();
    let (linked, rest) = rest.split_at(linked);
    let (skeletons, rest) = rest.split_at(request.skeletons.len());
    for outcome in compiled {
        add(&mut report, complaints::parse(outcome.log(), request.root, &read));
    }
    let mut linked = linked.iter();
    for (index, object) in request.objects.iter().enumerate() {
        let own = if object.is_linked() {
            linked.next()
        } else {
            object.sources.first().and_then(|&source| compiled.get(source))
        };
        match own {
            Some(Outcome::Fresh(_)) => report.built.push(Built { object: index, fresh: true }),
            Some(Outcome::Done(_)) => report.built.push(Built { object: index, fresh: false }),
            Some(Outcome::Refused(log)) if object.is_linked() => {
                let (reason, said) = log.split_once('\n').unwrap_or((log, ""));
                let sources = object.sources.iter().map(|&source| &request.sources[source].path);
                let texts = sources
                    .filter_map(|path| Some((path.clone(), read(&request.root.join(path))?)));
                let finding = error::link_failed(reason, said);
                report.diagnostics.push(conflict::placed(
                    finding,
                    said,
                    &texts.collect::<Vec<_>>(),
                ));
            }
            _ => {}
        }
    }
    for (skeleton, outcome) in request.skeletons.iter().zip(skeletons) {
        if let Outcome::Refused(reason) = outcome {
            let object = &request.objects[skeleton.object];
            report.diagnostics.push(error::skeleton_failed(&object.path, reason));
        }
    }
    if let Some(user) = request.user {
        let (compiled, linked) = rest.split_at(user.sources.len());
        for outcome in compiled {
            add(&mut report, user::messages::of_compiler(outcome.log(), request.root, &read));
        }
        for (program, (known, outcome)) in user.programs.iter().zip(linked).enumerate() {
            match outcome {
                Outcome::Fresh(_) => report.programs.push(BuiltProgram { program, fresh: true }),
                Outcome::Done(_) => report.programs.push(BuiltProgram { program, fresh: false }),
                Outcome::Refused(log) => {
                    let said = user::messages::of_linker(log, &known.name, request.root);
                    report.diagnostics.push(said);
                }
                Outcome::Skipped => {}
            }
        }
    }
    report
}

/// Adds diagnostics. What is wrong in a header that several sources include
/// is said once.
fn add(report: &mut Report, diagnostics: Vec<Diagnostic>) {
    for diagnostic in diagnostics {
        let is_same = |known: &Diagnostic| {
            (known.code, &known.message, &known.primary)
                == (diagnostic.code, &diagnostic.message, &diagnostic.primary)
        };
        if diagnostic.primary.is_none() || !report.diagnostics.iter().any(is_same) {
            report.diagnostics.push(diagnostic);
        }
    }
}

/// Writes the command lines for editors, each with the header that the source
/// was compiled with. `refused` says which clang refused.
fn tell_editors(
    request: &Request<'_>,
    flags: &flags::Common<'_>,
    headers: &Headers<'_>,
    refused: &dyn Fn(usize) -> bool,
) -> Result<(), Error> {
    let relative = |path: &Path| {
        path.strip_prefix(request.root).unwrap_or(path).to_string_lossy().into_owned()
    };
    let mut entries = Vec::new();
    for object in request.objects {
        for &index in &object.sources {
            let source = &request.sources[index];
            let own = headers.own[index].as_ref();
            let pruned = own
                .and_then(|own| own.pruned.as_ref())
                .filter(|pruned| !refused(index) && !pruned.is_refused());
            entries.push(compile_commands::Entry {
                file: source.path.to_string_lossy().into_owned(),
                output: relative(&object.path),
                arguments: flags.for_editors(source, pruned.map(|pruned| &*pruned.dir)),
            });
        }
    }
    if let Some(user) = request.user {
        let state = state_dir(request.target);
        for source in &user.sources {
            entries.push(compile_commands::Entry {
                file: source.to_string_lossy().into_owned(),
                output: relative(&user::steps::object(&state, request.profile, source)),
                arguments: user.for_editors(request.root, source),
            });
        }
    }
    if !compile_commands::write(request.root, &entries, request.user.is_some())? {
        let name = compile_commands::NAME;
        request.sink.emit(Event::Detail(format!("{name} is somebody else's, and was left alone")));
    }
    Ok(())
}
