//! Program types, with the kernel that first had each.

use super::KernelVersion;
use std::fmt;

macro_rules! program_types {
    ($($variant:ident = $id:literal, $name:literal, ($major:literal, $minor:literal);)*) => {
        /// What kind of program it is: where it runs, what its context is and
        /// which helpers it may call. `BPF_PROG_TYPE_UNSPEC` is the absence
        /// of one.
        ///
        /// Numbers from include/uapi/linux/bpf.h, names as libbpf and bpftool
        /// print them, versions from the releases that first had them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        pub enum ProgramType {
            $(#[doc = concat!("`", $name, "`.")] $variant = $id,)*
        }

        impl ProgramType {
            /// Every program type, by number.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name that libbpf and bpftool use: `sched_cls`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The first kernel that has it.
            pub fn since(self) -> KernelVersion {
                match self { $(Self::$variant => KernelVersion::new($major, $minor),)* }
            }
        }
    };
}

program_types! {
    SocketFilter = 1, "socket_filter", (3, 19);
    Kprobe = 2, "kprobe", (4, 1);
    SchedCls = 3, "sched_cls", (4, 1);
    SchedAct = 4, "sched_act", (4, 1);
    Tracepoint = 5, "tracepoint", (4, 7);
    Xdp = 6, "xdp", (4, 8);
    PerfEvent = 7, "perf_event", (4, 9);
    CgroupSkb = 8, "cgroup_skb", (4, 10);
    CgroupSock = 9, "cgroup_sock", (4, 10);
    LwtIn = 10, "lwt_in", (4, 10);
    LwtOut = 11, "lwt_out", (4, 10);
    LwtXmit = 12, "lwt_xmit", (4, 10);
    SockOps = 13, "sock_ops", (4, 13);
    SkSkb = 14, "sk_skb", (4, 14);
    CgroupDevice = 15, "cgroup_device", (4, 15);
    SkMsg = 16, "sk_msg", (4, 17);
    RawTracepoint = 17, "raw_tracepoint", (4, 17);
    CgroupSockAddr = 18, "cgroup_sock_addr", (4, 17);
    LwtSeg6local = 19, "lwt_seg6local", (4, 18);
    LircMode2 = 20, "lirc_mode2", (4, 18);
    SkReuseport = 21, "sk_reuseport", (4, 19);
    FlowDissector = 22, "flow_dissector", (4, 20);
    CgroupSysctl = 23, "cgroup_sysctl", (5, 2);
    RawTracepointWritable = 24, "raw_tracepoint_writable", (5, 2);
    CgroupSockopt = 25, "cgroup_sockopt", (5, 3);
    Tracing = 26, "tracing", (5, 5);
    StructOps = 27, "struct_ops", (5, 6);
    Ext = 28, "ext", (5, 6);
    Lsm = 29, "lsm", (5, 7);
    SkLookup = 30, "sk_lookup", (5, 9);
    Syscall = 31, "syscall", (5, 14);
    Netfilter = 32, "netfilter", (6, 4);
}

impl ProgramType {
    /// The number the kernel knows it by.
    pub fn id(self) -> u32 {
        self as u32
    }

    /// The program type of that number.
    pub fn from_id(id: u32) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.id() == id)
    }

    /// The name of the kernel's constant: `BPF_PROG_TYPE_SCHED_CLS`.
    pub fn constant(self) -> String {
        format!("BPF_PROG_TYPE_{}", self.name().to_ascii_uppercase())
    }
}

impl fmt::Display for ProgramType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_dense() {
        for (index, program_type) in ProgramType::ALL.iter().enumerate() {
            assert_eq!(program_type.id() as usize, index + 1);
            assert_eq!(ProgramType::from_id(program_type.id()), Some(*program_type));
        }
        assert_eq!(ProgramType::from_id(0), None);
    }
}
