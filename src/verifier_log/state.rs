//! What the verifier knew of registers and stack slots, read from the text of
//! a state when it is asked for.

use super::dialect::{Dialect, Field};
use super::line::number;

/// One register or stack slot as a state shows it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Value<'t> {
    /// The kind in the kernel's word: `scalar`, `ctx`, `map_value_or_null`,
    /// `pkt`, `ptr_task_struct`, `fp`. Old kernels' `inv` is `scalar` here.
    pub kind: &'t str,
    /// Its number, where it is a known one; for `fp`, the distance from the
    /// top of the stack.
    pub constant: Option<i64>,
    /// What it shares with copies of itself; 0 for none.
    pub id: u32,
    /// The reference it holds; 0 for none.
    pub reference: u32,
    /// A pointer's fixed distance from what it points to.
    pub offset: i64,
    /// How many bytes of the packet were checked.
    pub packet_range: Option<u64>,
    /// The size of the map's value, for pointers to it.
    pub value_size: Option<u64>,
    /// The size of the map's key.
    pub key_size: Option<u64>,
    /// The size of the memory it points to.
    pub memory_size: Option<u64>,
    /// The map's name.
    pub map: Option<&'t str>,
    /// What its variable part may be.
    pub bounds: Bounds,
}

/// Bounds; `None` where nothing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Bounds {
    /// The least, signed.
    pub smin: Option<i64>,
    /// The most, signed.
    pub smax: Option<i64>,
    /// The least, unsigned.
    pub umin: Option<u64>,
    /// The most, unsigned.
    pub umax: Option<u64>,
    /// Known bits: their value, and a mask of those that are not known.
    pub bits: Option<(u64, u64)>,
}

impl Bounds {
    /// The unsigned range, as wide as it must be.
    pub fn unsigned(&self) -> (u64, u64) {
        let known = |(value, mask): (u64, u64)| (value, value | mask);
        let (low, high) = self.bits.map_or((0, u64::MAX), known);
        let (low, high) =
            (low.max(self.umin.unwrap_or(0)), high.min(self.umax.unwrap_or(u64::MAX)));
        // A value that is nowhere negative has the same bounds both ways.
        match (self.smin, self.smax) {
            (Some(smin), smax) if smin >= 0 => {
                let top = smax.map_or(u64::MAX, |smax| u64::try_from(smax).unwrap_or(u64::MAX));
                (low.max(smin.unsigned_abs()), high.min(top.min(i64::MAX.unsigned_abs())))
            }
            _ => (low, high),
        }
    }

    /// Whether it may be less than zero.
    pub fn may_be_negative(&self) -> bool {
        match self.smin {
            Some(smin) => smin < 0,
            None => self.unsigned().1 > i64::MAX.unsigned_abs(),
        }
    }

    /// Whether nothing at all is known.
    pub fn is_unknown(&self) -> bool {
        self.unsigned() == (0, u64::MAX) && self.smin.is_none() && self.smax.is_none()
    }

    /// The range in words: `between 0 and 65535`, `any value`.
    pub fn words(&self) -> String {
        if self.is_unknown() {
            return "any value".to_owned();
        }
        if self.may_be_negative() {
            return match (self.smin, self.smax) {
                (Some(low), Some(high)) => format!("between {low} and {high}"),
                (None, Some(high)) => format!("at most {high}, perhaps negative"),
                (Some(low), None) => format!("at least {low}, without an upper bound"),
                (None, None) => "any value, perhaps negative".to_owned(),
            };
        }
        let (low, high) = self.unsigned();
        if high >= i64::MAX.unsigned_abs() {
            format!("at least {low}, without an upper bound")
        } else {
            format!("between {low} and {high}")
        }
    }
}

impl<'t> Value<'t> {
    /// Reads what stands behind `R1=`.
    pub(super) fn parse(text: &'t str, dialect: Dialect) -> Self {
        let mut value = Self::default();
        let body = text.strip_prefix('P').filter(|rest| !rest.is_empty()).unwrap_or(text);
        let (head, attributes) = match body.split_once('(') {
            Some((head, rest)) => (head, rest.strip_suffix(')').unwrap_or(rest)),
            None => (body, ""),
        };
        value.take_head(head);
        let rules = dialect.rules();
        let mut pending: Vec<Field> = Vec::new();
        for attribute in Attributes(attributes) {
            // `smin=smin32=0`: several names share the number at the end.
            pending.clear();
            let mut rest = attribute;
            while let Some((name, behind)) = rest.split_once('=') {
                pending.extend(rules.field(name));
                rest = behind;
            }
            for field in &pending {
                value.take(*field, rest, rules.immediate_is_hex);
            }
        }
        value
    }

    /// `scalar`, `invP5`, `fp-300`, `0xff`, `fp[1]-8`.
    fn take_head(&mut self, head: &'t str) {
        let start = head.find(|c: char| c.is_ascii_digit() || c == '-').unwrap_or(head.len());
        let (word, digits) = head.split_at(start);
        let word = word.strip_suffix('P').filter(|word| *word == "inv").unwrap_or(word);
        let is_kind = |word: &str| matches!(word, "" | "inv" | "scalar" | "fp");
        if is_kind(word) || (word == "fp[" && digits.contains(']')) {
            let digits = digits.split_once(']').map_or(digits, |(_, rest)| rest);
            self.constant = parse_signed(digits);
            self.kind = if word.starts_with("fp") { "fp" } else { "scalar" };
        } else {
            // `ptr_sk_buff64`, `xdp_sock`: digits are part of a name.
            self.kind = head;
        }
    }

    fn take(&mut self, field: Field, text: &'t str, immediate_is_hex: bool) {
        let unsigned = || parse_unsigned(text);
        match field {
            Field::Id => self.id = number(text).map_or(0, |(id, _)| id),
            Field::Reference => self.reference = number(text).map_or(0, |(id, _)| id),
            Field::Offset => self.offset = parse_signed(text).unwrap_or(0),
            Field::PacketRange => self.packet_range = unsigned(),
            Field::KeySize => self.key_size = unsigned(),
            Field::ValueSize => self.value_size = unsigned(),
            Field::MemorySize => self.memory_size = unsigned(),
            Field::Map => self.map = Some(text),
            Field::Immediate => {
                let imm = if immediate_is_hex {
                    u64::from_str_radix(text, 16).ok().map(u64::cast_signed)
                } else {
                    parse_signed(text)
                };
                self.offset = self.offset.wrapping_add(imm.unwrap_or(0));
            }
            Field::SignedMin => self.bounds.smin = parse_signed(text),
            Field::SignedMax => self.bounds.smax = parse_signed(text),
            Field::UnsignedMin => self.bounds.umin = unsigned(),
            Field::UnsignedMax => self.bounds.umax = unsigned(),
            Field::VarOff => {
                let pair = text.trim_matches(['(', ')']).split_once("; ");
                self.bounds.bits = pair.and_then(|(value, mask)| {
                    Some((parse_unsigned(value)?, parse_unsigned(mask)?))
                });
            }
            Field::Signed32Min
            | Field::Signed32Max
            | Field::Unsigned32Min
            | Field::Unsigned32Max => {}
        }
    }

    /// Whether it is a plain number.
    pub fn is_scalar(&self) -> bool {
        self.kind == "scalar"
    }

    /// Whether it may be null.
    pub fn may_be_null(&self) -> bool {
        self.kind.contains("or_null")
    }

    /// What it may be, the number included.
    pub fn bounds(&self) -> Bounds {
        match self.constant {
            Some(value) if self.is_scalar() => Bounds {
                smin: Some(value),
                smax: Some(value),
                umin: Some(value.cast_unsigned()),
                umax: Some(value.cast_unsigned()),
                bits: None,
            },
            _ => self.bounds,
        }
    }
}

/// Decimal, or hexadecimal with `0x`, and a sign.
fn parse_signed(text: &str) -> Option<i64> {
    match text.strip_prefix('-') {
        Some(rest) => parse_unsigned(rest).map(|value| value.cast_signed().wrapping_neg()),
        None => parse_unsigned(text).map(u64::cast_signed),
    }
}

fn parse_unsigned(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Splits at commas that are not inside parentheses.
struct Attributes<'t>(&'t str);

impl<'t> Iterator for Attributes<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        if self.0.is_empty() {
            return None;
        }
        let mut depth = 0u32;
        for (at, byte) in self.0.bytes().enumerate() {
            match byte {
                b'(' => depth += 1,
                b')' => depth = depth.saturating_sub(1),
                b',' if depth == 0 => {
                    let attribute = &self.0[..at];
                    self.0 = &self.0[at + 1..];
                    return Some(attribute);
                }
                _ => {}
            }
        }
        Some(std::mem::take(&mut self.0))
    }
}

/// Deeper than any kernel's `MAX_CALL_FRAMES` (8, include/linux/bpf_verifier.h).
const MAX_FRAMES: u32 = 64;

/// The depth of calls that a state names: `frame2: R1=…` is 2, no name is
/// the program itself.
pub(super) fn frame_of(state: &str) -> u32 {
    let state = state.trim_start();
    let depth = state.strip_prefix("frame").and_then(number).map_or(0, |(depth, _)| depth);
    depth.min(MAX_FRAMES)
}

/// The text behind `R1=` or `fp-8=` in a state, marks of liveness skipped.
pub(super) fn find<'t>(state: &'t str, name: &str) -> Option<&'t str> {
    let mut from = 0;
    while let Some(found) = state[from..].find(name) {
        let start = from + found;
        let behind = &state[start + name.len()..];
        let begins = start == 0 || state.as_bytes()[start - 1] == b' ';
        let mark = behind.find('=').filter(|&at| {
            at == 0
                || (behind.starts_with('_')
                    && behind[1..at].bytes().all(|b| b.is_ascii_alphabetic()))
        });
        if let (true, Some(at)) = (begins, mark) {
            return Some(token(&behind[at + 1..]));
        }
        from = start + name.len();
    }
    None
}

/// The registers and stack slots of a state with their values, marks of
/// liveness left out.
pub(super) fn pairs(state: &str) -> impl Iterator<Item = (&str, &str)> {
    let state = state.trim_start();
    let mut rest = match state.strip_prefix("frame") {
        Some(named) => named.split_once(':').map_or("", |(_, rest)| rest),
        None => state,
    };
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start();
            let word = token(rest);
            if word.is_empty() {
                return None;
            }
            rest = &rest[word.len()..];
            if let Some((name, value)) = word.split_once('=') {
                let name = name.split('_').next().unwrap_or(name);
                return Some((name, value));
            }
        }
    })
}

/// Up to the blank that ends a value; `var_off=(0x0; 0xff)` has one inside.
fn token(text: &str) -> &str {
    let mut depth = 0u32;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b' ' if depth == 0 => return &text[..at],
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, dialect: Dialect) -> Value<'_> {
        Value::parse(text, dialect)
    }

    #[test]
    fn one_value_in_three_dialects() {
        let old = value("inv(id=0,umax_value=255,var_off=(0x0; 0xff))", Dialect::V5_10);
        let mid = value("scalar(umax=255,var_off=(0x0; 0xff))", Dialect::V6_1);
        let new = value(
            "scalar(smin=smin32=0,smax=umax=smax32=umax32=255,var_off=(0x0; 0xff))",
            Dialect::V6_12,
        );
        for value in [old, mid, new] {
            assert!(value.is_scalar());
            assert_eq!(value.bounds.unsigned(), (0, 255));
            assert!(!value.bounds.may_be_negative());
            assert_eq!(value.bounds.words(), "between 0 and 255");
        }
    }

    #[test]
    fn constants_and_stack_addresses() {
        assert_eq!(value("inv1", Dialect::V5_10).constant, Some(1));
        assert_eq!(value("invP-5", Dialect::V5_10).constant, Some(-5));
        assert_eq!(value("P0", Dialect::V6_1).constant, Some(0));
        assert_eq!(value("0xffffffff", Dialect::V6_12).constant, Some(0xffff_ffff));
        let fp = value("fp-300", Dialect::V6_12);
        assert_eq!((fp.kind, fp.constant), ("fp", Some(-300)));
        let fp = value("fp[1]-8", Dialect::V6_12);
        assert_eq!((fp.kind, fp.constant), ("fp", Some(-8)));
    }

    #[test]
    fn pointers() {
        let map = value("map_value_or_null(id=1,off=0,ks=4,vs=8,imm=0)", Dialect::V5_10);
        assert!(map.may_be_null());
        assert_eq!((map.id, map.key_size, map.value_size), (1, Some(4), Some(8)));
        let map = value("map_value(map=counts,ks=4,vs=8,imm=16)", Dialect::V6_12);
        assert_eq!((map.map, map.offset), (Some("counts"), 16));
        assert_eq!(value("map_value(off=0,ks=4,vs=8,imm=10)", Dialect::V6_1).offset, 16);
        let packet =
            value("pkt(id=2,off=14,r=34,umax_value=65535,var_off=(0x0; 0xffff))", Dialect::V5_10);
        assert_eq!((packet.kind, packet.offset, packet.packet_range), ("pkt", 14, Some(34)));
        assert_eq!(value("ptr_task_struct(id=1)", Dialect::V6_12).kind, "ptr_task_struct");
    }

    #[test]
    fn values_are_found_in_states() {
        let state = "frame1: R1_w=scalar(var_off=(0x0; 0xff)) R10=fp0 fp-8_r=mmmm????";
        assert_eq!(find(state, "R1"), Some("scalar(var_off=(0x0; 0xff))"));
        assert_eq!(find(state, "R10"), Some("fp0"));
        assert_eq!(find(state, "fp-8"), Some("mmmm????"));
        assert_eq!(find(state, "R2"), None);
        assert_eq!(frame_of(state), 1);
    }
}
