//! What a C compiler and a linker say of a user program → [`Diagnostic`].

use crate::build::complaints;
use crate::diagnostics::{Diagnostic, Origin, Span, codes};
use std::path::Path;

/// The arguments that give the text of gcc and clang alike the form that is
/// read here. Columns count a tab as one.
pub const ARGUMENTS: &[&str] = &[
    "-fdiagnostics-color=never",
    "-fdiagnostics-parseable-fixits",
    "-fdiagnostics-show-option",
    "-ftabstop=1",
];

/// The findings in what a compiler wrote to standard error.
pub fn of_compiler(
    text: &str,
    root: &Path,
    read: &dyn Fn(&Path) -> Option<String>,
) -> Vec<Diagnostic> {
    let mut found = complaints::parse(text, root, read);
    for diagnostic in &mut found {
        let code = match diagnostic.is_error() {
            true => codes::USER_ERROR,
            false => codes::USER_WARNING,
        };
        let mut own = Diagnostic::new(code, Origin::Clang, diagnostic.message.clone());
        own.primary = diagnostic.primary.take();
        own.secondary = std::mem::take(&mut diagnostic.secondary);
        own.notes = std::mem::take(&mut diagnostic.notes);
        own.helps = std::mem::take(&mut diagnostic.helps);
        *diagnostic = own;
    }
    if let Some(header) = found.iter_mut().find(|known| known.message.contains("gelf.h")) {
        *header = header.clone().help(INSTALL);
    }
    found
}

/// How to get what libbpf is linked with.
const INSTALL: &str = "install what libbpf needs: `sudo apt-get install libelf-dev zlib1g-dev` (Debian, Ubuntu) or \
     `sudo dnf install elfutils-libelf-devel zlib-devel` (Fedora)";

/// The finding in what a linker wrote to standard error.
pub fn of_linker(text: &str, program: &str, root: &Path) -> Diagnostic {
    let new = |message: String| Diagnostic::new(codes::USER_LINK_FAILED, Origin::Clang, message);
    let mut diagnostic = None;
    for line in text.lines().map(str::trim) {
        // `ld: main.o: in function `f':` goes before; `collect2: error: ld
        // returned 1` after.
        let line = line.rsplit_once("/ld: ").map_or(line, |(_, rest)| rest);
        let line = line.rsplit_once("ld.lld: error: ").map_or(line, |(_, rest)| rest);
        let library = line.find("cannot find -l").map(|at| &line[at + "cannot find -l".len()..]);
        let found = if let Some(library) = library {
            let name = library.split([':', ' ']).next().unwrap_or_default();
            let missing = new(format!("the library `{name}` was not found for `{program}`"));
            match name {
                "elf" | "z" => missing.help(INSTALL),
                "zstd" => missing.help("install it: `sudo apt-get install libzstd-dev`"),
                "bpf" => missing.help("write `libbpf = \"bundled\"` in [user] to use skep's own"),
                _ => missing.help(
                    "install its development package, or correct `libs` in the manifest's [user]",
                ),
            }
        } else if let Some(at) = line.find("undefined reference to") {
            let symbol = line[at..].trim_start_matches("undefined reference to").trim();
            let symbol = symbol.trim_matches(['`', '\'', '"', ';']);
            let undefined = new(format!("`{symbol}` is used in `{program}`, and defined nowhere"));
            let undefined = match symbol {
                "main" => undefined.help("write a function `main` in one of the sources"),
                _ => undefined
                    .help("name the library that has it with `libs` in the manifest's [user]"),
            };
            match place(&line[..at], root) {
                Some(span) => undefined.at(span),
                None => undefined,
            }
        } else if let Some(at) = line.find("multiple definition of") {
            let rest = line[at..].trim_start_matches("multiple definition of").trim();
            let symbol = rest.split(';').next().unwrap_or_default().trim_matches(['`', '\'']);
            let twice = new(format!("`{symbol}` is defined twice in `{program}`"));
            match place(&line[..at], root) {
                Some(span) => twice.at(span),
                None => twice,
            }
        } else {
            continue;
        };
        diagnostic.get_or_insert(found);
    }
    diagnostic.unwrap_or_else(|| {
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let first = lines.next().unwrap_or("the linker did not say why").trim();
        let diagnostic = new(format!("`{program}` cannot be linked: {first}"));
        lines.take(5).fold(diagnostic, |diagnostic, line| diagnostic.note(line.trim()))
    })
}

/// Reads the `FILE:LINE:` that the linker knows from DWARF.
fn place(text: &str, root: &Path) -> Option<Span> {
    let text = text.trim().trim_end_matches(':');
    let (file, line) = text.rsplit_once(':')?;
    let file = file.rsplit(' ').next().filter(|file| !file.is_empty())?;
    Some(Span::line(root.join(file), line.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linkers_words_are_placed() {
        let text = "/usr/bin/ld: t/main.o: in function `main':\nsrc/main.c:5: undefined reference \
                    to `sqrt'\ncollect2: error: ld returned 1 exit status\n";
        let found = of_linker(text, "opens", Path::new("/p"));
        assert_eq!(found.message, "`sqrt` is used in `opens`, and defined nowhere");
        assert_eq!(found.primary.unwrap().span, Span::line("/p/src/main.c", 5));
    }

    #[test]
    fn missing_libraries_come_with_their_packages() {
        let text = "/usr/bin/ld: cannot find -lelf: No such file or directory\n";
        let found = of_linker(text, "opens", Path::new("/p"));
        assert_eq!(found.message, "the library `elf` was not found for `opens`");
        assert!(found.helps[0].message.contains("libelf-dev"));
    }

    #[test]
    fn other_words_are_kept() {
        let found = of_linker("ld: strange\nmore\n", "opens", Path::new("/p"));
        assert_eq!(found.message, "`opens` cannot be linked: ld: strange");
        assert_eq!(found.notes, ["more"]);
    }

    #[test]
    fn gccs_text_is_read_too() {
        let text = "In file included from src/a.c:1:\nsrc/a.h: In function ‘f’:\n\
                    src/a.h:3:5: warning: unused variable ‘x’ [-Wunused-variable]\n    3 |   int x;\n\
                    \x20     |       ^\nsrc/a.c:9:2: error: ‘y’ undeclared\n";
        let found = of_compiler(text, Path::new("/p"), &|_| None);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].code, codes::USER_WARNING);
        assert_eq!(found[1].code, codes::USER_ERROR);
        assert_eq!(found[1].primary.as_ref().unwrap().span, Span::point("/p/src/a.c", 9, 2));
    }
}
