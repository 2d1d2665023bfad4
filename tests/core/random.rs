//! Random types and random relocations: whatever they are, skep and libbpf
//! come to the same.

use crate::oracle::{self, Libbpf};
use proptest::prelude::*;
use skep::bpf::Insn;
use skep::btf::ext::CoreRelo;
use skep::btf::{Btf, Builder, Endian, Kind, TypeId};
use skep::relocate::core::{Question, Resolver, Target};
use std::sync::Arc;

/// A type to be made. References are taken modulo what there is, so that
/// every value is possible: to types made before, or for pointers to any.
#[derive(Clone, Debug)]
enum Plan {
    Int {
        size: u32,
        encoding: u32,
    },
    /// An integer of fewer bits than its bytes have, as before kind_flag.
    Bits {
        offset: u32,
        bits: u32,
    },
    Float,
    Pointer(u32),
    Array {
        element: u32,
        count: u32,
    },
    Composite {
        is_union: bool,
        name: usize,
        members: Vec<(usize, u32, u32, u8)>,
    },
    Enum {
        name: usize,
        wide: bool,
        signed: bool,
        values: Vec<(usize, i64)>,
    },
    Forward {
        name: usize,
        is_union: bool,
    },
    Typedef {
        name: usize,
        target: u32,
    },
    Modifier {
        kind: Kind,
        target: u32,
    },
    Function {
        returns: u32,
        params: Vec<u32>,
    },
}

/// Few names, so that they meet; the first is none.
const NAMES: [&str; 7] = ["", "a", "b", "a___x", "a___y", "c", "a___x___y"];
/// Members' names are drawn from an order without repetition, because C does
/// not let a name stand twice in a struct.
const MEMBERS: [&str; 6] = ["", "p", "q", "r", "s", "p___x"];
const SIZE: u32 = 64;

fn plan() -> impl Strategy<Value = Plan> {
    let name = 0..NAMES.len();
    let member = (0..MEMBERS.len(), any::<u32>(), 0..SIZE * 8, 0u8..12);
    let value = (1..MEMBERS.len(), prop_oneof![-3i64..9, any::<i64>()]);
    prop_oneof![
        3 => (0u32..4, prop::sample::select(vec![0u32, 0, 1, 1, 2, 3, 4, 5]))
            .prop_map(|(power, encoding)| Plan::Int { size: 1 << power, encoding }),
        1 => (0u32..3, 1u32..20).prop_map(|(offset, bits)| Plan::Bits { offset, bits }),
        1 => Just(Plan::Float),
        3 => any::<u32>().prop_map(Plan::Pointer),
        2 => (any::<u32>(), 0u32..5).prop_map(|(element, count)| Plan::Array { element, count }),
        8 => (any::<bool>(), name.clone(), prop::collection::vec(member, 0..6)).prop_map(
            |(is_union, name, members)| Plan::Composite { is_union, name, members }
        ),
        3 => (name.clone(), any::<bool>(), any::<bool>(), prop::collection::vec(value, 0..4))
            .prop_map(|(name, wide, signed, values)| Plan::Enum { name, wide, signed, values }),
        1 => (name.clone(), any::<bool>())
            .prop_map(|(name, is_union)| Plan::Forward { name, is_union }),
        2 => (1..NAMES.len(), any::<u32>())
            .prop_map(|(name, target)| Plan::Typedef { name, target }),
        1 => (prop_oneof![Just(Kind::Const), Just(Kind::Volatile)], any::<u32>())
            .prop_map(|(kind, target)| Plan::Modifier { kind, target }),
        2 => (any::<u32>(), prop::collection::vec(any::<u32>(), 0..3))
            .prop_map(|(returns, params)| Plan::Function { returns, params }),
    ]
}

/// Whether a type is an integer or an enumeration, perhaps a qualified one.
fn has_bits(plans: &[Plan], ty: TypeId) -> bool {
    let Some(at) = (ty.0 as usize).checked_sub(1) else { return false };
    match &plans[at] {
        Plan::Int { .. } | Plan::Enum { .. } => true,
        Plan::Typedef { target, .. } | Plan::Modifier { target, .. } => {
            has_bits(plans, TypeId(target % (at as u32 + 1)))
        }
        _ => false,
    }
}

fn build(plans: &[Plan], paths: &[String]) -> (Vec<u8>, Vec<u32>) {
    let mut builder = Builder::new();
    let all = plans.len() as u32;
    for (at, plan) in plans.iter().enumerate() {
        let before = |wish: u32| TypeId(wish % (at as u32 + 1));
        match plan {
            Plan::Int { size, encoding } => builder.int("int", *size, *encoding),
            Plan::Bits { offset, bits } => {
                builder.raw("int", Kind::Int, false, 0, 4, &[(offset << 16) | bits])
            }
            Plan::Float => builder.raw("float", Kind::Float, false, 0, 4, &[]),
            Plan::Pointer(target) => builder.reference(Kind::Ptr, "", TypeId(target % (all + 1))),
            Plan::Array { element, count } => builder.array(before(*element), TypeId(0), *count),
            Plan::Composite { is_union, name, members } => {
                let kind = if *is_union { Kind::Union } else { Kind::Struct };
                let mut seen = Vec::new();
                let members: Vec<_> = members
                    .iter()
                    .filter(|(name, ..)| {
                        let is_new = !seen.contains(name);
                        seen.push(*name);
                        is_new
                    })
                    .map(|(name, ty, offset, width)| {
                        // libbpf divides by the size of a bit-field's type
                        // and does not look whether it has one.
                        let is_number = has_bits(plans, before(*ty));
                        let (offset, width) = if *width < 8 || !is_number {
                            (offset / 8 * 8, 0)
                        } else {
                            (*offset, *width)
                        };
                        (MEMBERS[*name], before(*ty), offset, width)
                    })
                    .collect();
                builder.composite(kind, NAMES[*name], SIZE, &members)
            }
            Plan::Enum { name, wide, signed, values } => {
                let values: Vec<_> =
                    values.iter().map(|(name, value)| (MEMBERS[*name], *value)).collect();
                builder.enumeration(NAMES[*name], if *wide { 8 } else { 4 }, *signed, &values)
            }
            Plan::Forward { name, is_union } => {
                builder.raw(NAMES[*name], Kind::Fwd, *is_union, 0, 0, &[])
            }
            Plan::Typedef { name, target } => {
                builder.reference(Kind::Typedef, NAMES[*name], before(*target))
            }
            Plan::Modifier { kind, target } => builder.reference(*kind, "", before(*target)),
            Plan::Function { returns, params } => {
                let params: Vec<_> = params.iter().map(|param| ("", before(*param))).collect();
                builder.proto(before(*returns), &params)
            }
        };
    }
    let paths = paths.iter().map(|path| builder.string(path)).collect();
    (builder.finish(Endian::Little), paths)
}

/// A load, a store, an assignment and a 64-bit load, by number.
fn insn(number: u8) -> [Insn; 2] {
    let code =
        [0x61, 0x69, 0x79, 0x71, 0x62, 0x7b, 0xb7, 0x07, 0x18, 0x85, 0x05][number as usize % 11];
    [Insn { code, dst: 1, src: 0, off: 0, imm: 0 }, Insn::default()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, max_global_rejects: 200_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_come_to_the_same(
        local in prop::collection::vec(plan(), 1..12),
        kernel in prop::collection::vec(plan(), 1..16),
        is_same in any::<bool>(),
        paths in prop::collection::vec("(0|0|0|1)(:[0-4]){0,4}", 4..8),
        code in any::<u8>(),
    ) {
        let (local, paths) = build(&local, &paths);
        let kernel = if is_same { local.clone() } else { build(&kernel, &[]).0 };
        let (Ok(local_btf), Ok(kernel_btf)) =
            (Btf::parse(local.clone()), Btf::parse(kernel.clone()))
        else {
            return Err(TestCaseError::reject("no valid BTF"));
        };
        let target = Target::new(Arc::new(kernel_btf));
        let (raw_local, raw_kernel) =
            (oracle::Btf::new(&local, None), oracle::Btf::new(&kernel, None));
        let mut resolver = Resolver::new(&local_btf, &target);
        let mut libbpf = Libbpf::new(&raw_local, &raw_kernel, &[]);
        for ty in local_btf.ids() {
            for &access in &paths {
                for kind in 0..13 {
                    let relo = CoreRelo { offset: 0, ty, access, kind };
                    let about = || format!("{ty} {kind} {}", local_btf.string(access).unwrap());
                    let ours = resolver.resolve(&relo);
                    let theirs = libbpf.resolve(&relo, &insn(code));
                    prop_assert_eq!(ours.is_ok(), theirs.is_some(), "{}: {:?}", about(), ours);
                    let (Ok(ours), Some(theirs)) = (ours, theirs) else { continue };
                    prop_assert_eq!(ours.value(), theirs.value, "{}", about());
                    if let Some(answer) = ours.answer {
                        prop_assert_eq!(answer.original, theirs.original, "{}", about());
                        prop_assert_eq!(answer.is_checked, theirs.is_checked, "{}", about());
                    }
                    let found = ours.target().map(|found| {
                        (found.spec.root, found.spec.path.clone(), found.spec.bit_offset)
                    });
                    prop_assert_eq!(found, theirs.target, "{}", about());
                    // Most instructions do not hold the value; give them it.
                    for original in [0, theirs.original] {
                        let mut before = insn(code);
                        match before[0].code & 7 {
                            1..=3 => before[0].off = original as i16,
                            _ => before[0].imm = original as i32,
                        }
                        if before[0].is_wide() {
                            before[1].imm = (original >> 32) as i32;
                        }
                        let expected = libbpf.patch(&before);
                        let mut insns = before;
                        let applied = ours.apply(&mut insns);
                        let insns = applied.is_ok().then_some(insns.to_vec());
                        prop_assert_eq!(insns, expected, "{} {:?}", about(), before);
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, max_global_rejects: 200_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn minimal_btf_gives_the_same_answers(
        local in prop::collection::vec(plan(), 1..12),
        kernel in prop::collection::vec(plan(), 1..16),
        is_same in any::<bool>(),
        paths in prop::collection::vec("(0|0|0|1)(:[0-4]){0,4}", 4..8),
        seed in any::<u64>(),
    ) {
        let (local, paths) = build(&local, &paths);
        let kernel = if is_same { local.clone() } else { build(&kernel, &[]).0 };
        let (Ok(local_btf), Ok(kernel_btf)) =
            (Btf::parse(local.clone()), Btf::parse(kernel.clone()))
        else {
            return Err(TestCaseError::reject("no valid BTF"));
        };
        let target = Target::new(Arc::new(kernel_btf));
        let raw_local = oracle::Btf::new(&local, None);
        let raw_kernel = oracle::Btf::new(&kernel, None);
        // Those that libbpf does not refuse, and of those about a third.
        let mut resolver = Resolver::new(&local_btf, &target);
        let mut number = 0u64;
        let mut relocations = Vec::new();
        for ty in local_btf.ids() {
            for &access in &paths {
                for kind in 0..13 {
                    let relo = CoreRelo { offset: 0, ty, access, kind };
                    number += 1;
                    let chosen = seed.wrapping_mul(number | 1).rotate_left(17) % 3 == 0;
                    if chosen && resolver.resolve(&relo).is_ok() {
                        relocations.push(relo);
                    }
                }
            }
        }
        let small = target.minimal(&[(&local_btf, relocations.clone())]);
        let small = match small {
            Ok(small) => small,
            Err(error) => return Err(TestCaseError::fail(format!("{error:?}"))),
        };
        prop_assert!(small.bytes.len() <= kernel.len() + 24, "{} bytes", small.bytes.len());
        let raw_small = oracle::Btf::new(&small.bytes, None);
        let mut full = Libbpf::new(&raw_local, &raw_kernel, &[]);
        let mut cut = Libbpf::new(&raw_local, &raw_small, &[]);
        for relo in &relocations {
            let (one, other) = (full.resolve(relo, &insn(8)), cut.resolve(relo, &insn(8)));
            if relo.kind == Question::TypeIdTarget as u32 {
                continue;
            }
            prop_assert_eq!(
                one.map(|one| (one.value, one.original)),
                other.map(|other| (other.value, other.original)),
                "{:?}", relo
            );
        }
    }
}
