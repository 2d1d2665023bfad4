//! What `[user]` of a manifest comes to for the builder: the C compiler, the
//! libbpf, the programs.

use super::Session;
use super::build::Profile;
use crate::base::fs;
use crate::build::user::{Libbpf, Program, User, bundled, compiler, defines_main, system};
use crate::build::{self, Clang};
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use crate::project::manifest::LibbpfKind;
use crate::project::{Project, Source, name};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The directory of skeletons in a profile's directory.
pub(super) const GENERATED: &str = "gen";

/// The BPF side that user programs are built for.
pub(super) struct Bpf<'a> {
    /// The project's BPF sources.
    pub sources: &'a [Source],
    /// How they are built.
    pub profile: Profile,
    /// The build directory.
    pub target: &'a Path,
    /// The include directories.
    pub include: &'a [PathBuf],
    /// The compiler.
    pub clang: &'a Clang,
}

/// Prepares the user side of a project of kind `c`. Mistakes in the manifest
/// are added to `mistakes`; nothing is built then.
pub(super) fn prepare(
    session: &Session,
    project: &Project,
    bpf: &Bpf<'_>,
    mistakes: &mut Vec<Diagnostic>,
) -> Result<Option<User>, Failure> {
    let &Bpf { profile, target, include, clang, .. } = bpf;
    let sources = match project.user_sources(bpf.sources) {
        Ok(sources) => sources,
        Err(error) => {
            mistakes.extend(error.into_diagnostics());
            return Ok(None);
        }
    };
    let dir = target.join(profile.as_str());
    let programs = programs(project, &sources, &dir);
    for program in &programs {
        if program.name == GENERATED || program.name.ends_with(".bpf.o") {
            let message = format!("the program of {} cannot be called that", program.name);
            let source = project.root.join(&sources[program.sources[0]]);
            let mistake = Diagnostic::new(codes::BAD_NAME, Origin::Manifest, message);
            mistakes.push(mistake.in_file(source).help("rename the source"));
        }
    }
    let manifest = &project.manifest.user;
    let answers = |program: &str| build::answers_of(program, &project.target);
    Ok(Some(User {
        compiler: compiler::find(&session.programs, &clang.path, &answers("cc"), &session.cancel)?,
        libbpf: libbpf(session, project, &answers("pkg-config"))?,
        programs,
        sources,
        generated: dir.join(GENERATED),
        include: include.to_vec(),
        cflags: manifest.cflags.clone(),
        libs: manifest.libs.clone(),
        is_static: manifest.is_static,
        optimised: profile == Profile::Release,
    }))
}

/// A source with a function `main` is a program: called like the project if it
/// is the only one or has the project's name, else like the source. The others
/// are part of every one.
fn programs(project: &Project, sources: &[PathBuf], dir: &Path) -> Vec<Program> {
    let is_main = |path: &PathBuf| {
        // What cannot be read, the compiler will complain about.
        let text = fs::read(&project.root.join(path)).unwrap_or_default();
        defines_main(&text)
    };
    let (mains, shared): (Vec<usize>, Vec<usize>) =
        (0..sources.len()).partition(|&index| is_main(&sources[index]));
    let program = |name: String, main: &[usize]| Program {
        path: dir.join(&name),
        name,
        sources: main.iter().chain(&shared).copied().collect(),
    };
    if mains.len() < 2 {
        return vec![program(project.name.clone(), &mains)];
    }
    let stem = |index: usize| sources[index].file_stem().unwrap_or_default().to_string_lossy();
    mains
        .iter()
        .map(|&main| {
            let is_alone = mains.iter().filter(|&&other| stem(other) == stem(main)).count() == 1;
            let name = match is_alone {
                true if stem(main) == name::identifier(&project.name) => project.name.clone(),
                true => stem(main).into_owned(),
                false => sources[main].with_extension("").to_string_lossy().into_owned(),
            };
            program(name, &[main])
        })
        .collect()
}

fn libbpf(session: &Session, project: &Project, answers: &Path) -> Result<Libbpf, Failure> {
    let manifest = &project.manifest.user;
    let kind = manifest.libbpf.value;
    let asked = match (kind, manifest.is_static) {
        (LibbpfKind::Bundled, false) => None,
        _ => Some(system::ask(
            &session.programs,
            session.pkg_config_path.as_ref(),
            answers,
            &session.cancel,
        )?),
    };
    let own = || -> Result<Libbpf, Failure> {
        let mut libbpf = bundled::libbpf(&session.cache)?;
        let requires: Option<Vec<OsString>> =
            asked.as_ref().filter(|_| manifest.is_static).and_then(system::Answer::static_requires);
        if let Some(requires) = requires {
            libbpf.requires = requires;
        }
        Ok(libbpf)
    };
    let installed = asked.as_ref().and_then(|answer| answer.libbpf(manifest.is_static));
    match (kind, installed) {
        (LibbpfKind::Bundled, _) => own(),
        (LibbpfKind::System, Some(installed)) => Ok(installed),
        (LibbpfKind::System, None) => {
            let message = "the manifest asks for the system's libbpf, and pkg-config finds none";
            let diagnostic = Diagnostic::new(codes::LIBBPF_MISSING, Origin::Command, message);
            let diagnostic = match project.span(&manifest.libbpf) {
                Some(span) => diagnostic.at(span),
                None => diagnostic,
            };
            Err(diagnostic
                .help(
                    "install it: `sudo apt-get install libbpf-dev pkg-config` (Debian, Ubuntu) or \
                     `sudo dnf install libbpf-devel pkgconf` (Fedora)",
                )
                .help("or write `libbpf = \"bundled\"` to use the one that skep brings along")
                .into())
        }
        (LibbpfKind::Auto, Some(installed))
            if asked.as_ref().is_some_and(system::Answer::is_new_enough) =>
        {
            Ok(installed)
        }
        (LibbpfKind::Auto, _) => own(),
    }
}
