//! The rules, one a file.

mod btf;
mod calls;
mod code;
mod flow;
pub(super) mod helpers;
mod license;
mod maps;
mod relocations;
mod sections;
mod stack;

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
    relocations::check,
    sections::check,
    code::check,
    flow::check,
    calls::check,
    stack::check,
];
