//! Does every message of the verifier lead to a code? The messages come from
//! the kernel's source as Debian packages it.

use crate::support::debian;
use skep::verdict::messages::reason_of_line;
use skep::verifier_log::Log;
use std::collections::BTreeSet;

/// Files of kernel/bpf whose words are none of the verifier's: what prints
/// instructions and states, and what other calls than loading a program say.
const OTHERS: [&str; 3] = ["disasm.c", "log.c", "syscall.c"];

#[test]
fn at_least_95_of_100_messages_have_a_code() {
    covered("6.12", "trixie", 450);
}

/// Linux 7 moves on under its name: the suite says which it has.
#[test]
fn at_least_95_of_100_messages_of_the_newest_kernel_have_a_code() {
    let release = debian::kernel_release("debian/sid");
    let version: Vec<&str> = release.split(['.', '-', '+']).take(2).collect();
    covered(&version.join("."), "sid", 450);
}

fn covered(version: &str, suite: &str, at_least: usize) {
    let package = format!("linux-source-{version}");
    let dir = debian::kernel_source(version, suite).join("kernel/bpf");
    let mut messages = BTreeSet::new();
    for entry in std::fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.ends_with(".c") && !OTHERS.contains(&name) {
            messages.extend(messages_of(&std::fs::read_to_string(&path).unwrap()));
        }
    }
    let is_of_interest = |text: &String| {
        // What continues another message, and what the parser knows to be
        // none, is left out.
        text.ends_with('\n')
            && !text.starts_with([' ', ')', ',', '\n'])
            && !Log::parse(&filled(text)).error.is_empty()
    };
    let texts: Vec<_> = messages.iter().filter(|text| is_of_interest(text)).collect();
    assert!(texts.len() > at_least, "only {} messages were found in {package}", texts.len());
    let without: Vec<_> = texts
        .iter()
        .filter(|text| !filled(text).lines().any(|line| reason_of_line(line).is_some()))
        .collect();
    let covered = 100 * (texts.len() - without.len()) / texts.len();
    assert!(covered >= 95, "{covered} of 100 of {package} have one; these have none: {without:#?}");
}

/// The format strings of `verbose()` and its like in C source.
fn messages_of(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for call in ["verbose(", "verbose_linfo(", "bpf_log("] {
        for (at, _) in source.match_indices(call) {
            let part_of_name = source[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            if !part_of_name {
                found.extend(first_string(&source[at + call.len()..]));
            }
        }
    }
    found
}

/// The first string among a call's arguments, its pieces put together.
fn first_string(arguments: &str) -> Option<String> {
    let bytes = arguments.as_bytes();
    let mut depth = 1;
    let mut at = 0;
    let mut text: Option<String> = None;
    while depth > 0 {
        match bytes.get(at)? {
            b'"' => {
                let text = text.get_or_insert_default();
                at += 1;
                while *bytes.get(at)? != b'"' {
                    if bytes[at] == b'\\' {
                        at += 1;
                        text.push(match bytes.get(at)? {
                            b'n' => '\n',
                            b't' => '\t',
                            other => char::from(*other),
                        });
                    } else {
                        text.push(char::from(bytes[at]));
                    }
                    at += 1;
                }
            }
            b'(' => depth += 1,
            b')' => depth -= 1,
            // The next argument ends a string.
            b',' if text.is_some() => break,
            _ => {}
        }
        at += 1;
    }
    text
}

/// A format string with something in place of each conversion.
fn filled(format: &str) -> String {
    let mut text = String::new();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('%') {
        text.push_str(before);
        let end = after.find(|c: char| c == '%' || c.is_ascii_alphabetic() && !"lhz".contains(c));
        let Some(end) = end else { break };
        text.push_str(match &after[end..=end] {
            "%" => "%",
            "s" | "c" => "foo",
            _ => "7",
        });
        rest = &after[end + 1..];
    }
    text + rest
}

#[test]
fn strings_are_found_and_filled() {
    let source =
        "if (x) verbose(env, \"R%d is %s, \"\n\t\"not %#llx\\n\", f(a, b), s); noverbose(\"no\");";
    assert_eq!(messages_of(source), ["R%d is %s, not %#llx\n"]);
    assert_eq!(filled("R%d is %s, not %#llx\n"), "R7 is foo, not 7\n");
}
