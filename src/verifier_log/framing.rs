//! Someone else's log: what loaders print around the verifier's text.
//!
//! - libbpf, bpftool and libbpf-rs: `libbpf: -- BEGIN PROG LOAD LOG --` …
//!   `-- END PROG LOAD LOG --` (before 1.0: `-- BEGIN DUMP LOG ---`), and
//!   `libbpf: prog 'NAME': BPF program load failed: …`;
//! - cilium/ebpf: an error in one line, then the log, each line indented by a
//!   tab or joined by `: `;
//! - aya: `Verifier output: …`;
//! - skep itself (`--log`): `==> OBJECT PROGRAM on KERNEL (RELEASE): … <==`;
//! - bcc: the log as it is, then `HINT:` lines;
//! - dmesg and journald: a time stamp before each line.

use super::log::Log;
use crate::verdict::errno;
use crate::verdict::messages::reason_of_line;
use std::borrow::Cow;
use std::path::PathBuf;

/// A log cut out of what was around it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Framed<'t> {
    /// The verifier's text; borrowed where nothing had to be taken out of it,
    /// for it may be large.
    pub log: Cow<'t, str>,
    /// The program it is about, where the text says so.
    pub program: Option<String>,
    /// The object, where the text says so.
    pub object: Option<PathBuf>,
    /// The kernel, where the text says so.
    pub kernel: Option<String>,
    /// The error number, where the text says so.
    pub errno: Option<i32>,
    /// What the loader itself said.
    pub loader: String,
}

/// Cuts the logs out of a text; text without any known frame is one log.
pub fn extract(text: &str) -> Vec<Framed<'_>> {
    let lines: Vec<&str> = text.lines().map(strip_stamp).collect();
    let titles: Vec<usize> =
        (0..lines.len()).filter(|&at| title(lines[at], &mut Framed::default())).collect();
    if titles.is_empty() {
        return of_loader(text, &lines);
    }
    let ends = titles.iter().skip(1).copied().chain([lines.len()]);
    let parts = titles.iter().zip(ends);
    parts
        .map(|(&start, end)| {
            let mut framed = Framed::default();
            title(lines[start], &mut framed);
            framed.log = stretch(text, lines[start + 1..end].iter().copied());
            framed
        })
        .collect()
}

/// `==> a.bpf.o count on debian/trixie (6.12.117): rejected <==`
fn title(line: &str, framed: &mut Framed<'_>) -> bool {
    let parts = || {
        let inner = line.strip_prefix("==> ")?.strip_suffix(" <==")?;
        let (what, place) = inner.rsplit_once(" on ")?;
        let (object, program) = what.rsplit_once(' ')?;
        let (kernel, _) = place.split_once(" (")?;
        Some((object, program, kernel))
    };
    let Some((object, program, kernel)) = parts() else { return false };
    framed.object = Some(PathBuf::from(object));
    framed.program = Some(program.to_owned());
    framed.kernel = Some(kernel.to_owned());
    true
}

/// The logs in what a loader printed.
fn of_loader<'t>(text: &'t str, lines: &[&'t str]) -> Vec<Framed<'t>> {
    let mut found: Vec<Framed<'_>> = Vec::new();
    let mut next = Framed::default();
    let mut at = 0;
    while at < lines.len() {
        let line = strip_loader(lines[at]);
        // Without a frame the rest is the verifier's, whose words must not
        // be taken for a loader's.
        if is_verifiers(line.trim_start()) && found.is_empty() && !lines.iter().any(|l| is_begin(l))
        {
            break;
        }
        if let Some(name) = program_name(line) {
            next.program = Some(name.to_owned());
        }
        if let Some(number) = error_number(line) {
            next.errno = Some(number);
        }
        if is_begin(line) {
            let end = (at + 1..lines.len()).find(|&end| is_end(strip_loader(lines[end])));
            let end = end.unwrap_or(lines.len());
            next.log = stretch(text, lines[at + 1..end].iter().map(|line| strip_loader(line)));
            found.push(std::mem::take(&mut next));
            at = end;
        } else {
            next.loader.push_str(line);
            next.loader.push('\n');
        }
        at += 1;
    }
    if found.is_empty() { unframed(text, lines, &next) } else { found }
}

/// Logs without begin and end: from the first line that is the verifier's,
/// one after the other.
fn unframed<'t>(text: &'t str, lines: &[&'t str], words: &Framed<'t>) -> Vec<Framed<'t>> {
    let stripped = || lines.iter().map(|line| strip_loader(line));
    let first = stripped().position(|line| is_verifiers(line.trim_start()));
    if first.is_none()
        && let Some(log) = stripped().find_map(shortened)
    {
        return vec![Framed { log: log.into(), ..words.clone() }];
    }
    // Where nothing is the verifier's, what a loader says is all there is.
    let nothing = if words.errno.is_some() { lines.len() } else { 0 };
    let first = first.map(|first| first - complaints_before(lines, first));
    let (before, log) = lines.split_at(first.unwrap_or(nothing));
    // cilium/ebpf indents the whole log; the verifier's own indentation is
    // one blank.
    let indent = |line: &str| line.len() - line.trim_start().len();
    let whole = log.first().map_or(0, |line| indent(strip_loader(line)));
    let log = log.iter().map(|line| {
        let line = strip_loader(line);
        after_prefix(line.get(indent(line).min(whole)..).unwrap_or(line))
    });
    let before = before.iter().map(|line| strip_loader(line));
    let mut found = vec![Framed { loader: join(before), ..words.clone() }];
    // Most often it is one.
    let mut rest = stretch(text, log);
    loop {
        let end = Log::parse(&rest).end;
        let behind = rest[end..].lines().any(is_verifiers).then(|| match &rest {
            Cow::Borrowed(rest) => Cow::Borrowed(&rest[end..]),
            Cow::Owned(rest) => Cow::Owned(rest[end..].to_owned()),
        });
        let log = match rest {
            Cow::Borrowed(rest) => Cow::Borrowed(&rest[..end]),
            Cow::Owned(mut rest) => {
                rest.truncate(end);
                Cow::Owned(rest)
            }
        };
        if let Some(last) = found.last_mut() {
            last.log = log;
        }
        let Some(behind) = behind else { return found };
        rest = behind;
        found.push(Framed::default());
    }
}

/// How many lines before the log's first certain line are the verifier's,
/// too: a program that is refused before the walk has only its complaint and
/// the numbers.
fn complaints_before(lines: &[&str], first: usize) -> usize {
    if !strip_loader(lines[first]).trim_start().starts_with("processed ") {
        return 0;
    }
    let complaints = lines[..first].iter().rev().map(|line| strip_loader(line));
    complaints.take_while(|line| reason_of_line(line.trim()).is_some()).count()
}

/// cilium/ebpf's short form: the last lines of the log joined by `: `, and
/// how many are missing.
fn shortened(line: &str) -> Option<String> {
    let (line, _) = line.trim_end().strip_suffix(" line(s) omitted)")?.rsplit_once(" (")?;
    let joints = || line.match_indices(": ").map(|(at, _)| at + 2);
    let start = joints().find(|&at| is_verifiers(&line[at..]));
    let message = joints().filter(|&at| reason_of_line(&line[at..]).is_some()).last()?;
    Some(match start {
        Some(start) if start < message => {
            format!("{}\n{}\n", &line[start..message - 2], &line[message..])
        }
        _ => format!("{}\n", &line[message..]),
    })
}

/// aya and cilium/ebpf put the log's first line behind words of their own.
fn after_prefix(line: &str) -> &str {
    for prefix in ["Verifier output: ", "verifier log: ", "Verifier log: "] {
        if let Some((_, rest)) = line.split_once(prefix) {
            return rest;
        }
    }
    line
}

/// Lines of a text that follow each other, borrowed if they stand so in it,
/// put together anew if something was taken out.
fn stretch<'t>(text: &'t str, lines: impl Iterator<Item = &'t str> + Clone) -> Cow<'t, str> {
    // Where a line begins in the text, of which it is a part.
    let place = |line: &str| line.as_ptr() as usize - text.as_ptr() as usize;
    let mut whole: Option<(usize, usize)> = None;
    for line in lines.clone() {
        let start = place(line);
        let from = match whole {
            // A line ends in `\n` or `\r\n`.
            Some((from, end)) if matches!(&text[end..start], "\n" | "\r\n") => from,
            Some(_) => return Cow::Owned(join(lines)),
            None => start,
        };
        whole = Some((from, start + line.len()));
    }
    let Some((from, end)) = whole else { return Cow::Borrowed("") };
    let rest = &text[end..];
    let newline = ["\r\n", "\n"].into_iter().find(|newline| rest.starts_with(newline));
    let end = end + newline.map_or(0, str::len);
    Cow::Borrowed(&text[from..end])
}

fn join<'l>(lines: impl Iterator<Item = &'l str> + Clone) -> String {
    let length = lines.clone().map(|line| line.len() + 1).sum();
    let mut text = String::with_capacity(length);
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// Whether a line can only come from the verifier.
fn is_verifiers(line: &str) -> bool {
    let line = after_prefix(line);
    let numbered = || {
        let digits = line.bytes().take_while(u8::is_ascii_digit).count();
        let rest = &line[digits..];
        digits > 0 && (rest.starts_with(": (") || rest.starts_with(": R"))
    };
    line.starts_with("func#0 @0")
        || line.starts_with("; ")
        || line.starts_with("processed ")
        || line.starts_with("Live regs before insn:")
        || line.starts_with("reg type unsupported for arg#0")
        || numbered()
}

fn is_begin(line: &str) -> bool {
    line.contains("-- BEGIN ") && line.contains(" LOG --")
}

fn is_end(line: &str) -> bool {
    line.contains("-- END ") && line.contains(" LOG --")
}

/// `libbpf: prog 'count': …` → `count`
fn program_name(line: &str) -> Option<&str> {
    let rest = line.split_once("prog '").or_else(|| line.split_once("program "))?.1;
    let name = rest.trim_start_matches('\'').split(['\'', ':', ' ']).next()?;
    // libbpf before 1.0: `load bpf program failed: …`.
    if name == "failed" {
        return None;
    }
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'.';
    (!name.is_empty() && name.bytes().all(is_name)).then_some(name)
}

/// `BPF program load failed: Permission denied`, `failed to load: -13` (since
/// libbpf 1.6 `-EACCES`), `Error loading vmlinux BTF: -3`,
/// `load program: permission denied`, `(os error 13)` → 13
fn error_number(line: &str) -> Option<i32> {
    if let Some((_, rest)) = line.split_once("(os error ") {
        return rest.split(')').next()?.parse().ok();
    }
    let lower = line.to_ascii_lowercase();
    if !lower.contains("load") {
        return None;
    }
    if let Some((_, rest)) = line.rsplit_once(": -")
        && let Some(number) = errno::number(rest.trim())
    {
        return Some(number);
    }
    let words = [
        ("permission denied", libc::EACCES),
        ("invalid argument", libc::EINVAL),
        ("operation not permitted", libc::EPERM),
        ("argument list too long", libc::E2BIG),
        ("no such process", libc::ESRCH),
        ("no space left on device", libc::ENOSPC),
        ("cannot allocate memory", libc::ENOMEM),
        ("bad address", libc::EFAULT),
        ("operation not supported", libc::EOPNOTSUPP),
        ("resource temporarily unavailable", libc::EAGAIN),
        ("interrupted system call", libc::EINTR),
        ("unknown error 524", 524),
    ];
    words.iter().find(|(words, _)| lower.contains(words)).map(|&(_, number)| number)
}

/// Removes `libbpf: ` before a line. The verifier's own text follows it
/// unchanged.
fn strip_loader(line: &str) -> &str {
    line.strip_prefix("libbpf: ").unwrap_or(line)
}

/// Removes the time stamps of dmesg (`[  12.345678] `) and journald
/// (`Nov 23 21:10:54 host kernel: `).
fn strip_stamp(line: &str) -> &str {
    if let Some(rest) = line.strip_prefix('[')
        && let Some((stamp, rest)) = rest.split_once("] ")
        && stamp.contains('.')
        && stamp.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b' ')
    {
        return rest;
    }
    journal(line).unwrap_or(line)
}

/// What stands behind `Nov 23 21:10:54 host kernel: ` or
/// `2026-11-23T21:10:54+0000 host loader[4711]: `.
fn journal(line: &str) -> Option<&str> {
    let mut words = line.splitn(7, ' ');
    let first = words.next()?;
    let time = match first.contains('T') && first.contains(':') {
        true => first,
        // A day below ten is set with two blanks.
        false => words.by_ref().skip_while(|word| !word.contains(':')).take(1).next()?,
    };
    let is_time = time.bytes().filter(|&byte| byte == b':').count() >= 2
        && time.starts_with(|c: char| c.is_ascii_digit());
    let (_host, unit) = (words.next()?, words.next()?);
    let unit = unit.strip_suffix(':')?;
    let (name, pid) = unit.split_once('[').unwrap_or((unit, "]"));
    let named = !name.is_empty() && pid.ends_with(']') && !name.contains(['(', '\'']);
    let rest = &line[line.find(&format!("{unit}: "))? + unit.len() + 2..];
    (is_time && named).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libbpfs_frame_with_the_programs_name() {
        let text = "\
libbpf: prog 'count': BPF program load failed: Permission denied
libbpf: prog 'count': -- BEGIN PROG LOAD LOG --
0: R1=ctx() R10=fp0
0: (79) r1 = *(u64 *)(r0 +0)
R0 !read_ok
processed 1 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
-- END PROG LOAD LOG --
libbpf: failed to load object 'a.bpf.o'
";
        let found = extract(text);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].program.as_deref(), Some("count"));
        assert_eq!(found[0].errno, Some(13));
        assert!(found[0].log.starts_with("0: R1=ctx()"));
        assert!(found[0].log.trim_end().ends_with("mark_read 0"));
    }

    #[test]
    fn error_numbers_in_all_spellings() {
        for (line, number) in [
            ("prog 'count': BPF program load failed: Permission denied", Some(13)),
            ("prog 'count': BPF program load failed: -EACCES", Some(13)),
            ("prog 'count': failed to load: -13", Some(13)),
            ("prog 'count': failed to load: -ENOTSUPP", Some(524)),
            ("Error loading vmlinux BTF: -3", Some(3)),
            ("load program: permission denied:", Some(13)),
            ("Permission denied (os error 13)", Some(13)),
            ("failed to load object 'a'", None),
            ("loading: -x", None),
        ] {
            assert_eq!(error_number(line), number, "{line}");
        }
    }

    #[test]
    fn a_complaint_before_the_walk_belongs_to_the_log() {
        let text = "JIT does not support calling kernel function\nprocessed 0 insns (limit 1000000) \
                    max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n";
        assert_eq!(extract(text)[0].log, text);
    }

    #[test]
    fn what_stands_as_it_is_is_not_copied() {
        let log = "0: R1=ctx() R10=fp0\n0: (95) exit\nR0 !read_ok\n";
        for (text, borrowed) in [
            (log.to_owned(), true),
            (log.replace('\n', "\r\n"), true),
            (format!("libbpf: -- BEGIN PROG LOAD LOG --\n{log}-- END PROG LOAD LOG --\n"), true),
            (format!("[   12.345678] {}", log.replace("\n0", "\n[   12.345679] 0")), false),
        ] {
            let found = extract(&text);
            assert_eq!(matches!(found[0].log, Cow::Borrowed(_)), borrowed, "{text}");
            assert_eq!(found[0].log.replace('\r', ""), log);
        }
    }

    #[test]
    fn time_stamps_go() {
        let text = "[   12.345678] 0: R1=ctx() R10=fp0\n[   12.345679] R0 !read_ok\n";
        assert_eq!(extract(text)[0].log, "0: R1=ctx() R10=fp0\nR0 !read_ok\n");
        let text = "2026-11-23T21:10:54+0000 host loader[4711]: 0: R1=ctx() R10=fp0\n";
        assert_eq!(extract(text)[0].log, "0: R1=ctx() R10=fp0\n");
        let text = "Nov 23 21:10:54 host kernel: 0: R1=ctx() R10=fp0\n";
        assert_eq!(extract(text)[0].log, "0: R1=ctx() R10=fp0\n");
    }

    #[test]
    fn an_indented_log_loses_its_indentation_only() {
        let text =
            "load program: permission denied:\n\t0: R1=ctx() R10=fp0\n\t R0=1\n\tR0 !read_ok\n";
        let found = extract(text);
        assert_eq!(found[0].errno, Some(13));
        assert_eq!(found[0].log, "0: R1=ctx() R10=fp0\n R0=1\nR0 !read_ok\n");
    }
}
