//! W0510 read-without-core: a field of a kernel structure is read at a fixed
//! offset, without a CO-RE relocation, so that the program reads something
//! else on a kernel whose structure is laid out in another way.

use super::steps::Walked;
use crate::analysis::{Step, Value};
use crate::bpf::{Call, Helper, Op, ProgramType};
use crate::diagnostics::{Diagnostic, codes};

pub(super) fn look(walked: &mut Walked<'_, '_>, step: &Step<'_>) -> Option<Diagnostic> {
    if step.is_patched {
        return None;
    }
    let (cx, view) = (walked.cx, walked.view);
    let target = cx.programs[view.program].target.as_ref().ok()?;
    let (how, offset) = match *step.op {
        Op::Load { base, off, .. } => {
            // Only where the verifier follows kernel pointers is such a load
            // one from the kernel's memory.
            let follows = matches!(
                target.def.program_type,
                ProgramType::Tracing | ProgramType::Lsm | ProgramType::StructOps
            );
            let Value::Kernel(start) = step.before.get(base) else { return None };
            follows.then(|| (None, i64::from(start) + i64::from(off)))?
        }
        Op::Call(Call::Helper(id)) => {
            let name = Helper::by_id(id)?.name();
            let reads = matches!(
                name,
                "bpf_probe_read"
                    | "bpf_probe_read_str"
                    | "bpf_probe_read_kernel"
                    | "bpf_probe_read_kernel_str"
            );
            let Value::Kernel(start) = step.before.argument(3) else { return None };
            // At its beginning it may be a string or a number.
            (reads && start != 0).then(|| (Some(name), i64::from(start)))?
        }
        _ => return None,
    };
    let by = how.map_or(String::new(), |name| format!(" by `{name}`"));
    let message =
        format!("byte {offset} of a kernel structure is read{by} without CO-RE, at a fixed offset");
    Some(
        cx.lint(codes::READ_WITHOUT_CORE, view, step.slot, message)
            .note("the offset is the one of the header it was compiled with; kernels lay their structures out anew with versions and configurations")
            .help("take the type from vmlinux.h, or declare it with `__attribute__((preserve_access_index))`; read it with `BPF_CORE_READ()`"),
    )
}
