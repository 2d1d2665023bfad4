//! `skep check --min-kernel` and `--explain-kernel`: what objects need of
//! kernels, and since when kernels have it.

use super::build::{self, Profile};
use super::{Packages, Session, check, min_core, vmlinux};
use crate::analysis::kernel::{self, Kernel, Need};
use crate::base::fs;
use crate::bpf::KernelVersion;
use crate::diagnostics::{Diagnostic, Failure};
use crate::elf::Object;
use std::path::PathBuf;

/// What to look at.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Projects, directories in them, sources and objects. None: the project
    /// here.
    pub paths: Vec<PathBuf>,
    /// Which packages of workspaces.
    pub packages: Packages,
    /// The profile that projects are built with.
    pub profile: Profile,
    /// A kernel to hold the needs against: a reference, or a file of BTF.
    pub kernel: Option<PathBuf>,
}

/// What an object needs.
#[derive(Clone, Debug)]
pub struct Needs {
    /// Its name, without `.bpf.o`.
    pub name: String,
    /// The file, as the user would write it.
    pub path: PathBuf,
    /// What it needs, the newest first.
    pub all: Vec<Entry>,
}

/// One thing that an object needs.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The first release that has it; none where no version can tell, as of
    /// fields and functions of the kernel.
    pub since: Option<KernelVersion>,
    /// What kernels without it lack, on its C line.
    pub finding: Diagnostic,
    /// Whether the kernel that was asked about has it.
    pub is_there: Option<bool>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The objects, in the order of the command line.
    pub objects: Vec<Needs>,
    /// What is wrong with the sources or the objects.
    pub diagnostics: Vec<Diagnostic>,
}

impl Needs {
    /// The oldest kernel that takes every program of the object.
    pub fn min_kernel(&self) -> Option<KernelVersion> {
        self.all.iter().filter_map(|entry| entry.since).max()
    }

    /// The oldest kernel that would do without what needs that one.
    pub fn next_kernel(&self) -> Option<KernelVersion> {
        let min = self.min_kernel();
        self.all.iter().filter_map(|entry| entry.since).filter(|since| Some(*since) < min).max()
    }
}

/// Finds out what objects need.
///
/// # Errors
/// What kept it from being done at all.
pub fn run(session: &Session, request: &Request) -> Result<Outcome, Failure> {
    check::directories(session, &request.paths)?;
    let build = build::Request {
        paths: request.paths.clone(),
        packages: request.packages.clone(),
        profile: request.profile,
        ..build::Request::default()
    };
    let built = build::objects(session, &build)?;
    let mut outcome = Outcome { diagnostics: built.diagnostics, ..Outcome::default() };
    let target = match &request.kernel {
        Some(reference) => {
            let version = min_core::release(session, reference)?.parse().ok();
            let target = min_core::target(session, reference, &[])?;
            Some((reference.display().to_string(), version, target))
        }
        None => None,
    };
    let modules =
        request.kernel.as_ref().zip(target.as_ref()).map(|(reference, (.., target))| {
            vmlinux::Modules::of(session, reference, target.kernel())
        });
    let kernel =
        target.as_ref().zip(modules.as_ref()).map(|((reference, version, target), modules)| {
            Kernel::of_btf(reference.clone(), *version, target).with_modules(modules)
        });
    for artifact in &built.artifacts {
        let bytes = fs::read(&artifact.object)?;
        let path = session.display(&artifact.object).to_owned();
        let object = match Object::parse(&bytes) {
            Ok(object) => object,
            Err(error) => {
                outcome.diagnostics.push(Diagnostic::from(error).in_file(&path));
                continue;
            }
        };
        let sources = check::sources(&artifact.root);
        let needs = kernel::needs(&object, &path, &sources);
        let missing = kernel
            .as_ref()
            .map(|kernel| kernel::check_on(&object, &path, &sources, std::slice::from_ref(kernel)));
        let all = entries(needs, missing)
            .into_iter()
            .map(|entry| {
                let finding = check::displayed(session, artifact, entry.finding);
                Entry { finding, ..entry }
            })
            .collect();
        outcome.objects.push(Needs { name: artifact.name.clone(), path, all });
    }
    Ok(outcome)
}

/// Holds needs against what a kernel misses; what it misses besides comes
/// first.
fn entries(needs: Vec<Need>, missing: Option<Vec<Diagnostic>>) -> Vec<Entry> {
    let Some(missing) = missing else {
        let entry =
            |need: Need| Entry { since: Some(need.since), finding: need.finding, is_there: None };
        return needs.into_iter().map(entry).collect();
    };
    let is_of_version = |finding: &Diagnostic| needs.iter().any(|need| need.is_missed_by(finding));
    let mut entries: Vec<Entry> = missing
        .iter()
        .filter(|finding| !is_of_version(finding))
        .map(|finding| Entry { since: None, finding: finding.clone(), is_there: Some(false) })
        .collect();
    entries.extend(needs.into_iter().map(|need| {
        let is_there = !missing.iter().any(|finding| need.is_missed_by(finding));
        Entry { since: Some(need.since), finding: need.finding, is_there: Some(is_there) }
    }));
    entries
}
