//! W0419 unaligned-packet-access: packet data is read or written at a place
//! that is no multiple of its size. x86-64 and arm64 bear it; where a machine
//! cannot load unaligned, the verifier refuses (`check_pkt_ptr_alignment`,
//! which takes packets to begin two bytes behind an aligned address).

use super::steps::Walked;
use crate::analysis::{Step, Value};
use crate::bpf::{Op, ProgramType};
use crate::diagnostics::{Diagnostic, codes};

/// Where an Ethernet header begins, so that the IP header behind it is aligned
/// (`NET_IP_ALIGN`).
const START: i64 = 2;

pub(super) fn look(walked: &mut Walked<'_, '_>, step: &Step<'_>) -> Option<Diagnostic> {
    let (size, base, off) = match *step.op {
        Op::Load { size, base, off, .. } | Op::Store { size, base, off, .. } => (size, base, off),
        _ => return None,
    };
    let Value::Packet(start) = step.before.get(base) else { return None };
    // Others do not begin with an Ethernet header.
    let target = walked.cx.programs[walked.view.program].target.as_ref().ok()?;
    if !matches!(target.def.program_type, ProgramType::Xdp | ProgramType::SchedCls) {
        return None;
    }
    let place = i64::from(start) + i64::from(off);
    let size = i64::from(size.bytes());
    if (START + place).rem_euclid(size) == 0 {
        return None;
    }
    let message = format!(
        "{size} bytes of the packet are accessed at byte {place}, where they are not aligned"
    );
    Some(
        walked
            .cx
            .lint(codes::UNALIGNED_PACKET_ACCESS, walked.view, step.slot, message)
            .note("x86-64 and arm64 load them all the same; where the machine cannot, the verifier refuses the program")
            .help("declare the header `__attribute__((packed))`, or copy the bytes with `__builtin_memcpy()`: clang then takes them one by one"),
    )
}
