//! What a manifest says: the schema of `Skep.toml`, and of
//! `[package.metadata.skep]`, which has the same keys.
//!
//! Every key has a default, so an empty file is a valid manifest.

use super::name;
use super::reader::Reader;
use crate::base::digest::Digest;
use crate::bpf::KernelVersion;
use crate::diagnostics::{Diagnostic, Level};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub use super::reader::Located;

/// A whole manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// `[workspace]`, if there is one.
    pub workspace: Option<Members>,
    /// Whether it describes a package. A manifest with `[workspace]` does only
    /// if it has `[package]`.
    pub is_package: bool,
    /// `[package]`.
    pub package: Package,
    /// `[bpf]`.
    pub bpf: Bpf,
    /// `[user]`.
    pub user: User,
    /// `[profile.dev]`.
    pub dev: Profile,
    /// `[profile.release]`.
    pub release: Profile,
    /// `[kernels]`.
    pub kernels: Kernels,
    /// `[lints]`: the level of each lint that is named, by its slug or code.
    pub lints: BTreeMap<String, Level>,
    /// Where the names in `[lints]` stand in the manifest, in its order.
    pub lint_names: Vec<Located<String>>,
    /// `[[budget]]`.
    pub budgets: Vec<Budget>,
}

impl Default for Manifest {
    fn default() -> Self {
        Self {
            workspace: None,
            is_package: true,
            package: Package::default(),
            bpf: Bpf::default(),
            user: User::default(),
            dev: Profile::default(),
            release: Profile::default(),
            kernels: Kernels::default(),
            lints: BTreeMap::new(),
            lint_names: Vec::new(),
            budgets: Vec::new(),
        }
    }
}

/// `[workspace]`: which packages belong together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Members {
    /// Patterns of their directories, relative to the manifest's.
    pub members: Vec<Located<String>>,
    /// Patterns of directories that are none of them.
    pub exclude: Vec<Located<String>>,
    /// `[workspace.package]`, `[workspace.bpf]` and their like: what holds for
    /// every package whose own manifest does not say otherwise.
    pub shared: Box<Manifest>,
}

/// `[package]`: what the project is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Package {
    /// The project's and the skeleton's name.
    pub name: Option<String>,
    /// The version, free text.
    pub version: Option<String>,
    /// The license, an SPDX expression.
    pub license: Option<String>,
}

/// `[bpf]`: how the BPF side is built.
#[derive(Clone, Debug, PartialEq)]
pub struct Bpf {
    /// Patterns of source files, relative to the project.
    pub sources: Vec<Located<String>>,
    /// Include directories, relative to the project.
    pub include: Vec<Located<String>>,
    /// Further arguments of clang.
    pub cflags: Vec<String>,
    /// Macros: `NAME` or `NAME=VALUE`.
    pub defines: Vec<String>,
    /// The instruction set, always explicit on clang's command line.
    pub mcpu: Located<Mcpu>,
    /// The clang to use: a name to look for on the search path, or a path.
    pub clang: Option<Located<String>>,
    /// A program that is started in clang's place with clang and its
    /// arguments, such as `sccache`; with arguments of its own.
    pub launcher: Vec<Located<String>>,
    /// `[[bpf.override]]`: other options for some of the sources.
    pub overrides: Vec<Override>,
    /// Where `vmlinux.h` comes from.
    pub vmlinux: Located<Vmlinux>,
    /// The BTF that it is made of, and that types are compared with.
    pub btf: Option<Btf>,
    /// Whether all sources are linked into one object.
    pub link: bool,
}

/// `btf`: the kernel whose types a project is written for.
#[derive(Clone, Debug, PartialEq)]
pub struct Btf {
    /// A kernel's reference, or a file relative to the project.
    pub from: Located<String>,
    /// The hash of its bytes, if the project is pinned to them.
    pub sha256: Option<Digest>,
}

impl Default for Bpf {
    fn default() -> Self {
        Self {
            sources: vec![Located::default_value("src/**/*.bpf.c".to_owned())],
            include: vec![Located::default_value("include".to_owned())],
            cflags: vec!["-Wall".to_owned()],
            defines: Vec::new(),
            mcpu: Located::default(),
            clang: None,
            launcher: Vec::new(),
            overrides: Vec::new(),
            vmlinux: Located::default(),
            btf: None,
            link: false,
        }
    }
}

/// `[[bpf.override]]`: options for the sources that match. They come behind
/// those of `[bpf]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Override {
    /// Patterns of source files, relative to the project.
    pub sources: Vec<Located<String>>,
    /// Further arguments of clang.
    pub cflags: Vec<String>,
    /// Macros.
    pub defines: Vec<String>,
    /// Another instruction set.
    pub mcpu: Option<Located<Mcpu>>,
}

/// `[profile.NAME]`: options of one profile. They come behind all others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// Further arguments of clang.
    pub cflags: Vec<String>,
    /// Macros.
    pub defines: Vec<String>,
    /// Whether DWARF is left out of objects; BTF stays.
    pub strip: Option<bool>,
}

/// A version of the BPF instruction set, as `-mcpu` names them
/// (llvm/lib/Target/BPF/BPF.td).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mcpu {
    /// The first one.
    V1,
    /// With `jlt`, `jle` and their kin; Linux 4.14.
    V2,
    /// With 32-bit jumps and arithmetic; Linux 5.1.
    #[default]
    V3,
    /// With sign extension, `gotol` and signed division; Linux 6.6, clang 18.
    V4,
}

impl Mcpu {
    const ALL: &'static [(&'static str, Self)] =
        &[("v1", Self::V1), ("v2", Self::V2), ("v3", Self::V3), ("v4", Self::V4)];

    /// The value of `-mcpu`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
            Self::V3 => "v3",
            Self::V4 => "v4",
        }
    }
}

/// The values of `vmlinux`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Vmlinux {
    /// Only what the sources use, and what that needs.
    #[default]
    Pruned,
    /// Every type of the kernel.
    Full,
    /// skep makes none.
    None,
    /// From this file: BTF, an ELF file with BTF, a kernel image, or a header
    /// that is taken as it is.
    Path(PathBuf),
}

/// `[user]`: the program that loads the BPF side.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// What it is written in.
    pub kind: Located<UserKind>,
    /// Patterns of its sources, relative to the project; BPF sources that
    /// match are left out. For C.
    pub sources: Vec<Located<String>>,
    /// Further arguments of the C compiler.
    pub cflags: Vec<String>,
    /// Further libraries: names, or arguments of the linker.
    pub libs: Vec<String>,
    /// Which libbpf it is linked to.
    pub libbpf: Located<LibbpfKind>,
    /// Whether it is linked to nothing that must be there at run time.
    pub is_static: bool,
}

impl Default for User {
    fn default() -> Self {
        Self {
            kind: Located::default(),
            sources: vec![Located::default_value("src/*.c".to_owned())],
            cflags: vec!["-Wall".to_owned()],
            libs: Vec::new(),
            libbpf: Located::default(),
            is_static: false,
        }
    }
}

/// The values of `user.libbpf`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LibbpfKind {
    /// The machine's if it is new enough, else skep's own.
    #[default]
    Auto,
    /// The machine's.
    System,
    /// skep's own.
    Bundled,
}

/// The values of `user.kind`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UserKind {
    /// C, built by skep.
    C,
    /// Rust, built by cargo.
    Rust,
    /// There is none.
    #[default]
    None,
}

/// `[kernels]`: what the project supports.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kernels {
    /// The oldest version.
    pub min: Option<KernelVersion>,
    /// References that `skep verify` tries when none is named.
    pub matrix: Vec<Located<String>>,
}

/// Reads `6.12`, and ignores a patch level as in `6.12.3`.
fn version(text: &str) -> Option<KernelVersion> {
    let mut parts = text.split('.');
    let mut number = || -> Option<u16> {
        let part = parts.next()?;
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| part.parse().ok()).flatten()
    };
    let (major, minor) = (number()?, number()?);
    let is_whole =
        matches!((parts.next().map(str::parse::<u16>), parts.next()), (None | Some(Ok(_)), None));
    is_whole.then(|| KernelVersion::new(major, minor))
}

/// `[[budget]]`: what programs may cost. A limit that is not written is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    /// Which programs: a name, with `*` for any letters.
    pub program: String,
    /// On which kernels: a reference, with `*` for any letters.
    pub kernel: String,
    /// Instructions the verifier may process.
    pub instructions: Option<u64>,
    /// States the verifier may keep.
    pub states: Option<u64>,
    /// Bytes of stack.
    pub stack: Option<u64>,
    /// Where in the manifest it stands.
    pub range: Range<usize>,
}

type Key<'k, 'd> = &'k Spanned<toml::de::DeString<'d>>;
type Value<'v, 'd> = &'v Spanned<DeValue<'d>>;

/// Reads a `Skep.toml`.
///
/// # Errors
/// Every mistake in it, in the order of the text; at least one.
pub fn parse(path: &Path, text: &str) -> Result<Manifest, Vec<Diagnostic>> {
    parse_member(path, text, &Manifest::default())
}

/// Reads the `Skep.toml` of a package in a workspace: `shared` says what the
/// package's own does not.
///
/// # Errors
/// As for [`parse`].
pub fn parse_member(
    path: &Path,
    text: &str,
    shared: &Manifest,
) -> Result<Manifest, Vec<Diagnostic>> {
    let mut reader = Reader::new(path, text);
    let (document, errors) = DeTable::parse_recoverable(text);
    // After a syntax error the tree is a guess; what else it says is noise.
    let broken = !errors.is_empty();
    reader.syntax(errors);
    let table = document.get_ref();
    if broken {
        return reader.finish().map(|()| Manifest::default());
    }
    let own = table.get("workspace").map(|value| workspace(&mut reader, value));
    let shared = own.as_ref().map_or(shared, |own| &*own.shared);
    let mut manifest = read(&mut reader, table, shared.clone());
    if own.is_some() {
        manifest.workspace = own;
        manifest.is_package = table.contains_key("package");
        let of_package = |name: &str| name != "workspace" && KEYS.contains(&name);
        let homeless = table.keys().filter(|key| of_package(key.get_ref()));
        for key in homeless.filter(|_| !manifest.is_package) {
            reader.homeless_key(key);
        }
    }
    reader.finish().map(|()| manifest)
}

/// Reads `[package.metadata.skep]` of a `Cargo.toml`; nothing if there is no
/// such table.
///
/// # Errors
/// Every mistake in that table, and syntax errors anywhere.
pub fn parse_cargo(path: &Path, text: &str) -> Result<Option<Manifest>, Vec<Diagnostic>> {
    let mut reader = Reader::new(path, text);
    reader.is_cargo = true;
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        reader.syntax(errors);
        return reader.finish().map(|()| None);
    }
    let manifest = document
        .get_ref()
        .get("package")
        .and_then(|package| package.get_ref().get("metadata"))
        .and_then(|metadata| metadata.get_ref().get("skep"))
        .and_then(|skep| reader.table(skep, "skep"))
        .map(|table| read(&mut reader, table, Manifest::default()));
    reader.finish().map(|()| manifest)
}

/// The keys of a manifest. `[workspace]` is read by itself: in `Cargo.toml` it
/// is Cargo's.
const KEYS: &[&str] =
    &["package", "workspace", "bpf", "user", "profile", "kernels", "lints", "budget"];

/// Those of them that may stand in `[workspace]` for all of its packages.
const SHARED: &[&str] = &["package", "bpf", "user", "profile", "kernels", "lints"];

/// Reads a manifest's tables over what `manifest` says already.
fn read(reader: &mut Reader<'_>, table: &DeTable<'_>, mut manifest: Manifest) -> Manifest {
    for (key, value) in table {
        match key.get_ref().as_ref() {
            "budget" => budgets(reader, &mut manifest.budgets, value),
            "workspace" if !reader.is_cargo => {}
            name if SHARED.contains(&name) => part(reader, &mut manifest, name, value),
            _ => reader.unknown_key(key, "", KEYS),
        }
    }
    manifest
}

/// Reads one of the tables that a workspace may have for its packages.
fn part(reader: &mut Reader<'_>, manifest: &mut Manifest, name: &str, value: Value<'_, '_>) {
    match name {
        "package" => section(reader, value, "[package]", |reader, key, value| {
            package(reader, &mut manifest.package, key, value);
        }),
        "bpf" => section(reader, value, "[bpf]", |reader, key, value| {
            bpf(reader, &mut manifest.bpf, key, value);
        }),
        "user" => section(reader, value, "[user]", |reader, key, value| {
            user(reader, &mut manifest.user, key, value);
        }),
        "profile" => section(reader, value, "[profile]", |reader, key, value| {
            let (place, profile) = match key.get_ref().as_ref() {
                "dev" => ("[profile.dev]", &mut manifest.dev),
                "release" => ("[profile.release]", &mut manifest.release),
                _ => return reader.unknown_key(key, "[profile]", &["dev", "release"]),
            };
            section(reader, value, place, |reader, key, value| {
                self::profile(reader, profile, place, key, value);
            });
        }),
        "kernels" => section(reader, value, "[kernels]", |reader, key, value| {
            kernels(reader, &mut manifest.kernels, key, value);
        }),
        _ => section(reader, value, "[lints]", |reader, key, value| {
            manifest.lint_names.push(Located::written(key.get_ref().to_string(), key.span()));
            lint(reader, &mut manifest.lints, key, value);
        }),
    }
}

fn section(
    reader: &mut Reader<'_>,
    value: Value<'_, '_>,
    name: &str,
    mut each: impl FnMut(&mut Reader<'_>, Key<'_, '_>, Value<'_, '_>),
) {
    if let Some(table) = reader.table(value, name) {
        for (key, value) in table {
            each(reader, key, value);
        }
    }
}

fn workspace(reader: &mut Reader<'_>, value: Value<'_, '_>) -> Members {
    let mut members = Members::default();
    let mut has_members = false;
    section(reader, value, "[workspace]", |reader, key, value| {
        let name = key.get_ref().as_ref();
        let patterns = match name {
            "members" => &mut members.members,
            "exclude" => &mut members.exclude,
            _ if SHARED.contains(&name) => {
                part(reader, &mut members.shared, name, value);
                if members.shared.package.name.take().is_some() {
                    reader.wrong(value.span(), "`name` cannot be shared: packages differ in it");
                }
                return;
            }
            _ => {
                let known = [&["members", "exclude"], SHARED].concat();
                return reader.unknown_key(key, "[workspace]", &known);
            }
        };
        has_members |= name == "members";
        *patterns = reader.strings(value, name).unwrap_or_default();
        for pattern in patterns {
            if let Err(reason) = super::sources::check_pattern(&pattern.value) {
                reader.wrong(pattern.range.clone().unwrap_or_default(), reason);
            }
        }
    });
    if !has_members && value.get_ref().is_table() {
        reader
            .wrong(value.span(), "`members` is missing: where are the workspace's packages?")
            .helps
            .push(crate::diagnostics::Help {
                message: "write e.g. members = [\"packages/*\"]".to_owned(),
                edit: None,
            });
    }
    members
}

fn package(reader: &mut Reader<'_>, package: &mut Package, key: Key<'_, '_>, value: Value<'_, '_>) {
    match key.get_ref().as_ref() {
        "name" => {
            if let Some(text) = reader.string(value, "name") {
                match name::check(&text.value) {
                    Ok(()) => package.name = Some(text.value),
                    Err(bad) => {
                        let diagnostic = reader.wrong(value.span(), bad.to_string());
                        if let Some(usable) = bad.suggestion {
                            *diagnostic = diagnostic.clone().help(format!("use `{usable}`"));
                        }
                    }
                }
            }
        }
        "version" => package.version = reader.string(value, "version").map(|text| text.value),
        "license" => package.license = reader.string(value, "license").map(|text| text.value),
        _ => reader.unknown_key(key, "[package]", &["name", "version", "license"]),
    }
}

fn bpf(reader: &mut Reader<'_>, bpf: &mut Bpf, key: Key<'_, '_>, value: Value<'_, '_>) {
    const KEYS: &[&str] = &[
        "sources", "include", "cflags", "defines", "mcpu", "clang", "launcher", "vmlinux", "btf",
        "link", "override",
    ];
    match key.get_ref().as_ref() {
        "sources" => {
            if let Some(sources) = patterns(reader, value) {
                bpf.sources = sources;
            }
        }
        "include" => {
            if let Some(directories) = reader.strings(value, "include") {
                bpf.include = directories;
            }
        }
        "cflags" => {
            if let Some(flags) = cflags(reader, value) {
                bpf.cflags = flags;
            }
        }
        "defines" => bpf.defines = defines(reader, value),
        "mcpu" => {
            if let Some(mcpu) = reader.choice(value, "mcpu", Mcpu::ALL) {
                bpf.mcpu = Located::written(mcpu, value.span());
            }
        }
        "clang" => bpf.clang = reader.string(value, "clang"),
        "launcher" => {
            bpf.launcher = match value.get_ref().is_str() {
                true => reader.string(value, "launcher").into_iter().collect(),
                false => reader.strings(value, "launcher").unwrap_or_default(),
            };
        }
        "vmlinux" => {
            if let Some(text) = reader.string(value, "vmlinux") {
                let vmlinux = match text.value.as_str() {
                    "pruned" => Vmlinux::Pruned,
                    "full" => Vmlinux::Full,
                    "none" => Vmlinux::None,
                    path => Vmlinux::Path(PathBuf::from(path)),
                };
                bpf.vmlinux = Located::written(vmlinux, value.span());
            }
        }
        "btf" => bpf.btf = btf(reader, value),
        "link" => bpf.link = reader.boolean(value, "link").unwrap_or_default(),
        "override" => each_table(reader, value, "bpf.override", |reader, item| {
            let mut options = Override::default();
            section(reader, item, "[[bpf.override]]", |reader, key, value| {
                self::options(reader, &mut options, key, value);
            });
            if options.sources.is_empty() {
                reader.wrong(item.span(), "`sources` is missing: which ones is this for?");
            }
            bpf.overrides.push(options);
        }),
        _ => reader.unknown_key(key, "[bpf]", KEYS),
    }
}

/// A reference or a path, alone or as `{ from = "…", sha256 = "…" }`.
fn btf(reader: &mut Reader<'_>, value: Value<'_, '_>) -> Option<Btf> {
    if value.get_ref().is_str() {
        return Some(Btf { from: reader.string(value, "btf")?, sha256: None });
    }
    let (mut from, mut sha256) = (None, None);
    section(reader, value, "btf", |reader, key, value| match key.get_ref().as_ref() {
        "from" => from = reader.string(value, "from"),
        "sha256" => {
            let Some(text) = reader.string(value, "sha256") else { return };
            sha256 = text.value.parse().ok();
            if sha256.is_none() {
                reader.wrong(value.span(), "`sha256` must have 64 hexadecimal digits");
            }
        }
        _ => reader.unknown_key(key, "`btf`", &["from", "sha256"]),
    });
    if from.is_none() && value.get_ref().as_table().is_some() {
        reader.wrong(value.span(), "`from` is missing: which kernel's?");
    }
    Some(Btf { from: from?, sha256 })
}

fn options(reader: &mut Reader<'_>, own: &mut Override, key: Key<'_, '_>, value: Value<'_, '_>) {
    match key.get_ref().as_ref() {
        "sources" => own.sources = patterns(reader, value).unwrap_or_default(),
        "cflags" => own.cflags = cflags(reader, value).unwrap_or_default(),
        "defines" => own.defines = defines(reader, value),
        "mcpu" => {
            own.mcpu = reader
                .choice(value, "mcpu", Mcpu::ALL)
                .map(|mcpu| Located::written(mcpu, value.span()));
        }
        _ => reader.unknown_key(key, "[[bpf.override]]", &["sources", "cflags", "defines", "mcpu"]),
    }
}

fn profile(
    reader: &mut Reader<'_>,
    profile: &mut Profile,
    place: &str,
    key: Key<'_, '_>,
    value: Value<'_, '_>,
) {
    match key.get_ref().as_ref() {
        "cflags" => profile.cflags = cflags(reader, value).unwrap_or_default(),
        "defines" => profile.defines = defines(reader, value),
        "strip" => profile.strip = reader.boolean(value, "strip"),
        _ => reader.unknown_key(key, place, &["cflags", "defines", "strip"]),
    }
}

fn patterns(reader: &mut Reader<'_>, value: Value<'_, '_>) -> Option<Vec<Located<String>>> {
    let patterns = reader.strings(value, "sources")?;
    if patterns.is_empty() {
        reader.wrong(value.span(), "`sources` is empty, so there is nothing to build");
    }
    for pattern in &patterns {
        if let Err(reason) = super::sources::check_pattern(&pattern.value) {
            reader.wrong(pattern.range.clone().unwrap_or_default(), reason);
        }
    }
    Some(patterns)
}

fn cflags(reader: &mut Reader<'_>, value: Value<'_, '_>) -> Option<Vec<String>> {
    let flags = reader.strings(value, "cflags")?;
    for flag in &flags {
        check_flag(reader, flag);
    }
    Some(flags.into_iter().map(|flag| flag.value).collect())
}

fn defines(reader: &mut Reader<'_>, value: Value<'_, '_>) -> Vec<String> {
    let mut defines = Vec::new();
    for define in reader.strings(value, "defines").unwrap_or_default() {
        let name = define.value.split('=').next().unwrap_or_default();
        let name = name.split('(').next().unwrap_or_default();
        let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if starts && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            defines.push(define.value);
        } else {
            let text = define.value.escape_debug();
            let message = format!("`{text}` is no macro; write NAME or NAME=VALUE");
            reader.wrong(define.range.unwrap_or_default(), message);
        }
    }
    defines
}

/// Refuses the arguments of clang that are skep's own affair: with them the
/// build would do something else than it says.
fn check_flag(reader: &mut Reader<'_>, flag: &Located<String>) {
    let text = flag.value.as_str();
    let reason = if text.starts_with("-mcpu") {
        Some("the instruction set is chosen with `mcpu`")
    } else if text == "-target" || text.starts_with("--target") {
        Some("the target is always BPF")
    } else {
        None
    };
    match reason {
        Some(reason) => refuse_flag(reader, flag, reason),
        None => check_user_flag(reader, flag),
    }
}

/// The same for any compiler.
fn check_user_flag(reader: &mut Reader<'_>, flag: &Located<String>) {
    let text = flag.value.as_str();
    if text == "-o" || text == "-c" || text == "-E" || text == "-S" {
        refuse_flag(reader, flag, "skep decides what the compiler writes, and where");
    } else if text.starts_with("-M") {
        refuse_flag(reader, flag, "skep keeps track of headers itself");
    } else if text.contains(' ') && text.starts_with('-') && !text.contains(['"', '\'', '=']) {
        refuse_flag(reader, flag, "each argument is a string of its own: [\"-a\", \"-b\"]");
    }
}

fn refuse_flag(reader: &mut Reader<'_>, flag: &Located<String>, reason: &str) {
    let text = flag.value.escape_debug();
    let message = format!("`{text}` cannot stand in `cflags`: {reason}");
    reader.wrong(flag.range.clone().unwrap_or_default(), message);
}

fn user(reader: &mut Reader<'_>, user: &mut User, key: Key<'_, '_>, value: Value<'_, '_>) {
    const KEYS: &[&str] = &["kind", "sources", "cflags", "libs", "libbpf", "static"];
    const KINDS: &[(&str, UserKind)] =
        &[("c", UserKind::C), ("rust", UserKind::Rust), ("none", UserKind::None)];
    const LIBBPF: &[(&str, LibbpfKind)] = &[
        ("auto", LibbpfKind::Auto),
        ("system", LibbpfKind::System),
        ("bundled", LibbpfKind::Bundled),
    ];
    match key.get_ref().as_ref() {
        "kind" => {
            if let Some(kind) = reader.choice(value, "kind", KINDS) {
                user.kind = Located::written(kind, value.span());
            }
        }
        "sources" => {
            if let Some(sources) = patterns(reader, value) {
                user.sources = sources;
            }
        }
        "cflags" => {
            let flags = reader.strings(value, "cflags").unwrap_or_default();
            for flag in &flags {
                check_user_flag(reader, flag);
            }
            user.cflags = flags.into_iter().map(|flag| flag.value).collect();
        }
        "libs" => {
            let libs = reader.strings(value, "libs").unwrap_or_default();
            user.libs = libs.into_iter().map(|lib| lib.value).collect();
        }
        "libbpf" => {
            if let Some(libbpf) = reader.choice(value, "libbpf", LIBBPF) {
                user.libbpf = Located::written(libbpf, value.span());
            }
        }
        "static" => user.is_static = reader.boolean(value, "static").unwrap_or_default(),
        _ => reader.unknown_key(key, "[user]", KEYS),
    }
}

fn kernels(reader: &mut Reader<'_>, kernels: &mut Kernels, key: Key<'_, '_>, value: Value<'_, '_>) {
    match key.get_ref().as_ref() {
        "min" => {
            if let Some(text) = reader.string(value, "min") {
                match version(&text.value) {
                    Some(version) => kernels.min = Some(version),
                    None => {
                        let text = text.value.escape_debug();
                        let message = format!("`{text}` is no kernel version; write \"5.10\"");
                        reader.wrong(value.span(), message);
                    }
                }
            }
        }
        "matrix" => kernels.matrix = reader.strings(value, "matrix").unwrap_or_default(),
        _ => reader.unknown_key(key, "[kernels]", &["min", "matrix"]),
    }
}

fn lint(
    reader: &mut Reader<'_>,
    lints: &mut BTreeMap<String, Level>,
    key: Key<'_, '_>,
    value: Value<'_, '_>,
) {
    const LEVELS: &[(&str, Level)] =
        &[("allow", Level::Allow), ("warn", Level::Warn), ("deny", Level::Deny)];
    if let Some(level) = reader.choice(value, key.get_ref(), LEVELS) {
        lints.insert(key.get_ref().clone().into_owned(), level);
    }
}

fn budgets(reader: &mut Reader<'_>, budgets: &mut Vec<Budget>, value: Value<'_, '_>) {
    const KEYS: &[&str] = &["program", "kernel", "instructions", "states", "stack"];
    each_table(reader, value, "budget", |reader, item| {
        let mut budget = Budget {
            program: "*".to_owned(),
            kernel: "*".to_owned(),
            instructions: None,
            states: None,
            stack: None,
            range: item.span(),
        };
        section(reader, item, "[[budget]]", |reader, key, value| {
            let name = key.get_ref().as_ref();
            match name {
                "program" => {
                    if let Some(text) = reader.string(value, name) {
                        budget.program = text.value;
                    }
                }
                "kernel" => {
                    if let Some(text) = reader.string(value, name) {
                        budget.kernel = text.value;
                    }
                }
                "instructions" => budget.instructions = reader.count(value, name),
                "states" => budget.states = reader.count(value, name),
                "stack" => budget.stack = reader.count(value, name),
                _ => reader.unknown_key(key, "[[budget]]", KEYS),
            }
        });
        budgets.push(budget);
    });
}

fn each_table(
    reader: &mut Reader<'_>,
    value: Value<'_, '_>,
    name: &str,
    mut each: impl FnMut(&mut Reader<'_>, Value<'_, '_>),
) {
    match value.get_ref().as_array() {
        Some(array) => array.iter().for_each(|item| each(reader, item)),
        None => {
            let key = name.rsplit('.').next().unwrap_or(name);
            reader.wrong(value.span(), format!("`{key}` is a list of tables; write [[{name}]]"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> Vec<String> {
        parse(Path::new("Skep.toml"), text)
            .unwrap_err()
            .into_iter()
            .map(|mistake| {
                let start = mistake.primary.unwrap().span.start;
                let helps: Vec<_> = mistake.helps.iter().map(|help| &*help.message).collect();
                format!(
                    "{}:{}: {} {}{}",
                    start.line,
                    start.column,
                    mistake.code.id(),
                    mistake.message,
                    if helps.is_empty() {
                        String::new()
                    } else {
                        format!(" ({})", helps.join("; "))
                    }
                )
            })
            .collect()
    }

    #[test]
    fn an_empty_file_is_every_default() {
        assert_eq!(parse(Path::new("Skep.toml"), ""), Ok(Manifest::default()));
    }

    #[test]
    fn the_whole_schema_is_read() {
        let text = r#"
            [package]
            name = "opens"
            version = "0.1.0"
            license = "GPL-2.0-only OR BSD-2-Clause"
            [bpf]
            sources = ["src/**/*.bpf.c"]
            include = ["include"]
            cflags = ["-Wall"]
            defines = ["A", "B=1"]
            mcpu = "v3"
            clang = "clang-19"
            vmlinux = "btf/6.12.btf"
            btf = { from = "debian/trixie", sha256 = "0000000000000000000000000000000000000000000000000000000000000001" }
            link = true
            launcher = "sccache"
            [[bpf.override]]
            sources = ["src/x.bpf.c"]
            cflags = ["-O3"]
            defines = ["B=2"]
            mcpu = "v2"
            [profile.release]
            defines = ["NDEBUG"]
            strip = true
            [user]
            kind = "c"
            [kernels]
            min = "5.10"
            matrix = ["debian/bullseye"]
            [lints]
            "large-stack" = "warn"
            [[budget]]
            program = "*"
            instructions = 100_000
        "#;
        let manifest = parse(Path::new("Skep.toml"), text).unwrap();
        assert_eq!(manifest.kernels.min, Some(KernelVersion { major: 5, minor: 10 }));
        assert_eq!(manifest.bpf.vmlinux.value, Vmlinux::Path("btf/6.12.btf".into()));
        let btf = manifest.bpf.btf.as_ref().unwrap();
        assert_eq!(btf.from.value, "debian/trixie");
        assert!(btf.sha256.unwrap().to_string().ends_with("01"));
        assert_eq!(manifest.lints["large-stack"], Level::Warn);
        assert_eq!(manifest.budgets[0].instructions, Some(100_000));
        assert_eq!(manifest.user.kind.value, UserKind::C);
        assert!(manifest.bpf.link);
        assert_eq!(manifest.bpf.launcher[0].value, "sccache");
        assert_eq!(manifest.bpf.overrides[0].mcpu.as_ref().unwrap().value, Mcpu::V2);
        assert_eq!(manifest.release.strip, Some(true));
    }

    #[test]
    fn every_mistake_is_found_on_its_place() {
        let text = "[bfp]\n[bpf]\nsource = []\nmcpu = \"v5\"\nlink = 1\ncflags = \"-Wall\"\n\
                    [kernels]\nmin = \"new\"\n[[budget]]\ninstructions = -1\n";
        assert_eq!(
            mistakes(text),
            [
                "1:2: E0103 unknown key `bfp` (did you mean `bpf`?)",
                "3:1: E0103 unknown key `source` in [bpf] (did you mean `sources`?)",
                "4:8: E0104 `mcpu` cannot be `v5`; it is one of v1, v2, v3, v4",
                "5:8: E0104 `link` is a number where true or false is expected",
                "6:10: E0104 `cflags` is a string where a list of strings is expected (put it in \
                 brackets)",
                "8:7: E0104 `new` is no kernel version; write \"5.10\"",
                "10:16: E0104 `instructions` must be a number from 0 up",
            ]
        );
    }

    #[test]
    fn a_syntax_error_is_not_followed_by_guesses() {
        let mistakes = mistakes("[bpf\nmcpu = \n");
        assert!(mistakes.iter().all(|mistake| mistake.contains("E0102")), "{mistakes:?}");
    }

    #[test]
    fn cargo_keys_are_the_same() {
        let text = "[package]\nname = \"x\"\n[package.metadata.skep.bpf]\nmcpu = \"v2\"\n";
        let manifest = parse_cargo(Path::new("Cargo.toml"), text).unwrap().unwrap();
        assert_eq!(manifest.bpf.mcpu.value, Mcpu::V2);
        assert_eq!(parse_cargo(Path::new("Cargo.toml"), "[package]\nname = \"x\"\n"), Ok(None));
        assert_eq!(parse_cargo(Path::new("Cargo.toml"), "[package]\nmetadata = 3\n"), Ok(None));
    }

    #[test]
    fn kernel_versions() {
        for (text, good) in [("5.10", true), ("6.12.3", true), ("6", false), ("6.x", false)] {
            assert_eq!(version(text).is_some(), good, "{text}");
        }
        assert!(version("5.9") < version("5.10"));
    }
}
