//! E0408 bad-call; E0321 unknown-helper: calls lead to functions and helpers
//! that are there.

use super::Context;
use crate::analysis::Certainty;
use crate::bpf::{Call, Helper, Op};
use crate::diagnostics::{Diagnostic, codes};
use crate::elf::Problem;
use crate::relocate::ImageError;
use std::collections::HashSet;

pub(super) fn check(cx: &Context<'_>, findings: &mut Vec<Diagnostic>) {
    for view in &cx.functions {
        for (slot, op) in view.code.ops() {
            if let Op::Call(Call::Helper(id)) = *op
                && Helper::by_id(id).is_none()
            {
                findings.push(
                    cx.of_verified_insn(
                        codes::UNKNOWN_HELPER,
                        view,
                        slot,
                        Certainty::Likely,
                        format!("no helper has the number {id}"),
                    )
                    .note(format!("helpers are numbered 1 to {}", Helper::all().count()))
                    .help(
                        "include <bpf/bpf_helpers.h>, which declares every helper with its number",
                    ),
                );
            }
        }
    }
    let mut said = HashSet::new();
    for program in &cx.programs {
        match program.broken {
            Some(ImageError::BadCall { section, slot }) => {
                // What cannot be relocated is told by another rule.
                let is_told = cx.object.problems.iter().any(|problem| {
                    matches!(problem, Problem::BadRelocation { section: s, slot: t, .. }
                        if (*s, *t) == (section, slot))
                });
                if is_told || !said.insert((section, slot)) {
                    continue;
                }
                let mut finding = cx.of_program(
                    codes::BAD_CALL,
                    program,
                    "a call leads to no function in section .text",
                );
                if let Some(span) = cx.object.span(section, slot) {
                    finding = finding.at(span);
                }
                findings.push(finding.help(
                    "programs call only functions without SEC(); build the object again if it has been edited",
                ));
            }
            Some(ImageError::TooLarge) => findings.push(cx.of_program(
                codes::OBJECT_CORRUPT,
                program,
                "the program has more instructions than any kernel takes",
            )),
            _ => {}
        }
    }
}
