//! E0351 no-attach-target: what a program's section names is there to attach
//! to, as far as the kernel's BTF knows: traced functions, probes, system
//! calls, trace points, LSM hooks, iterators.
//!
//! BTF has the functions of C that pahole could describe. A probe can also be
//! put on assembly and on what several files call the same: so of probes it is
//! only said what BTF lists.
//!
//! libbpf 1.5 and later take a module before a colon (`fentry/MODULE:FUNCTION`),
//! and look there alone (`find_kernel_btf_id`).
//!
//! Loaders choose among programs for different kernels, so a missing target
//! is a warning: that one program must not be loaded there.

use super::{Found, Kernel};
use crate::analysis::{Context, ProgramView};
use crate::bpf::{AttachType, Feature, ProgramType};
use crate::btf::Kind;
use crate::diagnostics::{Diagnostic, Origin, Severity, codes};

/// Says of every program whether it is meant for this kernel: whether libbpf
/// loads it unasked and what it attaches to is there.
pub(super) fn check(
    cx: &Context<'_>,
    kernel: &Kernel<'_>,
    findings: &mut Vec<Diagnostic>,
) -> Vec<bool> {
    let mut meant: Vec<bool> = cx
        .programs
        .iter()
        .map(|program| program.target.as_ref().is_ok_and(|target| target.autoload))
        .collect();
    let Some(target) = kernel.target else { return meant };
    for (program, meant) in cx.programs.iter().zip(&mut meant) {
        let has = |kind: Kind, name: &str| {
            let mut all = std::iter::once(target.kernel()).chain(target.modules());
            all.any(|btf| btf.find(kind, name).is_some())
        };
        let Some(wanted) = wanted(program, &has) else { continue };
        if let Some(module) = wanted.module {
            if let Some(finding) = missing_in(cx, kernel, program, &wanted, module) {
                *meant = false;
                findings.push(finding.help(LOAD_WHERE));
            }
            continue;
        }
        let Wanted { kind, prefix, or, what, name, certain, .. } = wanted;
        let full = format!("{prefix}{name}");
        let names = kernel.names(kind);
        // BTF that lists none at all says nothing of one.
        let lists_some = || names.iter().any(|name| name.starts_with(prefix));
        let is_there = has(kind, &full) || or.is_some_and(|or| has(kind, &format!("{or}{name}")));
        if is_there || !certain && !lists_some() {
            continue;
        }
        // libbpf looks in the modules that are loaded, too.
        let elsewhere = kernel.find(kind, &full);
        if matches!(elsewhere, Found::There(..)) {
            continue;
        }
        let function = &program.function.name;
        let message = match certain {
            true => format!("the kernel has no {what} `{name}` to attach `{function}` to"),
            false => format!("the kernel's BTF lists no {what} `{name}` to attach `{function}` to"),
        };
        // Whether it is there after all, only the kernel itself can tell.
        *meant &= !certain;
        let mut finding =
            cx.of_program(codes::NO_ATTACH_TARGET, program, message).severity(Severity::Warning);
        finding.origin = Origin::Core;
        finding = match variant(names, &full) {
            Some(variant) => finding.note(format!(
                "the compiler made `{variant}` of it, which cannot be traced by that name"
            )),
            None => finding,
        };
        if certain && matches!(elsewhere, Found::Unknown) {
            finding = finding.note("a module may have it, which must then be loaded before");
        }
        finding = with_near(finding, nearest(names, prefix, name));
        if program.target.as_ref().is_ok_and(|target| names_module(target.target)) {
            finding = finding.note(
                "libbpf reads the name up to the colon: a probe takes no module, only `fentry` \
                 and its kin do",
            );
        }
        findings.push(finding.help(LOAD_WHERE));
    }
    meant
}

const LOAD_WHERE: &str =
    "load it only where it is there: `bpf_program__set_autoload(…, false)`, or SEC(\"?…\")";

fn names_module(target: Option<&str>) -> bool {
    target.is_some_and(|target| target.contains(':'))
}

/// That the module which a program names is not there, or has no such thing.
fn missing_in(
    cx: &Context<'_>,
    kernel: &Kernel<'_>,
    program: &ProgramView<'_>,
    wanted: &Wanted<'_>,
    module: &str,
) -> Option<Diagnostic> {
    let Wanted { kind, prefix, what, name, .. } = *wanted;
    let (own, full) = (&program.function.name, format!("{prefix}{name}"));
    let vmlinux = kernel.target?.kernel();
    let in_kernel = vmlinux.find(kind, &full).is_some();
    // libbpf compares as many letters as stand before the colon.
    if "vmlinux".starts_with(module) && in_kernel {
        return None;
    }
    let finding = |message: String| {
        let finding = cx.of_program(codes::NO_ATTACH_TARGET, program, message);
        let mut finding = finding.severity(Severity::Warning);
        finding.origin = Origin::Core;
        finding
    };
    let or_kernel = |finding: Diagnostic| match in_kernel {
        true => finding.help(format!("the kernel itself has `{name}`: leave `{module}:` out")),
        false => finding,
    };
    if module == "vmlinux" {
        let message = format!("the kernel has no {what} `{name}` to attach `{own}` to");
        let near = nearest(kernel.names(kind), prefix, name);
        return Some(with_near(finding(message), near));
    }
    let modules = kernel.modules?;
    let names = modules.names()?;
    let named: Vec<&String> = names.iter().filter(|known| known.starts_with(module)).collect();
    let Some(first) = named.first() else {
        let message = format!("the kernel has no module `{module}` to attach `{own}` in");
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        // Files may be called otherwise than what is in them.
        let spelled = module.replace('-', "_");
        let near = match names.contains(&spelled.as_str()) {
            true => Some(spelled.as_str()),
            false => nearest(&names, "", module),
        };
        return Some(or_kernel(with_near(finding(message), near)));
    };
    // The kernel's own things are in the BTF of every module. Of those only
    // functions have an address, which the module must have.
    let by_address = kind == Kind::Func && prefix != ITERATOR;
    let must_be_own = by_address && kernel.version.is_some() && kernel.has(Feature::ModuleSymbols);
    let mut all = Vec::new();
    for btf in named.iter().filter_map(|known| modules.btf(known)) {
        if btf.find_all(kind, &full).any(|id| id >= btf.first_own() || !must_be_own) {
            return None;
        }
        all.push(btf);
    }
    if all.is_empty() {
        let message = format!("`{own}` attaches in the module `{first}`, which has no BTF here");
        let finding = finding(message).note("modules have BTF since Linux 5.11");
        return Some(or_kernel(finding));
    }
    let message = format!("the module `{first}` has no {what} `{name}` to attach `{own}` to");
    let near = all.iter().find_map(|btf| {
        let own = btf.ids().filter(|id| *id >= btf.first_own() && btf.kind(*id) == kind);
        let mut names: Vec<&str> = own.map(|id| btf.name(id)).collect();
        names.sort_unstable();
        nearest(&names, prefix, name).map(str::to_owned)
    });
    Some(or_kernel(with_near(finding(message), near.as_deref())))
}

fn with_near(finding: Diagnostic, near: Option<&str>) -> Diagnostic {
    match near {
        Some(near) => finding.help(format!("did you mean `{near}`?")),
        None => finding,
    }
}

/// What a program attaches to, if the BTF lists such things.
struct Wanted<'p> {
    /// What it is in BTF.
    kind: Kind,
    /// What its name begins with there.
    prefix: &'static str,
    /// Another beginning that is as good.
    or: Option<&'static str>,
    /// What it is called.
    what: &'static str,
    name: &'p str,
    /// The one module that may have it, or `vmlinux`.
    module: Option<&'p str>,
    /// Whether BTF has all of them.
    certain: bool,
}

/// What the functions of iterators begin with.
const ITERATOR: &str = "bpf_iter_";

/// What the functions of system calls begin with, which differs between
/// machines (`SYSCALL_WRAPPER` in the kernel's configuration); libbpf looks
/// for them likewise.
const SYSCALLS: [&str; 4] = ["__x64_sys_", "__arm64_sys_", "__s390x_sys_", "__riscv_sys_"];

fn wanted<'p>(
    program: &'p ProgramView<'_>,
    has: &dyn Fn(Kind, &str) -> bool,
) -> Option<Wanted<'p>> {
    let target = program.target.as_ref().ok().filter(|target| target.autoload)?;
    let name = target.target.filter(|name| !name.is_empty())?;
    let def = target.def;
    if name.contains(['*', '?']) {
        return None;
    }
    let (module, name) = match (def.program_type, name.split_once(':')) {
        (_, None) => (None, name),
        (ProgramType::Tracing | ProgramType::Lsm, Some((module, name))) => (Some(module), name),
        (ProgramType::Kprobe, Some((function, _))) if !function.is_empty() => (None, function),
        _ => return None,
    };
    let wanted =
        |kind, prefix, what| Wanted { kind, prefix, or: None, what, name, module, certain: true };
    let syscall = |name: &'p str| {
        let prefix = SYSCALLS.into_iter().find(|prefix| has(Kind::Func, &format!("{prefix}read")));
        // Of those without arguments, BTF has this name alone.
        let or = Some("__do_sys_");
        Some(Wanted { name, or, ..wanted(Kind::Func, prefix?, "system call") })
    };
    match (def.program_type, def.attach_type) {
        (
            ProgramType::Tracing,
            Some(
                AttachType::TraceFentry
                | AttachType::TraceFexit
                | AttachType::ModifyReturn
                | AttachType::TraceFsession,
            ),
        ) => Some(wanted(Kind::Func, "", "function")),
        (ProgramType::Tracing, Some(AttachType::TraceRawTp))
        | (ProgramType::RawTracepoint | ProgramType::RawTracepointWritable, _) => {
            Some(wanted(Kind::Typedef, "btf_trace_", "trace point"))
        }
        (ProgramType::Tracepoint, _) => {
            let (category, event) = name.split_once('/')?;
            let call = event.strip_prefix("sys_enter_").or(event.strip_prefix("sys_exit_"));
            match (category, call) {
                // Nobody declares these: they are made of the system calls.
                ("syscalls", Some(call)) => syscall(call),
                // Dynamic events, and those of the tracer itself.
                ("kprobes" | "uprobes" | "synthetic" | "ftrace", _) => None,
                _ => {
                    let known = wanted(Kind::Typedef, "btf_trace_", "trace point");
                    Some(Wanted { name: event, certain: false, ..known })
                }
            }
        }
        (ProgramType::Kprobe, _) if def.name.starts_with('k') && def.name.contains("syscall") => {
            syscall(name)
        }
        (ProgramType::Kprobe, _) if matches!(def.name, "kprobe" | "kretprobe") => {
            // Behind `+` stands how far into the function.
            let name = name.split_once('+').map_or(name, |(function, _)| function);
            Some(Wanted { name, certain: false, ..wanted(Kind::Func, "", "function") })
        }
        (ProgramType::Tracing, Some(AttachType::TraceIter)) => {
            Some(wanted(Kind::Func, ITERATOR, "iterator"))
        }
        (ProgramType::Lsm, _) => Some(wanted(Kind::Func, "bpf_lsm_", "LSM hook")),
        _ => None,
    }
}

/// The function with a suffix that the compiler gave it: `f.isra.0`.
fn variant<'n>(names: &[&'n str], name: &str) -> Option<&'n str> {
    let is_variant =
        |known: &str| known.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
    let start = names.partition_point(|known| *known < name);
    names[start..]
        .iter()
        .copied()
        .take_while(|known| known.starts_with(name))
        .find(|known| is_variant(known))
}

/// How often each letter is in a name. Letters whose low five bits are the same
/// are counted as one: of those that names have, digits are.
struct Letters([i32; 32]);

impl Letters {
    fn of(name: &str) -> Self {
        let mut counts = [0; 32];
        name.bytes().for_each(|letter| counts[usize::from(letter & 31)] += 1);
        Self(counts)
    }

    /// How many letters one of two names has that the other lacks: a bound
    /// below their distance that costs little. A kernel has 50 000 functions.
    fn missing(&self, other: &str) -> usize {
        let mut counts = self.0;
        other.bytes().for_each(|letter| counts[usize::from(letter & 31)] -= 1);
        let more: i32 = counts.iter().map(|&count| count.max(0)).sum();
        let fewer: i32 = counts.iter().map(|&count| (-count).max(0)).sum();
        more.max(fewer).unsigned_abs() as usize
    }
}

/// The name that differs least from one that is not there, if little.
pub(in crate::analysis) fn nearest<'n>(
    names: &[&'n str],
    prefix: &str,
    name: &str,
) -> Option<&'n str> {
    let limit = name.len() / 4;
    let letters = Letters::of(name);
    let first = format!("{prefix}{}", name.get(..1)?);
    let start = names.partition_point(|known| *known < first.as_str());
    names[start..]
        .iter()
        .take_while(|known| known.starts_with(&first))
        .filter_map(|known| known.strip_prefix(prefix))
        .filter(|known| {
            known.len().abs_diff(name.len()) <= limit && letters.missing(known) <= limit
        })
        .map(|known| (strsim::osa_distance(known, name), known))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_bound_the_distance_below() {
        for (one, other) in [("vfs_open", "vfs_opne"), ("vfs_read", "vfs_write"), ("a", "")] {
            assert!(Letters::of(one).missing(other) <= strsim::osa_distance(one, other));
        }
        assert_eq!(Letters::of("vfs_open").missing("vfs_opne"), 0);
        assert_eq!(Letters::of("abc").missing("abxy"), 2);
    }
}
