//! `NAME.skel.h`: the struct, the functions that open, load, attach, detach
//! and destroy it, and the object itself.

use super::declare::Declarer;
use super::literal;
use super::model::{Content, Globals, Model};
use crate::btf::{Btf, Kind, Type, TypeId};
use std::fmt::Write as _;

/// Adds a line. Writing to a string does not fail.
macro_rules! line {
    ($out:expr, $($text:tt)*) => {{
        let _ = writeln!($out, $($text)*);
    }};
}
pub(super) use line;

/// The offset that a compiler for 32 bits reaches by itself: alignment is not
/// taken to be stricter than this, so that the layout holds there too.
const WORD: u64 = 4;

/// Writes the skeleton of an object with these bytes.
pub fn write(model: &Model<'_>, bytes: &[u8]) -> String {
    let name = model.name;
    let guard = format!("__{}_SKEL_H__", name.to_ascii_uppercase());
    let mut out = String::with_capacity(bytes.len() * 5 / 2 + 8192);
    begin(&mut out, name, &guard, "skep gen skeleton");
    // By this, programs know that struct_ops maps have links.
    line!(out, "#define BPF_SKEL_SUPPORTS_MAP_AUTO_ATTACH 1\n");
    line!(
        out,
        "struct {name} {{\n\tstruct bpf_object_skeleton *skeleton;\n\tstruct bpf_object *obj;"
    );
    members(&mut out, model);
    links(&mut out, model);
    if let Some(btf) = model.btf {
        for (_, globals) in model.globals() {
            variables(&mut out, name, btf, globals, true);
        }
    }
    class(
        &mut out,
        name,
        &[
            "struct NAME *open(const struct bpf_object_open_opts *opts = nullptr)",
            "struct NAME *open_and_load()",
            "int load(struct NAME *skel)",
            "int attach(struct NAME *skel)",
            "void detach(struct NAME *skel)",
            "void destroy(struct NAME *skel)",
            "const void *elf_bytes(size_t *sz)",
        ],
    );
    line!(out, "}};\n");
    elf_bytes(&mut out, name, bytes);
    lifetime(&mut out, model);
    line!(out, "#ifdef __cplusplus");
    for method in [
        "struct NAME *NAME::open(const struct bpf_object_open_opts *opts) { return NAME__open_opts(opts); }",
        "struct NAME *NAME::open_and_load() { return NAME__open_and_load(); }",
        "int NAME::load(struct NAME *skel) { return NAME__load(skel); }",
        "int NAME::attach(struct NAME *skel) { return NAME__attach(skel); }",
        "void NAME::detach(struct NAME *skel) { NAME__detach(skel); }",
        "void NAME::destroy(struct NAME *skel) { NAME__destroy(skel); }",
        "const void *NAME::elf_bytes(size_t *sz) { return NAME__elf_bytes(sz); }",
    ] {
        line!(out, "{}", method.replace("NAME", name));
    }
    line!(out, "#endif\n");
    asserts(&mut out, model);
    line!(out, "#endif /* {guard} */");
    out
}

/// The lines that every header begins with.
pub(super) fn begin(out: &mut String, name: &str, guard: &str, command: &str) {
    line!(out, "/* {name}, written by `{command}`: changes will be lost. */");
    line!(out, "#ifndef {guard}\n#define {guard}\n");
    line!(out, "#include <errno.h>\n#include <stdlib.h>\n#include <bpf/libbpf.h>\n");
}

/// The members for maps, struct_ops and programs.
pub(super) fn members(out: &mut String, model: &Model<'_>) {
    if !model.maps.is_empty() {
        line!(out, "\tstruct {{");
        for map in &model.maps {
            line!(out, "\t\tstruct bpf_map *{};", map.member);
        }
        line!(out, "\t}} maps;");
    }
    if let Some(btf) = model.btf {
        let mut all = model.struct_ops().peekable();
        let any = all.peek().is_some();
        if any {
            line!(out, "\tstruct {{");
        }
        for (map, ty) in all {
            shadow(out, model.name, &map.member, btf, ty);
        }
        if any {
            line!(out, "\t}} struct_ops;");
        }
    }
    if !model.programs.is_empty() {
        line!(out, "\tstruct {{");
        for program in &model.programs {
            line!(out, "\t\tstruct bpf_program *{program};");
        }
        line!(out, "\t}} progs;");
    }
}

fn links(out: &mut String, model: &Model<'_>) {
    let maps = model.struct_ops().map(|(map, _)| map.member.as_str());
    let mut all = model.programs.iter().copied().chain(maps).peekable();
    if all.peek().is_none() {
        return;
    }
    line!(out, "\tstruct {{");
    for member in all {
        line!(out, "\t\tstruct bpf_link *{member};");
    }
    line!(out, "\t}} links;");
}

/// The struct through which a user program changes a struct of functions
/// before it is loaded: numbers, and for each function the program that
/// stands for it. The rest is there for its size alone.
fn shadow(out: &mut String, name: &str, member: &str, btf: &Btf, ty: TypeId) {
    let Type::Struct(known) = btf.ty(ty) else { return };
    line!(out, "\t\tstruct {name}__{member}__{} {{", known.name);
    let declarer = Declarer::new(btf, false);
    let mut at = 0;
    for (index, field) in known.members().enumerate() {
        let start = u64::from(field.bit_offset / 8);
        if at < start {
            line!(out, "\t\t\tchar __padding_{index}[{}];", start - at);
        }
        let target = btf.resolve(field.ty);
        let size = btf.size(target).unwrap_or(0);
        let is_function = match btf.ty(target) {
            Type::Ptr(pointee) => btf.kind(btf.resolve(pointee)) == Kind::FuncProto,
            _ => false,
        };
        match btf.kind(target) {
            Kind::Int | Kind::Float | Kind::Enum | Kind::Enum64 => {
                line!(out, "\t\t\t{};", declarer.declare(target, field.name, 3));
            }
            _ if is_function => {
                line!(out, "\t\t\tstruct bpf_program *{};", field.name);
            }
            _ => {
                line!(out, "\t\t\tchar __unsupported_{index}[{size}];");
            }
        }
        at = start + size;
    }
    if at < u64::from(known.size) {
        line!(out, "\t\t\tchar __padding_end[{}];", u64::from(known.size) - at);
    }
    line!(out, "\t\t}} *{member};");
}

/// The struct of a section's variables, and, as a member, the pointer to them.
pub(super) fn variables(
    out: &mut String,
    name: &str,
    btf: &Btf,
    globals: &Globals,
    as_member: bool,
) {
    let member = &globals.member;
    let declarer = Declarer::new(btf, globals.qualified);
    let tab = if as_member { "\t" } else { "" };
    let indent = usize::from(as_member) + 1;
    line!(out, "{tab}struct {name}__{member} {{");
    let (mut at, mut gaps) = (0_u64, 0);
    for variable in &globals.variables {
        let align = btf.align(variable.ty).min(WORD);
        if at.next_multiple_of(align) != variable.offset {
            line!(out, "{tab}\tchar __pad{gaps}[{}];", variable.offset - at);
            gaps += 1;
        }
        line!(out, "{tab}\t{};", declarer.declare(variable.ty, &variable.member, indent));
        at = variable.offset + variable.size;
    }
    match as_member {
        true => line!(out, "\t}} *{member};"),
        false => line!(out, "}};"),
    }
}

/// The static functions by which C++ programs call those of C.
pub(super) fn class(out: &mut String, name: &str, methods: &[&str]) {
    line!(out, "\n#ifdef __cplusplus");
    for method in methods {
        line!(out, "\tstatic inline {};", method.replace("NAME", name));
    }
    line!(out, "#endif");
}

fn elf_bytes(out: &mut String, name: &str, bytes: &[u8]) {
    line!(out, "static inline const void *{name}__elf_bytes(size_t *sz)\n{{");
    line!(out, "\tstatic const char data[] __attribute__((__aligned__(8))) =");
    literal::write(bytes, out);
    line!(out, ";\n\n\t*sz = sizeof(data) - 1;\n\treturn data;\n}}\n");
}

/// The functions, from opening to destroying.
fn lifetime(out: &mut String, model: &Model<'_>) {
    let name = model.name;
    let fixed = |out: &mut String, text: &str| out.push_str(&text.replace("NAME", name));
    fixed(
        out,
        "static inline void NAME__destroy(struct NAME *obj)\n{\n\tif (obj) {\n\
         \t\tif (obj->skeleton)\n\t\t\tbpf_object__destroy_skeleton(obj->skeleton);\n\
         \t\tfree(obj);\n\t}\n}\n\n\
         static inline int NAME__create_skeleton(struct NAME *obj)\n{\n\
         \tstruct bpf_object_skeleton *s;\n",
    );
    if !model.maps.is_empty() {
        line!(out, "\tstruct bpf_map_skeleton *map;");
    }
    if !model.programs.is_empty() {
        line!(out, "\tstruct bpf_prog_skeleton *prog;");
    }
    fixed(
        out,
        "\n\ts = (struct bpf_object_skeleton *)calloc(1, sizeof(*s));\n\tif (!s)\n\
         \t\treturn -ENOMEM;\n\ts->sz = sizeof(*s);\n\ts->name = \"NAME\";\n\
         \ts->obj = &obj->obj;\n\ts->data = NAME__elf_bytes(&s->data_sz);\n",
    );
    describe(out, model, true);
    let failing = !(model.maps.is_empty() && model.programs.is_empty());
    line!(out, "\tobj->skeleton = s;\n\treturn 0;");
    if failing {
        line!(out, "\nno_memory:\n\tbpf_object__destroy_skeleton(s);\n\treturn -ENOMEM;");
    }
    line!(out, "}}\n");
    fixed(
        out,
        "static inline struct NAME *NAME__open_opts(const struct bpf_object_open_opts *opts)\n{\n\
         \tstruct NAME *obj;\n\tint err;\n\n\tobj = (struct NAME *)calloc(1, sizeof(*obj));\n\
         \tif (!obj) {\n\t\terrno = ENOMEM;\n\t\treturn NULL;\n\t}\n\
         \terr = NAME__create_skeleton(obj);\n\tif (!err)\n\
         \t\terr = bpf_object__open_skeleton(obj->skeleton, opts);\n\tif (err) {\n\
         \t\tNAME__destroy(obj);\n\t\terrno = -err;\n\t\treturn NULL;\n\t}\n",
    );
    shadow_pointers(out, model);
    fixed(
        out,
        "\treturn obj;\n}\n\n\
         static inline struct NAME *NAME__open(void)\n{\n\treturn NAME__open_opts(NULL);\n}\n\n\
         static inline int NAME__load(struct NAME *obj)\n{\n\
         \treturn bpf_object__load_skeleton(obj->skeleton);\n}\n\n\
         static inline struct NAME *NAME__open_and_load(void)\n{\n\
         \tstruct NAME *obj = NAME__open();\n\tint err;\n\n\tif (!obj)\n\t\treturn NULL;\n\
         \terr = NAME__load(obj);\n\tif (err) {\n\t\tNAME__destroy(obj);\n\t\terrno = -err;\n\
         \t\treturn NULL;\n\t}\n\treturn obj;\n}\n\n\
         static inline int NAME__attach(struct NAME *obj)\n{\n\
         \treturn bpf_object__attach_skeleton(obj->skeleton);\n}\n\n\
         static inline void NAME__detach(struct NAME *obj)\n{\n\
         \tbpf_object__detach_skeleton(obj->skeleton);\n}\n\n",
    );
}

/// Tells libbpf of maps and programs, and where it is to put what it makes of
/// them. `owned` says whether the skeleton owns the object: then it has links
/// and the variables' memory too.
pub(super) fn describe(out: &mut String, model: &Model<'_>, owned: bool) {
    if !model.maps.is_empty() {
        let has_links = owned && model.struct_ops().next().is_some();
        line!(out, "\n\ts->map_cnt = {};", model.maps.len());
        if has_links {
            line!(out, "\ts->map_skel_sz = sizeof(*s->maps);");
        } else {
            // Without `link`, which libbpf before 1.5 does not know.
            line!(out, "\ts->map_skel_sz = 3 * sizeof(void *);");
        }
        line!(out, "\ts->maps = (struct bpf_map_skeleton *)calloc(s->map_cnt, sizeof(*s->maps));");
        line!(out, "\tif (!s->maps)\n\t\tgoto no_memory;");
        for (index, map) in model.maps.iter().enumerate() {
            line!(
                out,
                "\tmap = (struct bpf_map_skeleton *)((char *)s->maps + {index} * s->map_skel_sz);"
            );
            line!(out, "\tmap->name = \"{}\";\n\tmap->map = &obj->maps.{};", map.name, map.member);
            match &map.content {
                Content::Globals(globals) if owned => {
                    line!(out, "\tmap->mmaped = (void **)&obj->{};", globals.member);
                }
                Content::StructOps(_) if owned => {
                    line!(out, "\tmap->link = &obj->links.{};", map.member);
                }
                _ => {}
            }
        }
    }
    if !model.programs.is_empty() {
        line!(out, "\n\ts->prog_cnt = {};", model.programs.len());
        line!(out, "\ts->prog_skel_sz = sizeof(*s->progs);");
        line!(
            out,
            "\ts->progs = (struct bpf_prog_skeleton *)calloc(s->prog_cnt, s->prog_skel_sz);"
        );
        line!(out, "\tif (!s->progs)\n\t\tgoto no_memory;\n\tprog = s->progs;");
        for (index, program) in model.programs.iter().enumerate() {
            if index > 0 {
                line!(out, "\tprog++;");
            }
            line!(out, "\tprog->name = \"{program}\";\n\tprog->prog = &obj->progs.{program};");
            if owned {
                line!(out, "\tprog->link = &obj->links.{program};");
            }
        }
    }
    line!(out, "");
}

/// Makes the shadows of struct_ops maps point into libbpf's copies.
pub(super) fn shadow_pointers(out: &mut String, model: &Model<'_>) {
    for (map, _) in model.struct_ops() {
        let member = &map.member;
        line!(out, "\tobj->struct_ops.{member} = (__typeof__(obj->struct_ops.{member}))");
        line!(out, "\t\tbpf_map__initial_value(obj->maps.{member}, NULL);");
    }
}

/// Lets the compiler see to it that types have the sizes here that they have
/// in BPF.
fn asserts(out: &mut String, model: &Model<'_>) {
    if model.btf.is_none() {
        return;
    }
    let name = model.name;
    line!(out, "#ifdef __cplusplus\n#define _Static_assert static_assert\n#endif");
    line!(out, "__attribute__((unused)) static void");
    line!(out, "{name}__assert(struct {name} *s __attribute__((unused)))\n{{");
    for (_, globals) in model.globals() {
        for variable in &globals.variables {
            let (section, member, size) = (&globals.member, &variable.member, variable.size);
            line!(
                out,
                "\t_Static_assert(sizeof(s->{section}->{member}) == {size}, \"`{member}` has \
                 another size in BPF\");"
            );
        }
    }
    line!(out, "}}\n#ifdef __cplusplus\n#undef _Static_assert\n#endif\n");
}
