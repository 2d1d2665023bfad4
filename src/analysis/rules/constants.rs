//! W0416 config-without-volatile: a global constant that is meant to be set
//! by the loader, but whose value clang has put into the code.
//!
//! Without `volatile` clang knows what a constant is and never reads it. The
//! variable stays in `.rodata` and in the skeleton, and setting it has no
//! effect. Whoever wants that writes `static` or an enumeration.

use super::Context;
use crate::btf::{Btf, Kind, Linkage, Type, TypeId};
use crate::diagnostics::{Diagnostic, Origin, Severity, Span, codes};
use crate::elf::{DataKind, Target};
use std::cell::LazyCell;
use std::path::PathBuf;

/// The sources that line info names, as far as they are at hand.
type Sources = [(PathBuf, String)];

pub(super) fn check(cx: &Context<'_>, findings: &mut Vec<Diagnostic>) {
    let Some(btf) = cx.object.btf.as_deref() else { return };
    let used = used(cx);
    let sources = LazyCell::new(|| {
        let files = cx.object.source_files().into_iter();
        files.filter_map(|file| Some((file.clone(), cx.source(&file)?))).collect::<Vec<_>>()
    });
    for (index, data) in cx.object.data.iter().enumerate() {
        if data.kind != DataKind::Rodata {
            continue;
        }
        for variable in &data.variables {
            let range = (index, variable.offset)..(index, variable.offset + variable.size.max(1));
            let from = used.partition_point(|place| *place < range.start);
            let is_read = used.get(from).is_some_and(|place| *place < range.end);
            if is_read || variable.hidden {
                continue;
            }
            let Some(Type::Var(var)) = btf.find(Kind::Var, &variable.name).map(|id| btf.ty(id))
            else {
                continue;
            };
            if var.linkage != Linkage::Global || !is_plain_number(btf, var.ty) {
                continue;
            }
            // Named once it is only defined: nobody reads it at all.
            if uses(&sources, &variable.name) > 1 {
                let section = &cx.object.sections[data.section].name;
                findings.push(folded(cx, section, &variable.name, &sources));
            }
        }
    }
}

/// The places in data that code refers to, sorted.
fn used(cx: &Context<'_>) -> Vec<(usize, u64)> {
    let mut used = Vec::new();
    for relocation in &cx.object.relocations {
        let Target::Data { index, offset } = relocation.target else { continue };
        let insns = &cx.object.sections[relocation.section].insns;
        let Some(insn) = insns.get(relocation.slot) else { continue };
        used.push((index, offset.wrapping_add(u64::from(insn.imm.cast_unsigned()))));
    }
    used.sort_unstable();
    used
}

/// Whether a type is a number or enumeration and not volatile. Of tables and
/// strings clang takes what it knows as well, but they are rarely to be set.
fn is_plain_number(btf: &Btf, mut id: TypeId) -> bool {
    // Types that lead to themselves are refused when BTF is read; the bound
    // is for what may have slipped through.
    for _ in 0..crate::btf::MAX_DEPTH {
        id = match btf.ty(id) {
            Type::Int(_) | Type::Enum(_) | Type::Float { .. } => return true,
            Type::Const(next) | Type::Restrict(next) => next,
            Type::Typedef { target, .. } => target,
            Type::TypeTag { target, .. } => target,
            _ => return false,
        };
    }
    false
}

/// How often the sources name it, its definition counted.
fn uses(sources: &Sources, name: &str) -> usize {
    sources.iter().map(|(_, text)| words(text, name).count()).sum()
}

/// The places where a text has a name as a word of its own.
fn words<'t>(text: &'t str, name: &'t str) -> impl Iterator<Item = usize> + 't {
    let is_letter = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.match_indices(name).map(|(at, _)| at).filter(move |at| {
        !text[..*at].ends_with(is_letter) && !text[at + name.len()..].starts_with(is_letter)
    })
}

fn folded(cx: &Context<'_>, section: &str, name: &str, sources: &Sources) -> Diagnostic {
    let message =
        format!("no instruction reads the constant `{name}`: clang put its value into the code");
    let mut finding = cx.of_section(codes::CONFIG_WITHOUT_VOLATILE, section, message);
    (finding.origin, finding.severity) = (Origin::Lint, Severity::Warning);
    if let Some(span) = definition(name, sources) {
        finding = finding.at(span);
    }
    finding
        .note(format!("a loader that sets `skel->rodata->{name}` changes nothing"))
        .help("write `const volatile` if the loader is to set it, else `static const` or an enum")
}

/// The line that defines a constant.
fn definition(name: &str, sources: &Sources) -> Option<Span> {
    for (file, text) in sources {
        for (index, line) in text.lines().enumerate() {
            let is_definition = words(line, "const").next().is_some();
            let Some(at) = words(line, name).next().filter(|_| is_definition) else { continue };
            let number = u32::try_from(index + 1).ok()?;
            let column = |at: usize| u32::try_from(at + 1).ok();
            let span = Span::point(file, number, column(at)?);
            return Some(span.to(number, column(at + name.len())?).with_line_text(line));
        }
    }
    None
}
