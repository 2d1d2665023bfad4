//! `skep kernel features`: what a kernel lets programs do, asked of the
//! kernel itself.
//!
//! For each kind of program a machine loads one tiny program a helper, which
//! does nothing but call it. The verifier's answer tells an unknown or
//! forbidden helper from one that is only called with the wrong arguments.
//! [`bpf::allowed`](crate::bpf::allowed), by which `skep check` predicts, is
//! made of these answers.

use super::machines::{Machines, Wish};
use super::{Session, kernel, min_core};
use crate::analysis::kernel::Kernel;
use crate::bpf::{AttachRule, AttachType, Helper, ProgramType, SectionDef, SectionTarget, allowed};
use crate::btf::{Btf, Kind};
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use crate::relocate::core::Target;
use crate::vm::{Loader as _, Runner, Settings};
use crate::wire::{Probe, Probed};
use std::path::PathBuf;
use std::time::Duration;

/// How long a handful of tiny programs may take to be refused.
const LIMIT: Duration = Duration::from_secs(120);
/// `BPF_F_SLEEPABLE` (include/uapi/linux/bpf.h).
const SLEEPABLE: u32 = 1 << 4;

/// What a kernel lets programs do.
#[derive(Clone, Debug)]
pub struct Features {
    /// The kernel, as it was asked for.
    pub reference: String,
    /// As `uname -r` prints it.
    pub release: String,
    /// One for each kind of program, in the order of libbpf's table.
    pub kinds: Vec<Offer>,
}

/// What a kernel lets one kind of program do.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The first section of libbpf's table that stands for the kind.
    pub section: &'static SectionDef,
    /// The helpers it may call; none if the kernel does not take such
    /// programs.
    pub helpers: Option<Vec<Helper>>,
}

/// The kinds of program there are, as [`allowed::kind`] tells them apart, each
/// by the section that the oldest kernels know. `struct_ops` and `freplace`
/// programs may call what their target may.
pub fn kinds() -> Vec<&'static SectionDef> {
    let since = |def: &SectionDef| def.attach_type.map(|attach_type| attach_type.since());
    let mut kinds: Vec<&'static SectionDef> = Vec::new();
    for def in SectionDef::all() {
        if matches!(def.program_type, ProgramType::StructOps | ProgramType::Ext) {
            continue;
        }
        match kinds.iter_mut().find(|known| allowed::kind(known) == allowed::kind(def)) {
            Some(known) if since(def) < since(known) => *known = def,
            Some(_) => {}
            None => kinds.push(def),
        }
    }
    kinds
}

/// The kind of program that a section stands for.
///
/// # Errors
/// libbpf knows no such section; the nearest one.
pub fn section(name: &str) -> Result<&'static SectionDef, Failure> {
    SectionTarget::resolve(name).map(|target| target.def).map_err(|error| {
        let diagnostic = Diagnostic::new(codes::USAGE, Origin::Command, error.to_string());
        match &error.suggestion {
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
            None => diagnostic.help("name one as in SEC(): `xdp`, `kprobe`, `fentry.s`"),
        }
        .into()
    })
}

/// Asks a kernel about one kind of program, or about all.
///
/// # Errors
/// There is no such kernel, no QEMU, or the machine does not come up.
pub fn ask(
    session: &Session,
    text: &str,
    section: Option<&'static SectionDef>,
) -> Result<Features, Failure> {
    let kernel = kernel::named(session, text)?;
    let target = min_core::target(session, &PathBuf::from(text), &[])?;
    let machines = Machines::new(session)?;
    let wish = Wish { program_limit: LIMIT, ..Wish::default() };
    let ask = |settings: &Settings| {
        let blueprint = machines.blueprint(&wish, settings, &kernel);
        offers(&mut Runner::new(&blueprint, &session.cancel), &target, section)
    };
    let failed = |result: &Result<Vec<Offer>, Failure>| {
        let failure = result.as_ref().err();
        failure.is_some_and(|failure| failure.diagnostic().code == codes::VM_DID_NOT_BOOT)
    };
    let kinds = machines.with(&wish, ask, failed)?;
    Ok(Features { reference: kernel.reference, release: kernel.stored.release, kinds })
}

fn offers(
    runner: &mut Runner<'_>,
    target: &Target,
    section: Option<&'static SectionDef>,
) -> Result<Vec<Offer>, Failure> {
    let btf = target.kernel();
    let kernel = Kernel::of_btf("", None, target);
    let mut offers = Vec::new();
    for section in section.map_or_else(kinds, |section| vec![section]) {
        // The kernel takes numbers of attach types that it does not know.
        let is_known = section.rule == AttachRule::Optional
            || section.attach_type.is_none_or(|attach_type| kernel.has_attach_type(attach_type));
        let helpers = match attach_btf_id(section, btf).filter(|_| is_known) {
            Some(attach_btf_id) => helpers(runner, section, attach_btf_id)?,
            None => None,
        };
        offers.push(Offer { section, helpers });
    }
    Ok(offers)
}

/// The helpers that a kind of program may call; none if there is no such
/// program.
fn helpers(
    runner: &mut Runner<'_>,
    section: &SectionDef,
    attach_btf_id: u32,
) -> Result<Option<Vec<Helper>>, Failure> {
    let probe = |helper: Option<Helper>| {
        let mut insns = Vec::with_capacity(3);
        // call helper
        insns.extend(helper.map(|helper| {
            let [a, b, c, d] = helper.id().to_le_bytes();
            [0x85, 0, 0, 0, a, b, c, d]
        }));
        // r0 = 0; exit
        insns.extend([[0xb7, 0, 0, 0, 0, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]]);
        Probe {
            program_type: section.program_type as u32,
            attach_type: section.attach_type.map_or(0, |attach| attach as u32),
            attach_btf_id,
            flags: u32::from(section.sleepable) * SLEEPABLE,
            insns,
        }
    };
    // A return value that does not fit is refused too, but only after the
    // instructions have been looked at.
    let is_taken = |answer: &Probed| answer.errno == 0 || answer.log.contains("(95) exit");
    if !runner.probe(vec![probe(None)])?.iter().all(is_taken) {
        return Ok(None);
    }
    let answers = runner.probe(Helper::all().map(|helper| probe(Some(helper))).collect())?;
    let allowed = Helper::all().zip(&answers).filter(|(_, answer)| is_allowed(answer));
    Ok(Some(allowed.map(|(helper, _)| helper).collect()))
}

/// Whether the verifier got beyond the question if the helper may be called
/// (`check_helper_call` in kernel/bpf/verifier.c).
fn is_allowed(answer: &Probed) -> bool {
    const REFUSALS: [&str; 5] = [
        "unknown func ",
        "invalid func ",
        "program of this type cannot use helper ",
        "helper call might sleep in a non-sleepable prog",
        " in non-sleepable prog",
    ];
    answer.errno == 0 || !REFUSALS.iter().any(|refusal| answer.log.contains(refusal))
}

/// What a program of the kind attaches to when it is loaded: something that
/// all kernels have. 0 if nothing is asked for, none if there is no such
/// thing.
fn attach_btf_id(section: &SectionDef, btf: &Btf) -> Option<u32> {
    if section.rule != AttachRule::Btf {
        return Some(0);
    }
    let (kind, name) = match section.attach_type? {
        AttachType::TraceRawTp => (Kind::Typedef, "btf_trace_sched_switch"),
        AttachType::TraceIter => (Kind::Func, "bpf_iter_task"),
        AttachType::ModifyReturn => (Kind::Func, "security_file_open"),
        AttachType::LsmMac => (Kind::Func, "bpf_lsm_file_open"),
        AttachType::LsmCgroup => (Kind::Func, "bpf_lsm_socket_bind"),
        // Sleepable ones may attach to system calls.
        _ if section.sleepable => (Kind::Func, "__x64_sys_getpgid"),
        _ => (Kind::Func, "security_file_open"),
    };
    btf.find(kind, name).map(|id| id.0)
}
