//! What `BPF_PROG_TEST_RUN` takes, by program type and kernel
//! (net/bpf/test_run.c and the `test_run` of each `bpf_prog_ops`, Linux 5.10
//! to 7.2).

use super::{KernelVersion, ProgramType};

/// What a program of a type is run with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TestRun {
    /// The first kernel that runs programs of the type.
    pub since: KernelVersion,
    /// Whether they get a packet. One that must have it gets an empty frame
    /// where the test has none.
    pub packet: Packet,
    /// The context that may be given, if any.
    pub context: Option<&'static Context>,
}

/// Whether a program gets a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet {
    /// It does not.
    None,
    /// A frame that the program sees from its Ethernet header on.
    Link,
    /// A frame that the program sees from its IP header on. The frame's own
    /// header comes back as zeros.
    Network,
}

/// A structure of the kernel's that a program's context is given as.
#[derive(Debug, PartialEq, Eq)]
pub struct Context {
    /// The structure.
    pub name: &'static str,
    /// Its size in bytes, in the newest kernel.
    pub size: u32,
    /// Its members.
    pub members: &'static [Member],
    /// The first kernel that takes it.
    pub since: KernelVersion,
    /// Which members a test may give; the kernel refuses others that are not
    /// zero.
    pub settable: &'static [&'static str],
}

/// A member of a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// Where it begins, in bytes.
    pub offset: u32,
    /// Bytes of one element.
    pub size: u32,
    /// How many elements; 0 for what is no array.
    pub count: u32,
    /// It is in the order of the network.
    pub is_big_endian: bool,
}

const fn word(name: &'static str, offset: u32) -> Member {
    Member { name, offset, size: 4, count: 0, is_big_endian: false }
}

const fn long(name: &'static str, offset: u32) -> Member {
    Member { size: 8, ..word(name, offset) }
}

const fn network(name: &'static str, offset: u32, size: u32, count: u32) -> Member {
    Member { name, offset, size, count, is_big_endian: true }
}

static XDP_MD: Context = Context {
    name: "xdp_md",
    size: 24,
    members: &[
        word("data", 0),
        word("data_end", 4),
        word("data_meta", 8),
        word("ingress_ifindex", 12),
        word("rx_queue_index", 16),
        word("egress_ifindex", 20),
    ],
    since: KernelVersion::new(5, 15),
    settable: &["data", "data_meta", "ingress_ifindex", "rx_queue_index"],
};

static SK_BUFF: Context = Context {
    name: "__sk_buff",
    size: 192,
    members: &[
        word("len", 0),
        word("pkt_type", 4),
        word("mark", 8),
        word("queue_mapping", 12),
        word("protocol", 16),
        word("vlan_present", 20),
        word("vlan_tci", 24),
        word("vlan_proto", 28),
        word("priority", 32),
        word("ingress_ifindex", 36),
        word("ifindex", 40),
        word("tc_index", 44),
        Member { count: 5, ..word("cb", 48) },
        word("hash", 68),
        word("tc_classid", 72),
        word("data", 76),
        word("data_end", 80),
        word("napi_id", 84),
        word("family", 88),
        network("remote_ip4", 92, 4, 0),
        network("local_ip4", 96, 4, 0),
        network("remote_ip6", 100, 4, 4),
        network("local_ip6", 116, 4, 4),
        word("remote_port", 132),
        word("local_port", 136),
        word("data_meta", 140),
        long("tstamp", 152),
        word("wire_len", 160),
        word("gso_segs", 164),
        word("gso_size", 176),
        Member { size: 1, ..word("tstamp_type", 180) },
        long("hwtstamp", 184),
    ],
    since: KernelVersion::new(5, 2),
    settable: &[
        "mark",
        "priority",
        "ingress_ifindex",
        "ifindex",
        "cb",
        "tstamp",
        "wire_len",
        "gso_segs",
        "gso_size",
        "hwtstamp",
    ],
};

static SK_LOOKUP: Context = Context {
    name: "bpf_sk_lookup",
    size: 72,
    members: &[
        long("cookie", 0),
        word("family", 8),
        word("protocol", 12),
        network("remote_ip4", 16, 4, 0),
        network("remote_ip6", 20, 4, 4),
        network("remote_port", 36, 2, 0),
        network("local_ip4", 40, 4, 0),
        network("local_ip6", 44, 4, 4),
        word("local_port", 60),
        word("ingress_ifindex", 64),
    ],
    since: KernelVersion::new(5, 13),
    settable: &[
        "family",
        "protocol",
        "remote_ip4",
        "remote_ip6",
        "remote_port",
        "local_ip4",
        "local_ip6",
        "local_port",
        "ingress_ifindex",
    ],
};

static RAW_ARGUMENTS: Context = Context {
    name: "bpf_raw_tracepoint_args",
    size: 96,
    members: &[Member { count: 12, ..long("args", 0) }],
    since: KernelVersion::new(5, 10),
    settable: &["args"],
};

/// What programs of a type are run with; none where the kernel runs no such
/// programs for a test.
pub fn test_run(kind: ProgramType) -> Option<TestRun> {
    use ProgramType as P;
    let (major, minor, packet, context) = match kind {
        P::Xdp => (4, 12, Packet::Link, Some(&XDP_MD)),
        P::SchedCls | P::SchedAct => (4, 12, Packet::Link, Some(&SK_BUFF)),
        P::SocketFilter | P::CgroupSkb | P::LwtIn | P::LwtOut | P::LwtXmit | P::LwtSeg6local => {
            (4, 12, Packet::Network, Some(&SK_BUFF))
        }
        P::FlowDissector => (5, 0, Packet::Link, None),
        P::Netfilter => (6, 4, Packet::Network, None),
        P::SkLookup => (5, 13, Packet::None, Some(&SK_LOOKUP)),
        P::RawTracepoint => (5, 10, Packet::None, Some(&RAW_ARGUMENTS)),
        P::Tracing => (5, 7, Packet::None, None),
        P::Syscall => (5, 14, Packet::None, None),
        _ => return None,
    };
    Some(TestRun { since: KernelVersion::new(major, minor), packet, context })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_lie_inside_and_one_behind_the_other() {
        for context in [&XDP_MD, &SK_BUFF, &SK_LOOKUP, &RAW_ARGUMENTS] {
            let mut end = 0;
            for member in context.members {
                assert!(member.offset >= end, "{}.{}", context.name, member.name);
                end = member.offset + member.size * member.count.max(1);
            }
            assert!(end <= context.size, "{}", context.name);
            for name in context.settable {
                assert!(context.members.iter().any(|member| member.name == *name), "{name}");
            }
        }
    }
}
