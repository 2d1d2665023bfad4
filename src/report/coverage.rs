//! Coverage of C lines: lcov's files, which genhtml and many services read
//! (geninfo(1)), and a page of our own that needs nothing else.

use super::junit::xml;
use crate::ops::test::coverage::{Coverage, Covered};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// lcov's format.
pub fn lcov(coverage: &Coverage) -> String {
    let mut out = String::new();
    for file in &coverage.files {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "TN:\nSF:{}", file.absolute.display());
        for (name, line, _) in &file.functions {
            let _ = writeln!(out, "FN:{line},{name}");
        }
        for (name, _, count) in &file.functions {
            let _ = writeln!(out, "FNDA:{count},{name}");
        }
        let hit = file.functions.iter().filter(|(_, _, count)| *count > 0).count();
        let _ = writeln!(out, "FNF:{}\nFNH:{hit}", file.functions.len());
        da(&mut out, &file.lines);
    }
    out
}

/// lcov's format of where verifiers have come.
pub fn lcov_of_walks(coverage: &Coverage) -> String {
    let mut out = String::new();
    for file in coverage.files.iter().filter(|file| !file.walked.is_empty()) {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "TN:verifier\nSF:{}", file.absolute.display());
        da(&mut out, &file.walked);
    }
    out
}

/// The lines of a file, and its end.
fn da(out: &mut String, lines: &BTreeMap<u32, u64>) {
    for (line, count) in lines {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "DA:{line},{count}");
    }
    let hit = lines.values().filter(|count| **count > 0).count();
    let _ = writeln!(out, "LF:{}\nLH:{hit}\nend_of_record", lines.len());
}

/// How the page looks.
const STYLE: &str = "\
body{font:14px/1.4 sans-serif;margin:2em;color:#222;background:#fff}\
table{border-collapse:collapse}td,th{padding:0 .6em;text-align:right}\
td.name,td.code{text-align:left}td.code{font-family:monospace;white-space:pre;tab-size:8}\
tr.hit{background:#e2f5e4}tr.miss{background:#fbe0dd}tr.dead{background:#eee}td.number{color:#888}\
h2{margin-top:2em;font-size:1.1em}";

/// A page.
pub fn html(coverage: &Coverage) -> String {
    let (hit, all) = coverage.lines();
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <title>Coverage</title>\n<style>{STYLE}</style></head><body>\n<h1>Coverage</h1>\n\
         <p>{hit} of {all} lines{}. A line is covered if a run of a test came by it; the number is \
         of runs of tests, all kernels together. The last column says how often a verifier walked \
         over the line; where none came, no run can.</p>\n<table>\n\
         <tr><th></th><th>lines</th><th>covered</th><th></th></tr>\n",
        share(hit, all)
    );
    for (number, file) in coverage.files.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "<tr><td class=\"name\"><a href=\"#f{number}\">{}</a></td><td>{}</td><td>{}</td>\
             <td>{}</td></tr>",
            xml(&file.path.display().to_string()),
            file.lines.len(),
            file.hit(),
            share(file.hit(), file.lines.len()).trim_start_matches(", ")
        );
    }
    out.push_str("</table>\n");
    for (number, file) in coverage.files.iter().enumerate() {
        let name = xml(&file.path.display().to_string());
        let _ = writeln!(out, "<h2 id=\"f{number}\">{name}</h2>\n<table>");
        lines(&mut out, file);
        out.push_str("</table>\n");
    }
    out.push_str("</body></html>\n");
    out
}

fn lines(out: &mut String, file: &Covered) {
    for (number, text) in (1..).zip(file.text.lines()) {
        let count = file.lines.get(&number);
        let class = match count {
            None => "",
            Some(0) if file.walked.get(&number) == Some(&0) => " class=\"dead\"",
            Some(0) => " class=\"miss\"",
            Some(_) => " class=\"hit\"",
        };
        let shown = |count: Option<&u64>| count.map(u64::to_string).unwrap_or_default();
        let (count, walked) = (shown(count), shown(file.walked.get(&number)));
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "<tr{class}><td class=\"number\">{number}</td><td>{count}</td>\
             <td class=\"number\">{walked}</td><td class=\"code\">{}</td></tr>",
            xml(text)
        );
    }
}

fn share(hit: usize, all: usize) -> String {
    match all {
        0 => String::new(),
        all => format!(", {:.1}%", hit as f64 * 100.0 / all as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coverage() -> Coverage {
        let file = Covered {
            path: "src/a.bpf.c".into(),
            absolute: "/x/src/a.bpf.c".into(),
            text: "int f(void)\n{\n\tif (a < b)\n\t\treturn 1;\n\treturn 0;\n}\n".to_owned(),
            lines: BTreeMap::from([(3, 2), (4, 0), (5, 2)]),
            walked: BTreeMap::from([(3, 7), (4, 0), (5, 1)]),
            functions: vec![("f".to_owned(), 3, 2)],
        };
        Coverage { files: vec![file] }
    }

    #[test]
    fn lcov_has_functions_lines_and_sums() {
        assert_eq!(
            lcov(&coverage()),
            "TN:\nSF:/x/src/a.bpf.c\nFN:3,f\nFNDA:2,f\nFNF:1\nFNH:1\nDA:3,2\nDA:4,0\nDA:5,2\n\
             LF:3\nLH:2\nend_of_record\n"
        );
    }

    #[test]
    fn walks_are_told_on_their_own() {
        assert_eq!(
            lcov_of_walks(&coverage()),
            "TN:verifier\nSF:/x/src/a.bpf.c\nDA:3,7\nDA:4,0\nDA:5,1\nLF:3\nLH:2\nend_of_record\n"
        );
    }

    #[test]
    fn the_page_has_every_line_and_needs_nothing_else() {
        let page = html(&coverage());
        assert!(page.contains("2 of 3 lines, 66.7%"), "{page}");
        assert_eq!(page.matches("<tr class=\"hit\">").count(), 2);
        assert_eq!(page.matches("<tr class=\"dead\">").count(), 1);
        assert!(page.contains("if (a &lt; b)"), "{page}");
        assert!(!page.contains("http") && !page.contains("src="), "{page}");
    }
}
