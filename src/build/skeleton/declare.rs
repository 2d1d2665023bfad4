//! Declarations in C, for compilers: what has a name is mentioned by it, what
//! has none is spelled out where it stands.
//!
//! The definitions behind the names are the user program's affair: it includes
//! the header that it shares with the BPF side before the skeleton.

use crate::btf::{Btf, Composite, Enum, Kind, Member, Type, TypeId};
use std::fmt::Write as _;

/// Types nested deeper than this are spelled as bytes. Types with names end
/// the nesting, so nobody writes this.
const MAX_DEPTH: usize = 64;

/// Writes declarations.
#[derive(Clone, Copy)]
pub struct Declarer<'b> {
    btf: &'b Btf,
    /// Whether `const`, `volatile` and `restrict` are written.
    qualified: bool,
    depth: usize,
}

impl<'b> Declarer<'b> {
    /// Declares things of this BTF's types.
    pub fn new(btf: &'b Btf, qualified: bool) -> Self {
        Self { btf, qualified, depth: 0 }
    }

    /// The declaration of something with this type and name, without a
    /// semicolon; with an empty name, the type alone. Lines behind the first
    /// are indented by this many tabs.
    pub fn declare(&self, ty: TypeId, name: &str, indent: usize) -> String {
        let btf = self.btf;
        let mut inner = name.to_owned();
        let mut qualifiers = String::new();
        let mut id = ty;
        // Every step goes along a relation that was checked to end.
        loop {
            let mut qualify = |word: &str| {
                if self.qualified {
                    qualifiers.push_str(word);
                }
            };
            id = match btf.ty(id) {
                Type::Const(target) => {
                    qualify("const ");
                    target
                }
                Type::Volatile(target) => {
                    qualify("volatile ");
                    target
                }
                Type::Restrict(target) => {
                    qualify("restrict ");
                    target
                }
                // Only clang knows these, and only for BPF do they mean
                // something.
                Type::TypeTag { target, .. } => target,
                Type::Ptr(target) => {
                    inner = format!("*{qualifiers}{inner}");
                    qualifiers.clear();
                    let pointee = btf.kind(btf.skip_modifiers(target));
                    if matches!(pointee, Kind::Array | Kind::FuncProto) {
                        inner = format!("({})", inner.trim_end());
                    }
                    target
                }
                Type::Array(array) => {
                    let _ = write!(inner, "[{}]", array.count);
                    array.element
                }
                Type::FuncProto(proto) => {
                    let params: Vec<String> = proto
                        .params()
                        .map(|param| match param.ty {
                            TypeId::VOID if param.name.is_empty() => "...".to_owned(),
                            ty => self.declare(ty, param.name, indent),
                        })
                        .collect();
                    let is_void = params.is_empty() || params == ["..."];
                    let params = if is_void { "void".to_owned() } else { params.join(", ") };
                    let _ = write!(inner, "({params})");
                    proto.returns
                }
                _ => {
                    let word = self.word(id, indent);
                    let space = if inner.starts_with('[') { "" } else { " " };
                    let text = format!("{qualifiers}{word}{space}{inner}");
                    return text.trim_end().to_owned();
                }
            };
        }
    }

    /// A type as it stands in front of a declaration.
    fn word(&self, id: TypeId, indent: usize) -> String {
        let btf = self.btf;
        let name = btf.name(id);
        match btf.ty(id) {
            // C++ has no `_Bool`, and libbpf.h brings `bool` to C.
            Type::Int(int) if int.name == "_Bool" => "bool".to_owned(),
            Type::Struct(known) if name.is_empty() => self.composite("struct", known, id, indent),
            Type::Union(known) if name.is_empty() => self.composite("union", known, id, indent),
            Type::Enum(known) if name.is_empty() => enumeration(known, indent),
            Type::Struct(_) | Type::Fwd { is_union: false, .. } => format!("struct {name}"),
            Type::Union(_) | Type::Fwd { is_union: true, .. } => format!("union {name}"),
            Type::Enum(_) => format!("enum {name}"),
            Type::Int(_) | Type::Float { .. } | Type::Typedef { .. } => name.to_owned(),
            _ => "void".to_owned(),
        }
    }

    /// A struct or union without a name, with its members at the places that
    /// the BTF gives them.
    fn composite(&self, keyword: &str, known: Composite<'_>, id: TypeId, indent: usize) -> String {
        let tabs = "\t".repeat(indent + 1);
        let size = u64::from(known.size);
        let inside = Self { depth: self.depth + 1, ..*self };
        if self.depth > MAX_DEPTH {
            return format!("{keyword} {{ char bytes[{size}]; }}");
        }
        let align = self.btf.align(id);
        // An alignment of one with a member that wants more: nothing else
        // brings that about.
        let packed = align == 1 && known.members().any(|member| self.btf.align(member.ty) > 1);
        let mut out = format!("{keyword} {{\n");
        let mut at = 0;
        for (index, member) in known.members().enumerate() {
            if keyword == "struct" {
                self.gap(&mut out, &tabs, at, &member, packed, index);
            }
            let text = inside.declare(member.ty, member.name, indent + 1);
            let start = u64::from(member.bit_offset);
            at = match member.bit_size {
                Some(width) => {
                    let _ = writeln!(out, "{tabs}{text}: {width};");
                    start + u64::from(width)
                }
                None => {
                    let _ = writeln!(out, "{tabs}{text};");
                    start + self.btf.size(member.ty).unwrap_or(0) * 8
                }
            };
        }
        let end = at.div_ceil(8);
        if keyword == "struct" && end.next_multiple_of(align.max(1)) < size {
            let _ = writeln!(out, "{tabs}char __gap_end[{}];", size - end);
        }
        out.push_str(&"\t".repeat(indent));
        out.push('}');
        if packed {
            out.push_str(" __attribute__((packed))");
        }
        out
    }

    /// What the compiler must be told to leave free in front of a member.
    fn gap(
        &self,
        out: &mut String,
        tabs: &str,
        at: u64,
        member: &Member<'_>,
        packed: bool,
        index: usize,
    ) {
        let start = u64::from(member.bit_offset);
        if member.bit_size.is_some() {
            if start > at {
                let ty = self.declare(member.ty, "", 0);
                let unit = self.btf.size(member.ty).unwrap_or(4) * 8;
                // A width of 0 begins a new unit.
                let width = if at.next_multiple_of(unit) == start { 0 } else { start - at };
                let _ = writeln!(out, "{tabs}{ty} : {};", width.min(unit));
            }
            return;
        }
        let align = if packed { 8 } else { self.btf.align(member.ty) * 8 };
        let (byte, start) = (at.div_ceil(8), start / 8);
        if at.next_multiple_of(align) / 8 < start {
            let _ = writeln!(out, "{tabs}char __gap{index}[{}];", start - byte);
        }
    }
}

fn enumeration(known: Enum<'_>, indent: usize) -> String {
    let tabs = "\t".repeat(indent + 1);
    let mut out = String::from("enum {\n");
    for value in known.values() {
        let _ = writeln!(out, "{tabs}{} = {},", value.name, value.value);
    }
    out.push_str(&"\t".repeat(indent));
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::{Builder, Endian};

    #[test]
    fn what_has_no_name_is_spelled_out() {
        let mut b = Builder::new();
        let int = b.int("int", 4, 1);
        let byte = b.int("char", 1, 1);
        let truth = b.int("_Bool", 1, 4);
        let pair = b.composite(Kind::Struct, "", 12, &[("a", byte, 0, 0), ("b", int, 64, 0)]);
        let constant = b.reference(Kind::Const, "", pair);
        let list = b.array(constant, int, 3);
        let named = b.composite(Kind::Struct, "event", 4, &[("x", int, 0, 0)]);
        let to_named = b.reference(Kind::Ptr, "", named);
        let rows = b.array(list, int, 2);
        let btf = Btf::parse(b.finish(Endian::Little)).unwrap();
        let plain = Declarer::new(&btf, false);
        assert_eq!(plain.declare(to_named, "e", 0), "struct event *e");
        assert_eq!(plain.declare(truth, "on", 0), "bool on");
        assert_eq!(
            plain.declare(rows, "x", 1),
            "struct {\n\t\tchar a;\n\t\tchar __gap1[7];\n\t\tint b;\n\t} x[2][3]"
        );
        assert!(Declarer::new(&btf, true).declare(list, "x", 0).starts_with("const struct {"));
    }
}
