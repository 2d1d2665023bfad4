//! User programs in C: which compiler, which libbpf, and the steps that
//! compile and link them ([`steps`]).
//!
//! A source with a function `main` is a program ([`defines_main`]); sources
//! without one are part of every program. They find the skeletons of the
//! project's objects in `gen/` of the profile's directory, and libbpf's
//! headers of either the machine ([`system`]) or of skep itself ([`bundled`]).

pub mod bundled;
pub mod compiler;
mod main_function;
pub(super) mod messages;
pub(super) mod steps;
pub mod system;

pub use compiler::Compiler;
pub use main_function::defines_main;

use std::ffi::OsString;
use std::path::PathBuf;

/// A libbpf to compile with and to link to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Libbpf {
    /// What identifies it, for people and records.
    pub identity: String,
    /// The compiler's arguments.
    pub cflags: Vec<OsString>,
    /// The linker's arguments.
    pub link: Vec<OsString>,
    /// The linker's arguments for the libraries that it needs itself.
    pub requires: Vec<OsString>,
    /// Files among those that decide about the program's bytes; absolute.
    pub files: Vec<PathBuf>,
}

/// A program to be made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// The file, absolute.
    pub path: PathBuf,
    /// The indices of its sources.
    pub sources: Vec<usize>,
}

/// The user side of a project.
#[derive(Clone, Debug, Hash)]
pub struct User {
    /// The compiler.
    pub compiler: Compiler,
    /// The sources, relative to the project.
    pub sources: Vec<PathBuf>,
    /// What is made of them.
    pub programs: Vec<Program>,
    /// Where the skeletons are, absolute.
    pub generated: PathBuf,
    /// The user's include directories, absolute.
    pub include: Vec<PathBuf>,
    /// Further arguments of the compiler; they come last and win.
    pub cflags: Vec<String>,
    /// Further libraries: names, or arguments of the linker.
    pub libs: Vec<String>,
    /// The libbpf.
    pub libbpf: Libbpf,
    /// Whether nothing is linked to that must be there at run time.
    pub is_static: bool,
    /// Whether the compiler optimises.
    pub optimised: bool,
}
