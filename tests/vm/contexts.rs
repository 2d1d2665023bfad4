//! The table of contexts (src/bpf/context.tsv) against the kernels themselves:
//! at the beginning of every field, and behind the last one, each size is read
//! and written by a program of its own. That is thousands of programs, each of
//! them a rejection to tell or a program to load: the suite asks 6.12 every
//! seventh, so that each size is asked in each section, the other kernels fewer
//! and all about fields that not every kernel has; and all of them everything
//! with `SKEP_ASK_ALL=1`.

use crate::objects::object;
use crate::support::{Place, debian};
use skep::bpf::{KernelVersion, SectionDef, SectionTarget, context};
use std::collections::{BTreeMap, BTreeSet};

/// Sections whose programs' contexts the table describes by fields.
const SECTIONS: &[&str] = &[
    "socket",
    "tc",
    "action",
    "xdp",
    "xdp/devmap",
    "cgroup_skb/ingress",
    "lwt_in",
    "lwt_xmit",
    "lwt_seg6local",
    "sk_skb",
    "sk_msg",
    "flow_dissector",
    "sockops",
    "sk_lookup",
    "sk_reuseport",
    "cgroup/sock_create",
    "cgroup/post_bind4",
    "cgroup/post_bind6",
    "cgroup/bind4",
    "cgroup/bind6",
    "cgroup/sendmsg4",
    "cgroup/sendmsg6",
    "cgroup/dev",
    "cgroup/sysctl",
    "cgroup/getsockopt",
    "cgroup/setsockopt",
    "netfilter",
];

/// An access, and whether the table allows it.
struct Access {
    place: i64,
    bytes: u8,
    is_write: bool,
    allowed: bool,
}

fn accesses(def: &SectionDef, version: KernelVersion, step: usize) -> Vec<Access> {
    let fields = context::fields(def.program_type).unwrap();
    let mut places: BTreeSet<i64> = fields.iter().map(|field| field.offset).collect();
    places.extend(fields.iter().map(|field| field.offset + field.bytes));
    let mut all = Vec::new();
    for place in places {
        for bytes in [1, 2, 4, 8] {
            for is_write in [false, true] {
                let (program, attach) = (def.program_type, def.attach_type);
                let known = context::may_access(program, attach, place, bytes, is_write).unwrap();
                let since = context::since(program, attach, place, bytes, is_write);
                let is_there =
                    program.since() <= version && since.is_none_or(|(_, since)| since <= version);
                let is_asked = all.len() % step == 0 || since.is_some();
                let access = Access { place, bytes, is_write, allowed: known && is_there };
                all.push((access, is_asked));
            }
        }
    }
    all.into_iter().filter(|(_, is_asked)| *is_asked).map(|(access, _)| access).collect()
}

/// A program for each access.
fn source(section: &str, accesses: &[Access]) -> String {
    let mut text = String::new();
    for (index, access) in accesses.iter().enumerate() {
        let kind = ["", "u8", "u16", "", "u32", "", "", "", "u64"][usize::from(access.bytes)];
        let memory = format!("*({kind} *)(r1 + {})", access.place);
        let code = match access.is_write {
            true => format!("r0 = 0; {memory} = r0; exit"),
            false => format!("r0 = {memory}; r0 = 0; exit"),
        };
        text.push_str(&format!(
            "__attribute__((naked)) SEC(\"{section}\") int p{index}(void *ctx) {{ asm volatile(\"{code}\"); }}\n"
        ));
    }
    text
}

#[test]
fn contexts_are_as_5_10_has_them() {
    ask("debian/bullseye", 31);
}

#[test]
fn contexts_are_as_6_1_has_them() {
    ask("debian/bookworm", 31);
}

#[test]
fn contexts_are_as_6_12_has_them() {
    ask("debian/trixie", 7);
}

#[test]
fn contexts_are_as_the_newest_kernel_has_them() {
    ask("debian/sid", 31);
}

/// Asks a kernel about one in so many accesses.
fn ask(kernel: &str, step: usize) {
    let step = if std::env::var_os("SKEP_ASK_ALL").is_some() { 1 } else { step };
    let version: KernelVersion = debian::kernel_release(kernel).parse().unwrap();
    let place = Place::new();
    let mut asked: BTreeMap<String, (&str, Vec<Access>)> = BTreeMap::new();
    let mut args = ["verify", "--kernel", kernel, "--message-format", "json"].to_vec();
    for section in SECTIONS {
        let name = section.replace(['/', '.'], "_");
        let accesses = accesses(SectionTarget::resolve(section).unwrap().def, version, step);
        object(&place, &name, &source(section, &accesses));
        asked.insert(name, (section, accesses));
    }
    let files: Vec<String> = asked.keys().map(|name| format!("{name}.bpf.o")).collect();
    args.extend(files.iter().map(String::as_str));
    let run = place.skep(&args).expect(1);
    let (mut wrong, mut count) = (Vec::new(), 0);
    for line in run.stdout.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        if row["reason"] != "program-verdict" {
            continue;
        }
        let path = row["object"].as_str().unwrap();
        let name = path.rsplit('/').next().unwrap().trim_end_matches(".bpf.o");
        let (section, accesses) = &asked[name];
        let index: usize = row["program"].as_str().unwrap()[1..].parse().unwrap();
        let Access { place, bytes, is_write, allowed } = accesses[index];
        let accepted = row["verdict"] == "accepted";
        count += 1;
        if accepted != allowed {
            let does = if is_write { "writes" } else { "reads" };
            wrong.push(format!(
                "{section} {does} {bytes} bytes at {place}: table {allowed}, kernel {accepted}"
            ));
        }
    }
    let expected: usize = asked.values().map(|(_, accesses)| accesses.len()).sum();
    assert_eq!(count, expected, "{}", run.stderr);
    assert!(wrong.is_empty(), "of {count}: {wrong:#?}");
}
