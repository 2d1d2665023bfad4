//! Floor 2: the object file that clang makes of a `.bpf.c`, read as libbpf
//! reads it: sections, functions with their instructions, maps, globals,
//! externs, relocations, and where on which C line each instruction comes
//! from. The only place that knows ELF.
//!
//! [`Object::parse`] fails on what is no BPF object at all. What is wrong
//! within an object it collects as [`Problem`]s, because one damaged map must
//! not hide the rest. Bytes are not trusted: whatever they say, reading takes
//! time and memory in proportion to their number.

mod error;
mod executable;
#[cfg(test)]
pub(crate) mod fixture;
mod global;
mod lines;
mod maps;
mod marks;
mod problem;
mod read;
mod section;
mod struct_ops;
#[cfg(test)]
mod tests;

pub use error::Error;
pub use executable::{Executable, loaded_part};
pub use global::{Global, GlobalError};
pub use maps::{Initial, MapDef, MapValue, Pinning};
pub use marks::{Mark, SECTION as MARKS, with_marks};
pub use problem::Problem;
pub use section::section;
pub use struct_ops::StructOps;

use crate::bpf::{self, Insn, SectionError, SectionTarget};
use crate::btf::{Btf, Kind, Type, TypeId, ext};
use crate::diagnostics::Span;
use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A BPF object.
#[derive(Clone, Debug)]
pub struct Object {
    /// The byte order.
    pub endian: bpf::Endian,
    /// The sections by their ELF index; the first one is the empty one that
    /// ELF begins with.
    pub sections: Vec<Section>,
    /// The functions, by section and offset: programs, and in `.text`
    /// subprograms.
    pub functions: Vec<Function>,
    /// The maps of section `.maps`, in the order of their BTF.
    pub maps: Vec<Map>,
    /// What the maps hold from the beginning (`.values = { … }`).
    pub map_values: Vec<MapValue>,
    /// The structs of functions that programs implement, by section.
    pub struct_ops: Vec<StructOps>,
    /// The functions that those structs name, by section and first slot.
    pub implementing: HashSet<(usize, usize)>,
    /// The sections of global data, by their ELF index; libbpf makes a map of
    /// each.
    pub data: Vec<DataSection>,
    /// The variables that LLVM puts into an arena (`__arena`), by offset.
    pub arena: Vec<Variable>,
    /// What is declared `extern`: kfuncs, symbols and options of the kernel.
    pub externs: Vec<Extern>,
    /// What the instructions refer to by name, by section and offset.
    pub relocations: Vec<Relocation>,
    /// The text of section `license`.
    pub license: Option<String>,
    /// The number in section `version`, which kernels before 5.0 compare with
    /// their own for kprobes.
    pub kernel_version: Option<u32>,
    /// The type information, if there is any that can be read.
    pub btf: Option<Arc<Btf>>,
    /// Where functions, lines and CO-RE accesses are, likewise.
    pub ext: Option<Arc<ext::Ext>>,
    /// What is wrong with it, in the order of discovery.
    pub problems: Vec<Problem>,
    lines: lines::Lines,
}

/// A section.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its instructions, if it holds code.
    pub insns: Arc<[Insn]>,
}

/// Who sees a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binding {
    /// Its own file: `static`.
    Local,
    /// Everyone.
    Global,
    /// Everyone, unless there is another one.
    Weak,
}

/// A function with its instructions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name in C.
    pub name: String,
    /// The index of its section.
    pub section: usize,
    /// Its instructions, as slots of the section.
    pub slots: Range<usize>,
    /// Who sees it.
    pub binding: Binding,
    /// Whether it is `__hidden`, so that the verifier treats it as static.
    pub hidden: bool,
    /// Whether it stands in `.text`: called by programs, not loaded itself.
    pub is_subprogram: bool,
}

/// A map of section `.maps`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    /// Its name.
    pub name: String,
    /// Where it lies in the section, in bytes.
    pub offset: u64,
    /// What its definition says, as far as it can be read.
    pub def: MapDef,
}

/// What kind of global data a section holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataKind {
    /// `.data`: initialised.
    Data,
    /// `.rodata`: constant once loaded.
    Rodata,
    /// `.bss`: zero.
    Bss,
}

/// A section of global data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataSection {
    /// The index of the section.
    pub section: usize,
    /// What kind of data.
    pub kind: DataKind,
    /// Its content; empty where all of it is zero.
    pub bytes: Vec<u8>,
    /// The variables in it, by offset.
    pub variables: Vec<Variable>,
}

/// A global variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Where it lies in its section, in bytes.
    pub offset: u64,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it is `__hidden`: nobody outside of the object may use it.
    pub hidden: bool,
}

/// What an extern stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExternKind {
    /// A function of the kernel (`__ksym` on a function).
    Kfunc,
    /// A variable of the kernel, with (`Some`) or without a type.
    Ksym,
    /// An option of the kernel's configuration (`__kconfig`).
    Kconfig,
    /// Nothing that libbpf can provide.
    Unknown,
}

/// Something declared `extern`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extern {
    /// Its name.
    pub name: String,
    /// What it stands for.
    pub kind: ExternKind,
    /// Whether the program can do without (`__weak`).
    pub weak: bool,
    /// Its declaration in the object's BTF.
    pub ty: Option<TypeId>,
}

/// What an instruction refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A map, by its index in [`Object::maps`].
    Map(usize),
    /// Global data, by its index in [`Object::data`]; the place in it is
    /// this offset plus the instruction's own.
    Data {
        /// The index.
        index: usize,
        /// The symbol's offset in the section, in bytes.
        offset: u64,
    },
    /// A function, by the symbol's offset in `.text`, in bytes; the
    /// instruction's immediate counts too ([`Object::callee`]).
    Text(u64),
    /// An extern, by its index in [`Object::externs`].
    Extern(usize),
    /// A jump table (`.jumptables`), by its offset and size in bytes.
    JumpTable {
        /// Where it begins.
        offset: u64,
        /// How long it is.
        size: u64,
    },
    /// Data of an arena (`.addr_space.1`), by its offset in bytes.
    Arena(u64),
}

/// A relocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// The index of the section whose code it changes.
    pub section: usize,
    /// The instruction, as a slot of the section.
    pub slot: usize,
    /// What it refers to.
    pub target: Target,
}

impl Object {
    /// Reads an object.
    ///
    /// # Errors
    /// Where the bytes are no BPF object, or one so damaged that its sections
    /// cannot be found.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        read::parse(bytes)
    }

    /// The functions that libbpf loads as programs.
    pub fn programs(&self) -> impl Iterator<Item = &Function> {
        self.functions.iter().filter(|function| !function.is_subprogram)
    }

    /// The program of that name.
    pub fn program(&self, name: &str) -> Option<&Function> {
        self.programs().find(|function| function.name == name)
    }

    /// A function's instructions.
    pub fn insns(&self, function: &Function) -> &[Insn] {
        // Slots are checked against the section when the object is read.
        &self.sections[function.section].insns[function.slots.clone()]
    }

    /// The name of a function's section, as `SEC()` wrote it.
    pub fn section_name(&self, function: &Function) -> &str {
        &self.sections[function.section].name
    }

    /// What libbpf makes of a program's section.
    ///
    /// # Errors
    /// Where it makes nothing of it.
    pub fn target(&self, program: &Function) -> Result<SectionTarget<'_>, SectionError> {
        SectionTarget::resolve(self.section_name(program))
    }

    /// The type of a variable of the kernel's that is declared with one, less
    /// qualifiers and typedefs: libbpf looks such up in the kernel's BTF, and
    /// those without (`extern const void name`) in its list of symbols.
    pub fn variable_type(&self, known: &Extern) -> Option<TypeId> {
        let btf = self.btf.as_deref()?;
        let Type::Var(variable) = btf.ty(known.ty?) else { return None };
        let ty = btf.resolve(variable.ty);
        (known.kind == ExternKind::Ksym && btf.kind(ty) != Kind::Void).then_some(ty)
    }

    /// The function that has a slot of a section's code.
    pub fn function_at(&self, section: usize, slot: usize) -> Option<&Function> {
        let end = self.functions.partition_point(|function| {
            (function.section, function.slots.start) <= (section, slot)
        });
        let function = &self.functions[end.checked_sub(1)?];
        (function.section == section && function.slots.contains(&slot)).then_some(function)
    }

    /// The relocation of an instruction.
    pub fn relocation(&self, section: usize, slot: usize) -> Option<&Relocation> {
        self.relocations
            .binary_search_by_key(&(section, slot), |known| (known.section, known.slot))
            .ok()
            .map(|index| &self.relocations[index])
    }

    /// The relocations of a function, in the order of its instructions.
    pub fn relocations_of(&self, function: &Function) -> &[Relocation] {
        let at = |slot: usize| {
            self.relocations
                .partition_point(|known| (known.section, known.slot) < (function.section, slot))
        };
        &self.relocations[at(function.slots.start)..at(function.slots.end)]
    }

    /// The function of `.text` that the instruction in a slot calls or takes
    /// the address of, found as libbpf does (`bpf_object__reloc_code`).
    pub fn callee(&self, section: usize, slot: usize) -> Option<&Function> {
        let insn = *self.sections.get(section)?.insns.get(slot)?;
        let imm = i64::from(insn.imm);
        let target = match self.relocation(section, slot).map(|known| known.target) {
            Some(Target::Text(offset)) => {
                let offset = i64::try_from(offset).ok()?;
                if insn.is_subprogram_call() {
                    offset / 8 + imm + 1
                } else {
                    offset.checked_add(imm)? / 8
                }
            }
            Some(_) => return None,
            // A call within .text needs no relocation.
            None if insn.is_subprogram_call() => i64::try_from(slot).ok()? + imm + 1,
            None => return None,
        };
        let function = self.function_at(self.text()?, usize::try_from(target).ok()?)?;
        Some(function)
    }

    /// The index of `.text`.
    fn text(&self) -> Option<usize> {
        self.functions.iter().find(|function| function.is_subprogram).map(|known| known.section)
    }

    /// The CO-RE relocations of all functions, in the order libbpf applies
    /// them, each with the section and slot of its instruction. Those that
    /// belong to no function are left out: a linker that drops one of two weak
    /// functions leaves them behind.
    pub fn core_relocations(&self) -> Vec<(usize, usize, ext::CoreRelo)> {
        let (Some(btf), Some(ext)) = (&self.btf, &self.ext) else { return Vec::new() };
        let mut found = Vec::new();
        for part in &ext.core_relo {
            let name = btf.string(part.name).unwrap_or_default();
            let Some(section) = self.sections.iter().position(|section| section.name == name)
            else {
                continue;
            };
            for relo in &part.records {
                let slot = relo.offset as usize / 8;
                if self.function_at(section, slot).is_some() {
                    found.push((section, slot, *relo));
                }
            }
        }
        found
    }

    /// The C line that the instruction in a slot of a section comes from.
    pub fn span(&self, section: usize, slot: usize) -> Option<Span> {
        let btf = self.btf.as_deref()?;
        let line = self.lines.find(section, slot)?;
        let file = btf.string_lossy(line.file);
        if file.is_empty() || line.line == 0 {
            return None;
        }
        let text = btf.string_lossy(line.text);
        let span = Span::point(plain(&file), line.line, line.column);
        Some(if text.is_empty() { span } else { span.with_line_text(text) })
    }

    /// The C line at which a function begins: its first line record.
    pub fn span_of(&self, function: &Function) -> Option<Span> {
        self.span(function.section, function.slots.start)
    }

    /// The source files that line info names, each once, in its order.
    pub fn source_files(&self) -> Vec<PathBuf> {
        let Some(btf) = self.btf.as_deref() else { return Vec::new() };
        let mut files: Vec<PathBuf> = Vec::new();
        for offset in self.lines.files() {
            let file = btf.string_lossy(offset);
            if !file.is_empty() {
                files.push(plain(&file));
            }
        }
        files
    }

    /// Whether any instruction has a C line.
    pub fn has_lines(&self) -> bool {
        !self.lines.is_empty()
    }
}

/// A file as line info names it, which is how it was named to clang behind
/// where clang was started: without the `./` in the middle.
fn plain(file: &str) -> PathBuf {
    Path::new(file).components().collect()
}
