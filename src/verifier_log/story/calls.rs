//! Calls of helpers and kernel functions, and accesses of the context.

use super::super::disasm::Operation;
use super::values::kind_in_words;
use super::{Draft, Story, bytes, number_after};
use crate::diagnostics::{Label, Span};
use crate::verdict::Reason;

impl Story<'_> {
    /// A helper that this program must not call.
    pub(super) fn call(&self, reason: Reason) -> Draft {
        let called = self.last.and_then(|at| self.callee(at));
        let Some(name) = called.or_else(|| name_in(self.line)) else { return self.plain(reason) };
        let message = match reason {
            Reason::GplOnlyHelper => {
                format!("{name}() may be called only by programs with a GPL-compatible license")
            }
            Reason::UnknownHelper if name == "unknown" => {
                let number = self.line.rsplit_once('#').map_or("?", |(_, number)| number);
                format!("this kernel has no helper number {number}")
            }
            Reason::UnknownHelper => format!("this kernel has no helper {name}()"),
            Reason::HelperNotAllowed => {
                format!("{name}() cannot be called by a program of this type")
            }
            Reason::WrongMapType => format!("{name}() does not work on a map of this type"),
            Reason::SleepableMisuse => format!("{name}() may sleep, and this program must not"),
            _ => return self.plain(reason),
        };
        let mut draft = Draft::new(reason, message);
        draft.primary = self.maybe_label(self.last, "called here");
        draft
    }

    /// An argument that is not what the function takes.
    pub(super) fn wrong_argument(&self, reason: Reason) -> Draft {
        let Some(last) = self.last else { return self.plain(reason) };
        let (Some(callee), Some(register)) = (self.callee(last), self.register_named()) else {
            return self.plain(reason);
        };
        let given = self
            .line
            .split_once("type=")
            .and_then(|(_, rest)| rest.split(' ').next())
            .map(kind_in_words);
        let wanted = self.line.split_once("expected=").map(|(_, rest)| {
            let mut kinds: Vec<String> =
                rest.split(", ").map(|kind| kind_in_words(kind.trim())).collect();
            kinds.dedup();
            kinds.truncate(3);
            kinds.join(" or ")
        });
        let message = match (given, wanted) {
            (Some(given), Some(wanted)) => {
                format!("argument {register} of {callee}() is {given}; it must be {wanted}")
            }
            _ => format!("argument {register} of {callee}() is not what it must be"),
        };
        let mut draft = Draft::new(reason, message);
        draft.primary = self.label(last, "called here");
        if let Some(origin) = self.path.origin(last, register, true) {
            draft.labels.extend(self.label(origin.at, self.made_here(&origin)));
        }
        draft.note(format!("the verifier says: {}", self.line))
    }

    /// The context is accessed where nothing may be accessed.
    pub(super) fn invalid_context_access(&self) -> Draft {
        let reason = Reason::InvalidContextAccess;
        let (Some(offset), Some(size)) =
            (number_after(self.line, "off="), number_after(self.line, "size="))
        else {
            return self.plain(reason);
        };
        let writes =
            self.last.and_then(|at| self.path.instruction(at)).is_some_and(|instruction| {
                matches!(
                    instruction.operation(),
                    Operation::Store { .. } | Operation::Atomic { .. }
                )
            });
        let action = if writes { "written" } else { "read" };
        let mut draft = Draft::new(
            reason,
            format!(
                "{} at offset {offset} of the context cannot be {action} by a program of this type",
                bytes(size)
            ),
        );
        draft.primary =
            self.maybe_label(self.last, if writes { "written here" } else { "read here" });
        draft
    }

    /// What the program asks for is not in this kernel's types.
    pub(super) fn core_relocation(&self) -> Draft {
        let reason = Reason::CoreRelocation;
        let mut draft = Draft::new(reason, reason.code().summary());
        let relocation = self
            .log
            .error
            .iter()
            .find_map(|line| line.trim().strip_prefix("failed to resolve CO-RE relocation "));
        if let Some(relocation) = relocation {
            draft.message =
                format!("this kernel does not have what the program asks for: {relocation}");
        }
        let index = self.log.error.iter().find_map(|line| super::flow::instruction_in(line));
        let place = index.and_then(|index| {
            // clang gives the offset's instruction the line of its
            // neighbour: the access itself names the field.
            let field =
                relocation.and_then(|text| text.split(" (").next()?.rsplit(['.', ' ']).next());
            let names_it = |span: &Span| {
                field
                    .is_some_and(|field| span.line_text.as_ref().is_some_and(|l| l.contains(field)))
            };
            let near = (index..index.saturating_add(16)).filter_map(|index| self.place_of(index));
            near.into_iter().find(names_it).or_else(|| self.place_of(index))
        });
        draft.instruction = index;
        draft.primary = place.map(|span| Label { span, message: "accessed here".to_owned() });
        draft
    }
}

/// `unknown func bpf_probe_read_user#112` → `bpf_probe_read_user`
fn name_in(line: &str) -> Option<&str> {
    let (before, _) = line.split_once('#')?;
    before.rsplit(' ').next().filter(|name| !name.is_empty())
}
