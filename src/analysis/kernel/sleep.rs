//! E0337 sleepable-misuse: kfuncs that may sleep are called where sleeping is
//! allowed.
//!
//! Which those are is known of some kernels only (`bpf::kfuncs`); of others
//! nothing is said.

use super::{Kernel, Subject};
use crate::analysis::{Certainty, Context, FunctionView, ProgramView};
use crate::bpf::{Call, Op, ProgramType, SectionDef, kfuncs};
use crate::btf::Kind;
use crate::diagnostics::{Diagnostic, Origin, codes};
use crate::elf::{ExternKind, Target};
use crate::relocate::core::essential_name;
use std::collections::{BTreeSet, HashSet};

/// Kfuncs between which nobody may sleep (`in_sleepable_context` in
/// kernel/bpf/verifier.c).
const REGIONS: [(&str, &str); 3] = [
    ("bpf_rcu_read_lock", "bpf_rcu_read_unlock"),
    ("bpf_preempt_disable", "bpf_preempt_enable"),
    ("bpf_local_irq_save", "bpf_local_irq_restore"),
];

/// How the kfuncs begin whose callbacks may sleep although the program may
/// not (`is_async_cb_sleepable` there).
const LATER: [&str; 2] = ["bpf_wq_set_callback", "bpf_task_work_schedule"];

pub(super) fn check(
    subject: &Subject<'_, '_>,
    kernel: &Kernel<'_>,
    findings: &mut Vec<Diagnostic>,
) {
    let cx = subject.cx;
    if !cx.object.externs.iter().any(|known| kernel.says_it_sleeps(essential_name(&known.name))) {
        return;
    }
    let mut said = HashSet::new();
    for program in &subject.programs {
        let Ok(target) = &program.target else { continue };
        // An extension may sleep where the program that it replaces may.
        if target.def.sleepable || target.def.program_type == ProgramType::Ext {
            continue;
        }
        for index in at_once(cx, program) {
            let view = &cx.functions[index];
            for (slot, name) in calls(cx, view) {
                if !kernel.says_it_sleeps(name)
                    || cx.certainty(view, slot) < Certainty::Likely
                    || !said.insert((index, slot))
                {
                    continue;
                }
                let message = format!(
                    "`{name}` cannot be called from a program in SEC(\"{}\")",
                    target.def.name
                );
                let help = match sleepable_variant(target.def) {
                    Some(def) => {
                        format!("`{name}` may sleep: put the program in SEC(\"{}/…\")", def.name)
                    }
                    None => format!(
                        "`{name}` may sleep: call it from a program that may, or from the \
                         callback of a `bpf_wq`"
                    ),
                };
                findings.push(of(cx, view, slot, message).help(help));
            }
        }
    }
    for &index in &subject.functions {
        in_regions(cx, kernel, index, &mut said, findings);
    }
}

fn of(cx: &Context<'_>, view: &FunctionView<'_>, slot: usize, message: String) -> Diagnostic {
    let mut finding = cx.of_insn(codes::SLEEPABLE_MISUSE, view, slot, message);
    finding.origin = Origin::Availability;
    finding
}

impl Kernel<'_> {
    /// Whether it has a kfunc and is known to let it sleep.
    fn says_it_sleeps(&self, name: &str) -> bool {
        let sleeps =
            self.version.and_then(|version| kfuncs::has_flag(name, kfuncs::SLEEPABLE, version));
        // What the kernel does not have is told by another rule.
        let is_there = || {
            self.target.is_none_or(|target| {
                let mut all = std::iter::once(target.kernel()).chain(target.modules());
                all.any(|btf| btf.find(Kind::Func, name).is_some())
            })
        };
        sleeps == Some(true) && is_there()
    }
}

/// The section of the same programs that may sleep.
fn sleepable_variant(section: &SectionDef) -> Option<&'static SectionDef> {
    let is_variant = |def: &&SectionDef| def.name.strip_suffix(".s") == Some(section.name);
    SectionDef::all().iter().find(is_variant)
}

/// The functions that run as part of a program, as indexes into the
/// context's: not those that may run later, where they could sleep.
fn at_once(cx: &Context<'_>, program: &ProgramView<'_>) -> BTreeSet<usize> {
    let has_later = cx
        .object
        .externs
        .iter()
        .any(|known| LATER.iter().any(|beginning| known.name.starts_with(beginning)));
    let mut found = BTreeSet::new();
    let mut open: Vec<usize> = program.functions.first().copied().into_iter().collect();
    while let Some(index) = open.pop() {
        if !found.insert(index) {
            continue;
        }
        let view = &cx.functions[index];
        open.extend(view.code.ops().filter_map(|(slot, op)| match op {
            Op::Call(Call::Subprogram(_)) => cx.callee(view, slot),
            Op::LoadImm64 { .. } if !has_later => cx.callee(view, slot),
            _ => None,
        }));
    }
    found
}

/// The calls of kfuncs in a function, with their names.
fn calls<'c>(
    cx: &'c Context<'_>,
    view: &'c FunctionView<'_>,
) -> impl Iterator<Item = (usize, &'c str)> {
    let calls = view.code.ops().filter(|(_, op)| matches!(op, Op::Call(_)));
    calls.filter_map(|(slot, _)| Some((slot, kfunc(cx, view, slot)?)))
}

/// The kfunc that the instruction in a slot refers to.
fn kfunc<'c>(cx: &'c Context<'_>, view: &FunctionView<'_>, slot: usize) -> Option<&'c str> {
    let function = view.function;
    let relocation = cx.object.relocation(function.section, function.slots.start + slot)?;
    let Target::Extern(index) = relocation.target else { return None };
    let known = cx.object.externs.get(index).filter(|known| known.kind == ExternKind::Kfunc)?;
    Some(essential_name(&known.name))
}

/// Calls in regions in which nobody may sleep, as far as these go without a
/// way in from elsewhere.
fn in_regions(
    cx: &Context<'_>,
    kernel: &Kernel<'_>,
    index: usize,
    said: &mut HashSet<(usize, usize)>,
    findings: &mut Vec<Diagnostic>,
) {
    let view = &cx.functions[index];
    let begins = |name: &str| REGIONS.iter().any(|(begin, _)| *begin == name);
    // An indirect jump could lead anywhere.
    let is_open = view.code.ops().any(|(_, op)| matches!(op, Op::JumpIndirect { .. }));
    if is_open || !view.code.is_sound() || !calls(cx, view).any(|(_, name)| begins(name)) {
        return;
    }
    let targets: HashSet<usize> = view
        .code
        .ops()
        .filter_map(|(slot, op)| usize::try_from(view.code.destination(slot, op)?).ok())
        .collect();
    let mut depths = [0u32; REGIONS.len()];
    for (slot, op) in view.code.ops() {
        if targets.contains(&slot) || op.ends_flow() {
            depths = [0; REGIONS.len()];
        }
        let Op::Call(call) = op else { continue };
        let Some(name) = kfunc(cx, view, slot) else {
            // A function of the object could end the region.
            if matches!(call, Call::Subprogram(_)) {
                depths = [0; REGIONS.len()];
            }
            continue;
        };
        for (depth, (begin, end)) in depths.iter_mut().zip(REGIONS) {
            *depth = match name {
                _ if name == begin => depth.saturating_add(1),
                _ if name == end => depth.saturating_sub(1),
                _ => *depth,
            };
        }
        let Some(at) = depths.iter().position(|depth| *depth > 0) else { continue };
        if !kernel.says_it_sleeps(name)
            || cx.certainty(view, slot) < Certainty::Likely
            || !said.insert((index, slot))
        {
            continue;
        }
        let (begin, end) = REGIONS[at];
        let message = format!("`{name}` cannot be called between `{begin}` and `{end}`");
        findings.push(
            of(cx, view, slot, message)
                .help(format!("`{name}` may sleep: call it before `{begin}` or after `{end}`")),
        );
    }
}
