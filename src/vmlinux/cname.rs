//! Names as C wants them: identifiers, no keyword, no name twice.
//!
//! BTF has many types of one name, because a kernel is many translation
//! units. C has one name space for tags and one for everything else; the
//! first type of a name (by number) keeps it, later ones get `___2`, `___3`,
//! … behind it, which libbpf takes off again when it looks for the kernel's
//! type (a "flavour").

use crate::btf::{Btf, Kind, TypeId, raw};
use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::HashMap;

/// The characters of an identifier.
static IDENTIFIER: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric() || byte == b'_' as usize;
        byte += 1;
    }
    table
};

/// What C23 and GNU C reserve. `true`, `false` and `bool` are not here: the
/// kernel defines them, and the header guards them.
#[rustfmt::skip]
const KEYWORDS: [&[u8]; 43] = [
    b"alignas", b"alignof", b"asm", b"auto", b"break", b"case", b"char", b"const", b"constexpr",
    b"continue", b"default", b"do", b"double", b"else", b"enum", b"extern", b"float", b"for",
    b"goto", b"if", b"inline", b"int", b"long", b"nullptr", b"register", b"restrict", b"return",
    b"short", b"signed", b"sizeof", b"static", b"static_assert", b"struct", b"switch",
    b"thread_local", b"typedef", b"typeof", b"typeof_unqual", b"union", b"unsigned", b"void",
    b"volatile", b"while",
];

/// Whether a keyword has the marks of a name. One look tells nearly every name
/// from all of them, and the processor foresees the answer.
static KEYWORD_MARKS: [bool; MARKS] = {
    let mut table = [false; MARKS];
    let mut index = 0;
    while index < KEYWORDS.len() {
        table[marks(KEYWORDS[index])] = true;
        index += 1;
    }
    table
};

const MARKS: usize = 1024;

/// The ends and the length of a name, in one number.
const fn marks(name: &[u8]) -> usize {
    match name {
        [first, .., last] => {
            let (first, last) = (*first as usize * 37, *last as usize * 5);
            (first ^ last ^ (name.len() * 67)) % MARKS
        }
        _ => 0,
    }
}

fn is_keyword(name: &[u8]) -> bool {
    KEYWORD_MARKS[marks(name)] && KEYWORDS.contains(&name)
}

/// A name as an identifier: the name itself, nearly always. Other characters
/// become `_`, a digit in front or a keyword gets one more.
#[inline]
pub(super) fn identifier(btf: &Btf, offset: u32) -> Cow<'_, [u8]> {
    let name = raw::until(btf, offset, |byte| !IDENTIFIER[byte as usize]);
    match name {
        (name, 0) if name.first().is_none_or(|first| !first.is_ascii_digit()) => {
            if is_keyword(name) { Cow::Owned([name, b"_"].concat()) } else { Cow::Borrowed(name) }
        }
        _ => Cow::Owned(mangled(raw::bytes(btf, offset))),
    }
}

#[cold]
fn mangled(name: &[u8]) -> Vec<u8> {
    let mut mangled: Vec<u8> =
        name.iter().map(|byte| if IDENTIFIER[*byte as usize] { *byte } else { b'_' }).collect();
    if mangled.first().is_some_and(u8::is_ascii_digit) {
        mangled.insert(0, b'_');
    }
    mangled
}

/// The typedefs that the compiler knows by itself.
pub(super) fn is_builtin(name: &[u8]) -> bool {
    matches!(name, b"__builtin_va_list" | b"__int128_t" | b"__uint128_t")
}

/// Whether a name can be written as it is.
pub(super) fn is_plain(name: &str) -> bool {
    let name = name.as_bytes();
    name.iter().all(|byte| IDENTIFIER[*byte as usize])
        && name.first().is_some_and(|first| !first.is_ascii_digit())
        && !is_keyword(name)
}

/// The typedefs that come to `__builtin_va_list`, itself included.
fn va_lists(btf: &Btf, builtin: u32, typedefs: &[u32]) -> Vec<u32> {
    let mut found = vec![builtin];
    // Chains of typedefs are short, but may come in any order.
    loop {
        let before = found.len();
        for id in typedefs {
            let Some(record) = raw::record(btf, *id) else { continue };
            if found.contains(&record.third) && !found.contains(id) {
                found.push(*id);
            }
        }
        if found.len() == before || before > 64 {
            return found;
        }
    }
}

/// How many typedefs and enumerators there are.
fn idents(btf: &Btf) -> usize {
    let wanted = |kind: Kind| kind == Kind::Typedef || kind.is_enum();
    let count = |id: u32| match raw::record(btf, id) {
        Some(record) if record.kind().is_enum() => record.info as usize & 0xff_ffff,
        _ => 1,
    };
    raw::ids_of(btf, wanted).map(count).sum()
}

/// A counting set of names.
struct Table<'b> {
    btf: &'b Btf,
    slots: Vec<Slot>,
    taken: usize,
}

/// A name in the table.
#[derive(Clone, Copy, Default)]
struct Slot {
    /// Its offset plus one; 0 if the slot is free.
    name: u32,
    hash: u32,
    /// How many have it.
    count: u32,
    /// The first type that has it.
    first: u32,
}

impl<'b> Table<'b> {
    fn new(btf: &'b Btf, expected: usize) -> Self {
        // A third stays free. More would be memory that is touched for nothing.
        let size = (expected + expected / 2).max(16);
        Self { btf, slots: vec![Slot::default(); size], taken: 0 }
    }

    #[inline]
    fn slot(&self, hash: u32, name: &[u8]) -> usize {
        // Any number of slots will do: the hash is a fraction of it.
        let mut at = ((u64::from(hash) * self.slots.len() as u64) >> 32) as usize;
        loop {
            let slot = &self.slots[at];
            let is_it =
                slot.name == 0 || slot.hash == hash && raw::bytes(self.btf, slot.name - 1) == name;
            if is_it {
                return at;
            }
            at = if at + 1 == self.slots.len() { 0 } else { at + 1 };
        }
    }

    /// What is known of a name, if anything is.
    fn find(&self, name: &[u8]) -> Option<&Slot> {
        Some(&self.slots[self.slot(raw::hash(name), name)]).filter(|slot| slot.name != 0)
    }

    /// Counts a name; says how many have it now.
    #[inline]
    fn count(&mut self, offset: u32, id: u32) -> u32 {
        let name = raw::bytes(self.btf, offset);
        let hash = raw::hash(name);
        let at = self.slot(hash, name);
        let slot = &mut self.slots[at];
        slot.count += 1;
        let count = slot.count;
        if slot.name == 0 {
            *slot = Slot { name: offset + 1, hash, count, first: id };
            self.taken += 1;
            if self.taken * 4 > self.slots.len() * 3 {
                self.grow();
            }
        }
        count
    }

    #[cold]
    fn grow(&mut self) {
        let bigger = vec![Slot::default(); self.slots.len() * 2];
        for slot in std::mem::replace(&mut self.slots, bigger) {
            if slot.name != 0 {
                let at = self.slot(slot.hash, raw::bytes(self.btf, slot.name - 1));
                self.slots[at] = slot;
            }
        }
    }
}

/// Which name each type and enumerator has in C.
pub(super) struct Names<'b> {
    /// For each type: 0 or 1 if it has its own name, else the number behind
    /// it, or `LARGE`.
    suffixes: Vec<u8>,
    /// The numbers that are `LARGE` there.
    large: HashMap<u32, u32>,
    /// The enumerators that do not have their own name, in order: type,
    /// index, and the number behind the name.
    enumerators: Vec<(u32, u32, u32)>,
    /// Every typedef's and enumerator's name.
    idents: Table<'b>,
    /// Whether a type is only declared.
    is_incomplete: Vec<bool>,
    /// What a forward declaration (or an enumeration without values) stands
    /// for.
    resolved: HashMap<u32, u32>,
    /// Enumerations and typedefs whose names C23 made keywords.
    pub guarded: Vec<u32>,
    /// The typedefs that stand for the compiler's own `va_list`.
    pub va_lists: Vec<u32>,
    /// Whether values of enumerations say whether they have a sign: BTF from
    /// before Linux 6.0 does not.
    pub enums_have_signs: bool,
    /// Of each block of the own strings, whether it has a character in it that
    /// no identifier has. Such blocks are few.
    odd: OnceCell<Vec<bool>>,
    btf: &'b Btf,
    /// How many bytes of strings the base has.
    base_strings: u32,
}

/// Stands for a number that a byte does not hold.
const LARGE: u8 = u8::MAX;

/// How many bytes of strings are looked at as one.
const BLOCK: usize = 64;

/// Of each block of some bytes, whether it has others than the characters of
/// identifiers and ends of strings.
fn odd(strings: &[u8]) -> Vec<bool> {
    // Without branches, so that the compiler looks at many bytes at once.
    let odd = |byte: &u8| {
        let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
        let digit = byte.wrapping_sub(b'0') < 10;
        u8::from(!(letter | digit | (*byte == b'_') | (*byte == 0)))
    };
    let (blocks, rest) = strings.as_chunks::<BLOCK>();
    let blocks = blocks.iter().map(|block| block.iter().fold(0, |all, byte| all | odd(byte)) != 0);
    blocks.chain([rest.iter().any(|byte| odd(byte) != 0)]).collect()
}

impl<'b> Names<'b> {
    /// Names everything in a BTF, independently of what is written, so that
    /// a header with a part of the types names them as the full one does.
    pub fn of(btf: &'b Btf) -> Self {
        let mut names = Self {
            suffixes: vec![0; btf.len() as usize],
            large: HashMap::new(),
            enumerators: Vec::new(),
            idents: Table::new(btf, idents(btf)),
            is_incomplete: vec![false; btf.len() as usize],
            resolved: HashMap::new(),
            va_lists: Vec::new(),
            guarded: Vec::new(),
            enums_have_signs: false,
            base_strings: raw::base_strings(btf),
            odd: OnceCell::new(),
            btf,
        };
        let mut tags = Table::new(btf, btf.len() as usize / 8);
        let mut incomplete = Vec::new();
        let mut builtin_va_list = 0;
        let mut typedefs = Vec::new();
        for id in raw::ids_of(btf, |kind| {
            kind.is_composite() || kind.is_enum() || matches!(kind, Kind::Typedef | Kind::Fwd)
        }) {
            let Some(record) = raw::record(btf, id) else { continue };
            let kind = record.kind();
            match kind {
                Kind::Struct | Kind::Union if record.name != 0 => {
                    names.set_suffix(id, tags.count(record.name, id));
                }
                Kind::Enum | Kind::Enum64 => {
                    names.enums_have_signs |= record.kind_flag() || kind == Kind::Enum64;
                    if record.rest.is_empty() {
                        incomplete.push(id);
                        continue;
                    }
                    if record.name != 0 {
                        names.set_suffix(id, tags.count(record.name, id));
                    }
                    let size = if kind == Kind::Enum { 8 } else { 12 };
                    for (index, value) in record.rest.chunks_exact(size).enumerate() {
                        let name = raw::word(value);
                        let count = names.idents.count(name, id);
                        if count > 1 {
                            names.enumerators.push((id, index as u32, count));
                        } else if matches!(raw::bytes(btf, name), b"true" | b"false") {
                            names.guarded.push(id);
                        }
                    }
                }
                Kind::Typedef => {
                    typedefs.push(id);
                    let count = names.idents.count(record.name, id);
                    names.set_suffix(id, count);
                    match raw::bytes(btf, record.name) {
                        b"bool" => names.guarded.push(id),
                        b"__builtin_va_list" => builtin_va_list = id,
                        _ => {}
                    }
                }
                Kind::Fwd => incomplete.push(id),
                _ => {}
            }
        }
        names.guarded.dedup();
        if builtin_va_list != 0 {
            names.va_lists = va_lists(btf, builtin_va_list, &typedefs);
        }
        let mut meant = HashMap::new();
        for id in incomplete {
            names.is_incomplete[id as usize] = true;
            names.resolve_incomplete(btf, &mut tags, &mut meant, id);
        }
        names
    }

    /// A forward declaration means the first complete type of its name and
    /// kind; if there is none, it is a type of its own. `meant` has what was
    /// found for earlier ones.
    fn resolve_incomplete(
        &mut self,
        btf: &'b Btf,
        tags: &mut Table<'_>,
        meant: &mut HashMap<(&'b [u8], u32), u32>,
        id: u32,
    ) {
        let Some(record) = raw::record(btf, id) else { return };
        if record.name == 0 {
            return;
        }
        let wanted = match record.kind() {
            Kind::Fwd if record.kind_flag() => Kind::Union,
            Kind::Fwd => Kind::Struct,
            kind => kind,
        };
        let name = raw::bytes(btf, record.name);
        let Some(known) = tags.find(name) else {
            // Nothing has the name yet; further declarations mean this one.
            self.set_suffix(id, tags.count(record.name, id));
            self.resolved.insert(id, id);
            return;
        };
        if btf.kind(TypeId(known.first)) == wanted {
            self.resolved.insert(id, known.first);
            return;
        }
        if let Some(meant) = meant.get(&(name, wanted as u32)) {
            self.resolved.insert(id, *meant);
            return;
        }
        let text = std::str::from_utf8(name).unwrap_or_default();
        let mut complete = None;
        for other in btf.named(text) {
            let is_match = match btf.kind(other) {
                Kind::Fwd => {
                    other.0 < id
                        && raw::record(btf, other.0)
                            .is_some_and(|other| other.info >> 31 == record.info >> 31)
                        && record.kind() == Kind::Fwd
                }
                kind if kind.is_enum() && wanted.is_enum() => {
                    other.0 != id
                        && (!raw::record(btf, other.0).is_some_and(|r| r.rest.is_empty())
                            || other.0 < id)
                }
                kind => kind == wanted && other.0 != id,
            };
            if is_match {
                complete = Some(other.0);
                break;
            }
        }
        let found = match complete {
            Some(other) => self.resolved.get(&other).copied().unwrap_or(other),
            None => {
                self.set_suffix(id, tags.count(record.name, id));
                id
            }
        };
        self.resolved.insert(id, found);
        meant.insert((name, wanted as u32), found);
    }

    /// Whether a name at an offset of the own strings, which is not empty, is
    /// known to be an identifier. Others may be, too.
    #[inline]
    pub fn is_plain(&self, offset: u32, name: &[u8]) -> bool {
        let at = offset.wrapping_sub(self.base_strings) as usize;
        let odd = self.odd.get_or_init(|| odd(raw::strings(self.btf)));
        let is_odd = |at: usize| odd.get(at / BLOCK).copied().unwrap_or(true);
        !is_odd(at)
            && !is_odd(at + name.len() - 1)
            && name.first().is_some_and(|first| !first.is_ascii_digit())
            && !is_keyword(name)
    }

    /// Whether a typedef or an enumerator has a name.
    pub fn is_taken(&self, name: &str) -> bool {
        self.idents.find(name.as_bytes()).is_some()
    }

    /// The type a mention of this one means.
    #[inline]
    pub fn resolve(&self, id: u32) -> u32 {
        if !self.is_incomplete[id as usize] {
            return id;
        }
        self.resolved.get(&id).copied().unwrap_or(id)
    }

    /// The number behind a type's name, if it has one there.
    #[inline]
    pub fn suffix(&self, id: u32) -> Option<u32> {
        match self.suffixes.get(id as usize).copied()? {
            0 | 1 => None,
            LARGE => self.large.get(&id).copied(),
            suffix => Some(suffix.into()),
        }
    }

    #[inline]
    fn set_suffix(&mut self, id: u32, suffix: u32) {
        let byte = u8::try_from(suffix).unwrap_or(LARGE);
        self.suffixes[id as usize] = byte;
        if byte == LARGE {
            self.large.insert(id, suffix);
        }
    }

    /// The enumerators of a type that do not have their own name: type, index
    /// and the number behind the name.
    pub fn renamed_enumerators(&self, id: u32) -> &[(u32, u32, u32)] {
        let start = self.enumerators.partition_point(|known| known.0 < id);
        let len = self.enumerators[start..].iter().take_while(|known| known.0 == id).count();
        &self.enumerators[start..start + len]
    }

    /// The number behind an enumerator's name, if it has one there.
    pub fn enumerator_suffix(&self, id: u32, index: u32) -> Option<u32> {
        let known = self.enumerators.binary_search_by_key(&(id, index), |known| (known.0, known.1));
        known.ok().map(|at| self.enumerators[at].2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_told_from_other_names() {
        assert!(
            ["while", "alignas", "do", "typeof_unqual"].iter().all(|w| is_keyword(w.as_bytes()))
        );
        assert!(!is_keyword(b"next") && !is_keyword(b"") && !is_keyword(b"inlines"));
        assert_eq!(mangled(b"3com<u8>"), b"_3com_u8_");
    }
}
