//! E0306 invalid-context-access: the context is read or written where, or by
//! as many bytes as, no kernel lets programs of the type.

use super::steps::Walked;
use crate::analysis::{Certainty, Step, Value};
use crate::bpf::{AttachType, Op, ProgramType, context};
use crate::diagnostics::{Diagnostic, Severity, codes};

pub(super) fn look(walked: &mut Walked<'_, '_>, step: &Step<'_>) -> Option<Diagnostic> {
    let (size, base, off, is_write) = match *step.op {
        Op::Load { size, base, off, .. } => (size, base, off, false),
        Op::Store { size, base, off, .. } => (size, base, off, true),
        _ => return None,
    };
    let Value::Context(start) = step.before.get(base) else { return None };
    // What libbpf patches has its offset from the kernel.
    if step.is_patched {
        return None;
    }
    let (cx, view) = (walked.cx, walked.view);
    let target = cx.programs[view.program].target.as_ref().ok()?;
    let program = target.def.program_type;
    let attach = target.def.attach_type;
    let (place, bytes) = (i64::from(start) + i64::from(off), size.bytes());
    if context::may_access(program, attach, place, bytes, is_write)? {
        return None;
    }
    let here = || context::fields_at(program, place).into_iter().flatten();
    let section = format!("SEC(\"{}\")", target.def.name);
    let does = if is_write { "write" } else { "read" };
    let (plural, are) = if bytes == 1 { ("", "is") } else { ("s", "are") };
    let known = here().find(|field| !field.sizes(attach, is_write).is_empty());
    let is_elsewhere = here().any(|field| !field.sizes(None, is_write).is_empty());
    let (message, help) = match (known, here().next()) {
        (Some(field), _) => {
            let sizes: Vec<_> = field.sizes(attach, is_write).iter().map(u8::to_string).collect();
            let message = format!(
                "{bytes} byte{plural} at byte {place} of the context {are} accessed at once, in `{}`",
                field.name
            );
            (
                message,
                format!("{does} it by {} bytes at once, as its type says", sizes.join(" or ")),
            )
        }
        (None, Some(field)) if is_write && !field.sizes(attach, false).is_empty() => {
            let message = format!(
                "`{}` of the context cannot be written by a program in {section}",
                field.name
            );
            (message, writable(program, attach))
        }
        (None, Some(field)) => {
            let message =
                format!("`{}` of the context is not there for a program in {section}", field.name);
            (message, format!("`{}` is for programs of other attach types", field.name))
        }
        (None, None) => {
            let message = format!(
                "a program in {section} cannot {does} {bytes} byte{plural} at byte {place} of its context"
            );
            (message, "read fields of the context by the names of its type, which are those the program may access".to_owned())
        }
    };
    let code = codes::INVALID_CONTEXT_ACCESS;
    let finding = cx.of_verified_insn(code, view, step.slot, Certainty::Likely, message);
    let finding = finding.help(help);
    // The loader may set another attach type than the section names.
    Some(match known.is_none() && is_elsewhere {
        true => finding.severity(Severity::Warning),
        false => finding,
    })
}

/// Names what may be written.
fn writable(program: ProgramType, attach: Option<AttachType>) -> String {
    let names: Vec<_> = context::fields(program)
        .unwrap_or_default()
        .iter()
        .filter(|field| !field.sizes(attach, true).is_empty())
        .map(|field| format!("`{}`", field.name))
        .collect();
    match names.is_empty() {
        true => "nothing of this context can be written".to_owned(),
        false => format!("what can be written is {}", names.join(", ")),
    }
}
