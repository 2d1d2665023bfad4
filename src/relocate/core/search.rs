//! Finding a local type's path in a candidate, by name.

use super::compatible::Pair;
use super::spec::{Accessor, MAX_LEN, Spec, name_of};
use super::{Candidate, Error, Question, essential_name};
use crate::btf::{Btf, Type, TypeId};

/// What the target lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The candidate that came closest, if there was any.
    pub candidate: Option<Candidate>,
    /// The step of the local path that it does not have, as an index into
    /// [`Spec::accessors`].
    pub accessor: usize,
    /// What is wrong there.
    pub reason: Reason,
}

/// Why a candidate is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The target has no type of that kind and name.
    NoType,
    /// A struct or union has no member of that name.
    NoMember {
        /// The struct or union, in the target.
        owner: TypeId,
        /// The member's name.
        name: String,
    },
    /// It has one, but of a type that is too different.
    Incompatible {
        /// The struct or union, in the target.
        owner: TypeId,
        /// The member's name.
        name: String,
        /// The member's type, in the target.
        ty: TypeId,
    },
    /// The path goes into a type that has no members or no elements.
    NotThatKind {
        /// The type, in the target.
        ty: TypeId,
    },
    /// The array is too short.
    PastTheEnd {
        /// How many elements it has.
        count: u32,
    },
    /// The enumeration has no value of that name.
    NoValue {
        /// The enumeration, in the target.
        owner: TypeId,
        /// The value's name.
        name: String,
    },
    /// The type as a whole is too different.
    Different,
}

impl Missing {
    /// Keeps of two failures the one that got further along the path.
    pub(super) fn keep_closest(kept: &mut Option<Self>, other: Self) {
        if kept.as_ref().is_none_or(|kept| kept.accessor < other.accessor) {
            *kept = Some(other);
        }
    }
}

/// Finds the path of `local` in `candidate` (`bpf_core_spec_match`).
pub(super) fn find(
    local_btf: &Btf,
    local: &Spec,
    question: Question,
    target_btf: &Btf,
    candidate: Candidate,
) -> Result<Result<Spec, Missing>, Error> {
    let pair = Pair { local: local_btf, target: target_btf };
    let mut spec = Spec::empty(candidate.id);
    let lacks = |accessor: usize, reason: Reason| {
        Ok(Err(Missing { candidate: Some(candidate), accessor, reason }))
    };
    if question.is_about_type() {
        let agree = match question {
            Question::TypeMatches => pair.matches(local.root, candidate.id),
            _ => pair.types(local.root, candidate.id),
        };
        let agree = agree.map_err(|_| Error::TooDeep { question })?;
        return if agree { Ok(Ok(spec)) } else { lacks(0, Reason::Different) };
    }
    let mut ty = target_btf.resolve(candidate.id);
    if question.is_about_value() {
        let name = local.accessors.first().and_then(|value| name_of(local_btf, value));
        let name = essential_name(name.unwrap_or_default());
        let Type::Enum(values) = target_btf.ty(ty) else {
            return lacks(0, Reason::NotThatKind { ty });
        };
        let Some(index) = values.values().position(|value| essential_name(value.name) == name)
        else {
            return lacks(0, Reason::NoValue { owner: ty, name: name.to_owned() });
        };
        spec.accessors.push(Accessor { ty, index: index as u32, is_named: true });
        spec.path.push(index as u32);
        return Ok(Ok(spec));
    }
    for (at, accessor) in local.accessors.iter().enumerate() {
        ty = target_btf.resolve(ty);
        if accessor.is_named {
            // The spec was parsed from this BTF: the member is there.
            let member = local_btf
                .as_composite(accessor.ty)
                .and_then(|composite| composite.member(accessor.index as usize));
            let Some(member) = member else { return lacks(at, Reason::NotThatKind { ty }) };
            if target_btf.as_composite(ty).is_none() {
                return lacks(at, Reason::NotThatKind { ty });
            }
            let mut search = Search { target: target_btf, name: member.name, spec: &mut spec };
            let owner = ty;
            match search.member(owner).map_err(|TooLong| Error::TooDeep { question })? {
                None => {
                    let name = member.name.to_owned();
                    return lacks(at, Reason::NoMember { owner, name });
                }
                Some(found) if !pair.fields(member.ty, found) => {
                    let name = member.name.to_owned();
                    return lacks(at, Reason::Incompatible { owner, name, ty: found });
                }
                Some(found) => ty = found,
            }
        } else {
            if at > 0 {
                let Type::Array(array) = target_btf.ty(ty) else {
                    return lacks(at, Reason::NotThatKind { ty });
                };
                if accessor.index >= array.count && !spec.ends_in_flexible(target_btf, &array) {
                    return lacks(at, Reason::PastTheEnd { count: array.count });
                }
                ty = target_btf.resolve(array.element);
            }
            if spec.path.len() == MAX_LEN {
                return Err(Error::TooDeep { question });
            }
            spec.path.push(accessor.index);
            spec.enter_element(target_btf, ty, accessor.index).ok_or(Error::NoSize { question })?;
        }
    }
    Ok(Ok(spec))
}

/// The path became longer than libbpf lets it.
struct TooLong;

/// The search for a member, also in members without a name.
struct Search<'s> {
    target: &'s Btf,
    name: &'s str,
    spec: &'s mut Spec,
}

impl Search<'_> {
    /// The type of the member of that name, if there is one; the spec then
    /// leads to it.
    fn member(&mut self, owner: TypeId) -> Result<Option<TypeId>, TooLong> {
        let owner = self.target.resolve(owner);
        let Some(composite) = self.target.as_composite(owner) else { return Ok(None) };
        for index in 0..composite.len() {
            let Some(member) = composite.member_as_recorded(index) else { break };
            if self.spec.path.len() == MAX_LEN {
                return Err(TooLong);
            }
            let index = index as u32;
            self.spec.path.push(index);
            self.spec.bit_offset = self.spec.bit_offset.wrapping_add(member.bit_offset);
            if member.name.is_empty() {
                if let Some(found) = self.member(member.ty)? {
                    return Ok(Some(found));
                }
            } else if member.name == self.name {
                self.spec.accessors.push(Accessor { ty: owner, index, is_named: true });
                return Ok(Some(member.ty));
            }
            self.spec.path.pop();
            self.spec.bit_offset = self.spec.bit_offset.wrapping_sub(member.bit_offset);
        }
        Ok(None)
    }
}
