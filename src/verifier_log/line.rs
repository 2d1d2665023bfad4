//! What one line of a log is. The first byte decides nearly always, so that
//! logs of many megabytes are read at the speed of looking for newlines.

/// The kinds of line that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `7: (79) r1 = *(u64 *)(r0 +0)`, perhaps with a state behind it.
    Instruction,
    /// `7: R0=… R10=fp0`: the state before instruction 7.
    StateBefore,
    /// ` R0=… R10=fp0`: a state on a line of its own.
    State,
    /// `from 3 to 8: R0=…`: a branch taken up again.
    Branch,
    /// `; value = bpf_map_lookup_elem(…)`: source.
    Source,
    /// `7: safe`: a path that need not be walked further.
    Pruned,
    /// `caller:`, `callee:`, `returning from callee:`, `to caller at 17:`.
    CallMarker,
}

/// What a line is, and the number it begins with where its kind has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// One that is kept.
    Kept(Kind, u32),
    /// `func#1 @6`: function 1 begins at instruction 6.
    Function(u32),
    /// Bookkeeping of the verifier.
    Noise,
    /// Part of the numbers at the end.
    Summary,
    /// Anything else: what the kernel has to say.
    Text,
}

/// Tells what a line is.
pub(super) fn classify(line: &str) -> Line {
    let bytes = line.as_bytes();
    let Some(&first) = bytes.first() else { return Line::Noise };
    match first {
        b'0'..=b'9' => numbered(line),
        b';' => Line::Kept(Kind::Source, 0),
        b' ' | b'\t' => indented(line),
        b'f' => match line.strip_prefix("from ").and_then(number) {
            Some((from, rest)) if rest.starts_with(" to ") => Line::Kept(Kind::Branch, from),
            _ => function(line).unwrap_or_else(|| noise(line)),
        },
        b'R' if is_state(line) => Line::Kept(Kind::State, 0),
        b'c' if line == "caller:" || line == "callee:" => Line::Kept(Kind::CallMarker, 0),
        b'r' if line == "returning from callee:" => Line::Kept(Kind::CallMarker, 0),
        b't' if line.starts_with("to caller at ") => Line::Kept(Kind::CallMarker, 0),
        b'p' if line.starts_with("processed ") && line.contains(" insns ") => Line::Summary,
        b'v' if line.starts_with("verification time ") => Line::Summary,
        b's' if line.strip_prefix("stack depth ").is_some_and(|rest| {
            !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit() || b" +max".contains(&b))
        }) =>
        {
            Line::Summary
        }
        // `max_states_per_insn …` alone: libbpf and others wrap lines.
        b'i' if line.starts_with("insns processed ") => Line::Summary,
        _ => noise(line),
    }
}

/// `N: …`
fn numbered(line: &str) -> Line {
    let Some((index, rest)) = number(line) else { return Line::Text };
    let Some(rest) = rest.strip_prefix(':') else { return Line::Text };
    let body = rest.trim_start();
    let bytes = body.as_bytes();
    match bytes {
        [b'(', a, b, b')', ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
            Line::Kept(Kind::Instruction, index)
        }
        _ if is_state(body) => Line::Kept(Kind::StateBefore, index),
        _ if body == "safe" => Line::Kept(Kind::Pruned, index),
        // Before a message about an instruction some kernels print its
        // number and its source.
        [b';', ..] => Line::Noise,
        _ if body.is_empty() => Line::Noise,
        _ => Line::Text,
    }
}

fn indented(line: &str) -> Line {
    let body = line.trim_start();
    if body.is_empty() {
        return Line::Noise;
    }
    if is_state(body) {
        return Line::Kept(Kind::State, 0);
    }
    // The listings of live registers and stack use that 7.x puts first.
    if body.as_bytes()[0].is_ascii_digit() && body.contains(": ") {
        return Line::Noise;
    }
    Line::Text
}

/// Whether text is a state: `R0=…`, `R1_w=…`, `frame1: …`, `fp-8=…`,
/// `refs=…`.
fn is_state(text: &str) -> bool {
    let bytes = text.as_bytes();
    let named = |from: usize| {
        let digits = bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
        let at = from + digits;
        digits > 0 && matches!(bytes.get(at), Some(b'=' | b'_'))
    };
    match bytes {
        [b'R', b'0'..=b'9', ..] => named(1),
        [b'f', b'p', b'-', ..] => named(3),
        [b'f', b'p', b'0'..=b'9', ..] => named(2),
        [b'f', b'r', b'a', b'm', b'e', b'0'..=b'9', ..] => {
            let digits = bytes[5..].iter().take_while(|b| b.is_ascii_digit()).count();
            bytes.get(5 + digits) == Some(&b':')
        }
        [b'r', b'e', b'f', b's', b'=', b'0'..=b'9', ..] => true,
        _ => false,
    }
}

/// `func#1 @6`
fn function(line: &str) -> Option<Line> {
    let (_, rest) = number(line.strip_prefix("func#")?)?;
    let (at, rest) = number(rest.strip_prefix(" @")?)?;
    rest.is_empty().then_some(Line::Function(at))
}

/// Beginnings of lines in which the verifier talks to itself.
const NOISE: &[&str] = &[
    "mark_precise:",
    "force_precise:",
    "regs=",
    "last_idx ",
    "parent state ",
    "parent didn't have ",
    "parent already had ",
    "propagating ",
    "cur state:",
    "old state:",
    "Live regs before insn:",
    "topo_order[",
    "subprog#",
    "stack use/def ",
    "SCC ",
    "arg JOIN ",
    "Validating ",
    "Func#",
    "mark_reg_unknown(",
    "mark_reg_known_zero(",
    "mark_reg_not_init(",
    "vmlinux_cand_cache:",
    "module_cand_cache:",
    "CO-RE relocating ",
    "marking pointer arg",
    "Dead code elimination:",
];

fn noise(line: &str) -> Line {
    // `frame 0: propagating r1`, but not `frame pointer is read only`.
    let in_frame = || {
        let rest = line.strip_prefix("frame ").and_then(number);
        rest.is_some_and(|(_, rest)| rest.starts_with(':'))
    };
    if NOISE.iter().any(|beginning| line.starts_with(beginning)) || in_frame() {
        return Line::Noise;
    }
    Line::Text
}

/// A number at the start of text, and what follows it.
pub(super) fn number(text: &str) -> Option<(u32, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at(digits);
    digits.parse().ok().map(|number| (number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_four_kernels() {
        use Line::*;
        let cases = [
            ("7: (79) r1 = *(u64 *)(r0 +0)", Kept(Kind::Instruction, 7)),
            ("7: R0=inv(id=0) R10=fp0", Kept(Kind::StateBefore, 7)),
            ("7: frame1: R0=inv(id=0) R10=fp0", Kept(Kind::StateBefore, 7)),
            (" R0_w=inv1 R1=ctx(id=0,off=0,imm=0)", Kept(Kind::State, 0)),
            ("from 5 to 12: R0=1", Kept(Kind::Branch, 5)),
            ("; *value += 1;", Kept(Kind::Source, 0)),
            ("caller:", Kept(Kind::CallMarker, 0)),
            ("func#1 @6", Function(6)),
            ("  0: (b4) w1 = 1", Noise),
            ("      1: .1........ (63) *(u32 *)(r10 -4) = r1", Noise),
            ("mark_precise: frame0: last_idx 3 first_idx 0 subseq_idx -1 ", Noise),
            ("regs=2 stack=0 before 11: (bf) r2 = r7", Noise),
            ("stack depth 8+16", Summary),
            ("stack depth 600 exceeds interpreter stack depth limit", Text),
            ("processed 7 insns (limit 1000000) max_states_per_insn 0", Summary),
            ("R0 invalid mem access 'map_value_or_null'", Text),
            ("R1 min value is outside of the allowed memory range", Text),
            ("frame pointer is read only", Text),
            ("frame 0: propagating r1", Noise),
            ("", Noise),
        ];
        for (line, kind) in cases {
            assert_eq!(classify(line), kind, "{line}");
        }
    }
}
