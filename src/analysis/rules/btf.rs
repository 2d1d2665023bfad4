//! E0412, W0412 object-without-btf; E0501 btf-corrupt; W0411
//! debug-info-mismatch: the type and line information that libbpf and the
//! kernel work with is there, can be read and agrees with the code.

use super::Context;
use crate::btf::Kind;
use crate::diagnostics::{Diagnostic, Severity, codes};
use crate::elf::{Function, Problem};

pub(super) fn check(cx: &Context<'_>, findings: &mut Vec<Diagnostic>) {
    let object = cx.object;
    let mut is_bad = false;
    for problem in &object.problems {
        match problem {
            Problem::BadBtf(error) => {
                is_bad = true;
                // libbpf goes on without BTF if nothing needs it.
                let needed = needs_btf(&object.problems);
                let severity = if needed { Severity::Error } else { Severity::Warning };
                findings.push(
                    cx.of_section(codes::BTF_CORRUPT, ".BTF", error.to_string())
                        .severity(severity)
                        .help("build the object again"),
                );
            }
            Problem::BadBtfExt(error) => findings.push(
                cx.of_section(codes::BTF_CORRUPT, ".BTF.ext", error.to_string())
                    .severity(Severity::Warning)
                    .note("libbpf goes on without it: CO-RE accesses stay as clang left them")
                    .help("build the object again"),
            ),
            _ => {}
        }
    }
    if object.btf.is_none() && !is_bad {
        let needed = object.problems.iter().find_map(|problem| match problem {
            Problem::MissingBtf { what } => Some(*what),
            Problem::BadExtern { .. } => Some("the externs"),
            _ => None,
        });
        let finding = match needed {
            Some(what) => cx.of_object(
                codes::OBJECT_WITHOUT_BTF,
                format!("the object has no BTF, and libbpf cannot load {what} without it"),
            ),
            None => cx.of_object(
                codes::OBJECT_HAS_NO_BTF,
                "the object has no BTF, so nothing can be told about types and C lines",
            ),
        };
        findings.push(
            finding.help(
                "compile with `-g`; to strip debug info, use `llvm-strip -g`, which keeps BTF",
            ),
        );
    }
    agreement(cx, findings);
}

fn needs_btf(problems: &[Problem]) -> bool {
    let needs = |p: &Problem| matches!(p, Problem::MissingBtf { .. } | Problem::BadExtern { .. });
    problems.iter().any(needs)
}

/// Function and line records lie in the code they are about, and name its
/// functions.
fn agreement(cx: &Context<'_>, findings: &mut Vec<Diagnostic>) {
    let (Some(btf), Some(ext)) = (&cx.object.btf, &cx.object.ext) else { return };
    let section = |name: u32| {
        let name = btf.string(name).unwrap_or_default();
        let index = cx.object.sections.iter().position(|section| section.name == name)?;
        Some((index, name))
    };
    let mut mismatch = |section: &str, function: Option<&Function>, message: String| {
        let finding = cx.of_section(codes::DEBUG_INFO_MISMATCH, section, message);
        let finding = match function.and_then(|function| cx.object.span_of(function)) {
            Some(span) => finding.at(span),
            None => finding,
        };
        findings.push(
            finding
                .note("the kernel refuses programs whose BTF does not agree with their code")
                .help("build the object again, with one clang and no tool in between"),
        );
    };
    for part in &ext.func_info {
        let Some((index, name)) = section(part.name) else { continue };
        for record in &part.records {
            let slot = record.offset as usize / 8;
            let function = cx.object.function_at(index, slot);
            let starts = function
                .filter(|function| record.offset.is_multiple_of(8) && function.slots.start == slot);
            let described = btf.name(record.ty);
            match starts {
                None if function.is_some() => mismatch(
                    name,
                    function,
                    format!("BTF says that `{described}` begins in the middle of a function"),
                ),
                // Between functions there may be what a linker has dropped.
                None if slot >= cx.object.sections[index].insns.len() => mismatch(
                    name,
                    None,
                    format!("BTF says that `{described}` begins beyond the section's code"),
                ),
                Some(function) if btf.kind(record.ty) != Kind::Func => mismatch(
                    name,
                    Some(function),
                    format!("BTF describes function `{}` as something else", function.name),
                ),
                // Of aliases and of functions that a linker renamed, either
                // name is right.
                _ => {}
            }
        }
    }
    for part in &ext.line_info {
        let Some((index, name)) = section(part.name) else { continue };
        let slots = cx.object.sections[index].insns.len();
        let beyond = part.records.iter().filter(|record| record.offset as usize / 8 >= slots);
        let count = beyond.count();
        if count > 0 && slots > 0 {
            let what = if count == 1 { "record lies" } else { "records lie" };
            mismatch(name, None, format!("{count} line {what} beyond the section's code"));
        }
        let between = part.records.iter().find(|record| !record.offset.is_multiple_of(8));
        if let Some(record) = between {
            let function = cx.object.function_at(index, record.offset as usize / 8);
            mismatch(name, function, "a line record lies between two instructions".to_owned());
        }
    }
}
