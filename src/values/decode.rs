//! Bytes → values.

use super::{Value, network};
use crate::btf::{Array, Btf, Composite, Endian, Enum, Int, Member, Type, TypeId};

/// Deeper than this, values are bytes.
const DEEPEST: u32 = 16;
/// Elements of an array beyond these are not looked at.
const MOST: u32 = 4096;

/// The parts of a name that say that numbers are addresses of code.
const STACK: [&str; 5] = ["stack", "kstack", "ustack", "ips", "callchain"];

/// Reads a value of a type. `name` is what it is called where it stands, which
/// may tell what its number means. Of bytes that end too early, what is there
/// is read: programs send events without their unused end.
pub fn decode(btf: &Btf, ty: TypeId, name: &str, bytes: &[u8]) -> Value {
    Decoder { btf }.value(ty, name, bytes, DEEPEST)
}

struct Decoder<'b> {
    btf: &'b Btf,
}

impl Decoder<'_> {
    fn value(&self, ty: TypeId, name: &str, bytes: &[u8], left: u32) -> Value {
        let typedef = self.typedef(ty);
        let Some(left) = left.checked_sub(1) else { return Value::Bytes(bytes.to_vec()) };
        match self.btf.ty(self.btf.resolve(ty)) {
            Type::Int(int) => self.int(&int, name, typedef, bytes),
            Type::Ptr(_) => match self.number(bytes) {
                Some(number) => Value::Address(number as u64),
                None => Value::Bytes(bytes.to_vec()),
            },
            Type::Array(array) => self.array(&array, name, bytes, left),
            Type::Struct(of) => {
                let whole = bytes.get(..of.size as usize).unwrap_or(bytes);
                if of.name == "in_addr"
                    && let Some(address) = network::ipv4("ip", typedef, whole)
                {
                    return address;
                }
                match network::ipv6("", of.name, whole) {
                    Some(address) => address,
                    None => Value::Record(self.members(&of, whole, left)),
                }
            }
            Type::Union(of) => {
                let whole = bytes.get(..of.size as usize).unwrap_or(bytes);
                Value::Record(self.members(&of, whole, left))
            }
            Type::Enum(of) => self.enumerator(&of, bytes),
            Type::Float { size, .. } => match (size, bytes) {
                (4, [a, b, c, d, ..]) => {
                    Value::Float(f32::from_bits(self.word([*a, *b, *c, *d])).into())
                }
                (8, bytes) if bytes.len() >= 8 => {
                    Value::Float(f64::from_bits(self.number(&bytes[..8]).unwrap_or(0) as u64))
                }
                _ => Value::Bytes(bytes.to_vec()),
            },
            _ => Value::Bytes(bytes.to_vec()),
        }
    }

    /// The name of the typedef next to the declaration, if it is one.
    fn typedef(&self, ty: TypeId) -> &str {
        match self.btf.ty(self.btf.skip_modifiers(ty)) {
            Type::Typedef { name, .. } => name,
            _ => "",
        }
    }

    /// A number of up to sixteen bytes, without a sign.
    fn number(&self, bytes: &[u8]) -> Option<u128> {
        if bytes.is_empty() || bytes.len() > 16 {
            return None;
        }
        let add = |number: u128, byte: &u8| number << 8 | u128::from(*byte);
        Some(match self.btf.endian() {
            Endian::Little => bytes.iter().rev().fold(0, add),
            Endian::Big => bytes.iter().fold(0, add),
        })
    }

    fn word(&self, bytes: [u8; 4]) -> u32 {
        self.number(&bytes).unwrap_or(0) as u32
    }

    fn int(&self, int: &Int<'_>, name: &str, typedef: &str, bytes: &[u8]) -> Value {
        let Some(bytes) = bytes.get(..int.size as usize) else {
            return Value::Bytes(bytes.to_vec());
        };
        if !int.is_signed {
            let address =
                network::ipv4(name, typedef, bytes).or_else(|| network::ipv6(name, typedef, bytes));
            if let Some(address) = address {
                return address;
            }
        }
        let number = match network::is_big_endian(typedef) {
            true => bytes.iter().fold(0, |number, byte| number << 8 | u128::from(*byte)),
            false => self.number(bytes).unwrap_or(0),
        };
        scalar(int, number, int.size * 8)
    }

    fn array(&self, array: &Array, name: &str, bytes: &[u8], left: u32) -> Value {
        let element = self.btf.ty(self.btf.resolve(array.element));
        let size = self.btf.size(array.element).unwrap_or(0) as usize;
        // A flexible array has what is left.
        let count = match (array.count, size) {
            (_, 0) => return Value::List(Vec::new()),
            (0, size) => bytes.len() / size,
            (count, _) => count.min(MOST) as usize,
        };
        let bytes = bytes.get(..count * size).unwrap_or(bytes);
        if let Type::Int(int) = element
            && int.size == 1
        {
            // `char`, however it is spelled; `u8` is a number.
            let is_text = int.name == "char" || int.is_char || int.name == "signed char";
            if is_text {
                return text(bytes);
            }
            return network::ipv6(name, "", bytes)
                .or_else(|| network::mac(name, bytes))
                .or_else(|| network::ipv4(name, "", bytes))
                .unwrap_or_else(|| Value::Bytes(bytes.to_vec()));
        }
        let whole = bytes.chunks_exact(size);
        if let Type::Int(int) = element
            && int.size == 8
            && !int.is_signed
            && name.split('_').any(|part| STACK.contains(&part))
        {
            let address = |bytes: &[u8]| Value::Address(self.number(bytes).unwrap_or(0) as u64);
            return Value::List(whole.map(address).collect());
        }
        Value::List(whole.map(|bytes| self.value(array.element, "", bytes, left)).collect())
    }

    fn members(&self, of: &Composite<'_>, bytes: &[u8], left: u32) -> Vec<(String, Value)> {
        let mut members = Vec::new();
        for member in of.members() {
            if member.name.is_empty() {
                // What an anonymous member has, the struct has.
                if let Some(start) = bytes.get(member.bit_offset as usize / 8..)
                    && let Value::Record(more) = self.value(member.ty, "", start, left)
                {
                    members.extend(more);
                }
            } else if let Some(value) = self.member(&member, bytes, left) {
                members.push((member.name.to_owned(), value));
            }
        }
        members
    }

    /// A member, if it is there at all.
    fn member(&self, member: &Member<'_>, bytes: &[u8], left: u32) -> Option<Value> {
        let start = bytes.get(member.bit_offset as usize / 8..)?;
        let Some(width) = member.bit_size else {
            let size = self.btf.size(member.ty).unwrap_or(0) as usize;
            // A flexible array may be empty; anything else is there or not.
            if start.len() < size && !self.is_array(member.ty) || start.is_empty() && size > 0 {
                return None;
            }
            let own = if size > 0 { start.get(..size).unwrap_or(start) } else { start };
            return Some(self.value(member.ty, member.name, own, left));
        };
        let shift = member.bit_offset % 8;
        let length = (shift + u32::from(width)).div_ceil(8) as usize;
        let number = self.number(start.get(..length)?)?;
        let number = match self.btf.endian() {
            Endian::Little => number >> shift,
            Endian::Big => number >> (length as u32 * 8 - shift - u32::from(width)),
        };
        let number = number & ((1 << width) - 1);
        Some(match self.btf.ty(self.btf.resolve(member.ty)) {
            Type::Int(int) => scalar(&int, number, width.into()),
            Type::Enum(of) => named(&of, number as i128),
            _ => Value::Unsigned(number as u64),
        })
    }

    fn is_array(&self, ty: TypeId) -> bool {
        matches!(self.btf.ty(self.btf.resolve(ty)), Type::Array(_))
    }

    fn enumerator(&self, of: &Enum<'_>, bytes: &[u8]) -> Value {
        let bytes = bytes.get(..of.size as usize).unwrap_or(bytes);
        let Some(number) = self.number(bytes) else { return Value::Bytes(bytes.to_vec()) };
        let number = match of.is_signed {
            true => signed(number, of.size * 8).into(),
            false => number as i128,
        };
        named(of, number)
    }
}

fn named(of: &Enum<'_>, number: i128) -> Value {
    let known = of.values().find(|known| known.value == number);
    match known {
        Some(known) => Value::Named { name: known.name.to_owned(), number },
        None => Value::Signed(number as i64),
    }
}

fn scalar(int: &Int<'_>, number: u128, bits: u32) -> Value {
    match () {
        () if int.is_bool => Value::Flag(number != 0),
        () if bits > 64 => Value::Wide(number),
        () if int.is_signed => Value::Signed(signed(number, bits)),
        () => Value::Unsigned(number as u64),
    }
}

/// A number of so many bits, the highest of which is its sign.
fn signed(number: u128, bits: u32) -> i64 {
    let unused = 64_u32.saturating_sub(bits.clamp(1, 64));
    (number as i64) << unused >> unused
}

/// Characters up to the first zero; bytes, if they are no text.
fn text(bytes: &[u8]) -> Value {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    Value::Text(String::from_utf8_lossy(&bytes[..end]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::{Builder, Kind};

    fn numbers() -> (Btf, TypeId) {
        let mut builder = Builder::new();
        let int = builder.int("int", 4, 1);
        let byte = builder.int("char", 1, 1);
        let short = builder.int("unsigned short", 2, 0);
        let word = builder.int("unsigned int", 4, 0);
        let port = builder.reference(Kind::Typedef, "__be16", short);
        let comm = builder.array(byte, word, 8);
        let members = [
            ("pid", int, 0, 0),
            ("saddr", word, 32, 0),
            ("port", port, 64, 0),
            ("comm", comm, 80, 0),
            ("low", word, 144, 3),
            ("high", int, 147, 5),
        ];
        let record = builder.composite(Kind::Struct, "event", 20, &members);
        (Btf::parse(builder.finish(Endian::Little)).expect("it is BTF"), record)
    }

    #[test]
    fn members_are_what_their_declarations_say() {
        let (btf, record) = numbers();
        let mut bytes = (-7_i32).to_le_bytes().to_vec();
        bytes.extend([10, 0, 0, 1, 0x1f, 0x90]);
        bytes.extend(b"cat\0\xff\xff\xff\xff");
        bytes.extend([0b1111_1101, 0]);
        let Value::Record(members) = decode(&btf, record, "", &bytes) else { panic!("no record") };
        let shown: Vec<String> =
            members.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        assert_eq!(
            shown,
            [
                "pid=Signed(-7)",
                "saddr=Ip(10.0.0.1)",
                "port=Unsigned(8080)",
                "comm=Text(\"cat\")",
                "low=Unsigned(5)",
                "high=Signed(-1)",
            ]
        );
    }

    #[test]
    fn any_length_is_read_as_far_as_it_goes() {
        let (btf, record) = numbers();
        for length in 0..20 {
            let Value::Record(members) = decode(&btf, record, "", &vec![0xff; length]) else {
                panic!("no record")
            };
            assert_eq!(members.is_empty(), length < 4, "{length}");
        }
    }

    #[test]
    fn what_processors_counted_is_summed() {
        let mut sum = Value::Record(vec![
            ("count".into(), Value::Unsigned(2)),
            ("comm".into(), Value::Text(String::new())),
        ]);
        sum.add(&Value::Record(vec![
            ("count".into(), Value::Unsigned(3)),
            ("comm".into(), Value::Text("cat".into())),
        ]));
        let Value::Record(members) = sum else { panic!("no record") };
        assert_eq!(members[0].1, Value::Unsigned(5));
        assert_eq!(members[1].1, Value::Text("cat".into()));
    }
}
