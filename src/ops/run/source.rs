//! What a source says of its events. Types that only functions use are not in
//! an object's BTF, and which of them a ring buffer carries stands nowhere but
//! in the calls that write to it.
//!
//! The text is what the compiler proper sees, so names are plain and the
//! preprocessor's line markers tell the project's own part from libraries.

use std::collections::BTreeSet;

/// What a source says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// The structs that it declares, as C names them: `struct event`,
    /// `event_t`.
    pub types: Vec<String>,
    /// Maps, and the type of what is written to them.
    pub uses: Vec<(String, String)>,
    /// The types of what iterators write as bytes.
    pub iterated: Vec<String>,
}

/// A token, and whether it is of the project's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Token<'t> {
    text: &'t str,
    is_own: bool,
}

/// Functions that send a record: their names, which argument is the map and
/// which tells the type.
const SENDERS: [(&str, usize, usize); 5] = [
    ("bpf_ringbuf_reserve", 0, 1),
    ("bpf_ringbuf_output", 0, 1),
    ("bpf_perf_event_output", 1, 3),
    ("bpf_skb_output", 1, 3),
    ("bpf_xdp_output", 1, 3),
];

/// Reads preprocessed text.
pub fn read(text: &str) -> Source {
    let tokens = tokens(text);
    let types = types(&tokens);
    let mut source = Source::default();
    for (at, token) in tokens.iter().enumerate() {
        if token.text == "bpf_seq_write"
            && let Some(ty) = arguments(&tokens[at + 1..])
                .and_then(|arguments| type_of(arguments.get(1)?, &tokens[..at], &types))
            && !source.iterated.contains(&ty)
        {
            source.iterated.push(ty);
        }
        let Some(&(_, map, value)) = SENDERS.iter().find(|(name, ..)| *name == token.text) else {
            continue;
        };
        let Some(arguments) = arguments(&tokens[at + 1..]) else { continue };
        let (Some(map), Some(value)) = (arguments.get(map), arguments.get(value)) else { continue };
        let Some(map) = map.iter().rev().find(|token| is_word(token.text)) else { continue };
        if let Some(ty) = type_of(value, &tokens[..at], &types)
            && !source.uses.iter().any(|(known, _)| known == map.text)
        {
            source.uses.push((map.text.to_owned(), ty));
        }
    }
    source.types = types.into_iter().collect();
    let uses = source.uses.iter().map(|(_, ty)| ty);
    for ty in uses.chain(&source.iterated) {
        if !source.types.contains(ty) {
            source.types.push(ty.clone());
        }
    }
    source
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// Words and single characters; strings are one token.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut is_own = true;
    for line in text.lines() {
        if let Some(marker) = line.strip_prefix("# ") {
            // `# LINE "FILE" FLAGS`; 3 stands for a system's header.
            let flags = marker.rsplit('"').next().unwrap_or_default();
            is_own = !flags.split(' ').any(|flag| flag == "3") && !marker.contains("vmlinux.h\"");
            continue;
        }
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = match first {
                '"' | '\'' => quoted(rest, first),
                c if c.is_ascii_alphanumeric() || c == '_' => rest
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .unwrap_or(rest.len()),
                c => c.len_utf8(),
            };
            let (token, behind) = rest.split_at(length);
            tokens.push(Token { text: token, is_own });
            rest = behind.trim_start();
        }
    }
    tokens
}

/// The length of a literal with its quotes.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The project's own structs.
fn types(tokens: &[Token<'_>]) -> BTreeSet<String> {
    let mut types = BTreeSet::new();
    for (at, window) in tokens.windows(3).enumerate() {
        let [first, second, third] = window else { continue };
        if !first.is_own {
            continue;
        }
        if first.text == "struct" && is_word(second.text) && third.text == "{" {
            types.insert(format!("struct {}", second.text));
        }
        // `typedef struct {…} name;`
        if first.text == "typedef" && second.text == "struct" && third.text == "{" {
            let end = closing(&tokens[at + 2..]).map(|end| at + 2 + end);
            let behind = end.and_then(|end| tokens.get(end + 1..end + 3));
            if let Some([name, semicolon]) = behind
                && is_word(name.text)
                && semicolon.text == ";"
            {
                types.insert(name.text.to_owned());
            }
        }
    }
    types
}

/// Where the bracket that `tokens` begin with is closed.
fn closing(tokens: &[Token<'_>]) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            "(" | "{" | "[" => depth += 1,
            ")" | "}" | "]" => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// The arguments of the call whose bracket `tokens` begin with.
fn arguments<'a, 't>(tokens: &'a [Token<'t>]) -> Option<Vec<&'a [Token<'t>]>> {
    let end = closing(tokens).filter(|_| tokens[0].text == "(")?;
    let inside = &tokens[1..end];
    let mut depth = 0_i32;
    let split = inside.split(move |token| {
        match token.text {
            "(" | "{" | "[" => depth += 1,
            ")" | "}" | "]" => depth -= 1,
            _ => {}
        }
        depth == 0 && token.text == ","
    });
    Some(split.collect())
}

/// The type of what an argument stands for: `sizeof(…)`, `&event`, `event`.
fn type_of(
    argument: &[Token<'_>],
    before: &[Token<'_>],
    types: &BTreeSet<String>,
) -> Option<String> {
    let words: Vec<&str> =
        argument.iter().map(|token| token.text).filter(|text| is_word(text)).collect();
    match words.as_slice() {
        ["sizeof", "struct", tag] | ["struct", tag, ..] => Some(format!("struct {tag}")),
        ["sizeof", name] if types.contains(*name) => Some((*name).to_owned()),
        ["sizeof", name] | [name] => declared(name, before, types),
        // A cast in front: `(void *)&event`.
        [.., name] => declared(name, before, types),
        [] => None,
    }
}

/// The struct that a variable was last declared to be or to point to.
fn declared(name: &str, before: &[Token<'_>], types: &BTreeSet<String>) -> Option<String> {
    let places = (0..before.len()).rev().filter(|&at| before[at].text == name);
    places.into_iter().find_map(|at| {
        let mut rest = before[..at].iter().rev().skip_while(|token| token.text == "*");
        let (last, first) = (rest.next()?, rest.next());
        if first.is_some_and(|first| first.text == "struct") && is_word(last.text) {
            return Some(format!("struct {}", last.text));
        }
        types.contains(last.text).then(|| last.text.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_tell_what_a_map_carries() {
        let text = r#"
# 1 "vmlinux.h" 1 3
struct task_struct { int pid; };
# 9 "src/opens.bpf.c" 2
struct event { int pid; char comm[16]; };
typedef struct { long a; } other_t;
int f(void *ctx)
{
    struct event *e;
    e = bpf_ringbuf_reserve(&rb, sizeof(*e), 0);
    other_t o = {}; struct task_struct *t;
    bpf_perf_event_output(ctx, &pb, 0xffffffffULL, &o, sizeof(o));
    bpf_ringbuf_output(&third, (void *)e, sizeof(struct event), (0, 1));
    bpf_ringbuf_reserve(&fourth, sizeof(struct task_struct), 0);
    bpf_seq_write(ctx->meta->seq, e, sizeof(*e));
    bpf_printk("struct x { %d", ')');
}
"#;
        let source = read(text);
        assert_eq!(source.types, ["other_t", "struct event", "struct task_struct"]);
        assert_eq!(source.iterated, ["struct event"]);
        let uses: Vec<String> =
            source.uses.iter().map(|(map, ty)| format!("{map}: {ty}")).collect();
        assert_eq!(
            uses,
            [
                "rb: struct event",
                "pb: other_t",
                "third: struct event",
                "fourth: struct task_struct"
            ]
        );
    }

    #[test]
    fn nothing_is_read_out_of_nonsense() {
        for text in
            ["bpf_ringbuf_reserve", "bpf_ringbuf_reserve(", "bpf_ringbuf_reserve()", ")\"", "'"]
        {
            assert_eq!(read(text), Source::default(), "{text}");
        }
    }
}
