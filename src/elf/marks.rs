//! Objects with marks: chosen instructions get a store in front of them, into
//! a map of the object's own, so that one sees afterwards where a program has
//! been. All that counts instructions is moved along: jumps, calls,
//! relocations, symbols, the records of functions, lines and CO-RE accesses.
//!
//! What changes is laid behind the file as it was, so that nothing else has to
//! be understood. Fields of ELF are as in elf(5), of BTF.ext as in
//! Documentation/bpf/btf.rst.

use super::{Object, Target};
use crate::bpf::{Endian, Insn, Op};
use std::collections::HashMap;

/// The section of the marks, of which libbpf makes a map.
pub const SECTION: &str = ".data.skep_marks";
/// The name of their symbol.
const SYMBOL: &str = "skep_marks";
/// Slots that a mark takes: an address of two, and a store.
const SLOTS: usize = 3;
/// Bytes of a section header, a symbol, a relocation.
const HEADER: usize = 64;
const SYMBOL_SIZE: usize = 24;
const RELOCATION: usize = 16;

/// A store of one byte in front of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The section.
    pub section: usize,
    /// The instruction, as a slot of the section.
    pub slot: usize,
    /// A register that nobody reads there before it is written.
    pub register: u8,
}

/// Marks by their section and slot: their number and register.
type Places = HashMap<(usize, usize), (i32, u8)>;

/// Where the slots of a section went.
struct Moved {
    /// By slot, and one behind the last: where what stands there now begins,
    /// a mark in front of it included.
    before: Vec<usize>,
    /// By slot: where the instruction itself is.
    at: Vec<usize>,
}

/// The object with marks; the byte of mark N is byte N of the map. They are in
/// the order of their places. Nothing if the object has something that cannot
/// be moved: jump tables, a jump that gets too long, another byte order.
pub fn with_marks(bytes: &[u8], object: &Object, marks: &[Mark]) -> Option<Vec<u8>> {
    if object.endian != Endian::Little || marks.is_empty() {
        return None;
    }
    let mut file = File::read(bytes)?;
    let places: Places = (0..)
        .zip(marks)
        .map(|(number, mark)| ((mark.section, mark.slot), (number, mark.register)))
        .collect();
    let mut moved = HashMap::new();
    for (section, content) in object.sections.iter().enumerate() {
        if marks.iter().any(|mark| mark.section == section) {
            moved.insert(section, Moved::of(section, content.insns.len(), &places));
        }
    }
    let symbol = file.add_map(marks.len())?;
    for (&section, own) in &moved {
        let code = code(object, section, own, &moved, &places)?;
        file.set(section, code);
        file.move_relocations(section, own, marks, symbol)?;
    }
    file.move_symbols(&moved)?;
    file.move_records(object, &moved)?;
    Some(file.finish())
}

impl Moved {
    fn of(section: usize, slots: usize, places: &Places) -> Self {
        let mut this = Self { before: Vec::with_capacity(slots + 1), at: Vec::new() };
        let mut next = 0;
        for slot in 0..slots {
            this.before.push(next);
            next += if places.contains_key(&(section, slot)) { SLOTS } else { 0 };
            this.at.push(next);
            next += 1;
        }
        this.before.push(next);
        this
    }

    /// Where an offset in bytes went, of something that begins there.
    fn offset(&self, offset: u64) -> Option<u64> {
        let slot = usize::try_from(offset / 8).ok()?;
        Some(*self.before.get(slot)? as u64 * 8 + offset % 8)
    }
}

/// The instructions of a section with marks.
fn code(
    object: &Object,
    section: usize,
    own: &Moved,
    moved: &HashMap<usize, Moved>,
    places: &Places,
) -> Option<Vec<u8>> {
    let insns = &object.sections.get(section)?.insns;
    let text = object.functions.iter().find(|function| function.is_subprogram);
    let text = text.map(|function| function.section);
    let mut out = Vec::with_capacity(own.before.last()? * 8);
    let mut slot = 0;
    while slot < insns.len() {
        if let Some(&(number, register)) = places.get(&(section, slot)) {
            let address = Insn { code: 0x18, dst: register, imm: number, ..Insn::default() };
            let store = Insn { code: 0x72, dst: register, imm: 1, ..Insn::default() };
            for insn in [address, Insn::default(), store] {
                out.extend(insn.to_bytes(Endian::Little));
            }
        }
        let op = Op::decode(&insns[slot..]).ok()?;
        let mut insn = insns[slot];
        if let Some(off) = op.jump() {
            let target = usize::try_from(slot as i64 + 1 + i64::from(off)).ok()?;
            let off = *own.before.get(target)? as i64 - own.at[slot] as i64 - 1;
            match op {
                Op::Jump { long: true, .. } => insn.imm = i32::try_from(off).ok()?,
                _ => insn.off = i16::try_from(off).ok()?,
            }
        }
        if matches!(op, Op::JumpIndirect { .. }) {
            return None;
        }
        match object.relocation(section, slot).map(|known| known.target) {
            Some(Target::JumpTable { .. }) => return None,
            Some(Target::Text(offset)) => {
                let text = moved.get(&text?);
                let new = |slot: i64| match text {
                    Some(text) => {
                        text.before.get(usize::try_from(slot).ok()?).map(|&slot| slot as i64)
                    }
                    None => Some(slot),
                };
                let offset = i64::try_from(offset).ok()? / 8;
                let imm = i64::from(insn.imm);
                insn.imm = if insn.is_subprogram_call() {
                    i32::try_from(new(offset + imm + 1)? - new(offset)? - 1).ok()?
                } else {
                    i32::try_from((new(offset + imm / 8)? - new(offset)?) * 8).ok()?
                };
            }
            None if insn.is_subprogram_call() => {
                let target = usize::try_from(slot as i64 + i64::from(insn.imm) + 1).ok()?;
                let imm = *own.before.get(target)? as i64 - own.at[slot] as i64 - 1;
                insn.imm = i32::try_from(imm).ok()?;
            }
            _ => {}
        }
        out.extend(insn.to_bytes(Endian::Little));
        for second in insns.get(slot + 1..slot + op.slots())? {
            out.extend(second.to_bytes(Endian::Little));
        }
        slot += op.slots();
    }
    Some(out)
}

/// A file's section headers, and what sections hold now.
struct File<'b> {
    bytes: &'b [u8],
    headers: Vec<[u8; HEADER]>,
    /// New contents, by section.
    new: HashMap<usize, Vec<u8>>,
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn half(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)))
}

impl<'b> File<'b> {
    fn read(bytes: &'b [u8]) -> Option<Self> {
        let (start, count) = (usize::try_from(long(bytes, 40)?).ok()?, half(bytes, 60)?);
        let headers = bytes.get(start..start.checked_add(count * HEADER)?)?;
        let headers = headers.chunks_exact(HEADER).map(|header| header.try_into().ok());
        Some(Self { bytes, headers: headers.collect::<Option<_>>()?, new: HashMap::new() })
    }

    /// What a section holds.
    fn content(&self, section: usize) -> Option<Vec<u8>> {
        if let Some(new) = self.new.get(&section) {
            return Some(new.clone());
        }
        let header = self.headers.get(section)?;
        let start = usize::try_from(long(header, 24)?).ok()?;
        let size = usize::try_from(long(header, 32)?).ok()?;
        Some(self.bytes.get(start..start.checked_add(size)?)?.to_vec())
    }

    fn set(&mut self, section: usize, content: Vec<u8>) {
        self.new.insert(section, content);
    }

    fn kind(&self, section: usize) -> Option<u32> {
        word(self.headers.get(section)?, 4)
    }

    /// The table of symbols.
    fn symbols(&self) -> Option<usize> {
        const SYMTAB: u32 = 2;
        (0..self.headers.len()).find(|&section| self.kind(section) == Some(SYMTAB))
    }

    /// Adds a text to a table of texts; its offset.
    fn add_text(&mut self, table: usize, text: &str) -> Option<u32> {
        let mut content = self.content(table)?;
        let at = u32::try_from(content.len()).ok()?;
        content.extend(text.bytes().chain([0]));
        self.set(table, content);
        Some(at)
    }

    fn add_section(&mut self, name: u32, kind: u32, flags: u64, content: Vec<u8>) -> usize {
        let mut header = [0; HEADER];
        header[0..4].copy_from_slice(&name.to_le_bytes());
        header[4..8].copy_from_slice(&kind.to_le_bytes());
        header[8..16].copy_from_slice(&flags.to_le_bytes());
        header[48..56].copy_from_slice(&8_u64.to_le_bytes());
        self.headers.push(header);
        self.set(self.headers.len() - 1, content);
        self.headers.len() - 1
    }

    /// Adds the section of marks; its symbol.
    fn add_map(&mut self, size: usize) -> Option<u64> {
        const PROGBITS: u32 = 1;
        const WRITE_AND_ALLOC: u64 = 3;
        let names = half(self.bytes, 62)?;
        let name = self.add_text(names, SECTION)?;
        let section = self.add_section(name, PROGBITS, WRITE_AND_ALLOC, vec![0; size]);
        let table = self.symbols()?;
        let texts = usize::try_from(word(self.headers.get(table)?, 40)?).ok()?;
        let name = self.add_text(texts, SYMBOL)?;
        let mut content = self.content(table)?;
        let symbol = content.len() / SYMBOL_SIZE;
        content.extend(name.to_le_bytes());
        // STB_GLOBAL, STT_OBJECT; visible to everyone.
        content.extend([0x11, 0]);
        content.extend(u16::try_from(section).ok()?.to_le_bytes());
        content.extend(0_u64.to_le_bytes());
        content.extend((size as u64).to_le_bytes());
        self.set(table, content);
        Some(symbol as u64)
    }

    fn move_relocations(
        &mut self,
        section: usize,
        moved: &Moved,
        marks: &[Mark],
        symbol: u64,
    ) -> Option<()> {
        const REL: u32 = 9;
        /// `R_BPF_64_64`.
        const ADDRESS: u64 = 1;
        let is_its = |&at: &usize| {
            let of = self.headers.get(at).and_then(|header| word(header, 44));
            self.kind(at) == Some(REL) && of == u32::try_from(section).ok()
        };
        let table = (0..self.headers.len()).find(is_its);
        let mut content = match table {
            Some(table) => self.content(table)?,
            None => Vec::new(),
        };
        for record in content.chunks_exact_mut(RELOCATION) {
            let slot = usize::try_from(long(record, 0)? / 8).ok()?;
            let new = *moved.at.get(slot)? as u64 * 8;
            record[..8].copy_from_slice(&new.to_le_bytes());
        }
        for mark in marks.iter().filter(|mark| mark.section == section) {
            content.extend((moved.before[mark.slot] as u64 * 8).to_le_bytes());
            content.extend((symbol << 32 | ADDRESS).to_le_bytes());
        }
        let Some(table) = table else {
            let names = half(self.bytes, 62)?;
            let name = self.add_text(names, ".rel.skep_marks")?;
            let new = self.add_section(name, REL, 0, content);
            let link = u32::try_from(self.symbols()?).ok()?;
            let header = &mut self.headers[new];
            header[40..44].copy_from_slice(&link.to_le_bytes());
            header[44..48].copy_from_slice(&u32::try_from(section).ok()?.to_le_bytes());
            header[56..64].copy_from_slice(&(RELOCATION as u64).to_le_bytes());
            return Some(());
        };
        self.set(table, content);
        Some(())
    }

    fn move_symbols(&mut self, moved: &HashMap<usize, Moved>) -> Option<()> {
        let table = self.symbols()?;
        let mut content = self.content(table)?;
        for symbol in content.chunks_exact_mut(SYMBOL_SIZE) {
            let Some(own) = moved.get(&half(symbol, 6)?) else { continue };
            let (value, size) = (long(symbol, 8)?, long(symbol, 16)?);
            let start = own.offset(value)?;
            let end = own.offset(value.checked_add(size)?)?;
            symbol[8..16].copy_from_slice(&start.to_le_bytes());
            symbol[16..24].copy_from_slice(&(end - start).to_le_bytes());
        }
        self.set(table, content);
        Some(())
    }

    /// The records of functions, lines and CO-RE accesses.
    fn move_records(&mut self, object: &Object, moved: &HashMap<usize, Moved>) -> Option<()> {
        let is_ext = |section: &super::Section| section.name == ".BTF.ext";
        let Some(place) = object.sections.iter().position(is_ext) else { return Some(()) };
        let btf = object.btf.as_deref()?;
        let mut content = self.content(place)?;
        let header = usize::try_from(word(&content, 4)?).ok()?;
        // Where the pairs of offset and length are; the last is of CO-RE.
        for (pair, is_core) in [(8, false), (16, false), (24, true)] {
            if pair + 8 > header {
                continue;
            }
            let start = header + usize::try_from(word(&content, pair)?).ok()?;
            let end = start + usize::try_from(word(&content, pair + 4)?).ok()?;
            if start == end {
                continue;
            }
            let size = usize::try_from(word(&content, start)?).ok()?;
            let mut at = start + 4;
            while at < end {
                let name = btf.string(word(&content, at)?)?;
                let count = usize::try_from(word(&content, at + 4)?).ok()?;
                at += 8;
                let section = object.sections.iter().position(|known| known.name == name);
                let own = section.and_then(|section| moved.get(&section));
                for _ in 0..count {
                    if let Some(own) = own {
                        let offset = word(&content, at)?;
                        let slot = usize::try_from(offset / 8).ok()?;
                        let new = match is_core {
                            true => *own.at.get(slot)?,
                            false => *own.before.get(slot)?,
                        };
                        let new = u32::try_from(new * 8).ok()?;
                        content.get_mut(at..at + 4)?.copy_from_slice(&new.to_le_bytes());
                    }
                    at += size;
                }
            }
        }
        self.set(place, content);
        Some(())
    }

    fn finish(mut self) -> Vec<u8> {
        let mut out = self.bytes.to_vec();
        let mut sections: Vec<usize> = self.new.keys().copied().collect();
        sections.sort_unstable();
        for section in sections {
            out.resize(out.len().next_multiple_of(8), 0);
            let content = self.new.remove(&section).unwrap_or_default();
            let header = &mut self.headers[section];
            header[24..32].copy_from_slice(&(out.len() as u64).to_le_bytes());
            header[32..40].copy_from_slice(&(content.len() as u64).to_le_bytes());
            out.extend(content);
        }
        out.resize(out.len().next_multiple_of(8), 0);
        let start = out.len() as u64;
        out[40..48].copy_from_slice(&start.to_le_bytes());
        let count = self.headers.len() as u16;
        out[60..62].copy_from_slice(&count.to_le_bytes());
        out.extend(self.headers.iter().flatten());
        out
    }
}
