//! E0321 unknown-helper; E0413 kernel-too-old: everything the programs use is
//! there in the kernel.

use super::{Kernel, Subject};
use crate::analysis::rules::helpers;
use crate::analysis::{Certainty, Context, FunctionView, ProgramView};
use crate::bpf::{
    AluOp, AtomicOp, Call, Condition, Feature, Helper, KernelVersion, Op, Swap, Width, allowed,
};
use crate::diagnostics::{Diagnostic, Origin, codes};
use crate::elf::{ExternKind, Target};
use std::collections::HashSet;

pub(super) fn check(
    subject: &Subject<'_, '_>,
    kernel: &Kernel<'_>,
    findings: &mut Vec<Diagnostic>,
) {
    let cx = subject.cx;
    for program in &subject.programs {
        types(cx, kernel, program, findings);
    }
    for map in &cx.object.maps {
        let Some(map_type) = map.def.known_type() else { continue };
        if !kernel.has_map_type(map_type) {
            let message =
                format!("map `{}` is of type {map_type}{}", map.name, since(map_type.since()));
            findings.push(of(cx.of_map(codes::KERNEL_TOO_OLD, &map.name, message)));
        }
    }
    for view in subject.functions() {
        calls(cx, kernel, view, findings);
    }
    forbidden(subject, kernel, findings);
    features(subject, kernel, findings);
    fields(subject, kernel, findings);
}

fn of(mut finding: Diagnostic) -> Diagnostic {
    finding.origin = Origin::Availability;
    finding
}

fn since(version: KernelVersion) -> String {
    format!(", which came with Linux {version}")
}

/// The types of program and of attachment.
fn types(
    cx: &Context<'_>,
    kernel: &Kernel<'_>,
    program: &ProgramView<'_>,
    findings: &mut Vec<Diagnostic>,
) {
    let Ok(target) = &program.target else { return };
    let def = target.def;
    let message = if !kernel.has_program_type(def.program_type) {
        let since = since(def.program_type.since());
        format!("`{}` is a program of type {}{since}", program.function.name, def.program_type)
    } else if let Some(attach) = def.attach_type.filter(|attach| !kernel.has_attach_type(*attach)) {
        // libbpf leaves these out for kernels that do not know them.
        if def.rule == crate::bpf::AttachRule::Optional {
            return;
        }
        format!("`{}` attaches as {attach}{}", program.function.name, since(attach.since()))
    } else if def.sleepable && !def.usdt && !kernel.has(Feature::Sleepable) {
        let feature = Feature::Sleepable;
        format!("`{}` is {}{}", program.function.name, feature.name(), since(feature.since()))
    } else {
        return;
    };
    findings.push(of(cx.of_program(codes::KERNEL_TOO_OLD, program, message)));
}

fn calls(
    cx: &Context<'_>,
    kernel: &Kernel<'_>,
    view: &FunctionView<'_>,
    findings: &mut Vec<Diagnostic>,
) {
    let mut said = HashSet::new();
    for (slot, op) in view.code.ops() {
        let Op::Call(Call::Helper(id)) = *op else { continue };
        let Some(helper) = Helper::by_id(id).filter(|helper| !kernel.has_helper(*helper)) else {
            continue;
        };
        if cx.certainty(view, slot) < Certainty::Likely || !said.insert(id) {
            continue;
        }
        let message = format!("`{helper}` is called{}", since(helper.since()));
        let finding = cx.of_insn(codes::UNKNOWN_HELPER, view, slot, message);
        findings.push(of(finding.help(format!(
            "call it only where it is there: `if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_{}))`",
            helper.name().trim_start_matches("bpf_")
        ))));
    }
}

/// Helpers that the kernel has, but not for the type of program.
fn forbidden(subject: &Subject<'_, '_>, kernel: &Kernel<'_>, findings: &mut Vec<Diagnostic>) {
    let cx = subject.cx;
    helpers::for_each_call(cx, &subject.programs, |program, view, slot, helper| {
        let Ok(target) = &program.target else { return };
        // What no kernel allows is told without one.
        if !kernel.has_helper(helper)
            || kernel.may_call(target.def, helper) != Some(false)
            || allowed::is_never_allowed(target.def, helper)
            || cx.certainty(view, slot) < Certainty::Likely
        {
            return;
        }
        let message = helpers::message(program, helper);
        let finding = cx.of_insn(codes::HELPER_NOT_ALLOWED, view, slot, message);
        let finding = helpers::with_sleepable(finding, target.def, helper);
        findings.push(of(finding.note("newer kernels let it")));
    });
}

/// Fields of the context that the kernel does not have.
fn fields(subject: &Subject<'_, '_>, kernel: &Kernel<'_>, findings: &mut Vec<Diagnostic>) {
    let Some(version) = kernel.version else { return };
    let cx = subject.cx;
    for field in cx.new_fields() {
        let view = &cx.functions[field.function];
        // What libbpf looks up in the kernel's BTF is told as such.
        if field.since <= version
            || field.is_core && kernel.target.is_some()
            || !subject.functions.contains(&field.function)
            || cx.certainty(view, field.slot) < Certainty::Likely
        {
            continue;
        }
        let message = format!("`{}` of the context is accessed{}", field.name, since(field.since));
        let finding = cx.of_insn(codes::INVALID_CONTEXT_ACCESS, view, field.slot, message);
        findings.push(of(finding));
    }
}

/// What instructions and the shape of a program need.
fn features(subject: &Subject<'_, '_>, kernel: &Kernel<'_>, findings: &mut Vec<Diagnostic>) {
    let cx = subject.cx;
    let mut said = HashSet::new();
    for view in subject.functions() {
        for (slot, op) in view.code.ops() {
            for feature in needs(cx, view, slot, op).into_iter().flatten() {
                if kernel.has(feature)
                    || said.contains(&feature)
                    || cx.certainty(view, slot) < Certainty::Likely
                {
                    continue;
                }
                said.insert(feature);
                let message = format!(
                    "`{}` has {}{}",
                    view.function.name,
                    feature.name(),
                    since(feature.since())
                );
                findings.push(of(cx.of_insn(codes::KERNEL_TOO_OLD, view, slot, message)));
            }
        }
    }
    for program in &subject.programs {
        let size: usize = cx.functions_of(program).map(|view| view.code.slots().len()).sum();
        let has_tail_call = cx
            .functions_of(program)
            .any(|view| view.code.ops().any(|(_, op)| matches!(op, Op::Call(Call::Helper(12)))));
        let whole = [
            (size > 4096, Feature::LargePrograms),
            (has_tail_call && program.functions.len() > 1, Feature::TailCallsWithSubprograms),
        ];
        for (needed, feature) in whole {
            if needed && !kernel.has(feature) {
                let name = &program.function.name;
                let message = format!("`{name}` is {}{}", feature.name(), since(feature.since()));
                findings.push(of(cx.of_program(codes::KERNEL_TOO_OLD, program, message)));
            }
        }
    }
}

/// The features that an instruction needs.
fn needs(cx: &Context<'_>, view: &FunctionView<'_>, slot: usize, op: &Op) -> [Option<Feature>; 2] {
    let function = view.function;
    let target =
        || cx.object.relocation(function.section, function.slots.start + slot).map(|r| r.target);
    let isa = match *op {
        Op::MovSignExtend { .. }
        | Op::Swap { kind: Swap::Always, .. }
        | Op::Load { signed: true, .. }
        | Op::Jump { long: true, .. }
        | Op::Alu { op: AluOp::SignedDiv | AluOp::SignedMod, .. } => Some(Feature::IsaV4),
        Op::Branch { width: Width::W32, .. } => Some(Feature::Jump32),
        Op::Branch {
            cond: Condition::Lt | Condition::Le | Condition::SignedLt | Condition::SignedLe,
            ..
        } => Some(Feature::JumpLess),
        Op::Atomic { op: AtomicOp::Modify { op: AluOp::Add, fetch: false }, .. } => None,
        Op::Atomic { .. } => Some(Feature::Atomics),
        Op::LoadAcquire { .. } | Op::StoreRelease { .. } => Some(Feature::LoadAcquire),
        Op::MayGoto { .. } => Some(Feature::MayGoto),
        Op::AddrSpaceCast { .. } => Some(Feature::AddrSpaceCast),
        Op::JumpIndirect { .. } => Some(Feature::IndirectJumps),
        Op::Call(Call::Subprogram(_)) => match target() {
            Some(Target::Extern(_)) => None,
            _ => Some(Feature::Subprograms),
        },
        Op::LoadImm64 { .. } => match target() {
            Some(Target::Text(_)) => Some(Feature::Callbacks),
            Some(Target::Data { .. }) => Some(Feature::GlobalData),
            Some(Target::Extern(index)) => {
                let known = &cx.object.externs[index];
                let is_needed = known.kind == ExternKind::Ksym && !known.weak;
                (is_needed && cx.object.variable_type(known).is_some())
                    .then_some(Feature::TypedKsyms)
            }
            _ => None,
        },
        _ => None,
    };
    let goes_back = op.jump().is_some_and(|off| off < 0) && !matches!(op, Op::MayGoto { .. });
    [isa, goes_back.then_some(Feature::BoundedLoops)]
}
