//! Writing BTF.

use super::{Btf, Endian, Kind, TypeId};
use std::collections::HashMap;

/// Writes BTF type by type. Nothing is checked: what comes out is what was
/// put in, so that tests can make BTF that is wrong.
#[derive(Clone, Debug)]
pub struct Builder {
    types: Vec<u32>,
    count: u32,
    strings: Vec<u8>,
    /// How many bytes of strings come before the own ones.
    base_strings: u32,
    known: HashMap<String, u32>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            types: Vec::new(),
            count: 1,
            strings: vec![0],
            base_strings: 0,
            known: HashMap::new(),
        }
    }
}

impl Builder {
    /// BTF with nothing but `void`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Split BTF that continues the types and strings of `base`.
    pub fn over(base: &Btf) -> Self {
        let (count, base_strings) = (base.len(), base.strings_end());
        Self { count, base_strings, strings: Vec::new(), ..Self::default() }
    }

    /// The offset of a string, which is added if it is new.
    pub fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        if let Some(offset) = self.known.get(text) {
            return *offset;
        }
        let offset = self.base_strings + self.strings.len() as u32;
        self.strings.extend_from_slice(text.as_bytes());
        self.strings.push(0);
        self.known.insert(text.to_owned(), offset);
        offset
    }

    /// The number that the next type will have.
    pub fn next_id(&self) -> TypeId {
        TypeId(self.count)
    }

    /// Adds a type from its parts: the three words of its head (`third` is
    /// its size or target), and what follows them.
    pub fn raw(
        &mut self,
        name: &str,
        kind: Kind,
        flag: bool,
        count: usize,
        third: u32,
        rest: &[u32],
    ) -> TypeId {
        let name = self.string(name);
        self.raw_at(name, kind, flag, count, third, rest)
    }

    /// As [`Builder::raw`], with the name as the offset of a string.
    pub fn raw_at(
        &mut self,
        name: u32,
        kind: Kind,
        flag: bool,
        count: usize,
        third: u32,
        rest: &[u32],
    ) -> TypeId {
        let id = self.next_id();
        let info = u32::from(flag) << 31 | (kind as u32) << 24 | count as u32 & 0xff_ffff;
        self.types.extend([name, info, third]);
        self.types.extend(rest);
        self.count += 1;
        id
    }

    /// Adds an integer of `size` bytes; `encoding` is 1 for a signed one, 4
    /// for a truth value.
    pub fn int(&mut self, name: &str, size: u32, encoding: u32) -> TypeId {
        self.raw(name, Kind::Int, false, 0, size, &[(encoding << 24) | (size * 8)])
    }

    /// Adds a pointer, a typedef, a qualifier or a type tag.
    pub fn reference(&mut self, kind: Kind, name: &str, target: TypeId) -> TypeId {
        self.raw(name, kind, false, 0, target.0, &[])
    }

    /// Adds an array.
    pub fn array(&mut self, element: TypeId, index: TypeId, count: u32) -> TypeId {
        self.raw("", Kind::Array, false, 0, 0, &[element.0, index.0, count])
    }

    /// Adds a struct or union from its members: name, type, offset in bits,
    /// and width in bits for a bit-field (else 0).
    pub fn composite(
        &mut self,
        kind: Kind,
        name: &str,
        size: u32,
        members: &[(&str, TypeId, u32, u8)],
    ) -> TypeId {
        let flag = members.iter().any(|member| member.3 != 0);
        let mut rest = Vec::with_capacity(members.len() * 3);
        for (name, ty, offset, width) in members {
            let name = self.string(name);
            rest.extend([name, ty.0, offset | u32::from(*width) << 24]);
        }
        self.raw(name, kind, flag, members.len(), size, &rest)
    }

    /// Adds an enumeration; of 64-bit values if `size` is 8.
    pub fn enumeration(
        &mut self,
        name: &str,
        size: u32,
        is_signed: bool,
        values: &[(&str, i64)],
    ) -> TypeId {
        let kind = if size == 8 { Kind::Enum64 } else { Kind::Enum };
        let mut rest = Vec::new();
        for (name, value) in values {
            rest.extend([self.string(name), *value as u32]);
            if size == 8 {
                rest.push((*value >> 32) as u32);
            }
        }
        self.raw(name, kind, is_signed, values.len(), size, &rest)
    }

    /// Adds the type of a function; a parameter of type `void` at the end
    /// stands for `...`.
    pub fn proto(&mut self, returns: TypeId, params: &[(&str, TypeId)]) -> TypeId {
        let mut rest = Vec::new();
        for (name, ty) in params {
            rest.extend([self.string(name), ty.0]);
        }
        self.raw("", Kind::FuncProto, false, params.len(), returns.0, &rest)
    }

    /// The BTF.
    pub fn finish(self, endian: Endian) -> Vec<u8> {
        let word = |value: u32| match endian {
            Endian::Little => value.to_le_bytes(),
            Endian::Big => value.to_be_bytes(),
        };
        let mut bytes = match endian {
            Endian::Little => vec![0x9f, 0xeb, 1, 0],
            Endian::Big => vec![0xeb, 0x9f, 1, 0],
        };
        let types = self.types.len() as u32 * 4;
        for value in [24, 0, types, types, self.strings.len() as u32] {
            bytes.extend(word(value));
        }
        for value in self.types {
            bytes.extend(word(value));
        }
        bytes.extend(self.strings);
        bytes
    }
}
