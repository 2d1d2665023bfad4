//! Packets that tests take from files: read once for a suite.

use crate::base::fs;
use crate::diagnostics::{Diagnostic, Failure};
use crate::ops::Session;
use crate::packets::capture::{self, Captured};
use crate::project::suite::{Packet, Suite};
use crate::values::Wrong;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

/// More bytes of packets are not sent to a guest for one test.
const MOST: usize = 4 << 20;

/// The files of a suite, by the names that they have in it.
#[derive(Default)]
pub(super) struct Captures(Vec<(String, Vec<Captured>)>);

impl Captures {
    /// Reads the files that a suite names, from its own directory on. What
    /// cannot be read is in the findings.
    pub fn of(session: &Session, suite: &Suite, dir: &Path) -> (Self, Vec<Diagnostic>) {
        let mut files: Vec<(String, Vec<Captured>)> = Vec::new();
        let mut findings: Vec<Diagnostic> = Vec::new();
        let mut named = BTreeSet::new();
        let packets = suite.tests.iter().flat_map(|test| [&test.packet, &test.expect.packet]);
        for packet in packets.flatten() {
            let Packet::Captured { file, .. } = &packet.value else { continue };
            if !named.insert(&file.value) {
                continue;
            }
            let path = dir.join(&file.value);
            let read = match fs::read(&path) {
                Ok(bytes) => capture::read(&bytes)
                    .map_err(|damage| damage.diagnostic(session.display(&path))),
                Err(error) => Err(Failure::from(error).into_diagnostic()),
            };
            let packets = match read {
                Ok(packets) => packets,
                Err(finding) => {
                    let span = suite.span(file.range.clone().unwrap_or_default());
                    findings.push(finding.at(span));
                    continue;
                }
            };
            let cut = packets.iter().filter(|packet| packet.is_cut()).count();
            if cut > 0 {
                session.note(format!(
                    "{cut} of {} packets of {} were cut off when they were captured",
                    packets.len(),
                    file.value
                ));
            }
            files.push((file.value.clone(), packets));
        }
        (Self(files), findings)
    }

    /// The frames that a packet of a test stands for: one, all of a file, or
    /// none of a file that could not be read.
    ///
    /// # Errors
    /// There is no such frame: what is wrong, and on which part of the test.
    pub fn frames(&self, packet: &Packet) -> Result<Vec<Vec<u8>>, Wrong> {
        let (file, frame) = match packet {
            Packet::Bytes(bytes) => return Ok(vec![bytes.clone()]),
            Packet::Captured { file, frame } => (file, frame),
        };
        // Why a file could not be read is told already.
        let known = self.0.iter().find(|(known, _)| *known == file.value);
        let Some((_, packets)) = known else { return Ok(Vec::new()) };
        let of = |number: usize, captured: &Captured, range: &Option<Range<usize>>| {
            let wrong = |why| told(range, format!("frame {number} of {}: {why}", file.value));
            captured.ethernet().map_err(wrong)
        };
        if let Some(frame) = frame {
            let number = usize::try_from(frame.value).unwrap_or(usize::MAX);
            return match packets.get(number - 1) {
                Some(captured) => Ok(vec![of(number, captured, &frame.range)?]),
                None => {
                    let count = packets.len();
                    Err(told(&frame.range, format!("{} has {count} frames", file.value)))
                }
            };
        }
        let numbered = (1..).zip(packets);
        let frames = numbered.map(|(number, captured)| of(number, captured, &file.range));
        let frames = frames.collect::<Result<Vec<_>, _>>()?;
        if frames.is_empty() {
            return Err(told(&file.range, format!("there is no packet in {}", file.value)));
        }
        if frames.iter().map(Vec::len).sum::<usize>() > MOST {
            let message = format!("{} has more than {} MiB of packets", file.value, MOST >> 20);
            return Err(told(&file.range, format!("{message}; name one with `frame`")));
        }
        Ok(frames)
    }
}

fn told(range: &Option<Range<usize>>, message: String) -> Wrong {
    Wrong { message, range: range.clone().unwrap_or_default() }
}
