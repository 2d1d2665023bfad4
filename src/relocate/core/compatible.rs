//! When a target's type may stand for a local one. There are three relations,
//! each for its own questions; none of them looks at qualifiers or typedefs.

use super::essential_name;
use super::target::same_kind;
use crate::btf::{Btf, Composite, Enum, FuncProto, Type, TypeId};
use std::cell::Cell;
use std::collections::HashSet;

/// How many pointers, arrays and results libbpf follows in a row, and how
/// many levels of parameters and members.
const MAX_DEPTH: u8 = 32;

/// How many pairs of members are compared at most. Unions of unions can double
/// the work with every level; the largest struct of a kernel needs 100,000.
const MAX_WORK: u32 = 1 << 22;

/// The types are nested deeper than libbpf follows them, or in so many ways
/// that comparing them does not end in reasonable time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooDeep;

/// Two types, one of each BTF.
#[derive(Clone, Copy)]
pub(super) struct Pair<'b> {
    pub local: &'b Btf,
    pub target: &'b Btf,
}

impl<'b> Pair<'b> {
    /// For a field on a path (`bpf_core_fields_are_compat`): any struct or
    /// union for any other, any pointer, any integer, enumerations and
    /// forward declarations by name, arrays by element.
    pub fn fields(self, mut local: TypeId, mut target: TypeId) -> bool {
        loop {
            (local, target) = (self.local.resolve(local), self.target.resolve(target));
            let (one, other) = (self.local.kind(local), self.target.kind(target));
            if one.is_composite() && other.is_composite() {
                return true;
            }
            if !same_kind(one, other) {
                return false;
            }
            match (self.local.ty(local), self.target.ty(target)) {
                (Type::Ptr(_), _) | (Type::Float { .. }, _) => return true,
                (Type::Fwd { .. } | Type::Enum(_), _) => {
                    let one = essential_name(self.local.name(local));
                    let other = essential_name(self.target.name(target));
                    return one.is_empty() || other.is_empty() || one == other;
                }
                (Type::Int(one), Type::Int(other)) => return one.offset == 0 && other.offset == 0,
                (Type::Array(one), Type::Array(other)) => {
                    (local, target) = (one.element, other.element);
                }
                _ => return false,
            }
        }
    }

    /// For a type as a whole (`bpf_core_types_are_compat`): names below the
    /// first are not looked at, kinds are, through pointers, arrays and the
    /// signatures of functions.
    pub fn types(self, local: TypeId, target: TypeId) -> Result<bool, TooDeep> {
        self.types_at(local, target, MAX_DEPTH)
    }

    fn types_at(self, mut local: TypeId, mut target: TypeId, level: u8) -> Result<bool, TooDeep> {
        if !same_kind(self.local.kind(local), self.target.kind(target)) {
            return Ok(false);
        }
        for _ in 0..MAX_DEPTH {
            (local, target) = (self.local.resolve(local), self.target.resolve(target));
            if !same_kind(self.local.kind(local), self.target.kind(target)) {
                return Ok(false);
            }
            (local, target) = match (self.local.ty(local), self.target.ty(target)) {
                (
                    Type::Void
                    | Type::Struct(_)
                    | Type::Union(_)
                    | Type::Enum(_)
                    | Type::Fwd { .. },
                    _,
                ) => {
                    return Ok(true);
                }
                (Type::Int(one), Type::Int(other)) => {
                    return Ok(one.offset == 0 && other.offset == 0);
                }
                (Type::Ptr(one), Type::Ptr(other)) => (one, other),
                (Type::Array(one), Type::Array(other)) => (one.element, other.element),
                (Type::FuncProto(one), Type::FuncProto(other)) => {
                    if !self.params(one, other, level, |one, other| {
                        let (one, other) = (self.local.resolve(one), self.target.resolve(other));
                        self.types_at(one, other, level - 1)
                    })? {
                        return Ok(false);
                    }
                    // The result's kind is compared after its typedefs.
                    (one.returns, other.returns)
                }
                _ => return Ok(false),
            };
        }
        Err(TooDeep)
    }

    /// Whether two signatures have as many parameters, and each pair agrees.
    fn params(
        self,
        one: FuncProto<'_>,
        other: FuncProto<'_>,
        level: u8,
        agree: impl Fn(TypeId, TypeId) -> Result<bool, TooDeep>,
    ) -> Result<bool, TooDeep> {
        if one.len() != other.len() {
            return Ok(false);
        }
        for (one, other) in one.params().zip(other.params()) {
            if level == 0 {
                return Err(TooDeep);
            }
            if !agree(one.ty, other.ty)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// For `bpf_core_type_matches` (`bpf_core_types_match`): all that the
    /// local type has must be in the target's, by name and of the same size
    /// and sign; behind a pointer, names and kinds suffice.
    pub fn matches(self, local: TypeId, target: TypeId) -> Result<bool, TooDeep> {
        self.matches_at(local, target, false, MAX_DEPTH, &Cell::new(MAX_WORK))
    }

    fn matches_at(
        self,
        mut local: TypeId,
        mut target: TypeId,
        mut behind_pointer: bool,
        level: u8,
        work: &Cell<u32>,
    ) -> Result<bool, TooDeep> {
        if level == 0 {
            return Err(TooDeep);
        }
        for _ in 0..MAX_DEPTH {
            (local, target) = (self.local.resolve(local), self.target.resolve(target));
            if !names_match(self.local.name(local), self.target.name(target)) {
                return Ok(false);
            }
            (local, target) = match (self.local.ty(local), self.target.ty(target)) {
                (Type::Void, Type::Void) => return Ok(true),
                (Type::Fwd { is_union, .. }, Type::Fwd { is_union: other, .. }) => {
                    return Ok(is_union == other);
                }
                (Type::Fwd { is_union, .. }, Type::Struct(_)) => {
                    return Ok(behind_pointer && !is_union);
                }
                (Type::Fwd { is_union, .. }, Type::Union(_)) => {
                    return Ok(behind_pointer && is_union);
                }
                (Type::Enum(one), Type::Enum(other)) => return Ok(enums_match(one, other)),
                (Type::Struct(one), Type::Struct(other))
                | (Type::Union(one), Type::Union(other)) => {
                    return if behind_pointer {
                        Ok(true)
                    } else {
                        self.members_match(one, other, level, work)
                    };
                }
                (Type::Struct(_), Type::Fwd { is_union, .. }) => {
                    return Ok(behind_pointer && !is_union);
                }
                (Type::Union(_), Type::Fwd { is_union, .. }) => {
                    return Ok(behind_pointer && is_union);
                }
                (Type::Int(one), Type::Int(other)) => {
                    return Ok(one.size == other.size && one.is_signed == other.is_signed);
                }
                (Type::Ptr(one), Type::Ptr(other)) => {
                    behind_pointer = true;
                    (one, other)
                }
                (Type::Array(one), Type::Array(other)) if one.count == other.count => {
                    (one.element, other.element)
                }
                (Type::FuncProto(one), Type::FuncProto(other)) => {
                    if !self.params(one, other, level, |one, other| {
                        self.matches_at(one, other, behind_pointer, level - 1, work)
                    })? {
                        return Ok(false);
                    }
                    (one.returns, other.returns)
                }
                _ => return Ok(false),
            };
        }
        Err(TooDeep)
    }

    /// Whether each member of one struct has a match of its name in another.
    fn members_match(
        self,
        local: Composite<'_>,
        target: Composite<'_>,
        level: u8,
        work: &Cell<u32>,
    ) -> Result<bool, TooDeep> {
        if local.len() > target.len() {
            return Ok(false);
        }
        'members: for member in local.members() {
            for other in target.members() {
                work.set(work.get().checked_sub(1).ok_or(TooDeep)?);
                if names_match(member.name, other.name)
                    && self.matches_at(member.ty, other.ty, false, level - 1, work)?
                {
                    continue 'members;
                }
            }
            return Ok(false);
        }
        Ok(true)
    }
}

/// Whether two names are the same but for flavours. An empty one is only like
/// another empty one.
pub(super) fn names_match(local: &str, target: &str) -> bool {
    essential_name(local) == essential_name(target)
}

fn enums_match(local: Enum<'_>, target: Enum<'_>) -> bool {
    if local.size != target.size || local.len() > target.len() {
        return false;
    }
    let names: HashSet<&str> = target.values().map(|value| essential_name(value.name)).collect();
    local.values().all(|value| names.contains(essential_name(value.name)))
}
