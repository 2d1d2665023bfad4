//! A program compiled with the pruned header is the program compiled with the
//! full one: the same instructions, maps and CO-RE relocations.

use crate::support::Place;
use skep::bpf::INSN_SIZE;
use skep::btf::{Btf, Kind, Type, TypeId};
use skep::elf::{MapDef, Object, section};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// Everything in an object that must not depend on the header: by section the
/// instructions; the relocations by name; the maps; the CO-RE relocations by
/// the names of types and members.
pub fn digest(bytes: &[u8]) -> String {
    let object = Object::parse(bytes).unwrap();
    assert_eq!(object.problems, []);
    let btf = object.btf.as_deref().unwrap();
    let mut text = String::new();
    for code in object.sections.iter().filter(|section| !section.insns.is_empty()) {
        let raw = section(bytes, &code.name).unwrap().unwrap();
        writeln!(text, "{}", code.name).unwrap();
        for insn in raw.chunks(INSN_SIZE) {
            writeln!(text, "  {insn:02x?}").unwrap();
        }
    }
    for map in &object.maps {
        // The numbers of types are the object's own.
        let [key, value] = [map.def.key, map.def.value].map(|ty| ty.map(|ty| btf.spell(ty, "")));
        let def = MapDef { key: None, value: None, ..map.def.clone() };
        writeln!(text, "map {} {def:?} {key:?} {value:?}", map.name).unwrap();
    }
    for relocation in &object.relocations {
        writeln!(text, "relocation {relocation:?}").unwrap();
    }
    for section in &object.ext.as_deref().unwrap().core_relo {
        for relo in &section.records {
            let section = btf.string(section.name).unwrap();
            let path = spelled(btf, relo.ty, btf.string(relo.access).unwrap(), relo.kind);
            writeln!(text, "core {section}+{} kind {}: {path}", relo.offset, relo.kind).unwrap();
        }
    }
    text
}

/// A path of CO-RE indices (`0:3:1`) in names, with anonymous members left
/// out.
fn spelled(btf: &Btf, root: TypeId, path: &str, kind: u32) -> String {
    let mut ty = btf.resolve(root);
    let mut text = format!("{} {}", btf.kind(root).as_str(), btf.name(root));
    let mut indices = path.split(':').map(|index| index.parse::<usize>().unwrap());
    let first = indices.next().unwrap();
    // Kinds 10 and 11 are about enumerators.
    if let (Type::Enum(values), 10 | 11) = (btf.ty(ty), kind) {
        return format!("{text}.{}", values.values().nth(first).unwrap().name);
    }
    write!(text, "[{first}]").unwrap();
    for index in indices {
        match btf.ty(ty) {
            Type::Array(array) => {
                write!(text, "[{index}]").unwrap();
                ty = btf.resolve(array.element);
            }
            _ => {
                let member = btf.as_composite(ty).unwrap().member(index).unwrap();
                if !member.name.is_empty() {
                    write!(text, ".{}", member.name).unwrap();
                }
                ty = btf.resolve(member.ty);
            }
        }
    }
    assert_ne!(btf.kind(ty), Kind::Void);
    text
}

/// Compiles a source with both headers and compares.
fn check(name: &str, source: &str) {
    let place = Place::new();
    place.file("t.bpf.c", source);
    let same = check_file(name, &place, "t.bpf.c");
    assert!(same.contains("core "), "it uses no type of the kernel's: {name}: {same}");
}

/// Compiles a source that lies in a place with both headers and compares;
/// gives what both come to.
fn check_file(name: &str, place: &Place, source: &str) -> String {
    for header in skep::build::libbpf::HEADERS {
        place.file(&format!("include/{}", header.name), header.text);
    }
    place.skep(&["vmlinux", "-o", "full/vmlinux.h"]).expect(0);
    place.skep(&["vmlinux", "--for", source, "-o", "pruned/vmlinux.h"]).expect(0);
    let compile = |with: &str| {
        let object = place.path().join(format!("{with}.o"));
        let clang = Command::new("clang-19")
            .args(["-target", "bpf", "-g", "-O2", "-mcpu=v3", "-D__TARGET_ARCH_x86", "-Werror"])
            .args(["-Wall", "-Iinclude", "-I", with, "-c", source])
            // usdt.bpf.h includes one of the system's headers.
            .args(["-idirafter", "/usr/include/x86_64-linux-gnu", "-o"])
            .arg(&object)
            .current_dir(place.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&clang.stderr);
        assert!(clang.status.success(), "{name} with the {with} header:\n{said}");
        digest(&std::fs::read(object).unwrap())
    };
    let (full, pruned) = (compile("full"), compile("pruned"));
    assert!(full == pruned, "{name}\n--- full\n{full}\n--- pruned\n{pruned}");
    let lines = place.read("pruned/vmlinux.h").lines().count();
    assert!(lines < 2000, "{name}: {lines} lines");
    full
}

#[test]
fn the_templates_compile_to_the_same() {
    let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let mut count = 0;
    for template in std::fs::read_dir(templates).unwrap() {
        let template = template.unwrap().file_name().into_string().unwrap();
        let place = Place::new();
        place.skep(&["new", "demo", "--template", &template]).expect(0);
        for source in std::fs::read_dir(place.path().join("demo/src")).unwrap() {
            let source = source.unwrap().file_name().into_string().unwrap();
            if source.ends_with(".bpf.c") {
                check_file(&template, &place, &format!("demo/src/{source}"));
                count += 1;
            }
        }
    }
    assert!(count >= 3, "only {count} sources");
}

const HEAD: &str = "#include <vmlinux.h>\n#include <bpf/bpf_helpers.h>\n\
    #include <bpf/bpf_core_read.h>\n#include <bpf/bpf_tracing.h>\n\
    char LICENSE[] SEC(\"license\") = \"GPL\";\n";

#[test]
fn types_are_followed_that_the_source_never_names() {
    let source = r#"
        SEC("iter/task")
        int dump(struct bpf_iter__task *ctx)
        {
            struct seq_file *seq = ctx->meta->seq;
            struct task_struct *task = ctx->task;
            if (!task)
                return 0;
            BPF_SEQ_PRINTF(seq, "%d %llu %s\n", task->pid, ctx->meta->session_id,
                           task->group_leader->comm);
            return 0;
        }
        SEC("tp_btf/sched_switch")
        int BPF_PROG(on_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
        {
            bpf_printk("%d %d", BPF_CORE_READ(prev, mm, owner, tgid),
                       BPF_CORE_READ(next, nsproxy, uts_ns, ns.inum));
            return bpf_core_enum_value(enum bpf_map_type, BPF_MAP_TYPE_HASH)
                + bpf_get_current_task_btf()->tgid;
        }
    "#;
    check("followed", &format!("{HEAD}{source}"));
}

#[test]
fn bit_fields_unions_and_values_keep_their_place() {
    let source = r#"
        struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8);
                 __type(key, struct in6_addr); __type(value, struct bpf_perf_event_value);
        } seen SEC(".maps");
        struct in6_addr last;
        SEC("fentry/tcp_connect")
        int BPF_PROG(connect, struct sock *sk)
        {
            struct in6_addr addr = {};
            struct bpf_perf_event_value value = {};
            struct tcp_sock *tp = (struct tcp_sock *)sk;
            value.counter = BPF_CORE_READ_BITFIELD_PROBED(sk, __sk_common.skc_reuse)
                + BPF_CORE_READ_BITFIELD(sk, sk_no_check_tx) + tp->nonagle + tp->srtt_us;
            value.enabled = sk->__sk_common.skc_family + sk->sk_userlocks;
            value.running = sizeof(struct sock) + sizeof(*tp) + bpf_core_type_size(struct sk_buff);
            bpf_core_read(&addr, sizeof(addr), &sk->__sk_common.skc_v6_daddr);
            last = addr;
            bpf_map_update_elem(&seen, &addr, &value, BPF_ANY);
            return 0;
        }
        SEC("socket")
        int filter(struct __sk_buff *skb)
        {
            return skb->len + skb->cb[2] + (skb->sk ? skb->sk->family : 0);
        }
    "#;
    check("bit-fields", &format!("{HEAD}{source}"));
}

#[test]
fn kernel_functions_that_are_called_are_declared() {
    let source = r#"
        SEC("tp_btf/task_newtask")
        int BPF_PROG(spawned, struct task_struct *task)
        {
            struct task_struct *found = bpf_task_from_pid(task->pid);
            if (found) {
                bpf_printk("%d", found->real_parent->pid);
                bpf_task_release(found);
            }
            return 0;
        }
    "#;
    check("kfuncs", &format!("{HEAD}{source}"));
}
