//! E0334 unknown-kfunc: the functions and variables of the kernel that an
//! object declares (`extern … __ksym`) are there, declared as the kernel has
//! them.
//!
//! libbpf looks all of them up before it loads the first program
//! (`bpf_object__resolve_ksyms_btf_id`), so that one that is missing keeps the
//! whole object out. Variables without a type are looked up in the kernel's
//! list of symbols, which no BTF has: nothing is said of them.

use super::{Found, Kernel, Subject, attach};
use crate::analysis::{Context, FunctionView};
use crate::bpf::Feature;
use crate::btf::{Btf, Kind, Type, TypeId};
use crate::diagnostics::{Diagnostic, Origin, Severity, codes};
use crate::elf::{Extern, ExternKind, Target};
use crate::relocate::core::{essential_name, types_are_compatible};

/// Said of whatever libbpf does not take.
const WHOLE: &str = "libbpf refuses the whole object";
const DECLARE: &str = "take the declaration, and the types in it, from vmlinux.h";

pub(super) fn check(
    subject: &Subject<'_, '_>,
    kernel: &Kernel<'_>,
    findings: &mut Vec<Diagnostic>,
) {
    let cx = subject.cx;
    for (index, known) in cx.object.externs.iter().enumerate() {
        let said = match known.kind {
            ExternKind::Kfunc => function(cx, kernel, index, known),
            ExternKind::Ksym => variable(cx, kernel, index, known),
            ExternKind::Kconfig | ExternKind::Unknown => None,
        };
        findings.extend(said);
    }
}

/// A function. One that is weak is as if it were not there where it is
/// declared in another way.
fn function(
    cx: &Context<'_>,
    kernel: &Kernel<'_>,
    index: usize,
    known: &Extern,
) -> Option<Diagnostic> {
    if known.weak || kernel.target.is_none() && kernel.has(Feature::Kfuncs) {
        return None;
    }
    // libbpf looks for the name without what follows `___`.
    let name = essential_name(&known.name);
    let (btf, id) = match kernel.find(Kind::Func, name) {
        Found::There(btf, id) => (btf, id),
        missing => {
            let finding = lacks(cx, index, "kfunc", name, &missing);
            let finding = near(finding, kernel, Kind::Func, name);
            return Some(
                finding.help("declare it `__weak` and ask `bpf_ksym_exists()` before calling it"),
            );
        }
    };
    let local = cx.object.btf.as_deref()?;
    let (Type::Func { proto: ours, .. }, Type::Func { proto: theirs, .. }) =
        (local.ty(known.ty?), btf.ty(id))
    else {
        return None;
    };
    if types_are_compatible(local, ours, &btf, theirs)? {
        return None;
    }
    let message = format!("`{name}` is declared in another way than the kernel has it");
    Some(differs(at(cx, index, message), (local, ours), (&btf, theirs), name))
}

/// A variable that is declared with a type. Its name counts as it is, and
/// its type even where it is weak.
fn variable(
    cx: &Context<'_>,
    kernel: &Kernel<'_>,
    index: usize,
    known: &Extern,
) -> Option<Diagnostic> {
    let ours = cx.object.variable_type(known)?;
    // What a version alone tells is a feature.
    kernel.target?;
    let name = known.name.as_str();
    let (btf, id) = match kernel.find(Kind::Var, name) {
        Found::There(btf, id) => (btf, id),
        _ if known.weak => return None,
        missing => {
            let finding = lacks(cx, index, "variable", name, &missing);
            let finding = near(finding, kernel, Kind::Var, name)
                .note("of variables, a kernel's BTF lists those that each CPU has a copy of");
            return Some(finding.help(format!(
                "declare it `extern const void {name} __ksym` if its address is all you need, or \
                 `__weak` and ask `bpf_ksym_exists()` before reading it"
            )));
        }
    };
    let local = cx.object.btf.as_deref()?;
    let (Type::Var(declared), Type::Var(theirs)) = (local.ty(known.ty?), btf.ty(id)) else {
        return None;
    };
    if types_are_compatible(local, ours, &btf, btf.resolve(theirs.ty))? {
        return None;
    }
    let message = format!("the kernel's variable `{name}` has another type");
    let finding = at(cx, index, message);
    Some(differs(finding, (local, declared.ty), (&btf, theirs.ty), name))
}

fn differs(
    finding: Diagnostic,
    (local, ours): (&Btf, TypeId),
    (kernel, theirs): (&Btf, TypeId),
    name: &str,
) -> Diagnostic {
    let (ours, theirs) = (local.spell(ours, name), kernel.spell(theirs, name));
    finding
        .note(format!("the object declares `{ours}`, the kernel has `{theirs}`"))
        .note(WHOLE)
        .help(DECLARE)
}

/// What is missing. Where it is not known which modules there are, one of
/// them may have it.
fn lacks(cx: &Context<'_>, index: usize, what: &str, name: &str, missing: &Found) -> Diagnostic {
    if matches!(missing, Found::Nowhere) {
        let message = format!("neither the kernel nor its modules have a {what} `{name}`");
        return at(cx, index, message).note(WHOLE);
    }
    let message = format!("the kernel has no {what} `{name}` of its own");
    at(cx, index, message)
        .severity(Severity::Warning)
        .note("a module may bring it; libbpf refuses the whole object if none does")
}

fn near(finding: Diagnostic, kernel: &Kernel<'_>, kind: Kind, name: &str) -> Diagnostic {
    match attach::nearest(kernel.names(kind), "", name) {
        Some(near) => finding.help(format!("did you mean `{near}`?")),
        None => finding,
    }
}

/// A finding about an extern, where it is first used.
fn at(cx: &Context<'_>, index: usize, message: String) -> Diagnostic {
    let user = |view: &FunctionView<'_>| {
        let mut relocations = cx.object.relocations_of(view.function).iter();
        relocations
            .find(|known| matches!(known.target, Target::Extern(target) if target == index))
            .map(|known| known.slot - view.function.slots.start)
    };
    let code = codes::UNKNOWN_KFUNC;
    let used = cx.functions.iter().find_map(|view| Some((view, user(view)?)));
    let mut finding = match used {
        Some((view, slot)) => cx.of_insn(code, view, slot, message),
        None => cx.of_object(code, message),
    };
    finding.origin = Origin::Availability;
    finding
}
