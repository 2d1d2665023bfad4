//! The rules that compare an object with a kernel: what it offers, what its
//! types look like, what it has to attach to.
//!
//! A kernel is known by its version, by its BTF, or by both. What the BTF
//! says outweighs the version, because distributions carry features back.
//! These rules predict; an error means that the program as it is cannot be
//! loaded there. What the author guards (a question put with
//! `bpf_core_field_exists`, a kernel option, `const volatile` data) is left
//! alone.

mod attach;
mod availability;
mod core;
mod externs;
mod needs;
mod sleep;
mod struct_ops;

pub(super) use attach::nearest;
pub use needs::{Need, needs};

use super::{Context, FunctionView, ProgramView, Sources};
use crate::bpf::{
    AttachType, Feature, Helper, KernelVersion, MapType, ProgramType, SectionDef, allowed,
};
use crate::btf::{Btf, Kind, Type, TypeId};
use crate::diagnostics::Diagnostic;
use crate::elf::Object;
use crate::relocate::core::Target;
use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// The modules that came with a kernel.
pub trait Modules: Sync {
    /// The BTF of those that have something of a name, where the kernel itself
    /// has not. None where it is not known what modules there are.
    fn with(&self, name: &str) -> Option<Vec<Arc<Btf>>>;

    /// What they are called, sorted. None where it is not known what modules
    /// there are.
    fn names(&self) -> Option<Vec<String>>;

    /// The BTF of one. None where it has none that can be read.
    fn btf(&self, module: &str) -> Option<Arc<Btf>>;
}

/// A kernel to compare objects with.
pub struct Kernel<'k> {
    /// What the user calls it.
    pub reference: String,
    version: Option<KernelVersion>,
    target: Option<&'k Target>,
    modules: Option<&'k dyn Modules>,
    /// The constants of the kernel's own enumerations of what it offers.
    constants: HashSet<&'k str>,
    functions: OnceLock<Vec<&'k str>>,
    typedefs: OnceLock<Vec<&'k str>>,
    variables: OnceLock<Vec<&'k str>>,
}

/// What became of looking for something in a kernel and its modules.
enum Found {
    /// It is there.
    There(Arc<Btf>, TypeId),
    /// Neither the kernel nor any module that came with it has it.
    Nowhere,
    /// The kernel itself does not have it; a module may.
    Unknown,
}

impl<'k> Kernel<'k> {
    /// A kernel of which the version is known.
    pub fn of_version(reference: impl Into<String>, version: KernelVersion) -> Self {
        Self {
            reference: reference.into(),
            version: Some(version),
            target: None,
            modules: None,
            constants: HashSet::new(),
            functions: OnceLock::new(),
            typedefs: OnceLock::new(),
            variables: OnceLock::new(),
        }
    }

    /// A kernel of which the BTF is known, and the version if it can be told.
    pub fn of_btf(
        reference: impl Into<String>,
        version: Option<KernelVersion>,
        target: &'k Target,
    ) -> Self {
        let mut constants = HashSet::new();
        for name in ["bpf_func_id", "bpf_map_type", "bpf_prog_type", "bpf_attach_type"] {
            constants.extend(enumerators(target.kernel(), name));
        }
        let reference = reference.into();
        Self {
            target: Some(target),
            constants,
            version,
            ..Self::of_version(reference, KernelVersion::new(0, 0))
        }
    }

    /// The same with what its modules have.
    pub fn with_modules(self, modules: &'k dyn Modules) -> Self {
        Self { modules: Some(modules), ..self }
    }

    /// Looks for something as libbpf does: in the kernel, then in its modules.
    fn find(&self, kind: Kind, name: &str) -> Found {
        let Some(target) = self.target else { return Found::Unknown };
        let here = |btf: &Arc<Btf>| Some((Arc::clone(btf), btf.find(kind, name)?));
        if let Some((btf, id)) =
            std::iter::once(target.kernel()).chain(target.modules()).find_map(here)
        {
            return Found::There(btf, id);
        }
        match self.modules.and_then(|modules| modules.with(name)) {
            None => Found::Unknown,
            Some(modules) if modules.is_empty() => Found::Nowhere,
            Some(modules) => match modules.iter().find_map(here) {
                Some((btf, id)) => Found::There(btf, id),
                None => Found::Unknown,
            },
        }
    }

    /// The names of its functions, type definitions or variables, sorted.
    fn names(&self, kind: Kind) -> &[&'k str] {
        let Some(target) = self.target else { return &[] };
        let cell = match kind {
            Kind::Func => &self.functions,
            Kind::Var => &self.variables,
            _ => &self.typedefs,
        };
        cell.get_or_init(|| {
            let btf = target.kernel();
            let ids = btf.ids().filter(|id| btf.kind(*id) == kind);
            let mut names: Vec<_> = ids.map(|id| btf.name(id)).collect();
            names.sort_unstable();
            names.dedup();
            names
        })
    }

    /// Whether it has what a constant stands for: by its own list if it has
    /// one, which `first`, the list's first constant, tells; else by version.
    fn offers(&self, constant: &str, first: &str, since: KernelVersion) -> bool {
        if self.constants.contains(first) {
            return self.constants.contains(constant);
        }
        self.version.is_none_or(|version| since <= version)
    }

    /// Whether it has a helper.
    pub fn has_helper(&self, helper: Helper) -> bool {
        let name = helper.name().strip_prefix("bpf_").unwrap_or(helper.name());
        self.offers(&format!("BPF_FUNC_{name}"), "BPF_FUNC_map_lookup_elem", helper.since())
    }

    /// Whether it lets programs of a section call a helper, as far as that is
    /// known.
    pub fn may_call(&self, section: &SectionDef, helper: Helper) -> Option<bool> {
        allowed::may_call(section, helper, self.version?)
    }

    /// Whether it has a map type.
    pub fn has_map_type(&self, map_type: MapType) -> bool {
        // Linux 6.2 gave two constants another name.
        let renamed = matches!(map_type, MapType::CgroupStorage | MapType::PercpuCgroupStorage);
        let since = map_type.since();
        match self.offers(&map_type.constant(), "BPF_MAP_TYPE_HASH", since) {
            false if renamed => self.version.is_none_or(|version| since <= version),
            offered => offered,
        }
    }

    /// Whether it has a program type.
    pub fn has_program_type(&self, program_type: ProgramType) -> bool {
        let since = program_type.since();
        self.offers(&program_type.constant(), "BPF_PROG_TYPE_SOCKET_FILTER", since)
    }

    /// Whether it has an attach type.
    pub fn has_attach_type(&self, attach_type: AttachType) -> bool {
        let constant = format!("BPF_{}", attach_type.name().to_ascii_uppercase());
        self.offers(&constant, "BPF_CGROUP_INET_INGRESS", attach_type.since())
    }

    /// Whether it has a feature, by its version.
    pub fn has(&self, feature: Feature) -> bool {
        self.version.is_none_or(|version| feature.since() <= version)
    }
}

/// The names of the values of a kernel's enumeration.
fn enumerators<'b>(btf: &'b Btf, name: &str) -> Vec<&'b str> {
    match btf.find(Kind::Enum, name).map(|id| btf.ty(id)) {
        Some(Type::Enum(values)) => values.values().map(|value| value.name).collect(),
        _ => Vec::new(),
    }
}

/// What of an object is meant for a kernel.
struct Subject<'c, 'o> {
    cx: &'c Context<'o>,
    programs: Vec<&'c ProgramView<'o>>,
    /// The functions that those programs reach, as indexes into the
    /// context's.
    functions: BTreeSet<usize>,
}

impl<'c, 'o> Subject<'c, 'o> {
    fn new(cx: &'c Context<'o>, meant: &[bool]) -> Self {
        let programs = cx.programs.iter().zip(meant).filter(|(_, meant)| **meant);
        let programs: Vec<_> = programs.map(|(program, _)| program).collect();
        let functions =
            programs.iter().flat_map(|program| program.functions.iter().copied()).collect();
        Self { cx, programs, functions }
    }

    fn functions(&self) -> impl Iterator<Item = &'c FunctionView<'o>> {
        self.functions.iter().map(|&index| &self.cx.functions[index])
    }

    fn function_at(&self, section: usize, slot: usize) -> Option<&'c FunctionView<'o>> {
        let index = self.cx.function_index(section, slot)?;
        self.functions.contains(&index).then(|| &self.cx.functions[index])
    }
}

/// All findings about an object on some kernels, each naming its kernel.
pub fn check_on(
    object: &Object,
    path: &Path,
    sources: Sources<'_>,
    kernels: &[Kernel<'_>],
) -> Vec<Diagnostic> {
    let context = Context::new(object, path, sources);
    let mut findings = Vec::new();
    for kernel in kernels {
        let mut own = Vec::new();
        let meant = attach::check(&context, kernel, &mut own);
        let subject = Subject::new(&context, &meant);
        availability::check(&subject, kernel, &mut own);
        externs::check(&subject, kernel, &mut own);
        sleep::check(&subject, kernel, &mut own);
        struct_ops::check(&subject, kernel, &mut own);
        core::check(&subject, kernel, &mut own);
        findings.extend(own.into_iter().map(|finding| finding.kernel(&kernel.reference)));
    }
    findings
}

#[cfg(test)]
mod tests;
