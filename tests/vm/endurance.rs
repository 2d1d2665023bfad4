//! What a run has to bear: floods, crowds, a guest's end, a cache that
//! vanishes, Ctrl-C at any moment; and that nothing depends on whether a
//! machine was booted or restored.

use crate::objects::{BAD, GOOD, object};
use crate::options::LOOP;
use crate::support::{Place, Run, debian, shared_cache};
use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Keeps the verifier busy for a while.
const LONG: &str = r#"
SEC("socket") int lengthy(struct ctx *ctx) {
	u64 sum = 0;
#pragma clang loop unroll(disable)
	for (int i = 0; i < 40000; i++)
		sum += ktime() ^ i;
	return sum;
}
"#;

/// A place with the shared cache's kernels and with snapshots of its own.
fn place() -> Place {
    let place = Place::new();
    place.skep(&["kernel", "path", "debian/bookworm"]).expect(0);
    let cache = place.path().join("cache");
    std::fs::create_dir(&cache).unwrap();
    std::os::unix::fs::symlink(shared_cache().join("kernels"), cache.join("kernels")).unwrap();
    place.env("SKEP_CACHE_DIR", cache)
}

#[test]
fn three_hundred_objects_go_through_one_machine() {
    let place = Place::new();
    let source = r#"SEC("socket") int nothing(void *ctx) { return 0; }"#;
    let bytes = std::fs::read(object(&place, "one", source)).unwrap();
    let names: Vec<String> = (0..300).map(|n| format!("many/{n}.bpf.o")).collect();
    for name in &names {
        place.file(name, &bytes);
    }
    let mut args = vec!["verify", "-v", "--kernel", "debian/bookworm", "--message-format", "short"];
    args.extend(names.iter().map(String::as_str));
    let run = place.skep(&args).expect(0);
    assert_eq!(run.stdout.matches("\taccepted\t").count(), 300, "{run}");
    assert!(!run.stderr.contains("lost"), "{run}");
}

#[test]
fn a_log_of_twenty_megabytes_comes_through_whole() {
    let place = Place::new();
    object(&place, "long", LONG);
    let args = ["verify", "long.bpf.o", "--kernel", "debian/bookworm", "--level", "2"];
    let run = place.skep(&[&args, &["--log", "all.log"][..]].concat()).expect(0);
    assert!(run.stdout.contains("accepted"), "{run}");
    let log = place.read("all.log");
    assert!(log.len() > 20 << 20, "{} bytes", log.len());
    assert!(log.contains("processed "), "{}", &log[log.len() - 500..]);
}

#[test]
fn a_guest_that_panics_is_told_with_its_last_words() {
    let place = Place::new();
    let crash = "echo before\necho c > /proc/sysrq-trigger\necho after\n";
    let run = place.fed(&["kernel", "run", "debian/bookworm"], crash).expect(3);
    assert!(run.stdout.contains("before") && !run.stdout.contains("after"), "{run}");
    assert!(run.stderr.contains("E0707") && run.stderr.contains("sysrq"), "{run}");
}

#[test]
fn a_guest_that_runs_out_of_memory_loses_only_who_took_it() {
    let place = Place::new();
    let busybox = debian::package("busybox-static", "bookworm").join("bin/busybox");
    let script = "busybox tail /dev/zero; echo rc $?";
    let bring = ["--bring", busybox.to_str().unwrap()];
    let command = ["--", "busybox", "sh", "-c", script];
    let run = place.skep(&[&["kernel", "run", "debian/bookworm"], &bring[..], &command].concat());
    let run = run.expect(0);
    assert_eq!(run.stdout, "rc 137\n", "{run}");
}

#[test]
fn a_cache_that_vanishes_costs_nothing_that_is_under_way() {
    let place = place();
    object(&place, "long", LONG);
    object(&place, "good", GOOD);
    let mut skep = place
        .command(&["verify", "--kernel", "debian/bookworm", "long.bpf.o", "good.bpf.o"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for(&mut skep, "Verifying");
    std::fs::remove_dir_all(place.path().join("cache")).unwrap();
    let run = Run::from(skep.wait_with_output().unwrap()).expect(0);
    assert_eq!(run.stdout.matches("accepted").count(), 3, "{run}");
}

fn wait_for(skep: &mut Child, word: &str) {
    let stderr = skep.stderr.as_mut().unwrap();
    let mut said = String::new();
    while !said.contains(word) {
        let mut bytes = [0; 256];
        let count = stderr.read(&mut bytes).unwrap();
        assert!(count > 0, "it ended without saying `{word}`: {said}");
        said.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
}

/// The processes that were started with a cache of this place's own.
fn processes(place: &Place) -> Vec<PathBuf> {
    let mark = format!("SKEP_CACHE_DIR={}", place.path().join("cache").display());
    let all = std::fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    all.filter(|path| {
        let environment = std::fs::read(path.join("environ")).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|entry| entry == mark.as_bytes())
    })
    .collect()
}

#[test]
fn ctrl_c_at_any_moment_leaves_nothing_behind() {
    let place = place();
    object(&place, "long", LONG);
    // The first has to boot, the later ones restore.
    for millis in [150, 2500, 40, 90, 160, 300, 700] {
        let skep = place
            .command(&["verify", "--kernel", "debian/bookworm", "long.bpf.o"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(millis));
        Command::new("kill").args(["-INT", &skep.id().to_string()]).status().unwrap();
        let run = Run::from(skep.wait_with_output().unwrap());
        // It may have been done already, or not have begun to listen.
        assert!([130, 0, -1].contains(&run.code), "after {millis} ms: {run}");
        for _ in 0..100 {
            if processes(&place).is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(processes(&place), Vec::<PathBuf>::new(), "after {millis} ms");
    }
    // And the cache is as good as before.
    place.skep(&["verify", "--kernel", "debian/bookworm", "long.bpf.o"]).expect(0);
}

/// The table without what differs from run to run: times, and how long the
/// machine code is, for an address that fits into 32 bits takes three bytes
/// less.
pub fn verdicts(run: &Run) -> Vec<Vec<String>> {
    let mut rows = run.stdout.lines().filter(|line| line.contains('\t'));
    let header: Vec<&str> = rows.next().unwrap().split('\t').collect();
    let lasting = |row: &str| -> Vec<String> {
        let cells = row
            .split('\t')
            .zip(&header)
            .filter(|(_, name)| !name.ends_with("micros") && **name != "jited_bytes");
        cells.map(|(cell, _)| cell.to_owned()).collect()
    };
    rows.map(lasting).collect()
}

/// A process of the guest loads one object after the other.
#[test]
fn what_was_loaded_before_makes_no_difference() {
    let place = Place::new();
    let mut paths = Vec::new();
    for (name, c) in [("good", GOOD), ("bad", BAD), ("loop", LOOP)] {
        object(&place, name, c);
        paths.push(format!("{name}.bpf.o"));
    }
    for (name, bytes) in debian::libbpf_tools().into_iter().skip(3).step_by(14) {
        place.file(&format!("{name}.bpf.o"), bytes);
        paths.push(format!("{name}.bpf.o"));
    }
    let verify = |paths: &[String]| {
        let mut args = vec!["verify", "-q", "--kernel", "debian/bookworm"];
        args.extend(["--message-format", "short"]);
        args.extend(paths.iter().map(String::as_str));
        let mut rows = verdicts(&place.skep(&args));
        rows.sort();
        rows
    };
    let forwards = verify(&paths);
    assert!(forwards.len() > 15, "{forwards:?}");
    paths.reverse();
    assert_eq!(forwards, verify(&paths));
    let alone = paths.iter().flat_map(|path| verify(std::slice::from_ref(path)));
    let mut alone: Vec<Vec<String>> = alone.collect();
    alone.sort();
    assert_eq!(forwards, alone);
}

/// Each of libbpf-tools' objects on one of the kernels: on all four it would
/// take minutes.
#[test]
fn real_programs_fare_alike_in_booted_and_restored_machines() {
    let place = Place::new();
    let mut tools = debian::libbpf_tools();
    // Its maps hardly fit into a guest's memory.
    tools.retain(|(name, _)| name != "klockstat");
    for (turn, kernel) in debian::KERNELS.into_iter().enumerate() {
        let mut args = vec!["verify", "-q", "--message-format", "short", "--kernel", kernel];
        let mut paths = Vec::new();
        for (name, bytes) in tools.iter().skip(turn).step_by(debian::KERNELS.len()) {
            let path = format!("tools/{name}.bpf.o");
            place.file(&path, bytes);
            paths.push(path);
        }
        args.extend(paths.iter().map(String::as_str));
        let warm = place.skep(&args);
        args.push("--cold");
        let cold = place.skep(&args);
        assert!(verdicts(&warm).len() > 30, "{kernel}: {warm}");
        assert_eq!(verdicts(&warm), verdicts(&cold), "{kernel}");
    }
}
