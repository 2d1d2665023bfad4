//! Floor 2: bytes as values, by their BTF type: what an event, a map's key or
//! a map's value says, in the shape people declared it.
//!
//! BTF knows types, but not what a number stands for. Where the declaration
//! tells (a tag, `__be16`, `struct in6_addr`, a 32-bit `saddr`), the value is
//! one of an address or a port; otherwise it stays a number.

mod decode;
mod encode;
mod histogram;
mod meaning;
mod network;
mod shape;

pub use decode::decode;
pub use encode::{
    Given, Part, Written, Wrong, assemble, bytes_of_hex, encode, encode_plain, mac, number,
};
pub use histogram::{Content, Histogram};
pub use meaning::{Meaning, TAGS, Tags};
pub use shape::{Shape, Shapes};

use core::fmt::{self, Write as _};
use core::net::IpAddr;
use std::sync::Arc;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number without a sign.
    Unsigned(u64),
    /// A number with one.
    Signed(i64),
    /// A number too large for those.
    Wide(u128),
    /// A floating-point number.
    Float(f64),
    /// A truth value.
    Flag(bool),
    /// The characters of an array up to its first zero.
    Text(String),
    /// An enumerator.
    Named {
        /// Its name.
        name: Arc<str>,
        /// Its number.
        number: i128,
    },
    /// A number that is written otherwise than others.
    Noted(Notation, i128),
    /// A pointer.
    Address(u64),
    /// An address of code.
    Code(Code),
    /// Addresses of code, of callees first.
    Stack(Box<Stack>),
    /// An address of the network.
    Ip(IpAddr),
    /// An address of a network card.
    Mac([u8; 6]),
    /// Bytes of which nothing is known.
    Bytes(Vec<u8>),
    /// An array.
    List(Vec<Value>),
    /// A struct or union.
    Record(Vec<(Arc<str>, Value)>),
}

/// How a number is written for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notation {
    /// As a time: nanoseconds.
    Nanoseconds,
    /// As an amount of data: bytes.
    Size,
    /// In base 16.
    Hexadecimal,
    /// As it is. It names something and counts nothing.
    Id,
}

/// An address of code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// The address.
    pub address: u64,
    /// What is there, if somebody has found out: `vfs_read+0x1c`.
    pub name: Option<Arc<str>>,
}

/// Where a task was, and who had called that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    /// Its number in a map, if it lies in one; negative if there is none: an
    /// error of `bpf_get_stackid`.
    pub id: Option<i64>,
    /// That map, if the declaration says which.
    pub map: Option<Arc<str>>,
    /// The addresses, of callees first; empty until somebody has looked into
    /// the map.
    pub frames: Vec<Code>,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#x}", self.address),
        }
    }
}

impl Default for Value {
    fn default() -> Self {
        Self::Unsigned(0)
    }
}

/// A place in a value that only a machine can say more of.
#[derive(Debug)]
pub enum Place<'v> {
    /// An address of code.
    Code(&'v mut Code),
    /// A stack.
    Stack(&'v mut Stack),
}

impl Value {
    /// Adds what another processor counted: numbers are summed, everything
    /// else is the first that says something.
    pub fn add(&mut self, other: &Self) {
        match (self, other) {
            (Self::Unsigned(sum), Self::Unsigned(more)) => *sum = sum.wrapping_add(*more),
            (Self::Signed(sum), Self::Signed(more)) => *sum = sum.wrapping_add(*more),
            (Self::Wide(sum), Self::Wide(more)) => *sum = sum.wrapping_add(*more),
            (Self::Float(sum), Self::Float(more)) => *sum += more,
            (Self::Noted(Notation::Nanoseconds | Notation::Size, sum), Self::Noted(_, more)) => {
                *sum = sum.wrapping_add(*more)
            }
            (Self::List(sums), Self::List(more)) => {
                sums.iter_mut().zip(more).for_each(|(sum, more)| sum.add(more));
            }
            (Self::Record(sums), Self::Record(more)) => {
                sums.iter_mut().zip(more).for_each(|(sum, more)| sum.1.add(&more.1));
            }
            (this, other) if this.is_nothing() => this.clone_from(other),
            _ => {}
        }
    }

    /// The number, if it counts something.
    pub fn as_count(&self) -> Option<u64> {
        match self {
            Self::Unsigned(count) => Some(*count),
            Self::Signed(count) => u64::try_from(*count).ok(),
            Self::Noted(Notation::Nanoseconds | Notation::Size, count) => {
                u64::try_from(*count).ok()
            }
            _ => None,
        }
    }

    /// Looks at all addresses of code, and stacks, in it.
    pub fn each_code(&mut self, look: &mut dyn FnMut(Place<'_>)) {
        match self {
            Self::Code(code) => look(Place::Code(code)),
            Self::Stack(stack) => look(Place::Stack(stack)),
            Self::List(values) => values.iter_mut().for_each(|value| value.each_code(look)),
            Self::Record(members) => {
                members.iter_mut().for_each(|(_, value)| value.each_code(look));
            }
            _ => {}
        }
    }

    /// Whether it says nothing: all of it is zero or empty.
    pub fn is_nothing(&self) -> bool {
        match self {
            Self::Unsigned(number) | Self::Address(number) => *number == 0,
            Self::Signed(number) => *number == 0,
            Self::Wide(number) => *number == 0,
            Self::Float(number) => *number == 0.0,
            Self::Flag(flag) => !flag,
            Self::Text(text) => text.is_empty(),
            Self::Noted(_, number) => *number == 0,
            Self::Code(code) => code.address == 0,
            Self::Stack(stack) => stack.frames.is_empty() && stack.id.is_none_or(|id| id == 0),
            Self::Named { number, .. } => *number == 0,
            Self::Ip(address) => address.is_unspecified(),
            Self::Mac(bytes) => bytes.iter().all(|&byte| byte == 0),
            Self::Bytes(bytes) => bytes.iter().all(|&byte| byte == 0),
            Self::List(values) => values.iter().all(Self::is_nothing),
            Self::Record(members) => members.iter().all(|(_, value)| value.is_nothing()),
        }
    }
}

impl fmt::Display for Value {
    /// On one line, all of it; what is in a text stays as it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = |f: &mut fmt::Formatter<'_>, bytes: &[u8], gap: &str| {
            for (index, byte) in bytes.iter().enumerate() {
                write!(f, "{}{byte:02x}", if index == 0 { "" } else { gap })?;
            }
            Ok(())
        };
        match self {
            Self::Unsigned(number) => number.fmt(f),
            Self::Signed(number) => number.fmt(f),
            Self::Wide(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
            Self::Text(text) => f.write_str(text),
            Self::Named { name, .. } => f.write_str(name),
            Self::Address(address) => write!(f, "{address:#x}"),
            Self::Noted(Notation::Hexadecimal, number) => write!(f, "{number:#x}"),
            Self::Noted(_, number) => number.fmt(f),
            Self::Code(code) => code.fmt(f),
            Self::Stack(stack) => match stack.id.filter(|_| stack.frames.is_empty()) {
                Some(id) => id.fmt(f),
                None => {
                    f.write_char('[')?;
                    for (index, code) in stack.frames.iter().enumerate() {
                        write!(f, "{}{code}", if index == 0 { "" } else { ", " })?;
                    }
                    f.write_char(']')
                }
            },
            Self::Ip(address) => address.fmt(f),
            Self::Mac(bytes) => hex(f, bytes, ":"),
            Self::Bytes(bytes) => hex(f, bytes, " "),
            Self::List(values) => {
                f.write_char('[')?;
                for (index, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if index == 0 { "" } else { ", " })?;
                }
                f.write_char(']')
            }
            Self::Record(members) => {
                f.write_char('{')?;
                for (index, (name, value)) in members.iter().enumerate() {
                    write!(f, "{}{name}={value}", if index == 0 { "" } else { " " })?;
                }
                f.write_char('}')
            }
        }
    }
}
