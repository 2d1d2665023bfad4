//! Why libbpf refuses an object for one of its relocations.

use super::{Candidate, Question};
use crate::diagnostics::{Diagnostic, Origin, codes};
use std::{error, fmt};

/// Why a relocation cannot be applied at all. libbpf then refuses the whole
/// object, also where the instruction would never be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Its kind is newer than this reader.
    UnknownQuestion(u32),
    /// Its path does not fit its type or its kind.
    Path {
        /// What was asked.
        question: Question,
        /// The path.
        path: String,
    },
    /// It is about a type without a name, which nothing can be found by.
    Anonymous {
        /// What was asked.
        question: Question,
    },
    /// Its path or its type has more levels than libbpf follows.
    TooDeep {
        /// What was asked.
        question: Question,
    },
    /// It is about something that has no size.
    NoSize {
        /// What was asked.
        question: Question,
    },
    /// It asks of an array's element what only a member has.
    NotAField {
        /// What was asked.
        question: Question,
        /// The type and path.
        what: String,
    },
    /// A bit-field lies so that no load of 64 bits has all of it.
    WideBitField {
        /// The type and path.
        what: String,
    },
    /// Two types of the target give different answers.
    Ambiguous {
        /// The type and path.
        what: String,
        /// One of the types.
        first: Candidate,
        /// The other one.
        second: Candidate,
    },
    /// The instruction cannot take the answer.
    Instruction {
        /// Why, as the end of the sentence "the instruction …".
        what: &'static str,
    },
    /// The instruction holds something else than the object's own types say.
    Value {
        /// What was asked.
        question: Question,
        /// What it holds.
        found: u64,
        /// What it should hold.
        expected: u64,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownQuestion(kind) => {
                write!(f, "a CO-RE relocation is of kind {kind}, which is not known")
            }
            Self::Path { question, path } => {
                let question = question.as_str();
                write!(f, "the path `{path}` of a CO-RE relocation ({question}) leads nowhere")
            }
            Self::Anonymous { question } => {
                let question = question.as_str();
                write!(f, "a CO-RE relocation ({question}) is about a type without a name")
            }
            Self::TooDeep { question } => {
                let question = question.as_str();
                write!(f, "a CO-RE relocation ({question}) goes deeper than libbpf follows")
            }
            Self::NoSize { question } => {
                let question = question.as_str();
                write!(f, "a CO-RE relocation ({question}) is about a type that has no size")
            }
            Self::NotAField { question, what } => {
                let question = question.as_str();
                write!(f, "a CO-RE relocation ({question}) asks it of {what}, which is no member")
            }
            Self::WideBitField { what } => {
                write!(f, "the bit-field {what} cannot be read with one load")
            }
            Self::Ambiguous { what, first, second } => {
                write!(
                    f,
                    "{what} is ambiguous: types {} and {} of the kernel differ in it",
                    first.id, second.id
                )
            }
            Self::Instruction { what } => {
                write!(f, "the instruction of a CO-RE relocation {what}")
            }
            Self::Value { question, found, expected } => {
                let question = question.as_str();
                write!(
                    f,
                    "the instruction of a CO-RE relocation ({question}) holds {found}, where the object's own types say {expected}"
                )
            }
        }
    }
}

impl error::Error for Error {}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        let (code, help) = match &error {
            Error::Ambiguous { .. } => (
                codes::CORE_AMBIGUOUS,
                "declare the type with only the members that all of the kernel's types of this \
                 name agree on, or avoid it",
            ),
            _ => (
                codes::CORE_INVALID,
                "compile the object again, with a clang of version 12 or later and `-g -O2`",
            ),
        };
        Self::new(code, Origin::Core, error.to_string()).help(help)
    }
}
