//! E0358 core-relocation; E0505, E0506: what the programs ask of the kernel's
//! types has an answer there.

use super::{Kernel, Subject};
use crate::analysis::Certainty;
use crate::btf::{Btf, Type, TypeId};
use crate::diagnostics::{Diagnostic, Origin, codes};
use crate::relocate::core::{
    Applied, Missing, Reason, Resolution, Resolver, Target, essential_name,
};
use std::collections::{HashMap, HashSet};

pub(super) fn check(
    subject: &Subject<'_, '_>,
    kernel: &Kernel<'_>,
    findings: &mut Vec<Diagnostic>,
) {
    let cx = subject.cx;
    let (Some(target), Some(local)) = (kernel.target, cx.object.btf.as_deref()) else { return };
    let mut resolver = Resolver::new(local, target);
    let mut modules = HashMap::new();
    // One access is many instructions.
    let mut said = HashSet::new();
    for (section, slot, relocation) in cx.object.core_relocations() {
        let Some(view) = subject.function_at(section, slot) else { continue };
        let here = slot - view.function.slots.start;
        let mut target = target;
        let mut resolved = resolver.resolve(&relocation);
        // libbpf searches the modules that are loaded for what the kernel has not.
        if let Ok(resolution) = &resolved
            && matches!(&resolution.missing, Some(missing) if matches!(missing.reason, Reason::NoType))
        {
            let name = essential_name(root_name(local, resolution));
            let there = modules.entry(name.to_owned()).or_insert_with(|| in_modules(kernel, name));
            if let Some(there) = there {
                target = there;
                resolved = Resolver::new(local, target).resolve(&relocation);
            }
        }
        let resolution = match resolved {
            Ok(resolution) => resolution,
            Err(error) => {
                findings.push(cx.placed(Diagnostic::from(error), view, here));
                continue;
            }
        };
        let code = &cx.object.sections[section].insns[slot..];
        let mut insns: Vec<_> = code.iter().copied().take(2).collect();
        let message = match resolution.apply(&mut insns) {
            Ok(Applied::Patched) => continue,
            Ok(Applied::Poisoned) => lacks(local, target, &resolution),
            Ok(Applied::PoisonedBySize) => {
                let what = resolution.local.describe(local);
                format!("{what} is of another size or signedness in the kernel")
            }
            Err(error) => {
                findings.push(cx.placed(Diagnostic::from(error), view, here));
                continue;
            }
        };
        if cx.certainty(view, here) < Certainty::Likely {
            continue;
        }
        let line = cx.object.span(section, slot).map(|span| (span.file, span.start.line));
        if !said.insert((message.clone(), line)) {
            continue;
        }
        let mut finding = cx.of_insn(codes::CORE_RELOCATION, view, here, message);
        finding.origin = Origin::Core;
        for (note, help) in ways_out(local, target, &resolution) {
            finding = match help {
                true => finding.help(note),
                false => finding.note(note),
            };
        }
        findings.push(finding);
    }
}

/// The modules that have something of a name, as a target of their own.
fn in_modules(kernel: &Kernel<'_>, name: &str) -> Option<Target> {
    let mut all = kernel.modules.and_then(|modules| modules.with(name))?.into_iter();
    Some(Target::new(all.next()?).with_modules(all))
}

/// What the kernel lacks, in words.
fn lacks(local: &Btf, target: &Target, resolution: &Resolution) -> String {
    let what = resolution.local.describe(local);
    let Some(missing) = &resolution.missing else {
        return format!("{what} is not in the kernel");
    };
    match &missing.reason {
        Reason::NoType => format!("the kernel has no {}", root(local, resolution)),
        Reason::NoMember { owner, name } => {
            format!("{} has no member `{name}` in the kernel", spelled(target, missing, *owner))
        }
        Reason::NoValue { owner, name } => {
            format!("{} has no value `{name}` in the kernel", spelled(target, missing, *owner))
        }
        Reason::Incompatible { name, .. } => {
            format!("member `{name}` of {what} has another type in the kernel")
        }
        Reason::NotThatKind { .. } => {
            format!("{what} leads into a type of another kind in the kernel")
        }
        Reason::PastTheEnd { count } => {
            format!("{what} lies beyond the end of the kernel's array of {count}")
        }
        Reason::Different => format!("{what} looks different in the kernel"),
    }
}

/// Notes (`false`) and helps (`true`) on how to go on.
fn ways_out(local: &Btf, target: &Target, resolution: &Resolution) -> Vec<(String, bool)> {
    let mut ways = Vec::new();
    let missing = resolution.missing.as_ref();
    if let Some(Missing { reason: Reason::NoMember { owner, name }, .. }) = missing
        && let Some(btf) = missing.and_then(|missing| Some(target.btf(missing.candidate?)))
    {
        if let Some(near) = nearest(btf, *owner, name) {
            ways.push((format!("it has a member `{near}`; was `{name}` renamed?"), false));
        }
        ways.push((
            format!(
                "ask before: `if (bpf_core_field_exists(…->{name}))`, and read a flavour of the type \
                 (`struct {}___old`) where it is not there",
                root_name(local, resolution)
            ),
            true,
        ));
    } else if matches!(missing.map(|missing| &missing.reason), Some(Reason::NoType)) {
        ways.push((
            format!("ask before: `if (bpf_core_type_exists({}))`", root(local, resolution)),
            true,
        ));
    } else if matches!(missing.map(|missing| &missing.reason), Some(Reason::NoValue { .. })) {
        ways.push(("ask before: `if (bpf_core_enum_value_exists(…))`".to_owned(), true));
    }
    ways
}

fn root_name<'b>(local: &'b Btf, resolution: &Resolution) -> &'b str {
    local.name(resolution.local.root)
}

/// The type an access starts at, with its keyword.
fn root(local: &Btf, resolution: &Resolution) -> String {
    keyword(local, resolution.local.root)
}

fn keyword(btf: &Btf, id: TypeId) -> String {
    let word = match btf.ty(id) {
        Type::Struct(_) | Type::Fwd { is_union: false, .. } => "struct ",
        Type::Union(_) | Type::Fwd { is_union: true, .. } => "union ",
        Type::Enum(_) => "enum ",
        _ => "",
    };
    match btf.name(id) {
        "" => format!("an anonymous {}", word.trim_end()),
        name => format!("{word}{name}"),
    }
}

fn spelled(target: &Target, missing: &Missing, owner: TypeId) -> String {
    match missing.candidate {
        Some(candidate) => keyword(target.btf(candidate), owner),
        None => "the type".to_owned(),
    }
}

/// The member of a struct whose name is nearest, also of the structs in it.
fn nearest(btf: &Btf, owner: TypeId, name: &str) -> Option<String> {
    let names = btf.as_composite(owner)?.members().map(|member| member.name);
    names
        .filter(|known| !known.is_empty() && *known != name)
        .map(|known| (known.contains(name) || name.contains(known), known))
        .map(|(within, known)| (strsim::damerau_levenshtein(known, name), within, known))
        .filter(|(distance, within, known)| {
            *distance <= name.len() / 3 || (*within && known.len() >= 3 && *distance <= 4)
        })
        .min_by_key(|(distance, ..)| *distance)
        .map(|(_, _, known)| known.to_owned())
}
