//! Linux 5.x: `R1_w=inv(id=0,umax_value=255,var_off=(0x0; 0xff))`, the whole
//! state on a line before each instruction.

use super::{Dialect, Field, Rules};

pub(super) const RULES: Rules = Rules {
    dialect: Dialect::V5_10,
    fields: &[
        ("id", Field::Id),
        ("ref_obj_id", Field::Reference),
        ("off", Field::Offset),
        ("r", Field::PacketRange),
        ("ks", Field::KeySize),
        ("vs", Field::ValueSize),
        ("imm", Field::Immediate),
        ("smin_value", Field::SignedMin),
        ("smax_value", Field::SignedMax),
        ("umin_value", Field::UnsignedMin),
        ("umax_value", Field::UnsignedMax),
        ("s32_min_value", Field::Signed32Min),
        ("s32_max_value", Field::Signed32Max),
        ("u32_min_value", Field::Unsigned32Min),
        ("u32_max_value", Field::Unsigned32Max),
        ("var_off", Field::VarOff),
    ],
    immediate_is_hex: true,
    speaks: |line| line.contains("=inv") || line.contains("(id=0,") || line.contains("_value="),
};
