//! Tabular results: what a command found out, for every format at once. The
//! human format aligns them, JSON makes an object of each row.

/// A table with a name, for machines, and columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// What a row is, in kebab case; JSON's `reason`: `program-verdict`.
    pub row: &'static str,
    /// The columns, in order.
    pub columns: Vec<Column>,
    /// The rows; each as long as `columns`.
    pub rows: Vec<Vec<Cell>>,
}

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// The key in JSON, in snake case; empty for a column that only people
    /// see.
    pub key: &'static str,
    /// The heading for people; empty for a column that only machines see.
    pub title: &'static str,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Words.
    Text(String),
    /// Words that say that something is well.
    Good(String),
    /// Words that say that something is not.
    Bad(String),
    /// Words that ask for a look.
    Caution(String),
    /// Several words.
    Words(Vec<String>),
    /// A count; people see digits in groups.
    Count(u64),
    /// A number that is a name: of a type, of an instruction. As it is.
    Number(u64),
    /// A time in microseconds; people see a unit.
    Micros(u64),
    /// A size in bytes; people see a unit.
    Bytes(u64),
    /// Counts between these two, both included.
    Range(u64, u64),
    /// A change in per cent; people see a sign.
    Percent(f64),
    /// A part of a whole in per cent.
    Share(f64),
    /// Several texts: JSON's array, one after the other for people.
    List(Vec<String>),
    /// Yes or no.
    Flag(bool),
    /// Nothing is known: JSON's null, a dash for people.
    Unknown,
}

impl Table {
    /// An empty table.
    pub fn new(row: &'static str, columns: &[(&'static str, &'static str)]) -> Self {
        let columns = columns.iter().map(|&(key, title)| Column { key, title }).collect();
        Self { row, columns, rows: Vec::new() }
    }

    /// Adds a row.
    ///
    /// # Panics
    /// If it is not as long as there are columns.
    pub fn push(&mut self, row: Vec<Cell>) {
        assert_eq!(row.len(), self.columns.len(), "a row of table {} has a wrong length", self.row);
        self.rows.push(row);
    }
}
