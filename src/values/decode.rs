//! Bytes → values, along a [`Shape`]. Of bytes that end too early, what is
//! there is read: programs send events without their unused end.
//!
//! A value is read into one that is there, if it has the same shape: records
//! that come by the million then take no memory of their own.

use super::meaning::Tags;
use super::shape::{Bits, Member, Node, Read, Shape, Shapes};
use super::{Code, Stack, Value};
use crate::bpf::errno;
use crate::btf::{Btf, Endian, TypeId};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::borrow::Cow;
use std::sync::Arc;

/// The kernel's half of all addresses begins here, on the machines that
/// skep's guests are.
const KERNEL: u64 = 0xffff_8000_0000_0000;

/// Reads one value of a type. `name` is what it is called where it stands,
/// which may tell what its number means. Whoever reads many makes a [`Shape`].
pub fn decode(btf: &Btf, ty: TypeId, name: &str, bytes: &[u8]) -> Value {
    Shapes::new(btf, &Tags::of(btf)).shape(ty, name).read(bytes)
}

impl Shape {
    /// Reads a value.
    pub fn read(&self, bytes: &[u8]) -> Value {
        let mut value = Value::default();
        self.read_into(bytes, &mut value);
        value
    }

    /// Reads a value into one that was read before.
    #[inline]
    pub fn read_into(&self, bytes: &[u8], value: &mut Value) {
        Reader { is_little: self.endian == Endian::Little }.value(&self.node, bytes, value);
    }

    /// Whether there is anything in it that only a machine can name: an
    /// address of code, the number of a stack.
    pub fn has_code(&self) -> bool {
        has_code(&self.node)
    }
}

fn has_code(node: &Node) -> bool {
    match node {
        Node::Number { read, .. } => matches!(read, Read::Code { .. } | Read::StackId { .. }),
        Node::Stack { .. } => true,
        Node::List { element, .. } => has_code(element),
        Node::Record(members) => members.iter().any(|member| has_code(&member.node)),
        _ => false,
    }
}

#[derive(Clone, Copy)]
struct Reader {
    is_little: bool,
}

impl Reader {
    fn value(self, node: &Node, bytes: &[u8], out: &mut Value) {
        match node {
            Node::Number { size, is_signed, is_swapped, read } => {
                match bytes.get(..*size).and_then(|own| self.number(own, *is_swapped)) {
                    Some(number) => *out = scalar(number, *size as u32 * 8, *is_signed, read),
                    None => set_bytes(bytes, out),
                }
            }
            Node::Ipv4 => match bytes.first_chunk::<4>() {
                Some(bytes) => *out = Value::Ip(IpAddr::V4(Ipv4Addr::from(*bytes))),
                None => set_bytes(bytes, out),
            },
            Node::Ipv6 => match bytes.first_chunk::<16>() {
                Some(bytes) => *out = Value::Ip(IpAddr::V6(Ipv6Addr::from(*bytes))),
                None => set_bytes(bytes, out),
            },
            Node::Mac => match bytes.first_chunk::<6>() {
                Some(bytes) => *out = Value::Mac(*bytes),
                None => set_bytes(bytes, out),
            },
            Node::Text(size) => set_text(bytes.get(..*size).unwrap_or(bytes), out),
            Node::Bytes(size) => {
                set_bytes(size.and_then(|size| bytes.get(..size)).unwrap_or(bytes), out);
            }
            Node::Enumerator { size, is_signed, names } => {
                let own = bytes.get(..*size).unwrap_or(bytes);
                match self.number(own, false) {
                    Some(number) if *is_signed => {
                        *out = named(names, signed(number, *size as u32 * 8).into());
                    }
                    Some(number) => *out = named(names, number as i128),
                    None => set_bytes(own, out),
                }
            }
            Node::Float(size) => {
                match (size, bytes.get(..*size).and_then(|own| self.number(own, false))) {
                    (4, Some(bits)) => *out = Value::Float(f32::from_bits(bits as u32).into()),
                    (8, Some(bits)) => *out = Value::Float(f64::from_bits(bits as u64)),
                    _ => set_bytes(bytes, out),
                }
            }
            Node::List { element, size, count } => self.list(element, *size, *count, bytes, out),
            Node::Stack { count } => {
                let own = count.and_then(|count| bytes.get(..count * 8)).unwrap_or(bytes);
                let addresses = own.chunks_exact(8).map(|own| self.number(own, false).unwrap_or(0));
                // Behind the last frame there are zeros.
                let frames = addresses.take_while(|&address| address != 0);
                let frames = frames.map(|address| Code { address: address as u64, name: None });
                *out =
                    Value::Stack(Box::new(Stack { id: None, map: None, frames: frames.collect() }));
            }
            Node::Record(members) => self.record(members, bytes, out),
        }
    }

    /// A number of up to sixteen bytes, without a sign.
    #[inline]
    fn number(self, bytes: &[u8], is_swapped: bool) -> Option<u128> {
        let is_little = self.is_little && !is_swapped;
        Some(match *bytes {
            [a] => a.into(),
            [a, b] if is_little => u16::from_le_bytes([a, b]).into(),
            [a, b, c, d] if is_little => u32::from_le_bytes([a, b, c, d]).into(),
            [a, b, c, d, e, f, g, h] if is_little => {
                u64::from_le_bytes([a, b, c, d, e, f, g, h]).into()
            }
            [] => return None,
            _ if bytes.len() > 16 => return None,
            _ => {
                let add = |number: u128, byte: &u8| number << 8 | u128::from(*byte);
                if is_little { bytes.iter().rev().fold(0, add) } else { bytes.iter().fold(0, add) }
            }
        })
    }

    fn list(
        self,
        element: &Node,
        size: usize,
        count: Option<usize>,
        bytes: &[u8],
        out: &mut Value,
    ) {
        if !matches!(out, Value::List(_)) {
            *out = Value::List(Vec::new());
        }
        let Value::List(values) = out else { return };
        let whole = count.and_then(|count| bytes.get(..count.checked_mul(size)?));
        let own = whole.unwrap_or(bytes);
        let count = own.len().checked_div(size).unwrap_or(0);
        values.resize_with(count, Value::default);
        if size > 0 {
            for (value, own) in values.iter_mut().zip(own.chunks_exact(size)) {
                self.value(element, own, value);
            }
        }
    }

    fn record(self, members: &[Member], bytes: &[u8], out: &mut Value) {
        if !matches!(out, Value::Record(_)) {
            *out = Value::Record(Vec::with_capacity(members.len()));
        }
        let Value::Record(values) = out else { return };
        let mut count = 0;
        for member in members {
            // What is not there at all has no place in the record.
            let Some(own) = present(member, bytes) else { continue };
            match values.get_mut(count) {
                Some((name, _)) if Arc::ptr_eq(name, &member.name) => {}
                Some((name, _)) => name.clone_from(&member.name),
                None => values.push((Arc::clone(&member.name), Value::default())),
            }
            let value = &mut values[count].1;
            match member.bits {
                Some(bits) => self.bits(&member.node, bits, own, value),
                None => self.value(&member.node, own, value),
            }
            count += 1;
        }
        values.truncate(count);
        if members.iter().any(|member| member.is_family) {
            shorten(members, values);
        }
    }

    fn bits(self, node: &Node, bits: Bits, bytes: &[u8], out: &mut Value) {
        let number = self.number(bytes, false).unwrap_or(0);
        let number = match self.is_little {
            true => number >> bits.shift,
            false => number >> (bytes.len() as u32 * 8 - bits.shift - bits.width),
        };
        let number = number & ((1 << bits.width) - 1);
        *out = match node {
            Node::Number { is_signed, read, .. } => scalar(number, bits.width, *is_signed, read),
            Node::Enumerator { names, .. } => named(names, number as i128),
            _ => Value::Unsigned(number as u64),
        };
    }
}

/// Where a record says that its addresses are of IPv4, those with room for more
/// have them at their beginning.
fn shorten(members: &[Member], values: &mut [(Arc<str>, Value)]) {
    /// `AF_INET` of include/linux/socket.h.
    const INET: i128 = 2;
    let is_inet = |value: &Value| match value {
        Value::Unsigned(number) => i128::from(*number) == INET,
        Value::Signed(number) => i128::from(*number) == INET,
        _ => false,
    };
    let mut said = members.iter().zip(values.iter());
    if !said.any(|(member, (_, value))| member.is_family && is_inet(value)) {
        return;
    }
    for (_, value) in values {
        if let Value::Ip(IpAddr::V6(long)) = value
            && let [a, b, c, d, rest @ ..] = long.octets()
            && rest.iter().all(|&byte| byte == 0)
        {
            *value = Value::Ip(IpAddr::V4(Ipv4Addr::new(a, b, c, d)));
        }
    }
}

/// The bytes of a member, if it is there.
#[inline]
fn present<'b>(member: &Member, bytes: &'b [u8]) -> Option<&'b [u8]> {
    let start = bytes.get(member.offset..)?;
    if let Some(bits) = member.bits {
        return start.get(..(bits.shift + bits.width).div_ceil(8) as usize);
    }
    let size = member.size;
    // A flexible array may be empty; anything else is there or not.
    if start.len() < size && !member.is_array || start.is_empty() && size > 0 {
        return None;
    }
    Some(if size > 0 { start.get(..size).unwrap_or(start) } else { start })
}

fn named(names: &[(i128, Arc<str>)], number: i128) -> Value {
    match names.binary_search_by_key(&number, |(number, _)| *number) {
        Ok(at) => Value::Named { name: Arc::clone(&names[at].1), number },
        Err(_) => Value::Signed(number as i64),
    }
}

fn scalar(number: u128, bits: u32, is_signed: bool, read: &Read) -> Value {
    let plain = || match () {
        () if bits > 64 => Value::Wide(number),
        () if is_signed => Value::Signed(signed(number, bits)),
        () => Value::Unsigned(number as u64),
    };
    let exact = || if is_signed { signed(number, bits).into() } else { number as i128 };
    match read {
        Read::Plain => plain(),
        Read::Flag => Value::Flag(number != 0),
        Read::Noted(_) if bits > 64 => plain(),
        Read::Noted(notation) => Value::Noted(*notation, exact()),
        Read::Errno => {
            // What is not negative is a result.
            let error = signed(number, bits);
            match i32::try_from(-i128::from(error)).ok().and_then(errno::name) {
                Some(name) => {
                    Value::Named { name: format!("-{name}").into(), number: error.into() }
                }
                None => plain(),
            }
        }
        Read::Pointer => Value::Address(number as u64),
        Read::Code { is_sure } => {
            let address = number as u64;
            let is_one = *is_sure || address >= KERNEL;
            if is_one { Value::Code(Code { address, name: None }) } else { plain() }
        }
        Read::StackId { map } => {
            let id = Some(signed(number, bits));
            Value::Stack(Box::new(Stack { id, map: map.clone(), frames: Vec::new() }))
        }
    }
}

/// A number of so many bits, the highest of which is its sign.
fn signed(number: u128, bits: u32) -> i64 {
    let unused = 64_u32.saturating_sub(bits.clamp(1, 64));
    (number as i64) << unused >> unused
}

/// Characters up to the first zero.
#[inline]
fn set_text(bytes: &[u8], out: &mut Value) {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let own = match std::str::from_utf8(&bytes[..end]) {
        Ok(own) => Cow::Borrowed(own),
        Err(_) => String::from_utf8_lossy(&bytes[..end]),
    };
    match out {
        Value::Text(text) => {
            text.clear();
            text.push_str(&own);
        }
        _ => *out = Value::Text(own.into_owned()),
    }
}

fn set_bytes(bytes: &[u8], out: &mut Value) {
    match out {
        Value::Bytes(known) => {
            known.clear();
            known.extend_from_slice(bytes);
        }
        _ => *out = Value::Bytes(bytes.to_vec()),
    }
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
