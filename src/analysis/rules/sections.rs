//! E0404, W0404 unknown-section; E0410 static-program: libbpf knows from a
//! function's section what program it is, and wants it to be global.

use super::Context;
use crate::analysis::ProgramView;
use crate::bpf::SectionError;
use crate::diagnostics::{Diagnostic, codes};
use crate::elf::Problem;

pub(super) fn check(cx: &Context<'_>, findings: &mut Vec<Diagnostic>) {
    for problem in &cx.object.problems {
        match problem {
            Problem::StaticProgram { function, section, slot } => {
                let name = &cx.object.sections[*section].name;
                let message = format!(
                    "function `{function}` is static in section \"{name}\", and libbpf refuses \
                     the whole object"
                );
                let mut finding = cx.of_section(codes::STATIC_PROGRAM, name, message);
                if let Some(span) = cx.object.span(*section, *slot) {
                    finding = finding.at(span);
                }
                findings.push(finding.program(function).help(format!(
                    "remove `static`; if `{function}` is no program but a subprogram, remove SEC(\"{name}\")"
                )));
            }
            Problem::BadFunction { function, section, .. } => findings.push(
                cx.of_section(codes::OBJECT_CORRUPT, section, problem.to_string())
                    .program(function)
                    .help("build the object again"),
            ),
            Problem::RaggedCode { section } | Problem::BadSection { section, .. } => findings.push(
                cx.of_section(codes::OBJECT_CORRUPT, section, problem.to_string())
                    .help("build the object again"),
            ),
            _ => {}
        }
    }
    for program in &cx.programs {
        if let Err(error) = &program.target {
            findings.push(unknown(cx, program, error));
        }
    }
}

/// A misspelt name, or one that names a target the way libbpf no longer
/// reads, is meant for libbpf and an error. With any other name the loader
/// sets the type itself, as `ip` and `tc` do, or nobody does.
fn unknown(cx: &Context<'_>, program: &ProgramView<'_>, error: &SectionError) -> Diagnostic {
    let is_meant_for_libbpf = match &error.suggestion {
        Some(name) => !error.legacy || name.contains('/'),
        None => false,
    };
    let (code, consequence) = if is_meant_for_libbpf {
        (codes::UNKNOWN_SECTION, "")
    } else {
        (codes::UNTYPED_SECTION, "; the loader must set it")
    };
    let mut finding = cx.of_program(code, program, format!("{error}{consequence}"));
    if error.legacy {
        finding = finding.note("libbpf before 1.0 compared only the beginning of the name");
    }
    match &error.suggestion {
        Some(name) => finding.help(format!("write SEC(\"{name}\")")),
        None => finding.help(
            "name the section after the program's type, like SEC(\"kprobe/do_unlinkat\") or SEC(\"xdp\")",
        ),
    }
}
