//! Global variables and their values in words: `limit`, `limits[2]`,
//! `config.deep.limit`, and what `7`, `true`, `'x'`, `RED` or `eth0` are as
//! bytes of such a variable. Types are BTF's, as veristat's `-G` reads them.

use super::{DataKind, Object};
use crate::bpf::Endian;
use crate::btf::{Btf, Kind, Type, TypeId};
use std::fmt;

/// A variable of an object, or a part of one.
#[derive(Clone, Debug)]
pub struct Global<'o> {
    /// The section it lies in.
    pub section: &'o str,
    /// What kind of data that is.
    pub kind: DataKind,
    /// Where it lies in the section, in bytes.
    pub offset: u64,
    btf: &'o Btf,
    ty: TypeId,
    endian: Endian,
}

/// Why a variable or a value is not one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GlobalError {
    /// The object has no such variable; these it has.
    Unknown(Vec<String>),
    /// The object has no BTF, so nobody knows how values are written.
    NoBtf,
    /// The text is not the name of a variable or of a part of one.
    Syntax,
    /// There is no such member, element or value; the sentence says so.
    Wrong(String),
}

impl fmt::Display for GlobalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(_) => f.write_str("there is no global variable of that name"),
            Self::NoBtf => f.write_str("the object has no BTF, which has the variables' types"),
            Self::Syntax => f.write_str("write NAME, NAME[INDEX] or NAME.MEMBER"),
            Self::Wrong(sentence) => f.write_str(sentence),
        }
    }
}

impl std::error::Error for GlobalError {}

/// A step from a variable to a part of it.
enum Step<'t> {
    Element(u32),
    Member(&'t str),
}

/// `config.limits[2]` → `config` and its steps.
fn split(path: &str) -> Option<(&str, Vec<Step<'_>>)> {
    let is_name = |text: &str| {
        !text.is_empty()
            && !text.starts_with(|c: char| c.is_ascii_digit())
            && text.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    let end = path.find(['.', '[']).unwrap_or(path.len());
    let (name, mut rest) = path.split_at(end);
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let (index, behind) = inside.split_once(']')?;
            steps.push(Step::Element(index.trim().parse().ok()?));
            rest = behind;
        } else {
            let member = rest.strip_prefix('.')?;
            let end = member.find(['.', '[']).unwrap_or(member.len());
            if !is_name(&member[..end]) {
                return None;
            }
            steps.push(Step::Member(&member[..end]));
            rest = &member[end..];
        }
    }
    is_name(name).then_some((name, steps))
}

impl Object {
    /// The variable, or the part of one, that a text names.
    ///
    /// # Errors
    /// There is none, or it cannot be told where it lies.
    pub fn global(&self, path: &str) -> Result<Global<'_>, GlobalError> {
        let (name, steps) = split(path).ok_or(GlobalError::Syntax)?;
        let found = self.data.iter().find_map(|data| {
            let variable = data.variables.iter().find(|variable| variable.name == name)?;
            Some((data, variable))
        });
        let Some((data, variable)) = found else {
            let all = self.data.iter().flat_map(|data| &data.variables);
            // Names with a dot are the compiler's own.
            let named = all.filter(|variable| !variable.name.contains('.'));
            return Err(GlobalError::Unknown(named.map(|known| known.name.clone()).collect()));
        };
        let btf = self.btf.as_deref().ok_or(GlobalError::NoBtf)?;
        let ty = btf.find(Kind::Var, name).map(|id| btf.ty(id));
        let Some(Type::Var(var)) = ty else { return Err(GlobalError::NoBtf) };
        let mut global = Global {
            section: &self.sections[data.section].name,
            kind: data.kind,
            offset: variable.offset,
            btf,
            ty: btf.resolve(var.ty),
            endian: self.endian,
        };
        for step in steps {
            global.enter(&step)?;
        }
        Ok(global)
    }
}

impl Global<'_> {
    /// Its type, in the object's BTF.
    pub fn type_id(&self) -> TypeId {
        self.ty
    }

    fn enter(&mut self, step: &Step<'_>) -> Result<(), GlobalError> {
        let wrong = |sentence: String| Err(GlobalError::Wrong(sentence));
        match (step, self.btf.ty(self.ty)) {
            (Step::Element(index), Type::Array(array)) => {
                if *index >= array.count {
                    let count = array.count;
                    return wrong(format!("there is no element {index}; the array has {count}"));
                }
                let size = self.btf.size(array.element).unwrap_or(0);
                self.offset = self.offset.saturating_add(size.saturating_mul((*index).into()));
                self.ty = self.btf.resolve(array.element);
            }
            (Step::Member(name), Type::Struct(of) | Type::Union(of)) => {
                let Some(member) = of.members().find(|member| member.name == *name) else {
                    return wrong(format!("there is no member `{name}`; {}", self.members()));
                };
                if member.bit_size.is_some() || member.bit_offset % 8 != 0 {
                    return wrong(format!("`{name}` is a bit-field, which cannot be set"));
                }
                self.offset = self.offset.saturating_add(u64::from(member.bit_offset / 8));
                self.ty = self.btf.resolve(member.ty);
            }
            (Step::Element(_), _) => return wrong(format!("{} is no array", self.word())),
            (Step::Member(_), _) => return wrong(format!("{} has no members", self.word())),
        }
        Ok(())
    }

    fn word(&self) -> String {
        format!("`{}`", self.btf.word(self.ty))
    }

    fn members(&self) -> String {
        match self.btf.as_composite(self.ty) {
            Some(of) => {
                let names: Vec<&str> = of.members().map(|member| member.name).collect();
                format!("there are: {}", names.join(", "))
            }
            None => String::new(),
        }
    }

    /// A value in words as the variable's bytes.
    ///
    /// # Errors
    /// It is not a value of the variable's type.
    pub fn encode(&self, text: &str) -> Result<Vec<u8>, GlobalError> {
        let wrong = |sentence: String| Err(GlobalError::Wrong(sentence));
        match self.btf.ty(self.ty) {
            Type::Int(int) => {
                let value = match number(text) {
                    _ if int.is_bool => match text {
                        "true" | "1" => Some(1),
                        "false" | "0" => Some(0),
                        _ => return wrong(format!("`{text}` is neither true nor false")),
                    },
                    None if text == "true" || text == "false" => Some(i128::from(text == "true")),
                    value => value,
                };
                match value {
                    Some(value) => self.fit(value, int.size, int.is_signed, text),
                    None => wrong(format!("`{text}` is no number")),
                }
            }
            Type::Enum(of) => {
                let named = of.values().find(|known| known.name == text);
                match named.map(|known| known.value).or_else(|| number(text)) {
                    Some(value) => self.fit(value, of.size, of.is_signed, text),
                    None => {
                        let names: Vec<&str> = of.values().map(|known| known.name).collect();
                        let names = names.join(", ");
                        wrong(format!("`{text}` is none of {}'s values: {names}", self.word()))
                    }
                }
            }
            Type::Array(array) => {
                let is_text = matches!(
                    self.btf.ty(self.btf.resolve(array.element)),
                    Type::Int(int) if int.size == 1 && int.name == "char"
                );
                if !is_text {
                    let last = array.count.saturating_sub(1);
                    return wrong(format!("it is an array; name an element, [0] to [{last}]"));
                }
                let text =
                    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
                let mut bytes = text.as_bytes().to_vec();
                if bytes.len() >= array.count as usize {
                    let (length, count) = (bytes.len(), array.count);
                    return wrong(format!(
                        "the text's {length} bytes and the zero behind them do not fit into {count}"
                    ));
                }
                bytes.resize(array.count as usize, 0);
                Ok(bytes)
            }
            Type::Struct(_) | Type::Union(_) => {
                wrong(format!("it is a {}; name a member, {}", self.word(), self.members()))
            }
            _ => wrong(format!("a variable of type {} cannot be set", self.word())),
        }
    }

    /// A number in so many bytes. An unsigned spelling of a negative number
    /// is taken too, as C takes it.
    fn fit(
        &self,
        value: i128,
        size: u32,
        is_signed: bool,
        text: &str,
    ) -> Result<Vec<u8>, GlobalError> {
        let bits = size.saturating_mul(8).min(64);
        let low = if is_signed { -(1_i128 << (bits - 1)) } else { 0 };
        let high = (1_i128 << bits) - 1;
        if !(low..=high).contains(&value) {
            let high = if is_signed { (1_i128 << (bits - 1)) - 1 } else { high };
            return Err(GlobalError::Wrong(format!(
                "`{text}` does not fit into {}, which holds {low} to {high}",
                self.word()
            )));
        }
        // Cut to its lowest bits, which is what two's complement means.
        let little = value.to_le_bytes();
        let mut bytes = little[..size.min(16) as usize].to_vec();
        if self.endian == Endian::Big {
            bytes.reverse();
        }
        Ok(bytes)
    }
}

/// `-7`, `0x1f`, `'x'`.
fn number(text: &str) -> Option<i128> {
    if let Some(inside) = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) {
        let mut chars = inside.chars();
        let value = match (chars.next()?, chars.next()) {
            ('\\', Some('n')) => 10,
            ('\\', Some('t')) => 9,
            ('\\', Some('0')) => 0,
            ('\\', Some(c @ ('\\' | '\''))) => c as i128,
            (c, None) => u8::try_from(c).ok()?.into(),
            _ => return None,
        };
        return chars.next().is_none().then_some(value);
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = digits.replace('_', "");
    let value = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        None => digits.parse().ok()?,
    };
    Some(sign * i128::from(value))
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    const SOURCE: &str = r#"
enum colour { RED = 1, BLUE = 7 };
struct deep { __u16 pad; __u16 limits[3]; unsigned int bits : 3; };
const volatile int plain = 3;
const volatile unsigned char byte = 0;
const volatile _Bool flag = 0;
const volatile enum colour colour = RED;
const volatile char name[8] = "lo";
const volatile struct deep config = {};
volatile __u64 counter = 5;
volatile __u64 zeroed;
void *volatile pointer;
SEC("socket") int reads(void *ctx)
{
	return plain + byte + flag + colour + name[0] + config.limits[1] + counter + zeroed + !pointer;
}
"#;

    #[test]
    fn values_in_words_are_bytes_of_their_type() {
        let object = fixture::object(SOURCE);
        let encoded = |path: &str, text: &str| {
            let global = object.global(path).map_err(|error| error.to_string())?;
            global.encode(text).map_err(|error| error.to_string())
        };
        assert_eq!(encoded("plain", "-2"), Ok(vec![0xfe, 0xff, 0xff, 0xff]));
        assert_eq!(encoded("plain", "0xffffffff"), Ok(vec![0xff; 4]));
        assert_eq!(encoded("byte", "'x'"), Ok(vec![b'x']));
        assert_eq!(encoded("flag", "true"), Ok(vec![1]));
        assert_eq!(encoded("colour", "BLUE"), Ok(vec![7, 0, 0, 0]));
        assert_eq!(encoded("name", "eth0"), Ok(b"eth0\0\0\0\0".to_vec()));
        assert_eq!(encoded("name[1]", "'n'"), Ok(b"n".to_vec()));
        assert_eq!(encoded("config.limits[2]", "9"), Ok(vec![9, 0]));
        assert_eq!(encoded("counter", "1_000"), Ok(vec![0xe8, 3, 0, 0, 0, 0, 0, 0]));

        let place = object.global("config.limits[2]").expect("it is there");
        assert_eq!((place.section, place.kind), (".rodata", DataKind::Rodata));
        let config = object.global("config").expect("it is there");
        assert_eq!(place.offset, config.offset + 6);
        assert_eq!(object.global("zeroed").expect("it is there").kind, DataKind::Bss);

        for (path, text, said) in [
            ("plane", "1", "there is no global variable of that name"),
            ("plain.x", "1", "`int` has no members"),
            ("plain[0]", "1", "`int` is no array"),
            ("plain[", "1", "write NAME, NAME[INDEX] or NAME.MEMBER"),
            ("plain", "4294967296", "`4294967296` does not fit into `int`"),
            ("plain", "x", "`x` is no number"),
            ("byte", "-1", "`-1` does not fit into `unsigned char`, which holds 0 to 255"),
            ("flag", "2", "`2` is neither true nor false"),
            ("colour", "GREEN", "`GREEN` is none of `enum colour`'s values: RED, BLUE"),
            ("name", "longer name", "do not fit into 8"),
            ("config", "1", "it is a `struct deep`; name a member, there are: pad, limits, bits"),
            ("config.limits", "1", "it is an array; name an element, [0] to [2]"),
            ("config.limits[3]", "1", "there is no element 3; the array has 3"),
            ("config.limit", "1", "there is no member `limit`"),
            ("config.bits", "1", "is a bit-field"),
            ("pointer", "1", "cannot be set"),
        ] {
            let error = encoded(path, text).expect_err(path);
            assert!(error.contains(said), "{path}={text}: {error}");
        }
    }
}
