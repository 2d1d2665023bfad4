//! The words of C source: what a pruned header has to know.
//!
//! This is a scan for identifiers, not a parser, and knows no preprocessor:
//! every branch of every `#if` counts. What it adds to a bare list of words
//! is how each is used, because that decides how much of a type is needed.

use crate::btf::raw;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A word that counts as any name; without this, only as a typedef's.
const NAMED: u8 = 8;
/// A tag behind `struct`, `union` or `enum`.
const TAG: u8 = 1;
/// A tag that is not only pointed to: `sizeof(struct foo)`.
const WHOLE_TAG: u8 = 2;
/// A word that stands somewhere without `*` behind it.
const WHOLE: u8 = 4;

/// How a word is used, as far as it decides how much of a type is needed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Uses {
    /// The bits above; none if the word is not there.
    bits: Option<u8>,
    /// As in [`Words`].
    compares_types: bool,
}

impl Uses {
    /// Whether a typedef of this name is meant.
    pub fn typedef(self) -> bool {
        self.bits.is_some()
    }

    /// Whether a struct, union or enumeration of this name is meant.
    pub fn tag(self) -> bool {
        self.has(TAG)
    }

    /// Whether it is, and more than a pointer to it is used.
    pub fn whole_tag(self) -> bool {
        self.has(if self.compares_types { TAG } else { WHOLE_TAG })
    }

    /// Whether the word stands somewhere without `*` behind it.
    pub fn whole(self) -> bool {
        self.compares_types || self.has(WHOLE)
    }

    fn has(self, bit: u8) -> bool {
        self.bits.is_some_and(|bits| bits & bit != 0)
    }
}

/// The identifiers of some source files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    uses: HashMap<Box<[u8]>, u8, BuildHasherDefault<WordHasher>>,
    /// Words without the number behind them (`foo` of `foo___2`), with the uses
    /// of the numbered ones.
    numbered: HashMap<Box<[u8]>, u8, BuildHasherDefault<WordHasher>>,
    compares_types: bool,
}

/// Hashes words, of which a kernel's BTF asks for many thousands.
#[derive(Clone, Copy, Debug, Default)]
struct WordHasher(u32);

impl Hasher for WordHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 ^= raw::hash(bytes);
    }

    // A word's length is hashed with it.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        // The table looks at the upper bits too.
        u64::from(self.0).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// A token, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Token<'t> {
    Word(&'t [u8]),
    /// Any other character but white space.
    Other(u8),
}

impl Words {
    /// No words.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the words of a file of the project, or of `-D` definitions.
    pub fn add(&mut self, text: &[u8]) {
        self.add_library(text);
        // These questions look at all members of a type, named or not.
        self.compares_types |= Tokens { rest: text }.any(|token| {
            matches!(token, Token::Word(b"bpf_core_type_matches" | b"__builtin_preserve_type_info"))
        });
    }

    /// Adds the words of a header that is not the project's: one of libbpf's.
    pub fn add_library(&mut self, text: &[u8]) {
        let mut tokens = Tokens { rest: text }.peekable();
        let mut tag = false;
        while let Some(token) = tokens.next() {
            let Token::Word(word) = token else {
                tag = false;
                continue;
            };
            match word {
                b"struct" | b"union" | b"enum" => tag = true,
                b"const" | b"volatile" => {}
                _ => {
                    while let Some(Token::Word(b"const" | b"volatile")) = tokens.peek() {
                        tokens.next();
                    }
                    let next = tokens.peek();
                    let pointed = next == Some(&Token::Other(b'*'));
                    let mut uses = NAMED | if tag { TAG } else { 0 };
                    if !pointed {
                        uses |= WHOLE;
                        let declared = matches!(next, Some(Token::Other(b';' | b'{')));
                        uses |= if tag && !declared { WHOLE_TAG } else { 0 };
                    }
                    self.insert(word, uses);
                    if let Some(plain) = without_number(word) {
                        self.insert(plain, NAMED);
                        *self.numbered.entry(plain.into()).or_default() |= uses;
                    }
                    tag = false;
                }
            }
        }
    }

    fn insert(&mut self, word: &[u8], uses: u8) {
        match self.uses.get_mut(word) {
            Some(known) => *known |= uses,
            None => drop(self.uses.insert(word.into(), uses)),
        }
    }

    /// Adds, of a header with one declaration a helper (`bpf_helper_defs.h`),
    /// the declarations of helpers that were named so far. Of the others,
    /// which the compiler reads too, only typedefs count.
    pub fn add_helpers(&mut self, text: &[u8]) {
        let text = without_comments(text);
        let is_wanted = |statement: &[u8]| {
            Tokens { rest: statement }.any(|token| match token {
                Token::Word(word) => word.starts_with(b"bpf_") && self.has(word),
                Token::Other(_) => false,
            })
        };
        let statements = text.split(|byte| *byte == b';');
        let (wanted, others): (Vec<&[u8]>, Vec<&[u8]>) =
            statements.partition(|statement| is_wanted(statement));
        for statement in wanted {
            self.add_library(statement);
        }
        for statement in others {
            for token in (Tokens { rest: statement }) {
                if let Token::Word(word) = token {
                    self.insert(word, 0);
                }
            }
        }
    }

    /// Whether a word is there.
    #[inline]
    pub fn has(&self, word: &[u8]) -> bool {
        self.uses.get(word).is_some_and(|uses| uses & NAMED != 0)
    }

    /// How a word is used.
    #[inline]
    pub(super) fn uses(&self, word: &[u8]) -> Uses {
        Uses { bits: self.uses.get(word).copied(), compares_types: self.compares_types }
    }

    /// How a word is used by itself or with any number behind it.
    #[inline]
    pub(super) fn uses_with_any_number(&self, word: &[u8]) -> Uses {
        let mut uses = self.uses(word);
        if !self.numbered.is_empty()
            && let Some(numbered) = self.numbered.get(word)
        {
            uses.bits = Some(uses.bits.unwrap_or(0) | numbered);
        }
        uses
    }

    /// The words, each with whether it is a tag somewhere.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], bool)> {
        self.uses.iter().map(|(word, uses)| (&**word, uses & TAG != 0))
    }

    /// The words, in order: what the identity of a pruned header depends on.
    pub fn key(&self) -> Vec<u8> {
        let mut words: Vec<(&[u8], u8)> =
            self.uses.iter().map(|(word, uses)| (&**word, *uses)).collect();
        words.sort_unstable();
        let mut key = vec![u8::from(self.compares_types)];
        for (word, uses) in words {
            key.extend_from_slice(word);
            key.extend([0, uses]);
        }
        key
    }
}

/// The name before the number that a second type or enumerator of one name
/// has in the header: `foo` of `foo___2`.
fn without_number(word: &[u8]) -> Option<&[u8]> {
    let digits = word.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let plain = word[..word.len() - digits].strip_suffix(b"___")?;
    (digits > 0).then_some(plain)
}

/// The text with every comment replaced by a space.
fn without_comments(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(slash) = rest.iter().position(|byte| *byte == b'/') {
        let (before, from) = rest.split_at(slash);
        out.extend_from_slice(before);
        let length = comment(from);
        out.push(if length.is_some() { b' ' } else { b'/' });
        rest = &from[length.unwrap_or(1)..];
    }
    out.extend_from_slice(rest);
    out
}

/// The length of the comment that a text begins with.
fn comment(text: &[u8]) -> Option<usize> {
    match text.get(..2)? {
        b"//" => {
            Some(text.iter().position(|byte| *byte == b'\n').map_or(text.len(), |end| end + 1))
        }
        b"/*" => {
            let mut at = 2;
            while let Some(slash) = text[at..].iter().position(|byte| *byte == b'/') {
                at += slash + 1;
                // The star of the beginning does not end it.
                if at > 3 && text[at - 2] == b'*' {
                    return Some(at);
                }
            }
            Some(text.len())
        }
        _ => None,
    }
}

/// What a character may be part of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Letter,
    Digit,
    Space,
    Other,
}

static CLASSES: [Class; 256] = {
    let mut classes = [Class::Other; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => Class::Letter,
            b'0'..=b'9' => Class::Digit,
            // A backslash continues a line inside a definition.
            b' ' | b'\t' | b'\n' | b'\r' | 0x0c | b'\\' => Class::Space,
            _ => Class::Other,
        };
        byte += 1;
    }
    classes
};

/// Splits a text behind the characters that words and numbers are made of.
fn split_word(text: &[u8]) -> (&[u8], &[u8]) {
    let is_end = |byte: &u8| !matches!(CLASSES[usize::from(*byte)], Class::Letter | Class::Digit);
    text.split_at(text.iter().position(is_end).unwrap_or(text.len()))
}

struct Tokens<'t> {
    rest: &'t [u8],
}

impl<'t> Iterator for Tokens<'t> {
    type Item = Token<'t>;

    fn next(&mut self) -> Option<Token<'t>> {
        loop {
            let first = *self.rest.first()?;
            match CLASSES[usize::from(first)] {
                Class::Space => self.rest = &self.rest[1..],
                Class::Letter => {
                    let (word, rest) = split_word(self.rest);
                    self.rest = rest;
                    return Some(Token::Word(word));
                }
                Class::Digit => {
                    // A number takes its suffix with it.
                    self.rest = split_word(self.rest).1;
                    return Some(Token::Other(b'0'));
                }
                Class::Other => {
                    let length = match first {
                        b'/' => comment(self.rest),
                        b'"' | b'\'' => {
                            self.rest = &self.rest[literal(self.rest, first)..];
                            return Some(Token::Other(first));
                        }
                        _ => None,
                    };
                    self.rest = &self.rest[length.unwrap_or(1)..];
                    if length.is_none() {
                        return Some(Token::Other(first));
                    }
                }
            }
        }
    }
}

/// The length of a literal that ends with `quote` or, if it does not, with
/// the line.
fn literal(text: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' => at += 1,
            b'\n' => return at,
            byte if *byte == quote => return at + 1,
            _ => {}
        }
        at += 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_are_told_apart() {
        let mut words = Words::new();
        words.add(
            b"struct pointed *p; struct pointed const * const q; /* struct hidden */\n\
              struct whole w; struct declared; int n = sizeof(struct sized); // gone\n\
              char *s = \"struct quoted \\\" x\"; pid_t pid; s64 *t; #define A a##b\n",
        );
        let uses = |word: &str| words.uses(word.as_bytes());
        assert!(uses("pointed").tag() && !uses("pointed").whole_tag());
        assert!(uses("whole").whole_tag() && uses("sized").whole_tag());
        assert!(uses("declared").tag() && !uses("declared").whole_tag());
        assert!(!words.has(b"hidden") && !words.has(b"gone") && !words.has(b"quoted"));
        assert!(uses("pid_t").whole() && !uses("s64").whole() && words.has(b"s64"));
        assert!(words.has(b"a") && words.has(b"b"));
    }

    #[test]
    fn comments_end_where_they_end() {
        let text = b"a/*b*/c/*/d*/e//f\ng/h/**/i//";
        let mut words = Words::new();
        words.add(text);
        let found = |names: &[&str]| names.iter().all(|name| words.has(name.as_bytes()));
        assert!(found(&["a", "c", "e", "g", "h", "i"]));
        assert!(!["b", "d", "f"].iter().any(|name| words.has(name.as_bytes())));
        assert_eq!(without_comments(text), b"a c e g/h i ");
        assert_eq!(without_comments(b"x /* open"), b"x  ");
    }

    #[test]
    fn numbers_behind_names_are_taken_off() {
        let mut words = Words::new();
        words.add(b"struct foo___2 x; struct bar *y;");
        assert!(words.uses(b"foo___2").whole_tag() && !words.uses(b"foo").tag());
        assert!(words.uses_with_any_number(b"foo").whole_tag());
        assert!(words.uses_with_any_number(b"bar").tag());
        assert!(!words.uses_with_any_number(b"bar").whole_tag());
        assert!(!words.uses_with_any_number(b"none").typedef());
    }

    #[test]
    fn of_the_helpers_only_those_that_are_named_count() {
        let defs = b"struct task_struct;\n/* bpf_probe_read(struct gone) */\n\
            static struct task_struct *(* const bpf_get_current_task_btf)(void) = (void *) 158;\n\
            static long (* const bpf_other)(struct other *x) = (void *) 1;\n";
        let mut words = Words::new();
        words.add(b"bpf_get_current_task_btf()->pid");
        words.add_helpers(defs);
        assert!(words.uses(b"task_struct").tag() && !words.has(b"other") && !words.has(b"gone"));
    }

    #[test]
    fn comparing_types_needs_whole_ones() {
        let mut words = Words::new();
        words.add_library(b"bpf_core_type_matches");
        words.add(b"struct foo *p;");
        assert!(!words.uses(b"foo").whole_tag(), "libbpf's own definition is no use");
        words.add(b"bpf_core_type_matches(x)");
        assert!(words.uses(b"foo").whole_tag());
    }
}
