//! Tests that an object carries itself: the annotations of the kernel's own
//! selftests (`__success`, `__failure`, `__msg`, `__retval` and their like),
//! which are BTF declaration tags on the programs. What they mean is said in
//! tools/testing/selftests/bpf/progs/bpf_misc.h of the kernel's source, and
//! done by test_loader.c beside it (Linux 6.12).

use super::judge::Difference;
use super::ready::{Checks, Ready};
use crate::bpf::{Disassembly, Endian, Insn, ProgramType};
use crate::btf::{Kind, Type};
use crate::diagnostics::Span;
use crate::elf;
use crate::ops::Session;
use crate::ops::verify::select::stem;
use crate::ops::verify::{Object, finding};
use crate::wire::{Case, Outcome, Program, Trial};
use regex_automata::meta::Regex;
use regex_automata::util::syntax;
use std::sync::Arc;

/// What all such tags begin with.
const PREFIX: &str = "comment:test_";
/// Bytes of the frame that programs are run with (`TEST_DATA_LEN`).
const DATA: usize = 64;
/// Room for the one that comes back.
const ROOM: u32 = 256;
/// Lines of a log that are shown where something is missing in it.
const TAIL: usize = 6;
/// The architecture of guests, as `__arch` calls it.
const ARCH: &str = "X86_64";

/// What one program is to be like, in one of two modes.
#[derive(Clone, Debug, Default)]
pub(super) struct Annotation {
    /// What it is called.
    name: String,
    /// The verifier must reject it.
    fails: bool,
    /// What the log has, in this order.
    messages: Vec<Pattern>,
    /// What the program is like after verification, likewise.
    xlated: Vec<Pattern>,
    /// What it returns, if it is to be run.
    retval: Option<Retval>,
    level: u32,
    flags: u32,
    /// Programs that are loaded with it.
    with: Vec<String>,
    /// It is loaded without privileges.
    pub is_unprivileged: bool,
    /// Why it cannot be judged here.
    skip: Option<String>,
}

/// What a program is to return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retval {
    Value(i32),
    /// A kernel address, which nobody knows.
    Any,
}

/// A text that is looked for.
#[derive(Clone, Debug)]
struct Pattern {
    text: String,
    /// The same, if parts of it are expressions: `{{[0-9]+}}`.
    regex: Option<Regex>,
    /// It stands on the line behind the one before.
    is_next: bool,
}

/// Both modes of a program.
#[derive(Default)]
struct Tags {
    description: Option<String>,
    /// With privileges, and without.
    modes: [Mode; 2],
    level: u32,
    flags: u32,
    architectures: Vec<String>,
    btf_path: Option<String>,
    is_auxiliary: bool,
    is_auxiliary_unprivileged: bool,
}

#[derive(Default)]
struct Mode {
    /// A tag speaks of this mode.
    is_meant: bool,
    fails: Option<bool>,
    messages: Vec<Pattern>,
    xlated: Vec<Pattern>,
    has_machine_code: bool,
    retval: Option<Retval>,
}

/// The tests of an object; none if nothing in it is annotated.
pub(super) fn tests(session: &Session, index: usize, object: &Object) -> Vec<Ready> {
    let Some(all) = annotations(&object.elf) else { return Vec::new() };
    let stem = stem(&object.path);
    let ready = |(program, annotation): (String, Annotation)| {
        let function = object.elf.program(&program);
        let target = function.and_then(|function| object.elf.target(function).ok());
        let span = finding::begin(session, object, &program);
        Ready {
            file: span.as_ref().map_or_else(|| object.path.clone(), |span| span.file.clone()),
            name: format!("{stem}::{}", annotation.name),
            span: span.unwrap_or_else(|| Span::file(&object.path)),
            object: index,
            program,
            kind: target.map(|target| target.def.program_type),
            kernels: Vec::new(),
            since: None,
            before: None,
            needs: Vec::new(),
            skip: annotation.skip.clone(),
            bring: Vec::new(),
            brought: Arc::default(),
            constants: Vec::new(),
            case: Case::default(),
            checks: Checks::default(),
            annotation: Some(annotation),
        }
    };
    all.into_iter().map(ready).collect()
}

/// What the object says of each of its programs.
fn annotations(elf: &elf::Object) -> Option<Vec<(String, Annotation)>> {
    let btf = elf.btf.as_deref()?;
    let mut programs: Vec<(String, Tags)> =
        elf.programs().map(|program| (program.name.clone(), Tags::default())).collect();
    let mut found = false;
    for id in btf.ids().filter(|&id| btf.kind(id) == Kind::DeclTag) {
        let Type::DeclTag(tag) = btf.ty(id) else { continue };
        let Some(text) = tag.value.strip_prefix(PREFIX) else { continue };
        if tag.component.is_some() || btf.kind(tag.target) != Kind::Func {
            continue;
        }
        let name = btf.name(tag.target);
        if let Some((_, tags)) = programs.iter_mut().find(|(known, _)| known == name) {
            found = true;
            tags.read(text);
        }
    }
    if !found {
        return None;
    }
    let names = |is_it: fn(&Tags) -> bool| -> Vec<String> {
        let all = programs.iter().filter(|(_, tags)| is_it(tags));
        all.map(|(name, _)| name.clone()).collect()
    };
    let with = [names(|tags| tags.is_auxiliary), names(|tags| tags.is_auxiliary_unprivileged)];
    let mut all = Vec::new();
    for (name, tags) in programs {
        if !tags.is_auxiliary && !tags.is_auxiliary_unprivileged {
            all.extend(tags.finish(&name, &with).into_iter().map(|one| (name.clone(), one)));
        }
    }
    Some(all)
}

impl Tags {
    /// Takes one tag, what is common to all cut off.
    fn read(&mut self, tag: &str) {
        let (word, value) = tag.split_once('=').unwrap_or((tag, ""));
        // Texts have a number in front, so that the same one may stand twice.
        let text = value.split_once('=').map_or(value, |(_, text)| text);
        let (word, mode) = match word.strip_suffix("_unpriv") {
            Some(word) => (word, 1),
            None => (word, 0),
        };
        let own = &mut self.modes[mode];
        match word {
            "expect_success" => own.fails = Some(false),
            "expect_failure" => own.fails = Some(true),
            "expect_msg" => own.messages.push(Pattern::new(text, false)),
            "expect_xlated" => push_line(&mut own.xlated, text),
            "jited" => own.has_machine_code |= self.architectures.iter().any(|one| one == ARCH),
            "retval" => own.retval = retval(value),
            "auxiliary" if mode == 0 => self.is_auxiliary = true,
            "auxiliary" => self.is_auxiliary_unprivileged = true,
            _ => {
                match word {
                    "description" => self.description = Some(value.to_owned()),
                    "log_level" => self.level = value.parse().unwrap_or(0),
                    "prog_flags" => self.flag(value),
                    "arch" => self.architectures.push(value.to_owned()),
                    "btf_path" => self.btf_path = Some(value.to_owned()),
                    _ => {}
                }
                return;
            }
        }
        own.is_meant = true;
    }

    /// A flag of `BPF_PROG_LOAD` by name (include/uapi/linux/bpf.h), or by
    /// number.
    fn flag(&mut self, text: &str) {
        let (is_cleared, name) = match text.strip_prefix('!') {
            Some(name) => (true, name),
            None => (false, text),
        };
        let flag = match name {
            "BPF_F_STRICT_ALIGNMENT" => 1 << 0,
            "BPF_F_ANY_ALIGNMENT" => 1 << 1,
            "BPF_F_TEST_RND_HI32" => 1 << 2,
            "BPF_F_TEST_STATE_FREQ" => 1 << 3,
            "BPF_F_SLEEPABLE" => 1 << 4,
            "BPF_F_XDP_HAS_FRAGS" => 1 << 5,
            "BPF_F_TEST_REG_INVARIANTS" => 1 << 7,
            number => integer(number).unwrap_or(0) as u32,
        };
        match is_cleared {
            true => self.flags &= !flag,
            false => self.flags |= flag,
        }
    }

    /// The tests that come of it: one with privileges, one without, or both.
    fn finish(self, program: &str, with: &[Vec<String>; 2]) -> Vec<Annotation> {
        let [privileged, unprivileged] = self.modes;
        let is_first = privileged.is_meant || !unprivileged.is_meant;
        let name = self.description.unwrap_or_else(|| program.to_owned());
        let mut skip = None;
        if !self.architectures.is_empty() && !self.architectures.iter().any(|one| one == ARCH) {
            skip = Some(format!("it is for {}", self.architectures.join(", ")));
        } else if let Some(path) = &self.btf_path {
            skip = Some(format!("it wants to be loaded with the BTF in {path}"));
        }
        let common = Annotation {
            name,
            level: self.level,
            flags: self.flags,
            skip,
            ..Annotation::default()
        };
        let machine_code = |has: bool| {
            has.then(|| "it says what the machine code is like, which is not looked at".to_owned())
        };
        let mut all = Vec::new();
        if is_first {
            all.push(Annotation {
                fails: privileged.fails.unwrap_or(false),
                messages: privileged.messages.clone(),
                xlated: privileged.xlated.clone(),
                retval: privileged.retval,
                with: with[0].clone(),
                skip: common.skip.clone().or_else(|| machine_code(privileged.has_machine_code)),
                ..common.clone()
            });
        }
        if unprivileged.is_meant {
            // What is not said of this mode is as in the other.
            let or =
                |own: Vec<Pattern>, other: Vec<Pattern>| if own.is_empty() { other } else { own };
            let has_machine_code = unprivileged.has_machine_code || privileged.has_machine_code;
            all.push(Annotation {
                name: format!("{} @unpriv", common.name),
                fails: unprivileged.fails.or(privileged.fails).unwrap_or(false),
                messages: or(unprivileged.messages, privileged.messages),
                xlated: or(unprivileged.xlated, privileged.xlated),
                retval: unprivileged.retval.or(privileged.retval),
                with: with[1].clone(),
                is_unprivileged: true,
                skip: common.skip.clone().or_else(|| machine_code(has_machine_code)),
                ..common
            });
        }
        all
    }
}

/// A line of a listing: on the line behind the one before it, but after
/// `...`.
fn push_line(patterns: &mut Vec<Pattern>, text: &str) {
    // The mark itself is kept until the next line comes.
    let is_open = patterns.pop_if(|last| last.text == "...").is_some();
    let is_next = !patterns.is_empty() && !is_open;
    patterns.push(Pattern::new(text, is_next));
}

fn integer(text: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

fn retval(text: &str) -> Option<Retval> {
    Some(match text {
        "INT_MIN" => Retval::Value(i32::MIN),
        "POINTER_VALUE" => Retval::Any,
        "TEST_DATA_LEN" => Retval::Value(DATA as i32),
        // The kernel's runner reads a `long` into an `int`.
        number => Retval::Value(integer(number)? as i32),
    })
}

impl Pattern {
    fn new(text: &str, is_next: bool) -> Self {
        Self { text: text.to_owned(), regex: regex(text), is_next }
    }

    /// Where it is in a text.
    fn find(&self, text: &str) -> Option<std::ops::Range<usize>> {
        match &self.regex {
            Some(regex) => regex.find(text).map(|found| found.range()),
            None => text.find(&self.text).map(|at| at..at + self.text.len()),
        }
    }
}

/// A text with expressions in double braces as one expression.
fn regex(text: &str) -> Option<Regex> {
    if !text.contains("{{") {
        return None;
    }
    let mut pattern = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("{{") {
        let (inside, after) = behind.split_once("}}")?;
        pattern.push_str(&literal(before));
        pattern.push_str(inside);
        rest = after;
    }
    pattern.push_str(&literal(rest));
    let syntax = syntax::Config::new().multi_line(true);
    Regex::builder().syntax(syntax).build(&pattern).ok()
}

fn literal(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        // Not all punctuation: `\<` is the beginning of a word.
        if r".[]\()*+?{}|^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// What is missing of the patterns in a text.
fn missing(patterns: &[Pattern], text: &str) -> Option<String> {
    let mut at = 0;
    let mut line: Option<usize> = None;
    for pattern in patterns.iter().filter(|pattern| pattern.text != "...") {
        let Some(found) = pattern.find(&text[at..]) else {
            return Some(format!("`{}` is missing", pattern.text));
        };
        let here = text[..at + found.start].matches('\n').count();
        if let (true, Some(before)) = (pattern.is_next, line)
            && before + 1 != here
        {
            return Some(format!("`{}` does not stand on the line behind", pattern.text));
        }
        line = Some(here);
        at += found.end;
    }
    None
}

impl Annotation {
    /// Whether the log is that which libbpf asks for when a load without one
    /// failed, at level 1. The reason alone costs a fraction of it, and is
    /// mostly all that is asked for.
    pub fn has_brief_log(&self) -> bool {
        self.fails && self.level & 3 == 0
    }

    /// How the program is loaded; `whole` for the log of level 1.
    pub fn trial(&self, program: &str, kind: Option<ProgramType>, whole: bool) -> Trial {
        let runs = self.retval.is_some() && !self.fails;
        let case = runs.then(|| match kind {
            // It takes nothing but a context.
            Some(ProgramType::Syscall) => Case::default(),
            _ => Case {
                packet: Some(vec![0; DATA]),
                packet_room: ROOM,
                repeat: 1,
                ..Case::default()
            },
        });
        Trial {
            program: program.to_owned(),
            level: (self.level & 3).max(u32::from(whole)),
            flags: self.flags,
            with: self.with.clone(),
            is_unprivileged: self.is_unprivileged,
            case,
            listing: !self.xlated.is_empty(),
        }
    }

    /// What is different about what became of the program.
    pub fn judge(&self, span: &Span, program: &Program, log: &str) -> Vec<Difference> {
        let mut all = Vec::new();
        let mut add = |what: String, lines: Vec<String>| {
            all.push(Difference { span: span.clone(), what, lines });
        };
        let tail = |text: &str| -> Vec<String> {
            let lines: Vec<&str> = text.lines().collect();
            let start = lines.len().saturating_sub(TAIL);
            lines[start..].iter().map(|line| (*line).to_owned()).collect()
        };
        let is_accepted = matches!(program.outcome, Outcome::Accepted);
        match (&program.outcome, self.fails) {
            (Outcome::Accepted, true) => {
                add("expected a rejection, and the kernel accepts the program".into(), Vec::new());
            }
            (Outcome::Refused(refusal), false) => {
                let mut lines = tail(&program.verdict);
                lines.extend(refusal.messages.iter().take(TAIL).cloned());
                add(format!("the program is refused (error {})", refusal.errno), lines);
            }
            (Outcome::TimedOut { .. }, _) => {
                add(
                    "there is no verdict on the program in time: see --time-limit".into(),
                    Vec::new(),
                );
            }
            (Outcome::Crashed { .. }, _) => {
                add("there is no verdict on the program: its loading crashed".into(), Vec::new());
            }
            _ => {}
        }
        if all.is_empty() {
            let mut add = |what: String, lines: Vec<String>| {
                all.push(Difference { span: span.clone(), what, lines });
            };
            if let Some(what) = missing(&self.messages, log) {
                add(format!("the verifier's log: {what}"), tail(log));
            }
            if !self.xlated.is_empty() && is_accepted {
                let listing = listing(&program.xlated);
                if let Some(what) = missing(&self.xlated, &listing) {
                    let lines = listing.lines().map(str::to_owned).collect();
                    add(format!("the program after verification: {what}"), lines);
                }
            }
            match (self.retval, &program.ran) {
                (Some(_), Some(ran)) if ran.errno != 0 => {
                    add(format!("the kernel refuses to run it (error {})", ran.errno), Vec::new());
                }
                (Some(Retval::Value(expected)), Some(ran)) if ran.retval as i32 != expected => {
                    let got = ran.retval as i32;
                    add(format!("expected {expected} to be returned, got {got}"), Vec::new());
                }
                _ => {}
            }
        }
        all
    }
}

/// A verified program's instructions, a line each, as the kernel's runner
/// writes them: calls without the number.
fn listing(bytes: &[u8]) -> String {
    let insns = Insn::read_all(bytes, Endian::Little);
    let mut out = String::new();
    let mut at = 0;
    while let Some(insn) = insns.get(at) {
        let text = match insn {
            // A register as the address of a processor's own data.
            Insn { code: 0xbf, dst, src, off: -1, .. } => {
                format!("r{dst} = &(void __percpu *)(r{src})")
            }
            // The verifier leaves the distance in the offset.
            insn if insn.is_subprogram_call() => format!("call pc{:+}", insn.off),
            _ => {
                let text = disassembled(&insns[at..]);
                match text.starts_with("call ") {
                    true => text.split('#').next().unwrap_or_default().to_owned(),
                    false => text,
                }
            }
        };
        out.push_str(&format!("{at}: {text}\n"));
        at += if insn.is_wide() { 2 } else { 1 };
    }
    out
}

/// The first instruction. The verifier has a register of its own, which no
/// program can name.
fn disassembled(insns: &[Insn]) -> String {
    const OWN: u8 = 11;
    let Some(&insn) = insns.first() else { return String::new() };
    if insn.dst != OWN && insn.src != OWN {
        return Disassembly::new(insns).to_string();
    }
    // Written as one that does not stand in the instruction.
    let free = (0..10).find(|register| ![insn.dst, insn.src].contains(register)).unwrap_or(0);
    let named = |register: u8| if register == OWN { free } else { register };
    let insn = Insn { dst: named(insn.dst), src: named(insn.src), ..insn };
    let text = Disassembly::new(&[insn, Insn::default()]).to_string();
    ["r", "w"].iter().fold(text, |text, letter| {
        text.replace(&format!("{letter}{free}"), &format!("{letter}{OWN}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(all: &[&str]) -> Vec<Annotation> {
        let mut tags = Tags::default();
        all.iter().for_each(|tag| tags.read(tag));
        tags.finish("program", &[Vec::new(), Vec::new()])
    }

    #[test]
    fn what_is_not_said_of_the_unprivileged_mode_is_as_in_the_other() {
        let all = tags(&[
            "description=some text",
            "expect_success",
            "retval=-5",
            "expect_failure_unpriv",
            "expect_msg_unpriv=3=R1 leaks addr",
            "prog_flags=BPF_F_ANY_ALIGNMENT",
            "prog_flags=!BPF_F_ANY_ALIGNMENT",
            "prog_flags=0x8",
            "log_level=2",
        ]);
        let [first, second] = all.as_slice() else { panic!("{all:?}") };
        assert_eq!((first.name.as_str(), first.fails, first.flags), ("some text", false, 8));
        assert_eq!(first.retval, Some(Retval::Value(-5)));
        assert_eq!((second.name.as_str(), second.fails), ("some text @unpriv", true));
        assert_eq!(second.messages[0].text, "R1 leaks addr");
        assert!(second.trial("program", None, false).case.is_none());
        assert_eq!(first.trial("program", None, true).level, 2);
        assert!(!first.has_brief_log() && !second.has_brief_log());
        // Without any tag a program is to be accepted.
        let [plain] = tags(&[]).try_into().unwrap();
        assert!(!plain.fails && !plain.is_unprivileged && plain.name == "program");
        let [other] = tags(&["expect_failure_unpriv"]).try_into().unwrap();
        assert!(other.is_unprivileged);
        assert!(tags(&["arch=ARM64"])[0].skip.is_some());
        assert!(tags(&["arch=ARM64", "arch=X86_64"])[0].skip.is_none());
    }

    #[test]
    fn texts_are_found_in_their_order() {
        let log = "0: r0 = 1\n1: r1 = 0x7\n2: exit\n";
        let patterns = |all: &[&str]| -> Vec<Pattern> {
            all.iter().map(|text| Pattern::new(text, false)).collect()
        };
        assert_eq!(missing(&patterns(&["r0 = 1", "exit"]), log), None);
        assert!(missing(&patterns(&["exit", "r0 = 1"]), log).is_some());
        assert_eq!(missing(&patterns(&["r1 = {{0x[0-9]+$}}"]), log), None);
        assert!(missing(&patterns(&["r1 (= {{.*}}"]), log).is_some());
        let jump = "3: (2d) if r0 > r1 goto pc+2 ; R0=scalar()\n";
        assert_eq!(missing(&patterns(&["if r0 > r1 {{.*}} R0=scalar()"]), jump), None);
        let mut lines = Vec::new();
        ["r0 = 1", "...", "exit"].iter().for_each(|text| push_line(&mut lines, text));
        assert_eq!(missing(&lines, log), None);
        let mut lines = Vec::new();
        ["r0 = 1", "exit"].iter().for_each(|text| push_line(&mut lines, text));
        assert!(missing(&lines, log).is_some());
    }

    #[test]
    fn listings_have_what_only_the_verifier_writes() {
        let insns = [
            Insn { code: 0xbf, dst: 11, src: 3, off: 0, imm: 0 },
            Insn { code: 0x79, dst: 11, src: 10, off: -16, imm: 0 },
            Insn { code: 0x26, dst: 11, src: 0, off: 4, imm: 1 },
            Insn { code: 0xbf, dst: 0, src: 0, off: -1, imm: 0 },
            Insn { code: 0x85, dst: 0, src: 1, off: 3, imm: 1 },
            Insn { code: 0x85, dst: 0, src: 0, off: 0, imm: 123_456 },
            Insn { code: 0x18, dst: 2, src: 0, off: 0, imm: 0 },
            Insn { code: 0, dst: 0, src: 0, off: 0, imm: i32::MIN },
            Insn { code: 0x95, ..Insn::default() },
        ];
        let bytes: Vec<u8> = insns.iter().flat_map(|insn| insn.to_bytes(Endian::Little)).collect();
        assert_eq!(
            listing(&bytes),
            "0: r11 = r3\n1: r11 = *(u64 *)(r10 -16)\n2: if w11 > 0x1 goto pc+4\n\
             3: r0 = &(void __percpu *)(r0)\n4: call pc+3\n5: call unknown\n\
             6: r2 = 0x8000000000000000\n8: exit\n"
        );
    }
}
