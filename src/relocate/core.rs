//! CO-RE: what an instruction that depends on the kernel's types becomes on
//! one kernel, by the rules of libbpf 1.7 (its `relo_core.c` and
//! `bpf_object__relocate_core`).
//!
//! A relocation names a type of the object's own ("local") BTF, a path in it
//! (`0:1:2`) and a question. [`Resolver`] answers it for a [`Target`], the
//! kernel's BTF with that of its modules:
//!
//! 1. The path becomes a [`Spec`]: named members and array indices. Members
//!    without a name (a struct in a struct) are only passed through.
//! 2. Candidates are the target's types with the same kind and the same
//!    *essential* name ([`essential_name`]): the module's only where the
//!    kernel has none.
//! 3. Every candidate is asked for the same path, by name, wherever the
//!    members lie there. Types on the way must be compatible, which is less
//!    than equal.
//! 4. The question is answered for both specs. All candidates that have the
//!    path must give one answer, or the relocation is ambiguous.
//! 5. The instruction gets the new value, and where a load or store is of
//!    another size now, that size. Where there is nothing to answer with, it
//!    is *poisoned*: it becomes a call that the verifier refuses, unless it
//!    finds that it is never reached.
//!
//! Candidates that failed one relocation of a type are not asked again for
//! the next ones of that type, as in libbpf; a [`Resolver`] therefore must be
//! given an object's relocations in their order.

mod compatible;
mod error;
mod minimal;
mod patch;
mod search;
mod spec;
mod target;
mod value;

pub use self::error::Error;
pub use self::minimal::{Minimal, MinimalError};
pub use self::patch::{Applied, POISON};
pub use self::search::{Missing, Reason};
pub use self::spec::{Accessor, Spec, essential_name};
pub use self::target::{Candidate, Target};
pub use self::value::Answer;

use crate::btf::ext::CoreRelo;
use crate::btf::{Btf, TypeId};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// What a relocation asks; `enum bpf_core_relo_kind` of include/uapi/linux/bpf.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Question {
    /// Where a field lies, in bytes.
    FieldByteOffset = 0,
    /// How large a field is, in bytes.
    FieldByteSize = 1,
    /// Whether there is such a field.
    FieldExists = 2,
    /// Whether a field has a sign.
    FieldSigned = 3,
    /// By how many bits a loaded bit-field is shifted to the left.
    FieldLshiftU64 = 4,
    /// By how many bits it is shifted back to the right.
    FieldRshiftU64 = 5,
    /// The number of a type in the object's own BTF.
    TypeIdLocal = 6,
    /// The number of a type in the kernel's BTF.
    TypeIdTarget = 7,
    /// Whether there is such a type.
    TypeExists = 8,
    /// How large a type is, in bytes.
    TypeSize = 9,
    /// Whether an enumeration has such a value.
    EnumvalExists = 10,
    /// The number behind a value of an enumeration.
    EnumvalValue = 11,
    /// Whether there is a type that has all of this one.
    TypeMatches = 12,
}

impl Question {
    /// The question with this number.
    pub fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::FieldByteOffset,
            1 => Self::FieldByteSize,
            2 => Self::FieldExists,
            3 => Self::FieldSigned,
            4 => Self::FieldLshiftU64,
            5 => Self::FieldRshiftU64,
            6 => Self::TypeIdLocal,
            7 => Self::TypeIdTarget,
            8 => Self::TypeExists,
            9 => Self::TypeSize,
            10 => Self::EnumvalExists,
            11 => Self::EnumvalValue,
            12 => Self::TypeMatches,
            _ => return None,
        })
    }

    /// The word that libbpf and bpftool print for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FieldByteOffset => "byte_off",
            Self::FieldByteSize => "byte_sz",
            Self::FieldExists => "field_exists",
            Self::FieldSigned => "signed",
            Self::FieldLshiftU64 => "lshift_u64",
            Self::FieldRshiftU64 => "rshift_u64",
            Self::TypeIdLocal => "local_type_id",
            Self::TypeIdTarget => "target_type_id",
            Self::TypeExists => "type_exists",
            Self::TypeSize => "type_size",
            Self::EnumvalExists => "enumval_exists",
            Self::EnumvalValue => "enumval_value",
            Self::TypeMatches => "type_matches",
        }
    }

    /// Whether it is about a field.
    pub fn is_about_field(self) -> bool {
        (self as u32) <= Self::FieldRshiftU64 as u32
    }

    /// Whether it is about a value of an enumeration.
    pub fn is_about_value(self) -> bool {
        matches!(self, Self::EnumvalExists | Self::EnumvalValue)
    }

    /// Whether it is about a type as a whole.
    pub fn is_about_type(self) -> bool {
        !self.is_about_field() && !self.is_about_value()
    }

    /// Whether a program asks it to find out what it may do, so that "no" is
    /// an answer and no failure.
    pub fn is_a_test(self) -> bool {
        matches!(
            self,
            Self::FieldExists | Self::TypeExists | Self::TypeMatches | Self::EnumvalExists
        )
    }
}

/// A candidate that has what the relocation is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The type.
    pub candidate: Candidate,
    /// The path in it.
    pub spec: Spec,
}

/// What a relocation comes to on one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// What was asked.
    pub question: Question,
    /// The type and path in the object's BTF.
    pub local: Spec,
    /// The candidates that have it, the first being the one that counts; all
    /// of them agree. Empty if there is none, and for
    /// [`Question::TypeIdLocal`].
    pub matches: Vec<Match>,
    /// Why there is none: what the candidate that came closest lacks.
    pub missing: Option<Missing>,
    /// What to write into the instruction; nothing if it must be poisoned.
    pub answer: Option<Answer>,
}

impl Resolution {
    /// The path in the target, where there is one.
    pub fn target(&self) -> Option<&Match> {
        self.matches.first()
    }

    /// The value that the instruction gets.
    pub fn value(&self) -> Option<u64> {
        self.answer.map(|answer| answer.value)
    }
}

/// Whether a type of a kernel may stand for a local one as a whole, as libbpf
/// compares the declarations of kfuncs (`bpf_core_types_are_compat`). None
/// where libbpf gives up: the types are nested too deeply.
pub fn types_are_compatible(
    local: &Btf,
    local_id: TypeId,
    target: &Btf,
    target_id: TypeId,
) -> Option<bool> {
    compatible::Pair { local, target }.types(local_id, target_id).ok()
}

/// Resolves the relocations of one object for one target.
#[derive(Debug)]
pub struct Resolver<'a> {
    local: &'a Btf,
    target: &'a Target,
    /// The candidates for a local type, less those that failed.
    candidates: HashMap<TypeId, Vec<Candidate>>,
}

impl<'a> Resolver<'a> {
    /// A resolver for an object whose BTF is `local`.
    pub fn new(local: &'a Btf, target: &'a Target) -> Self {
        Self { local, target, candidates: HashMap::new() }
    }

    /// Resolves the next relocation.
    ///
    /// # Errors
    /// Where libbpf refuses the object: the relocation makes no sense, or the
    /// target has more than one answer.
    pub fn resolve(&mut self, relo: &CoreRelo) -> Result<Resolution, Error> {
        let question = Question::from_number(relo.kind).ok_or(Error::UnknownQuestion(relo.kind))?;
        let local = Spec::parse(self.local, relo.ty, relo.access, question)?;
        if question == Question::TypeIdLocal {
            let answer = Some(Answer::type_id_local(relo.ty));
            return Ok(Resolution { question, local, matches: Vec::new(), missing: None, answer });
        }
        if self.local.name(relo.ty).is_empty() {
            return Err(Error::Anonymous { question });
        }
        let candidates = match self.candidates.entry(relo.ty) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(self.target.candidates(self.local, relo.ty)),
        };
        let mut matches: Vec<Match> = Vec::new();
        let mut missing = None;
        let mut answer: Option<Option<Answer>> = None;
        for &candidate in candidates.iter() {
            let btf = self.target.btf(candidate);
            let spec = match search::find(self.local, &local, question, btf, candidate)? {
                Ok(spec) => spec,
                Err(lacks) => {
                    Missing::keep_closest(&mut missing, lacks);
                    continue;
                }
            };
            let own = value::answer(question, (self.local, &local), Some((btf, &spec)))?;
            if let (Some(first), Some(known)) = (matches.first(), answer) {
                let same = first.spec.bit_offset == spec.bit_offset
                    && own.map(|own| own.value) == known.map(|known| known.value);
                if !same {
                    return Err(Error::Ambiguous {
                        what: local.describe(self.local),
                        first: first.candidate,
                        second: candidate,
                    });
                }
            } else {
                answer = Some(own);
            }
            matches.push(Match { candidate, spec });
        }
        let answer = match answer {
            Some(answer) => {
                *candidates = matches.iter().map(|found| found.candidate).collect();
                missing = None;
                answer
            }
            None => {
                missing.get_or_insert(Missing {
                    candidate: None,
                    accessor: 0,
                    reason: Reason::NoType,
                });
                value::answer(question, (self.local, &local), None)?
            }
        };
        Ok(Resolution { question, local, matches, missing, answer })
    }
}
