//! What the rules look at: an object with its programs laid out and decoded.

use super::Sources;
use super::certainty::{Certainty, Memory};
use super::code::Code;
use super::new_fields::NewField;
use crate::bpf::{SectionError, SectionTarget, is_gpl_compatible};
use crate::diagnostics::{self, Diagnostic, ObjectPlace, Origin, Severity, Span};
use crate::elf::{Binding, Function, Object, Target};
use crate::relocate::{self, ImageError, Part};
use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// A program with the functions it reaches.
#[derive(Debug)]
pub struct ProgramView<'o> {
    /// Its own function.
    pub function: &'o Function,
    /// What libbpf makes of its section.
    pub target: Result<SectionTarget<'o>, SectionError>,
    /// Its functions in the order of its image, itself first, as indexes into
    /// [`Context::functions`].
    pub functions: Vec<usize>,
    /// What kept its image from being laid out; `functions` is then only
    /// itself.
    pub broken: Option<ImageError>,
}

/// A function that some program reaches.
#[derive(Debug)]
pub struct FunctionView<'o> {
    /// The function.
    pub function: &'o Function,
    /// Its instructions.
    pub code: Code,
    /// The first program that reaches it, as an index into
    /// [`Context::programs`].
    pub program: usize,
    /// Its first instruction in that program's image.
    pub start: usize,
}

impl FunctionView<'_> {
    /// Whether the verifier checks it by itself, knowing of its callers only
    /// the types of its arguments: it is neither static nor hidden.
    pub fn is_checked_alone(&self) -> bool {
        let function = self.function;
        function.is_subprogram && function.binding != Binding::Local && !function.hidden
    }
}

/// An object, prepared for the rules.
pub struct Context<'o> {
    /// The object.
    pub object: &'o Object,
    /// Its name in findings.
    pub path: &'o Path,
    /// Its programs.
    pub programs: Vec<ProgramView<'o>>,
    /// Every function that a program reaches, each once.
    pub functions: Vec<FunctionView<'o>>,
    pub(super) by_place: HashMap<(usize, usize), usize>,
    pub(super) memory: Memory,
    /// The instructions that the loader patches for the kernel it finds.
    pub(super) patched: OnceCell<HashSet<(usize, usize)>>,
    /// Accesses of fields of the context that older kernels do not have.
    pub(super) new_fields: OnceCell<Vec<NewField>>,
    sources: Sources<'o>,
}

impl<'o> Context<'o> {
    /// Lays out and decodes the programs of an object.
    pub fn new(object: &'o Object, path: &'o Path, sources: Sources<'o>) -> Self {
        let mut this = Self {
            object,
            path,
            programs: Vec::new(),
            functions: Vec::new(),
            by_place: HashMap::new(),
            memory: Memory::new(),
            patched: OnceCell::new(),
            new_fields: OnceCell::new(),
            sources,
        };
        // Honest programs share subprograms, but not so many that laying out
        // each program on its own would be more than this.
        let code: usize = object.sections.iter().map(|section| section.insns.len()).sum();
        let mut budget = 1_000_000 + 64 * code;
        for function in object.programs() {
            let own = Part {
                name: function.name.clone(),
                section: function.section,
                slot: function.slots.start,
                start: 0,
                len: function.slots.len(),
            };
            let (parts, broken) = match relocate::image(object, &function.name) {
                _ if budget == 0 => (vec![own], Some(ImageError::TooLarge)),
                Ok(image) => {
                    budget = budget.saturating_sub(image.insns.len());
                    (image.parts, None)
                }
                Err(error) => (vec![own], Some(error)),
            };
            let program = this.programs.len();
            let mut functions = Vec::with_capacity(parts.len());
            for part in parts {
                let index = *this.by_place.entry((part.section, part.slot)).or_insert_with(|| {
                    let function = object.function_at(part.section, part.slot).unwrap_or(function);
                    this.functions.push(FunctionView {
                        function,
                        code: Code::decode(object.insns(function)),
                        program,
                        start: part.start,
                    });
                    this.functions.len() - 1
                });
                functions.push(index);
            }
            let target = object.target(function);
            this.programs.push(ProgramView { function, target, functions, broken });
        }
        this
    }

    /// The functions of a program, in the order of its image.
    pub fn functions_of(
        &self,
        program: &ProgramView<'o>,
    ) -> impl Iterator<Item = &FunctionView<'o>> {
        program.functions.iter().map(|&index| &self.functions[index])
    }

    /// The function, as an index into [`Context::functions`], that the
    /// instruction in a slot of a function calls or takes the address of.
    pub fn callee(&self, view: &FunctionView<'o>, slot: usize) -> Option<usize> {
        let function = view.function;
        let callee = self.object.callee(function.section, function.slots.start + slot)?;
        self.by_place.get(&(callee.section, callee.slots.start)).copied()
    }

    /// The function that a program reaches and that has a slot of a section,
    /// as an index into [`Context::functions`].
    pub fn function_index(&self, section: usize, slot: usize) -> Option<usize> {
        let function = self.object.function_at(section, slot)?;
        self.by_place.get(&(function.section, function.slots.start)).copied()
    }

    /// Whether the instruction in a slot of a function calls or takes the
    /// address of something of the kernel's.
    pub fn is_extern(&self, view: &FunctionView<'o>, slot: usize) -> bool {
        let function = view.function;
        let relocation = self.object.relocation(function.section, function.slots.start + slot);
        matches!(relocation.map(|known| known.target), Some(Target::Extern(_)))
    }

    /// Whether the object's license lets its programs call GPL-only helpers.
    pub fn is_gpl(&self) -> bool {
        self.object.license.as_deref().is_some_and(is_gpl_compatible)
    }

    /// A finding about the object as a whole.
    pub fn of_object(&self, code: diagnostics::Code, message: impl Into<String>) -> Diagnostic {
        let place = ObjectPlace { object: self.path.to_owned(), ..ObjectPlace::default() };
        Diagnostic::new(code, Origin::Object, message).object_place(place)
    }

    /// A finding about something in a section that has no instructions.
    pub fn of_section(
        &self,
        code: diagnostics::Code,
        section: &str,
        message: impl Into<String>,
    ) -> Diagnostic {
        let mut finding = self.of_object(code, message);
        if let Some(place) = &mut finding.place {
            place.section = Some(section.to_owned());
        }
        finding
    }

    /// A finding about a map, on the line of its definition where the source
    /// is at hand.
    pub fn of_map(
        &self,
        code: diagnostics::Code,
        map: &str,
        message: impl Into<String>,
    ) -> Diagnostic {
        let finding = self.of_section(code, ".maps", message);
        match self.definition(map, ".maps") {
            Some(span) => finding.at(span),
            None => finding,
        }
    }

    /// A finding about a program, on the line it begins at.
    pub fn of_program(
        &self,
        code: diagnostics::Code,
        program: &ProgramView<'o>,
        message: impl Into<String>,
    ) -> Diagnostic {
        let function = program.function;
        let finding = self
            .of_section(code, self.object.section_name(function), message)
            .program(&function.name);
        match self.object.span_of(function) {
            Some(span) => finding.at(span),
            None => finding,
        }
    }

    /// A finding about an instruction, on its C line.
    pub fn of_insn(
        &self,
        code: diagnostics::Code,
        view: &FunctionView<'o>,
        slot: usize,
        message: impl Into<String>,
    ) -> Diagnostic {
        self.placed(Diagnostic::new(code, Origin::Object, message), view, slot)
    }

    /// Puts a finding on an instruction and its C line.
    pub fn placed(&self, finding: Diagnostic, view: &FunctionView<'o>, slot: usize) -> Diagnostic {
        let program = &self.programs[view.program];
        let finding = finding.program(&program.function.name).object_place(ObjectPlace {
            object: self.path.to_owned(),
            section: Some(self.object.section_name(view.function).to_owned()),
            instruction: u32::try_from(view.start + slot).ok(),
        });
        let function = view.function;
        match self.object.span(function.section, function.slots.start + slot) {
            Some(span) => finding.at(span),
            None => finding,
        }
    }

    /// A warning of a rule of caution, on an instruction.
    pub fn lint(
        &self,
        code: diagnostics::Code,
        view: &FunctionView<'o>,
        slot: usize,
        message: impl Into<String>,
    ) -> Diagnostic {
        let finding = Diagnostic::new(code, Origin::Lint, message).severity(Severity::Warning);
        self.placed(finding, view, slot)
    }

    /// A finding about an instruction that is an error only if the verifier
    /// looks at it: a warning unless that is at least `needed`.
    pub fn of_verified_insn(
        &self,
        code: diagnostics::Code,
        view: &FunctionView<'o>,
        slot: usize,
        needed: Certainty,
        message: impl Into<String>,
    ) -> Diagnostic {
        let finding = self.of_insn(code, view, slot, message);
        match self.certainty(view, slot) {
            certainty if certainty >= needed => finding,
            Certainty::Guarded => finding.severity(Severity::Warning).note(
                "whether the verifier comes by here hangs on a value that is fixed when the program is loaded",
            ),
            _ => finding
                .severity(Severity::Warning)
                .note("the verifier refuses it unless it can rule out that the program comes by here"),
        }
    }

    /// The text of a source file that line info names, if it can be had.
    pub fn source(&self, file: &Path) -> Option<String> {
        (self.sources)(file)
    }

    /// The line on which `name` is defined in `SEC("section")`, before or
    /// behind that, searched for in the sources that line info names: BTF does
    /// not know it.
    pub fn definition(&self, name: &str, section: &str) -> Option<Span> {
        let attribute = format!("SEC(\"{section}\")");
        for file in self.object.source_files() {
            let Some(text) = (self.sources)(&file) else { continue };
            for (index, line) in text.lines().enumerate() {
                let Some(end) = line.find(&attribute) else { continue };
                let declarator = line[..end].trim_end();
                let behind = line[end..].split(['=', ';', '[']).next().unwrap_or_default();
                let whole = &line[..end + behind.trim_end().len()];
                let before = declarator.strip_suffix(name).or(whole.strip_suffix(name));
                if let Some(before) = before
                    && !before.ends_with(|c: char| c.is_alphanumeric() || c == '_')
                {
                    let number = u32::try_from(index + 1).ok()?;
                    let column = u32::try_from(before.len() + 1).ok()?;
                    let end = u32::try_from(before.len() + 1 + name.len()).ok()?;
                    let span = Span::point(&file, number, column).to(number, end);
                    return Some(span.with_line_text(line));
                }
            }
        }
        None
    }
}
