//! E0354 extension-mismatch: what a `freplace` program names is a function
//! that it can replace, as far as the objects at hand have it.
//!
//! The loader says which program is to be extended, so nothing is said where
//! no object here has a function of the name: it may be another project's.
//! Where one has, the kernel's rules are asked (`bpf_check_attach_target`,
//! `btf_check_func_type_match`).

use super::kernel::nearest;
use super::{Context, ProgramView, Sources};
use crate::bpf::{AttachType, ProgramType};
use crate::btf::{Btf, Kind, Linkage, Type, TypeId};
use crate::diagnostics::{Diagnostic, Severity, codes};
use crate::elf::{Binding, Function, Object};
use std::path::Path;

/// Whether a program of an object names a function that it is to replace.
pub fn extends(object: &Object) -> bool {
    object.programs().any(|program| target(object, program).is_some())
}

/// The findings about an object whose extensions are for functions of some
/// objects, itself among them, each with its name.
pub fn check_extensions(
    object: &Object,
    path: &Path,
    sources: Sources<'_>,
    all: &[(&Object, &Path)],
) -> Vec<Diagnostic> {
    let context = Context::new(object, path, sources);
    let mut findings = Vec::new();
    for program in &context.programs {
        if let Some(name) = target(object, program.function) {
            findings.extend(extension(&context, program, name, all));
        }
    }
    findings
}

/// What a program is to replace, if its section says so.
fn target<'o>(object: &'o Object, program: &Function) -> Option<&'o str> {
    let section = object.target(program).ok()?;
    let name = section.target.filter(|name| !name.is_empty())?;
    (section.def.program_type == ProgramType::Ext).then_some(name)
}

fn extension(
    cx: &Context<'_>,
    program: &ProgramView<'_>,
    name: &str,
    all: &[(&Object, &Path)],
) -> Option<Diagnostic> {
    let own = &program.function.name;
    let mut refused = None;
    for (object, path) in all {
        let Some(function) = object.functions.iter().find(|known| known.name == name) else {
            continue;
        };
        match fits((cx.object, own), (object, function)) {
            Ok(()) => return None,
            Err(why) => {
                refused.get_or_insert((why, *path));
            }
        }
    }
    if let Some(((message, help), path)) = refused {
        let finding = cx.of_program(codes::EXTENSION_MISMATCH, program, message);
        let finding = finding.note(format!("the function is one of {}", path.display()));
        return Some(finding.help(help));
    }
    let mut names: Vec<&str> = all
        .iter()
        .flat_map(|(object, _)| object.functions.iter().filter(|known| is_global(object, known)))
        .map(|known| known.name.as_str())
        .filter(|known| known != own)
        .collect();
    names.sort_unstable();
    let near = nearest(&names, "", name)?;
    let message = format!("no object here has a function `{name}` for `{own}` to replace");
    let finding = cx.of_program(codes::EXTENSION_MISMATCH, program, message);
    Some(finding.severity(Severity::Warning).help(format!("did you mean `{near}`?")))
}

/// Whether others than its own object may know of a function.
fn is_global(object: &Object, function: &Function) -> bool {
    let is_static = || {
        let btf = object.btf.as_deref()?;
        let Type::Func { linkage, .. } = btf.ty(btf.find(Kind::Func, &function.name)?) else {
            return None;
        };
        Some(linkage == Linkage::Static)
    };
    function.binding != Binding::Local && !function.hidden && is_static() != Some(true)
}

/// What is wrong, and a way out.
type Misfit = (String, &'static str);

/// Whether a program may replace a function.
fn fits(
    (ours, own): (&Object, &str),
    (theirs, function): (&Object, &Function),
) -> Result<(), Misfit> {
    let name = &function.name;
    if !is_global(theirs, function) {
        let message = format!("`{own}` cannot replace `{name}`, which is static");
        return Err((message, "make it neither `static` nor `__hidden`"));
    }
    if !is_extensible(theirs, function) {
        if !function.is_subprogram {
            let message = format!("`{own}` cannot replace `{name}`, which is no program to extend");
            return Err((message, "neither extensions nor fentry and fexit programs are extended"));
        }
        let message = format!("`{own}` cannot replace `{name}`, which no program calls");
        return Err((
            message,
            "clang may have put it into its callers: make it `__noinline`, with something in it \
             that clang cannot work out",
        ));
    }
    let (Some(local), Some(target)) = (ours.btf.as_deref(), theirs.btf.as_deref()) else {
        return Ok(());
    };
    let (Some(one), Some(other)) = (local.find(Kind::Func, own), target.find(Kind::Func, name))
    else {
        return Ok(());
    };
    let Some(what) = differs((local, one), (target, other)) else { return Ok(()) };
    let declared = |btf: &Btf, id, name: &str| match btf.ty(id) {
        Type::Func { proto, .. } => btf.spell(proto, name),
        _ => name.to_owned(),
    };
    let message = format!(
        "`{own}` cannot replace `{name}`: {what}, in `{}` and `{}`",
        declared(local, one, own),
        declared(target, other, name)
    );
    Err((message, "give it the arguments and the result of what it replaces"))
}

/// Whether a program that may be extended has the function in it.
fn is_extensible(object: &Object, function: &Function) -> bool {
    let cx = Context::new(object, Path::new(""), &|_| None);
    cx.programs.iter().any(|program| {
        let reaches = cx.functions_of(program).any(|view| {
            (view.function.section, view.function.slots.start)
                == (function.section, function.slots.start)
        });
        // Neither an extension nor what traces functions can be extended.
        let closed = program.target.as_ref().is_ok_and(|target| {
            let kind = target.def.attach_type;
            target.def.program_type == ProgramType::Ext
                || matches!(kind, Some(AttachType::TraceFentry | AttachType::TraceFexit))
        });
        reaches && !closed
    })
}

/// In what two functions differ that must have one signature
/// (`btf_check_func_type_match`), in words.
fn differs((local, one): (&Btf, TypeId), (target, other): (&Btf, TypeId)) -> Option<String> {
    let (Type::Func { proto: one, .. }, Type::Func { proto: other, .. }) =
        (local.ty(one), target.ty(other))
    else {
        return None;
    };
    let (Type::FuncProto(one), Type::FuncProto(other)) = (local.ty(one), target.ty(other)) else {
        return None;
    };
    if one.len() != other.len() {
        return Some("the numbers of arguments differ".to_owned());
    }
    // Kinds are compared, and of enumerations and structs how long they are.
    let is_alike = |one: TypeId, other: TypeId| {
        let shape = |btf: &Btf, id| match btf.ty(id) {
            Type::Struct(known) | Type::Union(known) => known.len(),
            Type::Enum(known) => known.len(),
            _ => 0,
        };
        local.kind(one) == target.kind(other) && shape(local, one) == shape(target, other)
    };
    let (result, theirs) = (local.resolve(one.returns), target.resolve(other.returns));
    if !is_alike(result, theirs) {
        return Some("the results are of different kinds".to_owned());
    }
    for (number, (one, other)) in (1..).zip(one.params().zip(other.params())) {
        let (one, other) = (local.resolve(one.ty), target.resolve(other.ty));
        if !is_alike(one, other) {
            return Some(format!("argument {number} is of different kinds"));
        }
        if let (Type::Ptr(one), Type::Ptr(other)) = (local.ty(one), target.ty(other)) {
            let (one, other) = (local.resolve(one), target.resolve(other));
            let is_struct = |btf: &Btf, id| matches!(btf.ty(id), Type::Struct(_));
            if !is_struct(local, one) || !is_struct(target, other) {
                return Some(format!("argument {number} points to something else than a context"));
            }
            if local.name(one) != target.name(other) {
                return Some(format!("argument {number} points to different structs"));
            }
        } else if local.size(one) != target.size(other) {
            return Some(format!("argument {number} is of different sizes"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::fixture::compile;

    /// What is said of an extension, with the object of its target beside it.
    fn said(extension: &str, target: &str) -> Vec<String> {
        let read = |source: &str| Object::parse(&compile(source)).unwrap();
        let (one, other) = (read(extension), read(target));
        let all = [(&one, Path::new("one.o")), (&other, Path::new("other.o"))];
        let findings = check_extensions(&one, Path::new("one.o"), &|_| None, &all);
        let line = |finding: &Diagnostic| {
            let line = finding.primary.as_ref().map_or(0, |label| label.span.start.line);
            let help = &finding.helps[0].message;
            format!("{} {line}: {} ({help})", finding.severity.as_str(), finding.message)
        };
        findings.iter().map(line).collect()
    }

    const TARGET: &str = "struct xdp_md { int data; };\n\
        __noinline int choose(struct xdp_md *ctx, int n) { volatile int x = n; return x; }\n\
        static __noinline int inner(struct xdp_md *ctx) { volatile int x = 1; return x; }\n\
        __noinline int idle(struct xdp_md *ctx) { volatile int x = 1; return x; }\n\
        SEC(\"xdp\") int entry(struct xdp_md *ctx) { return choose(ctx, 1) + inner(ctx); }";

    fn of(section: &str, arguments: &str) -> Vec<String> {
        let source = format!(
            "struct xdp_md {{ int data; }}; struct other {{ int data; }};\n\
             SEC(\"{section}\") int better({arguments}) {{ return 1; }}"
        );
        said(&source, TARGET)
    }

    #[test]
    fn an_extension_has_the_signature_of_what_it_replaces() {
        let none = [""; 0];
        assert_eq!(of("freplace/choose", "struct xdp_md *ctx, int n"), none);
        assert_eq!(of("freplace/choose", "const struct xdp_md *ctx, unsigned n"), none);
        assert_eq!(of("freplace/entry", "struct xdp_md *ctx"), none);
        // Not said, or of an object that is not here.
        assert_eq!(of("freplace", "struct xdp_md *ctx"), none);
        assert_eq!(of("freplace/elsewhere", "struct xdp_md *ctx"), none);
        assert_eq!(of("xdp", "struct xdp_md *ctx"), none);
        for (arguments, what) in [
            ("struct xdp_md *ctx", "the numbers of arguments differ"),
            ("struct other *ctx, int n", "argument 1 points to different structs"),
            ("struct xdp_md *ctx, long n", "argument 2 is of different sizes"),
            ("struct xdp_md *ctx, void *n", "argument 2 is of different kinds"),
            ("int *ctx, int n", "argument 1 points to something else than a context"),
        ] {
            let found = of("freplace/choose", arguments);
            let start =
                format!("error 2: `better` cannot replace `choose`: {what}, in `int better(");
            assert!(found.len() == 1 && found[0].starts_with(&start), "{found:?}");
        }
    }

    #[test]
    fn what_is_replaced_is_global_and_called() {
        let found = of("freplace/inner", "struct xdp_md *ctx");
        assert!(found[0].contains("`better` cannot replace `inner`, which is static"), "{found:?}");
        let found = of("freplace/idle", "struct xdp_md *ctx");
        assert!(found[0].contains("`idle`, which no program calls"), "{found:?}");
        assert_eq!(
            of("freplace/chose", "struct xdp_md *ctx, int n"),
            ["warning 2: no object here has a function `chose` for `better` to replace (did you \
              mean `choose`?)"]
        );
    }

    #[test]
    fn an_extension_cannot_be_extended() {
        let other = "struct xdp_md { int data; };\n\
            SEC(\"freplace\") int choose(struct xdp_md *ctx) { return 1; }";
        let source = "struct xdp_md { int data; };\n\
            SEC(\"freplace/choose\") int better(struct xdp_md *ctx) { return 1; }";
        let found = said(source, other);
        assert!(found[0].contains("`choose`, which is no program to extend"), "{found:?}");
    }
}
