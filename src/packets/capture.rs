//! Files of captured packets, pcap and pcapng, as packets. What a file's link
//! layer is, is a matter of where it was captured; tests and interfaces want
//! Ethernet frames, so packets of other links get a header in front.
//!
//! The formats: draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng, the links
//! <https://www.tcpdump.org/linktypes.html>.

use super::build::{Piece, build};
use super::layer::named;
use crate::diagnostics::{Diagnostic, Origin, codes};
use core::fmt;
use pcap_parser::nom;
use pcap_parser::traits::PcapNGPacketBlock as _;
use pcap_parser::{
    Block, InterfaceDescriptionBlock, LegacyPcapBlock, Linktype, OptionCode, PcapError, PcapHeader,
};
use std::path::Path;

/// A packet of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// Its bytes, as far as they were kept.
    pub bytes: Vec<u8>,
    /// How long it was on the wire, in bytes.
    pub original: u32,
    /// How it begins.
    pub link: Link,
    /// When it was seen, in nanoseconds since 1970; none if the file does not
    /// say.
    pub time_ns: Option<u64>,
}

/// How captured packets begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// With an Ethernet header (1).
    Ethernet,
    /// With an IPv4 or IPv6 header (12, 14, 101, 228, 229).
    Ip,
    /// With what Linux puts in front if it captures on all interfaces (113).
    Cooked,
    /// The newer form of that (276).
    Cooked2,
    /// With the address family (0, 108).
    Loopback,
    /// With something else, by its number.
    Other(i32),
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// What is wrong, without a stop.
    pub message: String,
    /// Where in the file, in bytes.
    pub at: usize,
    /// How many packets stand before it.
    pub packets: usize,
}

impl Damage {
    /// The finding: what is wrong with which file, and where in it.
    pub fn diagnostic(&self, path: &Path) -> Diagnostic {
        let message = format!("{} cannot be read: {}", path.display(), self.message);
        let place = match (self.at, self.packets) {
            (0, _) => "this is how it begins".to_owned(),
            (at, packets) => format!("at byte {at} ({at:#x}), behind packet {packets}"),
        };
        Diagnostic::new(codes::CAPTURE_UNREADABLE, Origin::Command, message).note(place)
    }
}

impl Captured {
    /// The packet as an Ethernet frame. What has no header of that kind gets
    /// one with the addresses that packets of tests have.
    ///
    /// # Errors
    /// It is no packet that Ethernet could carry; why.
    pub fn ethernet(&self) -> Result<Vec<u8>, String> {
        let bytes = &self.bytes;
        let short = || format!("the packet has only {} bytes", bytes.len());
        let word =
            |at: usize| bytes.get(at..at + 2).map(|word| u16::from_be_bytes([word[0], word[1]]));
        // The EtherType, who sent it, and where the packet itself begins.
        let (kind, source, start) = match self.link {
            Link::Ethernet if bytes.len() < 14 => return Err(short()),
            Link::Ethernet => return Ok(bytes.clone()),
            Link::Ip => (of_version(bytes).ok_or_else(short)?, None, 0),
            Link::Loopback => {
                // A number that each system chose for itself, in the byte
                // order of the machine: what follows says the same.
                (of_version(bytes.get(4..).unwrap_or_default()).ok_or_else(short)?, None, 4)
            }
            Link::Cooked => {
                let (kind, hardware) = (word(14).ok_or_else(short)?, word(2).unwrap_or_default());
                let length = word(4).unwrap_or_default();
                (carried(kind, hardware)?, bytes.get(6..12).filter(|_| length == 6), 16)
            }
            Link::Cooked2 => {
                let (kind, hardware) = (word(0).unwrap_or_default(), word(8).unwrap_or_default());
                let source = bytes.get(12..18).filter(|_| bytes.get(11) == Some(&6));
                (carried(kind, hardware)?, source, 20)
            }
            Link::Other(number) => {
                let link = Linktype(number);
                return Err(format!("it was captured on a link that is not Ethernet: {link}"));
            }
        };
        let Some(packet) = bytes.get(start..) else { return Err(short()) };
        let mut fields = vec![("type", u128::from(kind))];
        if let Some(source) = source {
            fields.push(("src", source.iter().fold(0, |sum, byte| sum << 8 | u128::from(*byte))));
        }
        let header = named("eth").map(|layer| Piece::Header(layer, fields));
        let pieces: Vec<Piece> =
            header.into_iter().chain([Piece::Bytes(packet.to_owned())]).collect();
        Ok(build(&pieces))
    }

    /// Whether some of it was not kept.
    pub fn is_cut(&self) -> bool {
        (self.bytes.len() as u64) < u64::from(self.original)
    }
}

/// The EtherType of a packet that begins with an IP header.
fn of_version(bytes: &[u8]) -> Option<u16> {
    match bytes.first()? >> 4 {
        6 => Some(0x86dd),
        _ => Some(0x0800),
    }
}

/// The EtherType that a cooked header names, if it is one.
fn carried(kind: u16, hardware: u16) -> Result<u16, String> {
    /// `ARPHRD_NETLINK` of include/uapi/linux/if_arp.h.
    const NETLINK: u16 = 824;
    match (kind, hardware) {
        (_, NETLINK) => Err("it is a message of netlink, and no packet".to_owned()),
        // Below are lengths and numbers of Linux's own (802.2, 802.3).
        (..0x600, _) => Err(format!("it has no EtherType, but {kind:#06x}")),
        (kind, _) => Ok(kind),
    }
}

impl From<Linktype> for Link {
    fn from(link: Linktype) -> Self {
        match link.0 & 0x0fff_ffff {
            // In files; 12 and 14 are numbers of systems that were written
            // there by mistake.
            0 | 108 => Self::Loopback,
            1 => Self::Ethernet,
            12 | 14 | 101 | 228 | 229 => Self::Ip,
            113 => Self::Cooked,
            276 => Self::Cooked2,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ethernet => out.write_str("Ethernet"),
            Self::Ip => out.write_str("IP"),
            Self::Cooked | Self::Cooked2 => out.write_str("Linux cooked"),
            Self::Loopback => out.write_str("loopback"),
            Self::Other(number) => write!(out, "link type {number}"),
        }
    }
}

/// The packets of a file, in their order.
///
/// # Errors
/// It is no such file, or it is damaged: cut off, or with lengths that cannot
/// be.
pub fn read(bytes: &[u8]) -> Result<Vec<Captured>, Damage> {
    /// The type of a section header block.
    const SECTION: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
    if bytes.starts_with(&SECTION) { of_pcapng(bytes) } else { of_pcap(bytes) }
}

type Error<'b> = nom::Err<PcapError<&'b [u8]>>;

/// Why a parser stopped `at` some byte.
fn damage(error: &Error<'_>, what: &str, at: usize, packets: usize) -> Damage {
    let message = match error {
        nom::Err::Incomplete(_) => format!("the file ends inside {what}"),
        _ => format!("the lengths of {what} cannot be"),
    };
    Damage { message, at, packets }
}

fn of_pcap(bytes: &[u8]) -> Result<Vec<Captured>, Damage> {
    let is_cut = |error: &Error<'_>| matches!(error, nom::Err::Incomplete(_)) && bytes.len() > 3;
    let (mut rest, header) = pcap_parser::parse_pcap_header(bytes).map_err(|error| {
        let message = match (bytes.starts_with(&[0x1f, 0x8b]), bytes.is_empty()) {
            (true, _) => "it is compressed; unpack it first (gunzip)",
            (_, true) => "it is empty",
            _ if is_cut(&error) => "the file ends inside its header",
            _ => "it is neither pcap nor pcapng",
        };
        Damage { message: message.to_owned(), at: 0, packets: 0 }
    })?;
    let parse = match &header {
        header if header.is_bigendian() => pcap_parser::parse_pcap_frame_be,
        header if header.is_modified_format() => pcap_parser::parse_pcap_frame_modified,
        _ => pcap_parser::parse_pcap_frame,
    };
    let mut packets = Vec::new();
    while !rest.is_empty() {
        let at = bytes.len() - rest.len();
        let (next, frame) =
            parse(rest).map_err(|error| damage(&error, "a packet", at, packets.len()))?;
        packets.push(of_frame(&header, &frame));
        rest = next;
    }
    Ok(packets)
}

fn of_frame(header: &PcapHeader, frame: &LegacyPcapBlock<'_>) -> Captured {
    let unit = if header.is_nanosecond_precision() { 1 } else { 1000 };
    let time = u64::from(frame.ts_sec) * 1_000_000_000 + u64::from(frame.ts_usec) * unit;
    Captured {
        bytes: frame.data.to_vec(),
        original: frame.origlen,
        link: header.network.into(),
        time_ns: Some(time),
    }
}

/// What an interface says of the packets that were captured on it.
struct Interface {
    link: Link,
    /// How long a packet may be at most; 0 if there is no limit.
    most: u32,
    /// Units in a second, as powers of ten or of two.
    resolution: u8,
    /// Seconds that times are too early.
    offset: i64,
}

impl Interface {
    fn of(block: &InterfaceDescriptionBlock<'_>, is_big: bool) -> Self {
        let option = |code| {
            let found = block.options.iter().find(|option| option.code == code);
            found.and_then(|option| option.value.first_chunk::<8>())
        };
        let offset = option(OptionCode::IfTsoffset).map_or(0, |bytes| match is_big {
            true => i64::from_be_bytes(*bytes),
            false => i64::from_le_bytes(*bytes),
        });
        Self {
            link: block.linktype.into(),
            most: block.snaplen,
            resolution: block.if_tsresol,
            offset,
        }
    }

    /// A time in nanoseconds since 1970; none if it is beyond what fits.
    fn time(&self, high: u32, low: u32) -> Option<u64> {
        let units = u128::from(high) << 32 | u128::from(low);
        let exponent = u32::from(self.resolution & 0x7f);
        let per_second = match self.resolution & 0x80 {
            0 => 10_u128.checked_pow(exponent)?,
            _ => 1_u128.checked_shl(exponent)?,
        };
        let since = units.checked_mul(1_000_000_000)? / per_second;
        let offset = i128::from(self.offset) * 1_000_000_000;
        u64::try_from(i128::try_from(since).ok()? + offset).ok()
    }
}

fn of_pcapng(bytes: &[u8]) -> Result<Vec<Captured>, Damage> {
    let mut packets: Vec<Captured> = Vec::new();
    let mut interfaces: Vec<Interface> = Vec::new();
    let mut is_big = false;
    let mut rest = bytes;
    while !rest.is_empty() {
        let at = bytes.len() - rest.len();
        let wrong = |message: &str, packets: &[Captured]| Damage {
            message: message.to_owned(),
            at,
            packets: packets.len(),
        };
        let parse = match is_big {
            true => pcap_parser::pcapng::parse_block_be,
            false => pcap_parser::pcapng::parse_block_le,
        };
        let (next, block) =
            parse(rest).map_err(|error| damage(&error, "a block", at, packets.len()))?;
        match &block {
            Block::SectionHeader(section) => {
                is_big = section.big_endian();
                interfaces.clear();
            }
            Block::InterfaceDescription(block) => interfaces.push(Interface::of(block, is_big)),
            Block::EnhancedPacket(packet) => {
                let Some(on) = interfaces.get(packet.if_id as usize) else {
                    return Err(wrong("a packet names an interface that is not there", &packets));
                };
                packets.push(Captured {
                    bytes: packet.packet_data().to_vec(),
                    original: packet.origlen,
                    link: on.link,
                    time_ns: on.time(packet.ts_high, packet.ts_low),
                });
            }
            Block::SimplePacket(packet) => {
                let Some(on) = interfaces.first() else {
                    return Err(wrong("a packet stands in front of its interface", &packets));
                };
                let mut bytes = packet.packet_data().to_vec();
                if on.most > 0 {
                    bytes.truncate(on.most as usize);
                }
                let original = packet.origlen;
                packets.push(Captured { bytes, original, link: on.link, time_ns: None });
            }
            _ => {}
        }
        rest = next;
    }
    Ok(packets)
}

#[cfg(test)]
mod tests {
    use super::super::{parse, show};
    use super::*;
    use crate::packets::Start;

    /// A file with such a magic number, times and packets.
    fn pcap(magic: u32, link: u32, packets: &[(u32, u32, &[u8])], big: bool) -> Vec<u8> {
        let word = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        let half = |value: u16| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        let mut file = word(magic).to_vec();
        file.extend([half(2), half(4)].concat());
        file.extend([word(0), word(0), word(65_535), word(link)].concat());
        for (seconds, parts, bytes) in packets {
            let length = word(bytes.len() as u32);
            file.extend([word(*seconds), word(*parts), length, length].concat());
            file.extend_from_slice(bytes);
        }
        file
    }

    fn block(kind: u32, body: &[u8], big: bool) -> Vec<u8> {
        let word = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        let mut body = body.to_vec();
        body.resize(body.len().next_multiple_of(4), 0);
        let length = word(body.len() as u32 + 12);
        [&word(kind)[..], &length, &body, &length].concat()
    }

    /// A file with one interface, an enhanced and a simple packet.
    fn pcapng(packet: &[u8], options: &[u8], big: bool) -> Vec<u8> {
        let word = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        let half = |value: u16| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        let length = packet.len() as u32;
        let section =
            [&word(0x1a2b_3c4d)[..], &half(1), &half(0), &u64::MAX.to_le_bytes()].concat();
        let interface = [&half(1)[..], &half(0), &word(0), options].concat();
        let enhanced = [&[0, 5, 7, length, length + 3].map(word).concat(), packet].concat();
        let simple = [&word(length)[..], packet].concat();
        [
            block(0x0a0d_0d0a, &section, big),
            block(1, &interface, big),
            block(0x0bad_0bad, &[1, 2, 3, 4], big),
            block(6, &enhanced, big),
            block(3, &simple, big),
        ]
        .concat()
    }

    fn packet() -> Vec<u8> {
        parse("eth/ip/udp(dport=53)/\"abc\"").expect("a packet")
    }

    #[test]
    fn pcap_is_read_in_both_orders_and_precisions() {
        let bytes = packet();
        for (magic, parts, big) in [
            (0xa1b2_c3d4, 250, false),
            (0xa1b2_3c4d, 250_000, false),
            (0xa1b2_c3d4, 250, true),
            (0xa1b2_3c4d, 250_000, true),
        ] {
            let file = pcap(magic, 1, &[(7, parts, &bytes), (8, parts, &bytes)], big);
            let packets = read(&file).expect("a file");
            assert_eq!(packets.len(), 2, "{magic:x} {big}");
            assert_eq!(packets[0].bytes, bytes);
            assert_eq!(packets[0].time_ns, Some(7_000_250_000), "{magic:x} {big}");
            assert_eq!(packets[1].link, Link::Ethernet);
            assert!(!packets[1].is_cut());
        }
    }

    #[test]
    fn pcapng_is_read_in_both_orders() {
        let bytes = packet();
        for big in [false, true] {
            let half = |value: u16| if big { value.to_be_bytes() } else { value.to_le_bytes() };
            let offset = if big { 3_i64.to_be_bytes() } else { 3_i64.to_le_bytes() };
            // if_tsresol: nanoseconds; if_tsoffset: three seconds.
            let options =
                [&half(9)[..], &half(1), &[9, 0, 0, 0], &half(14), &half(8), &offset, &[0; 4]];
            let packets = read(&pcapng(&bytes, &options.concat(), big)).expect("a file");
            assert_eq!(packets.len(), 2);
            assert_eq!(packets[0].time_ns, Some(3_000_000_000 + (5 << 32) + 7));
            assert_eq!((&packets[0].bytes, &packets[1].bytes), (&bytes, &bytes));
            assert_eq!(packets[1].time_ns, None);
            assert!(packets[0].is_cut() && !packets[1].is_cut());
            // Without options, microseconds; units of a half to the power of
            // ten.
            let packets = read(&pcapng(&bytes, &[], big)).expect("a file");
            assert_eq!(packets[0].time_ns, Some(((5 << 32) + 7) * 1000));
            let options = [&half(9)[..], &half(1), &[0x8a, 0, 0, 0], &[0; 4]].concat();
            let packets = read(&pcapng(&bytes, &options, big)).expect("a file");
            assert_eq!(packets[0].time_ns, Some(20_971_520_006_835_937));
        }
    }

    #[test]
    fn packets_of_other_links_become_ethernet_frames() {
        let whole = packet();
        let ip = &whole[14..];
        let plain = "eth/ip/udp(dport=53)/\"abc\"";
        let sent = "eth(src=0a:00:00:00:00:09)/ip/udp(dport=53)/\"abc\"";
        let cooked: &[u8] = &[0, 4, 0, 1, 0, 6, 10, 0, 0, 0, 0, 9, 0, 0, 8, 0];
        let cooked2: &[u8] = &[8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 4, 6, 10, 0, 0, 0, 0, 9, 0, 0];
        for (link, front, shown) in [
            (1, &whole[..14], plain),
            (101, &[], plain),
            (228, &[], plain),
            (0, &[2, 0, 0, 0], plain),
            (108, &[0, 0, 0, 2], plain),
            (113, cooked, sent),
            (276, cooked2, sent),
        ] {
            let bytes = [front, ip].concat();
            let file = pcap(0xa1b2_c3d4, link, &[(0, 0, &bytes)], false);
            let packets = read(&file).expect("a file");
            let frame = packets[0].ethernet().unwrap_or_else(|why| panic!("{link}: {why}"));
            assert_eq!(show(&frame, Start::Link), shown, "{link}");
            // Any beginning of a packet is a frame, or is not, and that is said.
            for end in 0..bytes.len() {
                let part = Captured { bytes: bytes[..end].to_vec(), ..packets[0].clone() };
                drop(part.ethernet());
            }
        }
        let other = |link, bytes: &[u8]| {
            let file = pcap(0xa1b2_c3d4, link, &[(0, 0, bytes)], false);
            read(&file).expect("a file")[0].ethernet().expect_err("no frame")
        };
        assert!(other(105, ip).contains("105"), "{}", other(105, ip));
        assert!(other(1, &[1, 2]).contains("only 2 bytes"));
        assert!(other(113, &[0, 4, 3, 56, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).contains("netlink"));
        assert!(other(113, &[0, 4, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4]).contains("0x0004"));
    }

    #[test]
    fn damage_has_its_place() {
        let bytes = packet();
        let classic = pcap(0xa1b2_c3d4, 1, &[(0, 0, &bytes), (0, 0, &bytes)], false);
        let newer = pcapng(&bytes, &[], false);
        for file in [&classic, &newer] {
            // Cut off anywhere, it is whole up to a packet or block, or the
            // place is said.
            for end in 0..file.len() {
                if let Err(damage) = read(&file[..end]) {
                    assert!(damage.at <= end, "{damage:?}");
                    assert!(damage.packets < 2, "{damage:?}");
                }
            }
            // A byte that is another never brings it down.
            for at in 0..file.len() {
                for value in [0, 0x7f, 0xff] {
                    let mut other = file.clone();
                    other[at] = value;
                    drop(read(&other));
                }
            }
        }
        let said = |bytes: &[u8]| {
            let damage = read(bytes).expect_err("damaged");
            (damage.message, damage.at, damage.packets)
        };
        let second = 24 + 16 + bytes.len();
        let ends = "the file ends inside a packet".to_owned();
        assert_eq!(said(&classic[..classic.len() - 1]), (ends, second, 1));
        assert_eq!(said(b"").0, "it is empty");
        assert_eq!(said(&classic[..20]).0, "the file ends inside its header");
        assert_eq!(said(b"#!/bin/sh\n").0, "it is neither pcap nor pcapng");
        assert_eq!(said(&[0x1f, 0x8b, 8, 0]).0, "it is compressed; unpack it first (gunzip)");
        let ends = "the file ends inside a block".to_owned();
        assert_eq!(said(&newer[..newer.len() - 1]).0, ends);
        let finding = read(&classic[..classic.len() - 1]).expect_err("damaged");
        let finding = finding.diagnostic(Path::new("a.pcap"));
        assert_eq!(finding.code.id(), "E0607");
        assert_eq!(finding.notes, [format!("at byte {second} ({second:#x}), behind packet 1")]);
    }
}
