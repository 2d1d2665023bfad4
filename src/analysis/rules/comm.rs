//! W0415 comm-length: a task's name is taken or compared with a length that
//! cannot be meant. The kernel keeps at most 15 letters and a NUL
//! (`TASK_COMM_LEN` in include/linux/sched.h).

use super::Context;
use super::steps::Walked;
use crate::analysis::{Step, Value};
use crate::bpf::{Call, Helper, Op};
use crate::diagnostics::{Diagnostic, codes};
use std::collections::HashSet;

/// Bytes of a name, its NUL counted.
const COMM_LEN: i64 = 16;

/// Where a function keeps names on its stack.
pub(super) type Buffers = HashSet<i32>;

/// Calls: the length in a register is what counts.
pub(super) fn look(walked: &mut Walked<'_, '_>, step: &Step<'_>) -> Option<Diagnostic> {
    let Op::Call(Call::Helper(id)) = *step.op else { return None };
    let message = match Helper::by_id(id)?.name() {
        "bpf_get_current_comm" => {
            if let Value::Frame(place) = step.before.argument(1) {
                walked.comm.insert(place);
            }
            let Value::Number(size @ 1..COMM_LEN) = step.before.argument(2) else { return None };
            format!("names are cut to {} letters, and can have {}", size - 1, COMM_LEN - 1)
        }
        "bpf_strncmp" => {
            let Value::Frame(place) = step.before.argument(1) else { return None };
            let Value::Number(size) = step.before.argument(2) else { return None };
            if !walked.comm.contains(&place) {
                return None;
            }
            let letters = match step.before.argument(3) {
                Value::Data(index, offset) => literal(walked.cx, index, offset),
                _ => None,
            };
            wrong_length(size, letters)?
        }
        _ => return None,
    };
    Some(with_way_out(walked.cx.lint(codes::COMM_LENGTH, walked.view, step.slot, message)))
}

/// How long the string at a place of constant data is.
fn literal(cx: &Context<'_>, index: u32, offset: u32) -> Option<i64> {
    let data = cx.object.data.get(usize::try_from(index).ok()?)?;
    let text = data.bytes.get(usize::try_from(offset).ok()?..)?;
    text.iter().position(|&byte| byte == 0)?.try_into().ok()
}

/// What is wrong with comparing this many bytes of a name with a string of
/// this many letters.
fn wrong_length(size: i64, letters: Option<i64>) -> Option<String> {
    match letters {
        Some(letters) if letters >= COMM_LEN && size >= COMM_LEN => Some(format!(
            "a task's name is compared with {letters} letters, and has at most {}: it is never equal",
            COMM_LEN - 1
        )),
        _ if size > COMM_LEN => {
            Some(format!("{size} bytes of a task's name are compared, and it has {COMM_LEN}"))
        }
        _ => None,
    }
}

fn with_way_out(finding: Diagnostic) -> Diagnostic {
    finding
        .note("the kernel keeps at most 15 letters of a task's name, and a NUL behind them")
        .help("take `char comm[TASK_COMM_LEN]` (16), and compare `sizeof(comm)` bytes with `bpf_strncmp()`, or as many as the name has with its NUL")
}

/// `memcmp` and `strncmp` of the compiler leave no call behind: the source's
/// own lines tell.
pub(super) fn check(cx: &Context<'_>, findings: &mut Vec<Diagnostic>) {
    let (Some(btf), Some(ext)) = (&cx.object.btf, &cx.object.ext) else { return };
    let mut said = HashSet::new();
    for part in &ext.line_info {
        let name = btf.string(part.name).unwrap_or_default();
        let Some(section) = cx.object.sections.iter().position(|known| known.name == name) else {
            continue;
        };
        for record in &part.records {
            let Some(text) = btf.string(record.text) else { continue };
            let Some(message) = wrong_comparison(text) else { continue };
            let slot = record.offset as usize / 8;
            let Some(index) = cx.function_index(section, slot) else { continue };
            if said.insert((record.file, record.line)) {
                let view = &cx.functions[index];
                let slot = slot - view.function.slots.start;
                findings.push(with_way_out(cx.lint(codes::COMM_LENGTH, view, slot, message)));
            }
        }
    }
}

/// What is wrong with a comparison of a task's name in a line of C.
fn wrong_comparison(line: &str) -> Option<String> {
    if !line.contains("comm") {
        return None;
    }
    let call = ["__builtin_memcmp(", "memcmp(", "strncmp("].iter().find_map(|name| {
        let at = line.find(name)?;
        // bpf_strncmp is a call, and its registers are looked at.
        let is_helper = line[..at].ends_with("bpf_");
        (!is_helper).then(|| &line[at + name.len()..])
    })?;
    let arguments = arguments(call)?;
    let [one, other, size] = arguments[..] else { return None };
    let is_comm = |text: &str| text.trim_end_matches(')').ends_with("comm");
    let text = match (is_comm(one), is_comm(other)) {
        (true, false) => other,
        (false, true) => one,
        _ => return None,
    };
    let size: i64 = size.parse().ok()?;
    let text = text.strip_prefix('"')?.strip_suffix('"')?;
    let letters = i64::try_from(text.len()).ok().filter(|_| !text.contains(['\\', '"']))?;
    wrong_length(size, Some(letters)).or_else(|| {
        (size == letters && letters < COMM_LEN - 1).then(|| {
            format!("{size} bytes of a task's name are compared, without the NUL: every name that begins with \"{text}\" is taken")
        })
    })
}

/// The arguments of a call whose text begins behind its parenthesis; none if
/// it does not end on the line.
fn arguments(text: &str) -> Option<Vec<&str>> {
    let (mut depth, mut from, mut quoted) = (0, 0, false);
    let mut found = Vec::new();
    for (at, letter) in text.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' => depth += 1,
            ')' if depth == 0 => {
                found.push(text[from..at].trim());
                return Some(found);
            }
            ')' | ']' => depth -= 1,
            ',' if depth == 0 => {
                found.push(text[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_are_read_from_their_line() {
        let wrong = |line| wrong_comparison(line).is_some();
        assert!(wrong("if (!__builtin_memcmp(e->comm, \"nginx\", 5))"));
        assert!(wrong("if (!__builtin_memcmp(comm, \"nginx\", 32))"));
        assert!(wrong("return memcmp(\"a-name-of-sixteen\", comm, 17) == 0;"));
        assert!(!wrong("if (!__builtin_memcmp(comm, \"nginx\", 6))"));
        assert!(!wrong("if (!__builtin_memcmp(comm, wanted, sizeof(comm)))"));
        assert!(!wrong("if (!__builtin_memcmp(command, \"x\", 1))"));
        assert!(!wrong("if (!__builtin_memcmp(comm, \"nginx\","));
    }
}
