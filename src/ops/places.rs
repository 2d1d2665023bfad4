//! Where instructions come from: the C lines of an object's programs, and
//! the source files behind them, for those who explain a kernel's log.

use super::Session;
use crate::base::fs;
use crate::bpf::{Helper, Insn};
use crate::diagnostics::Span;
use crate::elf::Object;
use crate::relocate::{self, Image};
use crate::verifier_log::Places;
use std::path::{Path, PathBuf};

/// Source files larger than this are not read.
const MAX_SOURCE: u64 = 16 << 20;

/// The C lines of one program of an object.
pub(super) struct ProgramPlaces<'o> {
    image: Option<Image<'o>>,
    finder: SourceFinder,
}

/// Finds source files by the names that BTF keeps, which are relative to the
/// directory the compiler ran in, or were on another machine.
#[derive(Clone, Debug)]
pub(super) struct SourceFinder {
    directories: Vec<PathBuf>,
    cwd: PathBuf,
}

impl SourceFinder {
    /// Looks in `root`, the directory the compiler is thought to have run in,
    /// then where skep was started and above `root`.
    pub(super) fn new(session: &Session, root: &Path) -> Self {
        let root = session.absolute(root);
        // An object in `target/skep/` of a source in `src/`: three levels up
        // are enough for the layouts of skep, cargo and libbpf-bootstrap.
        let above = root.ancestors().skip(1).take(3).map(Path::to_owned);
        let directories = [root.clone(), session.cwd.clone()].into_iter().chain(above).collect();
        Self { directories, cwd: session.cwd.clone() }
    }

    /// The path under which a file can be read, as the user would write it.
    fn find(&self, file: &Path) -> Option<PathBuf> {
        let direct = self.directories.iter().map(|directory| directory.join(file));
        let below = self.directories.iter().map(|directory| directory.join("src").join(file));
        let found = direct.chain(below).find(|path| fs::is_file(path))?;
        Some(found.strip_prefix(&self.cwd).map(Path::to_owned).unwrap_or(found))
    }

    /// A span whose file can be read, if there is one.
    pub(super) fn settle(&self, mut span: Span) -> Span {
        if let Some(found) = self.find(&span.file) {
            span.file = found;
        }
        span
    }

    fn read(&self, file: &Path) -> Option<String> {
        let path = self.cwd.join(file);
        let small =
            fs::metadata(&path).is_ok_and(|data| data.is_file() && data.len() <= MAX_SOURCE);
        small
            .then(|| fs::read(&path).ok())
            .flatten()
            .and_then(|bytes| String::from_utf8(bytes).ok())
    }
}

impl<'o> ProgramPlaces<'o> {
    /// The places of a program; of none where the object does not tell.
    pub(super) fn new(
        object: Option<&'o Object>,
        program: Option<&str>,
        finder: SourceFinder,
    ) -> Self {
        let image =
            object.zip(program).and_then(|(object, program)| relocate::image(object, program).ok());
        Self { image, finder }
    }
}

impl Places for ProgramPlaces<'_> {
    fn span(&self, instruction: u32) -> Option<Span> {
        let span = self.image.as_ref()?.span(usize::try_from(instruction).ok()?)?;
        Some(self.finder.settle(span))
    }

    fn call(&self, caller: &str, callee: &str) -> Option<u32> {
        let image = self.image.as_ref()?;
        let part = |name: &str| image.parts.iter().find(|part| part.name == name);
        let (caller, callee) = (part(caller)?, part(callee)?);
        let slots = caller.start..caller.start + caller.len;
        let found = slots.into_iter().find(|&at| {
            let insn = image.insns.get(at).filter(|insn| insn.is_subprogram_call());
            let target =
                insn.and_then(|insn| i64::try_from(at).ok()?.checked_add(1 + i64::from(insn.imm)));
            target == i64::try_from(callee.start).ok()
        });
        found.and_then(|at| u32::try_from(at).ok())
    }

    fn jump_back(&self) -> Option<u32> {
        // Jumps are of the classes 5 and 6 (RFC 9669, section 4.3); calls and
        // exits have no offset.
        let back = |insn: &Insn| matches!(insn.code & 7, 5 | 6) && insn.off < 0;
        let at = self.image.as_ref()?.insns.iter().position(back)?;
        u32::try_from(at).ok()
    }

    fn helper_call(&self, name: &str) -> Option<u32> {
        let number = Helper::by_name(name)?.id();
        let calls = |insn: &Insn| insn.helper() == Some(number);
        let at = self.image.as_ref()?.insns.iter().rposition(calls)?;
        u32::try_from(at).ok()
    }

    fn is_call(&self, instruction: u32) -> bool {
        let insn = self.image.as_ref().and_then(|image| image.insns.get(instruction as usize));
        insn.is_some_and(|insn| insn.is_subprogram_call())
    }

    fn named(&self, file: &str, line: u32) -> Option<Span> {
        let path = self.finder.find(Path::new(file))?;
        Some(Span::line(path, line))
    }

    fn source(&self, file: &Path) -> Option<String> {
        self.finder.read(file)
    }
}

/// A span with its file as the user would write it; the compiler knew it
/// relative to `root`.
pub(super) fn below(session: &Session, root: &Path, mut span: Span) -> Span {
    let absolute = root.join(&span.file);
    if fs::is_file(&absolute) {
        span.file = session.display(&absolute).to_owned();
    }
    span
}
