//! `skep vmlinux --check` and `--pin`: whether the types a project uses are
//! the same on other kernels as on the one it is pinned to.
//!
//! Used is what the CO-RE relocations of its objects ask for, field by field,
//! and the types that its sources name.

use super::header::Source;
use super::min_core::{self, Asking};
use super::{Session, build, levels, vmlinux};
use crate::base::digest::Digest;
use crate::base::fs;
use crate::btf::{Btf, Change, Difference, Kind, TypeId};
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use crate::project::lock::{Lock, PinnedBtf};
use crate::project::{self, Project};
use crate::relocate::core::{Question, Spec, essential_name};
use crate::vmlinux::Words;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What is to be checked.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Objects, and projects and sources, which are built; the project here if
    /// there are none.
    pub paths: Vec<PathBuf>,
    /// Where the BTF is that the others are held against; what the project is
    /// pinned to if nothing is said.
    pub from: Option<PathBuf>,
    /// The other kernels; those of the project's matrix if there are none.
    pub against: Vec<PathBuf>,
    /// Fields that the project does not use are listed too.
    pub all: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The differences.
    pub rows: Vec<Row>,
    /// Of each type and kernel that differ, what that means.
    pub diagnostics: Vec<Diagnostic>,
    /// How many types were compared.
    pub types: usize,
    /// What they were compared with.
    pub pinned: String,
}

/// One difference on one kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The kernel.
    pub kernel: String,
    /// The type, with its keyword.
    pub ty: String,
    /// What differs in it.
    pub difference: Difference,
    /// Whether the project uses that.
    pub used: bool,
}

/// A place in an object: its index, and the relocation's.
type Place = (usize, usize);

/// What the project uses of one type.
#[derive(Default)]
struct Use {
    /// Fields or values, each with a relocation that asks for it.
    fields: BTreeMap<String, Place>,
    /// All of it counts: its size is asked for, or whether it matches.
    whole: bool,
    /// A relocation that is about it.
    place: Option<Place>,
}

/// The types that are used, by what a name has to be found as.
type Uses = BTreeMap<(Word, String), Use>;

/// What may stand before a type's name in C.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Word {
    Struct,
    Union,
    Enum,
    Typedef,
}

impl Word {
    fn of(kind: Kind) -> Option<Self> {
        Some(match kind {
            Kind::Struct => Self::Struct,
            Kind::Union => Self::Union,
            Kind::Enum | Kind::Enum64 => Self::Enum,
            Kind::Typedef => Self::Typedef,
            _ => return None,
        })
    }

    /// The type of that name.
    fn find(self, btf: &Btf, name: &str) -> Option<TypeId> {
        btf.named(name).find(|id| Self::of(btf.kind(*id)) == Some(self))
    }
}

/// Compares.
///
/// # Errors
/// If BTF cannot be had, there is nothing to compare with, or something keeps
/// the objects from being built at all.
pub fn check(session: &Session, request: &Request) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::default();
    let (objects, built) = min_core::asking(session, &request.paths, &mut outcome.diagnostics)?;
    if outcome.diagnostics.iter().any(Diagnostic::is_error) {
        return Ok(outcome);
    }
    let project = built.projects.first();
    let (name, pinned) = pinned(session, request, project, &mut outcome.diagnostics)?;
    let against = against(request, project)?;
    let mut uses = Uses::new();
    for (index, asking) in objects.iter().enumerate() {
        of_relocations(index, asking, &mut uses);
    }
    of_sources(&built, &pinned, &mut uses)?;
    outcome.types = uses.len();
    outcome.pinned = name;
    for kernel in &against {
        let other = vmlinux::kernel(session, Some(kernel))?;
        let kernel = kernel.display().to_string();
        let mut elsewhere = Vec::new();
        for ((word, name), used) in &uses {
            let Some((spelled, found)) = compare(&pinned, &other, *word, name) else { continue };
            let is_used = |difference: &Difference| {
                let parent = |field: &str| {
                    difference.field.strip_prefix(field).is_some_and(|rest| rest.starts_with('.'))
                };
                used.whole && (difference.field.is_empty() || used.fields.is_empty())
                    || used.fields.keys().any(|field| *field == difference.field || parent(field))
                    // The type is gone or new, or is another one altogether.
                    || difference.field.is_empty()
                        && !matches!(difference.change, Change::Resized { .. })
            };
            let (mine, others): (Vec<_>, Vec<_>) = found.into_iter().partition(is_used);
            if mine.is_empty() {
                elsewhere.push((spelled.clone(), others.len()));
            } else {
                let finding = finding(&spelled, &kernel, &mine);
                let field = mine.iter().find_map(|one| used.fields.get(&one.field));
                outcome.diagnostics.push(match field.or(used.place.as_ref()) {
                    Some(&(object, relocation)) => {
                        objects[object].locate(session, relocation, finding)
                    }
                    None => finding,
                });
            }
            let row = |difference, used| Row {
                kernel: kernel.clone(),
                ty: spelled.clone(),
                difference,
                used,
            };
            outcome.rows.extend(mine.into_iter().map(|one| row(one, true)));
            if request.all {
                outcome.rows.extend(others.into_iter().map(|one| row(one, false)));
            }
        }
        outcome.diagnostics.extend(not_in_what_is_used(&kernel, &elsewhere));
    }
    let root = project.map_or(&session.cwd, |project| &project.root);
    outcome.diagnostics = levels::apply(session, project, root, outcome.diagnostics).0;
    Ok(outcome)
}

/// Pins the project here to BTF; says to what, and whether that is new.
///
/// # Errors
/// If there is no project or no such BTF, or `Skep.lock` cannot be written.
pub fn pin(session: &Session, from: Option<&Path>) -> Result<(PinnedBtf, bool), Failure> {
    let project = Project::find(&session.cwd).map_err(first)?;
    let (reference, btf) = match from {
        // What the lock says now does not count.
        None => {
            let source = Source::unpinned(&project);
            (source.name.clone(), source.read(session)?)
        }
        Some(from) => {
            let path = session.absolute(from);
            let name = match fs::exists(&path) {
                true => path.strip_prefix(&project.root).unwrap_or(&path),
                false => from,
            };
            (name.display().to_string(), vmlinux::kernel(session, Some(from))?)
        }
    };
    let pinned = PinnedBtf { reference, sha256: Digest::of(btf.bytes()) };
    let mut lock = Lock::read(&project)?;
    lock.set_btf(&pinned);
    let is_new = lock.write(&project, session.locked)?;
    Ok((pinned, is_new))
}

/// The first mistake of a project's manifest.
fn first(error: project::Error) -> Failure {
    let mistakes = error.into_diagnostics().into_iter().next();
    let unknown = || Diagnostic::new(codes::NO_PROJECT, Origin::Manifest, "there is no project");
    mistakes.unwrap_or_else(unknown).into()
}

/// The BTF that all others are held against, and its name.
fn pinned(
    session: &Session,
    request: &Request,
    project: Option<&Project>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<(String, Btf), Failure> {
    if let Some(from) = &request.from {
        return Ok((from.display().to_string(), vmlinux::kernel(session, Some(from))?));
    }
    let Some(project) = project else {
        return Ok(("host".to_owned(), vmlinux::kernel(session, None)?));
    };
    let source = Source::of(project)?;
    let btf = source.read(session)?;
    diagnostics.extend(source.check(session, btf.bytes()));
    Ok((source.name, btf))
}

/// The kernels to compare with.
fn against(request: &Request, project: Option<&Project>) -> Result<Vec<PathBuf>, Failure> {
    let matrix = project.map_or(&[][..], |project| &project.manifest.kernels.matrix);
    let named = match request.against.is_empty() {
        false => request.against.clone(),
        true => matrix.iter().map(|reference| PathBuf::from(&reference.value)).collect(),
    };
    if named.is_empty() {
        let message = "there is no other kernel to compare with";
        let help =
            "name one with `--against debian/trixie`, or the project's in `[kernels] matrix`";
        return Err(Diagnostic::new(codes::USAGE, Origin::Command, message).help(help).into());
    }
    Ok(named)
}

/// What one object's relocations use.
fn of_relocations(index: usize, asking: &Asking, uses: &mut Uses) {
    let Some(btf) = asking.object.btf.as_deref() else { return };
    for (relocation, (_, _, relo)) in asking.relocations.iter().enumerate() {
        let Some(question) = Question::from_number(relo.kind) else { continue };
        let Ok(spec) = Spec::parse(btf, relo.ty, relo.access, question) else { continue };
        if question == Question::TypeIdLocal {
            continue;
        }
        let place = (index, relocation);
        let mut note = |ty: TypeId, field: Option<&str>| {
            let name = essential_name(btf.name(ty));
            let Some(word) = Word::of(btf.kind(ty)).filter(|_| !name.is_empty()) else { return };
            let used = uses.entry((word, name.to_owned())).or_default();
            used.place.get_or_insert(place);
            match field {
                Some(field) => _ = used.fields.entry(field.to_owned()).or_insert(place),
                None => {
                    used.whole |= matches!(question, Question::TypeSize | Question::TypeMatches);
                }
            }
        };
        note(spec.root, None);
        // The named struct that has the member, and the members with structs
        // without a name on the way to it.
        let (mut owner, mut way) = (btf.resolve(spec.root), String::new());
        for accessor in spec.accessors.iter().filter(|accessor| accessor.is_named) {
            let Some(name) = spec_name(btf, accessor.ty, accessor.index) else { break };
            if !btf.name(accessor.ty).is_empty() {
                (owner, way) = (accessor.ty, String::new());
            }
            way.push_str(essential_name(name));
            note(owner, Some(&way));
            way.push('.');
        }
    }
}

/// The name of a member or a value.
fn spec_name(btf: &Btf, ty: TypeId, index: u32) -> Option<&str> {
    match btf.ty(ty) {
        crate::btf::Type::Enum(values) => values.values().nth(index as usize).map(|one| one.name),
        _ => btf.as_composite(ty)?.member(index as usize).map(|member| member.name),
    }
}

/// The types that the sources and the project's headers they include name.
fn of_sources(built: &build::Outcome, pinned: &Btf, uses: &mut Uses) -> Result<(), Failure> {
    let mut files = BTreeSet::new();
    for artifact in &built.artifacts {
        let project = artifact.project.map(|index| &built.projects[index]);
        for source in &artifact.sources {
            files.extend(build::files_of(project, source));
        }
    }
    let mut words = Words::new();
    for file in &files {
        words.add(&fs::read(file)?);
    }
    for (word, is_tag) in words.iter() {
        let name = essential_name(std::str::from_utf8(word).unwrap_or_default());
        let kinds: &[Word] =
            if is_tag { &[Word::Struct, Word::Union, Word::Enum] } else { &[Word::Typedef] };
        for kind in kinds.iter().filter(|kind| kind.find(pinned, name).is_some()) {
            uses.entry((*kind, name.to_owned())).or_default();
        }
    }
    Ok(())
}

/// What is different in a type; nothing if nothing is, or neither kernel has
/// such a type.
fn compare(old: &Btf, new: &Btf, word: Word, name: &str) -> Option<(String, Vec<Difference>)> {
    let whole = |change| vec![Difference { field: String::new(), change }];
    let (spelled, found) = match (word.find(old, name), word.find(new, name)) {
        (None, None) => return None,
        (Some(id), None) => (old.word(id), whole(Change::Removed)),
        (None, Some(id)) => (new.word(id), whole(Change::Added)),
        (Some(id), Some(other)) => (old.word(id), old.differences(id, new, other)),
    };
    (!found.is_empty()).then_some((spelled, found))
}

/// How many changes one finding tells.
const MAX_NOTES: usize = 12;

/// One finding for all types that differ only in what is not used.
fn not_in_what_is_used(kernel: &str, types: &[(String, usize)]) -> Option<Diagnostic> {
    let message = match types {
        [] => return None,
        [(ty, _)] => format!("`{ty}` is different on {kernel}, but not in what is used"),
        many => format!("{} types are different on {kernel}, but not in what is used", many.len()),
    };
    let mut finding = Diagnostic::new(codes::TYPE_DRIFT_ELSEWHERE, Origin::Core, message);
    for (ty, count) in types.iter().take(MAX_NOTES) {
        let noun = if *count == 1 { "difference" } else { "differences" };
        finding = finding.note(format!("`{ty}` has {count} {noun}"));
    }
    Some(finding.help("`--all` lists them").kernel(kernel))
}

fn finding(ty: &str, kernel: &str, mine: &[Difference]) -> Diagnostic {
    let message = match mine {
        [one] if one.field.is_empty() => format!("`{ty}` {} on {kernel}", said(&one.change)),
        [one] => format!("`{}` of `{ty}` {} on {kernel}", one.field, said(&one.change)),
        many => format!("`{ty}` is different in {} places on {kernel}", many.len()),
    };
    let mut finding = Diagnostic::new(codes::TYPE_DRIFT, Origin::Core, message).kernel(kernel);
    if mine.len() > 1 {
        for one in mine.iter().take(MAX_NOTES) {
            let field = if one.field.is_empty() { ty } else { &one.field };
            finding = finding.note(format!("`{field}` {}", said(&one.change)));
        }
    }
    let is_followed =
        |one: &Difference| matches!(one.change, Change::Moved { .. } | Change::Resized { .. });
    match mine.iter().all(is_followed) {
        true => finding.help("CO-RE follows fields that move; other accesses must not be made"),
        false => finding.help(
            "ask for it with `bpf_core_field_exists`, `bpf_core_type_exists` or \
                               `bpf_core_enum_value_exists`, and read what is there",
        ),
    }
}

/// A change in words, as the end of a sentence.
fn said(change: &Change) -> String {
    match change {
        Change::Added => "is new".to_owned(),
        Change::Removed => "is gone".to_owned(),
        Change::Renamed(to) => format!("is called `{to}`"),
        Change::Retyped { from, to } => format!("is `{to}`, not `{from}`"),
        Change::Resized { from, to } => format!("has {}, not {}", length(*to), length(*from)),
        Change::Moved { from, to } => format!("lies at {}, not at {}", place(*to), place(*from)),
        Change::Renumbered { from, to } => format!("is {to}, not {from}"),
    }
}

/// What was there and what is now, for a table.
pub fn values(change: &Change) -> (Option<String>, Option<String>) {
    match change {
        Change::Added | Change::Removed => (None, None),
        Change::Renamed(to) => (None, Some(to.clone())),
        Change::Retyped { from, to } => (Some(from.clone()), Some(to.clone())),
        Change::Resized { from, to } => (Some(length(*from)), Some(length(*to))),
        Change::Moved { from, to } => (Some(place(*from)), Some(place(*to))),
        Change::Renumbered { from, to } => (Some(from.to_string()), Some(to.to_string())),
    }
}

fn length(bits: u64) -> String {
    match (bits % 8, bits / 8) {
        (0, 1) => "1 byte".to_owned(),
        (0, bytes) => format!("{bytes} bytes"),
        _ if bits == 1 => "1 bit".to_owned(),
        _ => format!("{bits} bits"),
    }
}

fn place(bits: u64) -> String {
    match bits % 8 {
        0 => format!("byte {}", bits / 8),
        rest => format!("byte {} bit {rest}", bits / 8),
    }
}
