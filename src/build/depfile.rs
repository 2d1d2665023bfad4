//! The dependency files that clang writes with `-MD`: makefile syntax, one
//! rule.

use std::path::PathBuf;

/// The prerequisites of the first rule, in order.
///
/// The syntax (GNU make manual, "What Makefiles Contain" and "Types of
/// Prerequisites"; clang/lib/Frontend/DependencyFile.cpp): `\` at the end of a
/// line continues it, `\ ` and `\#` stand for themselves, `$$` is one `$`, and
/// backslashes count only in front of a space or `#`.
pub fn parse(text: &str) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    let mut word = String::new();
    let mut in_prerequisites = false;
    let mut end = |word: &mut String, in_prerequisites: &mut bool| {
        if word.is_empty() {
            return;
        }
        if *in_prerequisites {
            paths.push(PathBuf::from(std::mem::take(word)));
        } else if word.ends_with(':') {
            *in_prerequisites = true;
            word.clear();
        } else {
            word.clear();
        }
    };
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.peek() {
                Some(' ' | '#') => word.extend(chars.next()),
                Some('\n') => {
                    chars.next();
                    end(&mut word, &mut in_prerequisites);
                }
                // Backslashes in front of an escaped space are doubled.
                Some('\\') => {
                    let mut count = 1;
                    while chars.next_if_eq(&'\\').is_some() {
                        count += 1;
                    }
                    let escapes = matches!(chars.peek(), Some(' ' | '#'));
                    let kept = if escapes { count / 2 } else { count };
                    word.extend(std::iter::repeat_n('\\', kept));
                    if escapes && count % 2 == 1 {
                        word.extend(chars.next());
                    }
                }
                _ => word.push('\\'),
            },
            '$' => {
                chars.next_if_eq(&'$');
                word.push('$');
            }
            '\n' => {
                end(&mut word, &mut in_prerequisites);
                if in_prerequisites {
                    return paths;
                }
            }
            ' ' | '\t' => end(&mut word, &mut in_prerequisites),
            c => word.push(c),
        }
    }
    end(&mut word, &mut in_prerequisites);
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone() {
        let text =
            "out/a b.o: src/a\\ b.c \\\n  inc/x\\#y.h inc/$$z.h \\\n  a\\\\\\ b.h w\\x.h\n\nz: q\n";
        let expected = ["src/a b.c", "inc/x#y.h", "inc/$z.h", "a\\ b.h", "w\\x.h"];
        assert_eq!(parse(text), expected.map(PathBuf::from));
    }

    #[test]
    fn nothing_is_nothing() {
        assert!(parse("").is_empty());
        assert!(parse("a.o:\n").is_empty());
    }
}
