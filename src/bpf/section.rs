//! `SEC()` names: what libbpf makes of the section a program stands in.

use super::{AttachType, ProgramType};
use std::fmt;

/// How the attach type of a section reaches the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttachRule {
    /// It is passed as it is.
    Passed,
    /// It is passed to kernels that know it and left out for others.
    Optional,
    /// The program also names a target by its BTF: a function, a trace
    /// point, an LSM hook, an iterator.
    Btf,
}

/// What libbpf knows of one `SEC()` name.
#[derive(Debug, PartialEq, Eq)]
pub struct SectionDef {
    /// The name, without the `+` of libbpf's table.
    pub name: &'static str,
    /// Whether `/` and more may follow the name.
    pub takes_target: bool,
    /// The program type.
    pub program_type: ProgramType,
    /// The attach type, where loading needs one.
    pub attach_type: Option<AttachType>,
    /// How the attach type reaches the kernel.
    pub rule: AttachRule,
    /// Whether the program may sleep (`BPF_F_SLEEPABLE`).
    pub sleepable: bool,
    /// Whether an XDP program takes packets in several buffers
    /// (`BPF_F_XDP_HAS_FRAGS`).
    pub frags: bool,
    /// Whether it is a user-space statically defined trace point.
    pub usdt: bool,
    /// Whether a skeleton's `attach` attaches it.
    pub auto_attach: bool,
}

/// A program's section, understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SectionTarget<'s> {
    /// What libbpf knows of it.
    pub def: &'static SectionDef,
    /// What follows the `/`: the function, the trace point, the hook.
    pub target: Option<&'s str>,
    /// Whether libbpf loads the program unasked; `SEC("?…")` says no.
    pub autoload: bool,
}

/// A section that libbpf makes nothing of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionError {
    /// The name as it stands in the object.
    pub section: String,
    /// The name that was probably meant.
    pub suggestion: Option<String>,
    /// Whether libbpf before 1.0 accepted it.
    pub legacy: bool,
}

impl fmt::Display for SectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "libbpf knows no program type for SEC(\"{}\")", self.section)
    }
}

impl std::error::Error for SectionError {}

macro_rules! sections {
    ($($name:literal: $program:ident $attach:tt $rule:ident [$($flag:ident)*];)*) => {
        static SECTIONS: &[SectionDef] = &[$({
            let (name, takes_target) = split_plus($name);
            #[allow(unused_mut, reason = "most rows have no flags")]
            let mut def = SectionDef {
                name,
                takes_target,
                program_type: ProgramType::$program,
                attach_type: sections!(@attach $attach),
                rule: AttachRule::$rule,
                sleepable: false,
                frags: false,
                usdt: false,
                auto_attach: false,
            };
            $(def.$flag = true;)*
            def
        }),*];
    };
    (@attach -) => { None };
    (@attach $attach:ident) => { Some(AttachType::$attach) };
}

// `section_defs` of libbpf 1.7 (src/libbpf.c); `+` as there. The order counts:
// the first row that matches is taken.
sections! {
    "socket": SocketFilter - Passed [];
    "sk_reuseport/migrate": SkReuseport SkReuseportSelectOrMigrate Passed [];
    "sk_reuseport": SkReuseport SkReuseportSelect Passed [];
    "kprobe+": Kprobe - Passed [auto_attach];
    "uprobe+": Kprobe - Passed [auto_attach];
    "uprobe.s+": Kprobe - Passed [sleepable auto_attach];
    "kretprobe+": Kprobe - Passed [auto_attach];
    "uretprobe+": Kprobe - Passed [auto_attach];
    "uretprobe.s+": Kprobe - Passed [sleepable auto_attach];
    "kprobe.multi+": Kprobe TraceKprobeMulti Passed [auto_attach];
    "kretprobe.multi+": Kprobe TraceKprobeMulti Passed [auto_attach];
    "kprobe.session+": Kprobe TraceKprobeSession Passed [auto_attach];
    "uprobe.multi+": Kprobe TraceUprobeMulti Passed [auto_attach];
    "uretprobe.multi+": Kprobe TraceUprobeMulti Passed [auto_attach];
    "uprobe.session+": Kprobe TraceUprobeSession Passed [auto_attach];
    "uprobe.multi.s+": Kprobe TraceUprobeMulti Passed [sleepable auto_attach];
    "uretprobe.multi.s+": Kprobe TraceUprobeMulti Passed [sleepable auto_attach];
    "uprobe.session.s+": Kprobe TraceUprobeSession Passed [sleepable auto_attach];
    "ksyscall+": Kprobe - Passed [auto_attach];
    "kretsyscall+": Kprobe - Passed [auto_attach];
    "usdt+": Kprobe - Passed [usdt auto_attach];
    "usdt.s+": Kprobe - Passed [sleepable usdt auto_attach];
    "tc/ingress": SchedCls TcxIngress Passed [];
    "tc/egress": SchedCls TcxEgress Passed [];
    "tcx/ingress": SchedCls TcxIngress Passed [];
    "tcx/egress": SchedCls TcxEgress Passed [];
    "tc": SchedCls - Passed [];
    "classifier": SchedCls - Passed [];
    "action": SchedAct - Passed [];
    "netkit/primary": SchedCls NetkitPrimary Passed [];
    "netkit/peer": SchedCls NetkitPeer Passed [];
    "tracepoint+": Tracepoint - Passed [auto_attach];
    "tp+": Tracepoint - Passed [auto_attach];
    "raw_tracepoint+": RawTracepoint - Passed [auto_attach];
    "raw_tp+": RawTracepoint - Passed [auto_attach];
    "raw_tracepoint.w+": RawTracepointWritable - Passed [auto_attach];
    "raw_tp.w+": RawTracepointWritable - Passed [auto_attach];
    "tp_btf+": Tracing TraceRawTp Btf [auto_attach];
    "fentry+": Tracing TraceFentry Btf [auto_attach];
    "fmod_ret+": Tracing ModifyReturn Btf [auto_attach];
    "fexit+": Tracing TraceFexit Btf [auto_attach];
    "fentry.s+": Tracing TraceFentry Btf [sleepable auto_attach];
    "fmod_ret.s+": Tracing ModifyReturn Btf [sleepable auto_attach];
    "fexit.s+": Tracing TraceFexit Btf [sleepable auto_attach];
    "fsession+": Tracing TraceFsession Btf [auto_attach];
    "fsession.s+": Tracing TraceFsession Btf [sleepable auto_attach];
    "freplace+": Ext - Btf [auto_attach];
    "lsm+": Lsm LsmMac Btf [auto_attach];
    "lsm.s+": Lsm LsmMac Btf [sleepable auto_attach];
    "lsm_cgroup+": Lsm LsmCgroup Btf [];
    "iter+": Tracing TraceIter Btf [auto_attach];
    "iter.s+": Tracing TraceIter Btf [sleepable auto_attach];
    "syscall": Syscall - Passed [sleepable];
    "xdp.frags/devmap": Xdp XdpDevmap Passed [frags];
    "xdp/devmap": Xdp XdpDevmap Passed [];
    "xdp.frags/cpumap": Xdp XdpCpumap Passed [frags];
    "xdp/cpumap": Xdp XdpCpumap Passed [];
    "xdp.frags": Xdp Xdp Passed [frags];
    "xdp": Xdp Xdp Optional [];
    "perf_event": PerfEvent - Passed [];
    "lwt_in": LwtIn - Passed [];
    "lwt_out": LwtOut - Passed [];
    "lwt_xmit": LwtXmit - Passed [];
    "lwt_seg6local": LwtSeg6local - Passed [];
    "sockops": SockOps CgroupSockOps Optional [];
    "sk_skb/stream_parser": SkSkb SkSkbStreamParser Optional [];
    "sk_skb/stream_verdict": SkSkb SkSkbStreamVerdict Optional [];
    "sk_skb/verdict": SkSkb SkSkbVerdict Optional [];
    "sk_skb": SkSkb - Passed [];
    "sk_msg": SkMsg SkMsgVerdict Optional [];
    "lirc_mode2": LircMode2 LircMode2 Optional [];
    "flow_dissector": FlowDissector FlowDissector Optional [];
    "cgroup_skb/ingress": CgroupSkb CgroupInetIngress Optional [];
    "cgroup_skb/egress": CgroupSkb CgroupInetEgress Optional [];
    "cgroup/skb": CgroupSkb - Passed [];
    "cgroup/sock_create": CgroupSock CgroupInetSockCreate Passed [];
    "cgroup/sock_release": CgroupSock CgroupInetSockRelease Passed [];
    "cgroup/sock": CgroupSock CgroupInetSockCreate Optional [];
    "cgroup/post_bind4": CgroupSock CgroupInet4PostBind Passed [];
    "cgroup/post_bind6": CgroupSock CgroupInet6PostBind Passed [];
    "cgroup/bind4": CgroupSockAddr CgroupInet4Bind Passed [];
    "cgroup/bind6": CgroupSockAddr CgroupInet6Bind Passed [];
    "cgroup/connect4": CgroupSockAddr CgroupInet4Connect Passed [];
    "cgroup/connect6": CgroupSockAddr CgroupInet6Connect Passed [];
    "cgroup/connect_unix": CgroupSockAddr CgroupUnixConnect Passed [];
    "cgroup/sendmsg4": CgroupSockAddr CgroupUdp4Sendmsg Passed [];
    "cgroup/sendmsg6": CgroupSockAddr CgroupUdp6Sendmsg Passed [];
    "cgroup/sendmsg_unix": CgroupSockAddr CgroupUnixSendmsg Passed [];
    "cgroup/recvmsg4": CgroupSockAddr CgroupUdp4Recvmsg Passed [];
    "cgroup/recvmsg6": CgroupSockAddr CgroupUdp6Recvmsg Passed [];
    "cgroup/recvmsg_unix": CgroupSockAddr CgroupUnixRecvmsg Passed [];
    "cgroup/getpeername4": CgroupSockAddr CgroupInet4Getpeername Passed [];
    "cgroup/getpeername6": CgroupSockAddr CgroupInet6Getpeername Passed [];
    "cgroup/getpeername_unix": CgroupSockAddr CgroupUnixGetpeername Passed [];
    "cgroup/getsockname4": CgroupSockAddr CgroupInet4Getsockname Passed [];
    "cgroup/getsockname6": CgroupSockAddr CgroupInet6Getsockname Passed [];
    "cgroup/getsockname_unix": CgroupSockAddr CgroupUnixGetsockname Passed [];
    "cgroup/sysctl": CgroupSysctl CgroupSysctl Passed [];
    "cgroup/getsockopt": CgroupSockopt CgroupGetsockopt Passed [];
    "cgroup/setsockopt": CgroupSockopt CgroupSetsockopt Passed [];
    "cgroup/dev": CgroupDevice CgroupDevice Optional [];
    "struct_ops+": StructOps - Passed [];
    "struct_ops.s+": StructOps - Passed [sleepable];
    "sk_lookup": SkLookup SkLookup Passed [];
    "netfilter": Netfilter Netfilter Passed [];
}

const fn split_plus(name: &str) -> (&str, bool) {
    let (body, last) = name.split_at(name.len() - 1);
    if matches!(last.as_bytes(), b"+") { (body, true) } else { (name, false) }
}

impl SectionDef {
    /// Every row of the table, in libbpf's order.
    pub fn all() -> &'static [Self] {
        SECTIONS
    }

    fn matches<'s>(&self, section: &'s str) -> Option<Option<&'s str>> {
        let rest = section.strip_prefix(self.name)?;
        match rest.strip_prefix('/') {
            _ if rest.is_empty() => Some(None),
            Some(target) if self.takes_target => Some(Some(target)),
            _ => None,
        }
    }
}

impl<'s> SectionTarget<'s> {
    /// What libbpf makes of a program in this section.
    ///
    /// # Errors
    /// Where it makes nothing of it; the error knows what was probably meant.
    pub fn resolve(section: &'s str) -> Result<Self, SectionError> {
        let (name, autoload) = match section.strip_prefix('?') {
            Some(name) => (name, false),
            None => (section, true),
        };
        SECTIONS
            .iter()
            .find_map(|def| def.matches(name).map(|target| Self { def, target, autoload }))
            .ok_or_else(|| unknown(section, name))
    }
}

/// Libbpf before 1.0 compared only the start of a name, so that `xdp_drop`
/// and `kprobe_open` had a program type.
fn unknown(section: &str, name: &str) -> SectionError {
    let prefix =
        SECTIONS.iter().filter(|def| name.starts_with(def.name)).max_by_key(|def| def.name.len());
    let suggestion = match prefix {
        Some(def) if def.takes_target => {
            let rest = name[def.name.len()..].trim_start_matches(['_', '-', ':', '.', '/']);
            Some(format!("{}/{rest}", def.name))
        }
        Some(def) => Some(def.name.to_owned()),
        None => nearest(name),
    };
    SectionError { section: section.to_owned(), suggestion, legacy: prefix.is_some() }
}

fn nearest(name: &str) -> Option<String> {
    let (head, target) = match name.split_once('/') {
        Some((head, target)) => (head, Some(target)),
        None => (name, None),
    };
    let distance = |def: &SectionDef, text: &str| strsim::damerau_levenshtein(def.name, text);
    let close = |text: &str| {
        let def = SECTIONS.iter().min_by_key(|def| distance(def, text))?;
        // One letter in four may be wrong.
        (distance(def, text) <= text.len() / 4).then_some(def)
    };
    // The whole name first: some rows have a slash of their own.
    if let Some(def) = close(name) {
        return Some(def.name.to_owned());
    }
    let def = close(head)?;
    match target {
        Some(target) if def.takes_target => Some(format!("{}/{target}", def.name)),
        _ => Some(def.name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_matched_as_libbpf_does() {
        let kprobe = SectionTarget::resolve("kprobe/do_unlinkat").unwrap();
        assert_eq!(kprobe.def.program_type, ProgramType::Kprobe);
        assert_eq!(kprobe.target, Some("do_unlinkat"));
        let xdp = SectionTarget::resolve("?xdp").unwrap();
        assert!(!xdp.autoload && xdp.target.is_none());
        assert_eq!(xdp.def.attach_type, Some(AttachType::Xdp));
        let iter = SectionTarget::resolve("iter.s/task").unwrap();
        assert!(iter.def.sleepable);
        assert_eq!(iter.def.attach_type, Some(AttachType::TraceIter));
        let migrate = SectionTarget::resolve("sk_reuseport/migrate").unwrap();
        assert_eq!(migrate.def.attach_type, Some(AttachType::SkReuseportSelectOrMigrate));
        assert!(SectionTarget::resolve("xdp/foo").is_err());
        assert!(SectionTarget::resolve("kprobefoo").is_err());
    }

    #[test]
    fn unknown_names_get_the_nearest() {
        let suggestion = |name| SectionTarget::resolve(name).unwrap_err().suggestion;
        assert_eq!(suggestion("kprob/do_unlinkat").as_deref(), Some("kprobe/do_unlinkat"));
        assert_eq!(suggestion("xdp1").as_deref(), Some("xdp"));
        assert_eq!(suggestion("kprobe_open").as_deref(), Some("kprobe/open"));
        assert_eq!(suggestion("cgroup/conect4").as_deref(), Some("cgroup/connect4"));
        assert_eq!(suggestion("tracepont/sched/x").as_deref(), Some("tracepoint/sched/x"));
        assert_eq!(suggestion("zebra"), None);
        assert!(SectionTarget::resolve("socket1").unwrap_err().legacy);
    }
}
