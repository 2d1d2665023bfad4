//! Paths: from `0:1:2` to named members and array indices.

use super::{Error, Question};
use crate::btf::{Array, Btf, Type, TypeId};
use std::fmt::Write as _;

/// The longest path, libbpf's `BPF_CORE_SPEC_MAX_LEN`.
pub(super) const MAX_LEN: usize = 64;

/// One step that means something to a programmer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accessor {
    /// The struct or union that has the member, the enumeration that has the
    /// value, or the type of an array's element; without qualifiers.
    pub ty: TypeId,
    /// The index of the member or value, or of the element.
    pub index: u32,
    /// Whether this is a named member or value, not an element.
    pub is_named: bool,
}

/// A type and a path in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The type the path begins at.
    pub root: TypeId,
    /// Elements and named members. The first one is the element of the
    /// pointer the access begins at, nearly always 0. Empty for questions
    /// about a type.
    pub accessors: Vec<Accessor>,
    /// Every step, those through members without a name too.
    pub path: Vec<u32>,
    /// Where the path ends, in bits from the start of the type.
    pub bit_offset: u32,
}

impl Spec {
    pub(super) fn empty(root: TypeId) -> Self {
        Self { root, accessors: Vec::new(), path: Vec::new(), bit_offset: 0 }
    }

    /// Follows the path at string offset `access` from `root` in the object's
    /// own BTF.
    ///
    /// # Errors
    /// If there is no such path, or it is none that the question can be about.
    pub fn parse(btf: &Btf, root: TypeId, access: u32, question: Question) -> Result<Self, Error> {
        let text = btf.string(access).unwrap_or_default();
        let broken = || Error::Path { question, path: text.to_owned() };
        let mut spec = Self::empty(root);
        if question.is_about_type() {
            return if text == "0" { Ok(spec) } else { Err(broken()) };
        }
        spec.path = numbers(text).ok_or_else(broken)?;
        if spec.path.len() > MAX_LEN {
            return Err(Error::TooDeep { question });
        }
        let first = *spec.path.first().ok_or_else(broken)?;
        let mut ty = btf.resolve(root);
        if question.is_about_value() {
            let Type::Enum(values) = btf.ty(ty) else { return Err(broken()) };
            if spec.path.len() > 1 || first as usize >= values.len() {
                return Err(broken());
            }
            spec.accessors.push(Accessor { ty, index: first, is_named: true });
            return Ok(spec);
        }
        spec.enter_element(btf, ty, first).ok_or_else(broken)?;
        for at in 1..spec.path.len() {
            let index = spec.path[at];
            ty = btf.resolve(ty);
            match btf.ty(ty) {
                Type::Struct(composite) | Type::Union(composite) => {
                    let member = composite.member_as_recorded(index as usize).ok_or_else(broken)?;
                    spec.bit_offset = spec.bit_offset.wrapping_add(member.bit_offset);
                    if !member.name.is_empty() {
                        spec.accessors.push(Accessor { ty, index, is_named: true });
                    }
                    ty = member.ty;
                }
                Type::Array(array) => {
                    if index >= array.count && !spec.ends_in_flexible(btf, &array) {
                        return Err(broken());
                    }
                    ty = btf.resolve(array.element);
                    spec.enter_element(btf, ty, index).ok_or_else(broken)?;
                }
                _ => return Err(broken()),
            }
        }
        Ok(spec)
    }

    /// Goes to an element of type `ty`; nothing if that has no size.
    pub(super) fn enter_element(&mut self, btf: &Btf, ty: TypeId, index: u32) -> Option<()> {
        let bytes = u64::from(index).wrapping_mul(btf.size(ty)?);
        self.accessors.push(Accessor { ty, index, is_named: false });
        self.bit_offset = self.bit_offset.wrapping_add(bytes.wrapping_mul(8) as u32);
        Some(())
    }

    /// Whether the path ends at a flexible array, which `array` is: one
    /// without length as the last member of its struct.
    pub(super) fn ends_in_flexible(&self, btf: &Btf, array: &Array) -> bool {
        let Some(last) = self.accessors.last().filter(|last| last.is_named) else { return false };
        let members = btf.as_composite(last.ty).map_or(0, |composite| composite.len());
        array.count == 0 && last.index as usize + 1 == members
    }

    /// The type and path as a C programmer would write them:
    /// `struct task_struct.se.load`, `enum bpf_map_type::BPF_MAP_TYPE_ARENA`.
    pub fn describe(&self, btf: &Btf) -> String {
        let mut text = spell(btf, self.root);
        for (at, accessor) in self.accessors.iter().enumerate() {
            match name_of(btf, accessor) {
                Some(name) if btf.kind(accessor.ty).is_enum() => {
                    text.push_str("::");
                    text.push_str(name);
                }
                Some(name) => {
                    text.push('.');
                    text.push_str(name);
                }
                None if at > 0 || accessor.index > 0 => {
                    // Writing to a string does not fail.
                    let _ = write!(text, "[{}]", accessor.index);
                }
                None => {}
            }
        }
        text
    }
}

/// A type's name with its keyword.
pub(super) fn spell(btf: &Btf, ty: TypeId) -> String {
    let keyword = match btf.ty(ty) {
        Type::Struct(_) | Type::Fwd { is_union: false, .. } => "struct ",
        Type::Union(_) | Type::Fwd { is_union: true, .. } => "union ",
        Type::Enum(_) => "enum ",
        _ => "",
    };
    let name = btf.name(ty);
    format!("{keyword}{}", if name.is_empty() { "(anonymous)" } else { name })
}

/// The name of the member or value an accessor leads to.
pub(super) fn name_of<'b>(btf: &'b Btf, accessor: &Accessor) -> Option<&'b str> {
    if !accessor.is_named {
        return None;
    }
    match btf.ty(accessor.ty) {
        Type::Struct(composite) | Type::Union(composite) => {
            composite.member(accessor.index as usize).map(|member| member.name)
        }
        Type::Enum(values) => values.values().nth(accessor.index as usize).map(|value| value.name),
        _ => None,
    }
}

/// The numbers of a path. Each is a C `int` that libbpf reads with `%d`: one
/// that is too large wraps, and a negative one counts from the end of the
/// address space, as in C.
fn numbers(text: &str) -> Option<Vec<u32>> {
    let number = |word: &str| {
        let digits = word.strip_prefix('-').unwrap_or(word);
        let valid = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        valid.then(|| {
            let bound = if digits.len() == word.len() { i64::MAX } else { i64::MIN };
            word.parse::<i64>().unwrap_or(bound) as u32
        })
    };
    // More than the longest path is an error in any case; this bounds the work.
    text.split(':').take(MAX_LEN + 1).map(number).collect()
}

/// The part of a type's name that counts: without a *flavour*, which is what
/// follows the last `___` that stands between two other characters
/// (libbpf's `bpf_core_essential_name_len`).
pub fn essential_name(name: &str) -> &str {
    let bytes = name.as_bytes();
    let end = bytes
        .windows(5)
        .rposition(|window| window[0] != b'_' && &window[1..4] == b"___" && window[4] != b'_');
    // The byte before the underscores may end a longer character.
    match end {
        Some(at) => name.get(..=at).unwrap_or(name),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flavours_are_no_part_of_the_name() {
        assert_eq!(essential_name("task_struct"), "task_struct");
        assert_eq!(essential_name("task_struct___old"), "task_struct");
        assert_eq!(essential_name("a___b___c"), "a___b");
        assert_eq!(essential_name("a____b"), "a____b");
        assert_eq!(essential_name("a___"), "a___");
        assert_eq!(essential_name("___a"), "___a");
        assert_eq!(essential_name("é___a"), "é");
        assert_eq!(essential_name(""), "");
    }

    #[test]
    fn paths_are_numbers_between_colons() {
        assert_eq!(numbers("0:1:22"), Some(vec![0, 1, 22]));
        assert_eq!(numbers("-1"), Some(vec![u32::MAX]));
        assert_eq!(numbers("4294967297"), Some(vec![1]));
        for bad in ["", ":0", "0:", "0::1", "a", "0x1", "+1", "-", "0:-"] {
            assert_eq!(numbers(bad), None, "{bad}");
        }
    }
}
