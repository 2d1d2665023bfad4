//! Values in words, written behind what is there already: an event takes no
//! memory of its own.

use super::super::text;
use crate::values::{Notation, Value};
use std::fmt::{self, Write as _};
use std::sync::Arc;

/// Elements of a list that people see.
const SHOWN: usize = 16;
/// A row of spaces, and zeros.
const SPACES: &str = "                                                                ";

/// What is not a record: a column's value.
pub(super) fn leaves<'v>(value: &'v Value, visit: &mut impl FnMut(&'v Value)) {
    match value {
        Value::Record(members) if !members.is_empty() => {
            members.iter().for_each(|(_, value)| leaves(value, visit));
        }
        value => visit(value),
    }
}

/// What two values have in common that stand in the same columns: the names of
/// all members, and whether they have members themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outline(Vec<(Arc<str>, bool)>);

impl Outline {
    pub fn of(value: &Value) -> Self {
        fn add(value: &Value, all: &mut Vec<(Arc<str>, bool)>) {
            let Value::Record(members) = value else { return };
            for (name, value) in members {
                all.push((Arc::clone(name), has_members(value)));
                add(value, all);
            }
        }
        let mut all = Vec::new();
        add(value, &mut all);
        Self(all)
    }

    /// Whether a value has it.
    pub fn is_of(&self, value: &Value) -> bool {
        self.rest_of(value, 0) == Some(self.0.len())
    }

    /// Where the outline goes on behind a value.
    fn rest_of(&self, value: &Value, mut at: usize) -> Option<usize> {
        let Value::Record(members) = value else { return Some(at) };
        for (name, value) in members {
            let (known, is_record) = self.0.get(at)?;
            let is_same = Arc::ptr_eq(known, name) || known == name;
            if !is_same || *is_record != has_members(value) {
                return None;
            }
            at = self.rest_of(value, at + 1)?;
        }
        Some(at)
    }
}

fn has_members(value: &Value) -> bool {
    matches!(value, Value::Record(members) if !members.is_empty())
}

/// Whether a value stands on the right of its column.
pub(super) fn is_number(value: &Value) -> bool {
    matches!(
        value,
        Value::Unsigned(_) | Value::Signed(_) | Value::Wide(_) | Value::Float(_) | Value::Noted(..)
    )
}

/// A value in words, on one line and harmless. `unicode` is whether the reader
/// can show more than ASCII; machines get numbers without units.
pub(super) fn write(value: &Value, style: Style, out: &mut String) {
    match value {
        Value::Unsigned(number) => unsigned(*number, out),
        Value::Signed(number) => signed(*number, out),
        Value::Text(text) => one_line(text, out),
        Value::Named { name, .. } => one_line(name, out),
        Value::Flag(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Address(0) => out.push_str("null"),
        Value::Noted(Notation::Hexadecimal, number) => hexadecimal(*number, out),
        Value::Noted(notation, number) => match (u64::try_from(*number), notation, style) {
            (Ok(number), Notation::Nanoseconds, Style::People { unicode }) => {
                out.push_str(&nanos(number, unicode));
            }
            (Ok(number), Notation::Size, Style::People { .. }) => {
                out.push_str(&text::bytes(number));
            }
            (Ok(number), ..) => unsigned(number, out),
            (Err(_), ..) => signed(*number as i64, out),
        },
        Value::Bytes(bytes) => hex(bytes, " ", out),
        Value::Mac(bytes) => hex(bytes, ":", out),
        Value::Code(code) => match &code.name {
            Some(name) => one_line(name, out),
            None if code.address == 0 => out.push_str("null"),
            None => hexadecimal(code.address.into(), out),
        },
        Value::Stack(stack) => match stack.id.filter(|_| stack.frames.is_empty()) {
            Some(id) => stack_id(id, out),
            None => list(stack.frames.len(), out, |at, out| {
                write(&Value::Code(stack.frames[at].clone()), style, out);
            }),
        },
        Value::List(values) => {
            // What is behind the last that says something says nothing.
            let end = values.iter().rposition(|value| !value.is_nothing()).map_or(0, |at| at + 1);
            list(end, out, |at, out| write(&values[at], style, out));
        }
        Value::Record(members) => {
            out.push('{');
            for (at, (name, value)) in members.iter().enumerate() {
                if at > 0 {
                    out.push(' ');
                }
                out.push_str(name);
                out.push('=');
                write(value, style, out);
            }
            out.push('}');
        }
        Value::Address(address) => hexadecimal((*address).into(), out),
        Value::Wide(number) => print(out, format_args!("{number}")),
        Value::Float(number) => print(out, format_args!("{number}")),
        Value::Ip(address) => print(out, format_args!("{address}")),
    }
}

/// For whom something is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// For people, with units.
    People {
        /// They can be shown more than ASCII.
        unicode: bool,
    },
    /// For programs.
    Programs,
}

/// The number of a stack, or why there is none.
pub(super) fn stack_id(id: i64, out: &mut String) {
    let error = i32::try_from(id.saturating_neg()).ok().and_then(crate::bpf::errno::name);
    match error {
        Some(name) => {
            out.push('-');
            out.push_str(name);
        }
        None => signed(id, out),
    }
}

fn list(count: usize, out: &mut String, mut write: impl FnMut(usize, &mut String)) {
    out.push('[');
    for at in 0..count.min(SHOWN) {
        if at > 0 {
            out.push_str(", ");
        }
        write(at, out);
    }
    if count > SHOWN {
        out.push_str(", and ");
        unsigned((count - SHOWN) as u64, out);
        out.push_str(" more");
    }
    out.push(']');
}

/// A time: `850 ns`, `1.2 ms`.
fn nanos(nanos: u64, unicode: bool) -> String {
    match nanos {
        0..1_000 => format!("{nanos} ns"),
        1_000..10_000 => {
            let unit = if unicode { "µs" } else { "us" };
            format!("{}.{} {unit}", nanos / 1_000, nanos % 1_000 / 100)
        }
        _ => text::micros(nanos / 1_000, unicode),
    }
}

pub(super) fn hex(bytes: &[u8], gap: &str, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (at, byte) in bytes.iter().enumerate() {
        if at > 0 {
            out.push_str(gap);
        }
        out.push(DIGITS[usize::from(byte >> 4)].into());
        out.push(DIGITS[usize::from(byte & 15)].into());
    }
}

/// Writes behind what is there.
pub(super) fn print(out: &mut String, what: fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(what);
}

fn hexadecimal(number: i128, out: &mut String) {
    print(out, format_args!("{number:#x}"));
}

pub(super) fn signed(number: i64, out: &mut String) {
    if number < 0 {
        out.push('-');
    }
    unsigned(number.unsigned_abs(), out);
}

/// A number, two digits at a time.
pub(super) fn unsigned(mut number: u64, out: &mut String) {
    /// `00` to `99`.
    const PAIRS: [[u8; 2]; 100] = {
        let mut pairs = [[0; 2]; 100];
        let mut at = 0;
        while at < 100 {
            pairs[at] = [b'0' + at as u8 / 10, b'0' + at as u8 % 10];
            at += 1;
        }
        pairs
    };
    let mut digits = [0; 20];
    let mut start = digits.len();
    while number >= 10 {
        start -= 2;
        digits[start..start + 2].copy_from_slice(&PAIRS[(number % 100) as usize]);
        number /= 100;
    }
    if number > 0 || start == digits.len() {
        start -= 1;
        digits[start] = b'0' + number as u8;
    } else if digits[start] == b'0' {
        start += 1;
    }
    // Digits are ASCII.
    out.push_str(std::str::from_utf8(&digits[start..]).unwrap_or_default());
}

pub(super) fn spaces(mut count: usize, out: &mut String) {
    while count > SPACES.len() {
        out.push_str(SPACES);
        count -= SPACES.len();
    }
    out.push_str(&SPACES[..count]);
}

/// Foreign text, made harmless. Most of it is.
pub(super) fn one_line(own: &str, out: &mut String) {
    let is_plain = own.bytes().fold(true, |plain, byte| plain & (b' '..0x7f).contains(&byte));
    if is_plain && !own.ends_with(' ') {
        out.push_str(own);
    } else {
        out.push_str(&text::one_line(own));
    }
}

/// How many columns a text takes.
pub(super) fn width(own: &str) -> usize {
    if own.is_ascii() { own.len() } else { text::width(own) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_all_their_digits() {
        for number in [0, 1, 9, 10, 11, 99, 100, 101, 12345, 1_000_000, u64::MAX] {
            let mut out = String::new();
            unsigned(number, &mut out);
            assert_eq!(out, number.to_string());
        }
        let mut out = String::new();
        signed(i64::MIN, &mut out);
        assert_eq!(out, i64::MIN.to_string());
    }

    #[test]
    fn times_have_a_fitting_unit() {
        let shown: Vec<String> =
            [0, 999, 1_000, 9_999, 10_000, 1_500_000].map(|n| nanos(n, false)).into();
        assert_eq!(shown, ["0 ns", "999 ns", "1.0 us", "9.9 us", "10 us", "1.5 ms"]);
    }

    #[test]
    fn outlines_tell_records_apart() {
        let record = |members: &[(&str, Value)]| {
            Value::Record(members.iter().map(|(name, v)| ((*name).into(), v.clone())).collect())
        };
        let inner = record(&[("b", Value::Unsigned(1))]);
        let nested = record(&[("a", inner)]);
        let flat = record(&[("a", Value::Unsigned(1)), ("b", Value::Unsigned(1))]);
        assert!(Outline::of(&nested).is_of(&nested) && Outline::of(&flat).is_of(&flat));
        assert!(!Outline::of(&nested).is_of(&flat) && !Outline::of(&flat).is_of(&nested));
        assert!(Outline::of(&Value::Unsigned(1)).is_of(&Value::Flag(true)));
    }
}
