//! Records of what programs said, shown again and drawn.

use crate::support::Place;
use std::process::Command;

const RECORD: &str = r#"{"reason":"skep-record","format_version":1,"version":"0.1.0","subject":"opens <x>.bpf.c","kernels":["debian/bookworm","debian/trixie"]}
{"reason":"ready","kernel":"debian/bookworm","release":"6.1.0","at_us":10}
{"reason":"ready","kernel":"debian/trixie","release":"6.12.0","at_us":20}
{"reason":"event","map":"events","value":{"pid":7,"took":1500,"comm":"<b>&\u001b[2J","stack":["vfs_read+0x5","ksys_read+0x6d"]},"at_us":1000,"kernel":"debian/bookworm"}
{"reason":"event","map":"events","value":{"pid":8,"took":-3,"comm":"sh","stack":[]},"at_us":2000,"kernel":"debian/trixie"}
{"reason":"printed","task":"cat","pid":7,"text":"hello","at_us":2500,"kernel":"debian/trixie"}
{"reason":"something-new","kernel":"debian/trixie"}
{"reason":"lost-events","map":"events","count":3,"at_us":2600,"kernel":"debian/trixie"}
{"reason":"map-entry","map":"counts","key":{"comm":"sh"},"value":1,"cut":false,"last":true,"at_us":3000,"kernel":"debian/bookworm"}
{"reason":"map-entry","map":"counts","key":{"comm":"cat"},"value":2,"cut":false,"last":true,"at_us":3000,"kernel":"debian/bookworm"}
{"reason":"map-entry","map":"counts","key":{"comm":"sh"},"value":5,"cut":false,"last":true,"at_us":3000,"kernel":"debian/trixie"}
"#;

#[test]
fn a_record_is_shown_again() {
    let place = Place::new();
    place.file("a record", RECORD);
    let human = place.skep(&["run", "--replay", "a record"]).expect(0);
    insta::assert_snapshot!(human.stdout);
    let json = place.skep(&["run", "--replay", "a record", "--message-format", "json"]).expect(0);
    let line = r#"{"reason":"event","map":"events","value":{"pid":8,"took":-3,"comm":"sh","stack":[]},"kernel":"debian/trixie"}"#;
    assert!(json.stdout.lines().any(|known| known == line), "{json}");
    let short = place.skep(&["run", "--replay", "a record", "--message-format", "short"]).expect(0);
    assert!(
        short.stdout.contains("entry map=counts key={comm=sh} value=5 kernel=debian/trixie\n")
            || short.stdout.contains("value=5 kernel=debian/trixie\n"),
        "{short}"
    );
}

#[test]
fn two_kernels_have_columns_on_a_wide_terminal() {
    let place = Place::new();
    place.file("a record", RECORD);
    let shown = |columns: u16, more: &[&str]| {
        let args = [&["run", "--replay", "a record", "--color", "never"], more].concat();
        let mut session = place.on_terminal_of(columns, &args);
        assert_eq!(session.finish(), 0, "{}", session.shown);
        session.shown.replace("\r\n", "\n")
    };
    insta::assert_snapshot!(shown(120, &[]));
    // Where they have no room, and for programs, nothing is different.
    let pipe = |more: &[&str]| {
        place.skep(&[&["run", "--replay", "a record"], more].concat()).expect(0).stdout
    };
    assert_eq!(shown(102, &[]), pipe(&[]));
    for format in ["json", "short"] {
        let more = ["--message-format", format];
        assert_eq!(shown(120, &more), pipe(&more));
    }
}

#[test]
fn a_record_is_drawn_as_a_page_that_is_well_formed() {
    let place = Place::new();
    place.file("a record", RECORD);
    let run = place.skep(&["run", "--replay", "a record", "--report", "out/a page.html"]).expect(0);
    assert_eq!(run.stdout, "", "{run}");
    let page = place.read("out/a page.html");
    assert!(!page.contains("<b>") && !page.contains('\u{1b}'), "{page}");
    assert!(
        !page.contains("http://")
            || page.matches("http://www.w3.org/").count() == page.matches("http://").count(),
        "it needs nothing of the network"
    );
    // Parsed strictly, as XML, and as a browser would.
    let check = r#"
import sys, xml.etree.ElementTree as tree, html.parser
text = open(sys.argv[1], encoding="utf-8").read()
root = tree.fromstring(text)
space = "{http://www.w3.org/1999/xhtml}"
assert root.tag == space + "html"
assert len(root.findall(".//{http://www.w3.org/2000/svg}svg")) >= 4
cells = ["".join(cell.itertext()) for cell in root.iter(space + "td")]
assert "<b>&\\u{1b}[2J" in cells, cells
assert any("vfs_read+0x5" in cell for cell in cells)
class Parser(html.parser.HTMLParser):
    open = []
    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "input"): self.open.append(tag)
    def handle_endtag(self, tag):
        if tag not in ("meta", "input"): assert self.open.pop() == tag
parser = Parser(); parser.feed(text); parser.close()
assert not parser.open
"#;
    let page = place.path().join("out/a page.html");
    let run = Command::new("python3").arg("-c").arg(check).arg(page).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}

#[test]
fn what_is_no_record_is_told() {
    let place = Place::new();
    place.file("other", "{}\n");
    let run = place.skep(&["run", "--replay", "other"]).expect(2);
    assert!(run.stderr.contains("error[E0804]"), "{run}");
    place.file("torn", RECORD.replace("{\"reason\":\"printed\"", "}"));
    let run = place.skep(&["run", "--replay", "torn"]).expect(2);
    assert!(run.stderr.contains("torn:6"), "{run}");
    let run = place.skep(&["run", "--replay", "nowhere"]).expect(2);
    assert!(run.stderr.contains("cannot read nowhere"), "{run}");
    let run = place.skep(&["run", "--replay", "torn", "-k", "debian/trixie"]).expect(2);
    assert!(run.stderr.contains("cannot be used with"), "{run}");
    // What was cut off while it was written is shown up to there.
    place.file("cut", &RECORD[..RECORD.len() - 20]);
    let run = place.skep(&["run", "--replay", "cut"]).expect(0);
    assert!(run.stderr.contains("cut off") && run.stdout.contains("hello"), "{run}");
}

#[test]
fn what_was_kept_before_stays_if_nothing_runs() {
    let place = Place::new();
    place.file("record", RECORD);
    place.file("page.html", "before");
    place.file("bad.bpf.c", "this is no C\n");
    let args = ["run", "bad.bpf.c", "--record", "record", "--report", "page.html"];
    let run = place.skep(&args).expect(1);
    assert!(run.stdout.contains("error[E0201]"), "{run}");
    assert_eq!(place.read("record"), RECORD);
    assert_eq!(place.read("page.html"), "before");
    let run = place.skep(&["run", "bad.bpf.c", "--record", "nowhere/record"]).expect(2);
    assert!(run.stderr.contains("nowhere/record"), "{run}");
}
