//! Tests as people write them: `tests/*.toml` of a project, and blocks
//! `// skep: test` in a source. What a value means is known only where the
//! object is at hand; here it is kept as it is written, with its place.

mod deeds;
mod packet;

pub use deeds::{Attached, Brought, Deed};
pub use packet::Packet;

use super::reader::{Located, Reader};
use crate::bpf::KernelVersion;
use crate::diagnostics::{Diagnostic, Span};
use crate::values::Given;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The directory of a project that has them.
pub const DIRECTORY: &str = "tests";

/// The tests of one file.
#[derive(Clone, Debug)]
pub struct Suite {
    /// The file, as messages are to name it.
    pub path: PathBuf,
    /// Its text, or that of it which has tests: places are the file's.
    pub text: String,
    /// The tests, in their order.
    pub tests: Vec<Test>,
}

/// One test.
#[derive(Clone, Debug, Default)]
pub struct Test {
    /// What it is called; none for what has no name of its own.
    pub name: Option<Located<String>>,
    /// Where it stands in the file.
    pub range: Range<usize>,
    /// The object it is about, by its file's name without `.bpf.o`.
    pub object: Option<Located<String>>,
    /// The program.
    pub program: Option<Located<String>>,
    /// Patterns of the kernels it is for; empty for all.
    pub kernels: Vec<Located<String>>,
    /// The first kernel it is for.
    pub since: Option<KernelVersion>,
    /// The first kernel it is not for any more.
    pub before: Option<KernelVersion>,
    /// Global variables that get other values.
    pub globals: Vec<(Located<String>, Given)>,
    /// What maps hold at the beginning.
    pub maps: Vec<Entry>,
    /// The packet, or the packets, one after the other.
    pub packet: Option<Located<Packet>>,
    /// The context: a table of its members.
    pub context: Option<Given>,
    /// How often the program runs.
    pub repeat: Option<u32>,
    /// What is taken along into the guest.
    pub bring: Vec<Brought>,
    /// The programs that are attached; all if nothing is said.
    pub attach: Option<Vec<Attached>>,
    /// What is done while they are; a test that does nothing runs a program.
    pub deeds: Vec<Deed>,
    /// How long all of that may take, in seconds.
    pub time_limit: Option<u32>,
    /// What is to come of it.
    pub expect: Expect,
}

/// What is to come of a test.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// What the program returns: a number, or its name.
    pub retval: Option<Given>,
    /// How often it returns which value, of several packets: numbers, or
    /// their names.
    pub retvals: Vec<(Located<String>, Located<u64>)>,
    /// The packet afterwards.
    pub packet: Option<Located<Packet>>,
    /// The context afterwards, as far as it matters.
    pub context: Option<Given>,
    /// What maps hold afterwards, as far as it matters.
    pub maps: Vec<Entry>,
    /// How many entries maps have afterwards.
    pub counts: Vec<(Located<String>, Located<u64>)>,
    /// Global variables afterwards.
    pub globals: Vec<(Located<String>, Given)>,
    /// All that the program prints; of programs that are attached, lines that
    /// are among it.
    pub prints: Option<Located<Vec<String>>>,
    /// All that it writes into ring and perf buffers; of programs that are
    /// attached, events that are among it.
    pub events: Vec<Events>,
    /// What iterators show, among other things.
    pub shows: Vec<(Located<String>, Vec<Located<String>>)>,
    /// What is written by what is done, among other things.
    pub output: Vec<Located<String>>,
    /// The code of the finding with which it is rejected; empty for any.
    pub rejected: Option<Located<String>>,
    /// Texts in the verifier's log, in this order.
    pub messages: Vec<Located<String>>,
}

/// An entry of a map.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The map.
    pub map: Located<String>,
    /// The key.
    pub key: Given,
    /// The value; none for an entry that is not to be there.
    pub value: Option<Given>,
    /// Where it stands.
    pub range: Range<usize>,
}

/// What a map carried.
#[derive(Clone, Debug)]
pub struct Events {
    /// The map.
    pub map: Located<String>,
    /// The events, in their order.
    pub events: Vec<Given>,
    /// Where they stand.
    pub range: Range<usize>,
}

impl Suite {
    /// Where something of it stands.
    pub fn span(&self, range: Range<usize>) -> Span {
        Span::of_bytes(&self.path, &self.text, range)
    }
}

/// Reads a file of tests.
///
/// # Errors
/// Every mistake in it.
pub fn read(path: &Path, text: &str) -> Result<Suite, Vec<Diagnostic>> {
    let mut reader = Reader::new(path, text);
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut tests = Vec::new();
    let mut common = Test::default();
    if errors.is_empty() {
        for (key, value) in document.get_ref().iter() {
            match key.get_ref().as_ref() {
                "object" => common.object = reader.string(value, "object"),
                "program" => common.program = reader.string(value, "program"),
                "kernels" => common.kernels = reader.strings(value, "kernels").unwrap_or_default(),
                "bring" => common.bring = deeds::brought(&mut reader, value),
                "test" => {
                    let Some(items) = value.get_ref().as_array() else {
                        reader.wrong(value.span(), "tests are written as [[test]]");
                        continue;
                    };
                    for item in items {
                        if let Some(table) = reader.table(item, "test") {
                            let test = test(&mut reader, table, item.span());
                            tests.push(test);
                        }
                    }
                }
                _ => {
                    let known = ["object", "program", "kernels", "bring", "test"];
                    reader.unknown_key(key, "", &known);
                }
            }
        }
    } else {
        reader.syntax(errors);
    }
    reader.finish()?;
    for test in &mut tests {
        test.object = test.object.take().or_else(|| common.object.clone());
        test.program = test.program.take().or_else(|| common.program.clone());
        if test.kernels.is_empty() {
            test.kernels.clone_from(&common.kernels);
        }
        if test.bring.is_empty() && !test.deeds.is_empty() {
            test.bring.clone_from(&common.bring);
        }
    }
    Ok(Suite { path: path.to_owned(), text: text.to_owned(), tests })
}

/// The text of a source's blocks of tests, everything else of it blank, so
/// that places are the same; none if there is no such block.
///
/// A block is `// skep: test` and the lines of comment behind it, or a comment
/// that begins with `/* skep: test`. Its text is what stands below `[[test]]`.
pub fn of_source(source: &str) -> Option<String> {
    const WORDS: &str = "skep: test";
    // As long as what it stands for must have room for.
    const HEADER: &str = "[[test]]";
    let blank = |text: &str| -> String {
        text.chars()
            .map(|c| if c == '\n' { '\n' } else { ' ' }.to_string().repeat(c.len_utf8()))
            .collect()
    };
    let mut out = String::with_capacity(source.len());
    let mut found = false;
    // In a block; and whether it ends with `*/`.
    let mut block: Option<bool> = None;
    for line in source.split_inclusive('\n') {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        let comment = trimmed.get(..2).filter(|mark| matches!(*mark, "//" | "/*"));
        if let Some(mark) = comment
            && trimmed[2..].trim() == WORDS
        {
            found = true;
            block = Some(mark == "/*");
            out.push_str(&" ".repeat(indent));
            out.push_str(HEADER);
            out.push_str(&blank(&line[indent + HEADER.len()..]));
            continue;
        }
        match block {
            Some(false) if trimmed.starts_with("//") => {
                out.push_str(&" ".repeat(indent + 2));
                out.push_str(&trimmed[2..]);
            }
            Some(true) => match line.find("*/") {
                Some(end) => {
                    out.push_str(&line[..end]);
                    out.push_str(&blank(&line[end..]));
                    block = None;
                }
                None => {
                    // Stars in front of the lines of a comment are no text.
                    let star = trimmed.starts_with('*');
                    out.push_str(&" ".repeat(indent + usize::from(star)));
                    out.push_str(&trimmed[usize::from(star)..]);
                }
            },
            _ => {
                block = None;
                out.push_str(&blank(line));
            }
        }
    }
    found.then_some(out)
}

fn test(reader: &mut Reader<'_>, table: &DeTable<'_>, range: Range<usize>) -> Test {
    const KEYS: &[&str] = &[
        "name",
        "object",
        "program",
        "kernels",
        "since",
        "before",
        "globals",
        "maps",
        "packet",
        "context",
        "repeat",
        "bring",
        "attach",
        "do",
        "time_limit",
        "expect",
    ];
    let mut test = Test { range, ..Test::default() };
    let mut has_expectation = false;
    for (key, value) in table.iter() {
        match key.get_ref().as_ref() {
            "name" => test.name = reader.string(value, "name"),
            "object" => test.object = reader.string(value, "object"),
            "program" => test.program = reader.string(value, "program"),
            "kernels" => test.kernels = reader.strings(value, "kernels").unwrap_or_default(),
            "since" => test.since = version(reader, value, "since"),
            "before" => test.before = version(reader, value, "before"),
            "globals" => test.globals = globals(reader, value),
            "maps" => test.maps = maps(reader, value, false),
            "packet" => test.packet = packet::packet(reader, value, false),
            "context" => test.context = members(reader, value),
            "repeat" => {
                test.repeat = reader.count(value, "repeat").and_then(|count| {
                    let repeat = i32::try_from(count).ok().filter(|&count| count > 0);
                    if repeat.is_none() {
                        reader.wrong(value.span(), "`repeat` must be between 1 and 2147483647");
                    }
                    repeat.map(i32::cast_unsigned)
                });
            }
            "bring" => test.bring = deeds::brought(reader, value),
            "attach" => test.attach = Some(deeds::attached(reader, value)),
            "do" => test.deeds = deeds::deeds(reader, value),
            "time_limit" => {
                test.time_limit = reader.count(value, "time_limit").and_then(|seconds| {
                    let limit = u32::try_from(seconds).ok().filter(|s| (1..=86_400).contains(s));
                    if limit.is_none() {
                        reader.wrong(value.span(), "`time_limit` is between 1 and 86400 seconds");
                    }
                    limit
                });
            }
            "expect" => {
                if let Some(table) = reader.table(value, "expect") {
                    has_expectation = true;
                    test.expect = expect(reader, table);
                }
            }
            _ => reader.unknown_key(key, "[[test]]", KEYS),
        }
    }
    if test.deeds.is_empty() && test.attach.is_some() {
        let range = test.range.clone();
        reader.wrong(range, "nothing is done while programs are attached: write do = [\"…\"]");
    } else if test.deeds.is_empty()
        && let Some(brought) = test.bring.first()
    {
        let range = brought.name().range.clone().unwrap_or_default();
        reader.wrong(range, "it is brought, and nothing is done with it: write do = [\"…\"]");
    } else if test.deeds.is_empty() && test.time_limit.is_some() {
        let range = test.range.clone();
        reader.wrong(range, "`time_limit` is for what is done: write do = [\"…\"]");
    }
    // That what is done can be done is an expectation, too.
    if !has_expectation && test.deeds.is_empty() {
        let range = test.range.clone();
        reader.wrong(range, "the test expects nothing: write expect.retval, or another result");
    }
    test
}

fn expect(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Expect {
    const KEYS: &[&str] = &[
        "retval", "retvals", "packet", "context", "maps", "globals", "prints", "events", "shows",
        "output", "rejected", "messages",
    ];
    let mut expect = Expect::default();
    for (key, value) in table.iter() {
        match key.get_ref().as_ref() {
            "retval" => expect.retval = reader.given(value, "retval"),
            "retvals" => expect.retvals = retvals(reader, value),
            "packet" => expect.packet = packet::packet(reader, value, true),
            "context" => expect.context = members(reader, value),
            "maps" => {
                expect.maps = maps(reader, value, true);
                expect.counts = entry_counts(reader, value);
            }
            "globals" => expect.globals = globals(reader, value),
            "prints" => {
                expect.prints = reader.strings(value, "prints").map(|lines| {
                    let lines = lines.into_iter().map(|line| line.value).collect();
                    Located::written(lines, value.span())
                });
            }
            "events" => expect.events = events(reader, value),
            "shows" => expect.shows = deeds::shown(reader, value),
            "output" => expect.output = reader.strings(value, "output").unwrap_or_default(),
            "rejected" => {
                expect.rejected = match value.get_ref() {
                    DeValue::Boolean(true) => Some(Located::written(String::new(), value.span())),
                    _ => reader.string(value, "rejected"),
                };
            }
            "messages" => expect.messages = reader.strings(value, "messages").unwrap_or_default(),
            _ => reader.unknown_key(key, "`expect`", KEYS),
        }
    }
    expect
}

fn retvals(
    reader: &mut Reader<'_>,
    value: &Spanned<DeValue<'_>>,
) -> Vec<(Located<String>, Located<u64>)> {
    let Some(table) = reader.table(value, "retvals") else { return Vec::new() };
    table
        .iter()
        .filter_map(|(key, value)| {
            let name = key.get_ref().to_string();
            let count = reader.count(value, &name)?;
            Some((Located::written(name, key.span()), Located::written(count, value.span())))
        })
        .collect()
}

fn version(
    reader: &mut Reader<'_>,
    value: &Spanned<DeValue<'_>>,
    key: &str,
) -> Option<KernelVersion> {
    let text = reader.string(value, key)?;
    match text.value.parse() {
        Ok(version) => Some(version),
        Err(_) => {
            reader.wrong(value.span(), format!("`{key}` is no kernel version, such as \"5.15\""));
            None
        }
    }
}

fn members(reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>) -> Option<Given> {
    reader.table(value, "context")?;
    reader.given(value, "context")
}

fn globals(reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>) -> Vec<(Located<String>, Given)> {
    let Some(table) = reader.table(value, "globals") else { return Vec::new() };
    table
        .iter()
        .filter_map(|(key, value)| {
            let name = key.get_ref().to_string();
            let given = reader.given(value, &name)?;
            Some((Located::written(name, key.span()), given))
        })
        .collect()
}

fn maps(reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>, is_after: bool) -> Vec<Entry> {
    let keys: &[&str] = if is_after { &["key", "value", "absent"] } else { &["key", "value"] };
    let mut entries = Vec::new();
    let Some(table) = reader.table(value, "maps") else { return entries };
    for (map, value) in table.iter() {
        let name = map.get_ref().to_string();
        // How many there are, see below.
        if is_after && value.get_ref().as_table().is_some() {
            continue;
        }
        let Some(items) = value.get_ref().as_array() else {
            reader.wrong(
                value.span(),
                format!("`{name}` is a list of entries: [{{ key = …, value = … }}]"),
            );
            continue;
        };
        for item in items {
            let Some(table) = reader.table(item, &name) else { continue };
            let (mut key, mut value, mut absent) = (None, None, false);
            for (word, given) in table.iter() {
                match word.get_ref().as_ref() {
                    "key" => key = reader.given(given, "key"),
                    "value" => value = reader.given(given, "value"),
                    "absent" if is_after => {
                        absent = reader.boolean(given, "absent").unwrap_or_default();
                    }
                    _ => reader.unknown_key(word, "an entry of a map", keys),
                }
            }
            let Some(key) = key else {
                reader.wrong(item.span(), "an entry needs a `key`");
                continue;
            };
            if value.is_some() == absent {
                let way = if is_after { "a `value`, or absent = true" } else { "a `value`" };
                reader.wrong(item.span(), format!("an entry needs {way}"));
            }
            let map = Located::written(name.clone(), map.span());
            entries.push(Entry { map, key, value, range: item.span() });
        }
    }
    entries
}

/// `NAME = { entries = 3 }`.
fn entry_counts(
    reader: &mut Reader<'_>,
    value: &Spanned<DeValue<'_>>,
) -> Vec<(Located<String>, Located<u64>)> {
    let Some(table) = value.get_ref().as_table() else { return Vec::new() };
    let mut counts = Vec::new();
    for (map, value) in table.iter() {
        let Some(table) = value.get_ref().as_table() else { continue };
        for (key, value) in table.iter() {
            match key.get_ref().as_ref() {
                "entries" => {
                    let count = reader.count(value, "entries");
                    let map = Located::written(map.get_ref().to_string(), map.span());
                    counts.extend(count.map(|count| (map, Located::written(count, value.span()))));
                }
                _ => reader.unknown_key(key, "a map", &["entries"]),
            }
        }
    }
    counts
}

fn events(reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>) -> Vec<Events> {
    let Some(table) = reader.table(value, "events") else { return Vec::new() };
    let mut all = Vec::new();
    for (map, value) in table.iter() {
        let name = map.get_ref().to_string();
        let Some(items) = value.get_ref().as_array() else {
            reader.wrong(value.span(), format!("`{name}` is a list of events"));
            continue;
        };
        let events = items.iter().filter_map(|item| reader.given(item, &name)).collect();
        let map = Located::written(name, map.span());
        all.push(Events { map, events, range: value.span() });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::Written;

    #[test]
    fn a_test_is_read_with_everything_it_can_say() {
        let suite = read(
            Path::new("tests/a.toml"),
            r#"
program = "filter"
[[test]]
name = "drops ssh"
since = "5.15"
packet = "eth/ip/tcp(dport=22)"
globals = { limit = 3, "config.deep" = 0x10 }
maps.allowed = [{ key = 22, value = { hits = 1 } }]
context = { mark = 7 }
repeat = 2
[test.expect]
retval = "XDP_DROP"
maps.allowed = [{ key = 23, absent = true }]
events.rb = [{ pid = 1 }]
prints = ["dropped"]
"#,
        )
        .expect("it is well-formed");
        let [test] = suite.tests.as_slice() else { panic!("{suite:?}") };
        let text = |located: &Option<Located<String>>| located.as_ref().unwrap().value.clone();
        assert_eq!((text(&test.name), text(&test.program)), ("drops ssh".into(), "filter".into()));
        assert_eq!(test.since, Some(KernelVersion::new(5, 15)));
        let Packet::Bytes(bytes) = &test.packet.as_ref().unwrap().value else { panic!("bytes") };
        assert_eq!(bytes.len(), 54);
        assert_eq!(test.globals[0].1.value, Written::Number(16));
        assert_eq!((test.maps.len(), test.repeat), (1, Some(2)));
        assert!(test.expect.maps[0].value.is_none());
        assert_eq!(suite.span(test.expect.events[0].range.clone()).start.line, 14);
    }

    #[test]
    fn every_mistake_is_told_at_its_place() {
        let text = r#"
tset = 1
[[test]]
packet = "eth/ipp"
since = "new"
expect = { retvla = 1, maps.a = [{ value = 1 }], maps.b = 1 }
[[test]]
repeat = 0
"#;
        let mistakes = read(Path::new("a.toml"), text).expect_err("it is full of mistakes");
        let told: Vec<String> = mistakes
            .iter()
            .map(|mistake| {
                let start = mistake.primary.as_ref().unwrap().span.start;
                format!("{}:{} {}", start.line, start.column, mistake.message)
            })
            .collect();
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn blocks_of_a_source_keep_their_places() {
        let source = "int x; // é\n// skep: test\n// name = \"a\"\n// expect.retval = 1\nSEC(\"xdp\")\n\
                      /* skep: test\n * name = \"b\"\n   expect.retval = 2 */ int y;\n";
        let text = of_source(source).expect("there are blocks");
        assert_eq!(text.len(), source.len());
        let suite = read(Path::new("a.bpf.c"), &text).expect("it is well-formed");
        let lines: Vec<u32> =
            suite.tests.iter().map(|test| suite.span(test.range.clone()).start.line).collect();
        assert_eq!(lines, [2, 6]);
        assert_eq!(of_source("int x; // skep: tests"), None);
    }
}
