//! What the kernel looks for only when a program is attached: the function of
//! a kprobe. A verdict says nothing of it, so the machine is asked.
//!
//! Most functions are in the kernel's BTF and need no asking; older kernels
//! take long to find a symbol.

use super::{Object, Verdict, finding};
use crate::bpf::ProgramType;
use crate::btf::Kind;
use crate::diagnostics::{Diagnostic, Origin, Severity, codes};
use crate::kernels::Kernel;
use crate::ops::{Session, vmlinux};
use crate::{bpf, wire};

/// The programs whose functions are not known to be there.
pub(super) fn unknown(
    session: &Session,
    kernel: &Kernel,
    object: &crate::elf::Object,
) -> Vec<wire::Kprobe> {
    let mut targets: Vec<wire::Kprobe> = object
        .programs()
        .filter_map(|program| {
            let function = function(object.section_name(program))?;
            Some(wire::Kprobe { program: program.name.clone(), function })
        })
        .collect();
    if !targets.is_empty()
        && let Ok(btf) = vmlinux::stored(session, kernel)
    {
        targets.retain(|target| btf.find(Kind::Func, &target.function).is_none());
    }
    targets
}

/// The function that a section names for a kprobe.
fn function(section: &str) -> Option<String> {
    let target = bpf::SectionTarget::resolve(section).ok()?;
    let name = target.target.filter(|_| target.def.program_type == ProgramType::Kprobe)?;
    // As far as libbpf takes it for a name (`attach_kprobe`).
    let end = name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'));
    let function = Some(&name[..end.unwrap_or(name.len())]).filter(|name| !name.is_empty())?;
    match target.def.name {
        "kprobe" | "kretprobe" => Some(function.to_owned()),
        // What libbpf makes of a system call's name on x86-64.
        "ksyscall" | "kretsyscall" => Some(format!("__x64_sys_{function}")),
        _ => None,
    }
}

/// That an accepted program cannot be attached.
pub(super) fn missing(
    session: &Session,
    object: &Object,
    verdict: &Verdict,
    refused: &wire::Unattachable,
) -> Diagnostic {
    let wire::Unattachable { function, errno } = refused;
    let message = match *errno {
        libc::EADDRNOTAVAIL => format!(
            "the kernel has several functions `{function}`, so `{}` cannot be attached by the name",
            verdict.program
        ),
        libc::ENOENT => {
            format!("the kernel has no function `{function}` to attach `{}` to", verdict.program)
        }
        errno => format!(
            "the kernel lets nobody attach `{}` to `{function}` (error {errno})",
            verdict.program
        ),
    };
    let mut diagnostic = Diagnostic::new(codes::NO_ATTACH_TARGET, Origin::Vm, message)
        .severity(Severity::Warning)
        .program(verdict.program.clone())
        .object_place(finding::place(verdict))
        .kernel(verdict.kernel.clone())
        .note("the verifier accepts the program: it does not look at what it is attached to")
        .help("functions come, go and are renamed: load it only where its function is there, or attach to a tracepoint");
    if let Some(span) = finding::begin(session, object, &verdict.program) {
        diagnostic = diagnostic.at(span);
    }
    diagnostic
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_name_functions() {
        for (section, expected) in [
            ("kprobe/do_unlinkat", Some("do_unlinkat")),
            ("?kretprobe/vfs_read", Some("vfs_read")),
            ("kprobe/vfs_read+0x10", Some("vfs_read")),
            ("ksyscall/openat", Some("__x64_sys_openat")),
            ("kprobe", None),
            ("kprobe.multi/vfs_*", None),
            ("uprobe//bin/sh:main", None),
            ("fentry/vfs_read", None),
            ("strange", None),
        ] {
            assert_eq!(function(section).as_deref(), expected, "{section}");
        }
    }
}
