//! Programs at work: what the machine tells, as values.

use super::events::{Reader, Types};
use super::happening::Happening;
use super::sides::Stops;
use super::symbols::Symbols;
use super::{Outcome, Request};
use crate::base::Cancel;
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use crate::ops::Session;
use crate::values::Value;
use crate::vm::{self, Live, Stream};
use crate::wire::{Attached, Content, Reply};
use std::collections::VecDeque;
use std::time::Instant;

/// Everything that is looked at while programs are at work.
pub(super) struct Watch<'w> {
    pub session: &'w Session,
    pub request: &'w Request,
    pub types: &'w Types<'w>,
    /// As the user names it.
    pub kernel: &'w str,
    /// How often the user asked for the end.
    pub stops: &'w Stops<'w>,
    pub tell: &'w mut dyn FnMut(&Happening),
}

impl Watch<'_> {
    /// Hands on what happens until it ends.
    pub fn all(mut self, mut live: Live, outcome: &mut Outcome) -> Result<(), Failure> {
        for fixup in &live.fixups {
            self.session.note(fixup.clone());
        }
        let mut attached = 0;
        for program in &live.programs {
            attached += u32::from(program.result.is_ok());
            (self.tell)(&Happening::Attached {
                program: program.entry.name.clone(),
                section: program.entry.section.clone(),
                result: program.result.clone().map_err(|refusal| reason(&refusal)),
            });
        }
        let twins = twins(&live.programs);
        if let Some((one, other, event)) = twins.first() {
            let more = match twins.len() {
                1 => String::new(),
                count => format!(", and so do {} more pairs", count - 1),
            };
            self.session.note(format!(
                "{one} and {other} both run at {event}{more}: if one stands in for the other, \
                 `--attach {other}=none` leaves it out"
            ));
        }
        if attached == 0 {
            let message = "no program could be attached";
            outcome.diagnostics.push(Diagnostic::new(codes::NOT_ATTACHED, Origin::Vm, message));
        }
        (self.tell)(&Happening::Ready {
            kernel: self.kernel.to_owned(),
            release: live.release.clone(),
        });
        let mut room = Room::default();
        // A reply is heard to its end; the guest says several times a second
        // that it is there, so the wish to stop is heard, too.
        let patient = Cancel::new();
        let deadline = self.request.limit.map(|limit| Instant::now() + limit);
        let mut is_stopping = false;
        let streams = live.streams.clone();
        let mut reader = Reader::new(self.types, &streams);
        loop {
            let (reply, blob) = match room.waiting.pop_front() {
                Some(reply) => reply,
                None => live.next(&patient)?,
            };
            match reply {
                Reply::Told => live.leave(&patient)?,
                Reply::Done => {
                    (self.tell)(&Happening::Pause);
                    return Ok(());
                }
                Reply::Records => {
                    self.records(&mut reader, &blob, &mut live, &mut room, outcome)?
                }
                Reply::Lost { stream, count } => {
                    let map = streams.get(stream as usize).cloned().unwrap_or_default();
                    (self.tell)(&Happening::Lost { map, count });
                }
                Reply::Traced => {
                    let text = String::from_utf8_lossy(&blob);
                    text.lines().filter_map(printed).for_each(|told| (self.tell)(&told));
                }
                Reply::Content(content) => self.map(&content, &blob, &mut live, &mut room)?,
                Reply::Iterated { program } => {
                    if let Some(mut records) = self.types.iterated(&blob) {
                        room.name(records.iter_mut(), &mut live)?;
                        for value in records {
                            (self.tell)(&Happening::Event { map: program.clone(), value });
                        }
                    } else {
                        let text = String::from_utf8_lossy(&blob).into_owned();
                        (self.tell)(&Happening::Iterated { program, text });
                    }
                }
                Reply::Output { error } => {
                    let stream = if error { Stream::Error } else { Stream::Out };
                    (self.tell)(&Happening::Output(stream, blob));
                }
                Reply::Exited { code } => outcome.exit = Some(code),
                _ => {}
            }
            (self.tell)(&Happening::Pause);
            let is_enough = self.request.count.is_some_and(|count| outcome.events >= count)
                || deadline.is_some_and(|deadline| Instant::now() >= deadline);
            let asked = self.stops.asked();
            if asked > 1 {
                self.session.cancel.cancel();
                return Err(vm::Error::Cancelled.into());
            }
            if (asked > 0 || is_enough) && !is_stopping {
                is_stopping = true;
                live.stop(&patient)?;
            }
        }
    }

    fn records(
        &mut self,
        reader: &mut Reader<'_>,
        blob: &[u8],
        live: &mut Live,
        room: &mut Room,
        outcome: &mut Outcome,
    ) -> Result<(), Failure> {
        let left = self.request.count.map_or(u64::MAX, |count| count - outcome.events.min(count));
        let Some(mut all) = reader.unnamed(blob, left) else {
            outcome.events += reader.tell(blob, left, self.tell);
            return Ok(());
        };
        room.name(all.iter_mut().map(|(_, value)| value), live)?;
        for (map, value) in all {
            outcome.events += 1;
            (self.tell)(&Happening::Event { map: map.to_owned(), value });
        }
        Ok(())
    }

    fn map(
        &mut self,
        content: &Content,
        blob: &[u8],
        live: &mut Live,
        room: &mut Room,
    ) -> Result<(), Failure> {
        let mut entries = self.types.content(content, blob);
        if self.types.is_of_stacks(&content.map) {
            entries.retain(|(key, _)| !room.symbols.was_told(key));
        }
        room.name(entries.iter_mut().map(|(key, _)| key), live)?;
        room.name(entries.iter_mut().map(|(_, value)| value), live)?;
        (self.tell)(&Happening::Map {
            name: content.map.clone(),
            entries,
            is_cut: content.is_cut,
            is_data: self.types.is_data(&content.map),
            is_last: content.is_last,
        });
        Ok(())
    }
}

/// What is kept while programs are at work.
#[derive(Default)]
struct Room {
    symbols: Symbols,
    /// What was told while an answer was waited for.
    waiting: VecDeque<(Reply, Vec<u8>)>,
}

impl Room {
    /// Names the addresses and stacks in some values; asks the machine for
    /// what it has not said yet.
    fn name<'v>(
        &mut self,
        values: impl Iterator<Item = &'v mut Value>,
        live: &mut Live,
    ) -> Result<(), Failure> {
        let mut values: Vec<&mut Value> = values.collect();
        let asked = self.symbols.question(values.iter_mut().map(|value| &mut **value));
        let answer = match asked {
            Some(asked) => {
                let patient = Cancel::new();
                live.ask(&asked, &patient)?;
                loop {
                    match live.next(&patient)? {
                        (Reply::Located(located), _) => break Some((asked, located)),
                        other => self.waiting.push_back(other),
                    }
                }
            }
            None => None,
        };
        self.symbols.fill(values.into_iter(), answer);
        Ok(())
    }
}

/// Programs that were attached to the same event in two ways, and what they
/// call it. One of them is often there for kernels that do not know the other
/// way, and a user program chooses; if both run, everything is counted twice.
fn twins(programs: &[Attached]) -> Vec<(&str, &str, &str)> {
    /// Ways to the same event; the one to keep stands first.
    const WAYS: [&[&str]; 3] =
        [&["tp_btf", "raw_tp", "raw_tracepoint"], &["fentry", "kprobe"], &["fexit", "kretprobe"]];
    let mut seen: Vec<(usize, usize, &str, &str)> = Vec::new();
    for program in programs {
        let section = program.entry.section.as_str();
        // What was put elsewhere is there on purpose.
        if program.result.as_deref() != Ok(section) {
            continue;
        }
        let Some((way, event)) = section.split_once('/') else { continue };
        let places = WAYS
            .iter()
            .enumerate()
            .find_map(|(kind, ways)| Some((kind, ways.iter().position(|known| *known == way)?)));
        if let Some((kind, rank)) = places {
            seen.push((kind, rank, event, &program.entry.name));
        }
    }
    seen.sort_by_key(|&(kind, rank, event, _)| (kind, event, rank));
    let pairs = seen.windows(2).filter_map(|pair| match pair {
        [(kind, rank, event, one), (other_kind, other_rank, other_event, other)]
            if (kind, event) == (other_kind, other_event) && rank != other_rank =>
        {
            Some((*one, *other, *event))
        }
        _ => None,
    });
    pairs.collect()
}

/// Why a program is not attached, in one line.
fn reason(refusal: &crate::wire::Refusal) -> String {
    let said = refusal.messages.last().map(|said| said.trim().to_owned());
    match (said, refusal.errno) {
        (Some(said), _) if !said.is_empty() => said,
        (_, errno) => std::io::Error::from_raw_os_error(errno).to_string(),
    }
}

/// A line of the kernel's trace:
/// `  cat-71  [000] ...11  2.345: bpf_trace_printk: text`.
pub(in crate::ops) fn printed(line: &str) -> Option<Happening> {
    // What other tracers write is nobody's here.
    let (head, text) = line.split_once("bpf_trace_printk: ")?;
    let (task, _) = head.split_once('[')?;
    let (task, pid) = task.trim().rsplit_once('-')?;
    Some(Happening::Printed {
        task: task.trim().to_owned(),
        pid: pid.trim().parse().ok()?,
        text: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Entry;

    #[test]
    fn two_ways_to_one_event_are_seen() {
        let program = |name: &str, section: &str, place: &str| Attached {
            entry: Entry {
                name: name.to_owned(),
                section: section.to_owned(),
                kind: String::new(),
            },
            result: Ok(place.to_owned()),
        };
        let all = [
            program("raw", "raw_tp/sched_switch", "raw_tp/sched_switch"),
            program("old", "kprobe/vfs_read", "kprobe/vfs_read"),
            program("btf", "tp_btf/sched_switch", "tp_btf/sched_switch"),
            program("after", "fexit/vfs_read", "fexit/vfs_read"),
            program("elsewhere", "fentry/vfs_read", "vfs_write"),
            program("again", "kprobe/vfs_read", "kprobe/vfs_read"),
        ];
        assert_eq!(twins(&all), [("btf", "raw", "sched_switch")]);
    }

    #[test]
    fn the_trace_tells_who_printed() {
        let line = "     kworker/0:1-12      [000] d..21     3.100000: bpf_trace_printk: x: 1 [2]";
        let Some(Happening::Printed { task, pid, text }) = printed(line) else {
            panic!("it is a line of the trace")
        };
        assert_eq!((task.as_str(), pid, text.as_str()), ("kworker/0:1", 12, "x: 1 [2]"));
        assert_eq!(printed("CPU:0 [LOST 12 EVENTS]"), None);
        assert_eq!(printed(""), None);
    }
}
