//! What can be wrong within an object that could be read.

use crate::btf;
use std::fmt;

/// Something within an object that libbpf refuses or does not understand.
/// `fmt::Display` gives it as one line; what it means for the user is the
/// affair of `analysis`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// A function lies outside its section or between two instructions.
    BadFunction {
        /// The function.
        function: String,
        /// The name of its section.
        section: String,
        /// What is wrong.
        what: &'static str,
    },
    /// A `static` function stands in a section of programs; libbpf refuses
    /// the whole object.
    StaticProgram {
        /// The function.
        function: String,
        /// The index of its section.
        section: usize,
        /// Its first slot in the section.
        slot: usize,
    },
    /// A section holds code whose size is no multiple of an instruction's.
    RaggedCode {
        /// The name of the section.
        section: String,
    },
    /// There is a `maps` section, as libbpf knew it before 1.0.
    LegacyMaps {
        /// The names of the maps in it.
        maps: Vec<String>,
    },
    /// The `.BTF` section cannot be used.
    BadBtf(btf::Error),
    /// The `.BTF.ext` section cannot be used; libbpf goes on without it.
    BadBtfExt(btf::Error),
    /// Something needs BTF, and there is none.
    MissingBtf {
        /// What needs it: `the maps in section .maps`.
        what: &'static str,
    },
    /// A map's definition says something that libbpf does not accept.
    BadMap {
        /// The map.
        map: String,
        /// What is wrong.
        what: String,
    },
    /// A relocation that libbpf cannot apply.
    BadRelocation {
        /// The index of the section whose code it changes.
        section: usize,
        /// The instruction, as a slot of the section.
        slot: usize,
        /// The symbol it refers to; may be empty.
        symbol: String,
        /// What is wrong.
        what: String,
    },
    /// An extern that libbpf can make nothing of.
    BadExtern {
        /// Its name.
        name: String,
        /// What is wrong.
        what: &'static str,
    },
    /// A section that libbpf reads has a form it does not accept.
    BadSection {
        /// Its name.
        section: String,
        /// What is wrong.
        what: &'static str,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadFunction { function, section, what } => {
                write!(f, "function {function} in section {section} {what}")
            }
            Self::StaticProgram { function, .. } => write!(f, "program {function} is static"),
            Self::RaggedCode { section } => {
                write!(f, "section {section} ends in the middle of an instruction")
            }
            Self::LegacyMaps { .. } => {
                f.write_str("maps are defined in a section `maps`, which libbpf 1.0 gave up")
            }
            Self::BadBtf(error) | Self::BadBtfExt(error) => error.fmt(f),
            Self::MissingBtf { what } => write!(f, "there is no BTF, but {what} need it"),
            Self::BadMap { map, what } => write!(f, "map {map}: {what}"),
            Self::BadRelocation { symbol, what, .. } if symbol.is_empty() => {
                write!(f, "an instruction cannot be relocated: {what}")
            }
            Self::BadRelocation { symbol, what, .. } => {
                write!(f, "a reference to {symbol} cannot be resolved: {what}")
            }
            Self::BadExtern { name, what } => write!(f, "extern {name} {what}"),
            Self::BadSection { section, what } => write!(f, "section {section} {what}"),
        }
    }
}
