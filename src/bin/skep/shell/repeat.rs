//! What a command that runs again and again has said already.

use skep::diagnostics::{Diagnostic, Severity};
use skep::report::{Cell, Table};

/// What was said in the run before, and is said in this one.
#[derive(Default)]
pub struct Repeated {
    /// Of the run before, what did not come again yet.
    before: Vec<Diagnostic>,
    now: Vec<Diagnostic>,
    tables_before: Vec<Table>,
    tables: Vec<Table>,
    known: usize,
}

/// What a run comes to beside the one before.
#[derive(Default)]
pub struct Ending {
    /// What did not come again.
    pub gone: Vec<Diagnostic>,
    /// How many findings came again.
    pub known: usize,
}

impl Repeated {
    /// A run begins.
    pub fn begin(&mut self) {
        self.before = std::mem::take(&mut self.now);
        self.tables_before = std::mem::take(&mut self.tables);
        self.known = 0;
    }

    /// Whether a finding was there in the run before, perhaps on another line.
    pub fn knows(&mut self, diagnostic: &Diagnostic) -> bool {
        self.now.push(diagnostic.clone());
        let line = |d: &Diagnostic| d.primary.as_ref().map(|label| label.span.start);
        let same = |known: &&Diagnostic| is_same(known, diagnostic);
        // Of several alike, one that did not move is the same before others.
        let at = self
            .before
            .iter()
            .position(|known| same(&known) && line(known) == line(diagnostic))
            .or_else(|| self.before.iter().position(|known| same(&known)));
        if let Some(at) = at {
            self.before.remove(at);
            self.known += 1;
        }
        at.is_some()
    }

    /// The rows of a table that the run before did not have.
    pub fn news(&mut self, table: &Table) -> Table {
        let before = self.tables_before.iter().filter(|known| known.row == table.row);
        let old: Vec<&Vec<Cell>> = before.flat_map(|known| &known.rows).collect();
        let is_new = |row: &&Vec<Cell>| {
            !old.iter().any(|known| {
                let cells = known.iter().zip(*row).zip(&table.columns);
                cells.into_iter().all(|((a, b), column)| a == b || !counts(b, column.key))
            })
        };
        let mut new = table.clone();
        new.rows = table.rows.iter().filter(is_new).cloned().collect();
        self.tables.push(table.clone());
        new
    }

    /// The run ends.
    pub fn end(&mut self) -> Ending {
        Ending { gone: std::mem::take(&mut self.before), known: self.known }
    }
}

/// Whether a cell that differs is news: times always differ, what was built
/// just now is known, and columns that only people see repeat others.
fn counts(cell: &Cell, key: &str) -> bool {
    !matches!(cell, Cell::Micros(_) | Cell::Flag(_)) && !key.is_empty() && !key.ends_with("_micros")
}

fn is_same(a: &Diagnostic, b: &Diagnostic) -> bool {
    let file = |d: &Diagnostic| d.primary.as_ref().map(|label| label.span.file.clone());
    (a.code, a.severity, &a.message, &a.program, &a.kernels)
        == (b.code, b.severity, &b.message, &b.program, &b.kernels)
        && file(a) == file(b)
}

/// How many errors and warnings, in words.
pub fn words(errors: usize, warnings: usize) -> String {
    let words = |count: usize, severity: Severity| match count {
        1 => format!("1 {}", severity.as_str()),
        count => format!("{count} {}s", severity.as_str()),
    };
    match (errors, warnings) {
        (0, 0) => "nothing found".to_owned(),
        (errors, 0) => words(errors, Severity::Error),
        (0, warnings) => words(warnings, Severity::Warning),
        (errors, warnings) => {
            format!("{}, {}", words(errors, Severity::Error), words(warnings, Severity::Warning))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep::diagnostics::{Origin, Span, codes};

    fn finding(message: &str, line: u32) -> Diagnostic {
        Diagnostic::new(codes::CLANG_ERROR, Origin::Clang, message).at(Span::line("a.bpf.c", line))
    }

    #[test]
    fn a_finding_that_moved_is_no_news() {
        let mut repeated = Repeated::default();
        repeated.begin();
        assert!(!repeated.knows(&finding("x", 3)) && !repeated.knows(&finding("y", 5)));
        repeated.end();
        repeated.begin();
        assert!(repeated.knows(&finding("x", 4)));
        assert!(!repeated.knows(&finding("x", 9)), "there was one");
        let ending = repeated.end();
        assert_eq!((ending.gone, ending.known), (vec![finding("y", 5)], 1));
    }

    #[test]
    fn rows_that_differ_in_times_alone_are_no_news() {
        let table = |verdict: &str, micros: u64| {
            let mut table = Table::new("v", &[("p", "P"), ("verdict", "V"), ("load_micros", "T")]);
            table.push(vec![
                Cell::Text("one".into()),
                Cell::Text(verdict.into()),
                Cell::Micros(micros),
            ]);
            table
        };
        let mut repeated = Repeated::default();
        repeated.begin();
        assert_eq!(repeated.news(&table("accepted", 1)).rows.len(), 1);
        repeated.begin();
        assert_eq!(repeated.news(&table("accepted", 2)).rows.len(), 0);
        repeated.begin();
        assert_eq!(repeated.news(&table("rejected", 2)).rows.len(), 1);
    }
}
