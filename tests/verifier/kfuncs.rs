//! The table of kfuncs' flags, held against the kernels' sources as Debian
//! packages them. `SKEP_BLESS=1` writes it anew.

use crate::support::debian;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The file of each kfunc, and its flags.
type Kfuncs = BTreeMap<String, (String, Vec<String>)>;

#[test]
fn the_table_says_what_the_kernels_say() {
    compare("6.12", "trixie");
    // Linux 7 moves on under its name: the suite says which it has.
    let release = debian::kernel_release("debian/sid");
    let version: Vec<&str> = release.split(['.', '-', '+']).take(2).collect();
    compare(&version.join("."), "sid");
}

/// Compares a column with a kernel's source.
fn compare(version: &str, suite: &str) {
    let known = of_source(&debian::kernel_source(version, suite));
    assert!(known.len() > 150, "only {} kfuncs in {version}", known.len());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bpf/kfuncs.tsv");
    let text = std::fs::read_to_string(&path).unwrap();
    let (comments, lines): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| line.starts_with('#'));
    let rows: Vec<Vec<&str>> = lines.iter().map(|line| line.split('\t').collect()).collect();
    let mut head = rows[0].clone();
    let is_blessed = std::env::var_os("SKEP_BLESS").is_some();
    if is_blessed && !head.contains(&version) {
        head.push(version);
    }
    let column = head.iter().position(|name| *name == version);
    let Some(column) = column else {
        // sid moves on, and most kfuncs stay. SKEP_BLESS=1 gives it a column.
        let newest: Vec<_> = rows[1..].iter().filter(|row| row.last() != Some(&"-")).collect();
        let kept = newest.iter().filter(|row| known.contains_key(row[0])).count();
        assert!(kept * 10 >= newest.len() * 8, "{version} has {kept} of {}", newest.len());
        return;
    };
    let mut table: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in &rows[1..] {
        let mut cells: Vec<String> = row[1..].iter().map(|cell| (*cell).to_owned()).collect();
        cells.resize(head.len() - 1, "-".to_owned());
        cells[column - 1] = "-".to_owned();
        table.insert(row[0].to_owned(), cells);
    }
    // The newest kernel names the file.
    let is_newest = column + 1 == head.len();
    for (name, (file, flags)) in known {
        let row = table.entry(name).or_insert_with(|| {
            let mut row = vec!["-".to_owned(); head.len() - 1];
            row[0] = file.clone();
            row
        });
        if is_newest {
            row[0] = file;
        }
        row[column - 1] = if flags.is_empty() { "0".to_owned() } else { flags.join("|") };
    }
    table.retain(|_, row| row[1..].iter().any(|cell| cell != "-"));
    let mut new: String = comments.iter().map(|line| format!("{line}\n")).collect();
    new += &(head.join("\t") + "\n");
    for (name, row) in table {
        new += &format!("{name}\t{}\n", row.join("\t"));
    }
    if is_blessed {
        std::fs::write(&path, &new).unwrap();
    }
    let differs = new.lines().zip(text.lines()).find(|(new, old)| new != old);
    assert!(is_blessed || new == text, "{version}: SKEP_BLESS=1 makes it anew: {differs:#?}");
}

/// The kfuncs of a kernel: what its C files put into the sets that they
/// register as such.
fn of_source(root: &Path) -> Kfuncs {
    let mut files = Vec::new();
    c_files(root, &mut files);
    files.sort();
    let mut found = Kfuncs::new();
    for file in files {
        let name = file.strip_prefix(root).unwrap().to_str().unwrap();
        if name.starts_with("tools/") {
            continue;
        }
        let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        let text = without_comments(&text);
        let others = sets_of_others(&text);
        for part in text.split("BTF_KFUNCS_START(").skip(1) {
            let (set, rest) = part.split_once(')').unwrap();
            let (body, _) = rest.split_once("BTF_KFUNCS_END").unwrap();
            if others.contains(set.trim()) {
                continue;
            }
            for entry in body.split("BTF_ID_FLAGS(").skip(1) {
                let (arguments, _) = entry.split_once(')').unwrap();
                let mut arguments = arguments.split(',').map(str::trim);
                assert_eq!(arguments.next(), Some("func"), "{name}: {entry}");
                let kfunc = arguments.next().unwrap().to_owned();
                let (_, flags) = found.entry(kfunc).or_insert((name.to_owned(), Vec::new()));
                for flag in arguments.next().unwrap_or_default().split('|').map(str::trim) {
                    if !flag.is_empty() && !flags.iter().any(|known| known == flag) {
                        flags.push(flag.to_owned());
                    }
                }
            }
        }
    }
    found
}

fn c_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            c_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "c") {
            found.push(path);
        }
    }
}

/// C without comments and lines of the preprocessor, which write entries of
/// their own.
fn without_comments(text: &str) -> String {
    let mut rest = text;
    let mut code = String::new();
    while let Some((before, after)) = rest.split_once("/*") {
        code += before;
        rest = after.split_once("*/").map_or("", |(_, after)| after);
    }
    code += rest;
    let is_code =
        |line: &&str| !line.trim_start().starts_with(['#']) && !line.trim_start().starts_with("//");
    code.lines().filter(is_code).collect::<Vec<_>>().join("\n")
}

/// Sets that are written as those of kfuncs are, and say instead which
/// functions programs may give another return value (`fmod_ret`).
fn sets_of_others(text: &str) -> BTreeSet<&str> {
    let registered = text.split("register_btf_fmodret_id_set(&").skip(1);
    let variables = registered.filter_map(|rest| rest.split_once(')')).map(|(name, _)| name);
    let sets = variables.filter_map(|variable| {
        let (_, rest) = text.split_once(&format!("btf_kfunc_id_set {variable} ="))?;
        let (body, _) = rest.split_once('}')?;
        let (_, set) = body.split_once(".set")?;
        let set = set.split_once('&')?.1;
        Some(set.split([',', '\n']).next()?.trim())
    });
    sets.collect()
}
