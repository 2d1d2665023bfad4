//! Packets that are sent through the guest's network while programs are
//! attached: of captured files, or written as layers.

use super::{Request, kind};
use crate::base::fs;
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use crate::elf;
use crate::ops::Session;
use crate::packets::{self, capture};
use crate::wire::BROUGHT;

/// What the packets are called in the guest.
const FILE: &str = ".packets";
/// The sections whose programs see packets, or sockets that do.
const SECTIONS: &[&str] = &[
    "xdp",
    "xdp.frags",
    "tc",
    "tcx",
    "classifier",
    "action",
    "socket",
    "cgroup_skb",
    "sk_skb",
    "sk_msg",
    "sk_lookup",
    "sk_reuseport",
    "flow_dissector",
    "netfilter",
    "lwt_in",
    "lwt_out",
    "lwt_xmit",
    "sockops",
];

/// Whether the guest is to have the pair of devices.
pub(super) fn needs_network(request: &Request, objects: &[&elf::Object]) -> bool {
    let is_one = |section: &str| SECTIONS.contains(&kind(section));
    let sees = |object: &&elf::Object| {
        object.programs().any(|program| is_one(object.section_name(program)))
    };
    !request.sends.is_empty() || objects.iter().any(sees)
}

/// The packets as the guest's `play` reads them: each with its length and
/// when it is due; none if there are none.
///
/// # Errors
/// A file that cannot be read; text that is no packet.
pub(super) fn packets(session: &Session, request: &Request) -> Result<Option<Vec<u8>>, Failure> {
    if request.sends.is_empty() {
        return Ok(None);
    }
    let mut all = Vec::new();
    let mut begun = 0;
    for text in &request.sends {
        let path = session.absolute(text);
        let mut frames: Vec<(Vec<u8>, u64)> = Vec::new();
        if fs::is_file(&path) {
            let shown = session.display(&path);
            let captured = capture::read(&fs::read(&path)?)
                .map_err(|damage| Failure::from(damage.diagnostic(shown)))?;
            let mut left_out = 0;
            for packet in &captured {
                match packet.ethernet() {
                    Ok(frame) => frames.push((frame, packet.time_ns.unwrap_or(0))),
                    Err(_) => left_out += 1,
                }
            }
            if left_out > 0 {
                session.note(format!(
                    "{left_out} of {} packets of {} could not be on Ethernet, and are left out",
                    captured.len(),
                    shown.display()
                ));
            }
        } else {
            let packet = packets::parse(text).map_err(|mistake| {
                let message = format!("`--send {text}` is no file and no packet");
                Diagnostic::new(codes::USAGE, Origin::Command, message).note(mistake.message).help(
                    "name a pcap or pcapng file, or write layers: \
                     `eth/ip/tcp(dport=80)/\"text\"`",
                )
            })?;
            frames.push((packet, 0));
        }
        let first = frames.iter().map(|(_, time)| *time).min().unwrap_or(0);
        let mut last = 0;
        for (frame, time) in frames {
            last = last.max(time - first);
            all.extend((frame.len() as u32).to_le_bytes());
            all.extend((begun + time - first).to_le_bytes());
            all.extend(frame);
        }
        begun += last;
    }
    Ok(Some(all))
}

/// Where the guest finds them, from the root on.
pub(super) fn place() -> String {
    format!("{BROUGHT}/{FILE}")
}

/// What the guest's shell does: it sends the packets, and then what the user
/// says.
pub(super) fn workload(request: &Request) -> Option<String> {
    if request.sends.is_empty() {
        return request.workload.clone();
    }
    let rate = request.send_rate.as_deref().unwrap_or_default();
    let own = request.workload.as_deref().unwrap_or_default();
    Some(format!("play /{} {rate}\n{own}\n", place()))
}
