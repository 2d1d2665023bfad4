//! `skep disasm`: a program's instructions with the C lines they come from,
//! and with the names of all they refer to.
//!
//! Instructions are numbered as the verifier numbers them: a program, behind
//! it the subprograms it reaches.

use super::build::{self, Profile};
use super::references::{self, Reference};
use super::{Session, min_core};
use crate::base::fs;
use crate::bpf::{self, Call, Disassembly, Op};
use crate::diagnostics::{Diagnostic, Failure, ObjectPlace, Origin, Span, codes};
use crate::elf::Object;
use crate::relocate::core::{self, Question, Resolver, Spec};
use crate::relocate::{self, Image};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What to show.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// An object, or what is built first: a source, a project.
    pub path: PathBuf,
    /// The profile for what is built.
    pub profile: Profile,
    /// The program; none for all.
    pub program: Option<String>,
    /// The kernel that CO-RE relocations are resolved for: a reference, or a
    /// file with BTF.
    pub kernel: Option<PathBuf>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The programs, in the order of their objects.
    pub listings: Vec<Listing>,
    /// What the build says.
    pub diagnostics: Vec<Diagnostic>,
}

/// A program.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The object, as the user would write it.
    pub object: PathBuf,
    /// The program's name.
    pub program: String,
    /// Its section, as `SEC()` wrote it.
    pub section: String,
    /// Its type, by libbpf's name; nothing where libbpf knows none.
    pub program_type: Option<&'static str>,
    /// The instructions.
    pub instructions: Vec<Instruction>,
}

/// An instruction.
#[derive(Clone, Debug)]
pub struct Instruction {
    /// Its number in the program, in slots of 8 bytes.
    pub index: usize,
    /// The function it belongs to: the program, or a subprogram.
    pub function: String,
    /// Its section in the object, and its slot there.
    pub origin: (String, usize),
    /// What it does, with names for numbers where there are some.
    pub text: String,
    /// The C line it comes from.
    pub span: Option<Span>,
    /// What it refers to.
    pub refers: Option<Reference>,
    /// Where it jumps to.
    pub jumps_to: Option<usize>,
    /// What it asks of the kernel's types.
    pub core: Option<Core>,
}

/// A CO-RE relocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Core {
    /// What is asked, by libbpf's word: `byte_off`.
    pub question: &'static str,
    /// Of what: `struct task_struct.pid`.
    pub of: String,
    /// What the object's own types say.
    pub local: Option<u64>,
    /// What the kernel says, if one was named; nothing if it has no answer.
    pub value: Option<u64>,
}

/// Reads and lists.
///
/// # Errors
/// There is no such object, program or kernel.
pub fn run(session: &Session, request: &Request) -> Result<Outcome, Failure> {
    let target = match &request.kernel {
        Some(kernel) => Some(min_core::target(session, kernel, &[])?),
        None => None,
    };
    let build = build::Request {
        paths: vec![request.path.clone()],
        profile: request.profile,
        ..build::Request::default()
    };
    let built = build::objects(session, &build)?;
    let failed = built.failed();
    let mut outcome = Outcome { diagnostics: built.diagnostics, ..Outcome::default() };
    let mut names = Vec::new();
    for artifact in &built.artifacts {
        let path = session.display(&artifact.object).to_owned();
        let object = parse(&artifact.object, &path)?;
        let core = core_relocations(&object, target.as_ref());
        for program in object.programs() {
            names.push(program.name.clone());
            if request.program.as_ref().is_some_and(|wanted| *wanted != program.name) {
                continue;
            }
            let image = relocate::image(&object, &program.name).map_err(|error| {
                let message = format!("`{}` cannot be put together: {error}", program.name);
                let place = ObjectPlace { object: path.clone(), ..ObjectPlace::default() };
                Diagnostic::new(codes::OBJECT_CORRUPT, Origin::Object, message).object_place(place)
            })?;
            let program_type = object.target(program).ok();
            let spans = |span: Span| super::places::below(session, &artifact.root, span);
            outcome.listings.push(Listing {
                object: path.clone(),
                program: program.name.clone(),
                section: object.section_name(program).to_owned(),
                program_type: program_type.map(|target| target.def.program_type.name()),
                instructions: instructions(&object, &image, &core, &spans),
            });
        }
    }
    if let Some(wanted) =
        request.program.as_ref().filter(|_| outcome.listings.is_empty() && !failed)
    {
        return Err(no_such_program(wanted, &names).into());
    }
    Ok(outcome)
}

/// An object, read; what is none is an error about it.
pub(super) fn parse(path: &Path, shown: &Path) -> Result<Object, Failure> {
    Object::parse(&fs::read(path)?).map_err(|error| {
        let place = ObjectPlace { object: shown.to_owned(), ..ObjectPlace::default() };
        Diagnostic::from(error).object_place(place).into()
    })
}

fn no_such_program(wanted: &str, names: &[String]) -> Diagnostic {
    let message = format!("no program is called `{}`", wanted.escape_debug());
    let missing = Diagnostic::new(codes::USAGE, Origin::Command, message);
    match names {
        [] => missing.note("the object has no program"),
        names => missing.note(format!("there are: {}", names.join(", "))),
    }
}

type CoreMap = HashMap<(usize, usize), Core>;

fn core_relocations(object: &Object, target: Option<&core::Target>) -> CoreMap {
    let Some(btf) = object.btf.as_deref() else { return CoreMap::new() };
    let mut resolver = target.map(|target| Resolver::new(btf, target));
    let mut found = CoreMap::new();
    for (section, slot, relo) in object.core_relocations() {
        let Some(question) = Question::from_number(relo.kind) else { continue };
        let Ok(spec) = Spec::parse(btf, relo.ty, relo.access, question) else { continue };
        let resolution = resolver.as_mut().and_then(|resolver| resolver.resolve(&relo).ok());
        let core = Core {
            question: question.as_str(),
            of: spec.describe(btf),
            local: match question {
                Question::FieldByteOffset => Some(u64::from(spec.bit_offset / 8)),
                _ => None,
            },
            value: resolution.and_then(|resolution| resolution.value()),
        };
        found.insert((section, slot), core);
    }
    found
}

fn instructions(
    object: &Object,
    image: &Image<'_>,
    core: &CoreMap,
    spans: &dyn Fn(Span) -> Span,
) -> Vec<Instruction> {
    let mut instructions = Vec::with_capacity(image.insns.len());
    let mut index = 0;
    while index < image.insns.len() {
        let insn = image.insns[index];
        let rest = &image.insns[index..];
        if let (Some(part), Some((section, slot))) = (image.part(index), image.origin(index)) {
            let op = Op::decode(rest).ok();
            let refers = references::of(object, section, slot);
            let jumps_to = op.as_ref().and_then(|op| jump(op, index));
            instructions.push(Instruction {
                index,
                function: part.name.clone(),
                origin: (object.sections[section].name.clone(), slot),
                text: text(rest, op.as_ref(), refers.as_ref()),
                span: image.span(index).map(spans),
                refers,
                jumps_to,
                core: core.get(&(section, slot)).cloned(),
            });
        }
        index += if insn.is_wide() { 2 } else { 1 };
    }
    instructions
}

/// The instruction, with the name of what it refers to in the place of the
/// number that is there before libbpf has loaded it.
fn text(insns: &[bpf::Insn], op: Option<&Op>, refers: Option<&Reference>) -> String {
    match (op, refers) {
        (Some(Op::Call(Call::Helper(_))), _) | (_, None) => Disassembly::new(insns).to_string(),
        (Some(Op::Call(_)), Some(refers)) => format!("call {}", refers.name),
        (_, Some(refers)) if insns[0].is_wide() => format!("r{} = &{}", insns[0].dst, refers.name),
        _ => Disassembly::new(insns).to_string(),
    }
}

fn jump(op: &Op, index: usize) -> Option<usize> {
    let distance = match *op {
        Op::Jump { off, .. } => i64::from(off),
        Op::MayGoto { off } => i64::from(off),
        Op::Branch { off, .. } => i64::from(off),
        _ => return None,
    };
    usize::try_from(i64::try_from(index).ok()? + 1 + distance).ok()
}
