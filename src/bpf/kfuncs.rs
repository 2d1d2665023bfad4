//! What kernels say of their kfuncs: whether one may sleep, gives out a
//! reference, takes one back, and so on. BTF does not tell.
//!
//! `kfuncs.tsv` is read from the kernels' sources; tests/verifier/kfuncs.rs
//! reads them again and makes the table anew. Its columns are kernels, oldest
//! first.

use super::KernelVersion;
use std::collections::HashMap;
use std::fmt;
use std::sync::OnceLock;

static TABLE: &str = include_str!("kfuncs.tsv");

/// May sleep: only programs that may sleep too can call it (`KF_SLEEPABLE` in
/// include/linux/btf.h).
pub const SLEEPABLE: &str = "KF_SLEEPABLE";

/// The flags of a kfunc, by the names that include/linux/btf.h gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(&'static str);

impl Flags {
    fn read(cell: &'static str) -> Option<Self> {
        match cell {
            "-" => None,
            "0" => Some(Self("")),
            names => Some(Self(names)),
        }
    }

    /// Their names, in the order of the kernel's source.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.0.split('|').filter(|name| !name.is_empty())
    }

    /// Whether a flag is among them.
    pub fn has(self, flag: &str) -> bool {
        self.names().any(|name| name == flag)
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().collect::<Vec<_>>().join(" | "))
    }
}

struct Table {
    kernels: Vec<KernelVersion>,
    rows: HashMap<&'static str, Vec<Option<Flags>>>,
}

fn table() -> &'static Table {
    static KFUNCS: OnceLock<Table> = OnceLock::new();
    KFUNCS.get_or_init(|| {
        let mut lines = TABLE.lines().filter(|line| !line.starts_with('#'));
        // A name and its source come before the kernels.
        let head = lines.next().unwrap_or_default().split('\t').skip(2);
        let kernels = head.filter_map(|text| text.parse().ok()).collect();
        let rows = lines.filter_map(|line| {
            let (name, rest) = line.split_once('\t')?;
            Some((name, rest.split('\t').skip(1).map(Flags::read).collect()))
        });
        Table { kernels, rows: rows.collect() }
    })
}

/// Whether a kernel's kfunc has a flag. None where it is not known: the
/// kernel is older or newer than those that were read, or lies between two
/// that differ.
pub fn has_flag(name: &str, flag: &str, kernel: KernelVersion) -> Option<bool> {
    let table = table();
    let row = table.rows.get(name)?;
    let has = |column: usize| Some((*row.get(column)?)?.has(flag));
    let before = has(table.kernels.iter().rposition(|&known| known <= kernel)?)?;
    let after = has(table.kernels.iter().position(|&known| known >= kernel)?)?;
    (before == after).then_some(before)
}

/// The flags of a kfunc in the newest kernel that was read and has it.
pub fn newest(name: &str) -> Option<(KernelVersion, Flags)> {
    let table = table();
    let row = table.rows.get(name)?;
    let (at, flags) = row.iter().enumerate().rev().find_map(|(at, flags)| Some((at, (*flags)?)))?;
    Some((*table.kernels.get(at)?, flags))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeps(name: &str, kernel: (u16, u16)) -> Option<bool> {
        has_flag(name, SLEEPABLE, KernelVersion::new(kernel.0, kernel.1))
    }

    #[test]
    fn every_row_is_read() {
        let table = table();
        let rows = TABLE.lines().filter(|line| !line.starts_with('#')).count() - 1;
        assert_eq!(table.rows.len(), rows);
        assert!(table.kernels.is_sorted() && table.kernels.len() >= 2);
        for (name, flags) in &table.rows {
            assert_eq!(flags.len(), table.kernels.len(), "{name}");
            assert!(flags.iter().any(Option::is_some), "{name} is nowhere");
            let names = || flags.iter().flatten().flat_map(|flags| flags.names());
            assert!(names().all(|flag| flag.starts_with("KF_")), "{name}");
        }
    }

    #[test]
    fn flags_are_known_of_what_was_read_and_what_lies_between() {
        assert_eq!(sleeps("bpf_copy_from_user_str", (6, 12)), Some(true));
        assert_eq!(sleeps("bpf_copy_from_user_str", (6, 18)), Some(true));
        assert_eq!(sleeps("bpf_task_release", (7, 2)), Some(false));
        // Linux 7 lets programs that do not sleep call it; since when is open.
        assert_eq!(sleeps("bpf_arena_alloc_pages", (6, 12)), Some(true));
        assert_eq!(sleeps("bpf_arena_alloc_pages", (6, 18)), None);
        assert_eq!(sleeps("bpf_arena_alloc_pages", (7, 2)), Some(false));
        // Nothing is known of older and of newer kernels.
        assert_eq!(sleeps("bpf_copy_from_user_str", (6, 11)), None);
        assert_eq!(sleeps("bpf_copy_from_user_str", (99, 0)), None);
        assert_eq!(sleeps("bpf_nothing", (6, 12)), None);
    }

    #[test]
    fn the_newest_flags_are_told() {
        let (kernel, flags) = newest("cgroup_rstat_flush").unwrap();
        assert_eq!((kernel, flags.to_string()), (KernelVersion::new(6, 12), "KF_SLEEPABLE".into()));
        let (_, flags) = newest("bpf_task_acquire").unwrap();
        assert_eq!(flags.to_string(), "KF_ACQUIRE | KF_RCU | KF_RET_NULL");
        assert_eq!(newest("bpf_preempt_disable").unwrap().1.names().count(), 0);
    }
}
