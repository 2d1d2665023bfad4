//! The layers: where each header's fields lie (IEEE 802.3, 802.1Q, RFC 826,
//! 791, 8200, 9293, 768, 792, 4443), what they are without being named, and
//! which numbers lead from one layer to the next.

/// What a field's value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// A decimal number.
    Number,
    /// A hexadecimal number.
    Hex,
    /// `02:00:00:00:00:01`.
    Mac,
    /// `10.0.0.1`.
    Ip4,
    /// `fd00::1`.
    Ip6,
    /// Letters, the lowest bit first.
    Flags(&'static str),
}

/// What a field is if nobody names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// This.
    Value(u128),
    /// What the next layer is.
    Next,
    /// How many bytes there are from here on, less so many.
    Length(usize),
    /// The Internet checksum.
    Checksum,
}

/// A field of a header.
#[derive(Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Where it begins, in bits.
    pub at: usize,
    /// How many bits it has.
    pub width: usize,
    /// What it looks like.
    pub look: Look,
    /// What it is if it is not named.
    pub default: Default,
}

/// A layer.
#[derive(Debug)]
pub struct Layer {
    /// Its name.
    pub name: &'static str,
    /// Bytes of its header, without options.
    pub size: usize,
    /// The fields.
    pub fields: &'static [Field],
    /// The EtherType that leads to it, if any.
    pub ether_type: Option<u128>,
    /// The IP protocol that leads to it, if any.
    pub protocol: Option<u128>,
}

/// RFC 9293's control bits, and RFC 3168's.
pub const TCP_FLAGS: &str = "FSRPAUEC";

const fn field(name: &'static str, at: usize, width: usize, look: Look, default: Default) -> Field {
    Field { name, at, width, look, default }
}

const fn number(name: &'static str, at: usize, width: usize, value: u128) -> Field {
    field(name, at, width, Look::Number, Default::Value(value))
}

const FD00: u128 = 0xfd00 << 112;

/// Every layer.
pub const LAYERS: &[Layer] = &[
    Layer {
        name: "eth",
        size: 14,
        fields: &[
            field("dst", 0, 48, Look::Mac, Default::Value(0x0200_0000_0002)),
            field("src", 48, 48, Look::Mac, Default::Value(0x0200_0000_0001)),
            field("type", 96, 16, Look::Hex, Default::Next),
        ],
        ether_type: None,
        protocol: None,
    },
    Layer {
        name: "vlan",
        size: 4,
        fields: &[
            number("prio", 0, 3, 0),
            number("dei", 3, 1, 0),
            number("id", 4, 12, 1),
            field("type", 16, 16, Look::Hex, Default::Next),
        ],
        ether_type: Some(0x8100),
        protocol: None,
    },
    Layer {
        name: "arp",
        size: 28,
        fields: &[
            number("hardware", 0, 16, 1),
            field("type", 16, 16, Look::Hex, Default::Value(0x0800)),
            number("hlen", 32, 8, 6),
            number("plen", 40, 8, 4),
            number("op", 48, 16, 1),
            field("sha", 64, 48, Look::Mac, Default::Value(0x0200_0000_0001)),
            field("spa", 112, 32, Look::Ip4, Default::Value(0x0a00_0001)),
            field("tha", 144, 48, Look::Mac, Default::Value(0)),
            field("tpa", 192, 32, Look::Ip4, Default::Value(0x0a00_0002)),
        ],
        ether_type: Some(0x0806),
        protocol: None,
    },
    Layer {
        name: "ip",
        size: 20,
        fields: &[
            number("version", 0, 4, 4),
            number("ihl", 4, 4, 5),
            field("tos", 8, 8, Look::Hex, Default::Value(0)),
            field("len", 16, 16, Look::Number, Default::Length(0)),
            number("id", 32, 16, 0),
            number("flags", 48, 3, 0),
            number("frag", 51, 13, 0),
            number("ttl", 64, 8, 64),
            field("proto", 72, 8, Look::Number, Default::Next),
            field("csum", 80, 16, Look::Hex, Default::Checksum),
            field("src", 96, 32, Look::Ip4, Default::Value(0x0a00_0001)),
            field("dst", 128, 32, Look::Ip4, Default::Value(0x0a00_0002)),
        ],
        ether_type: Some(0x0800),
        protocol: Some(4),
    },
    Layer {
        name: "ip6",
        size: 40,
        fields: &[
            number("version", 0, 4, 6),
            field("tc", 4, 8, Look::Hex, Default::Value(0)),
            field("flow", 12, 20, Look::Hex, Default::Value(0)),
            field("len", 32, 16, Look::Number, Default::Length(40)),
            field("next", 48, 8, Look::Number, Default::Next),
            number("hop", 56, 8, 64),
            field("src", 64, 128, Look::Ip6, Default::Value(FD00 | 1)),
            field("dst", 192, 128, Look::Ip6, Default::Value(FD00 | 2)),
        ],
        ether_type: Some(0x86dd),
        protocol: Some(41),
    },
    Layer {
        name: "tcp",
        size: 20,
        fields: &[
            number("sport", 0, 16, 40_000),
            number("dport", 16, 16, 80),
            number("seq", 32, 32, 0),
            number("ack", 64, 32, 0),
            number("off", 96, 4, 5),
            field("flags", 104, 8, Look::Flags(TCP_FLAGS), Default::Value(2)),
            number("window", 112, 16, 65_535),
            field("csum", 128, 16, Look::Hex, Default::Checksum),
            number("urg", 144, 16, 0),
        ],
        ether_type: None,
        protocol: Some(6),
    },
    Layer {
        name: "udp",
        size: 8,
        fields: &[
            number("sport", 0, 16, 40_000),
            number("dport", 16, 16, 53_000),
            field("len", 32, 16, Look::Number, Default::Length(0)),
            field("csum", 48, 16, Look::Hex, Default::Checksum),
        ],
        ether_type: None,
        protocol: Some(17),
    },
    Layer {
        name: "icmp",
        size: 8,
        fields: &[
            number("type", 0, 8, 8),
            number("code", 8, 8, 0),
            field("csum", 16, 16, Look::Hex, Default::Checksum),
            number("id", 32, 16, 1),
            number("seq", 48, 16, 1),
        ],
        ether_type: None,
        protocol: Some(1),
    },
    Layer {
        name: "icmp6",
        size: 8,
        fields: &[
            number("type", 0, 8, 128),
            number("code", 8, 8, 0),
            field("csum", 16, 16, Look::Hex, Default::Checksum),
            number("id", 32, 16, 1),
            number("seq", 48, 16, 1),
        ],
        ether_type: None,
        protocol: Some(58),
    },
];

/// The layer of that name.
pub fn named(name: &str) -> Option<&'static Layer> {
    LAYERS.iter().find(|layer| layer.name == name)
}

impl Layer {
    /// The field of that name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The field that says what comes next.
    pub fn next_field(&self) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.default == Default::Next)
    }

    /// Whether what comes next is told by an EtherType, and not by an IP
    /// protocol.
    pub fn is_link(&self) -> bool {
        matches!(self.name, "eth" | "vlan")
    }

    /// The layer behind one whose field for it has this number.
    pub fn behind(&self, number: u128) -> Option<&'static Layer> {
        self.next_field()?;
        LAYERS.iter().find(|layer| {
            let own = if self.is_link() { layer.ether_type } else { layer.protocol };
            own == Some(number)
        })
    }

    /// The number by which a layer behind this one is known.
    pub fn number_of(&self, next: &Self) -> Option<u128> {
        if self.is_link() { next.ether_type } else { next.protocol }
    }
}

/// The bits of a field, highest first; zero for what lies behind the bytes.
pub fn get(bytes: &[u8], at: usize, width: usize) -> u128 {
    (at..at + width).fold(0, |value, bit| {
        let byte = bytes.get(bit / 8).copied().unwrap_or(0);
        value << 1 | u128::from(byte >> (7 - bit % 8) & 1)
    })
}

/// Sets the bits of a field.
pub fn set(bytes: &mut [u8], at: usize, width: usize, value: u128) {
    for index in 0..width {
        let bit = at + index;
        if let Some(byte) = bytes.get_mut(bit / 8) {
            let mask = 1 << (7 - bit % 8);
            match value >> (width - 1 - index) & 1 {
                1 => *byte |= mask,
                _ => *byte &= !mask,
            }
        }
    }
}

/// The ones' complement sum of 16-bit words (RFC 1071), with a start.
pub fn sum(bytes: &[u8], start: u32) -> u16 {
    let mut sum = u64::from(start);
    for pair in bytes.chunks(2) {
        let word = [pair[0], pair.get(1).copied().unwrap_or(0)];
        sum += u64::from(u16::from_be_bytes(word));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
