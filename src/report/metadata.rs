//! `skep metadata` as JSON: one document, versioned. `docs/commands/metadata.md`
//! describes it.

use crate::ops::contents::{Contents, Extern, Global, Map, Program};
use crate::ops::metadata::{Artifact, Outcome, Package};
use crate::project::Kind;
use crate::project::manifest::{UserKind, Vmlinux};
use serde_json::{Value, json};

/// The version of the document. It rises when a key is taken away or changes
/// its meaning; new keys may come at any time.
pub const VERSION: u32 = 1;

/// The document.
pub fn document(outcome: &Outcome) -> String {
    let document = json!({
        "version": VERSION,
        "workspace_root": outcome.workspace_root.to_string_lossy(),
        "packages": outcome.packages.iter().map(describe).collect::<Vec<_>>(),
    });
    format!("{document}\n")
}

fn describe(package: &Package) -> Value {
    let Package { project, sources, objects } = package;
    let manifest = &project.manifest;
    let vmlinux = match &manifest.bpf.vmlinux.value {
        Vmlinux::Pruned => "pruned".to_owned(),
        Vmlinux::Full => "full".to_owned(),
        Vmlinux::None => "none".to_owned(),
        Vmlinux::Path(path) => path.display().to_string(),
    };
    json!({
        "name": project.name,
        "version": manifest.package.version,
        "license": manifest.package.license,
        "kind": match project.kind {
            Kind::Skep => "skep",
            Kind::Cargo => "cargo",
            Kind::AdHoc => "ad-hoc",
        },
        "root": project.root.to_string_lossy(),
        "workspace": project.workspace.as_ref().map(|path| path.to_string_lossy()),
        "manifest_path": project.manifest_path.as_ref().map(|path| path.to_string_lossy()),
        "target_directory": project.target.to_string_lossy(),
        "sources": sources.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>(),
        "bpf": {
            "mcpu": manifest.bpf.mcpu.value.as_str(),
            "vmlinux": vmlinux,
            "link": manifest.bpf.link,
        },
        "user": {
            "kind": match manifest.user.kind.value {
                UserKind::C => "c",
                UserKind::Rust => "rust",
                UserKind::None => "none",
            },
        },
        "kernels": {
            "min": manifest.kernels.min.map(|version| version.to_string()),
            "matrix": manifest.kernels.matrix.iter().map(|text| &text.value).collect::<Vec<_>>(),
        },
        "objects": objects.iter().map(object).collect::<Vec<_>>(),
    })
}

fn object(object: &Artifact) -> Value {
    let sources: Vec<_> = object.sources.iter().map(|path| path.to_string_lossy()).collect();
    let contents = object.contents.as_ref();
    json!({
        "name": object.name,
        "profile": object.profile.as_str(),
        "path": object.path.to_string_lossy(),
        "sources": sources,
        "compiler": object.compiler,
        "license": contents.and_then(|contents| contents.license.as_ref()),
        "programs": contents.map(programs),
        "maps": contents.map(maps),
        "globals": contents.map(globals),
        "externs": contents.map(externs),
    })
}

fn programs(contents: &Contents) -> Vec<Value> {
    let program = |program: &Program| {
        json!({
            "name": program.name,
            "section": program.section,
            "type": program.program_type,
            "target": program.target,
            "instructions": program.instructions,
        })
    };
    contents.programs.iter().map(program).collect()
}

fn maps(contents: &Contents) -> Vec<Value> {
    let map = |map: &Map| {
        json!({
            "name": map.name,
            "type": map.map_type,
            "key_size": map.key_size,
            "value_size": map.value_size,
            "key": map.key,
            "value": map.value,
            "max_entries": map.max_entries,
            "flags": map.flags,
            "pinned": map.is_pinned,
        })
    };
    contents.maps.iter().map(map).collect()
}

fn globals(contents: &Contents) -> Vec<Value> {
    let global = |global: &Global| {
        json!({
            "name": global.name,
            "section": global.section,
            "constant": global.is_constant,
            "declaration": global.declaration,
            "offset": global.offset,
            "size": global.size,
        })
    };
    contents.globals.iter().map(global).collect()
}

fn externs(contents: &Contents) -> Vec<Value> {
    let known = |known: &Extern| {
        json!({
            "name": known.name,
            "kind": known.kind,
            "weak": known.is_weak,
            "declaration": known.declaration,
        })
    };
    contents.externs.iter().map(known).collect()
}
