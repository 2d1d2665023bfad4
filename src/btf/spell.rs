//! Types as C spells them, on one line: for people, not for compilers. A
//! struct without a name is `struct {…}`.

use super::{Btf, Kind, Type, TypeId};

/// The longest text of one type, and the most types that are looked at for
/// it; signatures of functions within signatures can be longer than anybody
/// reads.
const MAX_LENGTH: usize = 1000;

impl Btf {
    /// The declaration of something with this type and name:
    /// `const char *name`, `int (*handler)(struct pt_regs *)`. With an empty
    /// name, the type alone.
    pub fn spell(&self, id: TypeId, name: &str) -> String {
        self.spell_some(id, name, &mut { MAX_LENGTH })
    }

    /// [`Btf::spell`] as long as `left` types are left to be looked at.
    fn spell_some(&self, id: TypeId, name: &str, left: &mut usize) -> String {
        let mut inner = name.to_owned();
        let mut qualifiers = String::new();
        let mut id = id;
        // Every step goes along a relation that was checked to end.
        loop {
            if inner.len() > MAX_LENGTH || *left == 0 {
                return "…".to_owned();
            }
            *left -= 1;
            let ty = self.ty(id);
            id = match ty {
                Type::Const(target) => {
                    qualifiers.push_str("const ");
                    target
                }
                Type::Volatile(target) => {
                    qualifiers.push_str("volatile ");
                    target
                }
                Type::Restrict(target) => {
                    qualifiers.push_str("restrict ");
                    target
                }
                Type::TypeTag { value, target, is_attribute } => {
                    qualifiers.push_str(&match is_attribute {
                        true => format!("__attribute__(({value})) "),
                        false => format!("__{value} "),
                    });
                    target
                }
                Type::Ptr(target) => {
                    inner = format!("*{qualifiers}{inner}");
                    qualifiers.clear();
                    if matches!(
                        self.kind(self.skip_modifiers(target)),
                        Kind::Array | Kind::FuncProto
                    ) {
                        inner = format!("({})", inner.trim_end());
                    }
                    target
                }
                Type::Array(array) => {
                    inner.push_str(&match array.count {
                        0 => "[]".to_owned(),
                        count => format!("[{count}]"),
                    });
                    array.element
                }
                Type::FuncProto(proto) => {
                    let params: Vec<String> = proto
                        .params()
                        .map(|param| {
                            let is_rest = param.ty == TypeId::VOID && param.name.is_empty();
                            if is_rest {
                                "...".to_owned()
                            } else {
                                self.spell_some(param.ty, param.name, left)
                            }
                        })
                        .collect();
                    let params =
                        if params.is_empty() { "void".to_owned() } else { params.join(", ") };
                    inner = format!("{inner}({params})");
                    proto.returns
                }
                _ => {
                    let word = self.word(id);
                    let space = if inner.starts_with('[') { "" } else { " " };
                    let text = format!("{qualifiers}{word}{space}{inner}");
                    return text.trim_end().to_owned();
                }
            };
        }
    }

    /// A type's own name with its keyword: `struct task_struct`, `enum {…}`.
    pub fn word(&self, id: TypeId) -> String {
        let keyword = match self.ty(id) {
            Type::Void => return "void".to_owned(),
            Type::Struct(_) | Type::Fwd { is_union: false, .. } => "struct ",
            Type::Union(_) | Type::Fwd { is_union: true, .. } => "union ",
            Type::Enum(_) => "enum ",
            _ => "",
        };
        match self.name(id) {
            "" if keyword.is_empty() => self.kind(id).as_str().to_lowercase(),
            "" => format!("{keyword}{{…}}"),
            name => format!("{keyword}{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Builder, Endian};
    use super::*;

    #[test]
    fn declarations_are_read_from_the_inside() {
        let mut b = Builder::new();
        let int = b.int("int", 4, 1);
        let character = b.int("char", 1, 1);
        let constant = b.reference(Kind::Const, "", character);
        let text = b.reference(Kind::Ptr, "", constant);
        let fixed = b.reference(Kind::Const, "", text);
        let list = b.array(fixed, int, 3);
        let proto = b.proto(int, &[("s", text), ("", TypeId::VOID)]);
        let function = b.reference(Kind::Ptr, "", proto);
        let functions = b.array(function, int, 0);
        let to_list = b.reference(Kind::Ptr, "", list);
        let tag = b.composite(Kind::Struct, "", 0, &[]);
        let nothing = b.proto(TypeId::VOID, &[]);
        let btf = Btf::parse(b.finish(Endian::Little)).unwrap();
        assert_eq!(btf.spell(text, "s"), "const char *s");
        assert_eq!(btf.spell(fixed, "s"), "const char *const s");
        assert_eq!(btf.spell(list, "s"), "const char *const s[3]");
        assert_eq!(btf.spell(to_list, "p"), "const char *const (*p)[3]");
        assert_eq!(btf.spell(function, "f"), "int (*f)(const char *s, ...)");
        assert_eq!(btf.spell(functions, "f"), "int (*f[])(const char *s, ...)");
        assert_eq!(btf.spell(text, ""), "const char *");
        assert_eq!(btf.spell(functions, ""), "int (*[])(const char *s, ...)");
        assert_eq!(btf.spell(tag, "x"), "struct {…} x");
        assert_eq!(btf.spell(nothing, "f"), "void f(void)");
        assert_eq!(btf.spell(TypeId::VOID, ""), "void");
    }

    #[test]
    fn what_grows_with_every_level_is_cut_short() {
        let mut b = Builder::new();
        let int = b.int("int", 4, 1);
        let mut inner = int;
        for _ in 0..17 {
            let proto = b.proto(int, &[("a", inner), ("b", inner)]);
            inner = b.reference(Kind::Ptr, "", proto);
        }
        let members: Vec<(&str, TypeId, u32, u8)> =
            (0..200).map(|n| ("m", inner, n * 64, 0)).collect();
        b.composite(Kind::Struct, "s", 8 * 200, &members);
        let btf = Btf::parse(b.finish(Endian::Little)).unwrap();
        let s = btf.as_composite(btf.find(Kind::Struct, "s").unwrap()).unwrap();
        assert!(s.members().all(|member| btf.spell(member.ty, member.name).len() < 20_000));
    }
}
