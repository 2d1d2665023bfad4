//! Which numbers are addresses of the network.

use super::Value;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The parts of a name that say that it is an address.
const ADDRESS: [&str; 13] = [
    "address", "addr", "saddr", "daddr", "laddr", "raddr", "ip", "ip4", "ip6", "ipv4", "ipv6",
    "srcip", "dstip",
];
/// The parts of a name that say that it is an address of a network card.
const CARD: [&str; 5] = ["mac", "smac", "dmac", "hwaddr", "lladdr"];

fn has_part(name: &str, parts: &[&str]) -> bool {
    name.split('_').any(|part| parts.contains(&part))
}

/// Whether a number is one of the network's byte order: what the kernel's
/// typedefs are for.
pub(super) fn is_big_endian(typedef: &str) -> bool {
    matches!(typedef, "__be16" | "__be32" | "__be64")
}

/// An IPv4 address, if four bytes of that name are one. Bytes stand in memory
/// as they do in a packet.
pub(super) fn ipv4(name: &str, typedef: &str, bytes: &[u8]) -> Option<Value> {
    let bytes: [u8; 4] = bytes.try_into().ok()?;
    let is_one = has_part(name, &ADDRESS) || typedef == "__be32" || typedef == "in_addr_t";
    is_one.then(|| Value::Ip(IpAddr::V4(Ipv4Addr::from(bytes))))
}

/// An IPv6 address, if sixteen bytes of that name or type are one.
pub(super) fn ipv6(name: &str, tag: &str, bytes: &[u8]) -> Option<Value> {
    let bytes: [u8; 16] = bytes.try_into().ok()?;
    let is_one = tag == "in6_addr" || has_part(name, &ADDRESS);
    is_one.then(|| Value::Ip(IpAddr::V6(Ipv6Addr::from(bytes))))
}

/// The address of a network card, if six bytes of that name are one.
pub(super) fn mac(name: &str, bytes: &[u8]) -> Option<Value> {
    let bytes: [u8; 6] = bytes.try_into().ok()?;
    has_part(name, &CARD).then_some(Value::Mac(bytes))
}
