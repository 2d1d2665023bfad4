//! Completion of section names, and of what programs attach to.

use super::about::about_section;
use super::text::Text;
use crate::bpf::{KernelVersion, SectionDef};
use crate::ops::editing::KernelNames;
use lsp_types::{
    CompletionItem, CompletionItemKind, CompletionTextEdit, Documentation, MarkupContent,
    MarkupKind, Position, Range, TextEdit,
};

/// More targets than this are not offered at once.
const MOST_TARGETS: usize = 200;

/// What may stand in `SEC("…")`, if that is where the position is, and
/// whether there is more than that.
pub fn complete(
    text: &Text,
    at: Position,
    oldest: Option<KernelVersion>,
    names: Option<&KernelNames>,
) -> (Vec<CompletionItem>, bool) {
    let Some((typed, range, before)) = text.section_at(at) else { return (Vec::new(), false) };
    let typed = &typed[..before.min(typed.len())];
    let (mut items, more) = match names {
        Some(names) => targets(typed, range, names),
        None => (Vec::new(), false),
    };
    items.extend(sections(typed, range, oldest));
    (items, more)
}

/// Behind the slash stands what only a kernel knows.
fn targets(typed: &str, range: Range, names: &KernelNames) -> (Vec<CompletionItem>, bool) {
    let Some((section, target)) = typed.rsplit_once('/') else { return (Vec::new(), false) };
    let program = section.trim_start_matches('?');
    let known: &[String] = match program.trim_end_matches(".s") {
        "fentry" | "fexit" | "fmod_ret" | "kprobe" | "kretprobe" | "kprobe.multi"
        | "kretprobe.multi" => &names.functions,
        "tp_btf" | "raw_tp" | "raw_tracepoint" | "raw_tp.w" | "raw_tracepoint.w" => {
            &names.tracepoints
        }
        "lsm" => &names.hooks,
        _ => &[],
    };
    let first = known.partition_point(|name| name.as_str() < target);
    let mut fitting = known[first..].iter().take_while(|name| name.starts_with(target));
    let items = fitting.by_ref().take(MOST_TARGETS).map(|name| {
        let whole = format!("{section}/{name}");
        CompletionItem {
            label: whole.clone(),
            kind: Some(CompletionItemKind::FUNCTION),
            detail: Some(format!("in {}", names.kernel)),
            filter_text: Some(whole.clone()),
            text_edit: Some(CompletionTextEdit::Edit(TextEdit { range, new_text: whole })),
            ..CompletionItem::default()
        }
    });
    let items = items.collect();
    (items, fitting.next().is_some())
}

/// The names of sections.
fn sections(typed: &str, range: Range, oldest: Option<KernelVersion>) -> Vec<CompletionItem> {
    let unasked = if typed.starts_with('?') { "?" } else { "" };
    SectionDef::all()
        .iter()
        .map(|def| {
            let slash = if def.takes_target { "/" } else { "" };
            let name = format!("{unasked}{}{slash}", def.name);
            CompletionItem {
                label: name.clone(),
                kind: Some(CompletionItemKind::ENUM_MEMBER),
                detail: Some(def.program_type.to_string()),
                documentation: about_section(def.name, oldest).map(|value| {
                    let kind = MarkupKind::Markdown;
                    Documentation::MarkupContent(MarkupContent { kind, value })
                }),
                filter_text: Some(name.clone()),
                text_edit: Some(CompletionTextEdit::Edit(TextEdit { range, new_text: name })),
                ..CompletionItem::default()
            }
        })
        .filter(|item| item.label.starts_with(typed) || !typed.contains('/'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_within_sec() {
        let labels = |line: &str, character| -> Vec<String> {
            let text = Text::new(line.to_owned());
            let names = KernelNames {
                functions: vec!["vfs_open".to_owned(), "vfs_read".to_owned()],
                tracepoints: vec!["sched_switch".to_owned()],
                ..KernelNames::default()
            };
            let (items, more) = complete(&text, Position::new(0, character), None, Some(&names));
            assert!(!more);
            items.into_iter().map(|item| item.label).collect()
        };
        let all = labels("SEC(\"\")", 5);
        for name in ["xdp", "kprobe/", "tp_btf/", "cgroup/connect4", "struct_ops/"] {
            assert!(all.contains(&name.to_owned()), "{name}");
        }
        assert!(labels("SEC(\"?\")", 6).contains(&"?xdp".to_owned()));
        assert!(labels("SEC(\"cgroup/\")", 12).iter().all(|name| name.starts_with("cgroup/")));
        assert_eq!(labels("SEC(\"fentry/vfs_o", 17)[0], "fentry/vfs_open");
        assert_eq!(labels("SEC(\"?fentry.s/vfs_r", 20)[0], "?fentry.s/vfs_read");
        assert_eq!(labels("SEC(\"tp_btf/", 12)[0], "tp_btf/sched_switch");
        assert!(!labels("SEC(\"xdp/", 9).contains(&"xdp/vfs_open".to_owned()));
        assert!(labels("int x;", 5).is_empty());
    }
}
