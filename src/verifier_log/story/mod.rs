//! The story of a rejection: one diagnostic, told on C lines.
//!
//! What the kernel said gives a [`Reason`]; the failing path may make it more
//! exact (a number that was a packet pointer until a call took it away). Each
//! family of reasons has a file here that finds the places of the story and
//! the developer's words for it. Registers are not mentioned; variables are
//! named where the source line names them.

mod bounds;
mod c_text;
mod calls;
mod flow;
mod misuse;
mod null;
mod values;

use super::dialect::structured::Statement;
use super::disasm::{Callee, Operation, Register};
use super::log::Log;
use super::path::{At, Origin as Made, Path};
use crate::diagnostics::{Diagnostic, Edit, Label, ObjectPlace, Origin, Span};
use crate::verdict::errno::{self, Stage};
use crate::verdict::{Reason, messages};
use std::path::{Path as FilePath, PathBuf};

/// How many of the log's last lines a diagnostic shows, and how wide.
const TAIL_LINES: usize = 8;
const TAIL_WIDTH: usize = 160;

/// A program that a kernel refused, with what is known about it.
pub struct Rejection<'a> {
    /// The verifier's log; may be empty.
    pub log: &'a str,
    /// The error number, positive; 0 where it is not known.
    pub errno: i32,
    /// How far the load got.
    pub stage: Stage,
    /// What libbpf said.
    pub libbpf: &'a str,
    /// The program's name.
    pub program: Option<&'a str>,
    /// The object file.
    pub object: Option<&'a FilePath>,
    /// The ELF section the program is in.
    pub section: Option<&'a str>,
    /// The kernel, as a reference (`debian/trixie`).
    pub kernel: Option<&'a str>,
    /// The file that keeps the raw log.
    pub raw_log: Option<PathBuf>,
    /// The C lines of instructions.
    pub places: &'a dyn Places,
}

/// Knows the C lines of a program's instructions.
pub trait Places {
    /// Where the instruction was compiled from; counted as the kernel does.
    fn span(&self, instruction: u32) -> Option<Span>;

    /// The instruction with which one function of the program calls another.
    fn call(&self, _caller: &str, _callee: &str) -> Option<u32> {
        None
    }

    /// The first instruction that jumps backwards.
    fn jump_back(&self) -> Option<u32> {
        None
    }

    /// Whether an instruction calls a function of the program.
    fn is_call(&self, _instruction: u32) -> bool {
        false
    }

    /// The last instruction that calls a helper.
    fn helper_call(&self, _name: &str) -> Option<u32> {
        None
    }

    /// Where a file is that the log calls by the last part of its path.
    fn named(&self, _file: &str, _line: u32) -> Option<Span> {
        None
    }

    /// The text of a source file, if it can be had and is the one that was
    /// compiled.
    fn source(&self, _file: &FilePath) -> Option<String> {
        None
    }
}

/// Nothing is known but what the log says itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPlaces;

impl Places for NoPlaces {
    fn span(&self, _: u32) -> Option<Span> {
        None
    }
}

/// Explains a rejection.
pub fn explain(rejection: &Rejection<'_>) -> Diagnostic {
    let log = Log::parse(rejection.log);
    let path = Path::new(&log);
    // Where the kernel reports at length, the sentence before the report is
    // what all kernels say; the report's own are prose.
    let said = match &log.statement {
        Some(report) => messages::reason_of(report.before.iter().copied())
            .or_else(|| messages::reason_of([&*report.reason]))
            .or_else(|| messages::reason_of([report.headline])),
        None => messages::reason_of(log.error.iter().copied()),
    };
    // libbpf's lines name what it could not resolve better than the text it
    // put into the program in its place.
    let draft = match said {
        Some((reason, line)) => Story::new(rejection, &log, &path, line).tell(reason),
        None if log.error.is_empty() && (log.summary.is_none() || number_says(rejection)) => {
            unsaid(rejection)
        }
        None => Story::new(rejection, &log, &path, log.error.first().copied().unwrap_or_default())
            .tell(Reason::Unknown),
    };
    draft.finish(rejection, &log)
}

/// Whether the error number tells more than that there is an error.
fn number_says(rejection: &Rejection<'_>) -> bool {
    let unsaid = errno::explain(rejection.errno, rejection.stage, rejection.libbpf);
    unsaid.reason != Reason::LoadFailed
}

/// The kernel gave no reason.
fn unsaid(rejection: &Rejection<'_>) -> Draft {
    let unsaid = errno::explain(rejection.errno, rejection.stage, rejection.libbpf);
    let mut draft = Draft::new(unsaid.reason, unsaid.message);
    draft.primary = declared(rejection).map(|span| Label { span, message: String::new() });
    draft.helps.extend(unsaid.help.map(|help| (help, None)));
    let lines: Vec<&str> = rejection
        .libbpf
        .lines()
        .filter(|line| !line.contains("failed to load object"))
        .filter(|line| !line.trim().is_empty())
        .take(TAIL_LINES)
        .collect();
    if !lines.is_empty() {
        let said = format!("libbpf says:\n{}", lines.join("\n"));
        match unsaid.reason {
            Reason::AttachTarget | Reason::UnknownKfunc | Reason::MapNotCreated => {
                draft.details.push(said);
            }
            _ => draft.notes.push(said),
        }
    }
    draft
}

/// Where a program is declared: its `SEC(…)` line if the source can be read,
/// else its first instruction's line.
fn declared(rejection: &Rejection<'_>) -> Option<Span> {
    let first = rejection.places.span(0)?;
    let declaration = || {
        let source = rejection.places.source(&first.file)?;
        let line = c_text::section_above(&source, first.start.line)?;
        let text = source.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?)?;
        Some(Span::line(&first.file, line).with_line_text(text))
    };
    Some(declaration().unwrap_or(first))
}

/// A diagnostic in the making.
struct Draft {
    reason: Reason,
    message: String,
    primary: Option<Label>,
    labels: Vec<Label>,
    notes: Vec<String>,
    details: Vec<String>,
    helps: Vec<(String, Option<Edit>)>,
    instruction: Option<u32>,
}

impl Draft {
    fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            primary: None,
            labels: Vec::new(),
            notes: Vec::new(),
            details: Vec::new(),
            helps: Vec::new(),
            instruction: None,
        }
    }

    fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// The kernel's own sentence, registers and all.
    fn quoting(mut self, line: &str) -> Self {
        self.details.push(format!("the verifier says: {line}"));
        self
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.helps.push((help.into(), None));
        self
    }

    fn finish(mut self, rejection: &Rejection<'_>, log: &Log<'_>) -> Diagnostic {
        if let Some(report) = &log.statement {
            self.take_report(rejection, report);
        }
        if self.helps.is_empty() {
            self.helps.extend(self.reason.help().map(|help| (help.to_owned(), None)));
        }
        let mut diagnostic = Diagnostic::new(self.reason.code(), Origin::Verifier, self.message);
        // A second label on the primary's own line says nothing new unless
        // it stands elsewhere in it.
        let primary = self.primary;
        for label in self.labels {
            let same = |other: &Label| {
                other.span.file == label.span.file && other.span.start == label.span.start
            };
            if !primary.as_ref().is_some_and(same) && !diagnostic.secondary.iter().any(same) {
                diagnostic.secondary.push(label);
            }
        }
        diagnostic.primary = primary;
        diagnostic.notes = self.notes;
        diagnostic.details = self.details;
        if !log.error.is_empty() || log.summary.is_some() {
            let tail = log.tail(TAIL_LINES, TAIL_WIDTH);
            if !tail.is_empty() {
                let tail = format!("the verifier's log ends:\n{}", tail.join("\n"));
                // Where skep has no words of its own, the kernel's are all there is.
                if self.reason == Reason::Unknown {
                    diagnostic.notes.push(tail);
                } else {
                    diagnostic.details.push(tail);
                }
            }
        }
        for (message, edit) in self.helps {
            diagnostic = match edit {
                Some(edit) => diagnostic.help_edit(message, edit),
                None => diagnostic.help(message),
            };
        }
        if let Some(program) = rejection.program {
            diagnostic = diagnostic.program(program);
        }
        if let Some(kernel) = rejection.kernel {
            diagnostic = diagnostic.kernel(kernel);
        }
        if let Some(object) = rejection.object {
            diagnostic = diagnostic.object_place(ObjectPlace {
                object: object.to_owned(),
                section: rejection.section.map(str::to_owned),
                instruction: self.instruction,
            });
        }
        diagnostic.raw_log.clone_from(&rejection.raw_log);
        diagnostic
    }
}

impl Draft {
    /// What the kernel's own report adds: its advice, and the place where
    /// nothing better is known.
    fn take_report(&mut self, rejection: &Rejection<'_>, report: &Statement<'_>) {
        if !report.suggestion.is_empty() {
            self.helps.push((format!("the kernel suggests: {}", report.suggestion), None));
        }
        let reason = format!("the kernel says: {}", report.reason);
        match self.reason {
            _ if report.reason.is_empty() => {}
            Reason::Unknown => self.notes.push(reason),
            _ => self.details.push(reason),
        }
        if self.primary.is_none() {
            let span = match (report.place, report.instruction) {
                (Some((file, line)), _) => {
                    let known = rejection.places.named(file, line);
                    Some(known.unwrap_or_else(|| Span::line(file, line)))
                }
                (None, Some(instruction)) => rejection.places.span(instruction),
                (None, None) => None,
            };
            self.primary = span.map(|span| Label { span, message: String::new() });
        }
        self.instruction = self.instruction.or(report.instruction);
    }
}

/// What the tellers of stories work with.
struct Story<'a> {
    rejection: &'a Rejection<'a>,
    log: &'a Log<'a>,
    path: &'a Path<'a, 'a>,
    /// The line of the kernel's error that names the cause.
    line: &'a str,
    /// The instruction that was refused.
    last: Option<At>,
}

impl<'a> Story<'a> {
    fn new(
        rejection: &'a Rejection<'a>,
        log: &'a Log<'a>,
        path: &'a Path<'a, 'a>,
        line: &'a str,
    ) -> Self {
        Self { rejection, log, path, line: line.trim(), last: path.last() }
    }

    fn tell(&self, reason: Reason) -> Draft {
        use Reason::*;
        let mut draft = match reason {
            MapValueMaybeNull => self.maybe_null(),
            PacketOutOfBounds => self.packet_out_of_bounds(),
            MapValueOutOfBounds => self.map_value_out_of_bounds(),
            MemoryOutOfBounds => self.memory_out_of_bounds(),
            StackOutOfBounds => self.stack_out_of_bounds(),
            UnboundedAccess => self.unbounded_access(),
            UninitializedStack => self.uninitialized_stack(),
            NotAPointer => self.not_a_pointer(),
            UninitializedRegister => self.uninitialized_register(),
            InvalidContextAccess => self.invalid_context_access(),
            GplOnlyHelper | UnknownHelper | HelperNotAllowed | WrongMapType | SleepableMisuse => {
                self.call(reason)
            }
            WrongArgument | ArenaMisuse => self.wrong_argument(reason),
            SubprogramArgument if self.register_names_argument() => self.wrong_argument(reason),
            SubprogramArgument => self.own_function(),
            UnboundedLoop if self.is_recursion() => self.recursion(),
            CallDepth => self.recursion(),
            UnboundedLoop | TooComplex => self.endless(reason),
            LockMisuse | CriticalSection => self.section(reason),
            ModifiedPointer => self.modified_pointer(),
            MisalignedAccess => self.misaligned(),
            AtomicMisuse => self.atomic(),
            InvalidRelease => self.invalid_release(),
            IteratorMisuse => self.iterator(),
            KfuncNotAllowed => self.kernel_function(),
            ControlFlow => self.control_flow(),
            InvalidInstruction => self.unknown_instruction(),
            TailCallMisuse => self.tail_call(),
            StructOpsMember => self.struct_ops_member(),
            ExtensionMismatch => self.extension(),
            CallbackMisuse => self.callback(),
            DynptrMisuse => self.dynptr(),
            AttachTarget => self.attach_target(),
            StackOverflow => self.stack_overflow(),
            UnreleasedReference => self.unreleased_reference(),
            ReturnValue => self.return_value(),
            UnreachableCode => self.unreachable_code(),
            ReadOnlyMemory => self.read_only(),
            PointerArithmetic => self.pointer_arithmetic(),
            PointerLeak => self.pointer_leak(),
            KernelStructAccess => self.kernel_struct(),
            CoreRelocation => self.core_relocation(),
            _ => self.plain(reason),
        };
        // An instruction that the sentence begins with is meant, wherever the
        // walk was.
        let is_meant = self.last.is_none() || self.line.starts_with("insn ");
        let named = || flow::instruction_in(self.line).filter(|_| is_meant);
        if draft.primary.is_none()
            && let Some(index) = named()
        {
            draft.instruction = Some(index);
            draft.primary = self.place_of(index).map(|span| Label { span, message: String::new() });
        }
        if draft.primary.is_none() {
            draft.primary = self.last.and_then(|at| self.label(at, "")).or_else(|| {
                Some(Label { span: declared(self.rejection)?, message: String::new() })
            });
        }
        if draft.instruction.is_none() {
            draft.instruction = self.last.and_then(|at| self.path.instruction(at)).map(|i| i.index);
        }
        draft
    }

    /// Where no story of its own is known: the kernel's words with names in
    /// place of registers, and what the code means.
    fn plain(&self, reason: Reason) -> Draft {
        if self.line.is_empty() {
            return Draft::new(reason, "the verifier rejects the program and says nothing more");
        }
        if let Some(draft) = self.phrase(reason) {
            return draft;
        }
        let said = self.in_words();
        let said = match self.last.and_then(|at| self.callee(at)) {
            Some(callee) if !said.contains(callee) => format!("{callee}(): {said}"),
            _ => said,
        };
        if reason == Reason::Unknown {
            return Draft::new(reason, format!("the verifier rejects the program: {said}"));
        }
        Draft::new(reason, said).note(reason.code().summary())
    }

    /// The kernel's line with names instead of registers.
    fn in_words(&self) -> String {
        let line = self.line.trim_end_matches('.');
        // A quotation that is closed stays closed.
        let is_open = line.matches('\'').count() % 2 == 1;
        let line = lower_first(if is_open { line.trim_end_matches('\'') } else { line });
        let Some(register) = self.register_named() else { return line };
        let token = format!("R{register}");
        let Some(at) = line.find(&token) else { return line };
        let words = match self.last {
            Some(last) if self.callee(last).is_some() && (1..=5).contains(&register) => {
                format!("argument {register}")
            }
            Some(last) => self.name_of(last, register),
            None => return line,
        };
        format!("{}{words}{}", &line[..at], &line[at + token.len()..])
    }

    /// What the C source calls the value in a register before an
    /// instruction: a variable, or `this pointer`, `this value`.
    fn name_of(&self, at: At, register: Register) -> String {
        let origin = self.path.origin(at, register, true);
        if let Some(name) = origin.and_then(|origin| self.variable(origin)) {
            return format!("`{name}`");
        }
        match self.path.before(at, &format!("R{register}")) {
            Some(value) if value.is_scalar() => "this value".to_owned(),
            Some(value) => values::kind_in_words(value.kind),
            None => "this value".to_owned(),
        }
    }

    /// Whether the kernel's line is about a register at a call of a helper or
    /// kernel function.
    fn register_names_argument(&self) -> bool {
        self.register_named().is_some() && self.last.is_some_and(|at| self.callee(at).is_some())
    }

    /// The C place of an instruction on the path.
    fn place(&self, at: At) -> Option<Span> {
        let index = self.path.instruction(at)?.index;
        self.rejection.places.span(index).or_else(|| self.place_in_log(at))
    }

    /// The C place as the log itself gives it.
    fn place_in_log(&self, at: At) -> Option<Span> {
        let source = self.log.source_before(self.path.log_position(at))?;
        let (file, line) = source.place?;
        let known = self.rejection.places.named(file, line);
        Some(known.unwrap_or_else(|| Span::line(file, line)).with_line_text(source.text))
    }

    /// The C place of an instruction wherever it is.
    fn place_of(&self, index: u32) -> Option<Span> {
        let known = self.rejection.places.span(index);
        known.or_else(|| self.place_in_log(self.path.find(index)?))
    }

    /// The text of the C line of an instruction.
    fn c_line(&self, at: At) -> Option<String> {
        let index = self.path.instruction(at)?.index;
        let text = self.rejection.places.span(index).and_then(|span| span.line_text);
        let text = text.or_else(|| {
            Some(self.log.source_before(self.path.log_position(at))?.text.to_owned())
        })?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    fn label(&self, at: At, message: impl Into<String>) -> Option<Label> {
        Some(Label { span: self.place(at)?, message: message.into() })
    }

    /// The name of the variable that a value was kept in where it came from.
    fn variable(&self, origin: Made<'_>) -> Option<String> {
        self.followed(origin).or_else(|| self.variable_set_at(origin.via.unwrap_or(origin.at)))
    }

    /// The field that a pointer was read from, if it was kept in no variable
    /// and its line goes on through it: `ctx->task` of `pid = ctx->task->pid`.
    fn followed(&self, origin: Made<'_>) -> Option<String> {
        let is_read = origin.via.is_none() && matches!(origin.operation, Operation::Load { .. });
        let span = self.place(origin.at).filter(|_| is_read)?;
        c_text::followed_at(span.line_text.as_deref()?, span.start.column).map(str::to_owned)
    }

    /// The variable or field that the C line names at an instruction's
    /// column.
    fn expression(&self, at: At) -> Option<String> {
        let index = self.path.instruction(at)?.index;
        let span = self.rejection.places.span(index)?;
        let line = span.line_text.as_deref()?;
        c_text::expression_at(line, span.start.column).map(str::to_owned)
    }

    /// The program's section as it stands in the source.
    fn section_words(&self) -> String {
        match self.rejection.section {
            Some(section) => format!("a `SEC(\"{section}\")` program"),
            None => "a program of this type".to_owned(),
        }
    }

    /// The name of the variable that the C line of an instruction sets.
    fn variable_set_at(&self, at: At) -> Option<String> {
        let line = self.c_line(at)?;
        if let Some(name) = c_text::assigned(&line) {
            return Some(name.to_owned());
        }
        // The call may stand on a line of its own: `value =\n\tlookup(…);`.
        let span = self.place(at)?;
        let source = self.rejection.places.source(&span.file)?;
        c_text::assigned(&c_text::statement(&source, span.start.line)?.text).map(str::to_owned)
    }

    /// The name of the helper or kernel function that an instruction calls.
    fn callee(&self, at: At) -> Option<&'a str> {
        match self.path.instruction(at)?.operation() {
            Operation::Call(Callee::Kernel(name)) => Some(name),
            _ => None,
        }
    }

    /// The first register the kernel's line names: `R3`, or the argument
    /// `arg#2`, `arg2` of a call.
    fn register_named(&self) -> Option<Register> {
        register_in(self.line)
    }
}

/// `R3 …` → 3; `helper arg2` → 2; kernel functions count `arg#0` from zero.
fn register_in(line: &str) -> Option<Register> {
    let mut words = line.split([' ', ',', '(', '\'']);
    words.find_map(|word| {
        let digits = |text: &str| {
            let end = text.bytes().take_while(u8::is_ascii_digit).count();
            text[..end].parse::<Register>().ok().filter(|&number| number <= 11)
        };
        if let Some(rest) = word.strip_prefix("arg#").or_else(|| word.strip_prefix("args#")) {
            return digits(rest).map(|number| number + 1);
        }
        if let Some(rest) = word.strip_prefix("arg") {
            let counted_from_zero = line.contains("trusted arg");
            return digits(rest).map(|number| number + u8::from(counted_from_zero));
        }
        let rest = word.strip_prefix('R')?;
        rest.starts_with(|c: char| c.is_ascii_digit()).then(|| digits(rest)).flatten()
    })
}

/// The number behind `key` in a line: `off=12` for `off=`.
fn number_after(line: &str, key: &str) -> Option<i64> {
    let mut from = 0;
    while let Some(found) = line[from..].find(key) {
        let at = from + found;
        let alone = at == 0
            || !line.as_bytes()[at - 1].is_ascii_alphanumeric() && line.as_bytes()[at - 1] != b'_';
        if alone {
            let rest = &line[at + key.len()..];
            let sign = usize::from(rest.starts_with('-'));
            let end = sign + rest[sign..].bytes().take_while(u8::is_ascii_digit).count();
            return rest[..end].parse().ok();
        }
        from = at + key.len();
    }
    None
}

/// Text that begins with a small letter, unless its first word is a name.
fn lower_first(text: &str) -> String {
    let word = text.split(' ').next().unwrap_or_default();
    let is_word = word.chars().skip(1).all(|c| c.is_ascii_lowercase());
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if is_word && word.len() > 1 => {
            first.to_ascii_lowercase().to_string() + chars.as_str()
        }
        _ => text.to_owned(),
    }
}

/// `1 byte`, `8 bytes`.
fn bytes(count: i64) -> String {
    if count == 1 { "1 byte".to_owned() } else { format!("{count} bytes") }
}

/// `byte 12`, `bytes 12 to 13`: a stretch of memory in words.
fn stretch(offset: i64, size: i64) -> String {
    if size <= 1 {
        format!("byte {offset}")
    } else {
        format!("bytes {offset} to {}", offset.saturating_add(size - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernels_lines_name() {
        assert_eq!(register_in("R3 invalid mem access 'scalar'"), Some(3));
        assert_eq!(
            register_in("invalid access to packet, off=12 size=1, R1(id=0,off=12,r=8)"),
            Some(1)
        );
        assert_eq!(register_in("Possibly NULL pointer passed to helper arg2"), Some(2));
        assert_eq!(register_in("Possibly NULL pointer passed to trusted arg0"), Some(1));
        assert_eq!(register_in("arg#1 expected pointer to ctx"), Some(2));
        assert_eq!(register_in("invalid func unknown#5"), None);
        assert_eq!(number_after("invalid access to packet, off=12 size=1", "size="), Some(1));
        assert_eq!(number_after("R1 off=-8", "off="), Some(-8));
        assert_eq!(number_after("value_size=8 off=8 size=4", "size="), Some(4));
    }

    const REAL: &str = "\
func#0 @0
func#1 @6
0: R1=ctx(id=0,off=0,imm=0) R10=fp0
; void *data = (void *)(long)ctx->data; @ a.bpf.c:12
2: (61) r1 = *(u32 *)(r1 +0)
3: R0_w=inv1 R1_w=pkt(id=0,off=0,r=0,imm=0) R2_w=pkt_end(id=0,off=0,imm=0) R10=fp0
5: (2d) if r3 > r2 goto pc+6          ; R2_w=pkt_end() R3_w=pkt(off=8,r=8)
6: (85) call pc+8
caller:
 frame1: R6_w=ctx(id=0,off=0,imm=0) R10=fp0
callee:
 frame2: R1_w=ctx(id=0,off=0,imm=0) R10=fp0
15: (95) exit

from 5 to 12: frame1: R0=scalar(smin=smin32=0,smax=umax=255,var_off=(0x0; 0xff)) R6=ctx()
12: (71) r2 = *(u8 *)(r1 +12)
";

    const ERRORS: &[&str] = &[
        "invalid access to packet, off=12 size=1, R1(id=1,off=12,r=8)",
        "R0 invalid mem access 'map_value_or_null'",
        "R2 invalid mem access 'scalar'",
        "R2 !read_ok",
        "invalid access to map value, value_size=8 off=-9223372036854775808 size=8",
        "invalid write to stack R1 off=9223372036854775807 size=9223372036854775807",
        "combined stack size of 3 calls is 672. Too large",
        "Unreleased reference id=2 alloc_insn=2",
        "At program exit the register R0 has value (0x5; 0x0) should have been in (0x0; 0x1)",
        "infinite loop detected at insn 4294967295",
        "back-edge from insn 4 to 2",
        "failed to resolve CO-RE relocation <byte_off> [5] struct a.b (0:0 @ offset 0)",
        "R2 type=inv expected=fp, pkt",
        "bpf_spin_unlock is missing",
        "R3 pointer arithmetic on ctx prohibited",
        "The sequence of 8193 jumps is too complex.",
        "unreachable insn 99",
    ];

    fn told(log: &str) -> Diagnostic {
        explain(&Rejection {
            log,
            errno: 13,
            stage: Stage::Verifier,
            libbpf: "",
            program: None,
            object: None,
            section: None,
            kernel: None,
            raw_log: None,
            places: &NoPlaces,
        })
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_strange(text in "\\PC*") {
            told(&text);
        }

        #[test]
        fn no_cut_or_twisted_log_is_too_strange(
            cut in 0..REAL.len(),
            from in 0..REAL.len(),
            byte in "[ -~\n]",
            error in proptest::sample::select(ERRORS),
        ) {
            let mut log = REAL.to_owned();
            log.replace_range(from..=from, &byte);
            let kept = &log[cut.min(log.len())..];
            let diagnostic = told(&format!("{kept}{error}\n"));
            proptest::prop_assert!(diagnostic.code.id().starts_with("E03"));
        }
    }

    #[test]
    fn a_hostile_log_takes_no_time() {
        let started = std::time::Instant::now();
        // Calls that all lead everywhere, and comparisons without an end.
        let mut log = String::new();
        for first in (0..400).step_by(4) {
            log.push_str(&format!("func#{} @{first}\n", first / 4));
        }
        for at in 0..400 {
            for to in (0..400).step_by(40) {
                log.push_str(&format!("{at}: (85) call pc{:+}\n", to - at - 1));
            }
        }
        for at in 400..20_000 {
            log.push_str(&format!("{at}: (2d) if r3 > r2 goto pc+1\n"));
        }
        for error in ERRORS {
            told(&format!("{log}{error}\n"));
        }
        assert!(started.elapsed() < std::time::Duration::from_secs(60));
    }

    #[test]
    fn a_report_of_the_kernels_is_explained_by_the_sentence_before_it() {
        let report = "\
Verification failed: Register Type Safety: Something

Reason:
  R9 expected pointer to ctx, one might say.

At:
  sum @ a.bpf.c:9:2
  Instruction context:
  >>> 1 | (95) exit
  R0=1

Causal path:
  R0=scalar() was made at insn 0

Suggestion:
  Set it on every
  path.

processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
";
        let walk = "0: R1=ctx() R10=fp0\n0: (b7) r1 = 1\n1: (95) exit\n";
        let diagnostic = told(&format!("{walk}R0 !read_ok\n\n{report}"));
        assert_eq!(diagnostic.code, Reason::UninitializedRegister.code());
        let primary = diagnostic.primary.expect("the report has a place");
        assert_eq!((primary.span.file.to_str(), primary.span.start.line), (Some("a.bpf.c"), 9));
        let advice = "the kernel suggests: Set it on every path.";
        assert!(diagnostic.helps.iter().any(|help| help.message == advice));
        // A sentence that no kernel had before: its report is told.
        let diagnostic = told(&format!(
            "{walk}the gears grind\n\n{}",
            report.replace("expected pointer to ctx, ", "")
        ));
        assert_eq!(diagnostic.code, Reason::Unknown.code());
        assert!(diagnostic.message.ends_with("the gears grind"), "{}", diagnostic.message);
        assert!(diagnostic.notes.iter().any(|note| note == "the kernel says: R9 one might say."));
    }
}
