//! Front ends: what the program that loads the BPF side is written in.

use std::fmt;

/// What a project's user program is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lang {
    /// C.
    C,
    /// Rust.
    Rust,
    /// There is none.
    #[default]
    None,
}

impl Lang {
    /// Every front end.
    pub const ALL: [Self; 3] = [Self::C, Self::Rust, Self::None];

    /// The stable name: in `template.toml`, behind `--lang`, and what
    /// `user.kind` is in `Skep.toml`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::C => "c",
            Self::Rust => "rust",
            Self::None => "none",
        }
    }

    /// The front end of this name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lang| lang.as_str() == name)
    }
}

impl fmt::Display for Lang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
