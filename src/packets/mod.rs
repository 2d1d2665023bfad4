//! Floor 2: packets as layers: `eth/ip(dst=10.0.0.2)/tcp(dport=80)/"text"` as
//! bytes, with lengths, types and checksums filled in, and bytes as layers
//! again, so that two packets can be told apart by their fields.
//!
//! Packets that were captured come from files ([`capture`]).
//!
//! One table ([`layer`]) says what each layer's header looks like; the writer
//! and the reader both go by it.

mod build;
pub mod capture;
mod dissect;
mod layer;
mod parse;

pub use dissect::{Start, differences, show};
pub use parse::{Mistake, parse};

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        parse(text).unwrap_or_else(|mistake| panic!("{text}: {mistake:?}"))
    }

    #[test]
    fn lengths_types_and_checksums_are_filled_in() {
        let packet = bytes(
            "eth/ip(src=192.168.0.1,dst=192.168.0.199)/udp(sport=1087,dport=13)/\"TESTING\\n\"",
        );
        assert_eq!(packet.len(), 14 + 20 + 8 + 8);
        assert_eq!(packet[12..14], [0x08, 0x00]);
        // Total length, protocol.
        assert_eq!(packet[16..18], [0, 36]);
        assert_eq!(packet[23], 17);
        // A header with its checksum sums up to all ones (RFC 1071).
        assert_eq!(layer::sum(&packet[14..34], 0), 0xffff);
        let pseudo = 2 * 0xc0a8 + 0x0001 + 0x00c7 + 17 + 16;
        assert_eq!(layer::sum(&packet[34..], pseudo), 0xffff);
        assert_eq!(packet[38..40], [0, 16]);
    }

    #[test]
    fn what_is_built_is_read_again() {
        for text in [
            "eth",
            "eth/ip/tcp",
            "eth/ip(ttl=63,dst=10.1.2.3)/tcp(dport=443,flags=SA)/\"hi \\\"there\\\"\"",
            "eth/vlan(prio=3,id=5)/ip6(src=fd00::9)/udp(dport=53)/hex(00ff)",
            "eth(src=02:00:00:00:00:09)/arp(op=2)",
            "eth/ip/icmp(id=7)/\"ping\"",
            "eth/ip6/icmp6(seq=2)",
            "eth(type=0x1234)/zero(4)",
        ] {
            let packet = bytes(text);
            let shown = show(&packet, Start::Link).replace("zero(4)", "hex(00000000)");
            assert_eq!(shown, text.replace("zero(4)", "hex(00000000)"));
            assert_eq!(bytes(&shown), packet, "{text}");
            // Any beginning of a packet is read as far as it goes.
            for end in 0..packet.len() {
                show(&packet[..end], Start::Link);
            }
        }
    }

    #[test]
    fn packets_differ_by_fields() {
        let told = |a: &str, b: &str| differences(&bytes(a), &bytes(b), Start::Link);
        assert_eq!(told("eth/ip/tcp", "eth/ip/tcp"), Vec::<String>::new());
        let ttl = told("eth/ip/udp/\"a\"", "eth/ip(ttl=63)/udp/\"a\"");
        assert_eq!(ttl[0], "ip.ttl: expected 64, got 63");
        assert!(ttl[1].starts_with("ip.csum: expected 0x"), "{ttl:?}");
        let layers = told("eth/ip/udp", "eth/vlan(id=3)/ip/udp");
        assert_eq!(layers[0], "expected eth/ip/udp, got eth/vlan(id=3)/ip/udp");
        assert_eq!(layers[1], "length: expected 42, got 46");
        let text = told("eth/ip/udp/\"abc\"", "eth/ip/udp/\"abd\"");
        assert!(text.contains(&"payload: expected \"abc\", got \"abd\"".to_owned()), "{text:?}");
    }

    #[test]
    fn mistakes_have_their_place() {
        for (text, at, said) in [
            ("eht/ip", 0..3, "there is no layer `eht`; did you mean `eth`?"),
            ("eth/ip(dts=1.2.3.4)", 7..10, "`ip` has no field `dts`; did you mean `dst`?"),
            ("eth/ip(dst=1.2.3)", 11..16, "`1.2.3` is no IPv4 address"),
            ("eth/tcp(dport=65536)", 14..19, "`65536` does not fit into 16 bits"),
            (
                "eth/tcp(flags=Z)",
                14..15,
                "`Z` are no flags; write letters of FSRPAUEC, or a number",
            ),
            ("eth/\"abc", 4..8, "the text has no end"),
            ("eth/ip(", 7..7, "a field is expected"),
            ("", 0..0, "a layer is expected"),
            ("eth/", 4..4, "a layer is expected"),
            ("eth ip", 4..5, "`/` is expected between layers"),
            ("hex(0)", 4..5, "pairs of hexadecimal digits are expected"),
        ] {
            let mistake = parse(text).expect_err(text);
            assert_eq!((mistake.range, mistake.message.as_str()), (at, said), "{text}");
        }
    }
}
