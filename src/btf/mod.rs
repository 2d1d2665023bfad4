//! BTF, the kernel's compact type information: read, look up, measure.
//!
//! [`Btf`] is an index over the bytes as they are, not a copy of them: one
//! offset a type, and every view ([`Type`], [`Member`], …) is decoded when it
//! is asked for. Reading checks everything once, so that what comes after
//! need not: identifiers and string offsets are in range, members lie inside
//! their type, containment has no cycle, and no chain of types is longer than
//! [`MAX_DEPTH`]. A walk over a [`Btf`] therefore ends, and may recurse.
//!
//! The format is that of the kernel's `Documentation/bpf/btf.rst` and
//! `include/uapi/linux/btf.h`, up to the 24-bit counts and the layout section
//! of Linux 7; both byte orders. *Split* BTF (a kernel module's) continues the
//! numbering of its base ([`Btf::parse_split`]). `.BTF.ext`, which says where
//! a program's instructions come from, is [`ext`]. [`Builder`] writes BTF,
//! [`Subset`] writes a part of one, [`Outline`] finds a few types in one without
//! reading it.

mod builder;
mod data;
mod diff;
mod dump;
mod error;
pub mod ext;
mod header;
mod minimise;
mod names;
mod outline;
pub(crate) mod raw;
mod read;
mod rebase;
mod rewrite;
mod search;
mod spell;
mod types;
mod users;

pub use builder::Builder;
pub use data::Data;
pub use diff::{Change, Difference};
pub use error::Error;
pub use header::Endian;
pub use minimise::Subset;
pub use outline::Outline;
pub use read::{Btf, MAX_DEPTH};
pub use types::{
    Array, Composite, DeclTag, Enum, Enumerator, FuncProto, Int, Kind, Linkage, Member, Param, Sec,
    SecItem, Type, TypeId, Var,
};
pub use users::User;

#[cfg(test)]
mod tests;
