//! The bytes that BTF lies in.

use crate::base::fs::Mapped;
use std::ops::Deref;

/// Bytes of BTF: one's own, or a file's that is mapped.
#[derive(Debug)]
pub enum Data {
    /// In memory.
    Owned(Vec<u8>),
    /// In a file.
    Mapped(Mapped),
}

impl Data {
    /// The bytes, to be changed; copied if they are a file's.
    pub(super) fn to_mut(&mut self) -> &mut Vec<u8> {
        if let Self::Mapped(mapped) = self {
            *self = Self::Owned(mapped.to_vec());
        }
        match self {
            Self::Owned(bytes) => bytes,
            // Just replaced.
            Self::Mapped(_) => unreachable!("mapped bytes were copied"),
        }
    }
}

impl Deref for Data {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Mapped(mapped) => mapped,
        }
    }
}

impl From<Vec<u8>> for Data {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Owned(bytes)
    }
}

impl From<&[u8]> for Data {
    fn from(bytes: &[u8]) -> Self {
        Self::Owned(bytes.to_vec())
    }
}

impl From<Mapped> for Data {
    fn from(mapped: Mapped) -> Self {
        Self::Mapped(mapped)
    }
}
