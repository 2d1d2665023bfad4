//! Packets of a test: written as layers or digits, or taken from a file that
//! somebody captured.

use crate::project::reader::{Located, Reader};
use toml::Spanned;
use toml::de::DeValue;

/// A packet, or where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// Its bytes.
    Bytes(Vec<u8>),
    /// In a file of captured packets.
    Captured {
        /// The file, from the directory of the suite on.
        file: Located<String>,
        /// Which of its packets, counted from one; none for all of them.
        frame: Option<Located<u64>>,
    },
}

/// Reads one. If only `one` is wanted, a file alone is not enough.
pub(super) fn packet(
    reader: &mut Reader<'_>,
    value: &Spanned<DeValue<'_>>,
    one: bool,
) -> Option<Located<Packet>> {
    if !matches!(value.get_ref(), DeValue::Table(_)) {
        let bytes = reader.packet(value, "packet")?;
        return Some(Located { value: Packet::Bytes(bytes.value), range: bytes.range });
    }
    let table = reader.table(value, "packet")?;
    let (mut file, mut frame) = (None, None);
    for (key, value) in table.iter() {
        match key.get_ref().as_ref() {
            "pcap" => file = reader.string(value, "pcap"),
            "frame" => match reader.count(value, "frame") {
                Some(0) => {
                    reader.wrong(value.span(), "frames are counted from 1");
                }
                count => frame = count.map(|count| Located::written(count, value.span())),
            },
            _ => reader.unknown_key(key, "`packet`", &["pcap", "frame"]),
        }
    }
    let Some(file) = file else {
        reader.wrong(value.span(), "a packet is a text, or { pcap = \"FILE\", frame = 1 }");
        return None;
    };
    if one && frame.is_none() {
        reader.wrong(value.span(), "one packet is expected: say which with `frame`");
    }
    Some(Located::written(Packet::Captured { file, frame }, value.span()))
}
