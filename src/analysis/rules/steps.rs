//! The rules that look at each instruction with what registers hold there.
//! One walk serves them all; each is a file of its own.

use super::Context;
use super::{
    comm, constant_arguments, context_access, core_reads, map_arguments, packet_alignment, printk,
};
use crate::analysis::{FunctionView, Step};
use crate::diagnostics::Diagnostic;
use std::collections::HashSet;

/// A function on its walk.
pub(super) struct Walked<'c, 'o> {
    /// The object.
    pub cx: &'c Context<'o>,
    /// The function.
    pub view: &'c FunctionView<'o>,
    /// By slot: the loop it is in, if any.
    pub loops: Vec<Option<u32>>,
    /// What the rules remember of it.
    pub comm: comm::Buffers,
}

/// Looks at an instruction.
type StepRule = fn(&mut Walked<'_, '_>, &Step<'_>) -> Option<Diagnostic>;

const RULES: &[StepRule] = &[
    context_access::look,
    map_arguments::look,
    constant_arguments::look,
    core_reads::look,
    printk::look,
    comm::look,
    packet_alignment::look,
];

pub(super) fn check(cx: &Context<'_>, findings: &mut Vec<Diagnostic>) {
    for (index, view) in cx.functions.iter().enumerate() {
        let mut walked = Walked {
            cx,
            view,
            loops: view.code.loops().unwrap_or_default(),
            comm: comm::Buffers::default(),
        };
        let mut said = HashSet::new();
        cx.walk_values(index, |step| {
            for rule in RULES {
                let Some(finding) = rule(&mut walked, step) else { continue };
                // Once for a line: clang makes many instructions of one.
                let line = finding.primary.as_ref().map(|label| label.span.start.line);
                if said.insert((finding.code, line)) {
                    findings.push(finding);
                }
            }
        });
    }
}
