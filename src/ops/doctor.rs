//! `skep doctor`: what this machine has of what skep needs, what is missing
//! for which command, and getting it.

use super::{Session, kernel};
use crate::base::fs;
use crate::base::process::{self, Command};
use crate::build;
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};

use crate::vm::{Accelerator, Qemu};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a program may take to say its version.
const PATIENCE: Duration = Duration::from_secs(10);
/// Below this much space a kernel may not fit: it comes in a package of some
/// hundred megabytes and is unpacked.
const LITTLE_SPACE: u64 = 1_000_000_000;

/// What was found out.
#[derive(Debug, Default)]
pub struct Report {
    /// Everything that was looked at.
    pub tools: Vec<Tool>,
    /// What a command will fail for.
    pub diagnostics: Vec<Diagnostic>,
    /// How to get what is missing; nothing where nothing is, or where skep
    /// does not know how.
    pub fix: Option<Fix>,
}

/// One thing that commands need.
#[derive(Clone, Debug)]
pub struct Tool {
    /// What it is called.
    pub name: &'static str,
    /// What is known of it.
    pub state: State,
    /// Its version, or what else there is to say.
    pub detail: String,
    /// Where it is.
    pub path: Option<PathBuf>,
    /// The commands that need it.
    pub needed_for: &'static str,
    /// Whether they do nothing without it.
    pub required: bool,
    /// The line that installs it.
    pub install: Option<String>,
}

/// What is known of a [`Tool`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There, and good for its purpose.
    Found,
    /// Not there.
    Missing,
    /// There, and not good for its purpose.
    Unusable,
}

impl State {
    /// The word for tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Missing => "missing",
            Self::Unusable => "unusable",
        }
    }
}

/// How to install what is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// The line a person would type.
    pub line: String,
    /// The programs to run, with their arguments.
    pub commands: Vec<Vec<String>>,
}

/// Looks at everything.
pub fn examine(session: &Session) -> Result<Report, Failure> {
    let machine = Machine::of(session);
    let mut report = Report::default();
    let mut missing = Vec::new();
    let tools = [
        clang(session, &mut report.diagnostics),
        qemu(session, &mut report.diagnostics),
        kvm(session),
        program(session, "apt-get", "verify --kernel debian/SUITE, kernel"),
        own_btf(),
        supplied("libbpf headers", "build"),
        program(session, "cc", "build, for user programs in C"),
        library("libelf", "libelf.h"),
        library("zlib", "zlib.h"),
        program(session, "bpftool", "nothing; good for looking at loaded programs"),
        kernels(session)?,
        space(session),
    ];
    for mut tool in tools {
        if tool.state != State::Found
            && let Some(package) = machine.package(tool.name)
        {
            tool.install = Some(machine.line(&[package]));
            if tool.required {
                missing.push(package);
            }
        }
        report.tools.push(tool);
    }
    if !missing.is_empty() {
        report.fix = machine.fix(&missing);
    }
    Ok(report)
}

/// Installs what is missing, as [`Report::fix`] says. The programs talk to the
/// user themselves.
///
/// # Errors
/// One of them failed.
pub fn fix(session: &Session, fix: &Fix) -> Result<(), Failure> {
    if session.offline {
        let message = "nothing can be installed with `--offline`";
        return Err(Diagnostic::new(codes::USAGE, Origin::Command, message)
            .help(format!("run `{}` when there is a network", fix.line))
            .into());
    }
    for words in &fix.commands {
        let [program, arguments @ ..] = words.as_slice() else { continue };
        let failed = |how: String| {
            let line = words.join(" ");
            Diagnostic::new(codes::PROGRAM_FAILED, Origin::Command, format!("`{line}` {how}"))
        };
        let Some(path) = session.programs.find(program) else {
            return Err(failed(format!("cannot run: {program} is not installed")).into());
        };
        session.note(format!("running `{}`", words.join(" ")));
        let command = Command::new(path).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        match command.run_in_front(&session.cancel) {
            Ok(status) if status.success() => {}
            Ok(status) => return Err(failed(format!("failed: {}", process::ending(status))).into()),
            Err(process::Error::Cancelled) => {
                let message = "interrupted";
                return Err(Diagnostic::new(codes::INTERRUPTED, Origin::Command, message).into());
            }
            Err(error) => return Err(failed(format!("failed: {error}")).into()),
        }
    }
    Ok(())
}

fn found(name: &'static str, needed_for: &'static str, required: bool) -> Tool {
    Tool {
        name,
        state: State::Found,
        detail: String::new(),
        path: None,
        needed_for,
        required,
        install: None,
    }
}

fn clang(session: &Session, diagnostics: &mut Vec<Diagnostic>) -> Tool {
    let tool = found("clang", "build", true);
    let wanted = build::clang::Wanted { environment: session.clang.as_deref(), manifest: None };
    let answers = session.cache.join("clang.json");
    match build::clang::find(wanted, &session.programs, &answers, &session.cancel) {
        Ok(clang) => Tool { detail: clang.number().to_owned(), path: Some(clang.path), ..tool },
        Err(error) => {
            let state = match &error {
                build::Error::ClangMissing | build::Error::NamedClangMissing { .. } => {
                    State::Missing
                }
                _ => State::Unusable,
            };
            let diagnostic = Diagnostic::from(error);
            let detail = diagnostic.message.clone();
            diagnostics.push(diagnostic);
            Tool { state, detail, ..tool }
        }
    }
}

fn qemu(session: &Session, diagnostics: &mut Vec<Diagnostic>) -> Tool {
    let tool = found("qemu-system-x86_64", "verify", true);
    match Qemu::find(&session.programs) {
        Ok(qemu) => {
            let detail = version(session, qemu.path());
            Tool { detail, path: Some(qemu.path().to_owned()), ..tool }
        }
        Err(error) => {
            diagnostics.push(error.into());
            Tool { state: State::Missing, ..tool }
        }
    }
}

/// KVM makes `verify` faster; whether guests really run is tried.
fn kvm(session: &Session) -> Tool {
    let tool = found("KVM", "verify, to be fast", false);
    let device = Path::new("/dev/kvm");
    if !fs::exists(device) {
        let detail = "there is no /dev/kvm; machines are emulated".to_owned();
        return Tool { state: State::Missing, detail, ..tool };
    }
    let tool = Tool { path: Some(device.to_owned()), ..tool };
    if let Err(error) = fs::open_rw(device) {
        let denied = error.source.kind() == std::io::ErrorKind::PermissionDenied;
        let detail = if denied {
            "may not be opened; join the group kvm".to_owned()
        } else {
            format!("{}; machines are emulated", error)
        };
        return Tool { state: State::Unusable, detail, ..tool };
    }
    let Ok(qemu) = Qemu::find(&session.programs) else {
        return Tool { state: State::Unusable, detail: "opens; QEMU tells more".into(), ..tool };
    };
    let memory = session.cache.join("accelerator");
    match Accelerator::choose(&qemu, &memory, &session.cancel, &|_| {}) {
        Accelerator::Kvm => Tool { detail: "guests run".into(), ..tool },
        Accelerator::Tcg => {
            let detail = "opens, but guests hang; machines are emulated".to_owned();
            Tool { state: State::Unusable, detail, ..tool }
        }
    }
}

/// A program that is looked for and asked for its version.
fn program(session: &Session, name: &'static str, needed_for: &'static str) -> Tool {
    let tool = found(name, needed_for, false);
    match session.programs.find(name) {
        Some(path) => Tool { detail: version(session, &path), path: Some(path), ..tool },
        None => Tool { state: State::Missing, ..tool },
    }
}

fn own_btf() -> Tool {
    let tool = found("BTF of this kernel", "build, for vmlinux.h", false);
    let path = Path::new("/sys/kernel/btf/vmlinux");
    match fs::metadata(path) {
        Ok(metadata) => {
            Tool { detail: megabytes(metadata.len()), path: Some(path.to_owned()), ..tool }
        }
        Err(_) => {
            let detail = "take another kernel's: `vmlinux = PATH` in Skep.toml".to_owned();
            Tool { state: State::Missing, detail, ..tool }
        }
    }
}

/// What libbpf is linked with in user programs, known by its header: the
/// library alone is there on many machines, and not enough.
fn library(name: &'static str, header: &str) -> Tool {
    let tool = found(name, "build, for user programs in C", false);
    let path = Path::new("/usr/include").join(header);
    match fs::is_file(&path) {
        true => Tool { path: Some(path), ..tool },
        false => Tool { state: State::Missing, ..tool },
    }
}

fn supplied(name: &'static str, needed_for: &'static str) -> Tool {
    Tool { detail: "comes with skep".into(), ..found(name, needed_for, false) }
}

fn kernels(session: &Session) -> Result<Tool, Failure> {
    let kernels = kernel::list(session)?;
    let names: Vec<&str> = kernels.iter().map(|kernel| kernel.reference.as_str()).collect();
    let detail = match names.as_slice() {
        [] => "none yet; fetched when needed".to_owned(),
        names => names.join(", "),
    };
    let path = session.cache.join("kernels");
    Ok(Tool { detail, path: Some(path), ..found("kernels", "verify", false) })
}

fn space(session: &Session) -> Tool {
    let tool = Tool {
        path: Some(session.cache.clone()),
        ..found("space for the cache", "verify, kernel", false)
    };
    match fs::free_space(&session.cache) {
        Ok(free) if free < LITTLE_SPACE => Tool {
            state: State::Unusable,
            detail: format!("{} are free, which is little", megabytes(free)),
            ..tool
        },
        Ok(free) => Tool { detail: format!("{} are free", megabytes(free)), ..tool },
        Err(error) => Tool { state: State::Unusable, detail: error.to_string(), ..tool },
    }
}

fn megabytes(bytes: u64) -> String {
    let tenths = bytes / 100_000;
    match tenths {
        0..100 => format!("{}.{} MB", tenths / 10, tenths % 10),
        100..10_000 => format!("{} MB", tenths / 10),
        _ => format!("{} GB", tenths / 10_000),
    }
}

/// The first version number that a program prints when asked.
fn version(session: &Session, path: &Path) -> String {
    let command = Command::new(path).arg("--version").timeout(PATIENCE);
    let Ok(output) = command.run(&session.cancel) else { return String::new() };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let is_version =
        |word: &&str| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.');
    let words = text.split(|c: char| c.is_whitespace() || c == ',' || c == '(');
    let words = words.map(|word| word.trim_start_matches('v'));
    words.into_iter().find(is_version).unwrap_or_default().to_owned()
}

/// A family of distributions: how programs are installed there.
struct Family {
    /// `ID` or `ID_LIKE` in os-release(5).
    ids: &'static [&'static str],
    /// What is run first, so that the newest names are known.
    refresh: &'static [&'static str],
    install: &'static [&'static str],
    /// The packages, by the tool they bring.
    packages: &'static [(&'static str, &'static str)],
}

const FAMILIES: &[Family] = &[
    Family {
        ids: &["debian", "ubuntu"],
        refresh: &["apt-get", "update"],
        install: &["apt-get", "install", "-y", "--no-install-recommends"],
        packages: &[
            ("clang", "clang"),
            ("qemu-system-x86_64", "qemu-system-x86"),
            ("bpftool", "bpftool"),
            ("cc", "gcc"),
            ("libelf", "libelf-dev"),
            ("zlib", "zlib1g-dev"),
        ],
    },
    Family {
        ids: &["fedora", "rhel", "centos"],
        refresh: &[],
        install: &["dnf", "install", "-y"],
        packages: &[
            ("clang", "clang"),
            ("qemu-system-x86_64", "qemu-system-x86-core"),
            ("apt-get", "apt"),
            ("bpftool", "bpftool"),
            ("cc", "gcc"),
            ("libelf", "elfutils-libelf-devel"),
            ("zlib", "zlib-devel"),
        ],
    },
    Family {
        ids: &["arch"],
        refresh: &[],
        install: &["pacman", "-S", "--needed", "--noconfirm"],
        packages: &[
            ("clang", "clang"),
            ("qemu-system-x86_64", "qemu-system-x86"),
            ("bpftool", "bpf"),
            ("cc", "gcc"),
            ("libelf", "libelf"),
            ("zlib", "zlib"),
        ],
    },
];

/// How things are installed on this machine.
struct Machine {
    family: Option<&'static Family>,
    is_root: bool,
}

impl Machine {
    fn of(session: &Session) -> Self {
        let release = [Path::new("/etc/os-release"), Path::new("/usr/lib/os-release")]
            .into_iter()
            .find_map(|path| fs::read_to_string(path).ok())
            .unwrap_or_default();
        // The kernel makes /proc/self belong to who runs the process.
        let is_root = fs::metadata(Path::new("/proc/self")).is_ok_and(|meta| meta.uid() == 0);
        let family =
            family(&release).filter(|family| session.programs.find(family.install[0]).is_some());
        Self { family, is_root }
    }

    /// The package that brings a tool.
    fn package(&self, tool: &str) -> Option<&'static str> {
        let packages = self.family?.packages;
        packages.iter().find(|(name, _)| *name == tool).map(|(_, package)| *package)
    }

    fn command(&self, words: &[&str], packages: &[&str]) -> Vec<String> {
        let sudo = if self.is_root { &[][..] } else { &["sudo"] };
        [sudo, words, packages].concat().into_iter().map(str::to_owned).collect()
    }

    fn line(&self, packages: &[&str]) -> String {
        let install = self.family.map_or(&[][..], |family| family.install);
        self.command(install, packages).join(" ")
    }

    fn fix(&self, packages: &[&str]) -> Option<Fix> {
        let family = self.family?;
        let mut commands = Vec::new();
        if !family.refresh.is_empty() {
            commands.push(self.command(family.refresh, &[]));
        }
        commands.push(self.command(family.install, packages));
        Some(Fix { line: self.line(packages), commands })
    }
}

fn family(release: &str) -> Option<&'static Family> {
    let value = |key: &str| {
        let line = release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().trim_matches(['"', '\''])
    };
    let mut ids = value("ID").split(' ').chain(value("ID_LIKE").split(' '));
    ids.find_map(|id| FAMILIES.iter().find(|family| family.ids.contains(&id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_are_known_by_what_they_are_like() {
        let install = |release: &str| family(release).map(|family| family.install[0]);
        assert_eq!(install("NAME=x\nID=debian\n"), Some("apt-get"));
        assert_eq!(install("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"), Some("apt-get"));
        assert_eq!(install("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"), Some("dnf"));
        assert_eq!(install("ID=endeavouros\nID_LIKE='arch'\n"), Some("pacman"));
        assert_eq!(install("ID=nixos\n"), None);
        assert_eq!(install(""), None);
    }

    #[test]
    fn who_is_not_root_needs_sudo() {
        let mut machine = Machine { family: family("ID=debian"), is_root: false };
        let packages = [machine.package("clang").unwrap(), "qemu-system-x86"];
        let fix = machine.fix(&packages).unwrap();
        assert_eq!(
            fix.line,
            "sudo apt-get install -y --no-install-recommends clang qemu-system-x86"
        );
        assert_eq!(fix.commands[0], ["sudo", "apt-get", "update"]);
        machine.is_root = true;
        assert_eq!(machine.fix(&packages).unwrap().commands[0], ["apt-get", "update"]);
        assert_eq!(machine.package("KVM"), None);
    }
}
