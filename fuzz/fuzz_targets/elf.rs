//! Objects: read, checked, linked, and relocated for a kernel that has the
//! object's own types.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skep::analysis;
use skep::elf::Object;
use skep::relocate;
use skep::relocate::core::{Resolver, Target};
use std::path::Path;

fuzz_target!(|data: &[u8]| {
    let Ok(object) = Object::parse(data) else { return };
    let _ = analysis::check(&object, Path::new("fuzz.bpf.o"), &|_| None);
    for program in object.programs() {
        let _ = relocate::image(&object, &program.name);
    }
    let Some(btf) = &object.btf else { return };
    let target = Target::new(btf.clone());
    let mut resolver = Resolver::new(btf, &target);
    for (section, slot, relo) in object.core_relocations() {
        let Ok(resolution) = resolver.resolve(&relo) else { continue };
        let _ = resolution.local.describe(btf);
        let mut insns = object.sections[section].insns[slot..].to_vec();
        insns.truncate(2);
        let _ = resolution.apply(&mut insns);
    }
    let relocations = object.core_relocations().into_iter().map(|(_, _, relo)| relo).collect();
    let _ = target.minimal(&[(btf, relocations)]);
});
