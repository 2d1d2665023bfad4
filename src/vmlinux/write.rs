//! Writing C: one walk over the types, each after what it needs.
//!
//! Two things must stand before a type is written. What it *contains* must be
//! complete, and what it *names* must be declared. A mention of a struct
//! declares it, except between the parentheses of a parameter list; only
//! there does a forward declaration have to be written first. Enumerations
//! and typedefs have no forward declaration and stand before every mention.

use super::cname::{Names, identifier, is_builtin};
use super::layout::{Field, Layout, Layouts, fields, place};
use super::prune::{Extent, Pruned};
use super::{Error, Scope};
use crate::btf::{Btf, Kind, TypeId, raw};
use std::cell::OnceCell;
use std::ops::Range;

/// The deepest nesting of "must be written first". Kernels need about 60.
const MAX_DEPTH: u32 = 1500;

/// How much is written before it is handed on, in bytes: what stays in the
/// nearer caches.
const CHUNK: usize = 64 << 10;

/// From how many bits on padding is an array and not a row of bit-fields.
const LONG_PAD: u64 = 64 * 16;

/// A type's name is known to the compiler.
const DECLARED: u8 = 1;
/// A type is written whole.
const DEFINED: u8 = 2;
/// What a type needs is being written.
const BUSY: u8 = 4;
/// What a typedef stands for is written whole.
const COMPLETE: u8 = 8;
/// Whatever a member of this type needs is written.
const SETTLED: u8 = 16;

/// The writer's state.
pub(super) struct Writer<'b> {
    btf: &'b Btf,
    names: &'b Names<'b>,
    /// How much of each type is written, if not all.
    pruned: Option<&'b Pruned<'b>>,
    layouts: Layouts,
    anonymous: OnceCell<Anonymous>,
    state: Vec<u8>,
    /// What is written and not handed on yet.
    out: Vec<u8>,
    /// Takes what is written.
    sink: &'b mut dyn FnMut(&[u8]),
    /// How many bytes it has taken.
    taken: usize,
    /// What comes before the names that are declared, of every type that was
    /// mentioned.
    spellings: Vec<u8>,
    /// For each type, where in `spellings` its own is: the start, and in the
    /// low byte the length; 0 if it is nowhere.
    spelled: Vec<u32>,
    /// Output beyond this many bytes is a BTF made to blow up; and so is one
    /// in which as many types have to be looked at for others.
    limit: usize,
    /// How many types were.
    visits: usize,
    depth: u32,
    /// Whether a struct or union was written.
    has_records: bool,
    /// How many paddings the current definition has given a name.
    pads: u32,
}

/// Which anonymous enumerations have to be given a tag, because more than one
/// place mentions them: their enumerators can be defined only once.
struct Anonymous {
    /// For each type, how many types refer to it, counted up to two, and (if
    /// one) which. Kept only for anonymous composites and enumerations and
    /// for what stands between them and their owner.
    referrers: Vec<u32>,
}

const NOBODY: u32 = 0;
const MANY: u32 = u32::MAX;

impl Anonymous {
    fn of(btf: &Btf) -> Self {
        let mut this = Self { referrers: vec![NOBODY; btf.len() as usize] };
        let refers = |kind| {
            !matches!(
                kind,
                Kind::Func | Kind::Int | Kind::Enum | Kind::Enum64 | Kind::Fwd | Kind::DeclTag
            )
        };
        for id in raw::ids_of(btf, refers) {
            let Some(record) = raw::record(btf, id) else { continue };
            match record.kind() {
                Kind::Ptr
                | Kind::Typedef
                | Kind::Const
                | Kind::Volatile
                | Kind::Restrict
                | Kind::TypeTag => this.add(record.third, id),
                Kind::Array => this.add(raw::word(record.rest), id),
                Kind::Struct | Kind::Union => {
                    for member in record.rest.as_chunks::<12>().0 {
                        let [name, ty, _] = raw::words(member);
                        this.add(ty, id);
                        if name == 0 {
                            this.add_expanded(btf, ty);
                        }
                    }
                }
                Kind::FuncProto => {
                    this.add(record.third, MANY);
                    for param in record.rest.as_chunks::<8>().0 {
                        this.add(raw::words::<2>(param)[1], MANY);
                    }
                }
                _ => {}
            }
        }
        this
    }

    #[inline]
    fn add(&mut self, id: u32, referrer: u32) {
        if let Some(slot) = self.referrers.get_mut(id as usize) {
            *slot = if *slot == NOBODY { referrer } else { MANY };
        }
    }

    /// A named struct without a member name is spelled out a second time, so
    /// what it holds is mentioned twice.
    fn add_expanded(&mut self, btf: &Btf, ty: u32) {
        let id = btf.resolve(TypeId(ty)).0;
        let Some(record) = raw::record(btf, id) else { return };
        if record.kind().is_composite() && (record.name != 0 || id != ty) {
            for member in record.rest.chunks_exact(12) {
                self.add(raw::words::<2>(member)[1], MANY);
            }
        }
    }

    /// Whether an anonymous enumeration is spelled out where it is mentioned:
    /// there is one such place, and that place is written once.
    fn is_inline(&self, btf: &Btf, id: u32) -> bool {
        let mut id = id;
        for _ in 0..=u8::MAX {
            match self.referrers[id as usize] {
                NOBODY | MANY => return false,
                referrer => id = referrer,
            }
            let Some(record) = raw::record(btf, id) else { return false };
            match record.kind() {
                Kind::Typedef => return true,
                Kind::Struct | Kind::Union if record.name != 0 => return true,
                _ => {}
            }
        }
        false
    }
}

/// Where a type is mentioned.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    /// Its size has to be known.
    Whole,
    /// Its name has to be known.
    Named,
    /// Its name has to be known, and the mention does not make it known.
    Param,
}

impl<'b> Writer<'b> {
    pub fn new(
        btf: &'b Btf,
        names: &'b Names<'b>,
        pruned: Option<&'b Pruned<'b>>,
        sink: &'b mut dyn FnMut(&[u8]),
    ) -> Self {
        let size = raw::data_len(btf);
        Self {
            btf,
            names,
            pruned,
            layouts: Layouts::new(btf),
            anonymous: OnceCell::new(),
            state: vec![0; btf.len() as usize],
            spelled: vec![0; btf.len() as usize],
            out: Vec::with_capacity(2 * CHUNK),
            sink,
            taken: 0,
            spellings: Vec::new(),
            limit: size.saturating_mul(32).saturating_add(1 << 20),
            visits: 0,
            depth: 0,
            has_records: false,
            pads: 0,
        }
    }

    /// Writes every type of the scope, in order of their numbers but for what
    /// has to stand before others.
    pub fn types(&mut self, scope: &Scope<'_>) -> Result<(), Error> {
        match scope {
            Scope::All => {
                for id in raw::ids_of(self.btf, |kind| {
                    kind.is_composite() || kind.is_enum() || kind == Kind::Typedef
                }) {
                    self.top_level(id)?;
                }
            }
            Scope::Only(ids) => {
                for id in *ids {
                    self.top_level(id.0)?;
                }
                // Its one mention may be in what is not written.
                for id in ids.iter().map(|id| id.0) {
                    if self.is_anonymous_enum(id) && !self.has(id, DEFINED) {
                        self.define_enum(id)?;
                    }
                }
            }
        }
        // The last of them was as long as it was.
        self.check_length(0)
    }

    fn anonymous(&self) -> &Anonymous {
        self.anonymous.get_or_init(|| Anonymous::of(self.btf))
    }

    /// Whether a struct or union was written.
    pub fn has_records(&self) -> bool {
        self.has_records
    }

    /// Hands on what there is, if that is much.
    fn spill(&mut self) {
        // Whether there are records decides about the first lines.
        if self.out.len() >= CHUNK && self.has_records {
            (self.sink)(&self.out);
            self.taken += self.out.len();
            self.out.clear();
        }
    }

    /// Hands on the rest. `without` is left out of it where no struct and no
    /// union was written.
    pub fn finish(mut self, without: Range<usize>) {
        if !self.has_records {
            self.out.drain(without);
        }
        (self.sink)(&self.out);
    }

    pub fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn put(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Writes what was written before a name already.
    #[inline]
    fn repeat(&mut self, start: usize, length: usize) {
        const SHORT: usize = 24;
        let Some(rest) = self.spellings.get(start..) else { return };
        match rest.first_chunk::<SHORT>() {
            // A fixed number of bytes is copied without a call.
            Some(bytes) if length <= SHORT => {
                let end = self.out.len() + length;
                self.out.extend_from_slice(bytes);
                self.out.truncate(end);
            }
            _ => self.out.extend_from_slice(&rest[..length]),
        }
    }

    /// Writes a name as an identifier.
    #[inline]
    fn identifier(&mut self, offset: u32) {
        const SHORT: usize = 16;
        let rest = raw::rest(self.btf, offset);
        // For a few names it would be too much to look at all of them first.
        if let Some(bytes) = rest.first_chunk::<SHORT>().filter(|_| self.pruned.is_none()) {
            let length = raw::length(bytes);
            if length > 0 && self.names.is_plain(offset, &bytes[..length]) {
                let end = self.out.len() + length;
                self.out.extend_from_slice(bytes);
                self.out.truncate(end);
                return;
            }
        }
        let name = identifier(self.btf, offset);
        self.out.extend_from_slice(&name);
    }

    #[inline]
    fn name(&mut self, name: Name) {
        if !name.is_none() {
            self.identifier(name.offset);
            self.suffix(name.suffix);
        }
    }

    fn number(&mut self, number: u64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut rest = number;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.out.extend_from_slice(&digits[at..]);
    }

    fn has(&self, id: u32, bits: u8) -> bool {
        self.state[id as usize] & bits != 0
    }

    fn set(&mut self, id: u32, bits: u8) {
        self.state[id as usize] |= bits;
    }

    fn top_level(&mut self, id: u32) -> Result<(), Error> {
        self.spill();
        let Some(record) = raw::record(self.btf, id) else { return Ok(()) };
        match record.kind() {
            Kind::Struct | Kind::Union if record.name != 0 => self.define(id),
            Kind::Typedef => self.define_typedef(id),
            Kind::Enum | Kind::Enum64 if record.name != 0 => {
                self.define_enum(self.names.resolve(id))
            }
            Kind::Enum | Kind::Enum64
                if !record.rest.is_empty() && !self.anonymous().is_inline(self.btf, id) =>
            {
                self.define_enum(id)
            }
            _ => Ok(()),
        }
    }

    /// Whether a type is an enumeration that only its enumerators are known by.
    fn is_anonymous_enum(&self, id: u32) -> bool {
        raw::record(self.btf, id).is_some_and(|record| {
            record.kind().is_enum() && record.name == 0 && !record.rest.is_empty()
        })
    }

    fn deeper(&mut self, id: u32) -> Result<(), Error> {
        self.depth += 1;
        self.visits += 1;
        if self.depth > MAX_DEPTH {
            return Err(Error::TooDeep(TypeId(id)));
        }
        if self.visits > self.limit {
            return Err(Error::TooLong(TypeId(id)));
        }
        self.check_length(id)
    }

    /// Refuses what gets too long at a type.
    #[inline]
    fn check_length(&self, id: u32) -> Result<(), Error> {
        match self.taken + self.out.len() > self.limit {
            true => Err(Error::TooLong(TypeId(id))),
            false => Ok(()),
        }
    }

    /// Writes what has to stand before a mention of a type. `inside` is the
    /// struct being written, which its own members may name.
    fn need(&mut self, id: u32, need: Need, inside: u32) -> Result<(), Error> {
        let (first, is_whole) = (id, need == Need::Whole);
        if is_whole && self.has(first, SETTLED) {
            return Ok(());
        }
        if self.find_need(id, need, inside)? && is_whole {
            self.set(first, SETTLED);
        }
        Ok(())
    }

    /// [`Writer::need`]; says whether that holds wherever the type is
    /// mentioned from now on.
    fn find_need(&mut self, id: u32, need: Need, inside: u32) -> Result<bool, Error> {
        let (mut id, mut need) = (id, need);
        loop {
            let Some(record) = raw::record(self.btf, id) else { return Ok(true) };
            match record.kind() {
                Kind::Const | Kind::Volatile | Kind::Restrict | Kind::TypeTag => id = record.third,
                Kind::Ptr => {
                    if need == Need::Whole {
                        need = Need::Named;
                    }
                    id = record.third;
                }
                Kind::Array => {
                    // C has no array of what is incomplete, not even behind a
                    // pointer.
                    if need != Need::Param {
                        need = Need::Whole;
                    }
                    id = raw::word(record.rest);
                }
                Kind::FuncProto => {
                    self.deeper(id)?;
                    self.need(record.third, Need::Param, inside)?;
                    for param in record.rest.chunks_exact(8) {
                        self.need(raw::words::<2>(param)[1], Need::Param, inside)?;
                    }
                    self.depth -= 1;
                    return Ok(false);
                }
                Kind::Typedef => {
                    self.define_typedef(id)?;
                    if need != Need::Whole || self.has(id, COMPLETE) {
                        return Ok(self.has(id, DEFINED));
                    }
                    self.set(id, COMPLETE);
                    id = record.third;
                }
                Kind::Struct | Kind::Union if record.name == 0 => {
                    self.deeper(id)?;
                    self.members_need(id, inside)?;
                    self.depth -= 1;
                    return Ok(false);
                }
                Kind::Struct | Kind::Union | Kind::Fwd => {
                    let id = self.names.resolve(id);
                    return match need {
                        Need::Whole => {
                            self.define(id)?;
                            Ok(self.has(id, DEFINED))
                        }
                        Need::Named => Ok(true),
                        Need::Param => {
                            if id != inside && !self.has(id, DECLARED) {
                                self.set(id, DECLARED);
                                self.tag(id);
                                self.text(";\n\n");
                            }
                            Ok(false)
                        }
                    };
                }
                Kind::Enum | Kind::Enum64 => {
                    if record.name != 0 || !self.anonymous().is_inline(self.btf, id) {
                        let id = self.names.resolve(id);
                        self.define_enum(id)?;
                    }
                    return Ok(true);
                }
                _ => return Ok(true),
            }
        }
    }

    /// Writes what has to stand before the members of a struct.
    fn members_need(&mut self, id: u32, inside: u32) -> Result<(), Error> {
        if let Some(part) = self.part(id) {
            for field in part {
                self.need(field.ty, Need::Whole, inside)?;
            }
            return Ok(());
        }
        let Some(record) = raw::record(self.btf, id) else { return Ok(()) };
        for member in record.rest.as_chunks::<12>().0 {
            self.need(raw::words::<2>(member)[1], Need::Whole, inside)?;
        }
        Ok(())
    }

    /// The members that are written of a struct that is written in part.
    fn part(&mut self, id: u32) -> Option<Vec<Field>> {
        let pruned = self.pruned.filter(|pruned| pruned.extent(id) == Extent::Part)?;
        let overlaps = self.layouts.of(self.btf, id).overlaps;
        (!overlaps).then(|| pruned.fields(self.btf, id))
    }

    /// Writes a struct or union with a tag, once.
    fn define(&mut self, id: u32) -> Result<(), Error> {
        if self.has(id, DEFINED | BUSY) {
            return Ok(());
        }
        let Some(record) = raw::record(self.btf, id) else { return Ok(()) };
        if !record.kind().is_composite() {
            return Ok(());
        }
        self.set(id, BUSY);
        self.deeper(id)?;
        self.members_need(id, id)?;
        self.depth -= 1;
        self.set(id, DECLARED | DEFINED);
        self.pads = 0;
        self.tag(id);
        self.composite_body(id, 0)?;
        self.text(";\n\n");
        Ok(())
    }

    fn define_typedef(&mut self, id: u32) -> Result<(), Error> {
        if self.has(id, DEFINED | BUSY) {
            return Ok(());
        }
        let Some(record) = raw::record(self.btf, id) else { return Ok(()) };
        let name = raw::bytes(self.btf, record.name);
        if is_builtin(name) {
            self.set(id, DEFINED);
            return Ok(());
        }
        self.set(id, BUSY);
        self.deeper(id)?;
        self.need(record.third, Need::Named, 0)?;
        self.depth -= 1;
        self.set(id, DEFINED);
        self.pads = 0;
        let guarded = name == b"bool" && self.names.guarded.contains(&id);
        if guarded {
            self.text(BEFORE_C23);
        }
        self.text("typedef ");
        let name = Name { offset: record.name, suffix: self.names.suffix(id) };
        self.declaration(record.third, name, Place::File, 0)?;
        self.text(if guarded { ";\n#endif\n\n" } else { ";\n\n" });
        Ok(())
    }

    fn define_enum(&mut self, id: u32) -> Result<(), Error> {
        if self.has(id, DEFINED) {
            return Ok(());
        }
        self.set(id, DEFINED);
        let guarded = self.names.guarded.contains(&id);
        if guarded {
            self.text(BEFORE_C23);
        }
        self.enum_tag(id);
        self.enum_body(id, 0);
        self.text(if guarded { ";\n#endif\n\n" } else { ";\n\n" });
        Ok(())
    }

    /// `struct foo`, `union foo___2`.
    fn tag(&mut self, id: u32) {
        let Some(record) = raw::record(self.btf, id) else { return };
        let is_union = match record.kind() {
            Kind::Fwd => record.kind_flag(),
            kind => kind == Kind::Union,
        };
        self.put(if is_union { b"union" } else { b"struct" });
        if record.name != 0 {
            self.out.push(b' ');
            self.identifier(record.name);
            self.suffix(self.names.suffix(id));
        }
    }

    fn suffix(&mut self, suffix: Option<u32>) {
        if let Some(suffix) = suffix {
            self.put(b"___");
            self.number(suffix.into());
        }
    }

    /// `enum foo`; an anonymous enumeration that is mentioned gets a tag made
    /// of its first enumerator.
    fn enum_tag(&mut self, id: u32) {
        let Some(record) = raw::record(self.btf, id) else { return };
        self.put(b"enum");
        if record.name != 0 {
            self.out.push(b' ');
            self.identifier(record.name);
            self.suffix(self.names.suffix(id));
        } else if self.anonymous().referrers[id as usize] != NOBODY {
            self.put(b" __anon_");
            self.identifier(raw::word(record.rest));
            self.suffix(self.names.enumerator_suffix(id, 0));
        }
    }

    /// ` { A = 1, … }` and the attribute that gives it its size.
    fn enum_body(&mut self, id: u32, level: usize) {
        let Some(record) = raw::record(self.btf, id) else { return };
        let wide = record.kind() == Kind::Enum64;
        let values = record.rest.chunks_exact(if wide { 12 } else { 8 });
        let read = |value: &[u8]| {
            if wide {
                let [name, low, high] = raw::words(value);
                (name, u64::from(high) << 32 | u64::from(low))
            } else {
                let [name, low] = raw::words(value);
                (name, u64::from(low))
            }
        };
        let signed = record.kind_flag()
            // Where no enumeration says that it has a sign, it has one if it
            // holds what looks like an error number.
            || !self.names.enums_have_signs
                && values.clone().any(|value| read(value).1 as u32 > u32::MAX - 4096);
        let bits = if wide { 64.min(record.third * 8) } else { 32.min(record.third * 8) };
        self.put(b" {\n");
        if record.rest.is_empty() {
            // Only its name and size are known; C wants a value.
            self.indent(level + 1);
            self.identifier(record.name);
            self.suffix(self.names.suffix(id));
            self.put(b"___unknown = 0,\n");
        }
        let renamed = self.names.renamed_enumerators(id);
        for (index, value) in values.enumerate() {
            // Whoever wrote the enumeration finds that it is too long.
            if self.taken + self.out.len() > self.limit {
                return;
            }
            let (name, value) = read(value);
            self.indent(level + 1);
            self.identifier(name);
            if !renamed.is_empty() {
                self.suffix(self.names.enumerator_suffix(id, index as u32));
            }
            self.put(b" = ");
            let shift = 64 - bits;
            if signed {
                let value = (value << shift) as i64 >> shift;
                if value < 0 {
                    self.out.push(b'-');
                }
                match value {
                    // The smallest number has no positive counterpart.
                    i64::MIN => self.put(b"9223372036854775807LL - 1"),
                    _ => self.number(value.unsigned_abs()),
                }
                if wide && value != i64::MIN {
                    self.put(b"LL");
                }
            } else {
                self.number(value << shift >> shift);
                if wide {
                    self.put(b"ULL");
                }
            }
            self.put(b",\n");
        }
        self.indent(level);
        self.put(b"}");
        self.put(match record.third {
            1 => b" __attribute__((mode(QI)))",
            2 => b" __attribute__((mode(HI)))",
            8 => b" __attribute__((mode(DI)))",
            _ => b"",
        });
    }

    fn indent(&mut self, level: usize) {
        for _ in 0..level {
            self.out.push(b'\t');
        }
    }

    /// ` { … }` of a struct or union, and its attribute.
    fn composite_body(&mut self, id: u32, level: usize) -> Result<(), Error> {
        let Some(record) = raw::record(self.btf, id) else { return Ok(()) };
        self.check_length(id)?;
        self.has_records = true;
        let layout = self.layouts.of(self.btf, id);
        let size = u64::from(record.third) * 8;
        if record.rest.is_empty() && size == 0 {
            self.put(b" {}");
            return Ok(());
        }
        self.put(b" {\n");
        match self.part(id) {
            Some(part) => self.part_body(&part, record, layout, level)?,
            None if record.kind() == Kind::Union => {
                let end = self.union_members(fields(self.btf, id), level + 1)?;
                if end.next_multiple_of(8 << layout.align) < size {
                    self.named_padding(0, size / 8, level + 1);
                }
            }
            None if layout.overlaps => self.overlapping_members(id, size, level + 1)?,
            None => {
                let end = self.struct_members(fields(self.btf, id), layout, None, level + 1)?;
                if end.next_multiple_of(8 << layout.align) < size {
                    self.padding(end, size, level + 1);
                }
            }
        }
        self.indent(level);
        self.put(b"}");
        if layout.packed {
            self.put(b" __attribute__((packed))");
        }
        Ok(())
    }

    /// The members of a struct or union that is written in part. What is left
    /// of it may be aligned less than the whole; then the padding consists of
    /// units that are aligned as much, because clang looks at the members
    /// (and not at an attribute) when it chooses how to read a bit-field.
    fn part_body(
        &mut self,
        part: &[Field],
        record: raw::Record<'_>,
        layout: Layout,
        level: usize,
    ) -> Result<(), Error> {
        let size = u64::from(record.third) * 8;
        let align = part.iter().map(|field| self.layouts.align(self.btf, field.ty)).max();
        let unit = if align.unwrap_or(0) < layout.align { layout.align } else { 0 };
        let part = part.iter().copied();
        if record.kind() == Kind::Union {
            let end = self.union_members(part, level + 1)?;
            if unit > 0 || end.next_multiple_of(8 << layout.align) < size {
                self.named_padding(unit, (size / 8) >> unit, level + 1);
            }
        } else {
            let end = self.struct_members(part, layout, Some(unit), level + 1)?;
            if end < size {
                self.part_padding(end, size, unit, level + 1);
            }
        }
        Ok(())
    }

    /// Members one after another, with padding where they would not come to
    /// stand where they belong. Returns the bit behind the last. `unit` is
    /// there for a struct in part, where every gap is written.
    fn struct_members(
        &mut self,
        fields: impl Iterator<Item = Field>,
        layout: Layout,
        unit: Option<u8>,
        level: usize,
    ) -> Result<u64, Error> {
        let mut at = 0;
        for field in fields {
            let align = if layout.packed { 0 } else { self.layouts.align(self.btf, field.ty) };
            let offset = u64::from(field.offset);
            match unit {
                Some(unit) if at < offset => self.part_padding(at, offset, unit, level),
                None if place(at, &field, align, layout.packed) != offset => {
                    self.padding(at, offset, level);
                }
                _ => {}
            }
            self.member(&field, level)?;
            at = offset + field.bits;
        }
        Ok(at)
    }

    /// A union's members. Returns the bit behind the longest.
    fn union_members(
        &mut self,
        fields: impl Iterator<Item = Field>,
        level: usize,
    ) -> Result<u64, Error> {
        let mut longest = 0;
        for field in fields {
            longest = longest.max(u64::from(field.offset) + field.bits);
            if field.offset == 0 {
                self.member(&field, level)?;
            } else {
                self.shifted_member(&field, level)?;
            }
        }
        Ok(longest)
    }

    /// A member in an anonymous struct of its own, behind padding.
    fn shifted_member(&mut self, field: &Field, level: usize) -> Result<(), Error> {
        self.indent(level);
        self.put(b"struct {\n");
        let packed = Layout { packed: true, ..Layout::default() };
        self.struct_members(std::iter::once(*field), packed, None, level + 1)?;
        self.indent(level);
        self.put(b"} __attribute__((packed));\n");
        Ok(())
    }

    /// Members that overlap, as an anonymous union. C cannot make this; other
    /// languages can.
    fn overlapping_members(&mut self, id: u32, size: u64, level: usize) -> Result<(), Error> {
        self.indent(level);
        self.put(b"union {\n");
        for field in fields(self.btf, id) {
            self.shifted_member(&field, level + 1)?;
        }
        self.named_padding(0, size / 8, level + 1);
        self.indent(level);
        self.put(b"} __attribute__((packed));\n");
        Ok(())
    }

    /// Fills the bits from `from` to `to`.
    fn padding(&mut self, from: u64, to: u64, level: usize) {
        if to - from >= LONG_PAD {
            return self.part_padding(from, to, 0, level);
        }
        let mut at = from;
        while at < to {
            let bits = (64 - at % 64).min(to - at);
            self.bit_padding(bits, level);
            at += bits;
        }
    }

    /// Fills the bits from `from` to `to` with members that have names, so
    /// that the compiler copies and clears them as what they stand for. Where
    /// they fit, they are as large and aligned as `unit`, a power of two.
    fn part_padding(&mut self, from: u64, to: u64, unit: u8, level: usize) {
        let bytes_from = from.next_multiple_of(8).min(to);
        if bytes_from > from {
            self.bit_padding(bytes_from - from, level);
        }
        if bytes_from == to {
            return;
        }
        let (from, end) = (bytes_from / 8, to / 8);
        let start = from.next_multiple_of(1 << unit);
        let units = end.saturating_sub(start) >> unit;
        if unit > 0 && units > 0 {
            self.bytes_padding(start - from, level);
            self.named_padding(unit, units, level);
            self.bytes_padding(end - start - (units << unit), level);
        } else {
            self.bytes_padding(end.saturating_sub(from), level);
        }
        if !to.is_multiple_of(8) {
            self.bit_padding(to % 8, level);
        }
    }

    fn bytes_padding(&mut self, bytes: u64, level: usize) {
        if bytes > 0 {
            self.named_padding(0, bytes, level);
        }
    }

    fn bit_padding(&mut self, bits: u64, level: usize) {
        self.indent(level);
        self.put(b"long: ");
        self.number(bits);
        self.put(b";\n");
    }

    /// An array of units of a power of two of bytes.
    fn named_padding(&mut self, unit: u8, count: u64, level: usize) {
        self.indent(level);
        self.put(match unit {
            0 => b"unsigned char",
            1 => b"unsigned short",
            2 => b"unsigned int",
            3 => b"unsigned long",
            _ => b"unsigned __int128",
        });
        self.put(b" ___pad");
        self.number(self.pads.into());
        self.put(b"[");
        self.number(count);
        self.put(b"];\n");
        self.pads += 1;
    }

    fn member(&mut self, field: &Field, level: usize) -> Result<(), Error> {
        self.check_length(field.ty)?;
        self.indent(level);
        if field.name == 0 {
            // An anonymous struct or union; one that has a tag or is a
            // typedef's would get lost without -fms-extensions, so that it is
            // spelled out.
            let id = self.btf.resolve(TypeId(field.ty)).0;
            let is_union = self.btf.kind(TypeId(id)) == Kind::Union;
            self.put(if is_union { b"union" } else { b"struct" });
            self.composite_body(id, level)?;
        } else {
            let is_bool = |record: raw::Record<'_>| {
                record.kind() == Kind::Int && raw::word(record.rest) >> 24 & 4 != 0
            };
            if field.width.is_some_and(|width| width > 1)
                && raw::record(self.btf, self.btf.resolve(TypeId(field.ty)).0).is_some_and(is_bool)
            {
                self.put(b"unsigned char ");
                self.identifier(field.name);
            } else {
                self.declaration(field.ty, Name::at(field.name), Place::Member, level)?;
            }
            if let Some(width) = field.width {
                self.put(b": ");
                self.number(width.into());
            }
        }
        self.put(b";\n");
        Ok(())
    }

    /// A declaration of `name` (which may be empty) with a type: `int
    /// (*name)(void)`.
    ///
    /// What stands left of the name is written from the base type outwards,
    /// what stands right of it from the outside inwards; a pointer to an
    /// array or function has parentheses around both.
    fn declaration(
        &mut self,
        id: u32,
        name: Name,
        place: Place,
        level: usize,
    ) -> Result<(), Error> {
        if self.plain_declaration(id, name) {
            return Ok(());
        }
        let mut chain = Chain::new();
        let mut id = id;
        // Whether the chain, as far as it was seen, goes through a pointer.
        let mut behind_pointer = place == Place::Param;
        let base = loop {
            let Some(record) = raw::record(self.btf, id) else { break 0 };
            match record.kind() {
                Kind::Ptr => {
                    chain.push(id, Kind::Ptr);
                    behind_pointer = true;
                    id = record.third;
                }
                kind @ (Kind::Const | Kind::Volatile | Kind::Restrict | Kind::TypeTag) => {
                    chain.push(id, kind);
                    id = record.third;
                }
                Kind::Array => {
                    let element = raw::word(record.rest);
                    if !behind_pointer || self.is_complete(element) {
                        chain.push(id, Kind::Array);
                    }
                    id = element;
                }
                Kind::FuncProto => {
                    chain.push(id, Kind::FuncProto);
                    // What it returns need not be complete, but C has no
                    // function that returns an array or a function.
                    behind_pointer = true;
                    id = record.third;
                }
                Kind::Typedef => {
                    // BPF's own va_list differs in size from the machine's.
                    if place == Place::Member && self.names.va_lists.contains(&id) {
                        id = record.third;
                        continue;
                    }
                    if !self.has(id, DEFINED) {
                        // Only BTF that no C compiler wrote gets here.
                        break 0;
                    }
                    break id;
                }
                _ => break id,
            }
        };
        let links = chain.links();
        let mut last = links.len();
        // Qualifiers next to the base stand before it.
        while let Some((_, kind @ (Kind::Const | Kind::Volatile))) =
            last.checked_sub(1).map(|index| links[index])
        {
            let text: &[u8] = if kind == Kind::Const { b"const " } else { b"volatile " };
            // A function's result has no qualifier that would mean anything.
            let is_result = links[..last]
                .iter()
                .rev()
                .find(|link| !is_qualifier(link.1))
                .is_some_and(|link| link.1 == Kind::FuncProto);
            if !is_result && !self.out.ends_with(text) {
                self.put(text);
            }
            last -= 1;
        }
        self.base(base, level)?;
        let mut wants_space = true;
        for index in (0..last).rev() {
            let inner =
                links[index + 1..].iter().map(|link| link.1).find(|kind| !is_qualifier(*kind));
            match links[index] {
                (_, Kind::Ptr) => {
                    if wants_space {
                        self.out.push(b' ');
                    }
                    if matches!(inner, Some(Kind::Array | Kind::FuncProto)) {
                        self.out.push(b'(');
                    }
                    self.out.push(b'*');
                    wants_space = false;
                }
                (id, Kind::TypeTag) => {
                    wants_space |= self.type_tag(id);
                }
                // Elsewhere than on a pointer they mean nothing here: an
                // array's qualifiers are its elements'.
                (_, kind @ (Kind::Const | Kind::Volatile | Kind::Restrict))
                    if inner == Some(Kind::Ptr) =>
                {
                    let text: &[u8] = match kind {
                        Kind::Const => b" const",
                        Kind::Volatile => b" volatile",
                        _ => b" restrict",
                    };
                    if !self.out.ends_with(text) {
                        self.put(text);
                    }
                    wants_space = true;
                }
                _ => {}
            }
        }
        if wants_space && !name.is_none() {
            self.out.push(b' ');
        }
        self.name(name);
        for index in 0..last {
            let inner =
                links[index + 1..].iter().map(|link| link.1).find(|kind| !is_qualifier(*kind));
            match links[index] {
                (_, Kind::Ptr) if matches!(inner, Some(Kind::Array | Kind::FuncProto)) => {
                    self.out.push(b')');
                }
                (id, Kind::Array) => {
                    let count = raw::record(self.btf, id)
                        .map_or(0, |record| raw::words::<3>(record.rest)[2]);
                    self.out.push(b'[');
                    self.number(count.into());
                    self.out.push(b']');
                }
                (id, Kind::FuncProto) => self.params(id, level)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// The declarations that most are: a base type or a pointer to one,
    /// perhaps constant. Says whether it was one of these; if not, nothing
    /// was written.
    #[inline]
    fn plain_declaration(&mut self, id: u32, name: Name) -> bool {
        if name.is_none() {
            return self.spell_plain(id, name);
        }
        // Most types are mentioned more than once, and come out the same.
        if let Some(&known) = self.spelled.get(id as usize)
            && known != 0
        {
            let (start, length) = ((known >> 8) as usize, (known & 0xff) as usize);
            self.repeat(start, length);
            self.name(name);
            return true;
        }
        let start = self.out.len();
        if !self.spell_plain(id, name) {
            return false;
        }
        const FARTHEST: usize = u32::MAX as usize >> 8;
        let text = &self.out[start..];
        if let (Ok(length), Some(slot)) =
            (u8::try_from(text.len()), self.spelled.get_mut(id as usize))
            && self.spellings.len() <= FARTHEST
        {
            *slot = (self.spellings.len() as u32) << 8 | u32::from(length);
            self.spellings.extend_from_slice(text);
        }
        self.name(name);
        true
    }

    /// [`Writer::plain_declaration`] of a type that was not written yet,
    /// without the name.
    fn spell_plain(&mut self, id: u32, name: Name) -> bool {
        let Some(mut record) = raw::record(self.btf, id) else { return false };
        let mut base = id;
        let is_pointer = record.kind() == Kind::Ptr;
        let mut is_const = false;
        if is_pointer {
            base = record.third;
            let Some(target) = raw::record(self.btf, base) else { return false };
            record = target;
            if record.kind() == Kind::Const {
                is_const = true;
                base = record.third;
                let Some(target) = raw::record(self.btf, base) else { return false };
                record = target;
            }
        }
        match record.kind() {
            Kind::Int => {
                let encoding = raw::word(record.rest) >> 24;
                let text = integer(raw::bytes(self.btf, record.name), record.third, encoding);
                self.put_const(is_const);
                self.put(text);
            }
            Kind::Struct | Kind::Union | Kind::Fwd if record.name != 0 => {
                let id = self.names.resolve(base);
                self.put_const(is_const);
                self.tag(id);
                self.set(id, DECLARED);
            }
            Kind::Typedef
                // What stands for `va_list` is another type in a struct.
                if self.has(base, DEFINED) && !self.names.va_lists.contains(&base) =>
            {
                self.put_const(is_const);
                self.identifier(record.name);
                self.suffix(self.names.suffix(base));
            }
            _ => return false,
        }
        if is_pointer {
            self.put(b" *");
        } else if !name.is_none() {
            self.out.push(b' ');
        }
        true
    }

    fn put_const(&mut self, is_const: bool) {
        if is_const {
            self.put(b"const ");
        }
    }

    /// Whether an array of a type may be written here.
    fn is_complete(&self, id: u32) -> bool {
        let id = self.btf.resolve(TypeId(id)).0;
        match self.btf.kind(TypeId(id)) {
            Kind::Struct | Kind::Union => {
                raw::record(self.btf, id).is_some_and(|record| record.name == 0)
                    || self.has(self.names.resolve(id), DEFINED)
            }
            Kind::Fwd => self.has(self.names.resolve(id), DEFINED),
            Kind::Array => raw::record(self.btf, id)
                .is_some_and(|record| self.is_complete(raw::word(record.rest))),
            Kind::FuncProto | Kind::Void => false,
            _ => true,
        }
    }

    /// What stands at the left of a declaration.
    fn base(&mut self, id: u32, level: usize) -> Result<(), Error> {
        let Some(record) = raw::record(self.btf, id) else {
            self.put(b"void");
            return Ok(());
        };
        match record.kind() {
            Kind::Int => {
                let text = integer(
                    raw::bytes(self.btf, record.name),
                    record.third,
                    raw::word(record.rest) >> 24,
                );
                self.put(text);
            }
            Kind::Float => self.put(float(raw::bytes(self.btf, record.name), record.third)),
            Kind::Struct | Kind::Union if record.name == 0 => {
                let is_union = record.kind() == Kind::Union;
                self.put(if is_union { b"union" } else { b"struct" });
                return self.composite_body(id, level);
            }
            Kind::Struct | Kind::Union | Kind::Fwd => {
                let id = self.names.resolve(id);
                self.tag(id);
                self.set(id, DECLARED);
            }
            Kind::Enum | Kind::Enum64 => {
                if record.name == 0 && record.rest.is_empty() {
                    let text = integer(b"", record.third, 0);
                    self.put(text);
                } else if record.name == 0 && self.anonymous().is_inline(self.btf, id) {
                    self.set(id, DEFINED);
                    self.put(b"enum");
                    self.enum_body(id, level);
                } else {
                    let id = self.names.resolve(id);
                    self.enum_tag(id);
                }
            }
            Kind::Typedef => {
                self.identifier(record.name);
                self.suffix(self.names.suffix(id));
            }
            _ => self.put(b"void"),
        }
        Ok(())
    }

    /// `(int a, ...)`.
    fn params(&mut self, id: u32, level: usize) -> Result<(), Error> {
        self.check_length(id)?;
        let params = raw::record(self.btf, id).map_or(&[][..], |record| record.rest);
        self.out.push(b'(');
        let count = params.len() / 8;
        for (index, param) in params.chunks_exact(8).enumerate() {
            if index > 0 {
                self.put(b", ");
            }
            let [name, ty] = raw::words(param);
            if ty == 0 && index + 1 == count {
                // clang's BTF of `(void)` has one parameter of type void.
                self.put(if count == 1 { b"void" } else { b"..." });
            } else if self.btf.resolve(TypeId(ty)) == TypeId::VOID {
                self.put(b"int");
            } else {
                self.declaration(ty, Name::at(name), Place::Param, level + 1)?;
            }
        }
        if count == 0 {
            self.put(b"void");
        }
        self.out.push(b')');
        Ok(())
    }

    /// A type tag, where clang knows it; says whether it wrote one.
    fn type_tag(&mut self, id: u32) -> bool {
        let Some(record) = raw::record(self.btf, id) else { return false };
        let value = raw::bytes(self.btf, record.name);
        if record.kind_flag() {
            // The text of an attribute. Whatever else it may be, only this
            // one is known to be meant.
            if value != b"address_space(1)" {
                return false;
            }
            self.put(b" __attribute__((address_space(1)))");
        } else {
            let plain = value.iter().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(byte));
            if !plain {
                return false;
            }
            self.put(b" __attribute__((btf_type_tag(\"");
            self.put(value);
            self.put(b"\")))");
        }
        true
    }

    /// The prototype of a kernel function, for programs to call.
    pub fn kfunc(&mut self, func: u32, fast: bool) -> Result<(), Error> {
        let Some(record) = raw::record(self.btf, func) else { return Ok(()) };
        self.text("extern ");
        self.declaration(record.third, Name::at(record.name), Place::File, 0)?;
        self.text(if fast { " __weak __ksym __bpf_fastcall;\n" } else { " __weak __ksym;\n" });
        Ok(())
    }

    /// Writes what a kernel function's prototype needs.
    pub fn kfunc_needs(&mut self, func: u32) -> Result<(), Error> {
        match raw::record(self.btf, func) {
            Some(record) => self.need(record.third, Need::Param, 0),
            None => Ok(()),
        }
    }
}

/// What C23 made keywords is not defined for it.
pub(super) const BEFORE_C23: &str =
    "#if !defined(__STDC_VERSION__) || __STDC_VERSION__ < 202311L\n";

fn is_qualifier(kind: Kind) -> bool {
    kind.is_modifier()
}

/// The derivations of a declaration from the outside to the base; nearly
/// always few.
struct Chain {
    short: [(u32, Kind); 8],
    count: usize,
    long: Vec<(u32, Kind)>,
}

impl Chain {
    fn new() -> Self {
        Self { short: [(0, Kind::Void); 8], count: 0, long: Vec::new() }
    }

    fn push(&mut self, id: u32, kind: Kind) {
        if let Some(free) = self.short.get_mut(self.count) {
            *free = (id, kind);
        } else {
            if self.long.is_empty() {
                self.long.extend_from_slice(&self.short);
            }
            self.long.push((id, kind));
        }
        self.count += 1;
    }

    fn links(&self) -> &[(u32, Kind)] {
        self.short.get(..self.count).unwrap_or(&self.long)
    }
}

/// What a declaration declares.
#[derive(Clone, Copy)]
struct Name {
    /// The offset of its name; 0 for none.
    offset: u32,
    /// The number behind it.
    suffix: Option<u32>,
}

impl Name {
    fn at(offset: u32) -> Self {
        Self { offset, suffix: None }
    }

    fn is_none(self) -> bool {
        self.offset == 0
    }
}

/// What a declaration is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A member of a struct or union: its size matters.
    Member,
    /// A parameter: an array is a pointer there.
    Param,
    /// A typedef or a function.
    File,
}

/// An integer type of C that has the size it has in BTF, on BPF; its own name
/// if that is one.
fn integer(name: &[u8], size: u32, encoding: u32) -> &[u8] {
    if c_integer_size(name) == Some(size) {
        return name;
    }
    if encoding & 4 != 0 && size == 1 {
        return b"_Bool";
    }
    match (size, encoding & 1 != 0) {
        (1, true) => b"signed char",
        (1, false) => b"unsigned char",
        (2, true) => b"short",
        (2, false) => b"unsigned short",
        (4, true) => b"int",
        (4, false) => b"unsigned int",
        (8, true) => b"long long",
        (8, false) => b"unsigned long long",
        (_, true) => b"__int128",
        (_, false) => b"unsigned __int128",
    }
}

/// The size in bytes of an integer type with this name, on BPF.
fn c_integer_size(name: &[u8]) -> Option<u32> {
    let (mut signs, mut longs, mut ints) = (0, 0, 0);
    let mut base = None;
    for word in name.split(|byte| *byte == b' ') {
        match word {
            b"signed" | b"unsigned" => signs += 1,
            b"long" => longs += 1,
            b"int" => ints += 1,
            b"char" | b"short" | b"__int128" | b"_Bool" if base.is_none() => base = Some(word),
            _ => return None,
        }
    }
    if signs > 1 || ints > 1 {
        return None;
    }
    match (base, longs) {
        (Some(b"char"), 0) if ints == 0 => Some(1),
        (Some(b"_Bool"), 0) if ints == 0 && signs == 0 => Some(1),
        (Some(b"short"), 0) => Some(2),
        (Some(b"__int128"), 0) if ints == 0 => Some(16),
        (None, 0) if ints + signs > 0 => Some(4),
        (None, 1 | 2) => Some(8),
        _ => None,
    }
}

/// A type that has the size and alignment of a floating-point type, itself
/// where BPF has it.
fn float(name: &[u8], size: u32) -> &'static [u8] {
    match (name, size) {
        (b"float", 4) => b"float",
        (b"double", 8) => b"double",
        (_, 2) => b"unsigned short",
        (_, 4) => b"float",
        (_, 8) => b"double",
        (_, 12) => FLOAT_12.as_bytes(),
        _ => b"unsigned __int128",
    }
}

/// A 12-byte float's stand-in.
pub(super) const FLOAT_12: &str = "struct { unsigned int ___words[3]; }";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_the_size_they_have_in_btf() {
        assert_eq!(integer(b"long unsigned int", 8, 0), b"long unsigned int");
        assert_eq!(integer(b"long unsigned int", 4, 0), b"unsigned int");
        assert_eq!(integer(b"char", 1, 1), b"char");
        assert_eq!(integer(b"_Bool", 1, 4), b"_Bool");
        assert_eq!(integer(b"u8", 1, 0), b"unsigned char");
        assert_eq!(integer(b"unsigned __int128", 16, 0), b"unsigned __int128");
        assert_eq!(integer(b"char16_t", 2, 0), b"unsigned short");
        assert_eq!(integer(b"long long long int", 8, 1), b"long long");
    }
}
