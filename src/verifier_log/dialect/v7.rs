//! Linux 7: the words of 6.12 without `_r` and `_w`; registers that nothing
//! reads any more are left out; the log begins with the order of functions
//! and what is live before each instruction.

use super::{Dialect, Rules, v6_12};

pub(super) const RULES: Rules = Rules {
    dialect: Dialect::V7,
    fields: v6_12::FIELDS,
    immediate_is_hex: false,
    speaks: |line| {
        line == "Live regs before insn:"
            || line.starts_with("topo_order[")
            || line.starts_with("stack use/def ")
    },
};
