//! clang's command line for a source.

use super::Source;
use super::arch::Arch;
use super::clang::Clang;
use super::complaints;
use crate::base::process::Command;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// What all sources of a build have in common.
#[derive(Clone, Debug)]
pub struct Common<'a> {
    /// The compiler.
    pub clang: &'a Clang,
    /// The directory that clang runs in and paths are relative to.
    pub root: &'a Path,
    /// The build directory, which object files must not name.
    pub target: &'a Path,
    /// The directory with `vmlinux.h` and libbpf's headers.
    pub generated: &'a Path,
    /// The user's include directories, relative to `root`.
    pub include: &'a [PathBuf],
    /// Words in front of the compiler: a launcher with its arguments.
    pub launcher: &'a [PathBuf],
    /// The architecture whose registers `bpf_tracing.h` reads.
    pub arch: Arch,
}

impl Common<'_> {
    /// What decides about the object, as far as it is on the command line.
    /// `pruned` is the directory of the source's own `vmlinux.h`, which comes
    /// before the whole one.
    fn essential(&self, source: &Source, pruned: Option<&Path>) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = Vec::new();
        let mut add = |argument: &dyn AsRef<OsStr>| arguments.push(argument.as_ref().to_owned());
        add(&"-target");
        add(&self.arch.target());
        add(&format!("-mcpu={}", source.mcpu));
        add(&"-g");
        add(&"-O2");
        add(&format!("-D__TARGET_ARCH_{}", self.arch.as_str()));
        // Some distributions' clangs turn it on; BPF has no stack guard.
        add(&"-fno-stack-protector");
        for dir in self.include {
            add(&"-I");
            add(&self.short(dir));
        }
        // Behind the user's own, in front of the system's: what a project
        // brings along wins, what a machine happens to have does not.
        for dir in pruned.into_iter().chain([self.generated]) {
            add(&"-isystem");
            add(&self.short(dir));
        }
        for dir in &self.clang.include {
            add(&"-idirafter");
            add(dir);
        }
        for define in &source.defines {
            add(&format!("-D{define}"));
        }
        for flag in &source.cflags {
            add(flag);
        }
        arguments
    }

    /// Keeps this machine's directories out of the object: the project is the
    /// empty prefix, so that line information says `src/opens.bpf.c`.
    fn prefix_maps(&self) -> Vec<OsString> {
        let map = |from: &Path, to: &str| {
            let mut argument = OsString::from("-ffile-prefix-map=");
            argument.push(from);
            argument.push("=");
            argument.push(to);
            argument
        };
        // clang splits the argument at the first `=`. Where that is part of
        // the project's own name, line information says `./src/opens.bpf.c`.
        if self.root.as_os_str().as_encoded_bytes().contains(&b'=') {
            return vec![OsString::from("-fdebug-compilation-dir=.")];
        }
        let mut maps = vec![map(self.root, "")];
        if !self.target.starts_with(self.root) {
            maps.push(map(self.target, "target/skep"));
        }
        maps
    }

    /// A path as clang gets it: relative where it lies in the project.
    fn short<'p>(&self, path: &'p Path) -> &'p Path {
        path.strip_prefix(self.root).unwrap_or(path)
    }

    /// The command that works on `source` with the arguments that decide about
    /// the object; what is to be done is added to it.
    pub fn command(&self, source: &Source, pruned: Option<&Path>) -> Command {
        let command = match self.launcher {
            [] => Command::new(&self.clang.path),
            [launcher, rest @ ..] => Command::new(launcher).args(rest).arg(&self.clang.path),
        };
        command
            .cwd(self.root)
            // clang takes the name of its directory from here, if it is one,
            // and the prefix map must know that name.
            .env("PWD", self.root)
            .args(self.essential(source, pruned))
            .args(self.prefix_maps())
            // A crash must not litter the directory for temporary files.
            .arg("-fno-crash-diagnostics")
            .args(complaints::ARGUMENTS)
    }

    /// The command that compiles `source` to `object` and lists what it read
    /// in `dependencies`.
    pub fn compile(
        &self,
        source: &Source,
        pruned: Option<&Path>,
        object: &Path,
        dependencies: &Path,
    ) -> Command {
        self.command(source, pruned)
            .args(["-MD", "-MT", "object", "-MF"])
            .arg(dependencies)
            .arg("-c")
            .arg(&source.path)
            .arg("-o")
            .arg(object)
    }

    /// The command that writes `source` preprocessed to standard output.
    pub fn preprocess(&self, source: &Source, pruned: Option<&Path>) -> Command {
        self.command(source, pruned).arg("-E").arg(&source.path)
    }

    /// What identifies the command line: everything that may change the
    /// object's bytes. Where the project lies is no part of it.
    pub fn key(&self, source: &Source, pruned: Option<&Path>) -> String {
        let words = self.essential(source, pruned);
        words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    /// The command line as editors need it.
    pub fn for_editors(&self, source: &Source, pruned: Option<&Path>) -> Vec<String> {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        std::iter::once(path(&self.clang.path))
            .chain(
                self.essential(source, pruned)
                    .iter()
                    .map(|word| word.to_string_lossy().into_owned()),
            )
            .chain(["-c".to_owned(), path(&source.path)])
            .collect()
    }
}
