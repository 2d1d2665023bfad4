//! What can be wrong with BTF, and how it is said.

use crate::diagnostics::{Diagnostic, Origin, codes};
use std::{error, fmt};

/// Why some bytes are not BTF that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// There is not a single byte.
    Empty,
    /// The first two bytes are not BTF's magic number.
    NotBtf,
    /// The version is not 1.
    Version(u8),
    /// The bytes end before what the header or a record announces.
    Truncated {
        /// What was announced.
        what: &'static str,
        /// How many bytes it needs, counted from the start.
        needed: u64,
        /// How many there are.
        present: u64,
    },
    /// The header contradicts itself.
    Header(&'static str),
    /// A type contradicts itself or refers to something that is not there.
    Type {
        /// Its number.
        id: u32,
        /// What is wrong, as the end of the sentence "type 17 …".
        what: String,
    },
    /// A record of `.BTF.ext` refers to something that is not there.
    Ext(String),
}

impl Error {
    pub(super) fn ty(id: u32, what: impl Into<String>) -> Self {
        Self::Type { id, what: what.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the BTF data is empty"),
            Self::NotBtf => f.write_str("the data does not begin with BTF's magic number"),
            Self::Version(version) => write!(f, "BTF version {version} is not known, only 1 is"),
            Self::Truncated { what, needed, present } => {
                write!(
                    f,
                    "the BTF data is cut off: {what} needs {needed} bytes, {present} are there"
                )
            }
            Self::Header(what) => write!(f, "the BTF header is damaged: {what}"),
            Self::Type { id, what } => write!(f, "the BTF data is damaged: type {id} {what}"),
            Self::Ext(what) => write!(f, "the .BTF.ext section is damaged: {what}"),
        }
    }
}

impl error::Error for Error {}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        let code = match error {
            Error::Empty | Error::NotBtf => codes::NOT_BTF,
            _ => codes::BTF_CORRUPT,
        };
        Self::new(code, Origin::Object, error.to_string())
    }
}
