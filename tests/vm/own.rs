//! `skep verify --host`: the kernel that skep itself runs on. Inside of a guest
//! that is the guest's kernel, whatever machine the tests run on.

use crate::objects::{BAD, GOOD, object};
use crate::options::rows;
use crate::support::{Place, Run};
use serde_json::Value;

/// A kprobe that no kernel can attach, and a program for a function of it.
const PROBES: &str = r#"
SEC("kprobe/no_such_function") int nowhere(void *ctx) { return 0; }
SEC("fentry/vfs_read") int read(void *ctx) { return 0; }
"#;

const OBJECTS: [&str; 3] = ["bad.bpf.o", "good.bpf.o", "probes.bpf.o"];

/// A place with three objects.
fn place() -> Place {
    let place = Place::new();
    for (name, c) in [("bad", BAD), ("good", GOOD), ("probes", PROBES)] {
        object(&place, name, c);
    }
    place
}

/// Commands for the shell of a guest that has the objects.
fn in_guest(place: &Place, commands: &str) -> Run {
    let bring: Vec<&str> = OBJECTS.iter().flat_map(|object| ["--bring", object]).collect();
    place.fed(&[&["kernel", "run", "debian/trixie"], &bring[..]].concat(), commands)
}

/// What a verdict says besides times and places.
fn verdict(row: &Value) -> Vec<Value> {
    let keys = [
        "program",
        "release",
        "verdict",
        "stage",
        "errno",
        "libbpf",
        "instructions",
        "states",
        "stack",
        "xlated_bytes",
        "jited_bytes",
    ];
    keys.iter().map(|key| row[key].clone()).collect()
}

#[test]
fn the_kernel_that_skep_runs_on_says_what_the_same_one_says_in_a_guest() {
    let place = place();
    let run = in_guest(
        &place,
        "cd /bring\n\
         /init verify --host --message-format json bad.bpf.o good.bpf.o probes.bpf.o\n\
         echo rc $? >/rc; bpf prog list >/left; bpf map list >>/left; ps >>/left\n\
         cat /rc /left >/proc/self/fd/2\n",
    );
    assert!(run.stderr.contains("rc 1\n"), "{run}");
    assert!(run.stderr.contains("on this machine's own kernel, Linux 6.12."), "{run}");
    // Nothing stays: no program, no map, no process.
    for left in ["count", "unchecked", "__load"] {
        let after = run.stderr.split("rc 1\n").nth(1).unwrap();
        assert!(!after.contains(left), "{run}");
    }
    let own = rows(&run, "program-verdict");
    assert!(own.iter().all(|row| row["kernel"] == "own"), "{run}");
    let args = ["verify", "--kernel", "debian/trixie", "--message-format", "json"];
    let guest = place.skep(&[&args, &OBJECTS[..]].concat()).expect(1);
    let theirs = rows(&guest, "program-verdict");
    assert_eq!(own.len(), 8, "{run}");
    assert_eq!(
        own.iter().map(verdict).collect::<Vec<_>>(),
        theirs.iter().map(verdict).collect::<Vec<_>>()
    );
    // Whether a probe can be attached is found out by trying, so only in a
    // guest.
    let codes = |run: &Run| -> Vec<String> {
        let findings = rows(run, "compiler-message");
        let code = |row: &Value| row["message"]["code"]["code"].as_str().unwrap().to_owned();
        findings.iter().map(code).collect()
    };
    assert_eq!(codes(&guest).iter().filter(|code| *code == "E0351").count(), 2, "{guest}");
    assert_eq!(codes(&run).iter().filter(|code| *code == "E0351").count(), 1, "{run}");
}

/// Everything that comes out of programs at work, of files whose names begin
/// with `/mark`.
const MARKS: &str = r#"
struct open { u64 common; long nr; u64 args[4]; };
struct event { int length; char path[16]; } unused;
struct { __uint(type, 27); __uint(max_entries, 1 << 16); } events SEC(".maps");
struct { __uint(type, 1); __uint(max_entries, 8); __type(key, u32); __type(value, u64); } counts SEC(".maps");
static long (*update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*print)(const char *format, u32 size, ...) = (void *)6;
static long (*read_path)(void *to, u32 size, const void *from) = (void *)114;
static long (*output)(void *ring, void *data, u64 size, u64 flags) = (void *)130;
const volatile int factor = 1;
long total;
SEC("tracepoint/syscalls/sys_enter_openat") int on_open(struct open *ctx) {
	static const char format[] = "%d long";
	struct event event = {};
	u64 one = 1;
	event.length = read_path(event.path, sizeof(event.path), (void *)ctx->args[1]);
	if (__builtin_memcmp(event.path, "/mark", 5))
		return 0;
	__sync_fetch_and_add(&total, factor);
	update(&counts, &event.length, &one, 0);
	output(&events, &event, sizeof(event), 0);
	print(format, sizeof(format), event.length);
	return 0;
}
"#;

/// Programs that nothing is attached for by itself.
const NETWORK: &str = r#"
SEC("tc") int drop(void *ctx) { return 2; }
SEC("xdp") int pass(struct ctx *ctx) { return 2; }
SEC("cgroup_skb/egress") int group(void *ctx) { return 1; }
"#;

/// What a shell does with programs at work: they end when it says so, and when
/// the skep that attached them is gone. What it reads ends with the last process
/// that could write it.
const SCRIPT: &str = r#"
wait_for() {
	while read -r line; do
		case "$line" in *"$1"*) return ;; esac
	done
}
rest() {
	while read -r line; do echo "$line"; done
}
holders() {
	read -r holders </sys/module/sch_ingress/refcnt
	echo "$1 $holders"
}
sh -c 'sh -c "echo \$\$; exec /init run --host --yes marks.bpf.o 2>&1"; echo "interrupted $?"' | {
	read -r pid
	wait_for Running
	: >/marked
	wait_for /marked
	kill -INT $pid
	rest
}
network="--attach drop=lo --attach pass=lo --attach group=/sys/fs/cgroup network.bpf.o"
sh -c "echo \$\$; exec /init run --host --yes $network 2>&1" | {
	read -r pid
	wait_for Running
	holders attached
	kill -KILL $pid
	rest
}
holders gone
"#;

#[test]
fn programs_at_work_on_the_own_kernel_say_what_they_say_in_a_guest() {
    let place = Place::new();
    object(&place, "marks", MARKS);
    object(&place, "network", NETWORK);
    place.file("script", SCRIPT);
    let run = place.fed(
        &[
            &["kernel", "run", "debian/trixie", "--module", "sch_ingress", "--module", "cls_bpf"][..],
            &["--bring", "marks.bpf.o", "--bring", "network.bpf.o", "--bring", "script"],
            &["--bring", "/bin/sh"],
        ]
        .concat(),
        "cd /bring; mkdir /sys/kernel/tracing/instances/skep-4194304\n\
         /init run --host --yes --message-format json --set factor=3 -e 'echo is >/marked; echo on; exit 3' marks.bpf.o\n\
         echo run $? >/said; sh -c 'sh script >>/said'\n\
         echo left >>/said; bpf prog list >>/said; bpf map list >>/said\n\
         ls /sys/kernel/tracing/instances >>/said; cat /said >/proc/self/fd/2\n",
    );
    assert!(run.stderr.contains("Running on this machine's own kernel (6.12."), "{run}");
    let guest =
        place
            .skep(
                &[
                    &[
                        "run",
                        "-k",
                        "debian/trixie",
                        "--message-format",
                        "json",
                        "--set",
                        "factor=3",
                    ][..],
                    &["-e", "touch /marked; echo on; exit 3", "marks.bpf.o"],
                ]
                .concat(),
            )
            .expect(3);
    for reason in ["attached", "event", "output", "map-entry"] {
        let own = rows(&run, reason);
        assert!(!own.is_empty(), "{reason}: {run}");
        assert_eq!(own, rows(&guest, reason), "{run}\n{guest}");
    }
    let printed = |run: &Run| -> Vec<(Value, Value)> {
        let rows = rows(run, "printed");
        rows.iter().map(|row| (row["task"].clone(), row["text"].clone())).collect()
    };
    assert_eq!(printed(&run), printed(&guest), "{run}\n{guest}");
    assert_eq!(printed(&run).len(), 1, "{run}");
    assert_eq!(rows(&run, "ready")[0]["kernel"], "own", "{run}");

    let said = &run.stderr[run.stderr.find("run 3\n").unwrap_or_else(|| panic!("{run}"))..];
    let (said, left) = said.split_once("left\n").unwrap_or_else(|| panic!("{run}"));
    assert!(said.contains("interrupted 0\n") && said.contains("total = 1\n"), "{run}");
    // The queueing discipline is one of the things that must not stay.
    assert!(said.contains("attached 1\n") && said.contains("gone 0\n"), "{run}");
    // Nor what an earlier one has left that was killed.
    assert_eq!(left.trim(), "", "{run}");
}

#[test]
fn the_own_kernel_refuses_programs_as_in_a_guest_or_says_what_is_special() {
    let place = place();
    object(&place, "probe", "SEC(\"kprobe/vfs_read\") int probe(void *ctx) { return 0; }\n");
    let run = place.fed(
        &[
            "kernel",
            "run",
            "debian/trixie",
            "--bring",
            "bad.bpf.o",
            "--bring",
            "probes.bpf.o",
            "--bring",
            "probe.bpf.o",
            "--bring",
            "/bin/sh",
        ],
        "cd /bring\n\
         /init run --host --yes --message-format json --attach unchecked=lo --attach fine=lo bad.bpf.o\n\
         echo bad $? >/proc/self/fd/2\n\
         mount -t tmpfs none /sys/kernel/btf\n\
         sh -c '/init run --host --yes probes.bpf.o >&2'\n\
         echo types $? >/proc/self/fd/2\n\
         mount -t securityfs none /sys/kernel/security\n\
         echo confidentiality >/sys/kernel/security/lockdown\n\
         sh -c '/init run --host --yes --for 1ms probe.bpf.o >&2'\n\
         echo locked $? >/proc/self/fd/2\n",
    );
    let codes = |run: &Run| -> Vec<Value> {
        let findings = rows(run, "compiler-message");
        findings.iter().map(|row| row["message"]["code"]["code"].clone()).collect()
    };
    let args = ["run", "-k", "debian/trixie", "--message-format", "json", "bad.bpf.o"];
    let guest = place.skep(&args).expect(1);
    assert_eq!(codes(&run), codes(&guest), "{run}\n{guest}");
    assert!(!codes(&run).is_empty(), "{run}");
    let (bad, rest) = run.stderr.split_once("bad 1\n").unwrap_or_else(|| panic!("{run}"));
    assert!(!bad.contains("BTF"), "{run}");
    let (types, rest) = rest.split_once("types 1\n").unwrap_or_else(|| panic!("{run}"));
    assert!(types.contains("this machine's kernel has no BTF of itself"), "{run}");
    let (locked, _) = rest.split_once("locked 1\n").unwrap_or_else(|| panic!("{run}"));
    assert!(locked.contains("error[E0801]"), "{run}");
    assert!(locked.contains("this machine's kernel is locked down (confidentiality)"), "{run}");
}
