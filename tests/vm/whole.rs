//! What is right program by program and wrong in the object as a whole: what
//! `skep check` says beforehand, the kernel or libbpf say when all is loaded.

use crate::objects::object;
use crate::support::Place;

/// Two programs of two types share an array of programs.
const JUMPS: &str = r#"
struct { __uint(type, 3); __uint(max_entries, 2); __type(key, u32); __type(value, u32); } jumps SEC(".maps");
static long (*tail_call)(void *, void *, u32) = (void *)12;
SEC("xdp") int early(void *ctx) { tail_call(ctx, &jumps, 0); return 2; }
SEC("tc") int late(void *ctx) { tail_call(ctx, &jumps, 1); return 0; }
"#;

/// A program that its struct does not name.
const CALM: &str = r#"
struct sock;
struct tcp_congestion_ops { void (*init)(struct sock *); void (*release)(struct sock *); char name[16]; };
SEC("struct_ops") void calm_init(u64 *ctx) {}
SEC("struct_ops") void calm_release(u64 *ctx) {}
SEC(".struct_ops.link") struct tcp_congestion_ops calm = { .init = (void *)calm_init, .name = "calm" };
"#;

#[test]
fn an_array_of_programs_of_two_types_is_refused() {
    let place = Place::new();
    object(&place, "jumps", JUMPS);
    let checked = place.skep(&["check", "--message-format", "short", "jumps.bpf.o"]).expect(1);
    let expected = "jumps.bpf.c:5:33: error[E0349]: `jumps` is used by programs of two types: `late` \
                    is of type sched_cls, `early` of type xdp (program late) [tail-call-misuse]\n";
    assert!(checked.stdout.starts_with(expected), "{checked}");
    // Alone, the kernel accepts each; together, the second with no word.
    let verify = ["verify", "-k", "debian/trixie", "--message-format", "short", "jumps.bpf.o"];
    assert_eq!(place.skep(&verify).expect(0).stdout.matches("\taccepted\t").count(), 2);
    let run = ["run", "jumps.bpf.o", "-k", "debian/trixie", "-e", "cat /proc/version"];
    let run = place.skep(&run).expect(1);
    for part in ["cannot be loaded as a whole", "prog 'late': BPF program load failed: -EINVAL"] {
        assert!(run.stdout.contains(part), "no {part} in {run}");
    }
    // With an array each they are loaded together.
    let own = "struct { __uint(type, 3); __uint(max_entries, 2); __type(key, u32); __type(value, u32); } own SEC(\".maps\");";
    object(
        &place,
        "own",
        &JUMPS.replace("&jumps, 1", "&own, 1").replace("static", &format!("{own}\nstatic")),
    );
    place.skep(&["check", "own.bpf.o"]).expect(0);
    let run = ["run", "own.bpf.o", "-k", "debian/trixie", "-e", "cat /proc/version"];
    let run = place.skep(&run).expect(0);
    assert!(run.stderr.contains("Attached early") && run.stderr.contains("Attached late"), "{run}");
}

#[test]
fn a_program_that_no_struct_names_is_refused() {
    let place = Place::new();
    object(&place, "calm", CALM);
    let checked = place.skep(&["check", "--message-format", "short", "calm.bpf.o"]).expect(0);
    let expected = "calm.bpf.c:5:48: warning[W0422]: no struct of functions names `calm_release` \
                    (program calm_release) [unreferenced-program]\n";
    assert!(checked.stdout.starts_with(expected), "{checked}");
    let verify = ["verify", "-k", "debian/trixie", "--message-format", "short", "calm.bpf.o"];
    let run = place.skep(&verify);
    let line = |name: &str| {
        let mut lines = run.stdout.lines();
        lines.find(|line| line.starts_with(&format!("calm.bpf.o\t{name}\t"))).unwrap_or_default()
    };
    assert!(line("calm_init").contains("\taccepted\t"), "{run}");
    assert!(line("calm_release").contains("program isn't referenced anywhere"), "{run}");
}
