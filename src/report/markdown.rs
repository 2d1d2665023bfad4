//! A page of the documentation, for reading in a terminal: the little of
//! Markdown that our pages use.

use super::{Context, Paint, text};

/// Lines get no longer than this, however wide the terminal is.
const WIDTH: usize = 90;

/// Headings stand out, paragraphs are filled, code is indented, tables and
/// everything unknown stay as they are.
pub fn page(markdown: &str, cx: &Context) -> String {
    let width = cx.width.unwrap_or(WIDTH).clamp(40, WIDTH);
    let mut out = String::new();
    let mut paragraph: Vec<&str> = Vec::new();
    let mut in_code = false;
    let mut lines = markdown.lines().peekable();
    while let Some(line) = lines.next() {
        if line.trim_start().starts_with("```") {
            fill(&mut out, &mut paragraph, width, cx);
            in_code = !in_code;
        } else if in_code {
            out.push_str(format!("    {}", text::escape(line)).trim_end());
            out.push('\n');
        } else if let Some(heading) = heading(line) {
            fill(&mut out, &mut paragraph, width, cx);
            out.push_str(&Paint::Strong.on(&text::escape(heading), cx.color));
            out.push('\n');
        } else if line.trim().is_empty() {
            fill(&mut out, &mut paragraph, width, cx);
            out.push('\n');
        } else if line.starts_with('|') {
            fill(&mut out, &mut paragraph, width, cx);
            out.push_str(&text::escape(line));
            out.push('\n');
        } else {
            if is_item(line) {
                fill(&mut out, &mut paragraph, width, cx);
            }
            paragraph.push(line);
            if lines.peek().is_none() {
                fill(&mut out, &mut paragraph, width, cx);
            }
        }
    }
    fill(&mut out, &mut paragraph, width, cx);
    out
}

fn heading(line: &str) -> Option<&str> {
    let text = line.trim_start_matches('#');
    (text.len() < line.len()).then(|| text.strip_prefix(' ')).flatten()
}

fn is_item(line: &str) -> bool {
    line.trim_start().starts_with("- ")
}

/// Writes a paragraph or an item of a list.
fn fill(out: &mut String, paragraph: &mut Vec<&str>, width: usize, cx: &Context) {
    let Some(first) = paragraph.first() else { return };
    let indent = if is_item(first) { first.len() - first.trim_start().len() } else { 0 };
    let hang = if is_item(first) { indent + 2 } else { 0 };
    let words: Vec<&str> = paragraph.iter().map(|line| line.trim()).collect();
    for (number, line) in text::wrap(&words.join(" "), width - hang).iter().enumerate() {
        let margin = if number == 0 { indent } else { hang };
        out.push_str(&format!("{:margin$}{}\n", "", inline(&text::escape(line), cx)));
    }
    paragraph.clear();
}

/// Code within a line in its own paint; without colours its marks stay.
fn inline(line: &str, cx: &Context) -> String {
    if !cx.color || line.matches('`').count() % 2 == 1 {
        return line.to_owned();
    }
    line.split('`')
        .enumerate()
        .map(|(index, part)| match index % 2 {
            0 => part.to_owned(),
            _ => Paint::Note.on(part, true),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::NoSources;
    use super::*;
    use std::path::Path;

    #[test]
    fn a_page_reads_well() {
        let cx = Context {
            cwd: Path::new("/"),
            sources: &NoSources,
            color: false,
            unicode: true,
            width: Some(40),
            verbose: false,
        };
        let page = page(
            "# E0000 name\n\nA paragraph of words that\nis filled anew, with `code`.\n\n\
             - one item that is longer than the line is wide\n- two\n\n```c\nint\tx;\n\ny;\n```\nEnd.",
            &cx,
        );
        insta::assert_snapshot!(page, @"
        E0000 name

        A paragraph of words that is filled
        anew, with `code`.

        - one item that is longer than the
          line is wide
        - two

            int    x;

            y;
        End.
        ");
    }
}
