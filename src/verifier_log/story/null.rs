//! Pointers that may be null.

use super::super::disasm::{Callee, Operand, Operation};
use super::super::path::At;
use super::{Draft, Story, c_text};
use crate::diagnostics::{Edit, Label, Position, Span};
use crate::verdict::Reason;

impl Story<'_> {
    /// A pointer is used that may be null: where it was made, and the check
    /// that is missing.
    pub(super) fn maybe_null(&self) -> Draft {
        let reason = Reason::MapValueMaybeNull;
        let Some(last) = self.last else { return self.plain(reason) };
        let Some(register) = self.register_named() else { return self.plain(reason) };
        let origin = self.path.origin(last, register, true);
        if origin.is_none() && self.path.depth(last) == 0 && (1..=5).contains(&register) {
            return self.argument_may_be_null(last);
        }
        let name = origin.and_then(|origin| self.variable(origin));
        let subject = match &name {
            Some(name) => format!("`{name}`"),
            None => "this pointer".to_owned(),
        };
        let passed_to = self
            .callee(last)
            .filter(|_| self.line.contains("passed to") || self.line.contains("expected="));
        let message = match passed_to {
            Some(callee) => format!("{subject} may be NULL when it is passed to {callee}()"),
            None => format!("{subject} may be NULL here"),
        };
        let mut draft = Draft::new(reason, message);
        draft.primary = self.label(
            last,
            match passed_to {
                Some(_) => "passed on without a check",
                None => "used without a check",
            },
        );
        let Some(origin) = origin else { return draft };
        let made = match origin.operation {
            Operation::Call(Callee::Kernel(callee)) => {
                draft.notes.push(why_null(callee));
                format!("{callee}() may return NULL")
            }
            Operation::Call(Callee::Own(_)) => "this call may return NULL".to_owned(),
            Operation::Load { base, .. } => {
                let section = self.rejection.section.unwrap_or_default();
                if section.starts_with("iter") && self.is_context(origin.at, base) {
                    draft.notes.push(
                        "an iterator calls the program once more at its end, with NULL here"
                            .to_owned(),
                    );
                }
                "the pointer read here may be NULL".to_owned()
            }
            _ => "the pointer comes from here".to_owned(),
        };
        draft.labels.extend(self.label(origin.at, made));
        if let Some(via) = origin.via {
            draft.labels.extend(self.label(via, "this call hands it on"));
        }
        if self.followed(origin).is_some() {
            return draft.help(
                "read it into a variable, check that one and go on with it: what is read again \
                 may be NULL again",
            );
        }
        let set_at = origin.via.unwrap_or(origin.at);
        match name.as_deref().and_then(|name| self.null_check(set_at, name)) {
            Some((help, edit)) => draft.helps.push((help, Some(edit))),
            None => {
                let name = name.as_deref().unwrap_or("pointer");
                draft
                    .helps
                    .push((format!("check it before it is used: `if (!{name}) return 0;`"), None));
            }
        }
        draft
    }

    /// A null pointer is used on the very path where it is known to be null.
    pub(super) fn known_null(&self, at: At, register: u8) -> Draft {
        let origin = self.path.origin(at, register, true);
        let name = origin.and_then(|origin| self.variable(origin));
        let name = name.or_else(|| self.expression(at).filter(|name| !name.contains("->")));
        let subject = name.map_or("this pointer".to_owned(), |name| format!("`{name}`"));
        let mut draft =
            Draft::new(Reason::MapValueMaybeNull, format!("{subject} is NULL on this path"));
        draft.primary = self.label(at, "used although it is NULL");
        // clang writes the constant where the condition made it one.
        let constant = origin.filter(|origin| {
            matches!(origin.operation, Operation::Move { from: Operand::Number(_), .. })
        });
        let branch = self.path.branches_before(at).next().map(|(branch, ..)| branch);
        let Some(condition) = constant.map(|origin| origin.at).or(branch) else {
            return draft.help("NULL was given where an address is needed: pass one");
        };
        draft.labels.extend(self.label(condition, "this leads here only if it is NULL"));
        draft.help("turn the condition around, or leave the function where the pointer is NULL")
    }

    /// A function that is not static is verified on its own, with whatever
    /// arguments its types allow.
    fn argument_may_be_null(&self, last: At) -> Draft {
        let reason = Reason::MapValueMaybeNull;
        let name = self.expression(last).map(|text| {
            let end = text.find(['-', '.', '[']).unwrap_or(text.len());
            text[..end].to_owned()
        });
        let subject = name.as_ref().map_or("this argument".to_owned(), |name| format!("`{name}`"));
        let mut draft = Draft::new(reason, format!("{subject} may be NULL here"));
        draft.primary = self.label(last, "used without a check");
        let name = name.unwrap_or("argument".to_owned());
        draft
            .note("a function that is not `static` is verified on its own, with every argument it may get: its pointers may be NULL")
            .help(format!("make the function `static`, or check the pointer first: `if (!{name}) return 0;`"))
    }

    /// The edit that adds a null check behind the statement that sets a
    /// variable.
    fn null_check(&self, at: At, name: &str) -> Option<(String, Edit)> {
        let span = self.place(at)?;
        let source = self.rejection.places.source(&span.file)?;
        // The source must still be what was compiled.
        let now = source.lines().nth(usize::try_from(span.start.line).ok()?.checked_sub(1)?)?;
        if span.line_text.as_deref().is_some_and(|then| then.trim() != now.trim()) {
            return None;
        }
        let statement = c_text::statement(&source, span.start.line)?;
        if statement.is_body || c_text::assigned(&statement.text) != Some(name) {
            return None;
        }
        let end = Position { line: statement.last_line, column: statement.end_column };
        let place = Span { file: span.file, start: end, end: Some(end), line_text: None };
        let inner = c_text::deeper(&statement.indent);
        let value = c_text::usual_return(&source, statement.last_line).unwrap_or("0");
        let replacement = format!("\n{}if (!{name})\n{inner}return {value};", statement.indent);
        let help = format!("check it right after it is set: `if (!{name}) return {value};`");
        Some((help, Edit { span: place, replacement }))
    }

    /// A label on a place that may not be there.
    pub(super) fn maybe_label(&self, at: Option<At>, message: &str) -> Option<Label> {
        self.label(at?, message)
    }
}

/// When a function returns null.
fn why_null(callee: &str) -> String {
    let when = match callee {
        "bpf_map_lookup_elem" => {
            "when the key is not in the map; of an array, when the index is too large"
        }
        "bpf_map_lookup_percpu_elem" => "when the key is not in the map or there is no such CPU",
        "bpf_ringbuf_reserve" => "when the ring buffer is full",
        name if name.contains("storage_get") => {
            "when there is no storage yet and BPF_LOCAL_STORAGE_GET_F_CREATE is not given, or memory is short"
        }
        name if name.contains("lookup") => "when nothing is found",
        "bpf_get_current_task_btf" => "never in practice, but its type allows it",
        name if name.starts_with("bpf_task_from_") => "when there is no such task",
        _ => "when there is nothing to return",
    };
    format!("{callee}() returns NULL {when}")
}
