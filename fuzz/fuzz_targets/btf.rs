//! BTF: whatever the reader accepts can be walked, written as C, cut down and
//! read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skep::btf::{Btf, Outline, Subset, Type, ext::Ext};
use skep::vmlinux;
use std::sync::Arc;

fuzz_target!(|data: &[u8]| {
    let mut words = vmlinux::Words::new();
    words.add(b"struct a *x; struct b y; b c d; sizeof(union e); f(g)");
    // An outline is of bytes that nothing was checked of.
    if let Ok(outline) = Outline::parse(data) {
        let _ = vmlinux::prune_outline(&outline, &words);
    }
    let Ok(btf) = Btf::parse(data) else { return };
    for id in btf.ids() {
        let _ = (btf.size(id), btf.align(id), btf.resolve(id), btf.name(id));
        match btf.ty(id) {
            Type::Struct(composite) | Type::Union(composite) => {
                for member in composite.members() {
                    assert!(btf.contains(member.ty));
                }
            }
            Type::Enum(values) => assert_eq!(values.values().count(), values.len()),
            Type::FuncProto(proto) => assert_eq!(proto.params().count(), proto.len()),
            Type::Datasec(section) => drop(section.items().count()),
            _ => {}
        }
    }
    let _ = vmlinux::header(&btf, &vmlinux::Request::default());
    let _ = vmlinux::prune(&btf, &words);
    let _ = Ext::parse(data, &btf);
    let mut subset = Subset::new(&btf, []);
    for id in btf.ids().step_by(7).take(64) {
        subset.keep_all(0, id);
        subset.keep_shape(0, id);
    }
    Btf::parse(subset.finish()).expect("what is cut out of BTF is BTF");
    // The same bytes once more, as the split BTF of a module.
    let base = Arc::new(btf);
    if let Ok(split) = Btf::parse_split(data, base.clone()) {
        let _ = vmlinux::header(&split, &vmlinux::Request::default());
        let _ = Btf::join(&base, &[split]);
    }
    // And as what comes with its distilled base: what of it is found in itself.
    if let Ok(Ok(rebased)) = Btf::parse_split(data, base.clone()).map(|split| split.rebase(&base)) {
        assert_eq!(rebased.len(), base.len() * 2 - 1);
        let _ = vmlinux::header(&rebased, &vmlinux::Request::default());
    }
});
