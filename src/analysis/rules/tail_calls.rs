//! E0349 tail-call-misuse: the programs that use one program array are of one
//! type. The first one that is loaded gives the array its type, and the kernel
//! refuses the others (`bpf_prog_map_compatible` in kernel/bpf/core.c), with an
//! error and no word.

use super::Context;
use crate::bpf::{MapType, ProgramType};
use crate::diagnostics::{Diagnostic, codes};
use crate::elf::Target;
use std::collections::{BTreeMap, HashSet};

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
                        .help("give the programs of each type an array of their own"),
                );
            }
        }
    }
}
