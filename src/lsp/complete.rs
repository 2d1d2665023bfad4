//! Completion of section names.

use super::about::about_section;
use super::text::Text;
use crate::bpf::{KernelVersion, SectionDef};
use lsp_types::{
    CompletionItem, CompletionItemKind, CompletionTextEdit, Documentation, MarkupContent,
    MarkupKind, Position, TextEdit,
};

/// The names that may stand in `SEC("…")`, if that is where the position is.
pub fn complete(text: &Text, at: Position, oldest: Option<KernelVersion>) -> Vec<CompletionItem> {
    let Some((typed, range, before)) = text.section_at(at) else { return Vec::new() };
    // Behind the slash stands what only a kernel knows.
    let typed = &typed[..before.min(typed.len())];
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
            let items = complete(&text, Position::new(0, character), None);
            items.into_iter().map(|item| item.label).collect()
        };
        let all = labels("SEC(\"\")", 5);
        for name in ["xdp", "kprobe/", "tp_btf/", "cgroup/connect4", "struct_ops/"] {
            assert!(all.contains(&name.to_owned()), "{name}");
        }
        assert!(labels("SEC(\"?\")", 6).contains(&"?xdp".to_owned()));
        assert!(labels("SEC(\"cgroup/\")", 12).iter().all(|name| name.starts_with("cgroup/")));
        assert!(labels("int x;", 5).is_empty());
    }
}
