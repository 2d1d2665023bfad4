//! `NAME.subskel.h`: like a skeleton, but it finds its maps, programs and
//! variables in an object that somebody else opened.

use super::declare::Declarer;
use super::header::{begin, class, describe, line, members, shadow_pointers};
use super::model::Model;
use crate::btf::Kind;
use std::fmt::Write as _;

/// Writes the subskeleton.
pub fn write(model: &Model<'_>) -> String {
    let name = model.name;
    let guard = format!("__{}_SUBSKEL_H__", name.to_ascii_uppercase());
    let mut out = String::with_capacity(8192);
    begin(&mut out, name, &guard, "skep gen subskeleton");
    line!(out, "struct {name} {{\n\tstruct bpf_object *obj;");
    line!(out, "\tstruct bpf_object_subskeleton *subskel;");
    members(&mut out, model);
    variables(&mut out, model);
    class(
        &mut out,
        name,
        &["struct NAME *open(const struct bpf_object *src)", "void destroy(struct NAME *skel)"],
    );
    line!(out, "}};\n");
    functions(&mut out, model);
    line!(out, "#ifdef __cplusplus");
    for method in [
        "struct NAME *NAME::open(const struct bpf_object *src) { return NAME__open(src); }",
        "void NAME::destroy(struct NAME *skel) { NAME__destroy(skel); }",
    ] {
        line!(out, "{}", method.replace("NAME", name));
    }
    line!(out, "#endif\n\n#endif /* {guard} */");
    out
}

/// A struct for each section, with a pointer for each variable: where they
/// lie is known only when the object is there.
fn variables(out: &mut String, model: &Model<'_>) {
    let Some(btf) = model.btf else { return };
    for (_, globals) in model.globals() {
        let declarer = Declarer::new(btf, globals.qualified);
        line!(out, "\tstruct {}__{} {{", model.name, globals.member);
        for variable in &globals.variables {
            // Of an array the `*` alone would belong to the elements.
            let is_array = btf.kind(btf.skip_modifiers(variable.ty)) == Kind::Array;
            let name = match is_array {
                true => format!("(*{})", variable.member),
                false => format!("*{}", variable.member),
            };
            line!(out, "\t\t{};", declarer.declare(variable.ty, &name, 2));
        }
        line!(out, "\t}} {};", globals.member);
    }
}

fn functions(out: &mut String, model: &Model<'_>) {
    let name = model.name;
    let fixed = |out: &mut String, text: &str| out.push_str(&text.replace("NAME", name));
    fixed(
        out,
        "static inline void NAME__destroy(struct NAME *skel)\n{\n\tif (skel) {\n\
         \t\tif (skel->subskel)\n\t\t\tbpf_object__destroy_subskeleton(skel->subskel);\n\
         \t\tfree(skel);\n\t}\n}\n\n\
         static inline struct NAME *NAME__open(const struct bpf_object *src)\n{\n\
         \tstruct bpf_object_subskeleton *s;\n\tstruct NAME *obj;\n",
    );
    let count = model.globals().map(|(_, globals)| globals.variables.len()).sum::<usize>();
    if count > 0 {
        line!(out, "\tstruct bpf_var_skeleton *var;");
    }
    if !model.maps.is_empty() {
        line!(out, "\tstruct bpf_map_skeleton *map;");
    }
    if !model.programs.is_empty() {
        line!(out, "\tstruct bpf_prog_skeleton *prog;");
    }
    fixed(
        out,
        "\tint err;\n\n\tobj = (struct NAME *)calloc(1, sizeof(*obj));\n\
         \ts = (struct bpf_object_subskeleton *)calloc(1, sizeof(*s));\n\tif (!obj || !s) {\n\
         \t\tfree(s);\n\t\tgoto no_memory;\n\t}\n\tobj->subskel = s;\n\ts->sz = sizeof(*s);\n\
         \ts->obj = src;\n\ts->var_skel_sz = sizeof(*s->vars);\n",
    );
    if count > 0 {
        line!(out, "\n\ts->var_cnt = {count};");
        line!(out, "\ts->vars = (struct bpf_var_skeleton *)calloc(s->var_cnt, s->var_skel_sz);");
        line!(out, "\tif (!s->vars)\n\t\tgoto no_memory;\n\tvar = s->vars;");
    }
    let mut first = true;
    for (map, globals) in model.globals() {
        for variable in &globals.variables {
            if !std::mem::take(&mut first) {
                line!(out, "\tvar++;");
            }
            line!(out, "\tvar->name = \"{}\";", variable.name);
            line!(out, "\tvar->map = &obj->maps.{};", map.member);
            line!(out, "\tvar->addr = (void **)&obj->{}.{};", globals.member, variable.member);
        }
    }
    describe(out, model, false);
    fixed(
        out,
        "\terr = bpf_object__open_subskeleton(s);\n\tif (err) {\n\t\tNAME__destroy(obj);\n\
         \t\terrno = -err;\n\t\treturn NULL;\n\t}\n",
    );
    shadow_pointers(out, model);
    fixed(
        out,
        "\treturn obj;\n\nno_memory:\n\tNAME__destroy(obj);\n\terrno = ENOMEM;\n\
         \treturn NULL;\n}\n\n",
    );
}
