//! Linux 6.7 to 6.18: `scalar(smin=0,smax=umax=0xffffffff,…)`: numbers too
//! large for people are hexadecimal, equal bounds share one number; `ctx()`;
//! the source comment names its file and line.

use super::{Dialect, Field, Rules};

pub(super) const RULES: Rules = Rules {
    dialect: Dialect::V6_12,
    fields: FIELDS,
    immediate_is_hex: false,
    speaks: |line| {
        line.contains("ctx()")
            || line.contains("smax=umax")
            || line.contains("smin32=")
            || (line.starts_with("; ") && super::super::source::has_place(line))
    },
};

/// Linux 7 has the same.
pub(super) const FIELDS: &[(&str, Field)] = &[
    ("id", Field::Id),
    ("ref_obj_id", Field::Reference),
    ("ref_id", Field::Reference),
    ("off", Field::Offset),
    ("r", Field::PacketRange),
    ("ks", Field::KeySize),
    ("vs", Field::ValueSize),
    ("sz", Field::MemorySize),
    ("map", Field::Map),
    ("imm", Field::Immediate),
    ("smin", Field::SignedMin),
    ("smax", Field::SignedMax),
    ("umin", Field::UnsignedMin),
    ("umax", Field::UnsignedMax),
    ("smin32", Field::Signed32Min),
    ("smax32", Field::Signed32Max),
    ("umin32", Field::Unsigned32Min),
    ("umax32", Field::Unsigned32Max),
    ("var_off", Field::VarOff),
];
