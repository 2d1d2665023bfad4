//! The kernel modules that an object needs: those that have a kernel function
//! it calls, a function it attaches to or a type it asks about, where the
//! kernel itself has none of that name.

use crate::bpf::ProgramType;
use crate::btf::{Kind, Type};
use crate::elf::{ExternKind, Object};
use crate::kernels::{Kernel, Module};
use crate::ops::Session;
use std::collections::BTreeSet;

/// Adds the modules, each behind those it needs itself. What cannot be had is
/// no error: the verdict is then the kernel's without.
pub(in crate::ops) fn add_needed(
    session: &Session,
    kernel: &Kernel,
    object: &Object,
    modules: &mut Vec<Module>,
) {
    let names = names(object);
    let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let result = kernel.modules_with(&names).and_then(|mut wanted| {
        let all = kernel.modules()?;
        wanted.extend(named(object).filter(|name| all.contains_key(*name)).map(str::to_owned));
        wanted.iter().try_for_each(|name| kernel.add_module(name, modules))
    });
    if let Err(error) = result {
        session.detail(format!("modules of {}: {error}", kernel.reference));
    }
}

/// The modules that programs name before what they attach to
/// (`fentry/MODULE:FUNCTION`).
fn named(object: &Object) -> impl Iterator<Item = &str> {
    object.programs().filter_map(|program| {
        let target = object.target(program).ok()?;
        let is_by_type = matches!(target.def.program_type, ProgramType::Tracing | ProgramType::Lsm);
        let (module, _) = target.target.filter(|_| is_by_type)?.split_once(':')?;
        Some(module)
    })
}

/// What an object asks a kernel for by name.
fn names(object: &Object) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for known in &object.externs {
        if matches!(known.kind, ExternKind::Kfunc | ExternKind::Ksym) {
            names.insert(plain(&known.name));
        }
    }
    for program in object.programs() {
        // What follows the `/` of fentry, fmod_ret, tp_btf, lsm, iter.
        let section = object.section_name(program).trim_start_matches('?');
        let Some((kind, target)) = section.split_once('/') else { continue };
        match kind.trim_end_matches(".s") {
            "fentry" | "fexit" | "fmod_ret" | "fsession" => names.insert(target.to_owned()),
            "tp_btf" => names.insert(format!("btf_trace_{target}")),
            "lsm" | "lsm_cgroup" => names.insert(format!("bpf_lsm_{target}")),
            "iter" => names.insert(format!("bpf_iter_{target}")),
            _ => false,
        };
    }
    let Some(btf) = &object.btf else { return names };
    for id in btf.ids() {
        let Type::Datasec(section) = btf.ty(id) else { continue };
        if btf.name(id).starts_with(".struct_ops") {
            let types = section.items().map(|item| match btf.ty(item.ty) {
                Type::Var(variable) => btf.skip_modifiers(variable.ty),
                _ => item.ty,
            });
            names.extend(types.map(|ty| plain(btf.name(ty))));
        }
    }
    for (_, _, relo) in object.core_relocations() {
        let id = btf.skip_modifiers(relo.ty);
        if btf.kind(id) != Kind::Int {
            names.insert(plain(btf.name(id)));
        }
    }
    names.remove("");
    names
}

/// A name without the flavour that CO-RE ignores.
fn plain(name: &str) -> String {
    name.split("___").next().unwrap_or_default().to_owned()
}
