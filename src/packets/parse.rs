//! Text → layers.

use super::build::{Piece, build};
use super::layer::{Field, LAYERS, Layer, Look, named};
use core::net::{Ipv4Addr, Ipv6Addr};
use core::ops::Range;

/// More bytes than this nobody needs: the kernel takes a page or a few.
const MOST: usize = 1 << 20;

/// What is wrong with the text of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// What is wrong, without a stop.
    pub message: String,
    /// Where in the text, in bytes.
    pub range: Range<usize>,
}

/// The bytes of a packet that is written as layers, or as hexadecimal digits.
///
/// # Errors
/// The text is neither.
pub fn parse(text: &str) -> Result<Vec<u8>, Mistake> {
    let is_hex = |c: char| c.is_ascii_hexdigit() || c.is_whitespace();
    if !text.trim().is_empty() && text.chars().all(is_hex) {
        return hex(text, 0..text.len());
    }
    let mut reader = Reader { text, at: 0 };
    let mut pieces = vec![reader.piece()?];
    loop {
        reader.skip_blanks();
        if reader.rest().is_empty() {
            return Ok(build(&pieces));
        }
        if !reader.take('/') {
            return reader.wrong_here("`/` is expected between layers");
        }
        pieces.push(reader.piece()?);
    }
}

fn hex(text: &str, range: Range<usize>) -> Result<Vec<u8>, Mistake> {
    let digits: Vec<u32> =
        text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16).unwrap_or(99)).collect();
    if !digits.len().is_multiple_of(2) || digits.contains(&99) {
        let message = "pairs of hexadecimal digits are expected".to_owned();
        return Err(Mistake { message, range });
    }
    Ok(digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect())
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn skip_blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn take(&mut self, wanted: char) -> bool {
        self.skip_blanks();
        let is_there = self.rest().starts_with(wanted);
        self.at += if is_there { wanted.len_utf8() } else { 0 };
        is_there
    }

    fn wrong<T>(&self, range: Range<usize>, message: impl Into<String>) -> Result<T, Mistake> {
        Err(Mistake { message: message.into(), range })
    }

    fn wrong_here<T>(&self, message: &str) -> Result<T, Mistake> {
        let length = self.rest().chars().next().map_or(0, char::len_utf8);
        self.wrong(self.at..self.at + length, message)
    }

    fn word(&mut self) -> (&'t str, Range<usize>) {
        self.skip_blanks();
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = self.rest().find(|c| !is_part(c)).unwrap_or(self.rest().len());
        let range = self.at..self.at + end;
        self.at = range.end;
        (&self.text[range.clone()], range)
    }

    fn piece(&mut self) -> Result<Piece, Mistake> {
        self.skip_blanks();
        if self.rest().starts_with('"') {
            return self.quoted().map(Piece::Bytes);
        }
        let (name, range) = self.word();
        if name.is_empty() {
            return self.wrong_here("a layer is expected");
        }
        if let "hex" | "zero" = name {
            let Some((inside, at)) = self.inside() else {
                return self.wrong(range, format!("`{name}` is written as {name}(…)"));
            };
            if name == "hex" {
                return hex(inside, at).map(Piece::Bytes);
            }
            return match inside.trim().parse::<usize>() {
                Ok(count) if count <= MOST => Ok(Piece::Bytes(vec![0; count])),
                _ => self.wrong(at, "a number of bytes is expected"),
            };
        }
        let Some(layer) = named(name) else {
            let known = LAYERS.iter().map(|layer| layer.name).chain(["hex", "zero"]);
            let message = format!("there is no layer `{name}`{}", meant(name, known));
            return self.wrong(range, message);
        };
        let mut fields: Vec<(&'static str, u128)> = Vec::new();
        if !self.take('(') {
            return Ok(Piece::Header(layer, fields));
        }
        while !self.take(')') {
            let (field, value) = self.field(layer)?;
            fields.retain(|(known, _)| *known != field.name);
            fields.push((field.name, value));
            if !self.take(',') && !self.rest().trim_start().starts_with(')') {
                return self.wrong_here("`,` or `)` is expected");
            }
        }
        Ok(Piece::Header(layer, fields))
    }

    /// What stands between brackets.
    fn inside(&mut self) -> Option<(&'t str, Range<usize>)> {
        if !self.take('(') {
            return None;
        }
        let end = self.rest().find(')')?;
        let range = self.at..self.at + end;
        self.at = range.end + 1;
        Some((&self.text[range.clone()], range))
    }

    fn field(&mut self, layer: &'static Layer) -> Result<(&'static Field, u128), Mistake> {
        let (name, range) = self.word();
        if name.is_empty() {
            return self.wrong_here("a field is expected");
        }
        let Some(field) = layer.field(name) else {
            let known = layer.fields.iter().map(|field| field.name);
            let (of, near) = (layer.name, meant(name, known));
            return self.wrong(range, format!("`{of}` has no field `{name}`{near}"));
        };
        if !self.take('=') {
            return self.wrong(range, format!("write {name}=VALUE"));
        }
        self.skip_blanks();
        let end = self.rest().find([',', ')']).unwrap_or(self.rest().len());
        let text = self.rest()[..end].trim_end();
        let range = self.at..self.at + text.len();
        self.at += end;
        match value(field, text) {
            Ok(value) => Ok((field, value)),
            Err(message) => self.wrong(range, message),
        }
    }

    /// A text in quotes, with the escapes of C.
    fn quoted(&mut self) -> Result<Vec<u8>, Mistake> {
        let start = self.at;
        let mut bytes = Vec::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.at = start + at + 1;
                    return Ok(bytes);
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => bytes.push(b'\n'),
                    Some((_, 'r')) => bytes.push(b'\r'),
                    Some((_, 't')) => bytes.push(b'\t'),
                    Some((_, '0')) => bytes.push(0),
                    Some((_, c @ ('\\' | '"'))) => bytes.push(c as u8),
                    Some((_, 'x')) => {
                        let digits: String = chars.by_ref().take(2).map(|(_, c)| c).collect();
                        match u8::from_str_radix(&digits, 16) {
                            Ok(byte) => bytes.push(byte),
                            Err(_) => {
                                let range = start + at..start + at + 2 + digits.len();
                                return self.wrong(range, "\\x is followed by two digits");
                            }
                        }
                    }
                    _ => {
                        let range = start + at..start + at + 1;
                        return self.wrong(range, "\\ is followed by n, r, t, 0, x, \\ or \"");
                    }
                },
                c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        self.wrong(start..self.text.len(), "the text has no end")
    }
}

/// A field's value.
fn value(field: &Field, text: &str) -> Result<u128, String> {
    let number = || {
        let digits = text.replace('_', "");
        let number = match digits.strip_prefix("0x") {
            Some(hex) => u128::from_str_radix(hex, 16),
            None => digits.parse(),
        };
        number.ok()
    };
    let value = match field.look {
        Look::Number | Look::Hex => number().ok_or_else(|| format!("`{text}` is no number"))?,
        Look::Mac => {
            let bytes = crate::values::mac(text)
                .ok_or_else(|| format!("`{text}` is no address like 02:00:00:00:00:01"))?;
            bytes.iter().fold(0, |value, byte| value << 8 | u128::from(*byte))
        }
        Look::Ip4 => {
            let address: Ipv4Addr =
                text.parse().map_err(|_| format!("`{text}` is no IPv4 address"))?;
            u32::from(address).into()
        }
        Look::Ip6 => {
            let address: Ipv6Addr =
                text.parse().map_err(|_| format!("`{text}` is no IPv6 address"))?;
            address.into()
        }
        Look::Flags(letters) => {
            let add = |flags: Option<u128>, c: char| {
                Some(flags? | 1 << letters.find(c.to_ascii_uppercase())?)
            };
            text.chars().fold(Some(0), add).or_else(number).ok_or_else(|| {
                format!("`{text}` are no flags; write letters of {letters}, or a number")
            })?
        }
    };
    match value.checked_shr(field.width as u32) {
        Some(1..) => Err(format!("`{text}` does not fit into {} bits", field.width)),
        _ => Ok(value),
    }
}

/// `; did you mean …?`, or what there is.
fn meant<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> String {
    let known: Vec<&str> = known.collect();
    let near = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(word.len()) / 3)
        .min();
    match near {
        Some((_, near)) => format!("; did you mean `{near}`?"),
        None => format!("; there are: {}", known.join(", ")),
    }
}
