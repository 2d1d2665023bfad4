//! Floor 2: bytes as values, by their BTF type: what an event, a map's key or
//! a map's value says, in the shape people declared it.
//!
//! BTF knows types, but not what a number stands for. Where the declaration
//! tells (`__be16`, `struct in6_addr`, a 32-bit `saddr`), the value is one of
//! an address or a port; otherwise it stays a number.

mod decode;
mod histogram;
mod network;

pub use decode::decode;
pub use histogram::Histogram;

use core::net::IpAddr;

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
        name: String,
        /// Its number.
        number: i128,
    },
    /// A pointer.
    Address(u64),
    /// An address of the network.
    Ip(IpAddr),
    /// An address of a network card.
    Mac([u8; 6]),
    /// Bytes of which nothing is known.
    Bytes(Vec<u8>),
    /// An array.
    List(Vec<Value>),
    /// A struct or union.
    Record(Vec<(String, Value)>),
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
            _ => None,
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
            Self::Named { number, .. } => *number == 0,
            Self::Ip(address) => address.is_unspecified(),
            Self::Mac(bytes) => bytes.iter().all(|&byte| byte == 0),
            Self::Bytes(bytes) => bytes.iter().all(|&byte| byte == 0),
            Self::List(values) => values.iter().all(Self::is_nothing),
            Self::Record(members) => members.iter().all(|(_, value)| value.is_nothing()),
        }
    }
}
