//! What programs return, by name: `XDP_DROP`, `TC_ACT_SHOT`.

use super::ProgramType;

/// The names of a program type's return values (include/uapi/linux/bpf.h and
/// pkt_cls.h; `NF_…` of netfilter.h), each with its number. Several names may
/// be of one number; the first is the usual one.
pub fn actions(kind: ProgramType) -> &'static [(&'static str, i32)] {
    use ProgramType as P;
    match kind {
        P::Xdp => &[
            ("XDP_ABORTED", 0),
            ("XDP_DROP", 1),
            ("XDP_PASS", 2),
            ("XDP_TX", 3),
            ("XDP_REDIRECT", 4),
        ],
        P::SchedCls | P::SchedAct => &[
            ("TC_ACT_OK", 0),
            ("TC_ACT_SHOT", 2),
            ("TC_ACT_UNSPEC", -1),
            ("TC_ACT_RECLASSIFY", 1),
            ("TC_ACT_PIPE", 3),
            ("TC_ACT_STOLEN", 4),
            ("TC_ACT_QUEUED", 5),
            ("TC_ACT_REPEAT", 6),
            ("TC_ACT_REDIRECT", 7),
            ("TC_ACT_TRAP", 8),
            ("TCX_NEXT", -1),
            ("TCX_PASS", 0),
            ("TCX_DROP", 2),
            ("TCX_REDIRECT", 7),
            ("NETKIT_NEXT", -1),
            ("NETKIT_PASS", 0),
            ("NETKIT_DROP", 2),
            ("NETKIT_REDIRECT", 7),
        ],
        P::SkLookup | P::SkSkb | P::SkMsg | P::SkReuseport => &[("SK_DROP", 0), ("SK_PASS", 1)],
        P::LwtIn | P::LwtOut | P::LwtXmit | P::LwtSeg6local => {
            &[("BPF_OK", 0), ("BPF_DROP", 2), ("BPF_REDIRECT", 7), ("BPF_LWT_REROUTE", 128)]
        }
        P::FlowDissector => &[("BPF_OK", 0), ("BPF_DROP", 2), ("BPF_FLOW_DISSECTOR_CONTINUE", 129)],
        P::Netfilter => &[("NF_DROP", 0), ("NF_ACCEPT", 1)],
        _ => &[],
    }
}

/// The usual name of a value that a program returns.
pub fn action(kind: ProgramType, value: i32) -> Option<&'static str> {
    actions(kind).iter().find(|(_, number)| *number == value).map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_is_the_usual_one() {
        assert_eq!(action(ProgramType::Xdp, 1), Some("XDP_DROP"));
        assert_eq!(action(ProgramType::SchedCls, -1), Some("TC_ACT_UNSPEC"));
        assert_eq!(action(ProgramType::Xdp, 9), None);
        assert_eq!(action(ProgramType::Kprobe, 0), None);
    }
}
