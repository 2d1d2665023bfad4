//! Map types, with the kernel that first had each, and the flags that a map
//! definition may carry.

use super::numbered::numbered;

numbered! {
    /// What kind of map it is. `BPF_MAP_TYPE_UNSPEC` is the absence of
    /// one.
    ///
    /// Numbers from include/uapi/linux/bpf.h, names as libbpf and bpftool
    /// print them, versions from the releases that first had them.
    MapType: "map type";
    Hash = 1, "hash", (3, 19);
    Array = 2, "array", (3, 19);
    ProgArray = 3, "prog_array", (4, 2);
    PerfEventArray = 4, "perf_event_array", (4, 3);
    PercpuHash = 5, "percpu_hash", (4, 6);
    PercpuArray = 6, "percpu_array", (4, 6);
    StackTrace = 7, "stack_trace", (4, 6);
    CgroupArray = 8, "cgroup_array", (4, 8);
    LruHash = 9, "lru_hash", (4, 10);
    LruPercpuHash = 10, "lru_percpu_hash", (4, 10);
    LpmTrie = 11, "lpm_trie", (4, 11);
    ArrayOfMaps = 12, "array_of_maps", (4, 12);
    HashOfMaps = 13, "hash_of_maps", (4, 12);
    Devmap = 14, "devmap", (4, 14);
    Sockmap = 15, "sockmap", (4, 14);
    Cpumap = 16, "cpumap", (4, 15);
    Xskmap = 17, "xskmap", (4, 18);
    Sockhash = 18, "sockhash", (4, 18);
    CgroupStorage = 19, "cgroup_storage", (4, 19);
    ReuseportSockarray = 20, "reuseport_sockarray", (4, 19);
    PercpuCgroupStorage = 21, "percpu_cgroup_storage", (4, 20);
    Queue = 22, "queue", (4, 20);
    Stack = 23, "stack", (4, 20);
    SkStorage = 24, "sk_storage", (5, 2);
    DevmapHash = 25, "devmap_hash", (5, 4);
    StructOps = 26, "struct_ops", (5, 6);
    Ringbuf = 27, "ringbuf", (5, 8);
    InodeStorage = 28, "inode_storage", (5, 10);
    TaskStorage = 29, "task_storage", (5, 11);
    BloomFilter = 30, "bloom_filter", (5, 16);
    UserRingbuf = 31, "user_ringbuf", (6, 1);
    CgrpStorage = 32, "cgrp_storage", (6, 2);
    Arena = 33, "arena", (6, 9);
    InsnArray = 34, "insn_array", (6, 19);
}

impl MapType {
    /// The name of the kernel's constant: `BPF_MAP_TYPE_PERCPU_HASH`.
    pub fn constant(self) -> String {
        format!("BPF_MAP_TYPE_{}", self.name().to_ascii_uppercase())
    }

    /// Whether its values are other maps.
    pub fn is_map_in_map(self) -> bool {
        matches!(self, Self::ArrayOfMaps | Self::HashOfMaps)
    }

    /// Whether each value belongs to an object of the kernel, which the key
    /// names: such maps have no size of their own.
    pub fn is_local_storage(self) -> bool {
        matches!(self, Self::SkStorage | Self::InodeStorage | Self::TaskStorage | Self::CgrpStorage)
    }
}

/// Flags of a map's definition (`map_flags`, include/uapi/linux/bpf.h).
pub mod flags {
    /// Elements are allocated when they are added.
    pub const NO_PREALLOC: u32 = 1 << 0;
    /// Each CPU has an LRU list of its own.
    pub const NO_COMMON_LRU: u32 = 1 << 1;
    /// `numa_node` counts.
    pub const NUMA_NODE: u32 = 1 << 2;
    /// User space may only read.
    pub const RDONLY: u32 = 1 << 3;
    /// User space may only write.
    pub const WRONLY: u32 = 1 << 4;
    /// Stack traces hold build ids.
    pub const STACK_BUILD_ID: u32 = 1 << 5;
    /// The hash is not seeded (tests only).
    pub const ZERO_SEED: u32 = 1 << 6;
    /// Programs may only read.
    pub const RDONLY_PROG: u32 = 1 << 7;
    /// Programs may only write.
    pub const WRONLY_PROG: u32 = 1 << 8;
    /// Storage is copied to cloned sockets.
    pub const CLONE: u32 = 1 << 9;
    /// User space may map it.
    pub const MMAPABLE: u32 = 1 << 10;
    /// Elements stay when the map's file descriptor is closed.
    pub const PRESERVE_ELEMS: u32 = 1 << 11;
    /// Inner maps may differ in max_entries.
    pub const INNER_MAP: u32 = 1 << 12;
    /// The map is a struct_ops that is attached by a link.
    pub const LINK: u32 = 1 << 13;

    /// The names of the flags that are set, joined by `|`, unknown ones as a
    /// number.
    pub fn names(flags: u32) -> String {
        const NAMES: [&str; 14] = [
            "NO_PREALLOC",
            "NO_COMMON_LRU",
            "NUMA_NODE",
            "RDONLY",
            "WRONLY",
            "STACK_BUILD_ID",
            "ZERO_SEED",
            "RDONLY_PROG",
            "WRONLY_PROG",
            "CLONE",
            "MMAPABLE",
            "PRESERVE_ELEMS",
            "INNER_MAP",
            "LINK",
        ];
        let mut words: Vec<String> = NAMES
            .iter()
            .enumerate()
            .filter(|(bit, _)| flags & 1 << bit != 0)
            .map(|(_, name)| format!("BPF_F_{name}"))
            .collect();
        let rest = flags & !((1 << NAMES.len()) - 1);
        if rest != 0 {
            words.push(format!("{rest:#x}"));
        }
        words.join("|")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_dense() {
        for (index, map_type) in MapType::ALL.iter().enumerate() {
            assert_eq!(map_type.id() as usize, index + 1);
        }
    }

    #[test]
    fn flags_have_names() {
        let text = flags::names(flags::NO_PREALLOC | flags::LINK | 1 << 20);
        assert_eq!(text, "BPF_F_NO_PREALLOC|BPF_F_LINK|0x100000");
    }
}
