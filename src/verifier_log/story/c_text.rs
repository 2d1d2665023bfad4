//! Just enough C to name a variable and to find the end of a statement.

use std::ops::Range;

/// The variable or expression that a line of C sets: `value` of
/// `__u64 *value = lookup(…);`, `s->next` of `s->next = …`.
pub(super) fn assigned(line: &str) -> Option<&str> {
    let line = line.trim();
    if ["if", "while", "for", "return", "switch", "else", "do", "case"]
        .iter()
        .any(|word| starts_with_word(line, word))
    {
        return None;
    }
    let equals = assignment(line)?;
    let left = line[..equals].trim_end();
    let left =
        left.strip_suffix(['+', '-', '*', '/', '&', '|', '^', '%']).unwrap_or(left).trim_end();
    if left.contains(['(', '"', '{', ';']) {
        return None;
    }
    let is_place = left.contains(['.', '[']) || left.contains("->");
    if is_place {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.[]->".contains(c);
        return (left.chars().all(plain)).then_some(left);
    }
    let start = word_start(left)?;
    let name = &left[start..];
    // `*p = …` sets what p points to, not p; `type *p = …` declares it.
    let before = left[..start].trim_end();
    if before == "*" || name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    Some(name)
}

/// Where the word that ends a text begins; nothing if it has letters beyond
/// ASCII, which are not looked into.
fn word_start(text: &str) -> Option<usize> {
    match text.char_indices().rev().find(|(_, c)| !is_word(*c)) {
        Some((at, c)) => c.is_ascii().then_some(at + 1),
        None => Some(0),
    }
}

/// The pointer through which a line reaches a field: `eth` of
/// `return eth->h_proto;`. Where several are, it is not certain which.
pub(super) fn dereferenced(line: &str) -> Option<&str> {
    let mut pointers = line.match_indices("->").map(|(at, _)| {
        let start = word_start(&line[..at])?;
        Some(&line[start..at])
    });
    let first = pointers.next()?.filter(|name| !name.is_empty())?;
    pointers.all(|name| name == Some(first)).then_some(first)
}

/// The variable or field that stands at a column (counted from 1) of a line,
/// or before the operator there: `ctx->rx_queue_index`, `skb->len`, `hits`.
pub(super) fn expression_at(line: &str, column: u32) -> Option<&str> {
    Some(&line[expression_range(line, column)?])
}

fn expression_range(line: &str, column: u32) -> Option<Range<usize>> {
    let bytes = line.as_bytes();
    let word = |at: usize| bytes.get(at).is_some_and(|&byte| is_word(char::from(byte)));
    let mut at = usize::try_from(column).ok()?.checked_sub(1)?;
    let operator = !word(at);
    if operator {
        // In front of `||` and `&&` stands another condition.
        let joins = ["||", "&&"]
            .iter()
            .any(|joint| line.get(at..).is_some_and(|rest| rest.starts_with(joint)));
        if joins || !bytes.get(at).is_some_and(|byte| b"<>=!&|?+-".contains(byte)) {
            return None;
        }
        at = line.get(..at)?.trim_end().len().checked_sub(1)?;
    }
    let word_from = |at: usize| (0..=at).rev().take_while(|&at| word(at)).last();
    let own = word_from(at)?;
    let mut end = (at..=bytes.len()).find(|&at| !word(at))?;
    let mut start = own;
    loop {
        let before = line.get(..start)?;
        let Some(rest) = before.strip_suffix("->").or_else(|| before.strip_suffix('.')) else {
            break;
        };
        let Some(first) = rest.len().checked_sub(1).and_then(word_from) else { break };
        start = first;
    }
    // What is reached through the word belongs to it, unless the column is
    // that of the member itself.
    if start == own && !operator {
        end += reached(&line[end..]);
    }
    let text = &line[start..end];
    let keyword = matches!(text, "return" | "if" | "while" | "for" | "sizeof" | "volatile" | "asm");
    let is_call = line[end..].trim_start().starts_with('(');
    let is_name = !text.starts_with(|c: char| c.is_ascii_digit());
    (is_name && !keyword && !is_call).then_some(start..end)
}

/// The pointer at a column (counted from 1) of a line, if the line reads
/// something through it: `ctx->task` of `pid = ctx->task->pid` at its `task`.
pub(super) fn followed_at(line: &str, column: u32) -> Option<&str> {
    let range = expression_range(line, column)?;
    line[range.end..].starts_with("->").then_some(&line[range])
}

/// How much of a text reaches on from the word before it: `->next[0].x`.
fn reached(text: &str) -> usize {
    let word = |rest: &str| rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
    let mut end = 0;
    loop {
        let rest = &text[end..];
        let arrow = if rest.starts_with("->") { 2 } else { usize::from(rest.starts_with('.')) };
        let name = word(&rest[arrow..]);
        if arrow > 0 && name > 0 {
            end += arrow + name;
        } else if rest.starts_with('[')
            && let Some(close) = rest.find(']')
            && rest[1..close].bytes().all(|byte| byte.is_ascii_digit())
        {
            end += close + 1;
        } else {
            return end;
        }
    }
}

/// Whether a line sets a variable to just what begins at a column (counted
/// from 1), but for casts: `int x = (int)*p;` at the `*`.
pub(super) fn copies(line: &str, column: u32) -> bool {
    let (Some(equals), Ok(column)) = (assignment(line), usize::try_from(column)) else {
        return false;
    };
    let Some(between) = column.checked_sub(1).and_then(|at| line.get(equals + 1..at)) else {
        return false;
    };
    let mut depth = 0;
    let only_casts = between.chars().all(|c| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => return depth > 0 || c == ' ',
        }
        true
    });
    let behind = line.get(column - 1..).unwrap_or_default();
    // A second operand makes it more than a copy; `->` is no operand.
    let more = [" & ", " | ", " + ", " - ", " * ", " / ", " % ", " << ", " >> ", " ? "];
    only_casts && depth == 0 && !more.iter().any(|operator| behind.contains(operator))
}

/// The variable behind the first of a declaration that is set to just what
/// stands at a column (counted from 1), but for casts: `b` of
/// `int a = 0, b = ctx->len, c;` at `ctx` or its field.
pub(super) fn declared_at(line: &str, column: u32) -> Option<&str> {
    let column = usize::try_from(column).ok()?.checked_sub(1)?;
    let before = line.get(..column)?;
    let mut depth = 0;
    let comma = before.bytes().enumerate().fold(None, |comma, (at, byte)| {
        match byte {
            b'(' | b'{' | b'[' => depth += 1,
            b')' | b'}' | b']' => depth -= 1,
            b',' if depth == 0 => return Some(at),
            _ => {}
        }
        comma
    })?;
    let (name, value) = line.get(comma + 1..)?.split_once('=')?;
    let name = name.trim().trim_start_matches('*').trim_start();
    if name.is_empty() || !name.chars().all(is_word) {
        return None;
    }
    // Casts, then one value and nothing more.
    let mut value = value.split([',', ';']).next()?.trim();
    while let Some(rest) = value.strip_prefix('(') {
        value = rest.split_once(')')?.1.trim_start();
    }
    let is_value = |c: char| is_word(c) || "->.[]*".contains(c);
    (!value.is_empty() && value.chars().all(is_value)).then_some(name)
}

/// Whether a line goes through a variable to what it points to.
pub(super) fn follows(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let alone = !line[..at].ends_with(is_word);
        let behind = &line[at + name.len()..];
        alone
            && !behind.starts_with(is_word)
            && (behind.starts_with("->") || behind.starts_with('[') || line[..at].ends_with('*'))
    })
}

/// What a function returns early elsewhere: the first plain constant behind
/// one of its `return`s from a line (counted from 1) on.
pub(super) fn usual_return(source: &str, line: u32) -> Option<&str> {
    let first = usize::try_from(line).ok()?;
    source.lines().skip(first).take_while(|line| !line.starts_with('}')).find_map(|line| {
        let value = line.trim().strip_prefix("return ")?.strip_suffix(';')?.trim();
        let is_number = value.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit());
        let is_constant = value.starts_with(|c: char| c.is_ascii_uppercase())
            && value.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        (is_number || is_constant).then_some(value)
    })
}

/// Where the `=` of an assignment stands.
fn assignment(line: &str) -> Option<usize> {
    let bytes = line.as_bytes();
    let mut depth = 0u32;
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b'"' | b'\'' => return None,
            b'=' if depth == 0 => {
                let before = at.checked_sub(1).map(|at| bytes[at]);
                let after = bytes.get(at + 1);
                let compares =
                    matches!(before, Some(b'=' | b'!' | b'<' | b'>')) || after == Some(&b'=');
                return (!compares).then_some(at);
            }
            _ => {}
        }
    }
    None
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn starts_with_word(line: &str, word: &str) -> bool {
    line.strip_prefix(word).is_some_and(|rest| !rest.starts_with(is_word))
}

/// A statement in a source file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    /// Its text, lines joined by blanks.
    pub text: String,
    /// The blanks before its first line.
    pub indent: String,
    /// The line its `;` stands on, counted from 1.
    pub last_line: u32,
    /// The column behind its `;`, counted from 1.
    pub end_column: u32,
    /// Whether it is the body of an `if` or a loop without braces, where
    /// nothing can be put behind it.
    pub is_body: bool,
}

/// The statement that a line (counted from 1) is part of.
pub(super) fn statement(source: &str, line: u32) -> Option<Statement> {
    let lines: Vec<&str> = source.lines().collect();
    let at = usize::try_from(line).ok()?.checked_sub(1)?;
    lines.get(at)?;
    let mut first = at;
    while first > 0 && at - first < 8 && !ends_statement(lines[first - 1]) {
        first -= 1;
    }
    let mut text = String::new();
    let mut depth = 0i32;
    for (number, line) in lines.iter().enumerate().skip(first).take(24) {
        let code = without_comment(line);
        for (column, byte) in code.bytes().enumerate() {
            match byte {
                b'(' | b'[' => depth += 1,
                b')' | b']' => depth -= 1,
                b'{' | b'}' => return None,
                b';' if depth == 0 && number >= at => {
                    text.push_str(code[..=column].trim());
                    let indent =
                        &lines[first][..lines[first].len() - lines[first].trim_start().len()];
                    let before =
                        first.checked_sub(1).map_or("", |at| without_comment(lines[at]).trim_end());
                    return Some(Statement {
                        text,
                        indent: indent.to_owned(),
                        last_line: u32::try_from(number + 1).ok()?,
                        end_column: u32::try_from(column + 2).ok()?,
                        is_body: before.ends_with(')') || before.ends_with("else"),
                    });
                }
                _ => {}
            }
        }
        text.push_str(code.trim());
        text.push(' ');
    }
    None
}

/// The `SEC(…)` line that stands above a line, not further up than a function
/// is long.
pub(super) fn section_above(source: &str, line: u32) -> Option<u32> {
    let at = usize::try_from(line).ok()?;
    let lines: Vec<&str> = source.lines().take(at).collect();
    let found = lines.iter().rposition(|line| line.trim_start().starts_with("SEC(\""))?;
    // The end of another function in between means that this one has none.
    let ended = lines[found..].contains(&"}");
    (!ended).then(|| u32::try_from(found + 1).ok()).flatten()
}

/// Whether a new statement begins behind a line.
fn ends_statement(line: &str) -> bool {
    let code = without_comment(line).trim();
    code.is_empty()
        || code.ends_with([';', '{', '}', ':', ')'])
        || code.ends_with("*/")
        || code.ends_with("else")
        || code.starts_with('#')
}

/// A line without the comment at its end.
fn without_comment(line: &str) -> &str {
    line.find("//").or_else(|| line.find("/*")).map_or(line, |at| &line[..at])
}

/// One more step of indentation, in the style of what is there.
pub(super) fn deeper(indent: &str) -> String {
    if indent.is_empty() || indent.ends_with('\t') {
        format!("{indent}\t")
    } else {
        let step = if indent.len().is_multiple_of(4) { 4 } else { 2 };
        format!("{indent}{}", " ".repeat(step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_beyond_ascii_are_no_trouble() {
        assert_eq!(assigned("*v\u{fffd}alue = 1;"), None);
        assert_eq!(assigned("__u64 *größe = lookup();"), None);
        assert_eq!(assigned("/* ü */ int n = 1;"), Some("n"));
        assert_eq!(dereferenced("return größe->x;"), None);
        assert_eq!(dereferenced("return ü + n->x;"), Some("n"));
    }

    #[test]
    fn declarations_of_several_variables() {
        let line = "__u32 zero = 0, index = (int)ctx->queue, copy = f(a, b), last = index + 1;";
        let at = |text: &str| u32::try_from(line.find(text).unwrap() + 1).unwrap();
        assert_eq!(declared_at(line, at("ctx")), Some("index"));
        assert_eq!(declared_at(line, at("queue")), Some("index"));
        assert_eq!(declared_at(line, at("0")), None);
        assert_eq!(declared_at(line, at("a, b")), None);
        assert_eq!(declared_at(line, at("index + 1")), None);
        assert_eq!(declared_at("f(x, y = z);", 9), None);
        assert_eq!(declared_at("é", 2), None);
    }

    #[test]
    fn names_of_variables() {
        let cases = [
            ("value = bpf_map_lookup_elem(&counts, &key);", Some("value")),
            ("__u64 *value = bpf_map_lookup_elem(&counts, &key);", Some("value")),
            ("struct event *e=reserve();", Some("e")),
            ("s->next = lookup();", Some("s->next")),
            ("n += 1;", Some("n")),
            ("*value += 1;", None),
            ("if (a == b)", None),
            ("if ((v = lookup()))", None),
            ("return a = b;", None),
            ("iffy = 1;", Some("iffy")),
            ("bpf_printk(\"a = %d\", a);", None),
            ("", None),
        ];
        for (line, name) in cases {
            assert_eq!(assigned(line), name, "{line}");
        }
    }

    #[test]
    fn pointers_that_are_followed() {
        assert_eq!(dereferenced("return eth->h_proto ? 1 : eth->h_dest[0];"), Some("eth"));
        assert_eq!(dereferenced("if (ip->ihl < udp->len)"), None);
        assert_eq!(dereferenced("f()->x"), None);
        assert_eq!(dereferenced("data[0]"), None);
    }

    #[test]
    fn what_stands_at_a_column() {
        let at = |line: &'static str, of: &str| {
            let column = u32::try_from(line.find(of).expect("it is there") + 1).expect("small");
            expression_at(line, column)
        };
        assert_eq!(at("x = (void *)ctx->args[2];", "ctx"), Some("ctx->args[2]"));
        assert_eq!(at("t->slots[ctx->queue]++;", "queue"), Some("ctx->queue"));
        assert_eq!(at("if (!t || index > 16)", "> 16"), Some("index"));
        assert_eq!(at("return f(x);", "f("), None);
        assert_eq!(at("return 1;", "return"), None);
        assert_eq!(at("if (!t || index > 16)", "||"), None);
        assert_eq!(at("*value += 1;", "+="), Some("value"));
        assert_eq!(followed_at("pid = ctx->task->pid;", 12), Some("ctx->task"));
        assert_eq!(followed_at("task = ctx->task;", 13), None);
        assert!(copies("\t__u16 n = *(__u16 *)data;", 12));
        assert!(copies("p = (void *)(long)ctx->data;", 19));
        assert!(!copies("byte = data + *(__u32 *)data;", 15));
        assert!(!copies("n = ctx->queue & 63;", 5));
        let source = "int f(void)\n{\n\tx = g();\n\tif (x)\n\t\treturn XDP_DROP;\n\treturn x;\n}\n";
        assert_eq!(usual_return(source, 3), Some("XDP_DROP"));
        assert_eq!(usual_return("{\n\tx = g();\n\treturn x;\n}\n", 2), None);
    }

    #[test]
    fn a_statement_over_two_lines() {
        let source = "int f(void)\n{\n\tvalue =\n\t\tlookup(&m,\n\t\t       &key); // here\n\t*value += 1;\n}\n";
        let statement = statement(source, 4).expect("there is one");
        assert_eq!(statement.text, "value = lookup(&m, &key);");
        assert_eq!(statement.indent, "\t");
        assert_eq!((statement.last_line, statement.end_column), (5, 16));
        assert!(!statement.is_body);
    }

    #[test]
    fn the_section_of_a_function() {
        let source =
            "SEC(\"xdp\")\nint a(void)\n{\n\treturn 0;\n}\nint b(void)\n{\n\treturn 1;\n}\n";
        assert_eq!(section_above(source, 4), Some(1));
        assert_eq!(section_above(source, 8), None);
    }

    #[test]
    fn a_body_without_braces() {
        let source = "{\n\tif (x)\n\t\tvalue = lookup();\n}";
        assert!(statement(source, 3).expect("there is one").is_body);
    }
}
