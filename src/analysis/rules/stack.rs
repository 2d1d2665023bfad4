//! E0304 stack-overflow; E0332 call-depth; W0417 large-stack: a program has 512 bytes of
//! stack for itself and the functions it calls, and eight frames
//! (`check_max_stack_depth` of the verifier).
//!
//! A function's depth is that of its deepest access through the frame pointer
//! or a copy of it; what it does to the stack otherwise only adds to that. So
//! what is counted is certain, and what is certain can be too little.

use super::Context;
use crate::analysis::{Certainty, FunctionView};
use crate::bpf::{AluOp, Call, MAX_CALL_FRAMES, MAX_STACK, Op, Operand, ProgramType, Reg, Width};
use crate::diagnostics::{Diagnostic, Severity, codes};
use crate::elf::Binding;
use std::collections::HashSet;

/// The stack of one function.
#[derive(Clone, Copy, Default)]
struct Frame {
    /// How many bytes it needs.
    depth: u32,
    /// The slot of the instruction that needs them.
    slot: usize,
}

/// The deepest way down from one function.
#[derive(Clone, Copy, Default)]
struct Way {
    /// Bytes of stack, rounded as the kernel rounds for compiled programs.
    bytes: u32,
    /// The callee it goes through.
    through: Option<usize>,
    /// Frames, up to the next function that is verified on its own.
    frames: usize,
    /// The callee the most frames go through.
    frames_through: Option<usize>,
}

pub(super) fn check(cx: &Context<'_>, findings: &mut Vec<Diagnostic>) {
    let frames: Vec<Frame> = cx.functions.iter().map(frame).collect();
    let mut said = HashSet::new();
    for (view, frame) in cx.functions.iter().zip(&frames) {
        if frame.depth > MAX_STACK {
            let message = format!(
                "`{}` accesses its stack at {} bytes below its top, and a function has {MAX_STACK}",
                view.function.name, frame.depth
            );
            let (code, needed) = (codes::STACK_OVERFLOW, Certainty::Likely);
            let finding = cx.of_verified_insn(code, view, frame.slot, needed, message);
            findings.push(finding.help(WAY_OUT));
        }
    }
    let Some(ways) = ways(cx, &frames, findings) else { return };
    for program in &cx.programs {
        let Some(&own) = program.functions.first() else { continue };
        if ways[own].frames > MAX_CALL_FRAMES {
            let chain = chain(own, &ways, |way| way.frames_through);
            let message = format!(
                "`{}` calls functions {} deep, and the kernel allows {MAX_CALL_FRAMES} frames",
                program.function.name,
                chain.len()
            );
            findings.push(
                cx.of_program(codes::CALL_DEPTH, program, message)
                    .note(format!("the calls are {}", names(cx, &chain)))
                    .help("let clang inline one of them: `static __always_inline`"),
            );
        }
        let chain = chain(own, &ways, |way| way.through);
        let single = chain.iter().any(|&index| frames[index].depth > MAX_STACK);
        if (LARGE..=MAX_STACK).contains(&ways[own].bytes) && said.insert(chain.clone()) {
            findings.push(large(cx, program, &chain, &frames, ways[own].bytes));
            continue;
        }
        if ways[own].bytes <= MAX_STACK || single || !said.insert(chain.clone()) {
            continue;
        }
        findings.push(too_much_together(cx, program, &chain, &frames, ways[own].bytes));
    }
}

/// From how many bytes on a program has little left.
const LARGE: u32 = 448;

/// W0417 large-stack: it still fits, and the next variable may not.
fn large(
    cx: &Context<'_>,
    program: &crate::analysis::ProgramView<'_>,
    chain: &[usize],
    frames: &[Frame],
    bytes: u32,
) -> Diagnostic {
    let deepest = chain.iter().copied().max_by_key(|&index| frames[index].depth);
    let deepest = deepest.unwrap_or(program.functions[0]);
    let view = &cx.functions[deepest];
    let with = if chain.len() > 1 { " and the functions it calls need" } else { " needs" };
    let name = &program.function.name;
    let message = format!("`{name}`{with} {bytes} of the {MAX_STACK} bytes of stack");
    cx.lint(codes::LARGE_STACK, view, frames[deepest].slot, message)
        .note("another clang may need a little more, and kernels that interpret programs round each function's share up to 32 bytes")
        .help(WAY_OUT)
}

const WAY_OUT: &str =
    "keep large objects in a map: a per-CPU array of one element is scratch space";

fn too_much_together(
    cx: &Context<'_>,
    program: &crate::analysis::ProgramView<'_>,
    chain: &[usize],
    frames: &[Frame],
    bytes: u32,
) -> Diagnostic {
    let message = format!(
        "`{}` and the functions it calls need {bytes} bytes of stack, and there are {MAX_STACK}",
        program.function.name
    );
    let mut finding = cx.of_program(codes::STACK_OVERFLOW, program, message);
    for &index in chain {
        let view = &cx.functions[index];
        let text = format!("`{}` takes {} bytes", view.function.name, frames[index].depth);
        let slot = view.function.slots.start + frames[index].slot;
        match cx.object.span(view.function.section, slot) {
            Some(span) => finding = finding.label(span, text),
            None => finding = finding.note(text),
        }
    }
    finding = finding.help(WAY_OUT);
    let has_private_stack = program.target.as_ref().is_ok_and(|target| {
        matches!(
            target.def.program_type,
            ProgramType::Kprobe
                | ProgramType::Tracepoint
                | ProgramType::PerfEvent
                | ProgramType::RawTracepoint
                | ProgramType::Tracing
                | ProgramType::Lsm
                | ProgramType::StructOps
        )
    });
    if has_private_stack {
        // `bpf_enable_priv_stack`
        finding.severity(Severity::Warning).note(
            "newer kernels give tracing programs a private stack for each function, on x86-64 and arm64 \
             from 6.13 on; older ones refuse the program",
        )
    } else {
        finding
    }
}

/// How deep a function reaches into its own frame.
fn frame(view: &FunctionView<'_>) -> Frame {
    let mut deepest = Frame::default();
    let mut is_target = vec![false; view.code.slots().len()];
    for (slot, op) in view.code.ops() {
        if let Some(Ok(target)) = view.code.destination(slot, op).map(usize::try_from)
            && let Some(mark) = is_target.get_mut(target)
        {
            *mark = true;
        }
    }
    // What each register is above the frame pointer, where it is known.
    let mut known: [Option<i64>; 11] = [None; 11];
    let of = |known: &[Option<i64>; 11], reg: Reg| match reg {
        Reg::R10 => Some(0),
        reg => known[usize::from(reg.number())],
    };
    for (slot, op) in view.code.ops() {
        if is_target[slot] {
            known = [None; 11];
        }
        if let Op::Load { base, off, .. }
        | Op::Store { base, off, .. }
        | Op::Atomic { base, off, .. }
        | Op::LoadAcquire { base, off, .. }
        | Op::StoreRelease { base, off, .. } = *op
            && let Some(start) = of(&known, base)
        {
            let depth = u32::try_from(-(start + i64::from(off))).unwrap_or(0);
            if depth > deepest.depth {
                deepest = Frame { depth, slot };
            }
        }
        let value = match *op {
            Op::Alu { op: AluOp::Mov, width: Width::W64, src: Operand::Reg(src), .. } => {
                of(&known, src)
            }
            Op::Alu { op: AluOp::Add, width: Width::W64, dst, src: Operand::Imm(imm) } => {
                of(&known, dst).map(|start| start + i64::from(imm))
            }
            _ => None,
        };
        if let Op::Call(_) = op {
            // A pointer that is handed to a helper is to an object that
            // begins there, if it lies within the frame at all.
            for start in known[1..=5].iter().flatten() {
                let depth = u32::try_from(-start).unwrap_or(0);
                if depth > deepest.depth && depth <= MAX_STACK {
                    deepest = Frame { depth, slot };
                }
            }
            known[..=5].fill(None);
        } else if let Some(reg) = op.writes() {
            known[usize::from(reg.number())] = value;
        }
    }
    deepest
}

/// The deepest ways down from every function; nothing where functions call
/// each other in a circle, which is told.
fn ways(cx: &Context<'_>, frames: &[Frame], findings: &mut Vec<Diagnostic>) -> Option<Vec<Way>> {
    let callees: Vec<Vec<(usize, usize)>> =
        cx.functions.iter().map(|view| callees(cx, view)).collect();
    let mut ways = vec![Way::default(); callees.len()];
    let (mut done, mut open) = (vec![false; callees.len()], vec![false; callees.len()]);
    let mut recursive = false;
    for root in 0..callees.len() {
        // A walk with a stack of its own: how deep it gets is the object's
        // choice.
        let mut walk = vec![(root, 0)];
        while let Some((index, next)) = walk.pop() {
            if done[index] {
                continue;
            }
            open[index] = true;
            if let Some(&(slot, callee)) = callees[index].get(next) {
                walk.push((index, next + 1));
                if open[callee] {
                    recursive = true;
                    findings.push(circle(cx, index, slot, callee));
                } else if !done[callee] {
                    walk.push((callee, 0));
                }
                continue;
            }
            let below = callees[index].iter().map(|&(_, callee)| callee);
            let mut way = Way::default();
            for callee in below {
                if ways[callee].bytes >= way.bytes {
                    (way.bytes, way.through) = (ways[callee].bytes, Some(callee));
                }
                let function = cx.functions[callee].function;
                let is_global = function.binding != Binding::Local && !function.hidden;
                if !is_global && ways[callee].frames >= way.frames {
                    (way.frames, way.frames_through) = (ways[callee].frames, Some(callee));
                }
            }
            way.bytes = way.bytes.saturating_add(frames[index].depth.next_multiple_of(16));
            way.frames += 1;
            ways[index] = way;
            (done[index], open[index]) = (true, false);
        }
    }
    (!recursive).then_some(ways)
}

/// The functions a function calls, each with the slot of its first call.
fn callees(cx: &Context<'_>, view: &FunctionView<'_>) -> Vec<(usize, usize)> {
    let mut seen = HashSet::new();
    let calls = view.code.ops().filter_map(|(slot, op)| match op {
        Op::Call(Call::Subprogram(_)) => Some((slot, cx.callee(view, slot)?)),
        _ => None,
    });
    calls.filter(|&(_, callee)| seen.insert(callee)).collect()
}

fn circle(cx: &Context<'_>, caller: usize, slot: usize, callee: usize) -> Diagnostic {
    let name = &cx.functions[callee].function.name;
    let message = if caller == callee {
        format!("`{name}` calls itself")
    } else {
        format!("`{}` calls `{name}`, which calls it in turn", cx.functions[caller].function.name)
    };
    cx.of_insn(codes::CALL_DEPTH, &cx.functions[caller], slot, message)
        .note("the verifier follows every call; a circle of them has no end")
        .help("write a loop, or use bpf_loop()")
}

fn chain(from: usize, ways: &[Way], through: impl Fn(&Way) -> Option<usize>) -> Vec<usize> {
    // Without circles it ends.
    std::iter::successors(Some(from), |&index| through(&ways[index])).collect()
}

fn names(cx: &Context<'_>, chain: &[usize]) -> String {
    let names: Vec<_> =
        chain.iter().map(|&index| format!("`{}`", cx.functions[index].function.name)).collect();
    names.join(" → ")
}
