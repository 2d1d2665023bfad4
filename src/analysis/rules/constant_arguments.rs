//! W0420 constant-argument: a helper is called with a constant that makes the
//! call fail each time. The verifier takes it; what the call returns is all
//! there is to see.

use super::steps::Walked;
use crate::analysis::{Step, Value};
use crate::bpf::{Call, Helper, MapType, Op, ProgramType, arguments};
use crate::diagnostics::{Diagnostic, codes};

/// `BPF_F_CURRENT_CPU`: the index of the CPU that the program runs on.
const CURRENT_CPU: i64 = 0xffff_ffff;

pub(super) fn look(walked: &mut Walked<'_, '_>, step: &Step<'_>) -> Option<Diagnostic> {
    let Op::Call(Call::Helper(id)) = *step.op else { return None };
    let helper = Helper::by_id(id)?;
    let target = walked.cx.programs[walked.view.program].target.as_ref().ok()?;
    let program = target.def.program_type;
    let (argument, outcome, help) =
        refused(helper, program, step).or_else(|| of_map(walked, helper, step))?;
    let message = format!("`{helper}` {outcome}, because of its argument {argument}");
    let is_verified = arguments::rules(helper)
        .iter()
        .any(|rule| rule.is_verified() && rule.argument == argument && rule.outcome == outcome);
    let note = match is_verified {
        true => "it says nothing of why",
        false => "the verifier takes the call; it is the kernel's function that refuses",
    };
    let finding = walked.cx.lint(codes::CONSTANT_ARGUMENT, walked.view, step.slot, message);
    Some(finding.note(note).help(help))
}

/// What the table says of a call.
fn refused(
    helper: Helper,
    program: ProgramType,
    step: &Step<'_>,
) -> Option<(usize, String, String)> {
    arguments::rules(helper).iter().filter(|rule| rule.is_for(program)).find_map(|rule| {
        let Value::Number(number) = step.before.argument(rule.argument) else { return None };
        let number = number.cast_unsigned();
        // Arguments of 32 bits may come with their sign.
        let low = number & 0xffff_ffff;
        let is_signed = number >> 32 == 0xffff_ffff;
        if rule.demand.holds(number) || is_signed && rule.demand.holds(low) {
            return None;
        }
        let help = format!("it is {number} (`{number:#x}`), and must be {}", rule.demand);
        Some((rule.argument, rule.outcome.to_owned(), help))
    })
}

/// What hangs on the map that is given.
fn of_map(
    walked: &Walked<'_, '_>,
    helper: Helper,
    step: &Step<'_>,
) -> Option<(usize, String, String)> {
    let map = |number: usize| match step.before.argument(number) {
        Value::Map(index) => walked.cx.object.maps.get(usize::try_from(index).ok()?),
        _ => None,
    };
    let number = |argument: usize| match step.before.argument(argument) {
        Value::Number(number) => Some(number),
        _ => None,
    };
    match helper.name() {
        // array_map_update_elem: every element is there from the beginning.
        "bpf_map_update_elem" => {
            let is_array =
                matches!(map(1)?.def.known_type()?, MapType::Array | MapType::PercpuArray);
            (is_array && number(4)? & 3 == 1).then(|| {
                let help = "every element of an array is there from the beginning: use BPF_ANY (0)";
                (4, "fails with -EEXIST".to_owned(), help.to_owned())
            })
        }
        // __bpf_ringbuf_reserve: the record with its header of 8 bytes.
        "bpf_ringbuf_reserve" | "bpf_ringbuf_output" => {
            let argument = if helper.name() == "bpf_ringbuf_reserve" { 2 } else { 3 };
            let room = map(1).filter(|map| map.def.known_type() == Some(MapType::Ringbuf))?;
            let room = i64::from(room.def.max_entries);
            let size = number(argument)?.checked_add(8 + 7)? & !7;
            (room > 0 && size > room).then(|| {
                let outcome =
                    if argument == 2 { "reserves nothing (NULL)" } else { "fails with -EAGAIN" };
                let help = format!("the ring buffer has {room} bytes, and a record needs {size} with its header: raise its max_entries");
                (argument, outcome.to_owned(), help)
            })
        }
        // __bpf_perf_event_output: the buffer must be the current CPU's.
        "bpf_perf_event_output" => {
            let index = number(3)? & CURRENT_CPU;
            (index != CURRENT_CPU && map(2)?.def.known_type()? == MapType::PerfEventArray).then(|| {
                let outcome = format!("fails with -EOPNOTSUPP on every CPU but number {index}");
                (3, outcome, "pass BPF_F_CURRENT_CPU: a program writes to the buffer of the CPU it runs on".to_owned())
            })
        }
        _ => None,
    }
}
