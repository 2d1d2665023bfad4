//! Just enough C to name a variable and to find the end of a statement.

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
    let start = left.rfind(|c: char| !is_word(c)).map_or(0, |at| at + 1);
    let name = &left[start..];
    // `*p = …` sets what p points to, not p; `type *p = …` declares it.
    let before = left[..start].trim_end();
    if before == "*" || name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    Some(name)
}

/// The pointer through which a line reaches a field: `eth` of
/// `return eth->h_proto;`. Where several are, it is not certain which.
pub(super) fn dereferenced(line: &str) -> Option<&str> {
    let mut pointers = line.match_indices("->").map(|(at, _)| {
        let start = line[..at].rfind(|c: char| !is_word(c)).map_or(0, |at| at + 1);
        &line[start..at]
    });
    let first = pointers.next().filter(|name| !name.is_empty())?;
    pointers.all(|name| name == first).then_some(first)
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
