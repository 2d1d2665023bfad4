//! skep takes a BPF program from an empty directory to the verdict of a real
//! kernel's verifier, and says what is wrong on the C line where it is wrong.
//!
//! # The floors
//!
//! Modules stand on floors and import only from floors below their own (and,
//! on floor 2, from the modules listed before them). `tests/architecture.rs`
//! reads the source and fails where this is not so.
//!
//! | floor | what | modules |
//! |---|---|---|
//! | 5 | front ends: the command line, report formats, editors | `src/bin/skep`, [`report`], [`ide`], [`lsp`] |
//! | 4 | one operation a command | [`ops`] |
//! | 3 | engines, which never import each other | [`baseline`], [`project`], [`scaffold`], [`build`], [`vmlinux`], [`kernels`], [`vm`], [`guest`], [`analysis`], `verifier_log` |
//! | 2 | what the engines work on | [`btf`], [`values`], [`packets`], [`elf`], [`relocate`], `verdict`, [`wire`], [`events`] |
//! | 1 | vocabulary | [`diagnostics`], [`bpf`] |
//! | 0 | the machine | [`base`] |
//!
//! # The flows
//!
//! - **build**: manifest → package → steps → (BTF → header) → clang → object.
//! - **check**: object bytes → `elf`'s object + BTF → passes → findings.
//! - **verify**: objects → a virtual machine → the guest loads each program
//!   through libbpf → results as data → the verifier's log, parsed → findings
//!   and a table of verdicts.
//! - **run**: object → a virtual machine → the guest attaches it as a whole →
//!   records, prints, maps as bytes → values by their BTF types → tables.
//! - **test**: files of tests → bytes (packets, contexts, map entries) → the
//!   guest runs each case and says what came of it → the host judges.
//!
//! # Invariants
//!
//! - Domains return data or emit [`events`]; they never print and never read
//!   the command line or the environment. What they need of those is in
//!   [`ops::Session`], and handed down as arguments.
//! - Everything wrong that a user can cause is a [`diagnostics::Diagnostic`].
//! - Files are written whole or not at all ([`base::fs`]); child processes
//!   never outlive us ([`base::process`]).
//! - What differs between kernels is data, never an `if version` in a pass.

pub mod analysis;
pub mod base;
pub mod baseline;
pub mod bpf;
pub mod btf;
pub mod build;
pub mod diagnostics;
pub mod elf;
pub mod events;
pub mod guest;
pub mod ide;
pub mod kernels;
pub mod lsp;
pub mod ops;
pub mod packets;
pub mod project;
pub mod relocate;
pub mod report;
pub mod scaffold;
pub mod values;
pub mod verdict;
pub mod verifier_log;
pub mod vm;
pub mod vmlinux;
pub mod wire;
