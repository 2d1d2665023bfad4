//! E0353 struct-ops-member: the structs of functions that an object implements
//! are there in the kernel, with the members that are given
//! (`bpf_map__init_kern_struct_ops` in libbpf).
//!
//! A struct that is not there is a warning: loaders choose among them
//! (`bpf_map__set_autocreate`). A member that is given and not there makes
//! libbpf refuse the object.

use super::{Found, Kernel, Subject};
use crate::btf::{Btf, Kind, Type, TypeId};
use crate::diagnostics::{Diagnostic, Origin, Severity, codes};
use crate::elf::StructOps;
use crate::relocate::core::essential_name;

/// What the names of the structs begin with that the kernel wraps these in.
const WRAPPED: &str = "bpf_struct_ops_";

pub(super) fn check(
    subject: &Subject<'_, '_>,
    kernel: &Kernel<'_>,
    findings: &mut Vec<Diagnostic>,
) {
    let Some(local) = subject.cx.object.btf.as_deref() else { return };
    for ops in subject.cx.object.struct_ops.iter().filter(|ops| ops.autocreate) {
        one(subject, kernel, local, ops, findings);
    }
}

fn one(
    subject: &Subject<'_, '_>,
    kernel: &Kernel<'_>,
    local: &Btf,
    ops: &StructOps,
    findings: &mut Vec<Diagnostic>,
) {
    let cx = subject.cx;
    let of = |message: String| {
        let finding = cx.of_section(codes::STRUCT_OPS_MEMBER, ops.section, message);
        let mut finding = match cx.definition(&ops.name, ops.section) {
            Some(span) => finding.at(span),
            None => finding,
        };
        finding.origin = Origin::Core;
        finding
    };
    let (name, variable) = (essential_name(local.name(ops.ty)), &ops.name);
    let (btf, id) = match kernel.find(Kind::Struct, &format!("{WRAPPED}{name}")) {
        Found::Unknown => return,
        Found::Nowhere => {
            let message = format!(
                "the kernel has no struct {name} for programs to implement, and `{variable}` is one"
            );
            findings.push(of(message).severity(Severity::Warning).help(format!(
                "make it only where it is there: SEC(\"?{}\"), or `bpf_map__set_autocreate(…, false)`",
                ops.section
            )));
            return;
        }
        Found::There(btf, _) => match btf.find(Kind::Struct, name) {
            Some(id) => (btf, id),
            None => return,
        },
    };
    let (Type::Struct(ours), Type::Struct(theirs)) = (local.ty(ops.ty), btf.ty(id)) else {
        return;
    };
    for (member, given) in ours.members().zip(&ops.given) {
        if !given {
            continue;
        }
        let Some(known) = theirs.members().find(|known| known.name == member.name) else {
            let message = format!("struct {name} has no member `{}` in the kernel", member.name);
            let near = theirs
                .members()
                .map(|known| (strsim::damerau_levenshtein(known.name, member.name), known.name))
                .min()
                .filter(|(distance, _)| *distance <= member.name.len() / 3);
            let mut finding = of(message).note("libbpf refuses the whole object");
            if let Some((_, near)) = near {
                finding = finding.help(format!("did you mean `{near}`?"));
            }
            findings.push(finding.help(
                "leave it zero where it is not there: the loader can do so by the skeleton's \
                 `struct_ops` before it loads",
            ));
            continue;
        };
        if !is_alike(local, member.ty, &btf, known.ty) {
            let message =
                format!("member `{}` of struct {name} has another type in the kernel", member.name);
            let (ours, theirs) =
                (local.spell(member.ty, member.name), btf.spell(known.ty, known.name));
            findings.push(
                of(message)
                    .note(format!("the object has `{ours}`, the kernel has `{theirs}`"))
                    .note("libbpf refuses the whole object"),
            );
        }
    }
}

/// Whether libbpf takes one member for another: they are of one kind, and
/// where one points to a function, so does the other.
fn is_alike(local: &Btf, ours: TypeId, kernel: &Btf, theirs: TypeId) -> bool {
    let (ours, theirs) = (local.resolve(ours), kernel.resolve(theirs));
    match (local.ty(ours), kernel.ty(theirs)) {
        (Type::Ptr(one), Type::Ptr(other)) => {
            local.kind(local.resolve(one)) != Kind::FuncProto
                || kernel.kind(kernel.resolve(other)) == Kind::FuncProto
        }
        _ => local.kind(ours) == kernel.kind(theirs),
    }
}
