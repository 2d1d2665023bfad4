//! A pruned header is the same whether all of the BTF was read for it or only
//! what the sources lead to.

use crate::support::debian;
use skep::btf::{Btf, Outline};
use skep::ops::vmlinux::words;
use skep::vmlinux;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The BPF sources of all templates.
fn sources() -> Vec<PathBuf> {
    let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let mut sources = Vec::new();
    for template in std::fs::read_dir(templates).unwrap() {
        let Ok(files) = std::fs::read_dir(template.unwrap().path().join("src")) else { continue };
        let files = files.map(|file| file.unwrap().path());
        sources.extend(files.filter(|file| file.to_str().unwrap().ends_with(".bpf.c")));
    }
    sources
}

fn check(btf: &[u8]) {
    let (whole, outline) =
        (Btf::parse(btf.to_vec()).unwrap(), Outline::parse(btf.to_vec()).unwrap());
    let mut sources = sources();
    assert!(sources.len() > 30, "{sources:?}");
    sources.sort();
    for source in sources {
        let files = BTreeSet::from([source.clone()]);
        let words = words(&files, &[]).unwrap();
        let expected = String::from_utf8(vmlinux::prune(&whole, &words).unwrap()).unwrap();
        let found = vmlinux::prune_outline(&outline, &words).expect("the BTF is not odd");
        let found = String::from_utf8(found).unwrap();
        let first = expected.lines().zip(found.lines()).find(|(one, two)| one != two);
        assert!(expected == found, "{}: {first:?}", source.display());
    }
}

#[test]
fn of_5_10() {
    check(&debian::kernel_btf("debian/bullseye"));
}

#[test]
fn of_6_1() {
    check(&debian::kernel_btf("debian/bookworm"));
}

#[test]
fn of_6_12() {
    check(&debian::kernel_btf("debian/trixie"));
}

#[test]
fn of_7_x() {
    check(&debian::kernel_btf("debian/sid"));
}

#[test]
fn damage_does_no_harm() {
    let whole = debian::kernel_btf("debian/bullseye");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/tracecon/src");
    let files = std::fs::read_dir(source).unwrap().map(|file| file.unwrap().path()).collect();
    let words = words(&files, &[]).unwrap();
    let types = u32::from_le_bytes(*whole[12..].first_chunk().unwrap()) as usize;
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below as u64) as usize
    };
    let (mut written, mut refused) = (0, 0);
    for round in 0..60 {
        let mut bytes = whole.clone();
        // From a few places to many; below the upper byte of a count, which
        // would cut the rest.
        for _ in 0..1 << (round % 12) {
            let word = 24 + next(types / 4) * 4;
            bytes[word + next(2)] ^= 1 << next(8);
        }
        let outline = Outline::parse(bytes).ok();
        match outline.and_then(|outline| vmlinux::prune_outline(&outline, &words)) {
            Some(text) => {
                assert!(!text.is_empty());
                written += 1;
            }
            None => refused += 1,
        }
    }
    assert!(written > 5 && refused > 5, "{written} written, {refused} refused");
}
