//! What instructions refer to by name: maps, globals, functions of the
//! program's own, of the kernel's, helpers.

use crate::bpf::{self, Call, Op};
use crate::elf::{ExternKind, Object, Target};

/// What an instruction refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// What it is: `map`, `global`, `subprogram`, `kfunc`, `ksym`, `kconfig`,
    /// `helper`, `extern`, `jump-table`, `arena`.
    pub kind: &'static str,
    /// Its name; for what has none, the section's.
    pub name: String,
    /// For global data: how far behind the start of its section.
    pub offset: Option<u64>,
}

/// What the instruction in a slot of a section refers to.
pub(super) fn of(object: &Object, section: usize, slot: usize) -> Option<Reference> {
    let insns = object.sections.get(section)?.insns.get(slot..)?;
    let named = |kind, name: &str| Reference { kind, name: name.to_owned(), offset: None };
    if let Ok(Op::Call(Call::Helper(id))) = Op::decode(insns) {
        return bpf::Helper::by_id(id).map(|helper| named("helper", &helper.to_string()));
    }
    if let Some(function) = object.callee(section, slot) {
        return Some(named("subprogram", &function.name));
    }
    let target = object.relocation(section, slot)?.target;
    Some(match target {
        Target::Map(map) => named("map", &object.maps.get(map)?.name),
        Target::Data { index: data, offset } => {
            let data = object.data.get(data)?;
            // The place in the section, or behind the symbol, that clang leaves
            // in the instruction.
            let offset = offset.wrapping_add_signed(i64::from(insns[0].imm));
            let holds = |variable: &&crate::elf::Variable| {
                variable.offset <= offset && offset - variable.offset < variable.size.max(1)
            };
            let name = match data.variables.iter().find(holds) {
                Some(variable) if variable.offset == offset => variable.name.clone(),
                Some(variable) => format!("{}+{}", variable.name, offset - variable.offset),
                None => format!("{}+{offset}", object.sections[data.section].name),
            };
            Reference { kind: "global", name, offset: Some(offset) }
        }
        // Its function was looked for above.
        Target::Text(_) => return None,
        Target::Extern(known) => {
            let known = object.externs.get(known)?;
            let kind = match known.kind {
                ExternKind::Kfunc => "kfunc",
                ExternKind::Ksym => "ksym",
                ExternKind::Kconfig => "kconfig",
                ExternKind::Unknown => "extern",
            };
            named(kind, &known.name)
        }
        Target::JumpTable { offset, .. } => Reference {
            kind: "jump-table",
            name: format!(".jumptables+{offset}"),
            offset: Some(offset),
        },
        Target::Arena(offset) => {
            Reference { kind: "arena", name: format!("arena+{offset}"), offset: Some(offset) }
        }
    })
}
