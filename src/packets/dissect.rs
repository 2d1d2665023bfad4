//! Bytes → layers, and what is different about two packets.

use super::build::{checksum, pseudo};
use super::layer::{Default, Field, Layer, Look, get, named};
use core::fmt::Write as _;
use core::net::{Ipv4Addr, Ipv6Addr};

/// What a packet begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// An Ethernet header.
    Link,
    /// An IP header.
    Network,
}

/// Payload beyond this is cut where it is shown, in bytes.
const SHOWN: usize = 64;

/// A layer that was found.
struct Found {
    layer: &'static Layer,
    values: Vec<u128>,
    /// Those of the fields that nobody would have had to name.
    usual: Vec<Option<u128>>,
}

/// The layers of a packet, and what is behind the last.
fn dissect(bytes: &[u8], start: Start) -> (Vec<Found>, &[u8]) {
    let mut found: Vec<Found> = Vec::new();
    let mut rest = bytes;
    let mut next = match start {
        Start::Link => named("eth"),
        Start::Network if get(bytes, 0, 4) == 6 => named("ip6"),
        Start::Network => named("ip"),
    };
    let mut ip: Option<(&'static Layer, &[u8])> = None;
    while let Some(layer) = next.filter(|layer| layer.size <= rest.len()) {
        let values: Vec<u128> =
            layer.fields.iter().map(|field| get(rest, field.at, field.width)).collect();
        let usual = layer.fields.iter().map(|field| match field.default {
            Default::Value(value) => Some(value),
            Default::Length(less) => Some((rest.len() - less.min(rest.len())) as u128),
            // Told by the layer behind, or not at all.
            Default::Next => None,
            Default::Checksum => match (layer.name, ip) {
                ("ip", _) => Some(checksum(layer, &rest[..layer.size], 0)),
                ("icmp", _) => Some(checksum(layer, rest, 0)),
                (_, Some((ip, header))) => {
                    Some(checksum(layer, rest, pseudo(ip, layer, header, rest.len())))
                }
                _ => Some(0),
            },
        });
        let usual = usual.collect();
        if matches!(layer.name, "ip" | "ip6") {
            ip = Some((layer, &rest[..layer.size]));
        }
        let words = |name: &str| {
            layer.field(name).map(|field| 4 * get(rest, field.at, field.width) as usize)
        };
        // Options belong to no layer of ours: what has some is the last.
        let size = words("ihl").or_else(|| words("off")).unwrap_or(layer.size);
        next = layer
            .next_field()
            .filter(|_| size == layer.size)
            .and_then(|field| layer.behind(get(rest, field.at, field.width)));
        rest = &rest[layer.size..];
        found.push(Found { layer, values, usual });
    }
    // What leads to the next layer goes without saying.
    for at in 0..found.len() {
        let behind = found.get(at + 1).map(|next| next.layer);
        let layer = found[at].layer;
        let known = match behind {
            Some(next) => layer.number_of(next),
            None if layer.is_link() => Some(0xffff),
            None => Some(59),
        };
        let place = layer.fields.iter().position(|field| field.default == Default::Next);
        if let Some(place) = place {
            found[at].usual[place] = known;
        }
    }
    (found, rest)
}

/// A packet as layers, as [`super::parse()`] takes it.
pub fn show(bytes: &[u8], start: Start) -> String {
    let (found, rest) = dissect(bytes, start);
    let mut parts = Vec::new();
    for Found { layer, values, usual } in &found {
        let told = layer.fields.iter().zip(values).zip(usual);
        let told = told.filter(|((_, value), usual)| **usual != Some(**value));
        let told: Vec<String> = told
            .map(|((field, value), _)| format!("{}={}", field.name, spelled(field, *value)))
            .collect();
        parts.push(match told.is_empty() {
            true => layer.name.to_owned(),
            false => format!("{}({})", layer.name, told.join(",")),
        });
    }
    if !rest.is_empty() || parts.is_empty() {
        parts.push(payload(rest));
    }
    parts.join("/")
}

fn spelled(field: &Field, value: u128) -> String {
    match field.look {
        Look::Number => value.to_string(),
        Look::Hex => format!("{value:#06x}"),
        Look::Mac => {
            let bytes = value.to_be_bytes();
            let parts: Vec<String> = bytes[10..].iter().map(|byte| format!("{byte:02x}")).collect();
            parts.join(":")
        }
        Look::Ip4 => Ipv4Addr::from(value as u32).to_string(),
        Look::Ip6 => Ipv6Addr::from(value).to_string(),
        Look::Flags(letters) => {
            let set = letters.chars().enumerate().filter(|(bit, _)| value >> bit & 1 == 1);
            match set.map(|(_, c)| c).collect::<String>() {
                none if none.is_empty() => "0".to_owned(),
                letters => letters,
            }
        }
    }
}

/// Bytes as a text, if they are one, or as digits.
fn payload(bytes: &[u8]) -> String {
    let is_text = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t');
    if !bytes.is_empty() && bytes.iter().all(is_text) {
        let mut text = String::from("\"");
        for &byte in bytes {
            match byte {
                b'\n' => text.push_str("\\n"),
                b'\r' => text.push_str("\\r"),
                b'\t' => text.push_str("\\t"),
                b'"' | b'\\' => {
                    text.push('\\');
                    text.push(byte.into());
                }
                _ => text.push(byte.into()),
            }
        }
        return text + "\"";
    }
    let mut text = String::from("hex(");
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text + ")"
}

/// The same, cut to a length that can be looked at.
fn short(bytes: &[u8]) -> String {
    match bytes.get(..SHOWN).filter(|_| bytes.len() > SHOWN) {
        Some(beginning) => format!("{} and {} bytes more", payload(beginning), bytes.len() - SHOWN),
        None if bytes.is_empty() => "nothing".to_owned(),
        None => payload(bytes),
    }
}

/// What is different about two packets, a line each; nothing if they are the
/// same.
pub fn differences(expected: &[u8], got: &[u8], start: Start) -> Vec<String> {
    let mut lines = Vec::new();
    if expected == got {
        return lines;
    }
    let ((a, a_rest), (b, b_rest)) = (dissect(expected, start), dissect(got, start));
    let names = |found: &[Found]| found.iter().map(|one| one.layer.name).collect::<Vec<_>>();
    if names(&a) == names(&b) {
        for (a, b) in a.iter().zip(&b) {
            for ((field, expected), got) in a.layer.fields.iter().zip(&a.values).zip(&b.values) {
                if expected != got {
                    let (layer, name) = (a.layer.name, field.name);
                    let (expected, got) = (spelled(field, *expected), spelled(field, *got));
                    lines.push(format!("{layer}.{name}: expected {expected}, got {got}"));
                }
            }
        }
        if a_rest != b_rest {
            let (expected, got) = (short(a_rest), short(b_rest));
            lines.push(format!("payload: expected {expected}, got {got}"));
        }
    } else {
        lines.push(format!("expected {}, got {}", show(expected, start), show(got, start)));
    }
    if expected.len() != got.len() {
        lines.push(format!("length: expected {}, got {}", expected.len(), got.len()));
    }
    if lines.is_empty() {
        // In bits that no field has.
        let at = expected.iter().zip(got).position(|(a, b)| a != b).unwrap_or(0);
        let byte = |bytes: &[u8]| bytes.get(at).copied().unwrap_or(0);
        let (expected, got) = (byte(expected), byte(got));
        lines.push(format!("byte {at}: expected {expected:#04x}, got {got:#04x}"));
    }
    lines
}
