//! Cargo on both sides of a build: `skep build` has it build a user program in
//! Rust, and `skep build --cargo` is what that program's `build.rs` calls, so
//! that plain `cargo build` works too.

use super::Session;
use super::build::{self, Outcome, Request, UserProgram};
use crate::base::fs;
use crate::build::skeleton;
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use crate::project::{Project, cargo_build};
use std::path::{Path, PathBuf};

/// What a build script's call came to.
#[derive(Clone, Debug, Default)]
pub struct Directives {
    /// Lines for cargo.
    pub lines: Vec<String>,
    /// What is wrong.
    pub diagnostics: Vec<Diagnostic>,
}

/// Builds the BPF side, writes a skeleton of each object into the directory
/// that cargo has given the build script, and says what it has to run again
/// for.
///
/// # Errors
/// It was not called by a build script; or as [`build::run`].
pub fn for_build_script(session: &Session, request: &Request) -> Result<Directives, Failure> {
    let Some(out) = &session.out_dir else {
        let message = "`skep build --cargo` is for build scripts: cargo sets OUT_DIR for them";
        return Err(Diagnostic::new(codes::USAGE, Origin::Command, message)
            .help("call it from build.rs, or leave `--cargo` out")
            .into());
    };
    let outcome =
        build::run(session, &Request { files_read: true, user: false, ..request.clone() })?;
    let mut directives = Directives::default();
    let mut read: Vec<PathBuf> = outcome.files_read.clone();
    for project in &outcome.projects {
        read.extend(project.manifest_path.clone());
        // A file that is not there yet would make the script run every time.
        let lock = project.root.join("Skep.lock");
        read.extend(Some(lock).filter(|lock| fs::is_file(lock)));
        // A source that is new must be seen.
        for source in outcome.artifacts.iter().flat_map(|artifact| &artifact.sources) {
            read.push(fs::parent_of(source).to_owned());
        }
    }
    read.sort();
    read.dedup();
    for path in &read {
        directives.lines.push(format!("cargo::rerun-if-changed={}", path.display()));
    }
    directives.lines.push("cargo::rerun-if-env-changed=SKEP_CLANG".to_owned());
    for diagnostic in &outcome.diagnostics {
        if !diagnostic.is_error() {
            let place = diagnostic
                .primary
                .as_ref()
                .map(|label| format!("{}:{}: ", label.span.file.display(), label.span.start.line));
            let place = place.unwrap_or_default();
            directives.lines.push(format!("cargo::warning={place}{}", diagnostic.message));
        }
    }
    let failed = outcome.failed();
    directives.diagnostics = outcome.diagnostics;
    if failed {
        return Ok(directives);
    }
    for artifact in &outcome.artifacts {
        let path = out.join(format!("{}.skel.rs", artifact.name));
        fs::create_dir_all(fs::parent_of(&path))?;
        if let Err(reason) = skeleton::rust::write(&artifact.object, &path, true) {
            let message = format!("no skeleton can be written: {reason}");
            let diagnostic = Diagnostic::new(codes::SKELETON_FAILED, Origin::Object, message);
            directives.diagnostics.push(diagnostic.in_file(artifact.object.clone()));
        }
    }
    Ok(directives)
}

/// Has cargo build the user programs of a project in Rust whose BPF side is
/// built, and which is the next to be added to the outcome.
pub(super) fn drive(
    session: &Session,
    request: &Request,
    project: &Project,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    let root = &project.root;
    if !fs::is_file(&root.join("Cargo.toml")) {
        let message = "`kind = \"rust\"` needs a Cargo.toml beside the manifest";
        let mistake = Diagnostic::new(codes::MANIFEST_VALUE, Origin::Manifest, message);
        let mistake = match project.span(&project.manifest.user.kind) {
            Some(span) => mistake.at(span),
            None => mistake,
        };
        outcome.diagnostics.push(mistake.help("make one with `cargo init`"));
        return Ok(());
    }
    let Some(cargo) = session.programs.find("cargo") else {
        let message = "cargo was not found, which builds the user program";
        return Err(Diagnostic::new(codes::PROGRAM_FAILED, Origin::Command, message)
            .help("install Rust: https://rustup.rs")
            .into());
    };
    session.note(format!("cargo builds the user program in {}", shown(session, root)));
    let built = cargo_build::build(
        &cargo_build::Request {
            cargo: &cargo,
            root,
            release: request.profile == build::Profile::Release,
            offline: session.offline,
            locked: session.locked,
            jobs: session.jobs,
        },
        &session.cancel,
    )?;
    let project = outcome.projects.len();
    let programs = built.executables.into_iter().map(|known| UserProgram {
        name: known.name,
        path: known.path,
        fresh: known.fresh,
        project,
    });
    outcome.programs.extend(programs);
    outcome.cargo_messages.extend(built.messages);
    outcome.cargo_diagnostics.extend(build::displayed(session, built.diagnostics));
    Ok(())
}

fn shown(session: &Session, root: &Path) -> String {
    let path = session.display(root);
    if path.as_os_str().is_empty() { ".".to_owned() } else { path.display().to_string() }
}
