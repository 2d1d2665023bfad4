//! The rules, one a file.

mod btf;
mod callbacks;
mod calls;
mod code;
mod comm;
mod constant_arguments;
mod constants;
mod context_access;
mod core_reads;
mod flow;
mod global_functions;
pub(super) mod helpers;
mod license;
mod loops;
mod map_arguments;
mod map_values;
mod maps;
mod packet_alignment;
mod printk;
mod relocations;
mod sections;
mod stack;
mod steps;
mod tail_calls;
mod unused;

use super::Context;
use crate::diagnostics::Diagnostic;

/// A rule looks at an object and adds what it finds.
pub(super) type Rule = fn(&Context<'_>, &mut Vec<Diagnostic>);

/// Every rule, in the order in which findings are wanted.
pub(super) const ALL: &[Rule] = &[
    btf::check,
    license::check,
    helpers::check,
    maps::check,
    map_values::check,
    relocations::check,
    sections::check,
    code::check,
    flow::check,
    calls::check,
    callbacks::check,
    tail_calls::check,
    stack::check,
    loops::check,
    global_functions::check,
    steps::check,
    comm::check,
    constants::check,
    unused::check,
];
