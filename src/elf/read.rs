//! From bytes to an [`Object`], in the order libbpf goes about it
//! (`bpf_object_open`): headers, sections, symbols, functions, BTF, maps,
//! externs, relocations.

use super::lines::Lines;
use super::maps::{Initial, MapDef, MapValue, read_def};
use super::{
    Binding, DataKind, DataSection, Error, Extern, ExternKind, Function, Map, Object, Problem,
    Relocation, Section, Target, Variable, struct_ops,
};
use crate::bpf::{self, INSN_SIZE, Insn, MapType};
use crate::btf::{Btf, Kind, Linkage, Type, TypeId, ext::Ext};
use object::elf;
use object::elf::{FileHeader32, FileHeader64};
use object::read::elf::{FileHeader, Rel as _, SectionHeader as _, SectionTable, Sym as _};
use object::{Endianness, SectionIndex};
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

type Header = FileHeader64<Endianness>;

/// The sections that libbpf knows by name.
const MAPS: &str = ".maps";
const TEXT: &str = ".text";
const ARENA: &str = ".addr_space.1";
const JUMP_TABLES: &str = ".jumptables";

pub(super) fn parse(bytes: &[u8]) -> Result<Object, Error> {
    let header = check_header(bytes)?;
    let mut reader = Reader::new(bytes, header)?;
    reader.read_sections()?;
    reader.read_symbols()?;
    reader.find_functions();
    reader.read_btf();
    reader.find_data();
    reader.find_maps();
    reader.find_map_values();
    reader.find_struct_ops();
    reader.find_externs();
    reader.read_relocations()?;
    Ok(reader.finish())
}

/// What a file that is not ELF seems to be, by its first bytes.
fn looks_like(bytes: &[u8]) -> Option<&'static str> {
    let magics: [(&[u8], &str); 11] = [
        (b"!<arch>\n", "an archive of objects or a Debian package"),
        (b"BC\xc0\xde", "LLVM bitcode"),
        (b"\xde\xc0\x17\x0b", "LLVM bitcode"),
        (b"\x1f\x8b", "compressed with gzip"),
        (b"\xfd7zXZ", "compressed with xz"),
        (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
        (b"\x9f\xeb", "raw BTF"),
        (b"\xeb\x9f", "raw BTF"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"CPCH", "a precompiled header"),
        (b"MZ", "a Windows program or a kernel image"),
    ];
    if let Some((_, what)) = magics.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Some(what);
    }
    let head = &bytes[..bytes.len().min(512)];
    let is_text = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~' | 0x80..);
    if head.iter().all(is_text) {
        return Some("a text file");
    }
    head.iter().all(|&byte| byte == 0).then_some("all zeros")
}

/// Whether the bytes are a BPF object, by their first header.
fn check_header(bytes: &[u8]) -> Result<&Header, Error> {
    if bytes.is_empty() {
        return Err(Error::Empty);
    }
    let Some(ident) = bytes.strip_prefix(b"\x7fELF") else {
        return Err(Error::NotElf { looks_like: looks_like(bytes) });
    };
    let cut_off = Error::Truncated { what: "the ELF header" };
    let (kind, machine) = match ident.first() {
        None => return Err(cut_off),
        Some(1) => match FileHeader32::<Endianness>::parse(bytes) {
            Ok(header) => {
                let endian = header.endian().unwrap_or_default();
                (header.e_type(endian).0, header.e_machine(endian).0)
            }
            Err(_) if bytes.len() < size_of::<FileHeader32<Endianness>>() => return Err(cut_off),
            Err(_) => return Err(damaged("its ELF header is of no known form")),
        },
        Some(_) => {
            let header = match Header::parse(bytes) {
                Ok(header) => header,
                Err(_) if bytes.len() < size_of::<Header>() => return Err(cut_off),
                Err(_) => return Err(damaged("its ELF header is of no known form")),
            };
            let endian = header.endian().map_err(|_| damaged("its byte order is unknown"))?;
            let (kind, machine) = (header.e_type(endian), header.e_machine(endian).0);
            // Before 2016, LLVM wrote no machine.
            if kind == elf::ET_REL && (machine == elf::EM_BPF.0 || machine == 0) {
                return Ok(header);
            }
            (kind.0, machine)
        }
    };
    Err(Error::NotBpf { what: name_of(kind, machine) })
}

/// An ELF file in words: `an x86-64 executable`.
fn name_of(kind: u16, machine: u16) -> String {
    let machine = match machine {
        3 => "an x86".to_owned(),
        8 => "a MIPS".to_owned(),
        20 | 21 => "a PowerPC".to_owned(),
        22 => "an s390".to_owned(),
        40 => "an ARM".to_owned(),
        62 => "an x86-64".to_owned(),
        183 => "an AArch64".to_owned(),
        243 => "a RISC-V".to_owned(),
        247 => "a BPF".to_owned(),
        258 => "a LoongArch".to_owned(),
        other => format!("a machine-{other}"),
    };
    let kind = match kind {
        1 => "object",
        2 => "executable",
        3 => "executable or shared library",
        4 => "core dump",
        _ => "ELF file of unknown kind",
    };
    format!("{machine} {kind}")
}

fn damaged(what: impl Into<String>) -> Error {
    Error::Damaged { what: what.into() }
}

/// A symbol, its name copied once.
struct Symbol {
    name: String,
    section: usize,
    value: u64,
    size: u64,
    kind: elf::SymbolType,
    binding: Binding,
    hidden: bool,
}

impl Symbol {
    /// Whether it is one that the loader must provide.
    fn is_extern(&self) -> bool {
        self.section == 0 && self.binding != Binding::Local && self.kind == elf::STT_NOTYPE
    }
}

struct Reader<'b> {
    bytes: &'b [u8],
    endian: Endianness,
    table: SectionTable<'b, Header>,
    object: Object,
    symbols: Vec<Symbol>,
    /// The content of each section that libbpf reads.
    contents: Vec<&'b [u8]>,
    text: Option<usize>,
    /// By map: where the section has it, and where in it its values begin.
    map_places: Vec<(Range<u64>, Option<u64>)>,
    extern_of_symbol: HashMap<usize, usize>,
    /// How many more bytes of names and content may be copied. An honest
    /// object has each once; a hostile one refers to the same bytes from
    /// many places.
    budget: usize,
}

impl<'b> Reader<'b> {
    fn new(bytes: &'b [u8], header: &'b Header) -> Result<Self, Error> {
        let endian = header.endian().map_err(|_| damaged("its byte order is unknown"))?;
        let end = |offset: u64, size: u64| offset.checked_add(size);
        let table_size = u64::from(header.e_shnum(endian)) * size_of_section_header();
        if end(header.e_shoff(endian), table_size).is_none_or(|end| end > bytes.len() as u64) {
            return Err(Error::Truncated { what: "the table of sections" });
        }
        let table = header
            .sections(endian, bytes)
            .map_err(|_| damaged("its table of sections cannot be read"))?;
        if table.is_empty() {
            return Err(damaged("it has no sections"));
        }
        let object = Object {
            endian: match endian {
                Endianness::Little => bpf::Endian::Little,
                Endianness::Big => bpf::Endian::Big,
            },
            sections: Vec::new(),
            functions: Vec::new(),
            maps: Vec::new(),
            map_values: Vec::new(),
            struct_ops: Vec::new(),
            implementing: HashSet::new(),
            data: Vec::new(),
            arena: Vec::new(),
            externs: Vec::new(),
            relocations: Vec::new(),
            license: None,
            kernel_version: None,
            btf: None,
            ext: None,
            problems: Vec::new(),
            lines: Lines::default(),
        };
        Ok(Self {
            bytes,
            endian,
            table,
            object,
            symbols: Vec::new(),
            contents: Vec::new(),
            text: None,
            map_places: Vec::new(),
            extern_of_symbol: HashMap::new(),
            budget: bytes.len().saturating_mul(4),
        })
    }

    fn spend(&mut self, size: usize) -> Result<(), Error> {
        let rest = self.budget.checked_sub(size);
        self.budget = rest.ok_or_else(|| damaged("its sections or names overlap"))?;
        Ok(())
    }

    fn read_sections(&mut self) -> Result<(), Error> {
        for (index, header) in self.table.clone().enumerate() {
            let name = match self.table.section_name(self.endian, header) {
                Ok(name) => String::from_utf8_lossy(name).into_owned(),
                Err(_) if index.0 == 0 => String::new(),
                Err(_) => return Err(damaged("the name of a section cannot be read")),
            };
            self.spend(name.len())?;
            let kind = header.sh_type(self.endian);
            let flags = header.sh_flags(self.endian);
            let ignored = kind == elf::SHT_NULL
                || kind == elf::SHT_NOBITS
                || name.starts_with(".debug_")
                || name.starts_with(".rel.debug_");
            let content = if ignored {
                &[]
            } else {
                let content = header.data(self.endian, self.bytes);
                content.map_err(|_| Error::Truncated { what: "the content of a section" })?
            };
            let is_code = kind == elf::SHT_PROGBITS
                && flags & elf::SHF_EXECINSTR == elf::SHF_EXECINSTR
                && !content.is_empty();
            let insns = if is_code {
                self.spend(content.len())?;
                if !content.len().is_multiple_of(INSN_SIZE) {
                    self.object.problems.push(Problem::RaggedCode { section: name.clone() });
                }
                if name == TEXT {
                    self.text = Some(index.0);
                }
                Insn::read_all(content, self.object.endian)
            } else {
                Vec::new()
            };
            match name.as_str() {
                "license" => {
                    // libbpf keeps 63 bytes, up to the first NUL.
                    let text = content.split(|&byte| byte == 0).next().unwrap_or_default();
                    let text = &text[..text.len().min(63)];
                    self.object.license = Some(String::from_utf8_lossy(text).into_owned());
                }
                "version" => self.read_version(content),
                _ => {}
            }
            let size = header.sh_size(self.endian);
            self.object.sections.push(Section { name, size, insns: insns.into() });
            self.contents.push(content);
        }
        Ok(())
    }

    fn read_version(&mut self, content: &[u8]) {
        match <[u8; 4]>::try_from(content) {
            Ok(bytes) => {
                self.object.kernel_version = Some(match self.object.endian {
                    bpf::Endian::Little => u32::from_le_bytes(bytes),
                    bpf::Endian::Big => u32::from_be_bytes(bytes),
                });
            }
            Err(_) => self.object.problems.push(Problem::BadSection {
                section: "version".to_owned(),
                what: "is not a number of four bytes",
            }),
        }
    }

    fn read_symbols(&mut self) -> Result<(), Error> {
        let table = self
            .table
            .symbols(self.endian, self.bytes, elf::SHT_SYMTAB)
            .map_err(|_| damaged("its symbol table cannot be read"))?;
        if table.is_empty() {
            return Err(Error::Stripped);
        }
        for (index, symbol) in table.enumerate() {
            let name = match table.symbol_name(self.endian, symbol) {
                Ok(name) => String::from_utf8_lossy(name).into_owned(),
                Err(_) => return Err(damaged("the name of a symbol cannot be read")),
            };
            self.spend(name.len())?;
            let section = match symbol.st_shndx(self.endian) {
                elf::SHN_XINDEX => table.shndx(self.endian, index).unwrap_or_default() as usize,
                section => usize::from(section.0),
            };
            let visibility = symbol.st_visibility();
            self.symbols.push(Symbol {
                name,
                section,
                value: symbol.st_value(self.endian),
                size: symbol.st_size(self.endian),
                kind: symbol.st_type(),
                binding: match symbol.st_bind() {
                    elf::STB_LOCAL => Binding::Local,
                    elf::STB_WEAK => Binding::Weak,
                    _ => Binding::Global,
                },
                hidden: visibility == elf::STV_HIDDEN || visibility == elf::STV_INTERNAL,
            });
        }
        Ok(())
    }

    /// `bpf_object__add_programs`.
    fn find_functions(&mut self) {
        for symbol in &self.symbols {
            if symbol.kind != elf::STT_FUNC {
                continue;
            }
            let Some(section) = self.object.sections.get(symbol.section) else { continue };
            if section.insns.is_empty() {
                continue;
            }
            let end = symbol.value.checked_add(symbol.size);
            let slot = INSN_SIZE as u64;
            let what = if end.is_none_or(|end| end > section.size) {
                "reaches beyond the section's end"
            } else if symbol.size == 0 {
                "is empty"
            } else if !symbol.value.is_multiple_of(slot) || !symbol.size.is_multiple_of(slot) {
                "does not begin and end between instructions"
            } else {
                let start = (symbol.value / slot) as usize;
                let is_subprogram = self.text == Some(symbol.section);
                if symbol.binding == Binding::Local && !is_subprogram {
                    self.object.problems.push(Problem::StaticProgram {
                        function: symbol.name.clone(),
                        section: symbol.section,
                        slot: start,
                    });
                }
                self.object.functions.push(Function {
                    name: symbol.name.clone(),
                    section: symbol.section,
                    slots: start..start + (symbol.size / slot) as usize,
                    binding: symbol.binding,
                    hidden: symbol.hidden,
                    is_subprogram,
                });
                continue;
            };
            self.object.problems.push(Problem::BadFunction {
                function: symbol.name.clone(),
                section: section.name.clone(),
                what,
            });
        }
        self.object.functions.sort_by_key(|function| (function.section, function.slots.start));
    }

    fn section_named(&self, name: &str) -> Option<usize> {
        self.object.sections.iter().position(|section| section.name == name)
    }

    fn read_btf(&mut self) {
        let problems = &mut self.object.problems;
        let content = |name: &str| {
            let index = self.object.sections.iter().position(|known| known.name == name)?;
            Some(self.contents[index]).filter(|content| !content.is_empty())
        };
        let Some(bytes) = content(".BTF") else { return };
        let btf = match Btf::parse(bytes) {
            Ok(btf) => Arc::new(btf),
            Err(error) => return problems.push(Problem::BadBtf(error)),
        };
        if let Some(bytes) = content(".BTF.ext") {
            match Ext::parse(bytes, &btf) {
                Ok(ext) => {
                    let names: HashMap<&str, usize> = self
                        .object
                        .sections
                        .iter()
                        .enumerate()
                        .map(|(index, section)| (section.name.as_str(), index))
                        .collect();
                    self.object.lines = Lines::new(&ext, &btf, |name| names.get(name).copied());
                    self.object.ext = Some(Arc::new(ext));
                }
                Err(error) => problems.push(Problem::BadBtfExt(error)),
            }
        }
        self.object.btf = Some(btf);
    }

    fn find_data(&mut self) {
        let mut variables: HashMap<usize, Vec<Variable>> = HashMap::new();
        for symbol in &self.symbols {
            if symbol.kind == elf::STT_OBJECT {
                variables.entry(symbol.section).or_default().push(Variable {
                    name: symbol.name.clone(),
                    offset: symbol.value,
                    size: symbol.size,
                    hidden: symbol.hidden,
                });
            }
        }
        for (index, header) in self.table.clone().enumerate() {
            let name = self.object.sections[index.0].name.as_str();
            let kind = header.sh_type(self.endian);
            let is = |wanted: &str| {
                name.strip_prefix(wanted)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            if name == ARENA {
                let mut variables = variables.remove(&index.0).unwrap_or_default();
                variables.sort_by_key(|variable| variable.offset);
                self.object.arena = variables;
                continue;
            }
            let kind = match kind {
                elf::SHT_PROGBITS if is(".data") => DataKind::Data,
                elf::SHT_PROGBITS if is(".rodata") => DataKind::Rodata,
                elf::SHT_NOBITS if is(".bss") => DataKind::Bss,
                _ => continue,
            };
            if self.object.sections[index.0].size == 0
                || !self.object.sections[index.0].insns.is_empty()
            {
                continue;
            }
            let mut variables = variables.remove(&index.0).unwrap_or_default();
            variables.sort_by_key(|variable| variable.offset);
            // A copy each is within the budget only for sections that do not
            // overlap; one that does is left without its content.
            let content = self.contents[index.0];
            let bytes = match self.budget.checked_sub(content.len()) {
                Some(rest) => {
                    self.budget = rest;
                    content.to_vec()
                }
                None => Vec::new(),
            };
            self.object.data.push(DataSection { section: index.0, kind, bytes, variables });
        }
    }

    /// `bpf_object__init_user_btf_maps`, and the maps of old.
    fn find_maps(&mut self) {
        if let Some(legacy) = self.section_named("maps") {
            let maps = self
                .symbols
                .iter()
                .filter(|symbol| symbol.section == legacy && symbol.kind == elf::STT_OBJECT);
            let maps = maps.map(|symbol| symbol.name.clone()).collect();
            self.object.problems.push(Problem::LegacyMaps { maps });
        }
        let Some(section) = self.section_named(MAPS) else { return };
        let Some(btf) = self.object.btf.clone() else {
            self.object.problems.push(Problem::MissingBtf { what: "the maps in section .maps" });
            return;
        };
        let Some(Type::Datasec(list)) = btf.find(Kind::Datasec, MAPS).map(|id| btf.ty(id)) else {
            let map = MAPS.to_owned();
            let what = "the BTF does not describe this section".to_owned();
            self.object.problems.push(Problem::BadMap { map, what });
            return;
        };
        // clang leaves the offsets in BTF to relocations; the symbols know.
        let offsets: HashMap<&str, (u64, u64)> = self
            .symbols
            .iter()
            .filter(|symbol| symbol.section == section && symbol.kind == elf::STT_OBJECT)
            .map(|symbol| (symbol.name.as_str(), (symbol.value, symbol.size)))
            .collect();
        for item in list.items() {
            let Type::Var(var) = btf.ty(item.ty) else { continue };
            let name = var.name.to_owned();
            let problems = &mut self.object.problems;
            let mut wrong =
                |what: String| problems.push(Problem::BadMap { map: name.clone(), what });
            if var.linkage != Linkage::Global {
                wrong(format!(
                    "it is {}, but libbpf wants maps to be global",
                    var.linkage.as_str()
                ));
            }
            let mut values = None;
            let def = match btf.ty(btf.resolve(var.ty)) {
                Type::Struct(def) => {
                    let last = def.members().last().filter(|last| last.name == "values");
                    values = last.map(|last| u64::from(last.bit_offset / 8));
                    read_def(&btf, def, &mut wrong)
                }
                _ => {
                    wrong("its definition is not a struct".to_owned());
                    MapDef::default()
                }
            };
            let (offset, size) = offsets
                .get(var.name)
                .copied()
                .unwrap_or((u64::from(item.offset), u64::from(item.size)));
            self.map_places.push((offset..offset.saturating_add(size), values));
            self.object.maps.push(Map { name, offset, def });
        }
    }

    /// The relocations of a section. One table is enough, whatever the table
    /// of sections says.
    fn records_of(&self, section: usize) -> &'b [elf::Rel64<Endianness>] {
        let records = self.table.iter().find_map(|header| {
            let (records, _) = header.rel(self.endian, self.bytes).ok()??;
            (header.info_link(self.endian).0 == section).then_some(records)
        });
        records.unwrap_or_default()
    }

    /// `bpf_object__collect_map_relos`.
    fn find_map_values(&mut self) {
        let Some(section) = self.section_named(MAPS) else { return };
        let mut by_offset: Vec<usize> = (0..self.object.maps.len()).collect();
        by_offset.sort_by_key(|index| self.map_places[*index].0.start);
        let maps: HashMap<u64, usize> =
            self.object.maps.iter().enumerate().map(|(index, map)| (map.offset, index)).collect();
        let mut said = HashSet::new();
        for record in self.records_of(section) {
            let offset = record.r_offset(self.endian);
            let end = by_offset.partition_point(|index| self.map_places[*index].0.start <= offset);
            let Some(&map) = end.checked_sub(1).and_then(|last| by_offset.get(last)) else {
                continue;
            };
            let (place, values) = &self.map_places[map];
            let Some(symbol) = self.symbols.get(record.r_sym(self.endian) as usize) else {
                continue;
            };
            let into = values.and_then(|values| offset.checked_sub(place.start + values));
            let Some(into) = into.filter(|into| place.contains(&offset) && into % 8 == 0) else {
                continue;
            };
            let def = &self.object.maps[map].def;
            let name = &symbol.name;
            let target = match def.known_type() {
                Some(known) if known.is_map_in_map() => {
                    let target = maps.get(&symbol.value).filter(|_| symbol.section == section);
                    if known == MapType::HashOfMaps && def.key_size != 4 && def.key_size != 0 {
                        let size = def.key_size;
                        Err(format!("with `values`, its keys must have 4 bytes, not {size}"))
                    } else {
                        let what = || format!("`{name}` in its values is no map of this object");
                        target.map(|index| Initial::Map(*index)).ok_or_else(what)
                    }
                }
                Some(MapType::ProgArray) => {
                    let slot = usize::try_from(symbol.value / INSN_SIZE as u64).ok();
                    let key = slot.map(|slot| (symbol.section, slot));
                    let found = key.and_then(|key| {
                        let functions = &self.object.functions;
                        functions.binary_search_by_key(&key, |f| (f.section, f.slots.start)).ok()
                    });
                    let is_program = |index: &usize| !self.object.functions[*index].is_subprogram;
                    found.filter(is_program).map(Initial::Program).ok_or_else(|| {
                        format!(
                            "`{name}` in its values is no program: only functions with SEC() are"
                        )
                    })
                }
                _ => continue,
            };
            match target {
                Ok(target) => {
                    let slot = usize::try_from(into / 8).unwrap_or(usize::MAX);
                    self.object.map_values.push(MapValue { map, slot, target });
                }
                Err(what) if said.insert((map, what.clone())) => {
                    let map = self.object.maps[map].name.clone();
                    self.object.problems.push(Problem::BadMap { map, what });
                }
                Err(_) => {}
            }
        }
        self.object.map_values.sort_by_key(|value| (value.map, value.slot));
    }

    /// `init_struct_ops_maps`.
    fn find_struct_ops(&mut self) {
        let Some(btf) = self.object.btf.clone() else { return };
        let mut implementing = HashSet::new();
        let found = struct_ops::read(&btf, |name| {
            let section = self.section_named(name)?;
            let records = self.records_of(section);
            for record in records {
                let index = record.r_sym(self.endian) as usize;
                let Some(symbol) = self.symbols.get(index) else { continue };
                let slot = usize::try_from(symbol.value / INSN_SIZE as u64).unwrap_or(usize::MAX);
                implementing.insert((symbol.section, slot));
            }
            let mut relocated: Vec<u64> =
                records.iter().map(|record| record.r_offset(self.endian)).collect();
            relocated.sort_unstable();
            Some((*self.contents.get(section)?, relocated))
        });
        (self.object.struct_ops, self.object.implementing) = (found, implementing);
    }

    /// `bpf_object__collect_externs`.
    fn find_externs(&mut self) {
        let btf = self.object.btf.clone();
        let mut kinds: HashMap<TypeId, ExternKind> = HashMap::new();
        if let Some(btf) = &btf {
            for id in btf.ids() {
                if let Type::Datasec(section) = btf.ty(id) {
                    let is_ksyms = match section.name {
                        ".ksyms" => true,
                        ".kconfig" => false,
                        _ => continue,
                    };
                    for item in section.items() {
                        let kind = match (is_ksyms, btf.kind(item.ty)) {
                            (true, Kind::Func) => ExternKind::Kfunc,
                            (true, _) => ExternKind::Ksym,
                            (false, Kind::Func) => ExternKind::Unknown,
                            (false, _) => ExternKind::Kconfig,
                        };
                        kinds.insert(item.ty, kind);
                    }
                }
            }
        }
        for (index, symbol) in self.symbols.iter().enumerate() {
            if !symbol.is_extern() || symbol.name.is_empty() {
                continue;
            }
            let ty = btf.as_deref().and_then(|btf| {
                btf.named(&symbol.name).find(|&id| matches!(btf.kind(id), Kind::Var | Kind::Func))
            });
            let kind = ty.and_then(|ty| kinds.get(&ty)).copied().unwrap_or(ExternKind::Unknown);
            if kind == ExternKind::Unknown {
                let what = match (&btf, ty) {
                    (None, _) => "needs BTF, and there is none",
                    (_, None) => "has no declaration in the BTF",
                    _ => "is declared neither __ksym nor __kconfig",
                };
                let name = symbol.name.clone();
                self.object.problems.push(Problem::BadExtern { name, what });
            }
            self.extern_of_symbol.insert(index, self.object.externs.len());
            let (name, weak) = (symbol.name.clone(), symbol.binding == Binding::Weak);
            self.object.externs.push(Extern { name, kind, weak, ty });
        }
    }

    /// `bpf_object__collect_prog_relos`.
    fn read_relocations(&mut self) -> Result<(), Error> {
        let data: HashMap<usize, usize> = self
            .object
            .data
            .iter()
            .enumerate()
            .map(|(index, data)| (data.section, index))
            .collect();
        let maps_section = self.section_named(MAPS);
        let maps: HashMap<u64, usize> =
            self.object.maps.iter().enumerate().map(|(index, map)| (map.offset, index)).collect();
        let mut found = Vec::new();
        for header in self.table.iter() {
            let Ok(Some((records, _))) = header.rel(self.endian, self.bytes) else {
                if header.sh_type(self.endian) == elf::SHT_REL {
                    return Err(damaged("a table of relocations cannot be read"));
                }
                continue;
            };
            let SectionIndex(section) = header.info_link(self.endian);
            let Some(code) = self.object.sections.get(section) else { continue };
            if code.insns.is_empty() {
                continue;
            }
            self.budget = match self.budget.checked_sub(size_of_val(records)) {
                Some(rest) => rest,
                None => return Err(damaged("its tables of relocations overlap")),
            };
            for record in records {
                let offset = record.r_offset(self.endian);
                let index = record.r_sym(self.endian) as usize;
                let slot = usize::try_from(offset / INSN_SIZE as u64).unwrap_or(usize::MAX);
                let Some(insn) = code.insns.get(slot) else {
                    return Err(damaged("a relocation points beyond its section"));
                };
                let Some(symbol) = self.symbols.get(index) else {
                    return Err(damaged("a relocation refers to a symbol that is not there"));
                };
                if self.object.function_at(section, slot).is_none() {
                    // Of a weak function that another one replaced.
                    continue;
                }
                let known = Known { data: &data, maps: &maps, maps_section };
                let target = if offset.is_multiple_of(INSN_SIZE as u64) {
                    self.resolve(*insn, index, symbol, &known)
                } else {
                    Err("it points between instructions".to_owned())
                };
                match target {
                    Ok(target) => found.push(Relocation { section, slot, target }),
                    Err(what) => self.object.problems.push(Problem::BadRelocation {
                        section,
                        slot,
                        symbol: symbol.name.clone(),
                        what,
                    }),
                }
            }
        }
        found.sort_by_key(|relocation| (relocation.section, relocation.slot));
        found.dedup_by_key(|relocation| (relocation.section, relocation.slot));
        self.object.relocations = found;
        Ok(())
    }

    /// `bpf_program__record_reloc`.
    fn resolve(
        &self,
        insn: Insn,
        index: usize,
        symbol: &Symbol,
        known: &Known<'_>,
    ) -> Result<Target, String> {
        let is_call = insn.code == 0x85;
        if !is_call && !insn.is_wide() {
            return Err("the instruction is neither a call nor a 64-bit load".to_owned());
        }
        if symbol.is_extern() {
            return match self.extern_of_symbol.get(&index) {
                Some(&index) => Ok(Target::Extern(index)),
                None => Err("the symbol has no name".to_owned()),
            };
        }
        let section_name = match self.object.sections.get(symbol.section) {
            Some(section) if symbol.section != 0 => section.name.as_str(),
            _ if is_call => return Err("the function is not defined".to_owned()),
            _ => return Err("it is not defined; initialise the variable".to_owned()),
        };
        if is_call {
            if !insn.is_subprogram_call() {
                return Err("the call is not one of a function".to_owned());
            }
            if self.text != Some(symbol.section) {
                return Err(format!(
                    "the function is in section {section_name}, and only those in .text can be called"
                ));
            }
            if !symbol.value.is_multiple_of(INSN_SIZE as u64) {
                return Err("the function begins between instructions".to_owned());
            }
            return Ok(Target::Text(symbol.value));
        }
        if self.text == Some(symbol.section)
            && matches!(
                (symbol.binding, symbol.kind),
                (Binding::Local, elf::STT_SECTION)
                    | (Binding::Global | Binding::Weak, elf::STT_FUNC)
            )
        {
            return Ok(Target::Text(symbol.value));
        }
        match section_name {
            ARENA => return Ok(Target::Arena(symbol.value)),
            JUMP_TABLES => {
                return Ok(Target::JumpTable { offset: symbol.value, size: symbol.size });
            }
            _ => {}
        }
        if let Some(&index) = known.data.get(&symbol.section) {
            return Ok(Target::Data { index, offset: symbol.value });
        }
        if known.maps_section == Some(symbol.section) {
            return match known.maps.get(&symbol.value) {
                Some(&index) => Ok(Target::Map(index)),
                None => Err("no map begins there".to_owned()),
            };
        }
        Err(format!("it is in section {section_name}, which holds neither maps nor global data"))
    }

    fn finish(self) -> Object {
        self.object
    }
}

/// Where relocations may lead.
struct Known<'k> {
    data: &'k HashMap<usize, usize>,
    maps: &'k HashMap<u64, usize>,
    maps_section: Option<usize>,
}

fn size_of_section_header() -> u64 {
    size_of::<elf::SectionHeader64<Endianness>>() as u64
}
