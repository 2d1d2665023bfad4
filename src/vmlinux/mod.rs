//! From BTF to C: the header that BPF programs call `vmlinux.h`.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use skep::{base::fs, btf::Btf, vmlinux};
//! let btf = Btf::parse(fs::read("/sys/kernel/btf/vmlinux".as_ref())?)?;
//! let header: Vec<u8> = vmlinux::header(&btf, &vmlinux::Request::default())?;
//! # Ok(()) }
//! ```
//!
//! [`header`] is pure: the same BTF and request give the same bytes, on any
//! machine. What it writes compiles without a warning from clang 14 on, and
//! every type has, for the BPF target, the size and offsets that the BTF
//! gives it; `layout` says how that is made sure of. Types that C cannot hold
//! beside each other because they have one name get a suffix (`cname`).
//!
//! [`prune()`] writes what a program uses of it, which compiles in a tenth of
//! the time: `Words` takes in the program's sources, the headers they include
//! and its `-D` definitions. A caller whose compiler refuses the pruned header
//! takes the full one. [`prune_outline`] does the same without reading all of
//! the BTF (`excerpt`).

mod cname;
mod excerpt;
mod layout;
mod prune;
#[cfg(test)]
mod tests;
mod words;
mod write;

use crate::btf::{Btf, Kind, Outline, Type, TypeId, raw};
use crate::diagnostics::{Diagnostic, Origin, codes};
use cname::Names;
use std::collections::HashSet;
use std::{error, fmt};
pub use words::Words;
use write::Writer;

/// What a header is wanted with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'r> {
    /// Which types.
    pub scope: Scope<'r>,
    /// Which kernel functions' prototypes.
    pub kfuncs: Kfuncs<'r>,
}

/// Which types a header defines. What they need comes with them.
#[derive(Clone, Copy, Debug, Default)]
pub enum Scope<'r> {
    /// All there are.
    #[default]
    All,
    /// These, in this order.
    Only(&'r [TypeId]),
}

/// Which prototypes of kernel functions a header declares.
#[derive(Clone, Copy, Debug, Default)]
pub enum Kfuncs<'r> {
    /// Those of all functions that the kernel marks as such (`bpf_kfunc`,
    /// from Linux 6.10 with pahole 1.26).
    #[default]
    All,
    /// Of those, the ones that are named.
    Named(&'r Words),
    /// None.
    None,
}

/// Why no header can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Too many types must stand before one another. No compiler makes this.
    TooDeep(TypeId),
    /// The text grows out of all proportion to the BTF. No compiler makes
    /// this.
    TooLong(TypeId),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooDeep(id) => {
                write!(f, "type {id} needs too many other types to be written before it")
            }
            Self::TooLong(id) => {
                write!(f, "the header gets too long at type {id}, which spells out too much")
            }
        }
    }
}

impl error::Error for Error {}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Self::new(codes::BTF_CORRUPT, Origin::Object, error.to_string())
    }
}

/// The guard is the one that bpftool writes too, so that both kinds of header
/// in one program do no harm.
const GUARD: &str = "\
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

";

/// Makes every access to a struct's member a CO-RE relocation.
const BEFORE_RECORDS: &str = "\
#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
#endif

";

const AFTER_RECORDS: &str = "\
#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif

";

const BEFORE_KFUNCS: &str = "\
#ifndef BPF_NO_KFUNC_PROTOTYPES
#ifndef __ksym
#define __ksym __attribute__((section(\".ksyms\")))
#endif

#ifndef __weak
#define __weak __attribute__((weak))
#endif

#ifndef __bpf_fastcall
#if defined(__has_attribute) && __has_attribute(bpf_fastcall)
#define __bpf_fastcall __attribute__((bpf_fastcall))
#else
#define __bpf_fastcall
#endif
#endif

";

const END: &str = "#endif /* __VMLINUX_H__ */\n";

/// Writes the header.
///
/// # Errors
/// Only for BTF that no compiler and no pahole wrote; see [`Error`].
pub fn header(btf: &Btf, request: &Request<'_>) -> Result<Vec<u8>, Error> {
    let mut text = Vec::new();
    header_to(btf, request, &mut |part| text.extend_from_slice(part))?;
    Ok(text)
}

/// [`header`], handed on in parts as it is written: whoever puts them into a
/// file needs no memory for the whole.
///
/// # Errors
/// As [`header`]; what was handed on is worth nothing then.
pub fn header_to(
    btf: &Btf,
    request: &Request<'_>,
    sink: &mut dyn FnMut(&[u8]),
) -> Result<(), Error> {
    let names = Names::of(btf);
    let kfuncs = kfuncs(btf, &names, request.kfuncs);
    write(Writer::new(btf, &names, None, sink), &request.scope, &kfuncs)
}

/// Writes a header with what the words of a program's sources lead to: of
/// the types and of their members (see `prune`). A program that compiles with
/// it does the same as with the full header; one that does not may still
/// compile with that.
///
/// # Errors
/// As [`header`].
pub fn prune(btf: &Btf, words: &Words) -> Result<Vec<u8>, Error> {
    let names = Names::of(btf);
    let kfuncs = kfuncs(btf, &names, Kfuncs::Named(words));
    let functions: Vec<TypeId> = kfuncs.iter().map(|(id, _)| *id).collect();
    let pruned = prune::prune(btf, &names, words, &functions);
    let scope = Scope::Only(&pruned.roots);
    let mut text = Vec::new();
    let mut sink = |part: &[u8]| text.extend_from_slice(part);
    write(Writer::new(btf, &names, Some(&pruned), &mut sink), &scope, &kfuncs)?;
    Ok(text)
}

/// [`prune()`] without reading all of the BTF: the same text, or nothing if the
/// BTF is such that all of it has to be read.
pub fn prune_outline(outline: &Outline, words: &Words) -> Option<Vec<u8>> {
    let excerpt = excerpt::excerpt(outline, words).ok()?;
    prune(&excerpt, words).ok()
}

/// Writes the definitions of some types, and of what they need, for programs
/// that are not BPF: without guard and attributes, and without `bool`, which
/// `<stdbool.h>` has there.
///
/// # Errors
/// As [`header`].
pub fn definitions(btf: &Btf, types: &[TypeId]) -> Result<String, Error> {
    let names = Names::of(btf);
    let mut text = Vec::new();
    let mut sink = |part: &[u8]| text.extend_from_slice(part);
    let mut writer = Writer::new(btf, &names, None, &mut sink);
    writer.types(&Scope::Only(types))?;
    writer.finish(0..0);
    // Identifiers are ASCII; what else there was is `_` now.
    let text = String::from_utf8_lossy(&text).into_owned();
    let mut parts = text.split(write::BEFORE_C23);
    let mut own = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        own.push_str(part.split_once("#endif\n\n").map_or("", |(_, rest)| rest));
    }
    Ok(own)
}

fn write(
    mut writer: Writer<'_>,
    scope: &Scope<'_>,
    kfuncs: &[(TypeId, bool)],
) -> Result<(), Error> {
    writer.text(GUARD);
    writer.text(BEFORE_RECORDS);
    writer.types(scope)?;
    for (func, _) in kfuncs {
        writer.kfunc_needs(func.0)?;
    }
    if !kfuncs.is_empty() {
        writer.text(BEFORE_KFUNCS);
        for (func, fast) in kfuncs {
            writer.kfunc(func.0, *fast)?;
        }
        writer.text("#endif\n\n");
    }
    if writer.has_records() {
        writer.text(AFTER_RECORDS);
    }
    writer.text(END);
    // clang warns of an attribute that applies to nothing.
    writer.finish(GUARD.len()..GUARD.len() + BEFORE_RECORDS.len());
    Ok(())
}

/// The kernel functions that are wanted, each once, by number; with whether
/// a call of it leaves most registers alone.
fn kfuncs(btf: &Btf, names: &Names<'_>, wanted: Kfuncs<'_>) -> Vec<(TypeId, bool)> {
    if matches!(wanted, Kfuncs::None) {
        return Vec::new();
    }
    let mut fast = HashSet::new();
    let mut funcs = Vec::new();
    for id in raw::ids_of(btf, |kind| kind == Kind::DeclTag) {
        let Type::DeclTag(tag) = btf.ty(TypeId(id)) else { continue };
        match tag.value {
            "bpf_kfunc" if tag.component.is_none() && btf.kind(tag.target) == Kind::Func => {
                funcs.push(tag.target);
            }
            "bpf_fastcall" => drop(fast.insert(tag.target)),
            _ => {}
        }
    }
    funcs.sort_unstable();
    let mut seen = HashSet::new();
    funcs.retain(|id| {
        let name = btf.name(*id);
        let is_wanted = match wanted {
            Kfuncs::Named(wanted) => wanted.has(name.as_bytes()),
            _ => true,
        };
        is_wanted && cname::is_plain(name) && !names.is_taken(name) && seen.insert(name)
    });
    funcs.into_iter().map(|id| (id, fast.contains(&id))).collect()
}
