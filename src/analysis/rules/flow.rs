//! E0331 control-flow; E0330 unreachable-code: control stays
//! within each function, ends, and comes everywhere (`check_subprogs` and
//! `check_cfg` of the verifier).

use super::Context;
use crate::analysis::Slot;
use crate::bpf::Op;
use crate::diagnostics::{Diagnostic, codes};

pub(super) fn check(cx: &Context<'_>, findings: &mut Vec<Diagnostic>) {
    for view in &cx.functions {
        let name = &view.function.name;
        let slots = view.code.slots();
        let before = findings.len();
        for (slot, op) in view.code.ops() {
            let Some(target) = view.code.destination(slot, op) else { continue };
            let message = match usize::try_from(target).ok().and_then(|target| slots.get(target)) {
                Some(Slot::Second) => {
                    "a jump leads into the middle of a 64-bit immediate".to_owned()
                }
                Some(_) => continue,
                None if target < 0 => format!("a jump leads before the beginning of `{name}`"),
                None => format!("a jump leads beyond the end of `{name}`"),
            };
            findings.push(cx.of_insn(codes::CONTROL_FLOW, view, slot, message));
        }
        // After a slot that is no instruction, ends and ways are guesswork.
        if !view.code.is_sound() {
            continue;
        }
        let last = view.code.ops().last();
        if let Some((slot, op)) = last
            && !op.ends_flow()
        {
            let message = format!("`{name}` can run past its end: its last instruction is no exit");
            let finding = cx.of_insn(codes::CONTROL_FLOW, view, slot, message);
            findings.push(match op {
                Op::Call(_) => finding
                    .note("clang took the call for one that does not return, or the end for unreachable")
                    .help("write a `return` behind it"),
                _ => finding.help("end every way through the function with a `return`"),
            });
        }
        if findings.len() > before {
            continue;
        }
        let Some(reachable) = view.code.reachable() else { continue };
        if let Some(slot) = reachable.iter().position(|seen| !seen) {
            let message = format!("no way through `{name}` leads to this instruction");
            findings
                .push(cx.of_insn(codes::UNREACHABLE_CODE, view, slot, message).note(
                    "the verifier refuses programs with instructions that cannot be reached",
                ));
        }
    }
}
