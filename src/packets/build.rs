//! Layers → bytes, from the last to the first: a header needs to know what
//! comes behind it.

use super::layer::{Default, Layer, get, set, sum};

/// A layer with the fields that are named, or bytes.
#[derive(Clone, Debug)]
pub enum Piece {
    /// A header.
    Header(&'static Layer, Vec<(&'static str, u128)>),
    /// Bytes as they are.
    Bytes(Vec<u8>),
}

/// The bytes of a packet.
pub fn build(pieces: &[Piece]) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut behind: Option<(&'static Layer, bool)> = None;
    for piece in pieces.iter().rev() {
        let (layer, given) = match piece {
            Piece::Bytes(own) => {
                bytes.splice(0..0, own.iter().copied());
                behind = None;
                continue;
            }
            Piece::Header(layer, given) => (*layer, given),
        };
        let mut header = vec![0; layer.size];
        let named = |name: &str| given.iter().find(|(known, _)| *known == name);
        let length = layer.size + bytes.len();
        for field in layer.fields {
            let value = match (named(field.name), field.default) {
                (Some((_, value)), _) => *value,
                (None, Default::Value(value)) => value,
                (None, Default::Next) => {
                    behind.and_then(|(next, _)| layer.number_of(next)).unwrap_or_else(|| {
                        // Nothing behind it: what is reserved for that.
                        if layer.is_link() { 0xffff } else { 59 }
                    })
                }
                (None, Default::Length(less)) => (length - less) as u128,
                (None, Default::Checksum) => 0,
            };
            set(&mut header, field.at, field.width, value);
        }
        // A checksum over the addresses has to wait for them.
        if let Some((next, true)) = behind
            && matches!(layer.name, "ip" | "ip6")
        {
            let start = pseudo(layer, next, &header, bytes.len());
            finish(next, &mut bytes, start);
        }
        let mut is_open = layer
            .fields
            .iter()
            .any(|field| field.default == Default::Checksum && named(field.name).is_none());
        bytes.splice(0..0, header);
        if is_open && matches!(layer.name, "ip" | "icmp") {
            let own = if layer.name == "ip" { layer.size } else { bytes.len() };
            finish(layer, &mut bytes[..own], 0);
            is_open = false;
        }
        behind = Some((layer, is_open));
    }
    bytes
}

/// What TCP, UDP and ICMPv6 sum up of the layer before them (RFC 9293, 768,
/// 8200).
pub fn pseudo(ip: &Layer, next: &Layer, header: &[u8], length: usize) -> u32 {
    let addresses: u32 = ["src", "dst"]
        .iter()
        .filter_map(|name| ip.field(name))
        .map(|field| {
            let words = (0..field.width / 16).map(|word| get(header, field.at + word * 16, 16));
            words.map(|word| word as u32).sum::<u32>()
        })
        .sum();
    let protocol = next.protocol.unwrap_or(0) as u32;
    addresses + protocol + length as u32
}

/// Fills in a checksum over all the bytes.
fn finish(layer: &Layer, bytes: &mut [u8], start: u32) {
    if let Some(field) = layer.field("csum") {
        set(bytes, field.at, field.width, checksum(layer, bytes, start));
    }
}

/// The checksum that the bytes should have.
pub fn checksum(layer: &Layer, bytes: &[u8], start: u32) -> u128 {
    let mut bytes = bytes.to_vec();
    if let Some(field) = layer.field("csum") {
        set(&mut bytes, field.at, field.width, 0);
    }
    match (!sum(&bytes, start), layer.name) {
        // Zero says that there is none.
        (0, "udp") => 0xffff,
        (checksum, _) => checksum.into(),
    }
}
