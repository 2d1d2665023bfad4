//! W0421 unused-map: nothing refers to a map. W0422 unreferenced-program: a
//! program of `struct_ops` that no struct of functions names.

use super::Context;
use crate::bpf::{MapType, ProgramType, SectionTarget};
use crate::diagnostics::{Diagnostic, Origin, Severity, codes};
use crate::elf::{Initial, Pinning, Problem, Target};
use std::collections::HashSet;

pub(super) fn check(cx: &Context<'_>, findings: &mut Vec<Diagnostic>) {
    maps(cx, findings);
    programs(cx, findings);
}

fn maps(cx: &Context<'_>, findings: &mut Vec<Diagnostic>) {
    let object = cx.object;
    // Some objects have maps alone, for others to use; and iterators go through
    // maps that the loader names.
    let goes_through_maps = |target: &SectionTarget<'_>| {
        matches!(target.target, Some("bpf_map_elem" | "bpf_sk_storage_map"))
    };
    let targets = || cx.programs.iter().filter_map(|program| program.target.as_ref().ok());
    if cx.programs.is_empty() || targets().any(goes_through_maps) {
        return;
    }
    let code = object.relocations.iter().filter_map(|known| match known.target {
        Target::Map(index) => Some(index),
        _ => None,
    });
    let values = object.map_values.iter().filter_map(|value| match value.target {
        Initial::Map(index) => Some(index),
        Initial::Program(_) => None,
    });
    let used: HashSet<usize> = code.chain(values).collect();
    for (index, map) in object.maps.iter().enumerate() {
        // Sockets are added, and their programs attached, from outside; pinned
        // maps are for others; data in an arena refers to it without a name.
        let is_for_others = map.def.pinning != Pinning::None
            || matches!(
                map.def.known_type(),
                None | Some(
                    MapType::Sockmap
                        | MapType::Sockhash
                        | MapType::Arena
                        | MapType::StructOps
                        | MapType::InsnArray
                )
            );
        let is_broken = object.problems.iter().any(|problem| match problem {
            Problem::BadMap { map: name, .. } => *name == map.name,
            Problem::BadRelocation { symbol, .. } => symbol.is_empty() || *symbol == map.name,
            _ => false,
        });
        if used.contains(&index) || is_for_others || is_broken {
            continue;
        }
        let name = &map.name;
        let message = format!("no program refers to map `{name}`");
        let mut finding = cx.of_map(codes::UNUSED_MAP, name, message);
        // Those of a header that several objects share stand elsewhere.
        if finding.primary.is_none() {
            continue;
        }
        (finding.origin, finding.severity) = (Origin::Lint, Severity::Warning);
        findings
            .push(finding.note("libbpf creates it all the same, and it takes its memory").help(
            "remove it, or pin it (`__uint(pinning, LIBBPF_PIN_BY_NAME)`) if others are to use it",
        ));
    }
}

/// libbpf refuses to load them (`fixup_struct_ops`, `bpf_object_load_prog`).
fn programs(cx: &Context<'_>, findings: &mut Vec<Diagnostic>) {
    for program in &cx.programs {
        let Ok(target) = &program.target else { continue };
        let function = program.function;
        let place = (function.section, function.slots.start);
        if target.def.program_type != ProgramType::StructOps
            || !target.autoload
            || cx.object.implementing.contains(&place)
        {
            continue;
        }
        let name = &function.name;
        let message = format!("no struct of functions names `{name}`");
        findings.push(
            cx.of_program(codes::UNREFERENCED_PROGRAM, program, message)
                .severity(Severity::Warning)
                .note("libbpf does not know then what it implements, and refuses the whole object")
                .help(format!(
                    "name it in a struct in SEC(\".struct_ops.link\") (`.member = (void *){name}`), or write \
                     SEC(\"?struct_ops\") and have the loader choose it"
                )),
        );
    }
}
