//! `skep gen`: skeletons beside those of bpftool, and types that compile.

use crate::support::{Place, debian};
use skep::build::skeleton::{self, types};
use skep::elf::Object;
use std::path::Path;
use std::process::Command;

/// Everything a skeleton can have.
const RICH: &str = r#"#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "rich.h"
char LICENSE[] SEC("license") = "GPL";
const volatile int least = 3;
const volatile char filter[16];
unsigned long long total;
_Bool on = 1;
struct event last;
enum level level = HIGH;
struct event *nowhere;
int (*callback)(struct event *event, const char *text);
static int hidden_static;
int secret __hidden = 4;
int custom SEC(".data.custom") = 5;
long matrix[2][3];
struct { char a; long b; union { int c; char d[3]; }; } nameless[2];
extern int LINUX_KERNEL_VERSION __kconfig;
extern _Bool CONFIG_BPF __kconfig __weak;
extern char CONFIG_CC_VERSION_TEXT[64] __kconfig __weak;
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } ring SEC(".maps");
struct inner { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, int); __type(value, long); };
struct { __uint(type, BPF_MAP_TYPE_HASH_OF_MAPS); __uint(max_entries, 4); __type(key, int); __array(values, struct inner); } outer SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 4); __type(key, struct key); __type(value, struct event); } events SEC(".maps");
SEC("tp/syscalls/sys_enter_openat") int handle(void *ctx)
{
	struct key key = {};

	if (LINUX_KERNEL_VERSION < 1 || !CONFIG_BPF || CONFIG_CC_VERSION_TEXT[0] == 'x')
		return 0;
	total += least + secret + hidden_static + custom + nameless[1].a + matrix[1][1] + level;
	hidden_static++;
	on = !nowhere && !callback;
	bpf_map_update_elem(&events, &key, &last, 0);
	bpf_printk("opened by %s", filter);
	return bpf_map_lookup_elem(&outer, &least) || bpf_map_lookup_elem(&ring, &least);
}
SEC("kprobe/do_exit") int leave(void *ctx) { return 0; }
struct my_ops { int (*init)(void *sk); unsigned int flags; enum level level; void *owner; char name[16]; };
SEC("struct_ops/init") int ops_init(void *ctx) { return 0; }
SEC(".struct_ops.link") struct my_ops ops = { .init = (void *)ops_init, .name = "mine", .flags = 1 };
"#;

const HEADER: &str = "enum level { LOW = -1, HIGH = 7 };\n\
    struct key { unsigned char low : 3, high : 5; short port; struct { int x; } inner[2]; };\n\
    struct event { int pid; char comm[16]; unsigned long long time; struct key key; };\n";

/// Uses all of it as people do.
const USER: &str = r#"#include <stdio.h>
#include <string.h>
#include "rich.h"
#include "SKELETON"
int main(void)
{
	struct rich_bpf *skel = rich_bpf__open();
	size_t size = 0;
	const void *bytes = rich_bpf__elf_bytes(&size);
	struct bpf_map *maps[] = { skel->maps.ring, skel->maps.outer, skel->maps.events,
		skel->maps.rodata, skel->maps.data, skel->maps.data_custom, skel->maps.bss,
		skel->maps.kconfig };
	struct bpf_program *progs[] = { skel->progs.handle, skel->progs.leave, skel->progs.ops_init };
	struct bpf_link **links[] = { &skel->links.handle, &skel->links.leave };
	struct rich_bpf__rodata *rodata = skel->rodata;
	struct rich_bpf__data_custom *custom = skel->data_custom;
	struct rich_bpf__kconfig *kconfig = skel->kconfig;

	rodata->least = 9;
	memset(skel->rodata->filter, 0, sizeof(skel->rodata->filter));
	skel->bss->last.pid = skel->bss->nameless[1].c + (int)skel->bss->matrix[1][2];
	skel->bss->total++;
	skel->data->level = LOW;
	skel->bss->callback = NULL;
	skel->bss->nowhere = &skel->bss->last;
	for (size = 0; size < sizeof(maps) / sizeof(*maps); size++)
		if (!maps[size])
			return 2;
	printf("%d %d %d %d %d\n", rodata->least, skel->data->on, custom->custom,
	       (int)sizeof(kconfig->CONFIG_CC_VERSION_TEXT), !progs[0] || !links[0] || !bytes);
	(void)rich_bpf__load; (void)rich_bpf__attach; (void)rich_bpf__detach;
	(void)rich_bpf__open_opts; (void)rich_bpf__open_and_load; (void)rich_bpf__create_skeleton;
	rich_bpf__destroy(skel);
	return 0;
}
"#;

fn rich() -> Place {
    let place = Place::new();
    place.file("Skep.toml", "[package]\nname = \"rich\"\n[user]\nkind = \"c\"\n");
    place.file("include/rich.h", HEADER);
    place.file("src/rich.bpf.c", RICH);
    place.file("src/rich.c", USER.replace("SKELETON", "rich.skel.h"));
    place
}

/// Where the headers of a libbpf are that knows of all this.
fn libbpf_headers() -> String {
    let bundle = std::fs::read_dir(crate::support::shared_cache().join("libbpf")).unwrap();
    let newest = bundle
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("libbpf.a").exists())
        .max_by_key(|path| std::fs::metadata(path).unwrap().modified().unwrap());
    newest.unwrap().join("include").to_str().unwrap().to_owned()
}

pub(super) fn bpftool(kind: &str, object: &Path) -> String {
    let ran = Command::new("bpftool").args(["gen", kind]).arg(object).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

/// The words and signs of the skeleton's struct, up to what is for C++.
pub(super) fn members(header: &str, name: &str) -> Vec<String> {
    let start = header.find(&format!("struct {name} {{")).unwrap();
    let end = header[start..].find("#ifdef __cplusplus").unwrap();
    let text = header[start..start + end].replace("_Bool", "bool");
    let mut words = vec![String::new()];
    for c in text.chars() {
        let joins = |c: char| c.is_alphanumeric() || c == '_';
        if joins(c) && words.last().unwrap().chars().all(joins) {
            words.last_mut().unwrap().push(c);
        } else {
            words.push(c.to_string());
        }
    }
    words.retain(|word| !word.trim().is_empty());
    // Before libbpf 1.5, maps whose variables are all static were mapped too.
    while let Some(at) = words.windows(2).position(|pair| pair == ["{", "}"]) {
        words.drain(at - 2..at + 5);
    }
    words
}

/// The functions of the skeleton.
pub(super) fn functions(header: &str, name: &str) -> Vec<String> {
    let mut found: Vec<String> = header
        .match_indices(&format!("{name}__"))
        .filter_map(|(at, _)| header[at + name.len() + 2..].split_once('('))
        .map(|(word, _)| word)
        .filter(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
        .map(str::to_owned)
        .collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn real_objects_have_the_skeletons_that_bpftool_gives_them() {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in debian::libbpf_tools() {
        let path = dir.path().join(format!("{name}.bpf.o"));
        std::fs::write(&path, &bytes).unwrap();
        let name = skeleton::name_of(&path);
        let object = Object::parse(&bytes).unwrap();
        let ours = skeleton::c(&object, &bytes, &name).unwrap();
        let theirs = bpftool("skeleton", &path);
        assert_eq!(members(&ours, &name), members(&theirs, &name), "{name}");
        assert_eq!(functions(&ours, &name), functions(&theirs, &name), "{name}");
    }
}

#[test]
fn one_program_compiles_with_either_skeleton() {
    let place = rich();
    place.skep(&["build"]).expect(0);
    let program = place.path().join("target/skep/dev/rich");
    // It found every map and program in the object, or opening had failed.
    let ran = Command::new(program).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "9 1 5 64 0\n", "{ran:?}");
    let theirs = bpftool("skeleton", &place.path().join("target/skep/dev/rich.bpf.o"));
    place.file("theirs.skel.h", theirs);
    place.file("theirs.c", USER.replace("SKELETON", "theirs.skel.h"));
    let headers = libbpf_headers();
    let compile = |compiler: &str, args: &[&str], file: &str| {
        let mut command = Command::new(compiler);
        command.args(["-fsyntax-only", "-Iinclude", "-Itarget/skep/dev/gen", "-isystem", &headers]);
        let ran = command.args(args).arg(file).current_dir(place.path()).output().unwrap();
        assert!(
            ran.status.success(),
            "{compiler} {file}: {}",
            String::from_utf8_lossy(&ran.stderr)
        );
    };
    compile("cc", &["-Wall"], "theirs.c");
    let strict = ["-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers"];
    compile("cc", &[&strict[..], &["-std=c11"]].concat(), "src/rich.c");
    compile("cc", &[&strict[..], &["-std=gnu89"]].concat(), "src/rich.c");
    // Classes, and the functions in them.
    let class = USER.replace("SKELETON", "rich.skel.h");
    // Structs within a class belong to it, with bpftool's skeletons too.
    let class = class.replace("struct rich_bpf__", "struct rich_bpf::rich_bpf__").replace(
        "(void)rich_bpf__load;",
        "{\n\
        \t\tstruct rich_bpf *own = rich_bpf::open();\n\t\tint result = rich_bpf::load(own);\n\n\
        \t\tresult |= rich_bpf::attach(own);\n\t\trich_bpf::detach(own);\n\
        \t\trich_bpf::destroy(own);\n\t\trich_bpf::elf_bytes(&size);\n\
        \t\tif (result)\n\t\t\trich_bpf::destroy(rich_bpf::open_and_load());\n\t}",
    );
    place.file("class.cc", class);
    compile("c++", &[&strict[..], &["-std=c++11"]].concat(), "class.cc");
}

#[test]
fn struct_ops_have_links_and_shadows() {
    let place = rich();
    place.skep(&["build"]).expect(0);
    let header = place.read("target/skep/dev/gen/rich.skel.h");
    // As recent bpftools write it, read from their source; none was at hand.
    let shadow = "struct { struct rich_bpf__ops__my_ops { struct bpf_program *init; \
                  unsigned int flags; enum level level; char __padding_3[4]; \
                  char __unsupported_3[8]; char __unsupported_4[16]; } *ops; } struct_ops;";
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let expected = shadow.replace(" char __padding_3[4];", "");
    assert!(words(&header).contains(&words(&expected)), "{header}");
    assert!(words(&header).contains("struct bpf_link *ops; } links;"));
}

#[test]
fn subskeletons_have_pointers() {
    let place = rich();
    place
        .skep(&["gen", "subskeleton", "src/rich.bpf.c", "-o", "rich.subskel.h", "--name", "rich"])
        .expect(0);
    place.skep(&["build"]).expect(0);
    let header = place.read("rich.subskel.h");
    let user = "#include \"rich.h\"\n#include \"rich.subskel.h\"\nint main(void)\n{\n\
        \tstruct rich *lib = rich__open(NULL);\n\tlong (*matrix)[2][3] = lib->bss.matrix;\n\
        \tstruct event **nowhere = lib->bss.nowhere;\n\tint *least = lib->rodata.least;\n\n\
        \trich__destroy(lib);\n\treturn !matrix || !nowhere || !least || !lib->maps.events;\n}\n";
    place.file("user.c", user);
    let headers = libbpf_headers();
    for compiler in ["cc", "c++"] {
        let ran = Command::new(compiler)
            .args(["-fsyntax-only", "-Wall", "-Werror", "-Iinclude", "-I.", "-isystem", &headers])
            .args(if compiler == "cc" { ["-x", "c"] } else { ["-x", "c++"] })
            .arg("user.c")
            .current_dir(place.path())
            .output()
            .unwrap();
        assert!(ran.status.success(), "{}\n{header}", String::from_utf8_lossy(&ran.stderr));
    }
}

#[test]
fn types_have_the_sizes_that_the_maps_have() {
    let dir = tempfile::tempdir().unwrap();
    let place = rich();
    place.skep(&["build"]).expect(0);
    let own = std::fs::read(place.path().join("target/skep/dev/rich.bpf.o")).unwrap();
    let mut objects = debian::libbpf_tools();
    objects.push(("rich".to_owned(), own));
    let mut modules = String::new();
    for (name, bytes) in objects {
        let object = Object::parse(&bytes).unwrap();
        let name = skeleton::identifier(&name);
        let roots = types::roots(&object, &name).unwrap();
        let definitions =
            skep::vmlinux::definitions(object.btf.as_deref().unwrap(), &roots).unwrap();
        let mut header = types::c(&object, &name, &definitions).unwrap();
        let mut module = types::rust(&object, &name).unwrap().replace("#![", "#[");
        // An inner attribute would have to come first.
        module = module
            .lines()
            .filter(|line| !line.starts_with("#[allow"))
            .collect::<Vec<_>>()
            .join("\n");
        for map in &object.maps {
            let parts = [
                ("key", map.def.key, map.def.key_size),
                ("value", map.def.value, map.def.value_size),
            ];
            for (part, _, size) in parts.into_iter().filter(|(_, ty, _)| ty.is_some()) {
                header += &format!(
                    "_Static_assert(sizeof({name}__{}_{part}) == {size}, \"\");\n",
                    map.name
                );
                module += &format!(
                    "\nconst _: () = assert!(size_of::<{}_{part}>() == {size});",
                    map.name
                );
            }
        }
        let path = dir.path().join("types.h");
        std::fs::write(&path, &header).unwrap();
        let ran = Command::new("cc")
            .args(["-fsyntax-only", "-fms-extensions", "-x", "c"])
            .arg(&path)
            .output()
            .unwrap();
        assert!(ran.status.success(), "{name}: {}\n{header}", String::from_utf8_lossy(&ran.stderr));
        modules += &format!("#[allow(warnings)]\nmod {name}_types {{\n{module}\n}}\n");
    }
    let path = dir.path().join("lib.rs");
    std::fs::write(&path, &modules).unwrap();
    let ran = Command::new("rustc")
        .args(["--edition", "2024", "--crate-type", "lib", "--emit", "metadata", "--out-dir"])
        .args([dir.path(), &path])
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn rust_skeletons_are_libbpf_cargos() {
    let place = rich();
    let run = place.skep(&["gen", "skeleton", "--lang", "rust", "src/rich.bpf.c"]).expect(0);
    assert!(run.stdout.contains("pub struct RichSkelBuilder"), "{run}");
    assert!(run.stdout.contains("libbpf_rs::skel"));
}

#[test]
fn wrong_inputs_of_gen() {
    let place = Place::new();
    place.file("text.bpf.o", "no object");
    let run = place.skep(&["gen", "skeleton", "text.bpf.o"]);
    assert!(run.code == 2 || run.code == 1, "{run}");
    assert!(run.stderr.contains("text.bpf.o"), "{run}");
    let run = place.skep(&["gen", "types", "nothing.bpf.o"]).expect(2);
    assert!(run.stdout.contains("E0601") || run.stderr.contains("E0601"), "{run}");
    let place = rich();
    let run = place.skep(&["gen", "skeleton", "src/rich.bpf.c", "--name", "2-x"]).expect(2);
    assert!(run.stderr.contains("use `--name bpf_2_x`"), "{run}");
}
