//! W0418 global-function: a function that is not static is verified by itself.
//! The verifier then knows of its arguments only what their types say
//! (`btf_prepare_func_args`): a pointer may be null, and one to something of
//! unknown size cannot be used at all.

use super::Context;
use crate::analysis::{FunctionView, Value};
use crate::bpf::{Condition, Op, Operand};
use crate::btf::{Btf, Kind, Type, TypeId};
use crate::diagnostics::{Diagnostic, codes};
use std::collections::{BTreeMap, HashSet};

/// What the kernel takes for the context of some type of program, or handles
/// by itself, when an argument points to it.
const KNOWN: &[&str] = &[
    "__sk_buff",
    "xdp_md",
    "bpf_sock",
    "bpf_sock_addr",
    "bpf_sock_ops",
    "sk_msg_md",
    "bpf_perf_event_data",
    "pt_regs",
    "user_pt_regs",
    "user_regs_struct",
    "bpf_user_pt_regs_t",
    "bpf_raw_tracepoint_args",
    "bpf_cgroup_dev_ctx",
    "bpf_sysctl",
    "bpf_sockopt",
    "bpf_sk_lookup",
    "sk_reuseport_md",
    "bpf_nf_ctx",
    "bpf_dynptr",
];

pub(super) fn check(cx: &Context<'_>, findings: &mut Vec<Diagnostic>) {
    let Some(btf) = cx.object.btf.as_deref() else { return };
    if !cx.functions.iter().any(FunctionView::is_checked_alone) {
        return;
    }
    let tagged = tagged(btf);
    for (index, view) in cx.functions.iter().enumerate() {
        if view.is_checked_alone() {
            function(cx, btf, &tagged, index, view, findings);
        }
    }
}

fn function(
    cx: &Context<'_>,
    btf: &Btf,
    tagged: &HashSet<(TypeId, u32)>,
    index: usize,
    view: &FunctionView<'_>,
    findings: &mut Vec<Diagnostic>,
) {
    let name = &view.function.name;
    let Some(id) = btf.find(Kind::Func, name) else { return };
    let Type::Func { proto, .. } = btf.ty(id) else { return };
    let Type::FuncProto(proto) = btf.ty(proto) else { return };
    let mut open: BTreeMap<u8, &str> = BTreeMap::new();
    for (argument, parameter) in (0..5).zip(proto.params()) {
        let Type::Ptr(pointee) = btf.ty(btf.resolve(parameter.ty)) else { continue };
        if tagged.contains(&(id, u32::from(argument))) || is_known(btf, pointee) {
            continue;
        }
        if btf.size(pointee).is_none_or(|size| size == 0) {
            let message = format!(
                "`{name}` is not static, so it is verified alone, and nothing says how large what `{}` points to is",
                parameter.name
            );
            findings.push(with_way_out(cx.lint(codes::GLOBAL_FUNCTION, view, 0, message)));
            continue;
        }
        open.insert(argument, parameter.name);
    }
    if open.is_empty() {
        return;
    }
    let (mut accesses, mut checked) = (BTreeMap::new(), HashSet::new());
    cx.walk_values(index, |step| match *step.op {
        Op::Load { base, .. } | Op::Store { base, .. } | Op::Atomic { base, .. } => {
            if let Value::Argument(argument, _) = step.before.get(base) {
                accesses.entry(argument).or_insert(step.slot);
            }
        }
        Op::Branch { cond: Condition::Eq | Condition::Ne, dst, src: Operand::Imm(0), .. } => {
            if let Value::Argument(argument, _) = step.before.get(dst) {
                checked.insert(argument);
            }
        }
        _ => {}
    });
    for (argument, parameter) in open {
        let Some(&slot) = accesses.get(&argument) else { continue };
        if checked.contains(&argument) {
            continue;
        }
        let message = format!(
            "`{name}` is not static, so it is verified alone, where `{parameter}` may be null; it is used without a check"
        );
        findings.push(with_way_out(cx.lint(codes::GLOBAL_FUNCTION, view, slot, message)));
    }
}

fn with_way_out(finding: Diagnostic) -> Diagnostic {
    finding
        .note("what its callers pass does not count: of a function that is not static the verifier knows the types of its arguments, and nothing else")
        .help("make it `static` (or `__hidden`), or check the pointer; since Linux 6.8 `__arg_nonnull` says that it is never null")
}

/// The arguments of functions whose tags say how they are to be taken
/// (`__arg_nonnull`, `__arg_ctx` and so on).
fn tagged(btf: &Btf) -> HashSet<(TypeId, u32)> {
    let tags = btf.ids().filter_map(|id| match btf.ty(id) {
        Type::DeclTag(tag) if tag.value.starts_with("arg:") => Some((tag.target, tag.component?)),
        _ => None,
    });
    tags.collect()
}

/// Whether the kernel has a meaning of its own for a pointer to this.
fn is_known(btf: &Btf, mut pointee: TypeId) -> bool {
    for _ in 0..crate::btf::MAX_DEPTH {
        if KNOWN.contains(&btf.name(pointee)) {
            return true;
        }
        pointee = match btf.ty(pointee) {
            Type::Const(next) | Type::Volatile(next) | Type::Restrict(next) => next,
            Type::Typedef { target, .. } | Type::TypeTag { target, .. } => target,
            _ => return false,
        };
    }
    false
}
