//! An object's bytes as a C string literal.
//!
//! Of the forms that every C compiler takes, this one is read fastest: of a
//! list of numbers each is a token and an expression, which costs gcc and
//! clang ten times as much. Measured in docs/benchmarks.md.

/// The bytes on a line of text, about.
const LINE: usize = 100;

/// Adds string literals, one a line, that come to these bytes.
pub fn write(bytes: &[u8], out: &mut String) {
    out.reserve(bytes.len() * 5 / 2);
    if bytes.is_empty() {
        out.push_str("\t\t\"\"");
        return;
    }
    let mut start = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        if out.len() - start > LINE || index == 0 {
            if index > 0 {
                out.push_str("\"\n");
            }
            start = out.len();
            out.push_str("\t\t\"");
        }
        match byte {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            // `??` would begin a trigraph.
            b' '..=b'~' if byte != b'?' => out.push(char::from(byte)),
            _ => {
                // Up to three octal digits belong to an escape.
                let joins = bytes.get(index + 1).is_some_and(|next| (b'0'..=b'7').contains(next));
                let digits = [byte >> 6, byte >> 3 & 7, byte & 7];
                let skip = match digits {
                    _ if joins => 0,
                    [0, 0, _] => 2,
                    [0, ..] => 1,
                    _ => 0,
                };
                out.push('\\');
                out.extend(digits[skip..].iter().map(|digit| char::from(b'0' + digit)));
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_end_where_they_must() {
        let mut out = String::new();
        write(b"\x7fELF\0\x01\x007\0a\"\\??\xff", &mut out);
        assert_eq!(out, "\t\t\"\\177ELF\\0\\1\\0007\\0a\\\"\\\\\\77\\77\\377\"");
    }
}
