//! E0349 tail-call-misuse: the programs that use one program array are of one
//! type. The first one that is loaded gives the array its type, and the kernel
//! refuses the others (`bpf_prog_map_compatible` in kernel/bpf/core.c), with an
//! error and no word.

use super::Context;
use crate::bpf::{MapType, ProgramType};
use crate::diagnostics::{Diagnostic, codes};
use crate::elf::{Initial, Target};
use std::collections::{BTreeMap, HashSet};

const OWN_ARRAYS: &str = "give the programs of each type an array of their own";

pub(super) fn check(cx: &Context<'_>, findings: &mut Vec<Diagnostic>) {
    let is_array = |map: usize| cx.object.maps[map].def.known_type() == Some(MapType::ProgArray);
    if !(0..cx.object.maps.len()).any(is_array) {
        return;
    }
    let mut first: BTreeMap<usize, (ProgramType, &str)> = BTreeMap::new();
    let mut said = HashSet::new();
    for program in &cx.programs {
        let Ok(target) = &program.target else { continue };
        let own = target.def.program_type;
        // An extension is of the type that it extends.
        if !target.autoload || own == ProgramType::Ext {
            continue;
        }
        for view in cx.functions_of(program) {
            for relocation in cx.object.relocations_of(view.function) {
                let Target::Map(map) = relocation.target else { continue };
                if !is_array(map) {
                    continue;
                }
                let (known, other) =
                    *first.entry(map).or_insert((own, program.function.name.as_str()));
                if known == own || !said.insert((map, own)) {
                    continue;
                }
                let (name, this) = (&cx.object.maps[map].name, &program.function.name);
                let message = format!(
                    "`{name}` is used by programs of two types: `{this}` is of type {own}, \
                     `{other}` of type {known}"
                );
                let slot = relocation.slot - view.function.slots.start;
                findings.push(
                    cx.of_insn(codes::TAIL_CALL_MISUSE, view, slot, message)
                        .program(this)
                        .note("whichever is loaded first gives the array its type, and the kernel refuses the other")
                        .help(OWN_ARRAYS),
                );
            }
        }
    }
    // What the definition itself puts into arrays, libbpf does when all are loaded.
    for value in &cx.object.map_values {
        let Initial::Program(function) = value.target else { continue };
        let this = &cx.object.functions[function].name;
        let program = cx.programs.iter().find(|program| program.function.name == *this);
        let Some(Ok(target)) = program.map(|program| &program.target) else { continue };
        let own = target.def.program_type;
        if own == ProgramType::Ext {
            continue;
        }
        let (known, other) = *first.entry(value.map).or_insert((own, this.as_str()));
        if known == own || !said.insert((value.map, own)) {
            continue;
        }
        let name = &cx.object.maps[value.map].name;
        let message = format!(
            "`{name}` holds programs of another type than it is for: `{this}` is of type {own}, \
             `{other}` of type {known}"
        );
        findings.push(
            cx.of_map(codes::TAIL_CALL_MISUSE, name, message)
                .note("the kernel refuses to put it there, and libbpf then the whole object")
                .help(OWN_ARRAYS),
        );
    }
}
