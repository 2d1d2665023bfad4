//! Other architectures than this machine's: every one compiles, in its byte
//! order, with its registers.

use crate::support::Place;
use serde_json::Value;

/// A program that reads the first argument of the function it is attached to,
/// with the registers of each architecture as its kernel has them.
const SOURCE: &str = r#"
#include <linux/types.h>
typedef __u64 u64;
#if defined(__TARGET_ARCH_x86)
struct pt_regs { u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi; };
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs { u64 regs[31], sp, pc, pstate; };
#elif defined(__TARGET_ARCH_arm)
struct pt_regs { __u32 uregs[18]; };
#elif defined(__TARGET_ARCH_riscv)
struct user_regs_struct { u64 pc, ra, sp, gp, tp, t0, t1, t2, s0, s1, a0; };
#elif defined(__TARGET_ARCH_s390)
typedef struct { u64 args[1], psw[2], gprs[16]; } user_pt_regs;
#elif defined(__TARGET_ARCH_powerpc)
struct pt_regs { u64 gpr[32]; };
#elif defined(__TARGET_ARCH_loongarch)
struct user_pt_regs { u64 regs[32]; };
#elif defined(__TARGET_ARCH_mips)
struct pt_regs { u64 regs[32]; };
#endif
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_endian.h>
char LICENSE[] SEC("license") = "GPL";
u64 first;
__u16 port;
SEC("kprobe/do_unlinkat") int handle(struct pt_regs *ctx)
{
	first = PT_REGS_PARM1(ctx);
	port = bpf_htons(0x1234);
	return 0;
}
"#;

/// Each architecture, whether it is big-endian, and where its first argument
/// lies.
const ARCHITECTURES: &[(&str, bool, &str)] = &[
    ("x86", false, "*(u64 *)(r1 +112)"),
    ("arm64", false, "*(u64 *)(r1 +0)"),
    ("arm", false, "*(u32 *)(r1 +0)"),
    ("riscv", false, "*(u64 *)(r1 +80)"),
    ("s390", true, "*(u64 *)(r1 +40)"),
    ("powerpc", false, "*(u64 *)(r1 +24)"),
    ("loongarch", false, "*(u64 *)(r1 +32)"),
    ("mips", false, "*(u64 *)(r1 +32)"),
];

#[test]
fn every_architecture_compiles_with_its_registers_and_byte_order() {
    let place = Place::new();
    place.file("Skep.toml", "");
    place.file("src/args.bpf.c", SOURCE);
    assert_eq!(ARCHITECTURES.len(), skep::build::Arch::ALL.len());
    for (arch, is_big, first) in ARCHITECTURES {
        for profile in ["dev", "release"] {
            let release: &[&str] = if profile == "release" { &["--release"] } else { &[] };
            place.skep(&[&["build", "--target-arch", arch], release].concat()).expect(0);
            // This machine's own has no directory of its own.
            let dir = match skep::build::Arch::host().as_str() {
                host if host == *arch => String::new(),
                _ => format!("{arch}/"),
            };
            let object = format!("target/skep/{dir}{profile}/args.bpf.o");
            let bytes = std::fs::read(place.path().join(&object)).unwrap();
            // EI_DATA: 1 is little-endian, 2 is big-endian.
            assert_eq!(bytes[5], if *is_big { 2 } else { 1 }, "{arch}");
            let run = place.skep(&["disasm", &object, "handle"]).expect(0);
            assert!(run.stdout.contains(first), "{arch}: {run}");
            // 0x1234 in network order, as the architecture stores it.
            let port = if *is_big { 0x1234 } else { 0x3412 };
            assert!(run.stdout.contains(&format!("= {port}\n")), "{arch}: {run}");
        }
    }
}

#[test]
fn check_and_inspect_read_either_byte_order() {
    let place = Place::new();
    place.file("Skep.toml", "");
    place.file("src/args.bpf.c", SOURCE);
    for (arch, is_big) in [("s390", true), ("arm64", false)] {
        place.skep(&["build", "--target-arch", arch]).expect(0);
        let object = format!("target/skep/{arch}/dev/args.bpf.o");
        place.skep(&["check", &object]).expect(0);
        let run = place.skep(&["inspect", &object, "--message-format", "json"]).expect(0);
        let rows = run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let rows: Vec<Value> = rows.collect();
        let row = |reason: &str| rows.iter().find(|row| row["reason"] == reason).unwrap();
        assert_eq!(row("object")["big_endian"], is_big);
        assert_eq!(row("object-program")["type"], "kprobe");
        assert_eq!(row("object-global")["declaration"], "u64 first");
    }
}
