//! `skep inspect OBJ`: tables of what is in an object.

use crate::commands::CommandResult;
use crate::shell::Shell;
use skep::ops::Session;
use skep::ops::build::Profile;
use skep::ops::contents::{Contents, Extern, Global, Map, Program, Subprogram, Use};
use skep::ops::inspect::{self, Inspected};
use skep::report::{Cell, Format, Table};
use std::path::PathBuf;

/// How many of the functions that refer to something are named.
const FUNCTIONS: usize = 3;

/// Looks and reports.
pub fn run(path: PathBuf, profile: Profile, session: &Session, shell: &Shell) -> CommandResult {
    let (inspected, diagnostics) = inspect::objects(session, path, profile)?;
    shell.diagnostics(&diagnostics);
    for (index, object) in inspected.iter().enumerate() {
        let name = object.path.display().to_string();
        let tables = [
            summary(object),
            programs(&name, &object.contents),
            maps(&name, &object.contents),
            globals(&name, &object.contents),
            externs(&name, &object.contents),
            references(&name, &object.contents),
        ];
        let filled = tables.iter().filter(|table| !table.rows.is_empty());
        for (at, table) in filled.enumerate() {
            if (at > 0 || index > 0) && shell.format() == Format::Human {
                shell.raw(b"\n");
            }
            shell.table(table);
        }
    }
    Ok(())
}

fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

fn maybe(words: Option<&str>) -> Cell {
    words.filter(|words| !words.is_empty()).map_or(Cell::Unknown, text)
}

fn count(number: usize) -> Cell {
    Cell::Count(number as u64)
}

fn summary(object: &Inspected) -> Table {
    let mut table = Table::new(
        "object",
        &[
            ("path", "OBJECT"),
            ("license", "LICENSE"),
            ("bytes", "SIZE"),
            ("btf_bytes", "BTF"),
            ("dwarf_bytes", "DWARF"),
            ("global_bytes", "GLOBALS"),
            ("big_endian", ""),
            ("", "BYTE ORDER"),
            ("kernel_version", ""),
            ("programs", ""),
            ("maps", ""),
        ],
    );
    let contents = &object.contents;
    table.push(vec![
        Cell::Text(object.path.display().to_string()),
        maybe(contents.license.as_deref()),
        Cell::Bytes(object.bytes),
        contents.btf_bytes.map_or(Cell::Unknown, Cell::Bytes),
        match contents.dwarf_bytes {
            0 => Cell::Unknown,
            bytes => Cell::Bytes(bytes),
        },
        Cell::Bytes(contents.globals.iter().map(|global| global.size).sum()),
        Cell::Flag(contents.big_endian),
        text(if contents.big_endian { "big" } else { "little" }),
        contents.kernel_version.map_or(Cell::Unknown, |version| Cell::Number(version.into())),
        count(contents.programs.len()),
        count(contents.maps.len()),
    ]);
    table
}

fn programs(object: &str, contents: &Contents) -> Table {
    let mut table = Table::new(
        "object-program",
        &[
            ("object", ""),
            ("name", "PROGRAM"),
            ("section", "SECTION"),
            ("type", "TYPE"),
            ("target", ""),
            ("instructions", "INSNS"),
            ("file", ""),
            ("line", ""),
            ("", "PLACE"),
        ],
    );
    let mut row = |name: &str, section: &str, kind, target: Option<&str>, instructions, place| {
        let place: &Option<(String, u32)> = place;
        let (file, line) = match place {
            Some((file, line)) => (Some(file.as_str()), Some(*line)),
            None => (None, None),
        };
        let together = file.zip(line).map(|(file, line)| format!("{file}:{line}"));
        table.push(vec![
            text(object),
            text(name),
            text(section),
            maybe(kind),
            maybe(target),
            count(instructions),
            maybe(file),
            line.map_or(Cell::Unknown, |line| Cell::Number(line.into())),
            maybe(together.as_deref()),
        ]);
    };
    for program in &contents.programs {
        let Program { name, section, program_type, target, instructions, place } = program;
        row(name, section, *program_type, target.as_deref(), *instructions, place);
    }
    for Subprogram { name, instructions, place } in &contents.subprograms {
        row(name, ".text", Some("subprogram"), None, *instructions, place);
    }
    table
}

fn maps(object: &str, contents: &Contents) -> Table {
    let mut table = Table::new(
        "object-map",
        &[
            ("object", ""),
            ("name", "MAP"),
            ("type", "TYPE"),
            ("key", ""),
            ("value", ""),
            ("key_size", ""),
            ("value_size", ""),
            ("", "KEY"),
            ("", "VALUE"),
            ("max_entries", "ENTRIES"),
            ("flags", "FLAGS"),
            ("pinned", ""),
            ("", "PINNED"),
        ],
    );
    for map in &contents.maps {
        let Map { name, map_type, key_size, value_size, key, value, max_entries, .. } = map;
        let sized = |ty: &Option<String>, size: u32| match (ty, size) {
            (_, 0) => Cell::Unknown,
            (Some(ty), size) => Cell::Text(format!("{ty} ({size} B)")),
            (None, size) => Cell::Bytes(size.into()),
        };
        table.push(vec![
            text(object),
            text(name),
            maybe(*map_type),
            maybe(key.as_deref()),
            maybe(value.as_deref()),
            Cell::Number((*key_size).into()),
            Cell::Number((*value_size).into()),
            sized(key, *key_size),
            sized(value, *value_size),
            Cell::Count((*max_entries).into()),
            maybe(Some(&map.flags)),
            Cell::Flag(map.is_pinned),
            if map.is_pinned { text("by name") } else { Cell::Unknown },
        ]);
    }
    table
}

fn globals(object: &str, contents: &Contents) -> Table {
    let mut table = Table::new(
        "object-global",
        &[
            ("object", ""),
            ("name", ""),
            ("declaration", "GLOBAL"),
            ("section", "SECTION"),
            ("constant", ""),
            ("offset", "OFFSET"),
            ("size", "SIZE"),
        ],
    );
    for global in &contents.globals {
        let Global { name, section, is_constant, declaration, offset, size } = global;
        table.push(vec![
            text(object),
            text(name),
            text(declaration),
            text(section),
            Cell::Flag(*is_constant),
            Cell::Number(*offset),
            Cell::Bytes(*size),
        ]);
    }
    table
}

fn externs(object: &str, contents: &Contents) -> Table {
    let mut table = Table::new(
        "object-extern",
        &[
            ("object", ""),
            ("name", ""),
            ("kind", "KIND"),
            ("", "EXTERN"),
            ("declaration", ""),
            ("weak", ""),
            ("", "NEEDED"),
        ],
    );
    for known in &contents.externs {
        let Extern { name, kind, is_weak, declaration } = known;
        table.push(vec![
            text(object),
            text(name),
            text(kind),
            text(declaration.as_deref().unwrap_or(name)),
            maybe(declaration.as_deref()),
            Cell::Flag(*is_weak),
            text(if *is_weak { "no" } else { "yes" }),
        ]);
    }
    table
}

fn references(object: &str, contents: &Contents) -> Table {
    let mut table = Table::new(
        "object-reference",
        &[
            ("object", ""),
            ("kind", ""),
            ("", "REFERENCE"),
            ("name", "TO"),
            ("question", "ASKS"),
            ("count", "USES"),
            ("functions", ""),
            ("", "IN"),
        ],
    );
    for Use { kind, name, question, functions, count } in &contents.references {
        let more = match functions.len() {
            len if len > FUNCTIONS => format!(" and {} more", len - FUNCTIONS),
            _ => String::new(),
        };
        let few = functions.iter().take(FUNCTIONS).cloned().collect::<Vec<_>>().join(", ");
        table.push(vec![
            text(object),
            text(kind),
            text(if *kind == "core" { "CO-RE" } else { kind }),
            text(name),
            maybe(*question),
            Cell::Count(*count as u64),
            Cell::Text(functions.join(" ")),
            Cell::Text(few + &more),
        ]);
    }
    table
}
