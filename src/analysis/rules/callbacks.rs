//! E0342 callback-misuse: a function that a helper calls back is static, takes
//! no more than the helper passes and returns what the helper understands
//! (`set_callee_state` and `prepare_func_exit` in kernel/bpf/verifier.c, the
//! same from the release that brought the helper to Linux 7.2). E0308, E0320,
//! E0340: what the helper passes is used as what it is. E0323: what is passed
//! through to the callback lies on the stack.

use super::Context;
use crate::analysis::{Certainty, FunctionView, Registers, Step, Value};
use crate::bpf::{AluOp, Call, Helper, Op, Operand, Reg, Width};
use crate::btf::{Kind, Type};
use crate::diagnostics::{Diagnostic, codes};
use crate::elf::Binding;
use std::collections::{BTreeMap, HashSet};

/// How a helper calls back.
struct Contract {
    helper: &'static str,
    /// The argument of the helper that is the callback, from 1.
    argument: usize,
    /// How many arguments the callback is passed.
    passed: u8,
    /// The largest value that it may return; the smallest is 0.
    most: i64,
    /// The argument of the helper that the callback gets as its last one, from
    /// 1: an address on the stack, or NULL (`ARG_PTR_TO_STACK_OR_NULL`).
    through: Option<usize>,
    /// An argument of the callback that is not as free as others, from 0.
    bound: Option<(u8, Passed)>,
}

/// What a callback is passed.
#[derive(Clone, Copy)]
enum Passed {
    /// A number.
    Number,
    /// A dynptr.
    Dynptr,
    /// The address of a struct of the kernel that may only be read.
    ReadOnly,
}

const CONTRACTS: [Contract; 5] = [
    Contract {
        helper: "bpf_for_each_map_elem",
        argument: 2,
        passed: 4,
        most: 1,
        through: Some(3),
        bound: None,
    },
    Contract {
        helper: "bpf_timer_set_callback",
        argument: 2,
        passed: 3,
        most: 0,
        through: None,
        bound: None,
    },
    Contract {
        helper: "bpf_find_vma",
        argument: 3,
        passed: 3,
        most: 1,
        through: Some(4),
        bound: Some((1, Passed::ReadOnly)),
    },
    Contract {
        helper: "bpf_loop",
        argument: 2,
        passed: 2,
        most: 1,
        through: Some(3),
        bound: Some((0, Passed::Number)),
    },
    Contract {
        helper: "bpf_user_ringbuf_drain",
        argument: 2,
        passed: 2,
        most: 1,
        through: Some(3),
        bound: Some((0, Passed::Dynptr)),
    },
];

pub(super) fn check(cx: &Context<'_>, findings: &mut Vec<Diagnostic>) {
    // By callback and contract: who passes it. Each is looked at once.
    let mut passed: BTreeMap<(usize, usize), (usize, usize)> = BTreeMap::new();
    for (index, view) in cx.functions.iter().enumerate() {
        let calls = |op: &Op| contract(op).is_some();
        if !view.code.ops().any(|(_, op)| calls(op)) {
            continue;
        }
        cx.walk_values(index, |step| {
            let Some(number) = contract(step.op) else { return };
            let contract = &CONTRACTS[number];
            let Value::Function(callback) = step.before.argument(contract.argument) else {
                return;
            };
            // Nothing is called no times.
            let is_never =
                contract.helper == "bpf_loop" && step.before.argument(1) == Value::Number(0);
            if cx.certainty(view, step.slot) < Certainty::Likely {
                return;
            }
            findings.extend(passed_through(cx, view, step, contract));
            if !is_never {
                passed.entry((callback as usize, number)).or_insert((index, step.slot));
            }
        });
    }
    for ((callback, number), (caller, slot)) in passed {
        let (contract, view) = (&CONTRACTS[number], &cx.functions[callback]);
        let function = view.function;
        let (name, helper) = (&function.name, contract.helper);
        if function.binding != Binding::Local && !function.hidden {
            let message = format!("the callback `{name}` is not `static`");
            let finding = cx.of_insn(codes::CALLBACK_MISUSE, &cx.functions[caller], slot, message);
            findings.push(finding.help(format!("declare `{name}` `static`")));
        }
        if let Some((slot, number)) = reads_beyond(view, contract.passed) {
            let passed = contract.passed;
            let message = format!(
                "the callback `{name}` reads argument {number}, and `{helper}` passes {passed}"
            );
            findings.push(
                cx.of_insn(codes::CALLBACK_MISUSE, view, slot, message)
                    .note("the verifier refuses to read what nobody has written"),
            );
        }
        used(cx, callback, contract, findings);
        returned(cx, callback, contract, findings);
    }
}

/// What the callback is to get lies on the stack, or there is nothing.
fn passed_through(
    cx: &Context<'_>,
    view: &FunctionView<'_>,
    step: &Step<'_>,
    contract: &Contract,
) -> Option<Diagnostic> {
    let number = contract.through?;
    let what = match step.before.argument(number) {
        Value::Number(number) if number != 0 => "a number",
        Value::Context(_) => "the context",
        Value::Map(_) => "a map",
        Value::Data(..) => "global data",
        Value::Packet(_) => "the packet",
        _ => return None,
    };
    let message = format!(
        "argument {number} of `{}` is {what}; it must be the address of something on the stack",
        contract.helper
    );
    let finding = cx.of_insn(codes::WRONG_ARGUMENT, view, step.slot, message);
    Some(finding.help("put it into a variable of the function, and pass the variable's address"))
}

/// The callback uses what it is passed as what it is.
fn used(cx: &Context<'_>, callback: usize, contract: &Contract, findings: &mut Vec<Diagnostic>) {
    let Some((argument, passed)) = contract.bound else { return };
    let view = &cx.functions[callback];
    let mut found: Option<(usize, bool)> = None;
    cx.walk_values_from(callback, Registers::of_arguments(), |step| {
        let (base, writes) = match *step.op {
            Op::Load { base, .. } | Op::LoadAcquire { base, .. } => (base, false),
            Op::Store { base, .. } | Op::StoreRelease { base, .. } | Op::Atomic { base, .. } => {
                (base, true)
            }
            _ => return,
        };
        let is_it = matches!(step.before.get(base), Value::Argument(index, _) if index == argument);
        if is_it && (writes || !matches!(passed, Passed::ReadOnly)) {
            found = found.or(Some((step.slot, writes)));
        }
    });
    let Some((slot, writes)) = found else { return };
    let does = if writes { "writes to" } else { "reads" };
    let (code, is, help) = match passed {
        Passed::Number => (codes::NOT_A_POINTER, "is a number", None),
        Passed::Dynptr => (
            codes::DYNPTR_MISUSE,
            "is a dynptr",
            Some(
                "declare it `struct bpf_dynptr *`, and use `bpf_dynptr_read()` or `bpf_dynptr_data()`",
            ),
        ),
        Passed::ReadOnly => (codes::KERNEL_STRUCT_ACCESS, "is the kernel's own", None),
    };
    let message = format!(
        "the callback `{}` {does} what argument {} points to, which {is} where `{}` calls it",
        view.function.name,
        argument + 1,
        contract.helper
    );
    let finding = cx.of_verified_insn(code, view, slot, Certainty::Likely, message);
    findings.push(match help {
        Some(help) => finding.help(help),
        None => finding,
    });
}

/// The contract of a call's helper, as an index.
fn contract(op: &Op) -> Option<usize> {
    let Op::Call(Call::Helper(id)) = *op else { return None };
    let name = Helper::by_id(id)?.name();
    CONTRACTS.iter().position(|contract| contract.helper == name)
}

/// The first argument beyond those passed that is read on the way that every
/// call takes, before anything branches.
fn reads_beyond(view: &FunctionView<'_>, passed: u8) -> Option<(usize, u8)> {
    let mut written = 0_u16;
    for (slot, op) in view.code.ops() {
        let beyond = |reg: &Reg| {
            let number = reg.number();
            number > passed && number <= 5 && written & (1 << number) == 0
        };
        if let Some(reg) = reads(op).into_iter().flatten().find(beyond) {
            return Some((slot, reg.number()));
        }
        if matches!(op, Op::Call(_)) || op.jump().is_some() || op.ends_flow() {
            return None;
        }
        if let Some(reg) = op.writes() {
            written |= 1 << reg.number();
        }
    }
    None
}

/// The registers that an instruction reads, those of calls left out.
fn reads(op: &Op) -> [Option<Reg>; 2] {
    let register = |operand: Operand| match operand {
        Operand::Reg(reg) => Some(reg),
        Operand::Imm(_) => None,
    };
    match *op {
        Op::Alu { op: AluOp::Mov, src, .. } => [register(src), None],
        Op::Alu { dst, src, .. } | Op::Branch { dst, src, .. } => [Some(dst), register(src)],
        Op::Neg { dst, .. } | Op::Swap { dst, .. } => [Some(dst), None],
        Op::MovSignExtend { src, .. } | Op::AddrSpaceCast { src, .. } => [Some(src), None],
        Op::Load { base, .. } | Op::LoadAcquire { base, .. } => [Some(base), None],
        Op::Store { base, src, .. } => [Some(base), register(src)],
        Op::Atomic { base, src, .. } | Op::StoreRelease { base, src, .. } => {
            [Some(base), Some(src)]
        }
        _ => [None, None],
    }
}

/// What a callback returns is one of the numbers that the helper understands.
fn returned(
    cx: &Context<'_>,
    callback: usize,
    contract: &Contract,
    findings: &mut Vec<Diagnostic>,
) {
    let view = &cx.functions[callback];
    let name = &view.function.name;
    let wanted = match contract.most {
        0 => "0",
        _ => "0 or 1",
    };
    let (mut wrong, mut unknown) = (Vec::new(), None);
    cx.walk_values(callback, |step| match ends_with(view, step) {
        Some(Value::Number(number)) if !(0..=contract.most).contains(&number) => {
            wrong.push((step.slot, number));
        }
        Some(Value::Number(_)) | None => {}
        Some(_) => unknown = unknown.or(Some(step.slot)),
    });
    let mut said = HashSet::new();
    let has_wrong = !wrong.is_empty();
    for (slot, number) in wrong {
        if said.insert(number) {
            let message = format!(
                "the callback `{name}` returns {number}, and `{}` takes only {wanted}",
                contract.helper
            );
            let code = codes::CALLBACK_MISUSE;
            findings.push(cx.of_verified_insn(code, view, slot, Certainty::Likely, message));
        }
    }
    if let Some(slot) = unknown.filter(|_| !has_wrong && returns_nothing(cx, name)) {
        let message = format!(
            "the callback `{name}` returns nothing, and `{}` takes only {wanted}",
            contract.helper
        );
        findings.push(
            cx.of_verified_insn(codes::CALLBACK_MISUSE, view, slot, Certainty::Likely, message)
                .help(format!("declare it `static long {name}(…)` and return 0")),
        );
    }
}

/// What the function returns if this instruction is the last one before it
/// does, or that itself.
fn ends_with(view: &FunctionView<'_>, step: &Step<'_>) -> Option<Value> {
    let is_exit = |slot: usize| matches!(view.code.op(slot), Some(Op::Exit));
    let leads_out = || {
        let to = view.code.destination(step.slot, step.op).map(usize::try_from);
        matches!(to, Some(Ok(to)) if is_exit(to))
    };
    match *step.op {
        // Ways that differ meet here; each was looked at before it came.
        Op::Exit => Some(step.before.get(Reg::R0)),
        Op::Jump { .. } | Op::Branch { .. } if leads_out() => match step.before.get(Reg::R0) {
            number @ Value::Number(_) => Some(number),
            _ => None,
        },
        Op::Alu { op: AluOp::Mov, width, dst: Reg::R0, src: Operand::Imm(imm) }
            if is_exit(step.slot + 1) =>
        {
            Some(Value::Number(match width {
                Width::W32 => imm.cast_unsigned().into(),
                Width::W64 => imm.into(),
            }))
        }
        _ => None,
    }
}

fn returns_nothing(cx: &Context<'_>, name: &str) -> bool {
    let Some(btf) = cx.object.btf.as_deref() else { return false };
    let Some(Type::Func { proto, .. }) = btf.find(Kind::Func, name).map(|id| btf.ty(id)) else {
        return false;
    };
    match btf.ty(proto) {
        Type::FuncProto(proto) => btf.kind(proto.returns) == Kind::Void,
        _ => false,
    }
}
