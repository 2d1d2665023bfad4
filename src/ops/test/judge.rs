//! What came out of a case, compared with what was expected.

use super::ready::{Check, EntryCheck, EventCheck, Ready, Typed};
use super::scene;
use crate::base::fs;
use crate::bpf::action::action;
use crate::bpf::test_run::Packet;
use crate::btf::Btf;
use crate::diagnostics::{Diagnostic, Span};
use crate::ops::run::{Happening, events::Types, printed};
use crate::packets::{Start, differences};
use crate::values::{Part, Written, encode};
use crate::wire::{Content, Outcome, Program, Ran, records};

/// A difference in a line of its own is cut beyond so many.
pub(super) const MOST_LINES: usize = 20;
/// The kernel's `ENOTSUPP`, which is no number of errno(3).
const ENOTSUPP: i32 = 524;

/// All that came out of a case.
#[derive(Default)]
pub(super) struct Seen {
    pub ran: Ran,
    pub records: Vec<u8>,
    /// Streams that lost records, and how many.
    pub lost: Vec<(u32, u64)>,
    pub traced: Vec<u8>,
    pub contents: Vec<(Content, Vec<u8>)>,
    /// What iterators showed.
    pub iterated: Vec<(String, Vec<u8>)>,
}

/// Something that is not as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// Where the expectation is written.
    pub span: Span,
    /// What is different, on one line.
    pub what: String,
    /// More about it, a line each.
    pub lines: Vec<String>,
}

impl Difference {
    pub fn new(span: &Span, what: impl Into<String>) -> Self {
        Self { span: span.clone(), what: what.into(), lines: Vec::new() }
    }

    /// One that more than one thing is to be said about.
    fn several(span: &Span, what: &str, mut lines: Vec<String>) -> Option<Self> {
        let more = lines.len().saturating_sub(MOST_LINES);
        lines.truncate(MOST_LINES);
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        match lines.as_slice() {
            [] => None,
            [one] => Some(Self::new(span, one.clone())),
            _ => Some(Self { span: span.clone(), what: what.to_owned(), lines }),
        }
    }
}

impl Seen {
    /// What the program printed, line by line.
    pub fn prints(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.traced);
        let of_line = |line: &str| match printed(line) {
            Some(Happening::Printed { text, .. }) => Some(text),
            _ => None,
        };
        text.lines().filter_map(of_line).collect()
    }
}

/// What is different; nothing if the test passes.
pub(super) fn judge(
    ready: &Ready,
    seen: &Seen,
    streams: &[String],
    types: Option<&Types<'_>>,
) -> Vec<Difference> {
    let checks = &ready.checks;
    let ran = &seen.ran;
    if let Some(reason) = &ran.failed {
        return vec![Difference::new(&ready.span, reason.clone())];
    }
    if ran.errno != 0 {
        return vec![refused(ready, ran)];
    }
    let is_scene = ready.case.scene.is_some();
    let mut all = if is_scene { scene::done(ready, seen) } else { returned(ready, ran) };
    if is_scene && !all.is_empty() {
        return all;
    }
    all.extend(scene::shows(ready, seen));
    all.extend(scene::output(ready, seen));
    if let Some(Check { expected, span }) = &checks.packet {
        let start = match ready.run().map(|run| run.packet) {
            Some(Packet::Network) => Start::Network,
            _ => Start::Link,
        };
        let own = |bytes: &[u8]| bytes.get(checks.skipped..).unwrap_or_default().to_vec();
        let lines = differences(&own(expected), &own(&ran.packet), start);
        all.extend(Difference::several(span, "the packet differs", lines));
    }
    if let Some(context) = &checks.context {
        all.extend(parts(context, &ran.context));
    }
    for check in &checks.globals {
        let content = seen.contents.iter().find(|(content, _)| content.map == check.section);
        let data = content.map(|(content, blob)| blob.get(content.key_size as usize..));
        let own = data.flatten().and_then(|data| data.get(check.offset..)).unwrap_or_default();
        for mut difference in parts(&check.value, own) {
            if check.value.parts.len() > 1 {
                difference.what = format!("{}: {}", check.name, difference.what);
            }
            all.push(difference);
        }
    }
    for check in &checks.entries {
        all.extend(entry(check, seen));
    }
    for (map, Check { expected, span }) in &checks.counts {
        let what = match seen.contents.iter().find(|(content, _)| content.map == *map) {
            Some((content, _)) if u64::from(content.entries) == *expected => continue,
            Some((content, _)) if content.is_cut => {
                format!("`{map}` has more entries than are looked at")
            }
            Some((content, _)) => {
                format!("expected {expected} entries of `{map}`, got {}", content.entries)
            }
            None => format!("map `{map}` cannot be read"),
        };
        all.push(Difference::new(span, what));
    }
    if let Some(check) = checks.prints.as_ref().filter(|_| is_scene) {
        all.extend(scene::prints(check, &seen.prints()));
    } else if let Some(Check { expected, span }) = &checks.prints {
        let got = seen.prints();
        if *expected != got {
            let lines = lists(expected, &got);
            all.extend(Difference::several(span, "it prints something else", lines));
        }
    }
    for check in &checks.events {
        all.extend(events(check, seen, streams, (types, is_scene)));
    }
    all
}

/// What a program returns that it should not.
fn returned(ready: &Ready, ran: &Ran) -> Vec<Difference> {
    let shown = |value: i32| match ready.kind.and_then(|kind| action(kind, value)) {
        Some(name) => format!("{name} ({value})"),
        None => value.to_string(),
    };
    let is_one = ready.case.more.is_empty();
    // Values with the frames for which they were returned, counted from one.
    let got: Vec<(i32, usize)> =
        ran.retvals.iter().map(|value| value.cast_signed()).zip(1..).collect();
    let frames = |value: i32| {
        let of: Vec<String> =
            got.iter().filter(|(own, _)| *own == value).map(|(_, at)| at.to_string()).collect();
        match of.as_slice() {
            [] => String::new(),
            [one] => format!(", for frame {one}"),
            some if some.len() > MOST_LINES => {
                let more = some.len() - MOST_LINES;
                format!(", for frames {} and {more} more", some[..MOST_LINES].join(", "))
            }
            some => format!(", for frames {}", some.join(", ")),
        }
    };
    let mut all = Vec::new();
    if let Some(Check { expected, span }) = &ready.checks.retval {
        let mut others: Vec<i32> =
            got.iter().map(|(value, _)| *value).filter(|value| value != expected).collect();
        others.sort_unstable();
        others.dedup();
        let line = |value: i32| {
            let of = if is_one { String::new() } else { frames(value) };
            format!("expected {}, got {}{of}", shown(*expected), shown(value))
        };
        let lines = others.into_iter().map(line).collect();
        all.extend(Difference::several(span, "other values are returned", lines));
    }
    if let Some(Check { expected, span }) = &ready.checks.retvals {
        let mut wanted = expected.clone();
        for (value, _) in &got {
            if !wanted.iter().any(|(known, _)| known == value) {
                wanted.push((*value, 0));
            }
        }
        let line = |(value, count): (i32, u64)| {
            let seen = got.iter().filter(|(own, _)| *own == value).count() as u64;
            let differs = seen != count;
            let (name, of) = (shown(value), frames(value));
            differs.then(|| format!("{name}: expected {count}, got {seen}{of}"))
        };
        let lines = wanted.into_iter().filter_map(line).collect();
        all.extend(Difference::several(span, "values are returned otherwise", lines));
    }
    all
}

/// What the kernel's refusal to run a program means.
fn refused(ready: &Ready, ran: &Ran) -> Difference {
    let what = match ran.errno {
        ENOTSUPP | libc::EOPNOTSUPP => {
            let kind = ready.kind.map_or("such", |kind| kind.name());
            format!("this kernel's BPF_PROG_TEST_RUN runs no {kind} programs")
        }
        errno => {
            let error = fs::reason(&std::io::Error::from_raw_os_error(errno));
            format!("the kernel refuses to run it: {error} (error {errno})")
        }
    };
    let mut difference = Difference::new(&ready.span, what);
    if !ready.case.more.is_empty() {
        difference.lines.push(format!("it was frame {}", ran.retvals.len() + 1));
    }
    if ran.errno == libc::EINVAL && ready.case.context.is_some() {
        difference.lines.push("it does not take the context as it is given".to_owned());
    }
    difference
}

/// Two lists of lines, where they part.
fn lists(expected: &[String], got: &[String]) -> Vec<String> {
    let mut lines = Vec::new();
    for index in 0..expected.len().max(got.len()) {
        let shown = |list: &[String]| match list.get(index) {
            Some(line) => format!("`{line}`"),
            None => "nothing".to_owned(),
        };
        if expected.get(index) != got.get(index) {
            let number = index + 1;
            lines.push(format!("line {number}: expected {}, got {}", shown(expected), shown(got)));
        }
    }
    lines
}

/// The parts that a value does not have.
fn parts(typed: &Typed, whole: &[u8]) -> Vec<Difference> {
    let btf = typed.btf.as_deref();
    let differing = typed.parts.iter().filter(|(part, _)| !part.is_in(whole));
    differing.map(|(part, span)| difference(btf, part, span, whole)).collect()
}

fn difference(btf: Option<&Btf>, part: &Part, span: &Span, whole: &[u8]) -> Difference {
    let name = match part.path.as_str() {
        "" => String::new(),
        path => format!("{path}: "),
    };
    let (expected, got) = (part.shown(btf, None), part.shown(btf, Some(whole)));
    Difference::new(span, format!("{name}expected {expected}, got {got}"))
}

fn entry(check: &EntryCheck, seen: &Seen) -> Vec<Difference> {
    let EntryCheck { map, key, shown, value, span } = check;
    let Some((content, blob)) = seen.contents.iter().find(|(content, _)| content.map == *map)
    else {
        return vec![Difference::new(span, format!("map `{map}` cannot be read"))];
    };
    let key_size = content.key_size as usize;
    let (stride, size) = (content.value_stride as usize, content.value_size as usize);
    let whole = key_size + stride * content.values as usize;
    let mut entries = if whole == 0 { [].chunks_exact(1) } else { blob.chunks_exact(whole) };
    let found = entries.find(|entry| entry.get(..key_size) == Some(key));
    let values = found.map(|entry| &entry[key_size..]);
    match (value, values) {
        (None, None) => Vec::new(),
        (None, Some(_)) => {
            vec![Difference::new(span, format!("`{map}` has an entry {shown}"))]
        }
        (Some(_), None) if content.is_cut => {
            vec![Difference::new(span, format!("`{map}` has more entries than are looked at"))]
        }
        (Some(_), None) => {
            vec![Difference::new(span, format!("`{map}` has no entry {shown}"))]
        }
        (Some(typed), Some(values)) => {
            let first = values.get(..size.min(values.len())).unwrap_or_default();
            let mut total = first.to_vec();
            for more in values.chunks_exact(stride.max(1)).skip(1) {
                for (part, _) in &typed.parts {
                    add(&mut total, part, more);
                }
            }
            parts(typed, &total)
        }
    }
}

/// Adds what another processor counted at the place of a part.
fn add(total: &mut [u8], part: &Part, more: &[u8]) {
    let range = part.offset..part.offset + part.bytes.len();
    let (Some(own), Some(more)) = (total.get_mut(range.clone()), more.get(range)) else { return };
    if own.len() > 8 || part.mask.is_some() {
        return;
    }
    let number =
        |bytes: &[u8]| bytes.iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    let sum = number(own).wrapping_add(number(more)).to_le_bytes();
    let length = own.len();
    own.copy_from_slice(&sum[..length]);
}

fn events(
    check: &EventCheck,
    seen: &Seen,
    streams: &[String],
    (types, is_scene): (Option<&Types<'_>>, bool),
) -> Vec<Difference> {
    let Some(stream) = streams.iter().position(|name| *name == check.map) else {
        let message = format!("map `{}` carries no events", check.map);
        return vec![Difference::new(&check.span, message)];
    };
    if let Some((_, count)) = seen.lost.iter().find(|(lost, _)| *lost as usize == stream) {
        return vec![Difference::new(&check.span, format!("{count} events were lost"))];
    }
    if is_scene {
        return scene::events(check, seen, stream, types);
    }
    let got: Vec<&[u8]> = records::iter(&seen.records)
        .filter(|(of, _)| *of as usize == stream)
        .map(|(_, record)| record)
        .collect();
    let mut all = Vec::new();
    for ((given, span), record) in check.events.iter().zip(&got) {
        let known = types.and_then(|types| types.type_of(&check.map, record.len() as u64));
        let (btf, encoded) = match known {
            Some((btf, ty)) => (Some(btf), encode(btf, ty, "", given)),
            None => (None, crate::values::encode_plain(record.len(), given)),
        };
        match encoded {
            Ok(expected) => {
                for part in expected.iter().filter(|part| !part.is_in(record)) {
                    let span = (check.places)(part.range.clone());
                    all.push(difference(btf, part, &span, record));
                }
            }
            Err(_) if matches!(&given.value, Written::Table(_)) && known.is_none() => {
                let length = record.len();
                let what = format!("an event of {length} bytes came, of a type nobody knows");
                all.push(Difference::new(span, what));
            }
            Err(wrong) => all.push(Difference::new(&(check.places)(wrong.range), wrong.message)),
        }
    }
    if got.len() != check.events.len() {
        let (expected, count) = (check.events.len(), got.len());
        let what = format!("expected {expected} events, got {count}");
        let mut difference = Difference::new(&check.span, what);
        for record in got.iter().skip(expected).take(MOST_LINES) {
            let shown = types.map(|types| types.event(&check.map, record).to_string());
            difference.lines.push(format!("also came: {}", shown.unwrap_or_default()));
        }
        all.push(difference);
    }
    all
}

/// What is different about a verdict.
pub(super) fn judge_verdict(
    ready: &Ready,
    program: &Program,
    log: &str,
    finding: Option<&Diagnostic>,
) -> Vec<Difference> {
    let checks = &ready.checks;
    let mut all = Vec::new();
    match (&checks.rejected, &program.outcome, finding) {
        (Some(check), Outcome::Accepted, _) => {
            all.push(Difference::new(&check.span, "the kernel accepts the program"));
        }
        (Some(Check { expected, span }), _, Some(finding)) => {
            let code = finding.code;
            let is_it = expected.is_empty()
                || expected.eq_ignore_ascii_case(code.id())
                || expected == code.slug();
            if !is_it {
                let (id, slug) = (code.id(), code.slug());
                let what = format!("expected {expected}, got {id} ({slug}): {}", finding.message);
                all.push(Difference::new(span, what));
            }
        }
        (None, Outcome::Accepted, _) => {}
        (None, _, Some(finding)) => {
            let what = format!("the program is rejected: {}", finding.message);
            all.push(Difference::new(&ready.span, what));
        }
        (_, _, None) => {
            all.push(Difference::new(&ready.span, "there is no verdict on the program"));
        }
    }
    let mut rest = log;
    for Check { expected, span } in &checks.messages {
        match rest.find(expected.as_str()) {
            Some(at) => rest = &rest[at + expected.len()..],
            None => {
                let what = match log.contains(expected.as_str()) {
                    true => "the log has this only before what is expected before it",
                    false => "the verifier's log does not have this",
                };
                all.push(Difference::new(span, what));
                break;
            }
        }
    }
    all
}
