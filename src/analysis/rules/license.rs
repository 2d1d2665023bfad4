//! E0305 gpl-only-helper; E0346 license-required; W0405 license-missing: what a program calls must
//! fit its license. The kernel compares the text of section `license` with a
//! short list, letter for letter.

use super::Context;
use crate::analysis::{Certainty, FunctionView, ProgramView};
use crate::bpf::{Call, GplOnly, Helper, Op, ProgramType};
use crate::diagnostics::{Diagnostic, codes};
use std::collections::HashSet;

pub(super) fn check(cx: &Context<'_>, findings: &mut Vec<Diagnostic>) {
    if cx.is_gpl() || cx.programs.is_empty() {
        return;
    }
    let before = findings.len();
    let mut said: HashSet<(String, usize, usize)> = HashSet::new();
    for program in &cx.programs {
        whole_program(cx, program, findings);
        for view in cx.functions_of(program) {
            for (slot, op) in view.code.ops() {
                let Some(what) = gpl_only(cx, program, view, slot, op) else { continue };
                let code = match op {
                    Op::Call(Call::Helper(_)) => codes::GPL_ONLY_HELPER,
                    _ => codes::LICENSE_REQUIRED,
                };
                let place = (view.function.section, view.function.slots.start);
                if !said.insert((what.clone(), place.0, place.1)) {
                    continue;
                }
                let message = format!("{what} needs a GPL-compatible license{}", but(cx));
                findings.push(way_out(cx.of_verified_insn(
                    code,
                    view,
                    slot,
                    Certainty::Likely,
                    message,
                )));
            }
        }
    }
    if findings.len() == before && cx.object.license.is_none() {
        findings.push(
            cx.of_object(codes::LICENSE_MISSING, "the object says no license")
                .note("nothing in it needs one yet; many helpers can be called from GPL programs only")
                .help("add `char LICENSE[] SEC(\"license\") = \"Dual BSD/GPL\";`, with a license of yours"),
        );
    }
}

/// Program types that need the GPL as a whole (`check_attach_btf_id` and
/// `check_struct_ops_btf_id` in kernel/bpf/verifier.c).
fn whole_program(cx: &Context<'_>, program: &ProgramView<'_>, findings: &mut Vec<Diagnostic>) {
    let Ok(target) = &program.target else { return };
    let program_type = target.def.program_type;
    if matches!(program_type, ProgramType::Lsm | ProgramType::StructOps) {
        let what = if program_type == ProgramType::Lsm { "an LSM" } else { "a struct_ops" };
        let message = format!("{what} program needs a GPL-compatible license{}", but(cx));
        findings.push(way_out(cx.of_program(codes::LICENSE_REQUIRED, program, message)));
    }
}

/// What a call needs the GPL for.
fn gpl_only(
    cx: &Context<'_>,
    program: &ProgramView<'_>,
    view: &FunctionView<'_>,
    slot: usize,
    op: &Op,
) -> Option<String> {
    match op {
        Op::Call(Call::Helper(id)) => {
            let helper = Helper::by_id(*id)?;
            let needed = match &program.target {
                Ok(target) => {
                    helper.is_gpl_only_in(target.def.program_type, target.def.attach_type)
                }
                Err(_) => helper.gpl_only() == GplOnly::Always,
            };
            needed.then(|| format!("`{helper}`"))
        }
        // "cannot call kernel function from non-GPL compatible program"
        Op::Call(Call::Subprogram(_) | Call::Kfunc { .. }) if cx.is_extern(view, slot) => {
            Some("a kfunc".to_owned())
        }
        _ => None,
    }
}

fn but(cx: &Context<'_>) -> String {
    match &cx.object.license {
        Some(license) => format!(", and the object's is \"{license}\""),
        None => ", and the object says none".to_owned(),
    }
}

fn way_out(finding: Diagnostic) -> Diagnostic {
    finding.help(
        "write `char LICENSE[] SEC(\"license\") = \"GPL\";`; the kernel also takes \"GPL v2\", \
         \"GPL and additional rights\", \"Dual BSD/GPL\", \"Dual MIT/GPL\" and \"Dual MPL/GPL\", \
         spelled like this",
    )
}
