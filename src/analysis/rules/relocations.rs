//! E0409 unresolved-symbol: every name that code refers to is one that libbpf
//! can provide.

use super::Context;
use crate::diagnostics::{Diagnostic, codes};
use crate::elf::{Problem, Target};
use std::collections::HashSet;

pub(super) fn check(cx: &Context<'_>, findings: &mut Vec<Diagnostic>) {
    let mut said = HashSet::new();
    for problem in &cx.object.problems {
        match problem {
            Problem::BadRelocation { section, slot, symbol, what } => {
                if is_legacy_map(cx, what) || (!symbol.is_empty() && !said.insert(symbol)) {
                    continue;
                }
                let mut message = problem.to_string();
                if symbol.is_empty() {
                    message = format!("a reference cannot be resolved: {what}");
                }
                findings.push(at(cx, message, *section, *slot));
            }
            // Without BTF, that is what is wrong.
            Problem::BadExtern { name, what } if cx.object.btf.is_some() => {
                let index = cx.object.externs.iter().position(|known| known.name == *name);
                let user = cx.object.relocations.iter().find(|relocation| {
                    matches!(relocation.target, Target::Extern(target) if Some(target) == index)
                });
                let message = format!("`{name}` {what}");
                let finding = match user {
                    Some(user) => at(cx, message, user.section, user.slot),
                    None => cx.of_object(codes::UNRESOLVED_SYMBOL, message),
                };
                findings.push(finding.help(format!(
                    "define `{name}`, or declare it `extern … __ksym` (a kfunc or symbol of the kernel) \
                     or `extern … __kconfig` (an option of its configuration)"
                )));
            }
            _ => {}
        }
    }
}

fn at(cx: &Context<'_>, message: String, section: usize, slot: usize) -> Diagnostic {
    let view = cx
        .functions
        .iter()
        .find(|view| view.function.section == section && view.function.slots.contains(&slot));
    match view {
        Some(view) => {
            cx.of_insn(codes::UNRESOLVED_SYMBOL, view, slot - view.function.slots.start, message)
        }
        None => {
            let name = &cx.object.sections[section].name;
            let finding = cx.of_section(codes::UNRESOLVED_SYMBOL, name, message);
            match cx.object.span(section, slot) {
                Some(span) => finding.at(span),
                None => finding,
            }
        }
    }
}

/// References to maps in a section of old are no news of their own; nor are
/// those to maps of an object without BTF.
fn is_legacy_map(cx: &Context<'_>, what: &str) -> bool {
    let told = cx.object.problems.iter().any(|problem| {
        matches!(problem, Problem::LegacyMaps { .. } | Problem::MissingBtf { .. })
            || matches!(problem, Problem::BadBtf(_))
    });
    told && (what.contains("section maps,") || what == "no map begins there")
}
