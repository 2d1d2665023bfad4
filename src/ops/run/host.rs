//! This machine's own kernel. The user's own program runs there as root, and
//! what it attaches is attached here; or programs are attached here without one.
//! Either way it is asked before.

use super::program::Front;
use super::{Outcome, Request, Subject};
use crate::base::fs;
use crate::base::process::{self, Command};
use crate::bpf::{AttachType, ProgramType, SectionTarget};
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use crate::ops::Session;
use crate::ops::build::UserProgram;
use crate::vm::{Live, Own, Plan, Rights};
use crate::wire::Refusal;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Says how far the kernel is locked down (kernel_lockdown(7)).
const LOCKDOWN: &str = "/sys/kernel/security/lockdown";
/// The kernel's BTF of itself.
const BTF: &str = "/sys/kernel/btf/vmlinux";
/// How long one program may take where all have to be loaded one by one.
const LIMIT: Duration = Duration::from_secs(120);

fn usage(message: impl Into<String>) -> Diagnostic {
    Diagnostic::new(codes::USAGE, Origin::Command, message)
}

/// Refuses what only a guest has.
pub(super) fn refuse_guests_own(request: &Request) -> Result<(), Failure> {
    let wrong = [
        (
            !request.sends.is_empty(),
            "`--send` sends from the far end of a pair of devices, which only a virtual machine has",
            "attach to an interface with `--attach PROGRAM=INTERFACE`, and send with `--exec`",
        ),
        (
            !request.bring.is_empty(),
            "`--bring` lays files into a virtual machine, and `--host` runs in none",
            "a command of `--exec` finds this machine's files where they are",
        ),
        (
            !request.modules.is_empty(),
            "`--module` is for the kernel of a virtual machine: skep loads no modules into this \
             machine's own",
            "load it yourself, `sudo modprobe NAME`, or leave `--host` out",
        ),
    ];
    match wrong.into_iter().find(|(is_given, ..)| *is_given) {
        Some((_, message, help)) => Err(usage(message).help(help).into()),
        None => Ok(()),
    }
}

/// The `sudo` that makes root of whoever is not: `who` needs it.
fn sudo(session: &Session, who: &str) -> Result<Option<PathBuf>, Failure> {
    match process::is_root() {
        true => Ok(None),
        false => helper(session, who, "sudo").map(Some),
    }
}

fn helper(session: &Session, who: &str, name: &str) -> Result<PathBuf, Failure> {
    session.programs.find(name).ok_or_else(|| {
        let message =
            format!("`{who}` needs root on this machine's own kernel, and `{name}` was not found");
        Diagnostic::new(codes::OWN_KERNEL_DENIED, Origin::Command, message)
            .help("run skep as root, or leave `--host` out: a virtual machine needs no root")
            .into()
    })
}

/// What somebody has to agree to, in the words of the question, of the refusal
/// and of what nobody can be asked.
struct Deed {
    question: String,
    refused: String,
    unasked: String,
}

/// Goes on if the user has agreed, or does so now.
fn agree(request: &Request, front: &mut dyn Front, deed: &Deed) -> Result<(), Failure> {
    if request.is_agreed {
        return Ok(());
    }
    let refused =
        |message: String| Diagnostic::new(codes::OWN_KERNEL_NOT_AGREED, Origin::Command, message);
    let how = if process::is_root() { "as root" } else { "as root, by sudo," };
    let Deed { question, refused: no, unasked } = deed;
    match front.agree(&format!("{question} {how} on this machine's own kernel?"))? {
        Some(true) => Ok(()),
        Some(false) => Err(refused(no.clone()).into()),
        None => Err(refused(format!(
            "{unasked} {how} on this machine's own kernel, and there is no terminal to ask on"
        ))
        .help("say `--yes`, or leave `--host` out: then it runs in a virtual machine")
        .into()),
    }
}

/// Runs a program here, if the user agrees.
pub(super) fn program(
    session: &Session,
    request: &Request,
    program: &UserProgram,
    front: &mut dyn Front,
) -> Result<Outcome, Failure> {
    let name = &program.name;
    let beside = [("--exec", request.workload.is_some()), ("--for", request.limit.is_some())];
    if let Some((flag, _)) = beside.iter().find(|(_, is_given)| *is_given) {
        let message = format!("`{flag}` has no part in how `{name}` runs on this machine itself");
        return Err(usage(message).help("leave the user program out with `--no-user`").into());
    }
    let command = match sudo(session, name)? {
        None => {
            let command = Command::new(&program.path);
            request
                .environment
                .iter()
                .fold(command, |command, (name, value)| command.env(name, value))
        }
        Some(sudo) => {
            let command = Command::new(sudo).arg("--");
            let command = match request.environment.is_empty() {
                true => command,
                // sudo takes the environment away.
                false => command.arg(helper(session, name, "env")?).args(
                    request.environment.iter().map(|(name, value)| format!("{name}={value}")),
                ),
            };
            command.arg(&program.path)
        }
    };
    let command = command.args(&request.arguments);
    let deed = Deed {
        question: format!("Run {name}"),
        refused: format!("{name} is not run"),
        unasked: format!("{name} would run"),
    };
    agree(request, front, &deed)?;
    let status = command.run_through(&session.cancel).map_err(|error| {
        Diagnostic::new(codes::PROGRAM_FAILED, Origin::Command, error.to_string())
    })?;
    Ok(Outcome { exit: Some(process::exit_code(status)), ..Outcome::default() })
}

/// The way to the kernel for programs that skep attaches.
pub(super) struct Entry {
    /// Makes root of who is not.
    pub sudo: Option<PathBuf>,
    /// What the user wants to run when everything is attached.
    workload: Option<Command>,
}

/// Makes sure that programs may be attached here, and know where.
///
/// # Errors
/// One does not; there is no `sudo`; nobody agrees.
pub(super) fn enter(
    session: &Session,
    request: &Request,
    subject: &Subject,
    front: &mut dyn Front,
) -> Result<Entry, Failure> {
    placeless(subject)?;
    let name = subject.path.display().to_string();
    let sudo = sudo(session, &name)?;
    let workload = match &request.workload {
        Some(line) => {
            let shell = session.programs.find("sh").ok_or_else(|| {
                usage("`--exec` has a shell run the command, and `sh` was not found")
            })?;
            Some(Command::new(shell).args(["-c", line]).cwd(&session.cwd))
        }
        None => None,
    };
    let deed = Deed {
        question: format!("Attach {name}"),
        refused: format!("{name} is not attached"),
        unasked: format!("{name} would be attached"),
    };
    agree(request, front, &deed)?;
    Ok(Entry { sudo, workload })
}

/// What programs of a type are attached to, if that is something of the
/// machine's that their section does not name; and how it is written.
fn place_of(target: &SectionTarget<'_>) -> Option<(&'static str, &'static str)> {
    match target.def.program_type {
        ProgramType::Xdp | ProgramType::SocketFilter => Some(("an interface", "INTERFACE")),
        ProgramType::SchedCls => Some(("an interface", "INTERFACE[:egress]")),
        ProgramType::CgroupSkb
        | ProgramType::CgroupSock
        | ProgramType::CgroupDevice
        | ProgramType::CgroupSockAddr
        | ProgramType::CgroupSysctl
        | ProgramType::CgroupSockopt
        | ProgramType::SockOps => Some(("a control group", "/sys/fs/cgroup/NAME")),
        ProgramType::Lsm if target.def.attach_type == Some(AttachType::LsmCgroup) => {
            Some(("a control group", "/sys/fs/cgroup/NAME"))
        }
        ProgramType::SkLookup | ProgramType::FlowDissector => {
            Some(("a network namespace", "/run/netns/NAME"))
        }
        ProgramType::Netfilter => Some(("a hook of netfilter", "FAMILY:HOOK")),
        _ => None,
    }
}

/// Refuses programs that would be attached to something of this machine's that
/// nobody has named.
fn placeless(subject: &Subject) -> Result<(), Failure> {
    let mut lacking = subject.elf.programs().filter_map(|program| {
        let section = subject.elf.section_name(program);
        let target = SectionTarget::resolve(section).ok().filter(|target| target.autoload)?;
        let is_said = subject.targets.iter().any(|target| target.program == program.name);
        let (what, form) = place_of(&target).filter(|_| !is_said)?;
        Some((program.name.as_str(), section, what, form))
    });
    let Some((name, section, what, form)) = lacking.next() else { return Ok(()) };
    let message = format!(
        "`{name}` ({section}) is attached to {what}, and on this machine's own kernel skep chooses \
         none by itself"
    );
    let say = |name: &str, form: &str| {
        format!("say where: `--attach {name}={form}`; or leave it out: `--attach {name}=none`")
    };
    let diagnostic = usage(message).help(say(name, form));
    let all = lacking.fold(diagnostic, |diagnostic, (name, section, what, form)| {
        let note = format!("`{name}` ({section}) is attached to {what}, too");
        diagnostic.note(note).help(say(name, form))
    });
    Err(all.into())
}

impl Entry {
    /// Has a plan attached.
    pub fn begin(&self, session: &Session, plan: &Plan) -> Result<Result<Live, Refusal>, Failure> {
        let rights = self.sudo.clone().map_or(Rights::Root, Rights::Sudo);
        let own = Own::new(&session.executable, rights, LIMIT, &session.cancel);
        Ok(Live::begin_here(own, self.workload.as_ref(), plan, &session.cancel)?)
    }
}

/// Says what is behind it, if the kernel here refuses what another one would
/// not.
pub(super) fn explain(result: Result<(), Failure>, outcome: &mut Outcome) -> Result<(), Failure> {
    let notes = circumstances();
    let noted = |diagnostic: Diagnostic| {
        notes.iter().fold(diagnostic, |diagnostic, note| diagnostic.note(note.clone()))
    };
    let found = std::mem::take(&mut outcome.diagnostics);
    let is_error = |diagnostic: &Diagnostic| diagnostic.is_error();
    outcome.diagnostics = found
        .into_iter()
        .map(|diagnostic| if is_error(&diagnostic) { noted(diagnostic) } else { diagnostic })
        .collect();
    result.map_err(|failure| match failure.into_diagnostic() {
        diagnostic if diagnostic.code == codes::INTERRUPTED => diagnostic.into(),
        diagnostic => noted(diagnostic).into(),
    })
}

/// Whether something was refused because the kernel here has no BTF: single
/// programs have no more to say then.
pub(super) fn lacks_btf(refusal: &Refusal) -> bool {
    !fs::exists(Path::new(BTF)) && refusal.messages.iter().any(|said| said.contains("BTF"))
}

/// What is special about the kernel here.
fn circumstances() -> Vec<String> {
    let mut notes = Vec::new();
    let lockdown = fs::read_to_string(Path::new(LOCKDOWN)).unwrap_or_default();
    if let Some(level) = lockdown.split(['[', ']']).nth(1).filter(|level| *level != "none") {
        let what = match level {
            "confidentiality" => {
                "programs cannot read its memory, and probes, perf events and traces are refused"
            }
            _ => "programs cannot write to the memory of processes",
        };
        notes.push(format!("this machine's kernel is locked down ({level}): {what}"));
    }
    if !fs::exists(Path::new(BTF)) {
        notes.push(
            "this machine's kernel has no BTF of itself (CONFIG_DEBUG_INFO_BTF), which CO-RE and \
             programs on its functions need"
                .to_owned(),
        );
    }
    notes
}
