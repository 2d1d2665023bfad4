//! Things used in a way they are not made for: each cause in a sentence of
//! its own, with where the thing comes from where the path tells.

use super::values::kind_in_words;
use super::{At, Draft, Story, bytes, number_after};
use crate::diagnostics::{Label, Span};
use crate::verdict::Reason;

/// A sentence for a line of the kernel's that needs no path to be understood.
struct Phrase {
    /// What the line contains.
    said: &'static str,
    /// The sentence; `{section}` is the kind of the program, `{callee}` the
    /// function that is called, `{first}` the line's first word.
    message: &'static str,
    /// What stands at the place.
    label: &'static str,
    /// What to do; where it is empty, what always helps against the reason.
    help: &'static str,
}

const PHRASES: &[Phrase] = &[
    Phrase {
        said: "store to referenced kptr disallowed",
        message: "a field with `__kptr` cannot be set like other fields: the reference in it would be lost",
        label: "stored here",
        help: "exchange it, `old = bpf_kptr_xchg(&field, new)`, and release `old` if it is not NULL",
    },
    Phrase {
        said: "callback function not static",
        message: "the callback that is passed here is not `static`",
        label: "passed here",
        help: "declare the callback `static`",
    },
    Phrase {
        said: "cannot be accessed directly by load/store",
        message: "a `struct {first}` in a map value cannot be read or written like other fields",
        label: "accessed here",
        help: "pass its address to the functions that are made for it; leave the field out when the rest is copied or cleared",
    },
    Phrase {
        said: "tail_call is only allowed in functions that return 'int'",
        message: "a tail call stands in a function that does not return `int`",
        label: "called here",
        help: "make the function return `int`, or let clang inline it (`static __always_inline`)",
    },
    Phrase {
        said: "BPF_LD_[ABS|IND] instructions not allowed",
        message: "load_byte(), load_half() and load_word() cannot be used by {section}",
        label: "read here",
        help: "",
    },
    Phrase {
        said: "progs cannot use bpf_spin_lock yet",
        message: "{section} cannot use a map with a `struct bpf_spin_lock` in its values",
        label: "",
        help: "count with `__sync_fetch_and_add()`, or in a per-CPU map, without the lock",
    },
    Phrase {
        said: "Invalid format string",
        message: "the format string is not one that {callee}() takes",
        label: "called here",
        help: "",
    },
    Phrase {
        said: "expected pointer to allocated object",
        message: "what {callee}() gets is not an object that the program owns",
        label: "called here",
        help: "pass an object of bpf_obj_new(), or one that was taken out of a list or tree; what was added to one belongs to it",
    },
    Phrase {
        said: "cannot call exception cb directly",
        message: "the function that handles exceptions cannot be called like others",
        label: "",
        help: "throw instead: `bpf_throw(cookie);`",
    },
    Phrase {
        said: "total number of maps per program has reached",
        message: "the program uses more than 64 maps",
        label: "",
        help: "keep several values in one map, or the maps in a map of maps",
    },
    Phrase {
        said: "must have a GPL compatible license",
        message: "{section} must have a GPL-compatible license",
        label: "",
        help: "",
    },
];

impl Story<'_> {
    /// The phrase for the kernel's line, if there is one.
    pub(super) fn phrase(&self, reason: Reason) -> Option<Draft> {
        let phrase = PHRASES.iter().find(|phrase| self.line.contains(phrase.said))?;
        let callee = self.last.and_then(|at| self.callee(at));
        if phrase.message.contains("{callee}") && callee.is_none() {
            return None;
        }
        let message = phrase
            .message
            .replace("{section}", &self.section_words())
            .replace("{callee}", callee.unwrap_or_default())
            .replace("{first}", self.line.split(' ').next().unwrap_or_default());
        let mut draft = Draft::new(reason, message);
        if !phrase.label.is_empty() {
            draft.primary = self.maybe_label(self.last, phrase.label);
        }
        if !phrase.help.is_empty() {
            draft = draft.help(phrase.help);
        }
        Some(draft.quoting(self.line))
    }

    /// Memory is accessed at an address that is no multiple of the size.
    pub(super) fn misaligned(&self) -> Draft {
        let reason = Reason::MisalignedAccess;
        // `misaligned packet access off 2+0+1+13 size 4`
        let size = self.line.rsplit_once("size ").and_then(|(_, size)| size.trim().parse().ok());
        let (Some(last), Some(size)) = (self.last, size) else { return self.plain(reason) };
        let what = if self.line.contains("stack") { " of the stack" } else { "" };
        let message = format!(
            "{}{what} are accessed at once, at an address that is no multiple of {size}",
            bytes(size)
        );
        let mut draft = Draft::new(reason, message);
        draft.primary = self.label(last, "accessed here");
        draft.quoting(self.line)
    }

    /// An atomic operation on memory that allows none.
    pub(super) fn atomic(&self) -> Draft {
        let reason = Reason::AtomicMisuse;
        let kind = self.line.strip_suffix(" is not allowed");
        let kind = kind.filter(|line| line.contains("stores into"));
        let (Some(last), Some(kind)) = (self.last, kind.and_then(|line| line.rsplit(' ').next()))
        else {
            return self.plain(reason);
        };
        let memory = match kind {
            "pkt" => "the packet".to_owned(),
            "ctx" => "the context".to_owned(),
            "sock" | "sock_common" | "tcp_sock" => "a socket".to_owned(),
            "flow_keys" => "the flow keys".to_owned(),
            kind => kind_in_words(kind),
        };
        let message = format!("an atomic operation cannot change {memory}");
        let mut draft = Draft::new(reason, message);
        draft.primary = self.label(last, "changed here");
        self.tell_origin(&mut draft, last);
        draft
            .quoting(self.line)
            .help("do it without an atomic operation; those work on values of maps and on globals")
    }

    /// Something is released that holds no reference.
    pub(super) fn invalid_release(&self) -> Draft {
        let reason = Reason::InvalidRelease;
        let Some(last) = self.last else { return self.plain(reason) };
        let Some(callee) = self.callee(last) else { return self.plain(reason) };
        let register = 1;
        let origin = self.path.origin(last, register, true);
        let subject = match origin {
            Some(_) => self.name_of(last, register),
            None => "what is passed".to_owned(),
        };
        let message = format!("{subject} holds no reference that {callee}() could release");
        let mut draft = Draft::new(reason, message);
        draft.primary = self.label(last, "released here");
        if let Some(origin) = origin {
            let made = self.made_here(&origin);
            if made.contains("context") {
                draft = draft.help(
                    "leave it alone: what the context points to belongs to the kernel; release what a lookup returned",
                );
            }
            draft.labels.extend(self.label(origin.at, made));
        }
        draft.quoting(self.line)
    }

    /// An iterator is not as it must be.
    pub(super) fn iterator(&self) -> Draft {
        let reason = Reason::IteratorMisuse;
        let expected = self.line.contains("expected an initialized iter");
        let callee = self.last.and_then(|last| self.callee(last));
        let (Some(last), Some(callee), true) = (self.last, callee, expected) else {
            return self.plain(reason);
        };
        let family = callee.rsplit_once('_').map_or(callee, |(family, _)| family);
        let message = format!("{callee}() gets an iterator that {family}_new() has not made");
        let mut draft = Draft::new(reason, message);
        draft.primary = self.label(last, "called here");
        draft.quoting(self.line).help(format!(
            "call {family}_new() first, on every path that leads here, and {family}_destroy() at the end"
        ))
    }

    /// A kernel function that is not for this program.
    pub(super) fn kernel_function(&self) -> Draft {
        let reason = Reason::KfuncNotAllowed;
        let name = self.line.strip_prefix("calling kernel function ");
        let Some(name) = name.and_then(|rest| rest.strip_suffix(" is not allowed")) else {
            return self.plain(reason);
        };
        let message = format!("{name}() cannot be called by {}", self.section_words());
        let mut draft = Draft::new(reason, message);
        draft.primary = self.maybe_label(self.last, "called here");
        draft.quoting(self.line).help(
            "the kernel offers each of its functions to certain types of programs; its documentation names them",
        )
    }

    /// A jump that leaves the program.
    pub(super) fn control_flow(&self) -> Draft {
        let reason = Reason::ControlFlow;
        let Some((from, to)) = self
            .line
            .strip_prefix("jump out of range from insn ")
            .and_then(|rest| rest.split_once(" to "))
        else {
            return self.plain(reason);
        };
        let message = format!("a jump leads out of the program, to its instruction {to}");
        let mut draft = Draft::new(reason, message);
        draft.instruction = from.parse().ok();
        let place = draft.instruction.and_then(|index| self.place_of(index));
        draft.primary = place.map(|span| Label { span, message: "jumps from here".to_owned() });
        draft
            .quoting(self.line)
            .help("jump to a label: `asm goto(\"if r1 == 0 goto %l[out]\" : : : : out);`")
    }

    /// An instruction that the kernel does not know.
    pub(super) fn unknown_instruction(&self) -> Draft {
        let reason = Reason::InvalidInstruction;
        match self.line.strip_prefix("unknown opcode ") {
            Some(code) => {
                Draft::new(reason, format!("the kernel knows no instruction with opcode 0x{code}"))
                    .quoting(self.line)
            }
            None => self.plain(reason),
        }
    }

    /// A function of the program that is verified on its own and does not fit
    /// its callers, or cannot be verified so.
    pub(super) fn own_function(&self) -> Draft {
        let reason = Reason::SubprogramArgument;
        const OWN: &str = "a function that is not `static` is verified on its own, from the types of its arguments";
        let called =
            self.line.to_ascii_lowercase().contains("caller passes invalid args into func");
        if called {
            let number = number_after(self.line, "func#");
            let name = self.line.split('\'').nth(1).map(str::to_owned);
            let name = name.or_else(|| self.function_called()).map(|name| format!("{name}()"));
            let name = name.as_deref().unwrap_or("the function");
            let mut draft = Draft::new(reason, format!("what is passed does not fit {name}"));
            draft.primary = self.maybe_label(self.last, "called here");
            let declared = number.and_then(|number| self.function_place(number));
            draft.labels.extend(
                declared.map(|span| Label {
                    span,
                    message: "verified on its own, from here".to_owned(),
                }),
            );
            return draft
                .note(format!("{OWN}: a pointer to the context must be the context itself, another one must have room for all of its type"))
                .quoting(self.line)
                .help("make the function `static`, so that it is verified with what it gets here; or pass what its types say");
        }
        // `Global function total() doesn't return scalar. Only those are supported.`
        if let Some((name, rest)) =
            self.line.strip_prefix("Global function ").and_then(|rest| rest.split_once(' '))
            && rest.starts_with("doesn't return scalar")
        {
            // Later kernels come to it at a call, whose number they tell next.
            let called = self.log.error.iter().find_map(|line| number_after(line, "func#"));
            let number = called.or_else(|| self.validated().map(|(_, function)| function));
            let place = number.and_then(|number| self.function_place(number));
            let mut draft = Draft::new(reason, format!("{name} does not return a number"));
            draft.primary =
                place.map(|span| Label { span, message: "in this function".to_owned() });
            return draft
                .note("a function that is not `static` is verified on its own, and then has to return one (Linux 7.2 takes `void`, too)")
                .quoting(self.line)
                .help("make the function `static`, or return an `int`");
        }
        // `arg#0 type is not a struct`, `Arg#0 type PTR in total() is not
        // supported yet.`
        let argument = self.line.strip_prefix("arg#").or(self.line.strip_prefix("Arg#"));
        let Some((number, what)) = argument.and_then(|rest| rest.split_once(' ')) else {
            return self.plain(reason);
        };
        let Ok(number) = number.parse::<u32>() else { return self.plain(reason) };
        let validated = self.validated();
        let name =
            validated.map_or("a global function".to_owned(), |(name, _)| format!("{name}()"));
        let message = format!(
            "argument {} of {name} is of a type that this kernel does not take",
            number + 1
        );
        let mut draft = Draft::new(reason, message);
        let place = validated.and_then(|(_, function)| self.function_place(function));
        draft.primary = place.map(|span| Label { span, message: "in this function".to_owned() });
        let only_context =
            what.contains("is not a struct") || what.ends_with("is not supported yet.");
        draft = draft.note(format!(
            "{OWN}{}",
            if only_context {
                "; kernels before 5.12 take numbers and the context only"
            } else {
                ""
            }
        ));
        draft
            .quoting(self.line)
            .help("make the function `static`; or pass numbers, or the context itself")
    }

    /// A member of a kernel structure that programs cannot implement.
    pub(super) fn struct_ops_member(&self) -> Draft {
        let reason = Reason::StructOpsMember;
        // `attach to unsupported member get_info of struct tcp_congestion_ops`
        let rest = self.line.strip_prefix("attach to unsupported member ");
        let Some((member, structure)) = rest.and_then(|rest| rest.split_once(" of struct ")) else {
            return self.plain(reason);
        };
        let message = format!("no program may implement `{member}` of `struct {structure}`");
        Draft::new(reason, message)
            .quoting(self.line)
            .help("leave the member out; the structure's subsystem says which ones programs may implement")
    }

    /// A program that does not fit what it replaces or traces.
    pub(super) fn extension(&self) -> Draft {
        let reason = Reason::ExtensionMismatch;
        // `better() has 1 args while choose() has 2 args`
        let parts = || {
            let (own, other) = self.line.strip_suffix(" args")?.split_once(" args while ")?;
            Some((own.split_once(" has ")?, other.split_once(" has ")?))
        };
        let Some(((own, count), (other, wanted))) = parts() else { return self.plain(reason) };
        let arguments = |count: &str| match count {
            "1" => "1 argument".to_owned(),
            count => format!("{count} arguments"),
        };
        let message = format!(
            "{own} has {}, and {other}, which it is to replace, has {}",
            arguments(count),
            arguments(wanted)
        );
        Draft::new(reason, message)
            .quoting(self.line)
            .help(format!("give {own} the arguments and the result of {other}"))
    }

    /// The function that the log says was being verified: its name and
    /// number.
    fn validated(&self) -> Option<(&str, i64)> {
        // `Validating sum() func#1...`
        let (_, rest) = self.log.text[..self.log.end].rsplit_once("Validating ")?;
        let (name, rest) = rest.split_once("() func#")?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        Some((name, rest[..digits].parse().ok()?))
    }

    /// Where a function of the program begins, by its number in the log.
    fn function_place(&self, number: i64) -> Option<Span> {
        let first = self.log.functions.get(usize::try_from(number).ok()?)?;
        self.place_of(*first)
    }

    /// The name of the function that the C line calls at the last
    /// instruction's column.
    fn function_called(&self) -> Option<String> {
        let index = self.path.instruction(self.last?)?.index;
        let span = self.rejection.places.span(index)?;
        let line = span.line_text?;
        let rest = line.get(usize::try_from(span.start.column).ok()?.checked_sub(1)?..)?;
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))?;
        (end > 0 && rest[end..].starts_with('(')).then(|| rest[..end].to_owned())
    }

    /// A tail call where there must be none.
    pub(super) fn tail_call(&self) -> Draft {
        let reason = Reason::TailCallMisuse;
        let mut draft = self.phrase(reason).unwrap_or_else(|| self.plain(reason));
        if draft.primary.is_none() && self.last.is_none() {
            // The kernel does not say which. Functions stand behind the program,
            // whose own calls are good.
            draft.instruction = self.rejection.places.helper_call("bpf_tail_call");
            let place = draft.instruction.and_then(|index| self.place_of(index));
            draft.primary = place.map(|span| Label { span, message: "called here".to_owned() });
        }
        draft
    }

    /// Says where the pointer that an instruction goes through comes from.
    fn tell_origin(&self, draft: &mut Draft, at: At) {
        if let Some(register) = self.accessed(at)
            && let Some(origin) = self.path.origin(at, register, true)
        {
            draft.labels.extend(self.label(origin.at, self.made_here(&origin)));
        }
    }
}
