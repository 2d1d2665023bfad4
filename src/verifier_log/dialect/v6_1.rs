//! Linux 5.18 to 6.6: `scalar(umax=255,var_off=(0x0; 0xff))`, behind the
//! instruction that changed it; attributes that are zero are left out, except
//! a pointer's offsets.

use super::{Dialect, Field, Rules};

pub(super) const RULES: Rules = Rules {
    dialect: Dialect::V6_1,
    fields: &[
        ("id", Field::Id),
        ("ref_obj_id", Field::Reference),
        ("off", Field::Offset),
        ("r", Field::PacketRange),
        ("ks", Field::KeySize),
        ("vs", Field::ValueSize),
        ("imm", Field::Immediate),
        ("smin", Field::SignedMin),
        ("smax", Field::SignedMax),
        ("umin", Field::UnsignedMin),
        ("umax", Field::UnsignedMax),
        ("s32_min", Field::Signed32Min),
        ("s32_max", Field::Signed32Max),
        ("u32_min", Field::Unsigned32Min),
        ("u32_max", Field::Unsigned32Max),
        ("var_off", Field::VarOff),
    ],
    immediate_is_hex: true,
    speaks: |line| line.contains("(off=0,imm=0)") || line.contains("scalar("),
};
