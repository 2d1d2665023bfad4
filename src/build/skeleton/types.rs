//! Types for user programs that want no skeleton: those of the maps' keys and
//! values, and structs of the global variables, in C and in Rust.
//!
//! In C the definitions behind the names come from whoever writes headers of
//! BTF; in Rust they are written here, with the layout that they have in BPF
//! spelled out: what the compiler would put elsewhere gets explicit padding,
//! and every size is asserted.

use super::declare::Declarer;
use super::header::{line, variables};
use super::model::Model;
use super::{Error, identifier};
use crate::btf::{Btf, Composite, Enum, Type, TypeId};
use crate::elf::Object;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// A type that a map's definition names.
struct Named {
    /// `events_key`.
    name: String,
    ty: TypeId,
}

fn of_maps(object: &Object) -> Vec<Named> {
    let mut named = Vec::new();
    for map in &object.maps {
        let inner = map.def.inner.as_deref();
        let parts = [
            ("key", map.def.key),
            ("value", map.def.value),
            ("inner_key", inner.and_then(|inner| inner.key)),
            ("inner_value", inner.and_then(|inner| inner.value)),
        ];
        for (part, ty) in parts {
            if let Some(ty) = ty {
                named.push(Named { name: format!("{}_{part}", identifier(&map.name)), ty });
            }
        }
    }
    named
}

/// The types that must be defined for [`c`] to compile.
///
/// # Errors
/// As [`super::c`].
pub fn roots(object: &Object, name: &str) -> Result<Vec<TypeId>, Error> {
    let Some(btf) = object.btf.as_deref() else { return Err(Error::NoBtf) };
    let model = Model::of(object, name)?;
    let globals = model.globals().flat_map(|(_, globals)| &globals.variables);
    let all = of_maps(object).into_iter().map(|named| named.ty).chain(globals.map(|v| v.ty));
    let mut roots = BTreeSet::new();
    for ty in all {
        mentioned(btf, ty, &mut roots, 0);
    }
    Ok(roots.into_iter().collect())
}

/// Adds the types with a definition that a declaration of this type mentions.
fn mentioned(btf: &Btf, ty: TypeId, found: &mut BTreeSet<TypeId>, depth: u32) {
    if depth > 64 {
        return;
    }
    match btf.ty(ty) {
        Type::Ptr(target)
        | Type::Const(target)
        | Type::Volatile(target)
        | Type::Restrict(target)
        | Type::TypeTag { target, .. } => mentioned(btf, target, found, depth + 1),
        Type::Array(array) => mentioned(btf, array.element, found, depth + 1),
        Type::Struct(known) | Type::Union(known) if known.name.is_empty() => {
            for member in known.members() {
                mentioned(btf, member.ty, found, depth + 1);
            }
        }
        Type::FuncProto(proto) => {
            mentioned(btf, proto.returns, found, depth + 1);
            for param in proto.params() {
                mentioned(btf, param.ty, found, depth + 1);
            }
        }
        Type::Struct(_) | Type::Union(_) | Type::Enum(_) | Type::Typedef { .. }
            if !btf.name(ty).is_empty() =>
        {
            found.insert(ty);
        }
        _ => {}
    }
}

/// Writes a C header. `definitions` are those of the [`roots`].
///
/// # Errors
/// As [`super::c`].
pub fn c(object: &Object, name: &str, definitions: &str) -> Result<String, Error> {
    let Some(btf) = object.btf.as_deref() else { return Err(Error::NoBtf) };
    let model = Model::of(object, name)?;
    let guard = format!("__{}_TYPES_H__", name.to_ascii_uppercase());
    let mut out = String::new();
    line!(out, "/* {name}, written by `skep gen types`: changes will be lost. */");
    line!(out, "#ifndef {guard}\n#define {guard}\n\n#include <stdbool.h>\n");
    out.push_str(definitions);
    let declarer = Declarer::new(btf, false);
    for Named { name: own, ty } in of_maps(object) {
        line!(out, "typedef {};", declarer.declare(ty, &format!("{name}__{own}"), 0));
    }
    out.push('\n');
    for (_, globals) in model.globals() {
        variables(&mut out, name, btf, globals, false);
        out.push('\n');
    }
    line!(out, "#endif /* {guard} */");
    Ok(out)
}

/// Writes a module in Rust.
///
/// # Errors
/// As [`super::c`].
pub fn rust(object: &Object, name: &str) -> Result<String, Error> {
    let Some(btf) = object.btf.as_deref() else { return Err(Error::NoBtf) };
    let model = Model::of(object, name)?;
    let mut writer = Rust { btf, out: String::new(), written: BTreeSet::new() };
    for Named { name: own, ty } in of_maps(object) {
        let spelled = writer.spell(ty, &own, 0);
        line!(writer.out, "pub type {} = {spelled};\n", ident(&own));
    }
    for (_, globals) in model.globals() {
        let mut fields = Vec::new();
        for variable in &globals.variables {
            let hint = format!("{}_{}", globals.member, variable.member);
            fields.push(Field {
                name: ident(&variable.member),
                ty: writer.spell(variable.ty, &hint, 0),
                offset: variable.offset,
                size: variable.size,
                align: btf.align(variable.ty),
            });
        }
        let end = fields.last().map_or(0, |field| field.offset + field.size);
        let align = fields.iter().map(|field| field.align).max().unwrap_or(1);
        let shape = Shape { keyword: "struct", size: end.next_multiple_of(align), align };
        writer.composite(&ident(&globals.member), shape, &fields);
    }
    let mut out = String::new();
    line!(out, "// {name}, written by `skep gen types`: changes will be lost.");
    line!(out, "#![allow(dead_code, non_camel_case_types, non_upper_case_globals)]");
    line!(out, "#![allow(non_snake_case)]\n");
    out.push_str(&writer.out);
    Ok(out)
}

/// Words that cannot be names in Rust, those that a `r#` does not help last.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let",
    "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return",
    "static", "struct", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use",
    "virtual", "where", "while", "yield", "crate", "self", "super", "Self",
];

/// Names of types that cannot be defined again without a change of what
/// stands around them.
const PRIMITIVES: &[&str] = &[
    "bool", "char", "str", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16",
    "u32", "u64", "u128", "usize",
];

fn ident(name: &str) -> String {
    let name = identifier(name);
    if PRIMITIVES.contains(&name.as_str()) {
        return format!("{name}_");
    }
    match KEYWORDS.iter().position(|word| *word == name) {
        None => name,
        Some(at) if at + 4 < KEYWORDS.len() => format!("r#{name}"),
        Some(_) => format!("{name}_"),
    }
}

/// A field of a struct in Rust.
struct Field {
    name: String,
    ty: String,
    /// In bytes.
    offset: u64,
    size: u64,
    align: u64,
}

#[derive(Clone, Copy)]
struct Shape {
    keyword: &'static str,
    size: u64,
    align: u64,
}

struct Rust<'b> {
    btf: &'b Btf,
    out: String,
    /// The names of the types that are defined.
    written: BTreeSet<String>,
}

impl Rust<'_> {
    /// A type as it stands behind a colon. Types that it needs are written
    /// first; one without a name is called `hint`.
    fn spell(&mut self, ty: TypeId, hint: &str, depth: u32) -> String {
        let btf = self.btf;
        let id = btf.skip_modifiers(ty);
        let size = btf.size(id).unwrap_or(0);
        if depth > 64 {
            return format!("[u8; {size}]");
        }
        match btf.ty(id) {
            Type::Int(int) if int.size <= 16 => {
                // A byte that is no truth value must not become a `bool`.
                let sign = if int.is_signed && !int.is_bool { 'i' } else { 'u' };
                format!("{sign}{}", int.size * 8)
            }
            Type::Float { size: 4, .. } => "f32".to_owned(),
            Type::Float { size: 8, .. } => "f64".to_owned(),
            Type::Ptr(target) => match btf.ty(btf.resolve(target)) {
                Type::Struct(known) if !known.name.is_empty() && depth == 0 => {
                    format!("*mut {}", self.spell(target, hint, depth + 1))
                }
                _ => "*mut core::ffi::c_void".to_owned(),
            },
            Type::Array(array) => {
                format!("[{}; {}]", self.spell(array.element, hint, depth + 1), array.count)
            }
            // `u32` is what Rust has anyway.
            Type::Typedef { name, target } if PRIMITIVES.contains(&name) => {
                self.spell(target, hint, depth + 1)
            }
            Type::Typedef { name, target } => {
                let name = ident(name);
                if self.written.contains(&name) {
                    return name;
                }
                let spelled = self.spell(target, &name, depth + 1);
                // `typedef struct { … } x` has got its name by this.
                if spelled != name && self.written.insert(name.clone()) {
                    line!(self.out, "pub type {name} = {spelled};\n");
                }
                name
            }
            Type::Enum(known) => self.enumeration(known, hint),
            Type::Struct(known) => self.define("struct", known, id, hint, depth),
            Type::Union(known) => self.define("union", known, id, hint, depth),
            _ => format!("[u8; {size}]"),
        }
    }

    /// A number with constants: any value may come from the kernel's side, and
    /// an `enum` of Rust must not have others than its own.
    fn enumeration(&mut self, known: Enum<'_>, hint: &str) -> String {
        let name = ident(if known.name.is_empty() { hint } else { known.name });
        if self.written.insert(name.clone()) {
            let sign = if known.is_signed { 'i' } else { 'u' };
            line!(self.out, "pub type {name} = {sign}{};", known.size * 8);
            for value in known.values() {
                let own = ident(value.name);
                if self.written.insert(own.clone()) {
                    line!(self.out, "pub const {own}: {name} = {};", value.value);
                }
            }
            self.out.push('\n');
        }
        name
    }

    fn define(
        &mut self,
        keyword: &'static str,
        known: Composite<'_>,
        id: TypeId,
        hint: &str,
        depth: u32,
    ) -> String {
        let name = ident(if known.name.is_empty() { hint } else { known.name });
        if !self.written.insert(name.clone()) {
            return name;
        }
        let btf = self.btf;
        let align = btf.align(id);
        let shape = Shape { keyword, size: known.size.into(), align };
        let mut fields: Vec<Field> = Vec::new();
        for (index, member) in known.members().enumerate() {
            let (start, end) = match member.bit_size {
                Some(width) => {
                    let end = u64::from(member.bit_offset) + u64::from(width);
                    (u64::from(member.bit_offset) / 8, end.div_ceil(8))
                }
                None => {
                    let start = u64::from(member.bit_offset) / 8;
                    (start, start + btf.size(member.ty).unwrap_or(0))
                }
            };
            if member.bit_size.is_some() {
                // Neighbours share bytes: one field holds them all.
                match fields.last_mut() {
                    Some(last) if last.name.starts_with("__bits") && keyword == "struct" => {
                        last.size = last.size.max(end - last.offset);
                        last.ty = format!("[u8; {}]", last.size);
                    }
                    _ => fields.push(Field {
                        name: format!("__bits{index}"),
                        ty: format!("[u8; {}]", end - start),
                        offset: start,
                        size: end - start,
                        align: 1,
                    }),
                }
                continue;
            }
            let own = match member.name {
                "" => format!("__anonymous{index}"),
                name => name.to_owned(),
            };
            let ty = self.spell(member.ty, &format!("{name}_{own}"), depth + 1);
            let align = btf.align(member.ty);
            fields.push(Field { name: ident(&own), ty, offset: start, size: end - start, align });
        }
        self.composite(&name, shape, &fields);
        name
    }

    fn composite(&mut self, name: &str, shape: Shape, fields: &[Field]) {
        let is_struct = shape.keyword == "struct";
        let packed = fields.iter().any(|field| !field.offset.is_multiple_of(field.align))
            || fields.iter().any(|field| field.align > shape.align)
            || !shape.size.is_multiple_of(shape.align);
        let natural = fields.iter().map(|field| field.align).max().unwrap_or(1);
        let repr = match (packed, natural < shape.align) {
            (true, _) => "C, packed".to_owned(),
            // Its alignment comes from a bit-field.
            (false, true) => format!("C, align({})", shape.align),
            (false, false) => "C".to_owned(),
        };
        let mut out = String::new();
        line!(out, "#[repr({repr})]\n#[derive(Clone, Copy)]\npub {} {name} {{", shape.keyword);
        let mut at = 0;
        for field in fields {
            let reached = if packed { at } else { u64::next_multiple_of(at, field.align) };
            if is_struct && reached < field.offset {
                line!(out, "    pub __pad{at}: [u8; {}],", field.offset - at);
            }
            line!(out, "    pub {}: {},", field.name, field.ty);
            at = field.offset + field.size;
        }
        if is_struct && at < shape.size {
            line!(out, "    pub __pad{at}: [u8; {}],", shape.size - at);
        }
        if fields.is_empty() && !is_struct {
            line!(out, "    pub __empty: [u8; {}],", shape.size);
        }
        line!(out, "}}\nconst _: () = assert!(core::mem::size_of::<{name}>() == {});", shape.size);
        for field in fields.iter().filter(|_| is_struct) {
            line!(
                out,
                "const _: () = assert!(core::mem::offset_of!({name}, {}) == {});",
                field.name,
                field.offset
            );
        }
        self.out.push_str(&out);
        self.out.push('\n');
    }
}
