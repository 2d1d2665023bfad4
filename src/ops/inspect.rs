//! `skep inspect`: what is in an object, and what BTF says about types.

use super::contents::{self, Contents};
use super::{Session, build, vmlinux};
use crate::base::fs;
use crate::btf::{Btf, Composite, Kind, Type, TypeId, User};
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use crate::vmlinux as header;
use std::path::PathBuf;
use std::sync::Arc;

/// An object and what is in it.
#[derive(Clone, Debug)]
pub struct Inspected {
    /// The object, as the user would write it.
    pub path: PathBuf,
    /// The size of the file in bytes.
    pub bytes: u64,
    /// What is in it.
    pub contents: Contents,
}

/// Looks into objects: one that is named, or those of a source or project,
/// which are built first; what the build says comes besides.
///
/// # Errors
/// What keeps a file from being read as an object.
pub fn objects(
    session: &Session,
    path: PathBuf,
    profile: build::Profile,
) -> Result<(Vec<Inspected>, Vec<Diagnostic>), Failure> {
    let request = build::Request { paths: vec![path], profile, ..build::Request::default() };
    let built = build::objects(session, &request)?;
    let mut inspected = Vec::new();
    for artifact in &built.artifacts {
        let path = session.display(&artifact.object).to_owned();
        let object = super::disasm::parse(&artifact.object, &path)?;
        let bytes = fs::metadata(&artifact.object)?.len();
        inspected.push(Inspected { path, bytes, contents: contents::of(&object) });
    }
    Ok((inspected, built.diagnostics))
}

/// What to look at.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Where the BTF is, as for [`vmlinux::Request::from`].
    pub from: Option<PathBuf>,
    /// Modules whose types are looked at too.
    pub modules: Vec<String>,
    /// Names, with or without `struct`, `union` and `enum` before them, or
    /// numbers of types.
    pub types: Vec<String>,
}

/// The BTF and the types in it that were asked for.
#[derive(Debug)]
pub struct Found {
    /// The BTF.
    pub btf: Arc<Btf>,
    /// The types, each name with all of its types, in the order asked for.
    pub types: Vec<TypeId>,
}

/// Reads the BTF and finds the types.
///
/// # Errors
/// If the BTF cannot be had, or has no such type.
pub fn find(session: &Session, request: &Request) -> Result<Found, Failure> {
    let Request { from, modules, .. } = request.clone();
    let source = vmlinux::Request { from, modules, ..vmlinux::Request::default() };
    let btf = vmlinux::load(session, &source)?;
    let mut types = Vec::new();
    for text in &request.types {
        if let Ok(number) = text.parse::<u32>() {
            let id = TypeId(number);
            if number == 0 || !btf.contains(id) {
                let message = format!("there is no type {number} in the BTF");
                let help = format!("types are numbered from 1 to {}", btf.len() - 1);
                let missing = Diagnostic::new(codes::NO_SUCH_TYPE, Origin::Object, message);
                return Err(missing.help(help).into());
            }
            types.push(id);
            continue;
        }
        let (keyword, name) = match text.trim().split_once(' ') {
            Some((keyword @ ("struct" | "union" | "enum"), name)) => (keyword, name.trim()),
            _ => ("", text.trim()),
        };
        let before = types.len();
        let is_asked_for = |id: &TypeId| match keyword {
            "struct" => btf.kind(*id) == Kind::Struct,
            "union" => btf.kind(*id) == Kind::Union,
            "enum" => btf.kind(*id).is_enum(),
            _ => true,
        };
        types.extend(btf.named(name).filter(is_asked_for));
        if types.len() == before {
            return Err(vmlinux::no_such_type(&btf, name).into());
        }
    }
    Ok(Found { btf, types })
}

/// How many types of each kind there are, those that there are none of left
/// out.
pub fn count(btf: &Btf) -> Vec<(Kind, u32)> {
    let mut counts: Vec<(Kind, u32)> = Vec::new();
    for id in btf.ids() {
        let kind = btf.kind(id);
        match counts.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => counts.push((kind, 1)),
        }
    }
    counts.sort_unstable();
    counts
}

/// The records of the types, or of all if none was asked for, as lines of
/// text.
pub fn raw(found: &Found) -> String {
    let mut text = String::new();
    if found.types.is_empty() {
        found.btf.ids().for_each(|id| found.btf.dump(id, &mut text));
    }
    found.types.iter().for_each(|id| found.btf.dump(*id, &mut text));
    text
}

/// The types as C, with what they need, or all if none was asked for.
///
/// # Errors
/// For BTF that no compiler made.
pub fn c(found: &Found) -> Result<Vec<u8>, Failure> {
    let request = match found.types.is_empty() {
        true => header::Request::default(),
        false => header::Request {
            scope: header::Scope::Only(&found.types),
            kfuncs: header::Kfuncs::None,
        },
    };
    Ok(header::header(&found.btf, &request)?)
}

/// Something with a place in a struct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Where it begins, in bits.
    pub bit_offset: u64,
    /// How long it is, in bits; 0 for a flexible array.
    pub bits: u64,
    /// Whether it is a bit-field.
    pub is_bit_field: bool,
    /// The member's name and declaration; none for a hole.
    pub member: Option<(String, String)>,
    /// In how many structs without a name it lies.
    pub depth: usize,
}

/// What a struct or union looks like in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Members and holes by offset; members of structs without a name follow
    /// these.
    pub slots: Vec<Slot>,
    /// How many bits no member has, those of inner structs and those at the
    /// end not counted.
    pub hole_bits: u64,
    /// How many holes there are.
    pub holes: usize,
    /// How many bits behind the last member belong to the struct.
    pub padding_bits: u64,
}

/// Lays out a struct or union; nothing for other types.
pub fn layout(btf: &Btf, id: TypeId) -> Option<Layout> {
    let composite = btf.as_composite(id)?;
    let mut layout = Layout::default();
    // Structs of one member after the other can spell out a lot; what is
    // behind this many lines nobody reads.
    let mut left = 100_000usize;
    members(btf, id, composite, 0, 0, &mut layout, &mut left);
    Some(layout)
}

fn members(
    btf: &Btf,
    id: TypeId,
    composite: Composite<'_>,
    start: u64,
    depth: usize,
    layout: &mut Layout,
    left: &mut usize,
) {
    let is_union = btf.kind(id) == Kind::Union;
    let mut end = 0u64;
    for member in composite.members() {
        let Some(less) = left.checked_sub(1) else { return };
        *left = less;
        let at = u64::from(member.bit_offset);
        let bits = match member.bit_size {
            Some(bits) => u64::from(bits),
            None => btf.size(member.ty).unwrap_or(0).saturating_mul(8),
        };
        if !is_union && at > end {
            hole(layout, start + end, at - end, depth);
        }
        end = end.max(at.saturating_add(bits));
        let mut declaration = btf.spell(member.ty, member.name);
        if let Some(bits) = member.bit_size {
            declaration.push_str(&format!(" : {bits}"));
        }
        layout.slots.push(Slot {
            bit_offset: start + at,
            bits,
            is_bit_field: member.bit_size.is_some(),
            member: Some((member.name.to_owned(), declaration)),
            depth,
        });
        if member.name.is_empty() {
            let inner = btf.resolve(member.ty);
            if let Some(composite) = btf.as_composite(inner).filter(|inner| inner.name.is_empty()) {
                members(btf, inner, composite, start + at, depth + 1, layout, left);
            }
        }
    }
    let size = u64::from(composite.size) * 8;
    if !is_union && size > end && depth == 0 {
        layout.padding_bits = size - end;
    }
}

fn hole(layout: &mut Layout, bit_offset: u64, bits: u64, depth: usize) {
    layout.slots.push(Slot { bit_offset, bits, is_bit_field: false, member: None, depth });
    if depth == 0 {
        layout.holes += 1;
        layout.hole_bits += bits;
    }
}

/// A value of an enumeration as people read it.
pub fn values(btf: &Btf, id: TypeId) -> Option<Vec<(String, i128)>> {
    let Type::Enum(values) = btf.ty(id) else { return None };
    Some(values.values().map(|value| (value.name.to_owned(), value.value)).collect())
}

/// A mention of a type, in words: the type that mentions it, and how.
pub fn mention(btf: &Btf, user: User) -> (String, String) {
    let part = |part: u32| part as usize;
    let how = match (btf.ty(user.ty), user.part) {
        (Type::Struct(composite) | Type::Union(composite), Some(index)) => {
            composite.member(part(index)).map(|member| btf.spell(member.ty, member.name))
        }
        (Type::Func { proto, .. }, index) => match (btf.ty(proto), index) {
            (Type::FuncProto(proto), Some(index)) => {
                proto.params().nth(part(index)).map(|param| btf.spell(param.ty, param.name))
            }
            (Type::FuncProto(proto), None) => {
                Some(format!("returns {}", btf.spell(proto.returns, "")))
            }
            _ => None,
        },
        (Type::FuncProto(proto), Some(index)) => {
            proto.params().nth(part(index)).map(|param| btf.spell(param.ty, param.name))
        }
        (Type::FuncProto(proto), None) => Some(format!("returns {}", btf.spell(proto.returns, ""))),
        (Type::Typedef { target, .. }, _) => Some(btf.spell(target, "")),
        (Type::Var(var), _) => Some(btf.spell(var.ty, var.name)),
        _ => None,
    };
    let what = match btf.ty(user.ty) {
        Type::Func { name, .. } => format!("{name}()"),
        Type::FuncProto(_) => btf.spell(user.ty, ""),
        Type::Typedef { name, .. } => format!("typedef {name}"),
        _ => btf.word(user.ty),
    };
    (what, how.unwrap_or_default())
}
