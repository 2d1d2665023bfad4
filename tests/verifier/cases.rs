//! Reads cases from Markdown.

use std::collections::BTreeSet;
use std::path::Path;

/// A program and what is expected of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// A file name of its own, without extension.
    pub name: String,
    /// The heading it stands below.
    pub title: String,
    /// The Markdown file, for messages.
    pub file: String,
    /// The line in that file at which the block begins.
    pub line: usize,
    /// The program.
    pub source: String,
    kernels: Vec<String>,
    expected: Vec<Expected>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Expected {
    /// The line in the program, from 1.
    line: u32,
    code: String,
    /// All if empty.
    kernels: Vec<String>,
}

impl Case {
    /// The page it is from: its file's name without extension.
    pub fn page(&self) -> &str {
        self.name.rsplit_once('_').map_or(&self.name, |(page, _)| page)
    }

    /// Whether the case is for a kernel.
    pub fn runs_on(&self, kernel: &str) -> bool {
        self.kernels.is_empty() || self.kernels.iter().any(|known| known == kernel)
    }

    /// The lines and codes of the findings expected on a kernel.
    pub fn expected(&self, kernel: &str) -> BTreeSet<(u32, String)> {
        let holds = |e: &&Expected| e.kernels.is_empty() || e.kernels.iter().any(|k| k == kernel);
        self.expected.iter().filter(holds).map(|e| (e.line, e.code.clone())).collect()
    }
}

/// The cases of all files.
pub fn all() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = ["tests/verifier", "docs/diagnostics"]
        .iter()
        .flat_map(|dir| std::fs::read_dir(root.join(dir)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            // Of the pages only those about the verifier hold whole programs.
            name.ends_with(".md")
                && (path.starts_with(root.join("tests")) || name.starts_with("E03"))
        })
        .collect();
    files.sort();
    let mut cases = Vec::new();
    for path in files {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let file = path.strip_prefix(root).unwrap().display().to_string();
        cases.extend(read(stem, &file, &text));
    }
    assert!(cases.len() > 6, "the cases are not found");
    cases
}

/// The cases of one file.
pub fn read(stem: &str, file: &str, text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut title = String::new();
    let mut block: Option<(usize, String)> = None;
    for (at, line) in text.lines().enumerate() {
        match &mut block {
            None if line.starts_with('#') => title = line.trim_start_matches('#').trim().to_owned(),
            None if line.trim_end() == "```c" => block = Some((at + 2, String::new())),
            None => {}
            Some(_) if line.trim_end() == "```" => {
                let (first, source) = block.take().unwrap();
                if source.contains("SEC(") {
                    let name = format!("{stem}_{}", cases.len() + 1);
                    cases.push(case(name, title.clone(), file, first, source));
                }
            }
            Some((_, source)) => {
                source.push_str(line);
                source.push('\n');
            }
        }
    }
    cases
}

fn case(name: String, title: String, file: &str, line: usize, source: String) -> Case {
    let mut kernels = Vec::new();
    let mut expected = Vec::new();
    for (at, line) in source.lines().enumerate() {
        let Some((code, comment)) = line.split_once("// ") else { continue };
        if let Some(names) = comment.strip_prefix("kernels: ").filter(|_| code.trim().is_empty()) {
            kernels = names.split_whitespace().map(str::to_owned).collect();
        }
        if !comment.starts_with("error[") {
            continue;
        }
        for part in comment.split(", ") {
            let (code, rest) = part.strip_prefix("error[").unwrap().split_once(']').unwrap();
            let kernels = rest.trim().strip_prefix("on ").unwrap_or_default();
            expected.push(Expected {
                line: u32::try_from(at + 1).unwrap(),
                code: code.to_owned(),
                kernels: kernels.split_whitespace().map(str::to_owned).collect(),
            });
        }
    }
    Case { name, title, file: file.to_owned(), line, source, kernels, expected }
}

#[test]
fn comments_say_what_is_expected() {
    let text = "# T\n\n```c\nint x;\n```\n## U\n```c\n// kernels: 6.1 6.12\nSEC(\"xdp\") // error[E0001]\nb // error[E0002] on 6.1, error[E0003] on 6.12\n```\n";
    let cases = read("s", "s.md", text);
    assert_eq!(cases.len(), 1);
    let case = &cases[0];
    assert_eq!((case.name.as_str(), case.title.as_str(), case.line), ("s_1", "U", 8));
    assert!(case.runs_on("6.1") && !case.runs_on("5.10"));
    let expected = [(2, "E0001".to_owned()), (3, "E0003".to_owned())];
    assert_eq!(case.expected("6.12"), BTreeSet::from(expected));
}
