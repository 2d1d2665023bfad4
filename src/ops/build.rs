//! `skep build`, and what every command does first that works on objects:
//! finding out what the paths on its command line stand for, and building it.

use super::{Packages, Session, cargo, expand, header, levels, packages, user};
use crate::base::digest::Digest;
use crate::base::fs;
use crate::base::jobs::{Jobs, side_by_side};
use crate::build::{self, Arch, Clang};
use crate::diagnostics::{Diagnostic, Failure, Label, Origin, Severity, Span, codes};
use crate::project::manifest::{Located, Mcpu, UserKind, Vmlinux};
use crate::project::{self, Kind, Project};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// How objects are built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// For development.
    #[default]
    Dev,
    /// To be shipped.
    Release,
}

impl Profile {
    /// The name of the profile and of its directory.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Release => "release",
        }
    }
}

/// What `skep build` is asked to do.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Projects, directories in them, sources, and, where the command takes
    /// them, objects. None: the project here.
    pub paths: Vec<PathBuf>,
    /// Which packages, where no path is named.
    pub packages: Packages,
    /// The profile.
    pub profile: Profile,
    /// The architecture to compile for, if not this machine's.
    pub target_arch: Option<Arch>,
    /// Whether skeletons and the user program are made too.
    pub user: bool,
    /// Whether the outcome is to have the files that were read.
    pub files_read: bool,
}

/// A program of the user side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserProgram {
    /// Its name.
    pub name: String,
    /// The executable, absolute.
    pub path: PathBuf,
    /// Whether nothing had to be done for it.
    pub fresh: bool,
    /// The index of its project in [`Outcome::projects`].
    pub project: usize,
}

/// An object to work on.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// Its name, without `.bpf.o`.
    pub name: String,
    /// The object file, absolute.
    pub object: PathBuf,
    /// The sources it was built from, absolute; none for an object that was
    /// named on the command line.
    pub sources: Vec<PathBuf>,
    /// The directory that relative paths in its line information start from.
    pub root: PathBuf,
    /// Whether nothing had to be done for it.
    pub fresh: bool,
    /// The index of its project in [`Outcome::projects`]; none for an object
    /// that was named on the command line.
    pub project: Option<usize>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The objects, in the order of the command line and of their sources'
    /// paths. A source that clang rejects has none.
    pub artifacts: Vec<Artifact>,
    /// The programs of the user side.
    pub programs: Vec<UserProgram>,
    /// Where it was asked for: the files that the objects were made of, those
    /// that skep made itself left out; absolute.
    pub files_read: Vec<PathBuf>,
    /// What cargo wrote, if it built the user program: JSON objects.
    pub cargo_messages: Vec<String>,
    /// The same as diagnostics.
    pub cargo_diagnostics: Vec<Diagnostic>,
    /// The projects they belong to.
    pub projects: Vec<Project>,
    /// Mistakes in manifests, and what clang says. Paths are as the user
    /// would write them.
    pub diagnostics: Vec<Diagnostic>,
    /// How many findings the manifest or a comment allows.
    pub allowed: usize,
}

impl Outcome {
    /// Whether something could not be built.
    pub fn failed(&self) -> bool {
        let all = self.diagnostics.iter().chain(&self.cargo_diagnostics);
        all.into_iter().any(Diagnostic::is_error)
    }
}

/// What some paths of a command line stand for.
#[derive(Debug)]
enum Input {
    /// A project, and those of its sources that are meant; none means all.
    Project(Box<Project>, Vec<PathBuf>),
    /// Sources outside of projects that lie in one directory.
    Files(PathBuf, Vec<PathBuf>),
    /// An object.
    Object(PathBuf),
}

/// Builds the projects and sources that `request.paths` names.
///
/// # Errors
/// What kept the build from being done at all. Mistakes in a manifest and what
/// clang rejects are in the outcome.
pub fn run(session: &Session, request: &Request) -> Result<Outcome, Failure> {
    work(session, request, false)
}

/// [`run`], for commands that take objects too: those are passed through as
/// they are, whatever they may contain.
pub fn objects(session: &Session, request: &Request) -> Result<Outcome, Failure> {
    work(session, request, true)
}

fn work(session: &Session, request: &Request, take_objects: bool) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::default();
    let inputs = match resolve(session, request, take_objects) {
        Ok(inputs) => inputs,
        Err(error) => {
            outcome.diagnostics = displayed(session, error.into_diagnostics());
            return Ok(outcome);
        }
    };
    let jobs = Jobs::new(session.jobs);
    let run = |input: &Input| build_input(session, request, &jobs, input);
    for part in side_by_side(&inputs, session.jobs.get(), &run) {
        let Part { project, outcome: own, drive_cargo } = part?;
        let shift = outcome.projects.len();
        outcome.artifacts.extend(own.artifacts.into_iter().map(|artifact| Artifact {
            project: artifact.project.map(|index| index + shift),
            ..artifact
        }));
        outcome.programs.extend(
            own.programs
                .into_iter()
                .map(|program| UserProgram { project: program.project + shift, ..program }),
        );
        outcome.files_read.extend(own.files_read);
        outcome.diagnostics.extend(own.diagnostics);
        outcome.allowed += own.allowed;
        let Some(project) = project else { continue };
        if drive_cargo && !outcome.failed() {
            cargo::drive(session, request, &project, &mut outcome)?;
        }
        outcome.projects.push(project);
    }
    Ok(outcome)
}

/// What came of one of several inputs.
#[derive(Default)]
struct Part {
    /// The project that was built.
    project: Option<Project>,
    /// The rest of it, without projects.
    outcome: Outcome,
    /// Whether cargo's turn comes then.
    drive_cargo: bool,
}

fn build_input(
    session: &Session,
    request: &Request,
    jobs: &Jobs,
    input: &Input,
) -> Result<Part, Failure> {
    let mut part = Part::default();
    match input {
        Input::Object(object) => part.outcome.artifacts.push(Artifact {
            name: object_name(object),
            root: session.cwd.clone(),
            sources: Vec::new(),
            fresh: true,
            project: None,
            object: object.clone(),
        }),
        Input::Project(project, only) => {
            let sources = match project.sources() {
                Ok(sources) => sources,
                Err(error) => {
                    part.outcome.diagnostics = displayed(session, error.into_diagnostics());
                    return Ok(part);
                }
            };
            // One object of all sources needs all of them.
            let whole = only.is_empty() || project.manifest.bpf.link;
            let wanted = |source: &project::Source| whole || only.contains(&source.path);
            let (wanted, others): (Vec<_>, Vec<_>) = sources.into_iter().partition(wanted);
            let whole = others.is_empty();
            build_project(session, request, jobs, project, &wanted, whole, &mut part)?;
        }
        Input::Files(dir, files) => {
            let project = ad_hoc(session, dir);
            let sources: Vec<_> = files.iter().map(|file| project::Source::named(file)).collect();
            build_project(session, request, jobs, &project, &sources, false, &mut part)?;
        }
    }
    Ok(part)
}

/// Preprocesses the one source that `request.paths` names.
pub(super) fn preprocess(session: &Session, request: &Request) -> Result<expand::Outcome, Failure> {
    let result =
        with_source(session, request, &|request, wanted| Ok(build::preprocess(request, wanted)?))?;
    Ok(match result {
        Ok(preprocessed) => expand::Outcome {
            text: preprocessed.text,
            diagnostics: displayed(session, preprocessed.diagnostics),
        },
        Err(mistakes) => expand::Outcome { text: Vec::new(), diagnostics: mistakes },
    })
}

/// Compiles the one source that `request.paths` names with text behind it,
/// made of what the compiler proper sees. No object, if clang does not take
/// that.
pub(super) fn with_more(
    session: &Session,
    request: &Request,
    more: &dyn Fn(&[u8]) -> String,
) -> Result<Option<Vec<u8>>, Failure> {
    let result = with_source(session, request, &|request, wanted| {
        Ok(build::compile_with_more(request, wanted, more)?)
    })?;
    Ok(result.ok().flatten())
}

/// Does something with the one source that `request.paths` names; or says
/// what is wrong with its manifest.
fn with_source<T>(
    session: &Session,
    request: &Request,
    work: &dyn Fn(&build::Request<'_>, usize) -> Result<T, Failure>,
) -> Result<Result<T, Vec<Diagnostic>>, Failure> {
    let inputs = match resolve(session, request, false) {
        Ok(inputs) => inputs,
        Err(error) => return Ok(Err(displayed(session, error.into_diagnostics()))),
    };
    let (project, sources, wanted) = match inputs.into_iter().next() {
        Some(Input::Project(project, only)) if only.len() == 1 => {
            // All of them, so that vmlinux.h is the one that builds use.
            let sources = project.sources()?;
            let wanted = sources.iter().position(|source| source.path == only[0]);
            (*project, sources, wanted.unwrap_or(0))
        }
        Some(Input::Files(dir, files)) => {
            let project = ad_hoc(session, &dir);
            (project, files.iter().map(|file| project::Source::named(file)).collect(), 0)
        }
        _ => {
            let message = "a source is expected, and this is a project";
            return Err(Diagnostic::new(codes::WRONG_INPUT, Origin::Command, message)
                .help("name one of its .bpf.c files")
                .into());
        }
    };
    let clang = find_clang(session, &project)?;
    let setting = Setting::new(session, request, &project, &clang, &sources, true)?;
    if !setting.mistakes.is_empty() {
        return Ok(Err(displayed(session, setting.mistakes)));
    }
    let header = || header::of(session, &project, setting.arch);
    let jobs = Jobs::new(session.jobs);
    work(&setting.request(session, &project, &clang, &jobs, &header), wanted).map(Ok)
}

/// The project of sources in a directory that no manifest speaks of.
fn ad_hoc(session: &Session, dir: &Path) -> Project {
    let id = Digest::of(dir.as_os_str().as_encoded_bytes());
    Project::ad_hoc(dir, session.cache.join("adhoc").join(id.short()))
}

fn build_project(
    session: &Session,
    request: &Request,
    jobs: &Jobs,
    project: &Project,
    sources: &[project::Source],
    whole: bool,
    part: &mut Part,
) -> Result<(), Failure> {
    let outcome = &mut part.outcome;
    let clang = find_clang(session, project)?;
    let setting = Setting::new(session, request, project, &clang, sources, whole)?;
    if !setting.mistakes.is_empty() {
        outcome.diagnostics.extend(displayed(session, setting.mistakes));
        return Ok(());
    }
    let header = || header::of(session, project, setting.arch);
    let wanted = setting.request(session, project, &clang, jobs, &header);
    let report = build::build(&wanted)?;
    outcome.artifacts.extend(report.built.iter().map(|built| {
        let object = &setting.objects[built.object];
        let source = |index: &usize| project.root.join(&setting.sources[*index].path);
        Artifact {
            name: object.name.clone(),
            object: object.path.clone(),
            sources: object.sources.iter().map(source).collect(),
            root: project.root.clone(),
            fresh: built.fresh,
            project: Some(0),
        }
    }));
    let programs = setting.user.iter().flat_map(|user| &user.programs);
    for (index, program) in programs.enumerate() {
        if let Some(built) = report.programs.iter().find(|built| built.program == index) {
            let (name, path) = (program.name.clone(), program.path.clone());
            outcome.programs.push(UserProgram { name, path, fresh: built.fresh, project: 0 });
        }
    }
    let mut findings = report.diagnostics;
    let remarked = report.remarked.iter().filter_map(|index| sources.get(*index));
    findings.extend(levels::unknown_names(project, remarked));
    let (findings, allowed) = levels::apply(session, Some(project), &project.root, findings);
    outcome.allowed += allowed;
    outcome.diagnostics.extend(displayed(session, findings));
    if request.files_read {
        outcome.files_read.extend(wanted.files_read());
    }
    let is_rust = project.manifest.user.kind.value == UserKind::Rust;
    part.drive_cargo = request.user && whole && is_rust && setting.arch == Arch::host();
    part.project = Some(project.clone());
    Ok(())
}

/// What a project's manifest and the command line come to for the builder.
struct Setting {
    arch: Arch,
    target: PathBuf,
    profile: Profile,
    include: Vec<PathBuf>,
    launcher: Vec<PathBuf>,
    sources: Vec<build::Source>,
    objects: Vec<build::Object>,
    skeletons: Vec<build::Skeleton>,
    user: Option<build::user::User>,
    vmlinux: bool,
    compile_commands: bool,
    /// What is wrong with the manifest.
    mistakes: Vec<Diagnostic>,
}

/// The objects that are made of a project's sources.
pub(super) fn objects_of(
    project: &Project,
    sources: &[project::Source],
    target: &Path,
    profile: Profile,
    strip: bool,
) -> Vec<build::Object> {
    let dir = match project.kind {
        // Beside the source, where a compiler would put it.
        Kind::AdHoc => project.root.clone(),
        Kind::Skep | Kind::Cargo => target.join(profile.as_str()),
    };
    let object = |name: &str, sources: Vec<usize>| build::Object {
        name: name.to_owned(),
        path: dir.join(format!("{name}.bpf.o")),
        sources,
        strip,
    };
    if project.manifest.bpf.link {
        return vec![object(&project.name, (0..sources.len()).collect())];
    }
    sources.iter().enumerate().map(|(index, source)| object(&source.name, vec![index])).collect()
}

impl Setting {
    fn new(
        session: &Session,
        request: &Request,
        project: &Project,
        clang: &Clang,
        sources: &[project::Source],
        whole: bool,
    ) -> Result<Self, Failure> {
        let bpf = &project.manifest.bpf;
        let arch = request.target_arch.unwrap_or_else(Arch::host);
        // Another architecture is another world: other headers, other objects.
        let target = match arch == Arch::host() {
            true => project.target.clone(),
            false => project.target.join(arch.as_str()),
        };
        let options = match request.profile {
            Profile::Dev => &project.manifest.dev,
            Profile::Release => &project.manifest.release,
        };
        let strip = options.strip.unwrap_or(request.profile == Profile::Release);
        let mut setting = Self {
            arch,
            profile: request.profile,
            include: Vec::new(),
            launcher: Vec::new(),
            sources: Vec::new(),
            objects: Vec::new(),
            skeletons: Vec::new(),
            user: None,
            vmlinux: bpf.vmlinux.value != Vmlinux::None,
            // Editors are told of the build that people see.
            compile_commands: whole && project.kind != Kind::AdHoc && arch == Arch::host(),
            mistakes: Vec::new(),
            target,
        };
        for source in sources {
            let options = project.options(&source.path, options);
            setting.check_mcpu(project, &options.mcpu, clang);
            setting.sources.push(build::Source {
                path: source.path.clone(),
                defines: options.defines,
                cflags: options.cflags,
                mcpu: options.mcpu.value.as_str(),
            });
        }
        setting.objects = objects_of(project, sources, &setting.target, request.profile, strip);
        setting.find_include(project);
        setting.find_launcher(session, project)?;
        if whole {
            setting.check_overrides(project, sources);
        }
        let kind = project.manifest.user.kind.value;
        if request.user && whole && project.kind != Kind::AdHoc && kind == UserKind::C {
            setting.add_user(session, project, sources, clang)?;
        }
        Ok(setting)
    }

    /// Adds skeletons and the user program.
    fn add_user(
        &mut self,
        session: &Session,
        project: &Project,
        sources: &[project::Source],
        clang: &Clang,
    ) -> Result<(), Failure> {
        let generated = self.target.join(self.profile.as_str()).join(user::GENERATED);
        let objects = self.objects.iter().enumerate();
        self.skeletons = objects
            .map(|(object, known)| build::Skeleton {
                object,
                path: generated.join(format!("{}.skel.h", known.name)),
            })
            .collect();
        if self.arch != Arch::host() {
            session.note(format!(
                "the user program is not built for {}: there are no compiler and no libraries for \
                 it; its BPF side and skeletons are",
                self.arch.as_str()
            ));
            return Ok(());
        }
        let (profile, target, include) = (self.profile, &self.target, &self.include);
        let bpf = user::Bpf { sources, profile, target, include, clang };
        self.user = user::prepare(session, project, &bpf, &mut self.mistakes)?;
        Ok(())
    }

    fn check_mcpu(&mut self, project: &Project, mcpu: &Located<Mcpu>, clang: &Clang) {
        if mcpu.value < Mcpu::V4 || clang.major >= 18 {
            return;
        }
        let message = format!(
            "`mcpu = \"{}\"` needs clang 18 or newer, and {} is clang {}",
            mcpu.value.as_str(),
            clang.path.display(),
            clang.number()
        );
        let mistake = Diagnostic::new(codes::MANIFEST_VALUE, Origin::Manifest, message);
        let mistake = placed(project, mcpu, mistake);
        if !self.mistakes.contains(&mistake) {
            self.mistakes.push(mistake);
        }
    }

    fn find_include(&mut self, project: &Project) {
        for dir in &project.manifest.bpf.include {
            let path = project.root.join(&dir.value);
            if fs::is_dir(&path) {
                self.include.push(path);
            } else if dir.range.is_some() {
                let message = format!("the include directory `{}` is not there", dir.value);
                let mistake = Diagnostic::new(codes::MANIFEST_VALUE, Origin::Manifest, message);
                self.mistakes.push(placed(project, dir, mistake));
            }
        }
    }

    fn find_launcher(&mut self, session: &Session, project: &Project) -> Result<(), Failure> {
        let mut words = project.manifest.bpf.launcher.iter();
        let Some(name) = words.next() else { return Ok(()) };
        let Some(path) = session.programs.find(&name.value) else {
            return Err(build::Error::LauncherMissing { name: PathBuf::from(&name.value) }.into());
        };
        self.launcher.push(path);
        self.launcher.extend(words.map(|word| PathBuf::from(&word.value)));
        Ok(())
    }

    /// An override that is for no source at all is misspelt.
    fn check_overrides(&mut self, project: &Project, sources: &[project::Source]) {
        for own in &project.manifest.bpf.overrides {
            let Some(pattern) = own.sources.first() else { continue };
            if !sources.iter().any(|source| own.is_for(&source.path)) {
                let message = format!("no source matches `{}`", pattern.value);
                let mistake = Diagnostic::new(codes::MANIFEST_VALUE, Origin::Manifest, message);
                self.mistakes.push(placed(project, pattern, mistake));
            }
        }
    }

    fn request<'a>(
        &'a self,
        session: &'a Session,
        project: &'a Project,
        clang: &'a Clang,
        jobs: &'a Jobs,
        header: &'a build::HeaderFor<'a>,
    ) -> build::Request<'a> {
        build::Request {
            root: &project.root,
            target: &self.target,
            profile: self.profile.as_str(),
            sources: &self.sources,
            objects: &self.objects,
            skeletons: &self.skeletons,
            user: self.user.as_ref(),
            include: &self.include,
            launcher: &self.launcher,
            arch: self.arch,
            clang,
            vmlinux: self.vmlinux.then_some(header),
            compile_commands: self.compile_commands,
            jobs,
            cancel: &session.cancel,
            sink: &*session.sink,
        }
    }
}

/// The clang that a project is built with.
pub fn find_clang(session: &Session, project: &Project) -> Result<Clang, Failure> {
    let manifest = project.manifest.bpf.clang.as_ref();
    let wanted = build::clang::Wanted {
        environment: session.clang.as_deref(),
        manifest: manifest.map(|name| name.value.as_str()),
    };
    let answers = build::answers_of("clang", &project.target);
    Ok(build::clang::find(wanted, &session.programs, &answers, &session.cancel)?)
}

fn placed<T>(project: &Project, value: &Located<T>, diagnostic: Diagnostic) -> Diagnostic {
    match project.span(value) {
        Some(span) => diagnostic.at(span),
        None => diagnostic,
    }
}

/// Why paths of a command line stand for nothing.
enum NoInput {
    Project(project::Error),
    Other(Box<Diagnostic>),
}

impl NoInput {
    fn into_diagnostics(self) -> Vec<Diagnostic> {
        match self {
            Self::Project(error) => error.into_diagnostics(),
            Self::Other(diagnostic) => vec![*diagnostic],
        }
    }
}

impl From<project::Error> for NoInput {
    fn from(error: project::Error) -> Self {
        Self::Project(error)
    }
}

fn resolve(
    session: &Session,
    request: &Request,
    take_objects: bool,
) -> Result<Vec<Input>, NoInput> {
    if request.paths.is_empty() {
        let projects = request.packages.find(session)?.into_iter();
        return Ok(projects.map(|it| Input::Project(Box::new(it), Vec::new())).collect());
    }
    let mut inputs: Vec<Input> = Vec::new();
    for given in &request.paths {
        let path = plain(&session.absolute(given));
        let wrong = |code, message: String| {
            Err(NoInput::Other(Box::new(Diagnostic::new(code, Origin::Command, message))))
        };
        if fs::is_dir(&path) {
            add_projects(&mut inputs, &path)?;
        } else if !fs::exists(&path) {
            return wrong(codes::FILE_NOT_FOUND, format!("{} is not there", given.display()));
        } else if path
            .file_name()
            .is_some_and(|name| name == project::MANIFEST || name == "Cargo.toml")
        {
            add_projects(&mut inputs, fs::parent_of(&path))?;
        } else if path.extension().is_some_and(|extension| extension == "c") {
            add_source(&mut inputs, &path)?;
        } else if take_objects {
            inputs.push(Input::Object(path));
        } else {
            let message = if path.extension().is_some_and(|extension| extension == "o") {
                format!("{} is an object already; there is nothing to build", given.display())
            } else {
                format!("{} is no project, no directory in one and no C source", given.display())
            };
            return wrong(codes::WRONG_INPUT, message);
        }
    }
    Ok(inputs)
}

/// The path without `.` parts; `..` stays, it may cross a link.
fn plain(path: &Path) -> PathBuf {
    path.components().collect()
}

/// Adds the project that a directory lies in, or those of a workspace.
fn add_projects(inputs: &mut Vec<Input>, dir: &Path) -> Result<(), NoInput> {
    for project in packages::of_dir(dir)? {
        add_project(inputs, project, None);
    }
    Ok(())
}

fn add_project(inputs: &mut Vec<Input>, project: Project, only: Option<PathBuf>) {
    for input in &mut *inputs {
        if let Input::Project(known, sources) = input
            && known.root == project.root
        {
            match only {
                // The whole outweighs a part.
                None => sources.clear(),
                Some(path) if !sources.is_empty() && !sources.contains(&path) => sources.push(path),
                Some(_) => {}
            }
            return;
        }
    }
    inputs.push(Input::Project(Box::new(project), only.into_iter().collect()));
}

/// A source belongs to the project it lies in if the manifest names it; any
/// other is built by itself, with every default.
fn add_source(inputs: &mut Vec<Input>, path: &Path) -> Result<(), NoInput> {
    let dir = fs::parent_of(path);
    match Project::find(dir) {
        Ok(project) => {
            let known = path.strip_prefix(&project.root).ok().map(Path::to_owned);
            let sources = project.sources().unwrap_or_default();
            if let Some(known) = known.filter(|path| sources.iter().any(|s| s.path == *path)) {
                add_project(inputs, project, Some(known));
                return Ok(());
            }
        }
        Err(project::Error::NotFound { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let file = path.strip_prefix(dir).unwrap_or(path).to_owned();
    for input in &mut *inputs {
        if let Input::Files(known, files) = input
            && known == dir
        {
            if !files.contains(&file) {
                files.push(file);
            }
            return Ok(());
        }
    }
    inputs.push(Input::Files(dir.to_owned(), vec![file]));
    Ok(())
}

fn object_name(object: &Path) -> String {
    let name = object.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let short = name.strip_suffix(".bpf.o").or_else(|| name.strip_suffix(".o"));
    short.unwrap_or(&name).to_owned()
}

/// The diagnostics with paths as the user would write them.
pub(super) fn displayed(session: &Session, diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let show = |span: &mut Span| span.file = session.display(&span.file).to_owned();
    let mut diagnostics = diagnostics;
    for diagnostic in &mut diagnostics {
        let labels = diagnostic.primary.iter_mut().chain(&mut diagnostic.secondary);
        labels.for_each(|Label { span, .. }| show(span));
        let edits = diagnostic.helps.iter_mut().filter_map(|help| help.edit.as_mut());
        edits.for_each(|edit| show(&mut edit.span));
    }
    diagnostics
}

/// A source and the project's own headers that it includes.
pub(super) fn files_of(project: Option<&Project>, source: &Path) -> BTreeSet<PathBuf> {
    let Some(project) = project else {
        return build::includes::follow([source.to_owned()], &[]).files;
    };
    let relative = source.strip_prefix(&project.root).unwrap_or(source);
    let options = project.options(relative, &project.manifest.dev);
    let flags = build::includes::Flags::of(&project.root, &options.cflags);
    let include = project.manifest.bpf.include.iter().map(|dir| project.root.join(&dir.value));
    let include: Vec<PathBuf> = include.chain(flags.include).collect();
    build::includes::follow(std::iter::once(source.to_owned()).chain(flags.files), &include).files
}

/// How many errors and warnings there are, in words; nothing if there are
/// none.
pub fn summary(diagnostics: &[Diagnostic]) -> Option<String> {
    let count = |severity| diagnostics.iter().filter(|d| d.severity == severity).count();
    let words = |count: usize, word: &str| match count {
        0 => None,
        1 => Some(format!("1 {word}")),
        count => Some(format!("{count} {word}s")),
    };
    let parts =
        [words(count(Severity::Error), "error"), words(count(Severity::Warning), "warning")];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}
