//! Which sources are programs: those that define `main`. Looked for in the
//! text, because it must be known before anything is compiled.

/// Whether a C source defines a function `main`, as far as its text tells:
/// the word at the outermost level, in front of a parenthesis, with a body
/// behind it.
pub fn defines_main(text: &str) -> bool {
    let tokens = tokens(text);
    let mut depth = 0_u32;
    for (index, token) in tokens.iter().enumerate() {
        match *token {
            "{" => depth += 1,
            "}" => depth = depth.saturating_sub(1),
            "main" if depth == 0 && tokens.get(index + 1) == Some(&"(") => {
                let mut rest = tokens[index + 1..].iter().copied();
                let mut open = 0_i32;
                let end = rest.find(|token| {
                    open += i32::from(*token == "(") - i32::from(*token == ")");
                    open == 0
                });
                // Behind the parameters comes the body, or, in old C, their
                // types; a declaration ends here.
                if end.is_some() && rest.next().is_some_and(|token| token != ";") {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

/// Words and single characters, without comments, literals and the
/// preprocessor's lines.
fn tokens(text: &str) -> Vec<&str> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    let mut at_line_start = true;
    while let Some(&byte) = bytes.get(at) {
        let rest = &bytes[at..];
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let start = at;
        match byte {
            b'\n' => {
                at_line_start = true;
                at += 1;
                continue;
            }
            b' ' | b'\t' | b'\r' => {
                at += 1;
                continue;
            }
            _ if rest.starts_with(b"//") => {
                at += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
                continue;
            }
            _ if rest.starts_with(b"/*") => {
                let end = rest[2..].windows(2).position(|pair| pair == b"*/");
                at += end.map_or(rest.len(), |end| end + 4);
                continue;
            }
            b'#' if at_line_start => {
                // A backslash at the end continues the line.
                let mut previous = 0;
                at += rest
                    .iter()
                    .position(|&byte| {
                        let ends = byte == b'\n' && previous != b'\\';
                        previous = byte;
                        ends
                    })
                    .unwrap_or(rest.len());
                continue;
            }
            b'"' | b'\'' => {
                let mut escaped = true;
                let end = rest.iter().position(|&other| {
                    let ends = other == byte && !escaped || other == b'\n';
                    escaped = other == b'\\' && !escaped;
                    ends
                });
                at += end.map_or(rest.len(), |end| end + 1);
            }
            _ if is_word(&byte) => {
                at += rest.iter().position(|byte| !is_word(byte)).unwrap_or(rest.len());
                tokens.push(&text[start..at]);
            }
            _ if byte.is_ascii() => {
                at += 1;
                tokens.push(&text[start..at]);
            }
            _ => at += 1,
        }
        at_line_start = false;
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_count_and_nothing_else() {
        for text in [
            "int main(int argc, char **argv)\n{\n}",
            "static int f(void) { return 1; }\nint\nmain (void) { return f(); }",
            "#define X \\\n  {\nint main() {}",
            "int main(argc, argv) int argc; char **argv; {}",
            "char c = '\"'; int main(void) {}",
            "char *s = \"}\\\"\"; int main(void (*f)(int)) {}",
        ] {
            assert!(defines_main(text), "{text}");
        }
        for text in [
            "int main(void);",
            "/* int main(void) {} */ // int main(void) {}",
            "void f(void) { main(1); }",
            "const char *text = \"int main(void) {\";",
            "#define main(x) { x }\n",
            "struct main x;",
            "",
        ] {
            assert!(!defines_main(text), "{text}");
        }
    }
}
