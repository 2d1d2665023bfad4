//! What editors ask of kernels while someone types: which are warm, what
//! their types name, what the verifier spent on each line. Nothing is
//! fetched and nothing boots for it but what is warm already.

use super::kernel::store;
use super::places::{ProgramPlaces, SourceFinder};
use super::{Session, verify, vmlinux};
use crate::base::fs;
use crate::btf::{Btf, Kind, Type};
use crate::diagnostics::Failure;
use crate::elf::Object;
use crate::kernels::Kernel;
use crate::project::Project;
use crate::verifier_log::{self, Log};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long one program may take.
pub const LIMIT: Duration = Duration::from_secs(60);

/// More kernels than this are not asked on a save.
const MOST_KERNELS: usize = 4;

/// The stored kernels of the matrix of the project in `root`; without a
/// matrix, all that are stored.
fn kernels(session: &Session, root: &Path) -> Vec<Kernel> {
    let stored = store(session).list().unwrap_or_default();
    let project = Project::at(root).ok().flatten();
    let matrix = project.map(|project| project.manifest.kernels.matrix).unwrap_or_default();
    if matrix.is_empty() {
        return stored;
    }
    // In the order of the matrix.
    let named = |name: &str| stored.iter().find(|kernel| kernel.reference == name).cloned();
    matrix.iter().filter_map(|entry| named(&entry.value)).collect()
}

/// The kernels of a project's matrix, by their references, that answer at
/// once: a machine of theirs was kept. Without a matrix it is the newest that
/// does.
pub fn warm(session: &Session, root: &Path) -> Vec<String> {
    let project = Project::at(root).ok().flatten();
    let has_matrix = project.is_some_and(|project| !project.manifest.kernels.matrix.is_empty());
    let kept = fs::read_dir(&session.cache.join("snapshots")).unwrap_or_default();
    let is_warm = |kernel: &Kernel| {
        let prefix = format!("{}-", kernel.key());
        kept.iter().any(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(&prefix) && fs::is_file(&path.join("seal"))
        })
    };
    let mut warm: Vec<Kernel> = kernels(session, root).into_iter().filter(is_warm).collect();
    if !has_matrix {
        warm = warm.into_iter().max_by_key(version).into_iter().collect();
    }
    warm.into_iter().take(MOST_KERNELS).map(|kernel| kernel.reference).collect()
}

/// A kernel's release as numbers, which compare as releases do.
fn version(kernel: &Kernel) -> Vec<u32> {
    let parts = kernel.stored.release.split(|c: char| !c.is_ascii_digit());
    parts.map_while(|part| part.parse().ok()).collect()
}

/// What a kernel's types name that programs attach to and call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelNames {
    /// The kernel's reference.
    pub kernel: String,
    /// Functions, sorted.
    pub functions: Vec<String>,
    /// Tracepoints (`tp_btf/…`), sorted.
    pub tracepoints: Vec<String>,
    /// Security hooks (`lsm/…`), sorted.
    pub hooks: Vec<String>,
    /// Kernel functions that programs may call, with their prototypes.
    pub kfuncs: BTreeMap<String, String>,
}

/// The names of the newest stored kernel of a project, else of the running
/// one.
///
/// # Errors
/// If there is no BTF to be had without fetching any.
pub fn names(session: &Session, root: &Path) -> Result<KernelNames, Failure> {
    let newest = kernels(session, root).into_iter().max_by_key(version);
    let (kernel, btf) = match newest {
        Some(kernel) => (kernel.reference.clone(), vmlinux::stored(session, &kernel)?),
        None => ("host".to_owned(), vmlinux::kernel(session, None)?),
    };
    Ok(KernelNames { kernel, ..of_btf(&btf) })
}

fn of_btf(btf: &Btf) -> KernelNames {
    let mut names = KernelNames::default();
    for id in btf.ids() {
        match btf.ty(id) {
            Type::Func { name, .. } => {
                if let Some(hook) = name.strip_prefix("bpf_lsm_") {
                    names.hooks.push(hook.to_owned());
                }
                names.functions.push(name.to_owned());
            }
            Type::Typedef { name, .. } => {
                names.tracepoints.extend(name.strip_prefix("btf_trace_").map(str::to_owned));
            }
            Type::DeclTag(tag)
                if tag.value == "bpf_kfunc" && btf.kind(tag.target) == Kind::Func =>
            {
                if let Type::Func { name, proto, .. } = btf.ty(tag.target) {
                    names.kfuncs.insert(name.to_owned(), btf.spell(proto, name));
                }
            }
            _ => {}
        }
    }
    for list in [&mut names.functions, &mut names.tracepoints, &mut names.hooks] {
        list.sort_unstable();
        list.dedup();
    }
    names
}

/// How many instructions the verifier walked on each line, by file (absolute)
/// and line.
pub type Costs = BTreeMap<PathBuf, BTreeMap<u32, u64>>;

/// What a kernel's verifier spends on the lines of what `paths` name.
///
/// # Errors
/// As [`verify::verify`].
pub fn costs(session: &Session, paths: &[PathBuf], kernel: &str) -> Result<Costs, Failure> {
    let scratch = fs::temporary_dir(&session.cache)?;
    let log = scratch.path().join("walk.log");
    verify::verify(
        session,
        &verify::Request {
            paths: paths.to_vec(),
            kernels: vec![kernel.to_owned()],
            level: Some(2),
            log: Some(log.clone()),
            limit: LIMIT,
            ..verify::Request::default()
        },
    )?;
    let Some(bytes) = fs::read_if_exists(&log)? else { return Ok(Costs::new()) };
    let text = String::from_utf8_lossy(&bytes);
    let mut costs = Costs::new();
    let mut objects: BTreeMap<PathBuf, Option<Object>> = BTreeMap::new();
    for framed in verifier_log::extract(&text) {
        let (Some(path), Some(program)) = (&framed.object, &framed.program) else { continue };
        let object = objects
            .entry(path.clone())
            .or_insert_with(|| Object::parse(&fs::read(&session.absolute(path)).ok()?).ok());
        let finder = SourceFinder::new(session, &session.cwd);
        let places = ProgramPlaces::new(object.as_ref(), Some(program), finder);
        for ((file, line), count) in verifier_log::cost_by_line(&Log::parse(&framed.log), &places) {
            *costs.entry(session.absolute(file)).or_default().entry(line).or_default() += count;
        }
    }
    Ok(costs)
}
