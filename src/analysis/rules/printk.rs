//! W0414 printk-in-hot-path: `bpf_printk` where it runs for every packet, for
//! every turn of a loop, or at an event that happens all the time.

use super::steps::Walked;
use crate::analysis::{Certainty, Step};
use crate::bpf::{Call, Helper, Op, ProgramType};
use crate::diagnostics::{Diagnostic, codes};

/// Trace points that are hit thousands of times a second on an idle machine
/// (include/trace/events, measured by `perf stat`).
const FREQUENT: &[&str] = &[
    "sched_switch",
    "sched_wakeup",
    "sched_waking",
    "raw_syscalls/sys_enter",
    "raw_syscalls/sys_exit",
    "sys_enter",
    "sys_exit",
    "kmalloc",
    "kfree",
    "kmem_cache_alloc",
    "kmem_cache_free",
    "mm_page_alloc",
    "softirq_entry",
    "softirq_exit",
    "irq_handler_entry",
    "hrtimer_start",
    "timer_start",
];

pub(super) fn look(walked: &mut Walked<'_, '_>, step: &Step<'_>) -> Option<Diagnostic> {
    let (cx, view) = (walked.cx, walked.view);
    let Op::Call(Call::Helper(id)) = *step.op else { return None };
    let helper = Helper::by_id(id)?;
    if !matches!(helper.name(), "bpf_trace_printk" | "bpf_trace_vprintk")
        || cx.certainty(view, step.slot) < Certainty::Likely
    {
        return None;
    }
    let target = cx.programs[view.program].target.as_ref().ok()?;
    let when = if walked.loops.get(step.slot).copied().flatten().is_some() {
        "in every turn of a loop".to_owned()
    } else if is_for_packets(target.def.program_type) {
        format!("for every packet that a program in SEC(\"{}\") sees", target.def.name)
    } else {
        let event = target.target?;
        let is_event = |name: &str| {
            event.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
        };
        FREQUENT.iter().find(|name| is_event(name))?;
        format!("at every `{event}`, which happens all the time")
    };
    let message = format!("`bpf_printk` is called {when}");
    Some(
        cx.lint(codes::PRINTK_IN_HOT_PATH, view, step.slot, message)
            .note("it formats text and writes it to one buffer that all programs and CPUs share; under load that costs microseconds, and lines get lost")
            .help("count in a map, send events through a ring buffer, or print only `if (verbose)` with `const volatile bool verbose`"),
    )
}

/// Whether a program of this type runs for each packet.
fn is_for_packets(program: ProgramType) -> bool {
    matches!(
        program,
        ProgramType::Xdp
            | ProgramType::SchedCls
            | ProgramType::SchedAct
            | ProgramType::SocketFilter
            | ProgramType::CgroupSkb
            | ProgramType::SkSkb
            | ProgramType::SkMsg
            | ProgramType::LwtIn
            | ProgramType::LwtOut
            | ProgramType::LwtXmit
            | ProgramType::LwtSeg6local
            | ProgramType::FlowDissector
            | ProgramType::Netfilter
    )
}
