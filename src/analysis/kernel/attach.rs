//! E0351 no-attach-target: what a program's section names is there to attach
//! to, as far as the kernel's BTF knows: traced functions, trace points, LSM
//! hooks, iterators.
//!
//! Loaders choose among programs for different kernels, so a missing target
//! is a warning: that one program must not be loaded there.

use super::Kernel;
use crate::analysis::{Context, ProgramView};
use crate::bpf::{AttachType, ProgramType};
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
        let Some((kind, prefix, what, name)) = wanted(program) else { continue };
        let full = format!("{prefix}{name}");
        let mut all = std::iter::once(target.kernel()).chain(target.modules());
        if all.any(|btf| btf.find(kind, &full).is_some()) {
            continue;
        }
        *meant = false;
        let message =
            format!("the kernel has no {what} `{name}` to attach `{}` to", program.function.name);
        let mut finding =
            cx.of_program(codes::NO_ATTACH_TARGET, program, message).severity(Severity::Warning);
        finding.origin = Origin::Core;
        let names = kernel.names(kind);
        finding = match variant(names, &full) {
            Some(variant) => finding.note(format!(
                "the compiler made `{variant}` of it, which cannot be traced by that name"
            )),
            None => finding,
        };
        if let Some(near) = nearest(names, prefix, name) {
            finding = finding.help(format!("did you mean `{near}`?"));
        }
        findings.push(finding.help(
            "load it only where it is there: `bpf_program__set_autoload(…, false)`, or SEC(\"?…\")",
        ));
    }
    meant
}

/// What a program attaches to, if the BTF lists such things: their kind, the
/// prefix of their names there, what they are called, and the name.
fn wanted<'p>(program: &'p ProgramView<'_>) -> Option<(Kind, &'static str, &'static str, &'p str)> {
    let target = program.target.as_ref().ok().filter(|target| target.autoload)?;
    let name = target.target.filter(|name| !name.is_empty())?;
    let def = target.def;
    // `fentry/module:function` names a module, whose BTF may not be at hand.
    if name.contains(':') || name.contains('*') {
        return None;
    }
    match (def.program_type, def.attach_type) {
        (
            ProgramType::Tracing,
            Some(
                AttachType::TraceFentry
                | AttachType::TraceFexit
                | AttachType::ModifyReturn
                | AttachType::TraceFsession,
            ),
        ) => Some((Kind::Func, "", "function", name)),
        (ProgramType::Tracing, Some(AttachType::TraceRawTp)) => {
            Some((Kind::Typedef, "btf_trace_", "trace point", name))
        }
        (ProgramType::RawTracepoint | ProgramType::RawTracepointWritable, _) => {
            Some((Kind::Typedef, "btf_trace_", "trace point", name))
        }
        (ProgramType::Tracing, Some(AttachType::TraceIter)) => {
            Some((Kind::Func, "bpf_iter_", "iterator", name))
        }
        (ProgramType::Lsm, _) => Some((Kind::Func, "bpf_lsm_", "LSM hook", name)),
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

/// How many letters one of two names has that the other lacks: a bound below
/// their distance that costs little. A kernel has 50 000 functions.
fn letters(one: &str, other: &str) -> usize {
    let mut counts = [0_i32; 256];
    one.bytes().for_each(|letter| counts[usize::from(letter)] += 1);
    other.bytes().for_each(|letter| counts[usize::from(letter)] -= 1);
    let (mut more, mut fewer) = (0, 0);
    for count in counts {
        more += usize::try_from(count).unwrap_or(0);
        fewer += usize::try_from(-count).unwrap_or(0);
    }
    more.max(fewer)
}

fn nearest<'n>(names: &[&'n str], prefix: &str, name: &str) -> Option<&'n str> {
    let limit = name.len() / 4;
    let first = format!("{prefix}{}", name.get(..1)?);
    let start = names.partition_point(|known| *known < first.as_str());
    names[start..]
        .iter()
        .take_while(|known| known.starts_with(&first))
        .filter_map(|known| known.strip_prefix(prefix))
        .filter(|known| known.len().abs_diff(name.len()) <= limit && letters(known, name) <= limit)
        .map(|known| (strsim::damerau_levenshtein(known, name), known))
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
            assert!(letters(one, other) <= strsim::damerau_levenshtein(one, other));
        }
        assert_eq!((letters("vfs_open", "vfs_opne"), letters("abc", "abxy")), (0, 2));
    }
}
