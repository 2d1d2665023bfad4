//! What came of programs that were attached while something was done. Other
//! processes are there, too, so what is expected may have other things around
//! it; that nothing comes can be expected as well.

use super::judge::{Difference, MOST_LINES, Seen};
use super::ready::{Check, EventCheck, Expected, Ready};
use crate::base::fs;
use crate::bpf::errno;
use crate::ops::run::events::Types;
use crate::values::{Written, encode, encode_plain};
use crate::wire::{Act, Refusal, records};

/// What is different of what is attached and done; nothing more is to be
/// judged if there is something.
pub(super) fn done(ready: &Ready, seen: &Seen) -> Vec<Difference> {
    let checks = &ready.checks.scene;
    let mut all = Vec::new();
    let why = |refusal: &Refusal| {
        let mut lines = refusal.messages.clone();
        if refusal.errno != 0 {
            lines.push(named(refusal.errno));
        }
        lines
    };
    for (name, span) in &checks.attached {
        let found = seen.ran.attached.iter().find(|attached| attached.entry.name == *name);
        let lines = match found.map(|attached| &attached.result) {
            Some(Ok(_)) => continue,
            Some(Err(refusal)) => why(refusal),
            None => vec!["it is not loaded".to_owned()],
        };
        let mut difference = Difference::new(span, format!("`{name}` cannot be attached"));
        difference.lines = lines;
        all.push(difference);
    }
    let scene = ready.case.scene.as_ref();
    let is_all = scene.is_some_and(|scene| scene.programs.is_none());
    if is_all && !seen.ran.attached.iter().any(|one| one.result.is_ok()) {
        let mut difference = Difference::new(&ready.span, "no program could be attached");
        for attached in &seen.ran.attached {
            let lines = attached.result.as_ref().err().map(why).unwrap_or_default();
            difference.lines.push(format!("{}: {}", attached.entry.name, lines.join("; ")));
        }
        all.push(difference);
    }
    for (index, check) in checks.deeds.iter().enumerate() {
        let line = &check.line;
        let what = match (seen.ran.acts.get(index), check.expected) {
            (None, _) if seen.ran.is_late => {
                let seconds = scene.map_or(0, |scene| scene.limit_ms / 1000);
                format!("`{line}` is not done within {seconds} s")
            }
            (None, _) => format!("`{line}` was not come to"),
            (Some(Act { errno: 0, code: 0 }), Expected::Done) => continue,
            (Some(act), Expected::Done) => format!("`{line}` {}", ended(act)),
            (Some(Act { errno: 0, code: 0 }), Expected::Failed) => {
                format!("`{line}` does not fail")
            }
            (Some(_), Expected::Failed) => continue,
            (Some(act), Expected::Error(error)) if act.errno == error => continue,
            (Some(Act { errno: 0, code: 0 }), Expected::Error(error)) => {
                format!("expected {}, but `{line}` does not fail", named(error))
            }
            (Some(act), Expected::Error(error)) => {
                format!("expected {}, but `{line}` {}", named(error), ended(act))
            }
            (Some(Act { errno: 0, code }), Expected::Code(expected)) if *code == expected => {
                continue;
            }
            (Some(act), Expected::Code(expected)) => {
                format!("expected exit code {expected}, but `{line}` {}", ended(act))
            }
        };
        let mut difference = Difference::new(&check.span, what);
        difference.lines.extend(wrote(seen));
        // What follows may only be so because of this.
        all.push(difference);
        break;
    }
    all
}

/// What was written by what was done, in words; nothing if it is silent.
fn wrote(seen: &Seen) -> Option<String> {
    /// More of it is not shown, in characters.
    const MOST: usize = 2000;
    let output = seen.ran.output.trim_end();
    let end = output.char_indices().nth(MOST).map_or(output.len(), |(at, _)| at);
    (!output.is_empty()).then(|| format!("it wrote:\n{}", &output[..end]))
}

/// Texts that were to be written, in this order.
pub(super) fn output(ready: &Ready, seen: &Seen) -> Option<Difference> {
    let mut rest = seen.ran.output.as_str();
    for Check { expected, span } in &ready.checks.scene.output {
        let Some(at) = rest.find(expected.as_str()) else {
            let mut difference = Difference::new(span, "it is not written where it is expected");
            difference.lines.extend(wrote(seen));
            return Some(difference);
        };
        rest = &rest[at + expected.len()..];
    }
    None
}

/// How something ended.
fn ended(act: &Act) -> String {
    match (act.errno, act.code) {
        (0, 127) => "is no command, and no program that was brought".to_owned(),
        (0, code @ 129..=192) => {
            format!("ends with code {code}, as signal {} makes a program end", code - 128)
        }
        (0, code) => format!("ends with code {code}"),
        // As shells have it.
        (errno, 126) => format!("does not start: {}", named(errno)),
        (errno, _) => format!("fails with {}", named(errno)),
    }
}

/// An error with its name and its text.
fn named(number: i32) -> String {
    let text = fs::reason(&std::io::Error::from_raw_os_error(number));
    match errno::name(number) {
        Some(name) => format!("{name} ({text})"),
        None => format!("error {number} ({text})"),
    }
}

/// Lines that were to be printed, in this order.
pub(super) fn prints(check: &Check<Vec<String>>, got: &[String]) -> Option<Difference> {
    let mut rest = got;
    let missing = check.expected.iter().find(|line| {
        let found = rest.iter().position(|known| known == *line);
        rest = found.map_or(&[], |at| &rest[at + 1..]);
        found.is_none()
    });
    let what = match missing {
        Some(line) => format!("`{line}` is not printed where it is expected"),
        None if check.expected.is_empty() && !got.is_empty() => {
            format!("{} lines are printed", got.len())
        }
        None => return None,
    };
    let mut difference = Difference::new(&check.span, what);
    let shown = got.iter().take(MOST_LINES).map(|line| format!("printed: {line}"));
    difference.lines.extend(shown);
    Some(difference)
}

/// Events that were to come, in this order.
pub(super) fn events(
    check: &EventCheck,
    seen: &Seen,
    stream: usize,
    types: Option<&Types<'_>>,
) -> Vec<Difference> {
    let got: Vec<&[u8]> = records::iter(&seen.records)
        .filter(|(of, _)| *of as usize == stream)
        .map(|(_, record)| record)
        .collect();
    let shown = || {
        let of = |record: &&[u8]| types.map(|types| types.event(&check.map, record).to_string());
        let lines = got.iter().take(MOST_LINES).filter_map(of);
        lines.map(|line| format!("came: {line}")).collect::<Vec<String>>()
    };
    if check.events.is_empty() && !got.is_empty() {
        let mut difference = Difference::new(&check.span, format!("{} events came", got.len()));
        difference.lines = shown();
        return vec![difference];
    }
    let mut rest = got.as_slice();
    for (given, span) in &check.events {
        let mut wrong = None;
        // Whatever it is.
        let is_any = matches!(&given.value, Written::Table(members) if members.is_empty());
        let found = rest.iter().position(|record| {
            if is_any {
                return true;
            }
            let known = types.and_then(|types| types.type_of(&check.map, record.len() as u64));
            let encoded = match known {
                Some((btf, ty)) => encode(btf, ty, "", given),
                None => encode_plain(record.len(), given),
            };
            match encoded {
                Ok(parts) => parts.iter().all(|part| part.is_in(record)),
                Err(error) => {
                    wrong.get_or_insert(error);
                    false
                }
            }
        });
        let Some(at) = found else {
            if let Some(wrong) = wrong {
                return vec![Difference::new(&(check.places)(wrong.range), wrong.message)];
            }
            let mut difference = Difference::new(span, "no such event came where it is expected");
            difference.lines = shown();
            return vec![difference];
        };
        rest = &rest[at + 1..];
    }
    Vec::new()
}

/// What iterators were to show.
pub(super) fn shows(ready: &Ready, seen: &Seen) -> Vec<Difference> {
    let mut all = Vec::new();
    for (program, texts) in &ready.checks.scene.shows {
        let shown = seen.iterated.iter().find(|(known, _)| known == program);
        let text = shown.map(|(_, text)| String::from_utf8_lossy(text)).unwrap_or_default();
        let mut rest = text.as_ref();
        for (expected, span) in texts {
            match rest.find(expected.as_str()) {
                Some(at) => rest = &rest[at + expected.len()..],
                None => {
                    let mut difference =
                        Difference::new(span, "it is not shown where it is expected");
                    let lines = text.lines().take(MOST_LINES);
                    difference.lines = lines.map(|line| format!("shown: {line}")).collect();
                    all.push(difference);
                    break;
                }
            }
        }
    }
    all
}
