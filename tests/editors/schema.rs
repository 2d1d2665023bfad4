//! The schema of `Skep.toml`, checked against the manifest's own reader and
//! by the engine that validates TOML in editors (taplo).

use crate::support::Place;
use crate::tools::{self, repository};
use serde_json::Value;
use skep::project::manifest;
use std::collections::BTreeSet;
use std::path::Path;

/// Manifests, and whether they are right.
const CASES: &[(&str, bool)] = &[
    ("", true),
    (
        r#"[package]
name = "opens"
version = "0.1.0"
license = "GPL-2.0-only OR BSD-2-Clause"
[bpf]
sources = ["src/**/*.bpf.c"]
include = ["include"]
cflags = ["-Wall"]
defines = ["A", "B=1", "C(x)=(x)"]
mcpu = "v3"
clang = "clang-19"
vmlinux = "pruned"
link = false
launcher = ["sccache", "-v"]
[[bpf.override]]
sources = ["src/net/*.bpf.c"]
cflags = ["-Wno-unused"]
defines = ["NET"]
mcpu = "v2"
[profile.dev]
strip = false
[profile.release]
cflags = ["-g0"]
defines = ["NDEBUG"]
[user]
kind = "c"
sources = ["src/*.c"]
cflags = ["-Wall"]
libs = ["m", "-Wl,--as-needed"]
libbpf = "bundled"
static = false
[kernels]
min = "5.10"
matrix = ["debian/bullseye", "host"]
[lints]
"large-stack" = "warn"
W0201 = "deny"
[[budget]]
program = "*"
instructions = 100_000
states = 1000
stack = 512
"#,
        true,
    ),
    ("[user]\nkind = \"rust\"\n[[budget]]\n[[budget]]\nstates = 0\n", true),
    ("[bpf]\nlauncher = \"ccache\"\n", true),
    ("[bpf]\nbtf = \"debian/trixie\"\n", true),
    ("[bpf]\nbtf = { from = \"btf/6.12.btf\" }\n", true),
    ("[bpf.btf]\nfrom = \"x\"\nsha256 = \"01\"\n", false),
    ("[bpf.btf]\nsha256 = \"\"\n", false),
    ("[bpf.btf]\nfrom = \"x\"\nmd5 = \"x\"\n", false),
    ("[bpf]\nbtf = 1\n", false),
    ("[user]\nlibbpf = \"1.7\"\n", false),
    ("[workspace]\nmembers = [\"a/*\", \"b\"]\nexclude = [\"a/x\"]\n", true),
    ("[workspace]\n", false),
    ("[workspace]\nmembers = [\"a\"]\nmember = []\n", false),
    ("[bfp]\n", false),
    ("[bpf]\nlauncher = 1\n", false),
    ("[[bpf.override]]\nmcpu = \"v2\"\n", false),
    ("[[bpf.override]]\nsources = [\"x\"]\nmcpu = \"v9\"\n", false),
    ("[profile.debug]\n", false),
    ("[profile.dev]\nstrip = 1\n", false),
    ("[bpf]\nsource = []\n", false),
    ("[bpf]\nsources = []\n", false),
    ("[bpf]\nsources = \"src\"\n", false),
    ("[bpf]\nmcpu = \"v5\"\n", false),
    ("[bpf]\nmcpu = 3\n", false),
    ("[bpf]\nlink = 1\n", false),
    ("[bpf]\ndefines = [\"1A\"]\n", false),
    ("[bpf]\ncflags = [1]\n", false),
    ("[package]\nname = 1\n", false),
    ("[package]\nauthors = []\n", false),
    ("[user]\nkind = \"go\"\n", false),
    ("[kernels]\nmin = \"new\"\n", false),
    ("[kernels]\nmin = 5.10\n", false),
    ("[kernels]\nmatrix = \"host\"\n", false),
    ("[lints]\nlarge-stack = \"no\"\n", false),
    ("[budget]\nstack = 1\n", false),
    ("[[budget]]\nstack = -1\n", false),
    ("[[budget]]\nheap = 1\n", false),
];

const SCHEMA: &str = "editors/vscode/skep.schema.json";

#[test]
fn schema_and_reader_agree() {
    let place = Place::new();
    let mut files = Vec::new();
    for (index, (text, right)) in CASES.iter().enumerate() {
        let read = manifest::parse(Path::new("Skep.toml"), text);
        assert_eq!(read.is_ok(), *right, "the reader, of:\n{text}\n{read:?}");
        let name = format!("{index}.toml");
        place.file(&name, text);
        files.push(name);
    }
    let refused = tools::taplo_refuses(&repository(SCHEMA), place.path(), &files);
    for (name, (text, right)) in files.iter().zip(CASES) {
        assert_eq!(!refused.contains(name), *right, "the schema, of:\n{text}");
    }
}

#[test]
fn schema_and_reader_know_the_same_keys() {
    let schema: Value =
        serde_json::from_slice(&std::fs::read(repository(SCHEMA)).unwrap()).unwrap();
    let at_root = &schema["properties"];
    let places = [
        ("", at_root),
        ("[package]\n", &at_root["package"]["properties"]),
        ("[bpf]\n", &at_root["bpf"]["properties"]),
        (
            "[[bpf.override]]\nsources = [\"x\"]\n",
            &at_root["bpf"]["properties"]["override"]["items"]["properties"],
        ),
        ("[profile]\n", &at_root["profile"]["properties"]),
        ("[profile.dev]\n", &schema["definitions"]["profile"]["properties"]),
        ("[profile.release]\n", &schema["definitions"]["profile"]["properties"]),
        ("[user]\n", &at_root["user"]["properties"]),
        ("[kernels]\n", &at_root["kernels"]["properties"]),
        ("[[budget]]\n", &at_root["budget"]["items"]["properties"]),
    ];
    for (heading, properties) in places {
        let in_schema: BTreeSet<&str> =
            properties.as_object().unwrap().keys().map(String::as_str).collect();
        let text = format!("{heading}zzzzzzzzzzzz = 1\n");
        let mistakes = manifest::parse(Path::new("Skep.toml"), &text).unwrap_err();
        let note = mistakes[0].notes[0].clone();
        let known = note.strip_prefix("known keys: ").unwrap();
        assert_eq!(known.split(", ").collect::<BTreeSet<_>>(), in_schema, "{heading}");
    }
}

#[test]
fn defaults_in_the_schema_are_the_readers() {
    let schema: Value =
        serde_json::from_slice(&std::fs::read(repository(SCHEMA)).unwrap()).unwrap();
    let mut text = String::new();
    for (section, table) in schema["properties"].as_object().unwrap() {
        let Some(keys) = table["properties"].as_object() else { continue };
        let with_default =
            keys.iter().filter_map(|(key, about)| Some((key, about.get("default")?)));
        let lines: Vec<_> =
            with_default.map(|(key, default)| format!("{key} = {default}\n")).collect();
        // An empty section may not be a right one.
        if !lines.is_empty() {
            text.push_str(&format!("[{section}]\n{}", lines.concat()));
        }
    }
    let written = manifest::parse(Path::new("Skep.toml"), &text).unwrap();
    let left_out = manifest::parse(Path::new("Skep.toml"), "").unwrap();
    // Values carry the place they were written at; their text does not.
    let plain = |manifest: &skep::project::Manifest| {
        let bpf = &manifest.bpf;
        let values = |list: &[manifest::Located<String>]| {
            list.iter().map(|item| item.value.clone()).collect::<Vec<_>>()
        };
        format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            values(&bpf.sources),
            values(&bpf.include),
            bpf.cflags,
            bpf.defines,
            bpf.mcpu.value,
            bpf.vmlinux.value,
            bpf.link,
            manifest.user.kind.value,
            values(&manifest.kernels.matrix),
        )
    };
    assert!(text.lines().count() > 9, "{text}");
    assert_eq!(plain(&written), plain(&left_out));
}

/// What is wrong with each document, by a schema.
fn wrong(schema: &str, documents: &[Value]) -> Vec<Vec<String>> {
    let request = serde_json::json!({ "schema": schema, "documents": documents });
    serde_json::from_value(tools::node("validate.mjs", &request)).unwrap()
}

/// What commands say of projects that have every kind of mistake.
fn runs() -> Vec<(Place, Vec<&'static str>)> {
    let bad_manifest = Place::new();
    bad_manifest.file("Skep.toml", "[bfp]\n");
    vec![
        (crate::project::write(), vec!["build"]),
        (crate::project::write_checked(), vec!["check"]),
        (crate::project::write_checked(), vec!["check", "--deny", "warnings"]),
        (bad_manifest, vec!["build"]),
        (Place::new(), vec!["build"]),
        (Place::new(), vec!["explain"]),
        (Place::new(), vec!["doctor"]),
        (Place::new(), vec!["kernel", "list"]),
    ]
}

#[test]
fn every_line_of_json_is_as_its_schema_says() {
    let schema = repository("docs/json.schema.json");
    let schema = schema.to_str().unwrap();
    let mut lines = Vec::new();
    for (place, mut args) in runs() {
        args.extend(["--message-format", "json"]);
        let run = place.skep(&args);
        lines.extend(run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()));
    }
    let findings = lines.iter().filter(|line: &&Value| line["reason"] == "compiler-message");
    assert!(findings.count() > 30 && lines.len() > 60, "{} lines", lines.len());
    for (line, wrong) in lines.iter().zip(wrong(schema, &lines)) {
        assert!(wrong.is_empty(), "{wrong:#?}\n{line:#}");
    }
    // The schema is no rubber stamp.
    let mut broken =
        lines.iter().find(|line| line["reason"] == "compiler-message").unwrap().clone();
    broken["message"]["spans"][0]["line_start"] = Value::from(0);
    broken["skep"]["origin"] = Value::from("somebody");
    let nothing = serde_json::json!({});
    let said = wrong(schema, &[broken, nothing]);
    assert!(said[0].len() >= 2 && !said[1].is_empty(), "{said:?}");
}

#[test]
fn what_a_kernel_says_is_as_the_schema_says() {
    let place = Place::new();
    let source = |section: &str, body: &str| {
        format!(
            "#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\nSEC(\"{section}\")\n\
             int prog(void *ctx)\n{{\n\t{body}\n}}\nchar LICENSE[] SEC(\"license\") = \"GPL\";\n"
        )
    };
    place.file("good.bpf.c", source("socket", "return 0;"));
    place.file("bad.bpf.c", source("socket", "return *(volatile int *)4;"));
    place.file("nowhere.bpf.c", source("fentry/no_such_function", "return 0;"));
    place.file("odd.bpf.c", source("oddity", "return 0;"));
    let files = ["good.bpf.c", "bad.bpf.c", "nowhere.bpf.c", "odd.bpf.c"];
    let mut args = vec!["verify", "--message-format", "json", "-k", "debian/trixie", "--blame"];
    args.extend(files);
    let run = place.skep(&args).expect(1);
    let lines: Vec<Value> =
        run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of =
        |reason: &str| lines.iter().filter(|line| line["reason"] == reason).collect::<Vec<_>>();
    let verdicts = of("program-verdict");
    let words: BTreeSet<&str> =
        verdicts.iter().map(|row| row["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts.len(), files.len(), "{run}");
    assert!(words.len() >= 3, "{words:?}");
    assert!(!of("compiler-message").is_empty() && !of("line-cost").is_empty(), "{run}");
    let schema = repository("docs/json.schema.json");
    let schema = schema.to_str().unwrap();
    for (line, wrong) in lines.iter().zip(wrong(schema, &lines)) {
        assert!(wrong.is_empty(), "{wrong:#?}\n{line:#}");
    }
    // Nor is this part of it one.
    let mut broken = verdicts[0].clone();
    broken["verdict"] = Value::from("liked");
    broken["instructions"] = Value::from("many");
    assert!(wrong(schema, &[broken])[0].len() >= 2);
}

#[test]
fn sarif_is_as_the_official_schema_says() {
    let mut documents = Vec::new();
    for (place, mut args) in runs() {
        if matches!(args[0], "explain" | "doctor" | "kernel") {
            continue;
        }
        args.extend(["--message-format", "sarif"]);
        documents.push(serde_json::from_str(&place.skep(&args).stdout).unwrap());
    }
    let findings: usize = documents
        .iter()
        .map(|document: &Value| document["runs"][0]["results"].as_array().unwrap().len())
        .sum();
    assert!(findings > 30, "only {findings}");
    for (document, wrong) in documents.iter().zip(wrong("sarif", &documents)) {
        assert!(wrong.is_empty(), "{wrong:#?}\n{document:#}");
    }
    let mut broken = documents[0].clone();
    broken["runs"][0]["results"][0]["level"] = Value::from("fatal");
    assert!(!wrong("sarif", &[broken])[0].is_empty());
}
