//! Which numbers are addresses of the network.

/// The parts of a name that say that it is an address.
const ADDRESS: [&str; 13] = [
    "address", "addr", "saddr", "daddr", "laddr", "raddr", "ip", "ip4", "ip6", "ipv4", "ipv6",
    "srcip", "dstip",
];
/// The parts of a name that say that it is an address of a network card.
const CARD: [&str; 5] = ["mac", "smac", "dmac", "hwaddr", "lladdr"];

/// Whether one of the words of a name is among these.
pub(super) fn has_part(name: &str, parts: &[&str]) -> bool {
    name.split('_').any(|part| parts.contains(&part))
}

/// Whether a number is one of the network's byte order: what the kernel's
/// typedefs are for.
pub(super) fn is_big_endian(typedef: &str) -> bool {
    matches!(typedef, "__be16" | "__be32" | "__be64")
}

/// Whether a number or bytes of that name are an IPv4 address. Bytes stand in
/// memory as they do in a packet.
pub(super) fn is_ipv4(name: &str, typedef: &str, size: usize) -> bool {
    size == 4 && (has_part(name, &ADDRESS) || typedef == "__be32" || typedef == "in_addr_t")
}

/// Whether a number or bytes of that name or type are an IPv6 address.
pub(super) fn is_ipv6(name: &str, tag: &str, size: usize) -> bool {
    size == 16 && (tag == "in6_addr" || has_part(name, &ADDRESS))
}

/// Whether a number of that name says of which family addresses are.
pub(super) fn is_family(name: &str) -> bool {
    matches!(name, "af" | "family" | "sa_family")
}

/// Whether six bytes of that name are the address of a network card.
pub(super) fn is_mac(name: &str) -> bool {
    has_part(name, &CARD)
}
