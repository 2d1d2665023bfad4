//! Values as people write them → bytes, by their BTF type: what a map is to
//! hold before a program runs, and what it is expected to hold afterwards.
//!
//! A value becomes [`Part`]s, one for each number or text that is written, so
//! that a struct of which three members are named is compared by these three.

use super::{Value, decode, network};
use crate::btf::{Array, Btf, Composite, Endian, Int, Member, Type, TypeId};
use core::net::{Ipv4Addr, Ipv6Addr};
use core::ops::Range;

/// Deeper than this nobody writes.
const DEEPEST: u32 = 16;

/// A value that somebody wrote, and the bytes of the text it stands on.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// The value.
    pub value: Written,
    /// Where it is written.
    pub range: Range<usize>,
}

/// A value in the shape it was written in.
#[derive(Clone, Debug, PartialEq)]
pub enum Written {
    /// A whole number.
    Number(i128),
    /// `true` or `false`.
    Flag(bool),
    /// A text: of characters, an address, an enumerator's name, `hex:00ff`.
    Text(String),
    /// The elements of an array.
    List(Vec<Given>),
    /// The members of a struct, as far as they matter.
    Table(Vec<(String, Given)>),
}

/// A piece of a value: what stands at one place of its bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The member it is of, from the whole value on: `[2].port`; empty for
    /// the whole value.
    pub path: String,
    /// Where it begins, in bytes.
    pub offset: usize,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Which bits of them are meant, of a bit-field.
    pub mask: Option<Vec<u8>>,
    /// What it is called, and of which type, where that is known.
    pub of: Option<(String, TypeId)>,
    /// Where it is written.
    pub range: Range<usize>,
}

/// What is written cannot be a value of its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Why not, as a sentence without a stop.
    pub message: String,
    /// Where it is written.
    pub range: Range<usize>,
}

/// A value as parts of the bytes of type `ty`. `name` is what it is called
/// where it stands, as for [`decode()`].
///
/// # Errors
/// It is not a value of the type.
pub fn encode(btf: &Btf, ty: TypeId, name: &str, given: &Given) -> Result<Vec<Part>, Wrong> {
    let mut encoder = Encoder { btf, parts: Vec::new() };
    encoder.value(&Place { path: "", name, ty, offset: 0 }, given, DEEPEST)?;
    Ok(encoder.parts)
}

/// A value of `size` bytes of which nothing else is known: a number, in the
/// order of little-endian machines, or `hex:…`.
///
/// # Errors
/// It is neither, or it does not fit.
pub fn encode_plain(size: usize, given: &Given) -> Result<Vec<Part>, Wrong> {
    let bytes = match &given.value {
        Written::Text(text) => match hexadecimal(text, given)? {
            Some(bytes) if bytes.len() <= size => bytes,
            Some(bytes) => return wrong(given, format!("{} do not fit into {size}", bytes.len())),
            None => return wrong(given, "without BTF, write a number or hex:…"),
        },
        Written::Number(number) if size <= 16 => {
            fit(*number, size as u32, true, given)?[..size].to_vec()
        }
        _ => return wrong(given, "without BTF, write a number or hex:…"),
    };
    let range = given.range.clone();
    Ok(vec![Part { path: String::new(), offset: 0, bytes, mask: None, of: None, range }])
}

/// The bytes of a value whose parts are given and whose rest is zero.
pub fn assemble(parts: &[Part], size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    for part in parts {
        part.write(&mut bytes);
    }
    bytes
}

impl Part {
    /// Puts the part where it belongs, as far as there is room.
    pub fn write(&self, bytes: &mut [u8]) {
        for (index, byte) in self.bytes.iter().enumerate() {
            if let Some(place) = bytes.get_mut(self.offset + index) {
                let mask = self.mask_of(index);
                *place = (*place & !mask) | (byte & mask);
            }
        }
    }

    fn mask_of(&self, index: usize) -> u8 {
        self.mask.as_ref().map_or(0xff, |mask| mask.get(index).copied().unwrap_or(0))
    }

    /// Its bytes in a whole value; none if that ends before.
    fn own<'b>(&self, whole: &'b [u8]) -> Option<&'b [u8]> {
        whole.get(self.offset..self.offset.checked_add(self.bytes.len())?)
    }

    /// Whether a value's bytes have the part.
    pub fn is_in(&self, whole: &[u8]) -> bool {
        let Some(own) = self.own(whole) else { return false };
        let masked = |bytes: &[u8]| -> Vec<u8> {
            bytes.iter().enumerate().map(|(index, byte)| byte & self.mask_of(index)).collect()
        };
        masked(own) == masked(&self.bytes)
    }

    /// What stands at its place, in a whole value or (`None`) in itself.
    pub fn shown(&self, btf: Option<&Btf>, whole: Option<&[u8]>) -> Value {
        let own = match whole {
            Some(whole) => self.own(whole).unwrap_or_default(),
            None => &self.bytes,
        };
        match (&self.of, &self.mask, btf) {
            (Some((name, ty)), None, Some(btf)) => decode(btf, *ty, name, own),
            (_, Some(_), _) => {
                let add = |number: u64, (index, byte): (usize, &u8)| {
                    number | u64::from(byte & self.mask_of(index)) << (8 * index.min(7))
                };
                let number = own.iter().enumerate().fold(0, add);
                let shift = self.bytes.iter().enumerate().find_map(|(index, _)| {
                    let mask = self.mask_of(index);
                    (mask != 0).then(|| 8 * index as u32 + mask.trailing_zeros())
                });
                Value::Unsigned(number >> shift.unwrap_or(0).min(63))
            }
            _ => match own.len() {
                1..=8 => Value::Unsigned(little(own)),
                _ => Value::Bytes(own.to_vec()),
            },
        }
    }
}

fn little(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Where a value stands.
struct Place<'p> {
    path: &'p str,
    name: &'p str,
    ty: TypeId,
    offset: usize,
}

struct Encoder<'b> {
    btf: &'b Btf,
    parts: Vec<Part>,
}

impl Encoder<'_> {
    fn value(&mut self, place: &Place<'_>, given: &Given, left: u32) -> Result<(), Wrong> {
        let Some(left) = left.checked_sub(1) else {
            return wrong(given, "it is nested too deeply");
        };
        let size = usize::try_from(self.btf.size(place.ty).unwrap_or(0)).unwrap_or(0);
        if let Written::Text(text) = &given.value
            && let Some(bytes) = hexadecimal(text, given)?
        {
            if size > 0 && bytes.len() > size {
                return wrong(given, format!("{} bytes do not fit into {size}", bytes.len()));
            }
            self.push(place, bytes, given);
            return Ok(());
        }
        match self.btf.ty(self.btf.resolve(place.ty)) {
            Type::Int(int) => {
                let bytes = self.int(&int, place.ty, given)?;
                self.push(place, bytes, given);
            }
            Type::Ptr(_) => {
                let number = number(given).ok_or_else(|| no(given, "a number"))?;
                let bytes = fit(number, self.btf.pointer_size() as u32, false, given)?;
                self.push(place, self.ordered(bytes), given);
            }
            Type::Enum(of) => {
                let named = match &given.value {
                    Written::Text(text) => of.values().find(|known| known.name == *text),
                    _ => None,
                };
                let Some(number) = named.map(|known| known.value).or_else(|| number(given)) else {
                    let names: Vec<&str> = of.values().map(|known| known.name).collect();
                    return wrong(given, format!("it is none of: {}", names.join(", ")));
                };
                let bytes = fit(number, of.size, true, given)?;
                self.push(place, self.ordered(bytes), given);
            }
            Type::Array(array) => self.array(place, &array, size, given, left)?,
            Type::Struct(of) | Type::Union(of) => self.composite(place, &of, given, left)?,
            _ => {
                let word = self.btf.word(place.ty);
                return wrong(given, format!("a value of type `{word}` cannot be written"));
            }
        }
        Ok(())
    }

    fn push(&mut self, place: &Place<'_>, bytes: Vec<u8>, given: &Given) {
        self.parts.push(Part {
            path: place.path.to_owned(),
            offset: place.offset,
            bytes,
            mask: None,
            of: Some((place.name.to_owned(), place.ty)),
            range: given.range.clone(),
        });
    }

    /// Little-endian bytes in the order of the object.
    fn ordered(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        if self.btf.endian() == Endian::Big {
            bytes.reverse();
        }
        bytes
    }

    fn int(&self, int: &Int<'_>, ty: TypeId, given: &Given) -> Result<Vec<u8>, Wrong> {
        if let Written::Text(text) = &given.value {
            // Addresses stand in memory as they do in a packet.
            let address = match int.size {
                4 => text.parse::<Ipv4Addr>().ok().map(|address| address.octets().to_vec()),
                16 => text.parse::<Ipv6Addr>().ok().map(|address| address.octets().to_vec()),
                _ => None,
            };
            if let Some(bytes) = address {
                return Ok(bytes);
            }
        }
        let what = if int.size == 4 { "a number or an IPv4 address" } else { "a number" };
        let number = number(given).ok_or_else(|| no(given, what))?;
        let mut bytes = fit(number, int.size, int.is_signed, given)?;
        let typedef = match self.btf.ty(self.btf.skip_modifiers(ty)) {
            Type::Typedef { name, .. } => name,
            _ => "",
        };
        if network::is_big_endian(typedef) {
            bytes.reverse();
            return Ok(bytes);
        }
        Ok(self.ordered(bytes))
    }

    fn array(
        &mut self,
        place: &Place<'_>,
        array: &Array,
        size: usize,
        given: &Given,
        left: u32,
    ) -> Result<(), Wrong> {
        match &given.value {
            Written::Text(text) => {
                let bytes = match size {
                    16 if text.parse::<Ipv6Addr>().is_ok() => {
                        text.parse::<Ipv6Addr>().map(|one| one.octets().to_vec()).ok()
                    }
                    4 if text.parse::<Ipv4Addr>().is_ok() => {
                        text.parse::<Ipv4Addr>().map(|one| one.octets().to_vec()).ok()
                    }
                    6 => mac(text).map(|bytes| bytes.to_vec()),
                    _ => None,
                };
                let element = self.btf.ty(self.btf.resolve(array.element));
                let is_bytes = matches!(element, Type::Int(int) if int.size == 1);
                let bytes = match bytes {
                    Some(bytes) => bytes,
                    None if is_bytes => {
                        let mut bytes = text.as_bytes().to_vec();
                        if array.count > 0 && bytes.len() > size {
                            let length = bytes.len();
                            let message =
                                format!("the text's {length} bytes do not fit into {size}");
                            return wrong(given, message);
                        }
                        // What is behind it is expected to be nothing.
                        bytes.resize(size.max(bytes.len()), 0);
                        bytes
                    }
                    None => return Err(no(given, "a list")),
                };
                self.push(place, bytes, given);
            }
            Written::List(items) => {
                if array.count > 0 && items.len() > array.count as usize {
                    let (many, count) = (items.len(), array.count);
                    return wrong(given, format!("{many} elements do not fit into {count}"));
                }
                let stride =
                    usize::try_from(self.btf.size(array.element).unwrap_or(0)).unwrap_or(0);
                for (index, item) in items.iter().enumerate() {
                    let path = format!("{}[{index}]", place.path);
                    let offset = place.offset + index * stride;
                    let (name, ty) = (place.name, array.element);
                    self.value(&Place { path: &path, name, ty, offset }, item, left)?;
                }
            }
            _ => return Err(no(given, "a list, or a text")),
        }
        Ok(())
    }

    fn composite(
        &mut self,
        place: &Place<'_>,
        of: &Composite<'_>,
        given: &Given,
        left: u32,
    ) -> Result<(), Wrong> {
        match &given.value {
            Written::Text(text) => {
                let bytes = match of.size {
                    4 => text.parse::<Ipv4Addr>().ok().map(|address| address.octets().to_vec()),
                    16 => text.parse::<Ipv6Addr>().ok().map(|address| address.octets().to_vec()),
                    _ => None,
                };
                self.push(place, bytes.ok_or_else(|| no(given, "a table of members"))?, given);
                Ok(())
            }
            Written::Table(members) => {
                for (name, value) in members {
                    let found = find_member(self.btf, of, name, DEEPEST);
                    let Some((member, start)) = found else {
                        let mut known = Vec::new();
                        member_names(self.btf, of, &mut known, DEEPEST);
                        return wrong(
                            value,
                            format!("there is no member `{name}`; there are: {}", known.join(", ")),
                        );
                    };
                    let path = match place.path {
                        "" => name.clone(),
                        path => format!("{path}.{name}"),
                    };
                    let bits = start + member.bit_offset;
                    let offset = place.offset + bits as usize / 8;
                    let place = Place { path: &path, name, ty: member.ty, offset };
                    match member.bit_size {
                        Some(width) => self.bit_field(&place, bits % 8, width.into(), value)?,
                        None => self.value(&place, value, left)?,
                    }
                }
                Ok(())
            }
            _ => Err(no(given, "a table of members")),
        }
    }

    fn bit_field(
        &mut self,
        place: &Place<'_>,
        shift: u32,
        width: u32,
        given: &Given,
    ) -> Result<(), Wrong> {
        let number = number(given).ok_or_else(|| no(given, "a number"))?;
        let all = (1_i128 << width.min(64)) - 1;
        if !(-(all / 2 + 1)..=all).contains(&number) {
            return wrong(given, format!("`{number}` does not fit into {width} bits"));
        }
        if self.btf.endian() == Endian::Big {
            return wrong(given, "bit-fields of big-endian objects cannot be written");
        }
        let length = (shift + width).div_ceil(8) as usize;
        let mask = ((all as u128) << shift).to_le_bytes()[..length].to_vec();
        let bytes = (((number & all) as u128) << shift).to_le_bytes()[..length].to_vec();
        self.parts.push(Part {
            path: place.path.to_owned(),
            offset: place.offset,
            bytes,
            mask: Some(mask),
            of: None,
            range: given.range.clone(),
        });
        Ok(())
    }
}

/// A member, also of anonymous structs in it, and where the struct that has it
/// begins, in bits.
fn find_member<'b>(
    btf: &'b Btf,
    of: &Composite<'b>,
    name: &str,
    left: u32,
) -> Option<(Member<'b>, u32)> {
    let left = left.checked_sub(1)?;
    of.members().find_map(|member| {
        if member.name == name && !name.is_empty() {
            return Some((member, 0));
        }
        let inner = btf.as_composite(btf.resolve(member.ty)).filter(|_| member.name.is_empty())?;
        let (found, start) = find_member(btf, &inner, name, left)?;
        Some((found, start + member.bit_offset))
    })
}

fn member_names<'b>(btf: &'b Btf, of: &Composite<'b>, names: &mut Vec<&'b str>, left: u32) {
    let Some(left) = left.checked_sub(1) else { return };
    for member in of.members() {
        match btf.as_composite(btf.resolve(member.ty)) {
            Some(inner) if member.name.is_empty() => member_names(btf, &inner, names, left),
            _ => names.push(member.name),
        }
    }
}

/// The number that is written: as one, as a truth value, or as a text, which
/// has room for numbers that TOML has none for.
pub fn number(given: &Given) -> Option<i128> {
    match &given.value {
        Written::Number(number) => Some(*number),
        Written::Flag(flag) => Some(i128::from(*flag)),
        Written::Text(text) => {
            let (sign, digits) = match text.strip_prefix('-') {
                Some(digits) => (-1, digits),
                None => (1, text.as_str()),
            };
            let digits = digits.replace('_', "");
            let number = match digits.strip_prefix("0x") {
                Some(hex) => i128::from_str_radix(hex, 16).ok()?,
                None => digits.parse().ok()?,
            };
            Some(sign * number)
        }
        _ => None,
    }
}

/// `hex:00 11 22`.
fn hexadecimal(text: &str, given: &Given) -> Result<Option<Vec<u8>>, Wrong> {
    let Some(digits) = text.strip_prefix("hex:") else { return Ok(None) };
    match bytes_of_hex(digits) {
        Some(bytes) => Ok(Some(bytes)),
        None => wrong(given, "hex: is followed by pairs of hexadecimal digits"),
    }
}

/// Bytes as pairs of hexadecimal digits, with blanks between them or not.
pub fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()?;
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => Some(high << 4 | low),
        _ => None,
    });
    pairs.collect()
}

/// `02:00:00:00:00:01`.
pub fn mac(text: &str) -> Option<[u8; 6]> {
    let mut bytes = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut bytes {
        *byte = u8::from_str_radix(parts.next()?, 16).ok()?;
    }
    parts.next().is_none().then_some(bytes)
}

/// A number in so many little-endian bytes. Unsigned spellings of negative
/// numbers are taken too, as C takes them; negative ones only where the type
/// has a sign.
fn fit(number: i128, size: u32, is_signed: bool, given: &Given) -> Result<Vec<u8>, Wrong> {
    let bits = size.saturating_mul(8).min(126);
    let low = if is_signed { -(1_i128 << (bits.max(1) - 1)) } else { 0 };
    let high = (1_i128 << bits) - 1;
    if !(low..=high).contains(&number) {
        return wrong(given, format!("`{number}` does not fit: it is {low} to {high}"));
    }
    Ok(number.to_le_bytes()[..size.min(16) as usize].to_vec())
}

fn no(given: &Given, expected: &str) -> Wrong {
    let found = match &given.value {
        Written::Number(_) => "a number",
        Written::Flag(_) => "true or false",
        Written::Text(_) => "a text",
        Written::List(_) => "a list",
        Written::Table(_) => "a table",
    };
    let message = format!("it is {found} where {expected} is expected");
    Wrong { message, range: given.range.clone() }
}

fn wrong<T>(given: &Given, message: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong { message: message.into(), range: given.range.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::{Builder, Kind};

    fn types() -> (Btf, TypeId) {
        let mut builder = Builder::new();
        let int = builder.int("int", 4, 1);
        let byte = builder.int("char", 1, 1);
        let octet = builder.int("unsigned char", 1, 0);
        let short = builder.int("unsigned short", 2, 0);
        let word = builder.int("unsigned int", 4, 0);
        let port = builder.reference(Kind::Typedef, "__be16", short);
        let comm = builder.array(byte, word, 8);
        let card = builder.array(octet, word, 6);
        let pair = builder.array(short, word, 2);
        let colour = builder.enumeration("colour", 4, false, &[("RED", 1), ("BLUE", 7)]);
        let inner = builder.composite(Kind::Union, "", 4, &[("ip4", word, 0, 0)]);
        let members = [
            ("pid", int, 0, 0),
            ("", inner, 32, 0),
            ("port", port, 64, 0),
            ("comm", comm, 80, 0),
            ("mac", card, 144, 0),
            ("pair", pair, 192, 0),
            ("colour", colour, 224, 0),
            ("low", word, 256, 3),
            ("high", word, 259, 5),
        ];
        let record = builder.composite(Kind::Struct, "event", 36, &members);
        (Btf::parse(builder.finish(Endian::Little)).expect("it is BTF"), record)
    }

    fn given(value: Written) -> Given {
        Given { value, range: 0..0 }
    }

    fn text(text: &str) -> Given {
        given(Written::Text(text.into()))
    }

    fn number(number: i128) -> Given {
        given(Written::Number(number))
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let (btf, record) = types();
        let list = given(Written::List(vec![number(1), number(2)]));
        let all = given(Written::Table(vec![
            ("pid".into(), number(-7)),
            ("ip4".into(), text("10.0.0.1")),
            ("port".into(), number(8080)),
            ("comm".into(), text("cat")),
            ("mac".into(), text("02:00:00:00:00:01")),
            ("pair".into(), list),
            ("colour".into(), text("BLUE")),
            ("high".into(), number(31)),
        ]));
        let parts = encode(&btf, record, "", &all).expect("it fits");
        let bytes = assemble(&parts, 36);
        let expected = "{pid=-7 ip4=10.0.0.1 port=8080 comm=cat mac=02:00:00:00:00:01 \
                        pair=[1, 2] colour=BLUE low=0 high=31}";
        assert_eq!(decode(&btf, record, "", &bytes).to_string(), expected);
        assert!(parts.iter().all(|part| part.is_in(&bytes)));
        let high = parts.last().expect("there are parts");
        assert_eq!(high.shown(Some(&btf), Some(&bytes)), Value::Unsigned(31));
        let zero = vec![0; 36];
        assert!(parts.iter().all(|part| !part.is_in(&zero)), "{parts:?}");
        assert!(parts.iter().all(|part| !part.is_in(&[])));
    }

    #[test]
    fn what_is_no_value_of_a_type_is_refused() {
        let (btf, record) = types();
        let refused = |member: &str, value: Given| {
            let table = given(Written::Table(vec![(member.to_owned(), value)]));
            encode(&btf, record, "", &table).expect_err(member).message
        };
        for (member, value, said) in [
            ("pid", text("x"), "it is a text where a number or an IPv4 address is expected"),
            ("port", number(65536), "`65536` does not fit: it is 0 to 65535"),
            ("comm", text("much longer"), "the text's 11 bytes do not fit into 8"),
            ("colour", text("GREEN"), "it is none of: RED, BLUE"),
            ("low", number(8), "`8` does not fit into 3 bits"),
            ("pear", number(8), "there is no member `pear`; there are: pid, ip4, port, comm, mac"),
            ("pair", text("x"), "it is a text where a list is expected"),
            ("pid", text("hex:0"), "hex: is followed by pairs of hexadecimal digits"),
        ] {
            let message = refused(member, value);
            assert!(message.starts_with(said), "{member}: {message}");
        }
    }
}
