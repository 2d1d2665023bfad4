//! Which helpers each kind of program may call, by kernel.
//!
//! `allowed.tsv` is what the kernels themselves answered when they were asked
//! about every helper in every kind of program (`skep kernel features`;
//! tests/vm/features.rs asks again and makes the table anew). Its columns are
//! kernels; a cell has the numbers of helpers, or `-` where the kernel does
//! not take such programs.

use super::{AttachType, Helper, KernelVersion, ProgramType, SectionDef};
use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

static TABLE: &str = include_str!("allowed.tsv");

/// What decides over helpers: the program type, for some types the attach
/// type, and whether the program may sleep.
pub type Kind = (ProgramType, Option<AttachType>, bool);

struct Allowed {
    /// The kernels of the columns, oldest first.
    kernels: Vec<KernelVersion>,
    /// The cells: a bit a helper.
    kinds: HashMap<Kind, Vec<Option<Set>>>,
    /// What any program of a kernel may call: a helper that none may call is
    /// left out by the kernel's configuration, which says nothing of others.
    any: Vec<Set>,
}

/// A set of helpers, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Set([u64; 4]);

impl Set {
    fn read(text: &str) -> Option<Self> {
        let mut set = Self::default();
        for run in text.split(',').filter(|run| !run.is_empty()) {
            let (first, last) = run.split_once('-').unwrap_or((run, run));
            for id in first.parse::<usize>().ok()?..=last.parse().ok()? {
                *set.0.get_mut(id / 64)? |= 1 << (id % 64);
            }
        }
        Some(set)
    }

    fn has(self, helper: Helper) -> bool {
        let id = usize::try_from(helper.id()).unwrap_or_default();
        self.0.get(id / 64).is_some_and(|word| word >> (id % 64) & 1 == 1)
    }

    fn union(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] | other.0[word]))
    }
}

/// The kind of a section's programs. Only the program types named here look
/// at the attach type when they are asked for a helper (`get_func_proto` of
/// each type's `bpf_verifier_ops`, Linux 5.10 to 7.2).
pub fn kind(section: &SectionDef) -> Kind {
    let by_attach_type = matches!(
        section.program_type,
        ProgramType::Kprobe
            | ProgramType::CgroupSkb
            | ProgramType::CgroupSock
            | ProgramType::CgroupSockAddr
            | ProgramType::CgroupSockopt
            | ProgramType::Tracing
            | ProgramType::Lsm
    );
    let attach_type = section.attach_type.filter(|_| by_attach_type);
    (section.program_type, attach_type, section.sleepable)
}

fn allowed() -> &'static Allowed {
    static ALLOWED: OnceLock<Allowed> = OnceLock::new();
    ALLOWED.get_or_init(|| {
        let mut lines = TABLE.lines();
        let head = lines.next().unwrap_or_default();
        let kernels: Vec<KernelVersion> =
            head.split('\t').skip(1).filter_map(|text| text.parse().ok()).collect();
        let by_name: HashMap<&str, &SectionDef> =
            SectionDef::all().iter().map(|def| (def.name, def)).collect();
        let mut kinds = HashMap::new();
        let mut any = vec![Set::default(); kernels.len()];
        for line in lines {
            let mut cells = line.split('\t');
            let Some(section) = cells.next().and_then(|name| by_name.get(name)) else { continue };
            let sets: Vec<Option<Set>> =
                cells.map(|cell| (cell != "-").then(|| Set::read(cell)).flatten()).collect();
            for (any, set) in any.iter_mut().zip(&sets) {
                *any = any.union(set.unwrap_or_default());
            }
            kinds.insert(kind(section), sets);
        }
        Allowed { kernels, kinds, any }
    })
}

/// Whether it is the hook a program attaches to that decides over a helper
/// (`bpf_lsm_func_proto` in kernel/bpf/bpf_lsm.c): the table was asked with
/// one hook for all.
fn hangs_on_target(section: &SectionDef, helper: Helper) -> bool {
    section.attach_type == Some(AttachType::LsmCgroup)
        && matches!(helper.name(), "bpf_setsockopt" | "bpf_getsockopt")
}

/// Whether programs of a section may call a helper on a kernel, which has
/// the helper as such. None where it is not known: the kernel is newer than
/// those that were asked, or lies between two that answer differently.
pub fn may_call(section: &SectionDef, helper: Helper, kernel: KernelVersion) -> Option<bool> {
    if hangs_on_target(section, helper) {
        return None;
    }
    let table = allowed();
    let cells = table.kinds.get(&kind(section))?;
    let answer = |column: usize| {
        let is_allowed = (*cells.get(column)?)?.has(helper);
        (is_allowed || table.any[column].has(helper)).then_some(is_allowed)
    };
    // What is allowed stays so, and what is not was not before: programs of
    // older kernels must work on newer ones.
    let before = (0..table.kernels.len()).rev().find(|&at| table.kernels[at] <= kernel);
    if let Some(true) = before.and_then(answer) {
        return Some(true);
    }
    let after = (0..table.kernels.len()).find(|&at| table.kernels[at] >= kernel)?;
    answer(after).filter(|is_allowed| !is_allowed || table.kernels[after] == kernel)
}

/// Whether none of the kernels that were asked lets programs of a section
/// call a helper that the newest of them has.
pub fn is_never_allowed(section: &SectionDef, helper: Helper) -> bool {
    if hangs_on_target(section, helper) {
        return false;
    }
    let table = allowed();
    let is_there = table.any.last().is_some_and(|any| any.has(helper));
    let Some(cells) = table.kinds.get(&kind(section)) else { return false };
    let is_refused = |cell: &Option<Set>| cell.is_none_or(|set| !set.has(helper));
    is_there && cells.iter().any(Option::is_some) && cells.iter().all(is_refused)
}

/// The kernels that were asked, oldest first.
pub fn asked() -> &'static [KernelVersion] {
    &allowed().kernels
}

/// How many program types the newest kernel that was asked takes.
pub fn program_types() -> usize {
    let newest = |cells: &Vec<Option<Set>>| cells.last().is_some_and(Option::is_some);
    let taken = allowed().kinds.iter().filter(|(_, cells)| newest(cells));
    taken.map(|(kind, _)| kind.0).collect::<HashSet<_>>().len()
}

/// Sections whose programs may call a helper on the newest kernel that was
/// asked, in libbpf's order.
pub fn sections_for(helper: Helper) -> Vec<&'static SectionDef> {
    let table = allowed();
    let mut seen = HashSet::new();
    SectionDef::all()
        .iter()
        .filter(|def| {
            let newest = table.kinds.get(&kind(def)).and_then(|cells| *cells.last()?);
            newest.is_some_and(|set| set.has(helper)) && seen.insert(def.program_type)
        })
        .collect()
}

/// The section whose programs are those of another one but may sleep, if they
/// may call a helper on the newest kernel that was asked.
pub fn sleepable_variant(section: &SectionDef, helper: Helper) -> Option<&'static SectionDef> {
    let stem = section.name;
    SectionDef::all().iter().find(|def| {
        let newest = allowed().kinds.get(&kind(def)).and_then(|cells| *cells.last()?);
        def.sleepable
            && def.name.strip_suffix(".s") == Some(stem)
            && newest.is_some_and(|set| set.has(helper))
    })
}

#[cfg(test)]
mod tests {
    use super::super::SectionTarget;
    use super::*;

    fn ask(section: &str, helper: &str, kernel: (u16, u16)) -> Option<bool> {
        let def = SectionTarget::resolve(section).unwrap().def;
        let version = KernelVersion::new(kernel.0, kernel.1);
        may_call(def, Helper::by_name(helper).unwrap(), version)
    }

    #[test]
    fn every_row_is_read() {
        let table = allowed();
        assert_eq!(table.kinds.len(), TABLE.lines().count() - 1);
        assert!(table.kernels.is_sorted() && table.kernels.len() >= 4);
        for (kind, cells) in &table.kinds {
            assert_eq!(cells.len(), table.kernels.len(), "{kind:?}");
        }
    }

    #[test]
    fn well_known_facts_hold() {
        assert_eq!(ask("xdp", "bpf_redirect", (5, 10)), Some(true));
        assert_eq!(ask("xdp", "bpf_get_current_pid_tgid", (6, 1)), Some(false));
        assert_eq!(ask("kprobe/f", "bpf_xdp_adjust_head", (6, 12)), Some(false));
        assert_eq!(ask("kprobe/f", "bpf_get_current_pid_tgid", (5, 15)), Some(true));
        // What only the configuration left out says nothing.
        assert_eq!(ask("kprobe/f", "bpf_override_return", (6, 12)), None);
        // Nothing is known of what comes after the newest.
        assert_eq!(ask("xdp", "bpf_copy_from_user", (99, 0)), None);
        let xdp = SectionTarget::resolve("xdp").unwrap().def;
        let never = |helper| is_never_allowed(xdp, Helper::by_name(helper).unwrap());
        assert!(never("bpf_copy_from_user") && !never("bpf_redirect"));
        assert!(!never("bpf_override_return"));
        // A kernel between two that agree.
        assert_eq!(ask("xdp", "bpf_skb_load_bytes", (5, 15)), Some(false));
    }

    #[test]
    fn what_hangs_on_the_hook_is_not_known() {
        assert_eq!(ask("lsm_cgroup/socket_bind", "bpf_setsockopt", (6, 12)), None);
        let cgroup = SectionTarget::resolve("lsm_cgroup/inet_csk_clone").unwrap().def;
        assert!(!is_never_allowed(cgroup, Helper::by_name("bpf_getsockopt").unwrap()));
    }

    #[test]
    fn what_sleeps_has_a_section() {
        let def = |section| SectionTarget::resolve(section).unwrap().def;
        let copy = Helper::by_name("bpf_copy_from_user").unwrap();
        let variant = |section| sleepable_variant(def(section), copy).map(|def| def.name);
        assert_eq!(variant("uprobe"), Some("uprobe.s"));
        assert_eq!(variant("lsm/file_open"), Some("lsm.s"));
        assert_eq!(variant("xdp"), None);
        let redirect = Helper::by_name("bpf_redirect").unwrap();
        assert_eq!(sleepable_variant(def("lsm/file_open"), redirect), None);
    }

    #[test]
    fn a_helper_names_its_sections() {
        let adjust = Helper::by_name("bpf_xdp_adjust_head").unwrap();
        let names: Vec<_> = sections_for(adjust).iter().map(|def| def.program_type).collect();
        assert_eq!(names, [ProgramType::Xdp]);
    }
}
