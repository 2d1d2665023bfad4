//! Floor 1: the one diagnostic. Whatever finds something wrong, clang, the
//! object reader, a kernel's verifier or the manifest reader, says it with
//! this type; `report` renders it, in one place for each format.
//!
//! Everything here is plain data. Codes live in one table, [`codes`].

mod code;
pub mod codes;
mod failure;
mod fold;
mod levels;
mod span;

pub use code::{Class, Code};
pub use failure::Failure;
pub use fold::{fold, is_same};
pub use levels::{Level, Levels, Text, names_allowed};
pub use span::{Position, Span};

use std::path::{Path, PathBuf};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing, nothing to mend.
    Note,
    /// Works, but probably not as meant.
    Warning,
    /// Does not work.
    Error,
}

impl Severity {
    /// The word that formats print: `error`, `warning`, `note`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Who found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The command line or the environment skep was started in.
    Command,
    /// `Skep.toml`, or the same keys in `Cargo.toml`.
    Manifest,
    /// clang, compiling BPF C.
    Clang,
    /// The reader of object files, BTF and BTF.ext.
    Object,
    /// The CO-RE resolver.
    Core,
    /// The tables of what each kernel offers.
    Availability,
    /// A rule about source or object that is a matter of taste or caution.
    Lint,
    /// A real kernel's verifier.
    Verifier,
    /// Kernels, QEMU and the guest.
    Vm,
}

impl Origin {
    /// The stable name used in machine formats.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Manifest => "manifest",
            Self::Clang => "clang",
            Self::Object => "object",
            Self::Core => "core",
            Self::Availability => "availability",
            Self::Lint => "lint",
            Self::Verifier => "verifier",
            Self::Vm => "vm",
        }
    }
}

/// A span with what there is to say about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// What happened there; may be empty on a primary label.
    pub message: String,
}

/// A way out, in words and, where one is certain, as an edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Help {
    /// What to do, in the imperative.
    pub message: String,
    /// The edit that does it.
    pub edit: Option<Edit>,
}

/// A replacement of source text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What is replaced; an empty span inserts.
    pub span: Span,
    /// What stands there instead.
    pub replacement: String,
}

/// Where in a compiled object a finding lies, for findings that no C line can
/// be given for, and beside the line for those that have one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct ObjectPlace {
    /// The object file.
    pub object: PathBuf,
    /// The ELF section, as `SEC()` named it.
    pub section: Option<String>,
    /// The index of the instruction, counted in 8-byte slots from the start
    /// of the program as the kernel sees it.
    pub instruction: Option<u32>,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of finding this is; stable over releases.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// One line, in the developer's words, without a final stop.
    pub message: String,
    /// Where to look first.
    pub primary: Option<Label>,
    /// Where else to look, in the order of the story.
    pub secondary: Vec<Label>,
    /// What is known besides, one line or short paragraph each.
    pub notes: Vec<String>,
    /// What only helps who knows the machine's side of it: registers, the end
    /// of a log. Shown to people who ask for details.
    pub details: Vec<String>,
    /// Ways out.
    pub helps: Vec<Help>,
    /// Who found it.
    pub origin: Origin,
    /// The BPF program it concerns.
    pub program: Option<String>,
    /// The test whose failure it is.
    pub test: Option<String>,
    /// Where it lies in the object.
    pub place: Option<ObjectPlace>,
    /// The kernels it holds for, as references (`debian/trixie`); empty where
    /// it does not depend on a kernel.
    pub kernels: Vec<String>,
    /// The file that keeps the raw text this was made from.
    pub raw_log: Option<PathBuf>,
}

impl Diagnostic {
    /// A finding with its code's own severity and nothing but a message.
    pub fn new(code: Code, origin: Origin, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity(),
            message: message.into(),
            primary: None,
            secondary: Vec::new(),
            notes: Vec::new(),
            details: Vec::new(),
            helps: Vec::new(),
            origin,
            program: None,
            test: None,
            place: None,
            kernels: Vec::new(),
            raw_log: None,
        }
    }

    /// Puts it on a place.
    pub fn at(self, span: Span) -> Self {
        self.at_with(span, "")
    }

    /// Puts it on a place and says what is wrong there.
    pub fn at_with(mut self, span: Span, message: impl Into<String>) -> Self {
        self.primary = Some(Label { span, message: message.into() });
        self
    }

    /// Puts it on a file as a whole.
    pub fn in_file(self, path: impl AsRef<Path>) -> Self {
        self.at(Span::file(path))
    }

    /// Adds a second place.
    pub fn label(mut self, span: Span, message: impl Into<String>) -> Self {
        self.secondary.push(Label { span, message: message.into() });
        self
    }

    /// Adds a note.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Adds a way out.
    pub fn help(mut self, message: impl Into<String>) -> Self {
        self.helps.push(Help { message: message.into(), edit: None });
        self
    }

    /// Adds a way out that an editor can apply.
    pub fn help_edit(mut self, message: impl Into<String>, edit: Edit) -> Self {
        self.helps.push(Help { message: message.into(), edit: Some(edit) });
        self
    }

    /// Names the BPF program it concerns.
    pub fn program(mut self, name: impl Into<String>) -> Self {
        self.program = Some(name.into());
        self
    }

    /// Names the test whose failure it is.
    pub fn test(mut self, name: impl Into<String>) -> Self {
        self.test = Some(name.into());
        self
    }

    /// Names the kernel it was seen on.
    pub fn kernel(mut self, reference: impl Into<String>) -> Self {
        self.kernels.push(reference.into());
        self
    }

    /// Names the place in the object.
    pub fn object_place(mut self, place: ObjectPlace) -> Self {
        self.place = Some(place);
        self
    }

    /// Overrides the code's own severity.
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// Whether it is an error.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl From<crate::base::fs::Error> for Diagnostic {
    /// A path that could not be read or written, with what to do where the
    /// reason says it.
    fn from(error: crate::base::fs::Error) -> Self {
        use std::io::ErrorKind;
        let (code, help) = match error.source.kind() {
            ErrorKind::NotFound => (codes::FILE_NOT_FOUND, None),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                (codes::DISK_FULL, Some("free some space, then run the command again"))
            }
            ErrorKind::ReadOnlyFilesystem => {
                (codes::FILE_ACCESS, Some("the file system is read-only; choose another directory"))
            }
            ErrorKind::PermissionDenied => {
                (codes::FILE_ACCESS, Some("check the owner and the permissions of the path"))
            }
            _ => (codes::FILE_ACCESS, None),
        };
        let diagnostic = Self::new(code, Origin::Command, error.to_string());
        match help {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        }
    }
}
