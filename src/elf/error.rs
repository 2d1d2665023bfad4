//! Why some bytes are no BPF object.

use crate::diagnostics::{Diagnostic, Origin, codes};
use std::{error, fmt};

/// Why a file could not be read as a BPF object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// It has no content.
    Empty,
    /// It is something else than ELF.
    NotElf {
        /// What it seems to be: `a text file`.
        looks_like: Option<&'static str>,
    },
    /// It is ELF, but not a BPF object.
    NotBpf {
        /// What it is: `an x86-64 executable`.
        what: String,
    },
    /// It ends before what its headers announce.
    Truncated {
        /// What lies beyond the end.
        what: &'static str,
    },
    /// Its headers contradict themselves.
    Damaged {
        /// What is wrong.
        what: String,
    },
    /// Its symbols were stripped, and with them the names and limits of its
    /// functions and maps.
    Stripped,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the file is empty"),
            Self::NotElf { looks_like: Some(what) } => {
                write!(f, "the file is {what}, not an ELF object")
            }
            Self::NotElf { looks_like: None } => f.write_str("the file is not an ELF object"),
            Self::NotBpf { what } => write!(f, "the file is {what}, not a BPF object"),
            Self::Truncated { what } => {
                write!(f, "the object file is cut off: {what} lies beyond its end")
            }
            Self::Damaged { what } => write!(f, "the object file is damaged: {what}"),
            Self::Stripped => f.write_str("the object file has no symbol table"),
        }
    }
}

impl error::Error for Error {}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        let (code, help) = match &error {
            Error::Empty | Error::NotElf { .. } => (
                codes::NOT_AN_OBJECT,
                "name an object made by `clang -target bpf -c`, or its source, to `skep build`",
            ),
            Error::NotBpf { .. } => (codes::NOT_BPF, "compile it with `-target bpf`"),
            Error::Truncated { .. } | Error::Damaged { .. } => {
                (codes::OBJECT_CORRUPT, "build it again")
            }
            Error::Stripped => (
                codes::OBJECT_CORRUPT,
                "strip objects with `llvm-strip -g`, which keeps the symbols that libbpf needs",
            ),
        };
        Self::new(code, Origin::Object, error.to_string()).help(help)
    }
}
