//! Which sources are programs: those that define `main`. Looked for in the
//! text, because it must be known before anything is compiled.

/// Whether a C source defines a function `main`, as far as its text tells:
/// the word at the outermost level, in front of a parenthesis, with a body
/// behind it.
pub fn defines_main(text: &[u8]) -> bool {
    let mut tokens = Tokens { rest: text, at_line_start: true };
    let mut depth = 0_u32;
    while let Some(token) = tokens.next() {
        match token {
            b"{" => depth += 1,
            b"}" => depth = depth.saturating_sub(1),
            b"main" if depth == 0 && tokens.clone().next() == Some(b"(") => {
                let mut rest = tokens.clone();
                let mut open = 0_i32;
                let end = rest.find(|token| {
                    open += i32::from(*token == b"(") - i32::from(*token == b")");
                    open == 0
                });
                // Behind the parameters comes the body, or, in old C, their
                // types; a declaration ends here.
                if end.is_some() && rest.next().is_some_and(|token| token != b";") {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

/// Words and single characters, without comments, literals, the
/// preprocessor's lines and what is beyond ASCII.
#[derive(Clone)]
struct Tokens<'t> {
    rest: &'t [u8],
    at_line_start: bool,
}

impl<'t> Iterator for Tokens<'t> {
    type Item = &'t [u8];

    fn next(&mut self) -> Option<&'t [u8]> {
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        loop {
            let rest = self.rest;
            let byte = *rest.first()?;
            let (length, is_token) = match byte {
                b'\n' => {
                    self.at_line_start = true;
                    self.rest = &rest[1..];
                    continue;
                }
                b' ' | b'\t' | b'\r' => {
                    self.rest = &rest[1..];
                    continue;
                }
                b'/' if rest.get(1) == Some(&b'/') => {
                    (rest.iter().position(|byte| *byte == b'\n'), false)
                }
                b'/' if rest.get(1) == Some(&b'*') => {
                    let end = rest[2..].windows(2).position(|pair| pair == b"*/");
                    (end.map(|end| end + 4), false)
                }
                b'#' if self.at_line_start => {
                    // A backslash at the end continues the line.
                    let mut previous = 0;
                    let end = rest.iter().position(|&byte| {
                        let ends = byte == b'\n' && previous != b'\\';
                        previous = byte;
                        ends
                    });
                    (end, false)
                }
                b'"' | b'\'' => {
                    let mut escaped = true;
                    let end = rest.iter().position(|&other| {
                        let ends = other == byte && !escaped || other == b'\n';
                        escaped = other == b'\\' && !escaped;
                        ends
                    });
                    (end.map(|end| end + 1), false)
                }
                _ if is_word(&byte) => (rest.iter().position(|byte| !is_word(byte)), true),
                _ => (Some(1), byte.is_ascii()),
            };
            // A comment does not end the beginning of a line.
            let is_comment = byte == b'/' && !is_token;
            self.at_line_start &= is_comment || byte == b'#' && !is_token;
            let (token, behind) = rest.split_at(length.unwrap_or(rest.len()));
            self.rest = behind;
            if is_token {
                return Some(token);
            }
        }
    }
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
            assert!(defines_main(text.as_bytes()), "{text}");
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
            assert!(!defines_main(text.as_bytes()), "{text}");
        }
    }
}
