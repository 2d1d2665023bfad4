//! E0322 helper-not-allowed: helpers that no kernel lets programs of the type
//! call. What hangs on the kernel is told with the kernel, see
//! `analysis::kernel`.

use super::Context;
use crate::analysis::{Certainty, FunctionView, ProgramView};
use crate::bpf::{Call, Helper, Op, SectionDef, allowed};
use crate::diagnostics::{Diagnostic, codes};
use std::collections::HashSet;

pub(super) fn check(cx: &Context<'_>, findings: &mut Vec<Diagnostic>) {
    let [oldest, .., newest] = allowed::asked() else { return };
    for_each_call(cx, &cx.programs.iter().collect::<Vec<_>>(), |program, view, slot, helper| {
        let Ok(target) = &program.target else { return };
        if allowed::is_never_allowed(target.def, helper) {
            let finding = cx.of_verified_insn(
                codes::HELPER_NOT_ALLOWED,
                view,
                slot,
                Certainty::Likely,
                message(program, helper),
            );
            let kernels =
                format!("none of the kernels {oldest} to {newest} that were asked lets it");
            let finding = with_sections(finding.note(kernels), helper);
            findings.push(with_sleepable(finding, target.def, helper));
        }
    });
}

/// Calls `each` for every call of a helper in the functions that programs
/// reach, once for a program, a function and a helper.
pub(in crate::analysis) fn for_each_call<'c, 'o>(
    cx: &'c Context<'o>,
    programs: &[&'c ProgramView<'o>],
    mut each: impl FnMut(&'c ProgramView<'o>, &'c FunctionView<'o>, usize, Helper),
) {
    for &program in programs {
        let mut said = HashSet::new();
        for view in cx.functions_of(program) {
            for (slot, op) in view.code.ops() {
                let Op::Call(Call::Helper(id)) = *op else { continue };
                let place = (view.function.section, view.function.slots.start, id);
                if let Some(helper) = Helper::by_id(id).filter(|_| said.insert(place)) {
                    each(program, view, slot, helper);
                }
            }
        }
    }
}

/// What is wrong, for a place in a program of the type.
pub(in crate::analysis) fn message(program: &ProgramView<'_>, helper: Helper) -> String {
    let kind = match &program.target {
        Ok(target) => format!("SEC(\"{}\")", target.def.name),
        Err(_) => "the program".to_owned(),
    };
    format!("`{helper}` cannot be called from a program in {kind}")
}

/// Names the section of programs that may sleep, if the helper needs that.
pub(in crate::analysis) fn with_sleepable(
    finding: Diagnostic,
    section: &SectionDef,
    helper: Helper,
) -> Diagnostic {
    match allowed::sleepable_variant(section, helper) {
        Some(def) => finding
            .help(format!("`{helper}` may sleep: put the program in SEC(\"{}/…\")", def.name)),
        None => finding,
    }
}

/// Names what may call the helper.
pub(in crate::analysis) fn with_sections(finding: Diagnostic, helper: Helper) -> Diagnostic {
    const SHOWN: usize = 8;
    let sections: Vec<_> =
        allowed::sections_for(helper).iter().map(|def| format!("`{}`", def.name)).collect();
    match sections.len() {
        0 => finding,
        1..=SHOWN => finding.note(format!("programs in {} may call it", sections.join(", "))),
        count => finding.note(format!(
            "programs in {} and {} more kinds of section may call it",
            sections[..SHOWN].join(", "),
            count - SHOWN
        )),
    }
}
