//! What is in an object: for `skep inspect` and `skep metadata`.

use super::references;
use crate::bpf::{Endian, map_flags};
use crate::btf::{Btf, Kind, Type};
use crate::elf::{DataKind, ExternKind, Function, Object, Pinning};
use crate::relocate::core::{Question, Spec};
use std::collections::BTreeMap;

/// What is in an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// What it says of its license.
    pub license: Option<String>,
    /// The kernel version that it says it is for.
    pub kernel_version: Option<u32>,
    /// Whether it is for machines with big-endian byte order.
    pub big_endian: bool,
    /// The size of its type information in bytes; nothing without any.
    pub btf_bytes: Option<u64>,
    /// The size of its debugging information (DWARF) in bytes.
    pub dwarf_bytes: u64,
    /// Its programs.
    pub programs: Vec<Program>,
    /// The functions that programs call.
    pub subprograms: Vec<Subprogram>,
    /// Its maps.
    pub maps: Vec<Map>,
    /// Its global variables.
    pub globals: Vec<Global>,
    /// What it wants of the kernel by name.
    pub externs: Vec<Extern>,
    /// What its instructions refer to.
    pub references: Vec<Use>,
}

/// A program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// Its section, as `SEC()` wrote it.
    pub section: String,
    /// Its type, by libbpf's name; nothing where libbpf knows none.
    pub program_type: Option<&'static str>,
    /// What it is attached to, as far as the section says.
    pub target: Option<String>,
    /// Its instructions, in slots of 8 bytes, without its subprograms'.
    pub instructions: usize,
    /// Where it stands in C.
    pub place: Option<(String, u32)>,
}

/// A function that programs call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subprogram {
    /// Its name.
    pub name: String,
    /// Its instructions, in slots of 8 bytes.
    pub instructions: usize,
    /// Where it stands in C.
    pub place: Option<(String, u32)>,
}

/// A map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    /// Its name.
    pub name: String,
    /// Its type, by libbpf's name; nothing where skep knows none.
    pub map_type: Option<&'static str>,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// A key's type in C, where the definition gives one.
    pub key: Option<String>,
    /// A value's type in C, where the definition gives one.
    pub value: Option<String>,
    /// How many elements it has room for.
    pub max_entries: u32,
    /// Its flags, by their names in C; empty for none.
    pub flags: String,
    /// Whether it is pinned by its name.
    pub is_pinned: bool,
}

/// A global variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Global {
    /// Its name.
    pub name: String,
    /// Its section: `.bss`, `.data`, `.rodata.mine`.
    pub section: String,
    /// Whether programs and loaders may only read it once it is loaded.
    pub is_constant: bool,
    /// Its declaration in C; the name alone without type information.
    pub declaration: String,
    /// Where it lies in its section, in bytes.
    pub offset: u64,
    /// Its size in bytes.
    pub size: u64,
}

/// What an object wants of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extern {
    /// Its name.
    pub name: String,
    /// `kfunc`, `ksym`, `kconfig` or `unknown`.
    pub kind: &'static str,
    /// Whether the object can do without.
    pub is_weak: bool,
    /// Its declaration in C.
    pub declaration: Option<String>,
}

/// Something that instructions refer to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// What it is: one of [`references::Reference::kind`], or `core` for a
    /// CO-RE relocation.
    pub kind: &'static str,
    /// Its name; of a CO-RE relocation the type and field.
    pub name: String,
    /// Of a CO-RE relocation what is asked: `byte_off`.
    pub question: Option<&'static str>,
    /// The functions that do.
    pub functions: Vec<String>,
    /// How many instructions do.
    pub count: usize,
}

/// Describes an object.
pub fn of(object: &Object) -> Contents {
    let size = |name: &str| {
        let sections = object.sections.iter().filter(|section| section.name.starts_with(name));
        sections.map(|section| section.size).sum::<u64>()
    };
    Contents {
        license: object.license.clone(),
        kernel_version: object.kernel_version,
        big_endian: object.endian == Endian::Big,
        btf_bytes: object.btf.is_some().then(|| size(".BTF")),
        dwarf_bytes: size(".debug_"),
        programs: object.programs().map(|program| self::program(object, program)).collect(),
        subprograms: object
            .functions
            .iter()
            .filter(|function| function.is_subprogram)
            .map(|function| Subprogram {
                name: function.name.clone(),
                instructions: function.slots.len(),
                place: place(object, function),
            })
            .collect(),
        maps: maps(object),
        globals: globals(object),
        externs: externs(object),
        references: references(object),
    }
}

fn program(object: &Object, program: &Function) -> Program {
    let target = object.target(program).ok();
    Program {
        name: program.name.clone(),
        section: object.section_name(program).to_owned(),
        program_type: target.map(|target| target.def.program_type.name()),
        target: target.and_then(|target| target.target).map(str::to_owned),
        instructions: program.slots.len(),
        place: place(object, program),
    }
}

/// The C line that a function's first instruction comes from.
fn place(object: &Object, function: &Function) -> Option<(String, u32)> {
    let span = object.span_of(function)?;
    Some((span.file.to_string_lossy().into_owned(), span.start.line))
}

fn maps(object: &Object) -> Vec<Map> {
    let btf = object.btf.as_deref();
    let spell = |ty| btf.zip(ty).map(|(btf, ty)| btf.spell(ty, ""));
    let map = |map: &crate::elf::Map| Map {
        name: map.name.clone(),
        map_type: map.def.known_type().map(|map_type| map_type.name()),
        key_size: map.def.key_size,
        value_size: map.def.value_size,
        key: spell(map.def.key),
        value: spell(map.def.value),
        max_entries: map.def.max_entries,
        flags: match map.def.flags {
            0 => String::new(),
            flags => map_flags::names(flags),
        },
        is_pinned: map.def.pinning == Pinning::ByName,
    };
    object.maps.iter().map(map).collect()
}

fn globals(object: &Object) -> Vec<Global> {
    let btf = object.btf.as_deref();
    let declaration = |name: &str| {
        let btf: &Btf = btf?;
        match btf.ty(btf.find(Kind::Var, name)?) {
            Type::Var(var) => Some(btf.spell(var.ty, name)),
            _ => None,
        }
    };
    let mut globals = Vec::new();
    for data in &object.data {
        for variable in &data.variables {
            globals.push(Global {
                name: variable.name.clone(),
                section: object.sections[data.section].name.clone(),
                is_constant: data.kind == DataKind::Rodata,
                declaration: declaration(&variable.name).unwrap_or_else(|| variable.name.clone()),
                offset: variable.offset,
                size: variable.size,
            });
        }
    }
    globals
}

fn externs(object: &Object) -> Vec<Extern> {
    let btf = object.btf.as_deref();
    let declaration = |known: &crate::elf::Extern| {
        let btf: &Btf = btf?;
        match btf.ty(known.ty?) {
            Type::Var(var) => Some(btf.spell(var.ty, &known.name)),
            Type::Func { proto, .. } => Some(btf.spell(proto, &known.name)),
            _ => None,
        }
    };
    let describe = |known: &crate::elf::Extern| Extern {
        name: known.name.clone(),
        kind: match known.kind {
            ExternKind::Kfunc => "kfunc",
            ExternKind::Ksym => "ksym",
            ExternKind::Kconfig => "kconfig",
            ExternKind::Unknown => "unknown",
        },
        is_weak: known.weak,
        declaration: declaration(known),
    };
    object.externs.iter().map(describe).collect()
}

fn references(object: &Object) -> Vec<Use> {
    type Key = (&'static str, String, Option<&'static str>);
    let mut uses: BTreeMap<Key, (Vec<String>, usize)> = BTreeMap::new();
    let mut note = |key: Key, function: &str| {
        let (functions, count) = uses.entry(key).or_default();
        *count += 1;
        if functions.last().is_none_or(|last| last != function) {
            functions.push(function.to_owned());
        }
    };
    for function in &object.functions {
        for slot in function.slots.clone() {
            if let Some(known) = references::of(object, function.section, slot) {
                note((known.kind, known.name, None), &function.name);
            }
        }
    }
    let mut core = object.core_relocations();
    core.sort_by_key(|(section, slot, _)| (*section, *slot));
    for (section, slot, relo) in core {
        let known = (object.btf.as_deref(), Question::from_number(relo.kind));
        let (Some(btf), Some(question)) = known else { continue };
        let Ok(spec) = Spec::parse(btf, relo.ty, relo.access, question) else { continue };
        if let Some(function) = object.function_at(section, slot) {
            note(("core", spec.describe(btf), Some(question.as_str())), &function.name);
        }
    }
    uses.into_iter()
        .map(|((kind, name, question), (functions, count))| Use {
            kind,
            name,
            question,
            functions,
            count,
        })
        .collect()
}
