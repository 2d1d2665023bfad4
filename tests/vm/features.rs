//! The table of helpers against the kernels themselves: each helper in each
//! kind of program, tried on each of Debian's kernels.

use crate::support::Place;
use std::collections::BTreeMap;
use std::path::Path;

/// What a kernel answers: its version, and the numbers of the helpers of each
/// section whose programs it takes.
fn ask(kernel: &str) -> (String, BTreeMap<String, Vec<u64>>) {
    let place = Place::new();
    let rows = |args: &[&str]| -> Vec<serde_json::Value> {
        let run = place.skep(&[args, &["--message-format", "json"]].concat()).expect(0);
        run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let mut sections = BTreeMap::<String, Vec<u64>>::new();
    for row in rows(&["kernel", "features", kernel, "--helpers"]) {
        if row["reason"] == "kernel-helper" {
            let section = row["section"].as_str().unwrap().to_owned();
            sections.entry(section).or_default().push(row["id"].as_u64().unwrap());
        }
    }
    let kernels = rows(&["kernel", "list"]);
    let row = kernels.iter().find(|row| row["reference"] == kernel).unwrap();
    let release: Vec<_> = row["release"].as_str().unwrap().split('.').take(2).collect();
    (release.join("."), sections)
}

/// `1-3,5`
fn ranges(ids: &[u64]) -> String {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for &id in ids {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == id => *last = id,
            _ => runs.push((id, id)),
        }
    }
    let text = |(first, last): &(u64, u64)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    runs.iter().map(text).collect::<Vec<_>>().join(",")
}

/// Compares a column of the table with the kernel; `SKEP_BLESS=1` writes it
/// anew, and a column that is not there yet.
fn compare(kernel: &str) {
    let (release, sections) = ask(kernel);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bpf/allowed.tsv");
    let read = || -> Vec<Vec<String>> {
        let text = std::fs::read_to_string(&path).unwrap();
        text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
    };
    let cell = |name: &str| sections.get(name).map_or_else(|| "-".into(), |ids| ranges(ids));
    let kinds = skep::ops::features::kinds();
    if std::env::var_os("SKEP_BLESS").is_some() {
        let mut rows = read();
        rows.resize_with(kinds.len() + 1, Vec::new);
        let column = rows[0].iter().position(|known| *known == release).unwrap_or(rows[0].len());
        for (index, row) in rows.iter_mut().enumerate() {
            let (name, cell) = match index.checked_sub(1).map(|index| kinds[index].name) {
                None => ("section", release.clone()),
                Some(name) => (name, cell(name)),
            };
            row.resize(row.len().max(column + 1), String::new());
            row[0] = name.to_owned();
            row[column] = cell;
        }
        let lines: Vec<_> = rows.iter().map(|row| row.join("\t") + "\n").collect();
        std::fs::write(&path, lines.concat()).unwrap();
    }
    let rows = read();
    assert_eq!(rows.len(), kinds.len() + 1);
    let column = rows[0].iter().position(|known| *known == release);
    for (row, def) in rows[1..].iter().zip(kinds) {
        assert_eq!(row[0], def.name);
        match column {
            Some(column) => assert_eq!(row[column], cell(def.name), "{} on {release}", def.name),
            // sid moves on. A newer kernel allows what older ones did;
            // SKEP_BLESS=1 gives it a column.
            None => {
                let asked = sections.get(def.name).map(Vec::as_slice).unwrap_or_default();
                let lost: Vec<_> = numbers(row.last().unwrap())
                    .into_iter()
                    .filter(|id| !asked.contains(id))
                    .collect();
                assert_eq!(lost, [0; 0], "{} on {release}", def.name);
            }
        }
    }
}

/// The numbers of a cell: the other way round than [`ranges`].
fn numbers(cell: &str) -> Vec<u64> {
    let runs = cell.split(',').filter(|run| !run.is_empty() && *run != "-");
    runs.flat_map(|run| {
        let (first, last) = run.split_once('-').unwrap_or((run, run));
        first.parse::<u64>().unwrap()..=last.parse().unwrap()
    })
    .collect()
}

#[test]
fn linux_5_10_allows_what_the_table_says() {
    compare("debian/bullseye");
}

#[test]
fn linux_6_1_allows_what_the_table_says() {
    compare("debian/bookworm");
}

#[test]
fn linux_6_12_allows_what_the_table_says() {
    compare("debian/trixie");
}

#[test]
fn linux_7_x_allows_what_the_table_says() {
    compare("debian/sid");
}
