//! When the kernel gave no words: what its error number and libbpf's own
//! messages say.

use super::Reason;

/// How far a load got before it failed; the same number means different
/// things at different stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Stage {
    /// libbpf could not make sense of the object.
    Open,
    /// libbpf could not fit the object to this kernel: CO-RE, externs, maps.
    Prepare,
    /// The function or hook to attach to was not found.
    AttachTarget,
    /// The kernel refused before its verifier said anything.
    Load,
    /// The verifier refused.
    #[default]
    Verifier,
}

/// What an error without a word of the verifier means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsaid {
    /// Why.
    pub reason: Reason,
    /// One line.
    pub message: String,
    /// What may help, beyond what the reason's own help says.
    pub help: Option<String>,
}

impl Unsaid {
    fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), help: None }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Explains a failure by its error number (positive, as in errno(3)) and the
/// lines libbpf printed.
pub fn explain(errno: i32, stage: Stage, libbpf: &str) -> Unsaid {
    libbpf.lines().find_map(of_libbpf_line).unwrap_or_else(|| of_number(errno, stage))
}

/// What one of libbpf's warnings says, if it is the cause of a failure.
fn of_libbpf_line(line: &str) -> Option<Unsaid> {
    let line = line.trim().strip_prefix("libbpf: ").unwrap_or(line.trim());
    let quoted = || line.split('\'').nth(1).unwrap_or("?");
    if line.contains("is not found in vmlinux BTF")
        || line.contains("failed to find kernel BTF type ID of")
    {
        let name = if line.contains("kernel BTF type ID of") {
            line.split("type ID of ")
                .nth(1)
                .map_or("?", |rest| rest.split([':', '\'']).nth(1).unwrap_or(rest))
        } else {
            line.split_whitespace().next().unwrap_or("?")
        };
        let name = line.split('\'').rfind(|part| part.contains(name)).unwrap_or(name);
        return Some(Unsaid::new(
            Reason::AttachTarget,
            format!("the kernel has no function or hook `{name}` to attach to"),
        ));
    }
    let is_missing = line.contains("not found in kernel or module BTFs")
        || line.contains("not found in kernel BTF")
        || line.contains("(strong): not resolved");
    if line.starts_with("extern") && is_missing {
        return Some(Unsaid::new(
            Reason::UnknownKfunc,
            format!("the kernel has no function or variable `{}`", quoted()),
        ));
    }
    if line.starts_with("extern (var ksym)") && line.contains("incompatible types") {
        return Some(
            Unsaid::new(
                Reason::UnknownKfunc,
                format!("the kernel's variable `{}` has another type", quoted()),
            )
            .help("take the declaration, and the types in it, from vmlinux.h"),
        );
    }
    if line.starts_with("extern") && line.contains("incompatible with") {
        return Some(
            Unsaid::new(
                Reason::UnknownKfunc,
                format!("{}() is declared in another way than this kernel has it", quoted()),
            )
            .help("take the declaration, and the types in it, from vmlinux.h"),
        );
    }
    if line.contains("failed to find valid kernel BTF") || line.contains("kernel BTF is missing") {
        return Some(Unsaid::new(
            Reason::MissingBtf,
            "the kernel has no BTF that libbpf could read",
        ));
    }
    if line.contains("failed to create map") || line.contains("failed to create:") {
        let name = line.split('\'').nth(1).unwrap_or("?");
        return Some(Unsaid::new(
            Reason::MapNotCreated,
            format!("the map `{name}` could not be created"),
        ));
    }
    if line.contains("failed to relocate") || line.contains("failed to perform CO-RE relocations") {
        return Some(Unsaid::new(
            Reason::CoreRelocation,
            "libbpf could not fit the program's accesses to this kernel's types",
        ));
    }
    None
}

/// What the bare number means, most often, at a stage.
fn of_number(errno: i32, stage: Stage) -> Unsaid {
    let named = |what: &str| format!("{what} ({})", name(errno));
    match (errno, stage) {
        (libc::ESRCH, _) | (libc::ENOENT, Stage::AttachTarget) => Unsaid::new(
            Reason::AttachTarget,
            named("the kernel has no function or hook of the name the program attaches to"),
        ),
        (libc::EPERM, Stage::Prepare | Stage::Load) => Unsaid::new(
            Reason::PermissionDenied,
            named("the kernel does not let this user load the program or create its maps"),
        ),
        (libc::EPERM, _) => {
            Unsaid::new(Reason::PermissionDenied, named("the kernel does not permit this"))
        }
        (libc::E2BIG, Stage::Load) => Unsaid::new(
            Reason::LimitExceeded,
            named("the program has more instructions than the kernel takes"),
        )
        .help("without CAP_BPF the limit is 4096 instructions, with it one million"),
        (libc::E2BIG, _) => Unsaid::new(
            Reason::LimitExceeded,
            named("the program has more of something than the kernel takes"),
        )
        .help("a program may use 64 maps and have 256 functions and a million instructions"),
        (libc::ENOENT, _) => Unsaid::new(
            Reason::UnknownKfunc,
            named("the kernel does not have something that the program names"),
        ),
        (libc::ENOSPC, _) => Unsaid::new(
            Reason::LoadFailed,
            named("the verifier's log was larger than the space for it"),
        )
        .help("load with a lower log level or a larger log"),
        (libc::EAGAIN | libc::EINTR, _) => {
            Unsaid::new(Reason::VerificationInterrupted, named("the verification was interrupted"))
        }
        (libc::ENOMEM, _) => {
            Unsaid::new(Reason::LoadFailed, named("the kernel had no memory for the program"))
        }
        (libc::EINVAL, Stage::Load) => Unsaid::new(
            Reason::LoadFailed,
            named("the kernel rejects the way the program is loaded, before its verifier looked"),
        )
        .help("the kernel may be older than the program's type or attach type; check SEC()"),
        (libc::EOPNOTSUPP | 524, _) => Unsaid::new(
            Reason::NotSupported,
            named("this kernel was built without what the program needs"),
        ),
        (libc::EBUSY, _) => Unsaid::new(
            Reason::LoadFailed,
            named("something the program needs is in use by another one"),
        ),
        (0, _) => {
            Unsaid::new(Reason::LoadFailed, "the program was not loaded, without a reason given")
        }
        _ => Unsaid::new(Reason::LoadFailed, named("the kernel refuses the program")),
    }
}

/// The symbolic name of an error number, `error 999` if it has none here.
pub fn name(errno: i32) -> String {
    crate::bpf::errno::name(errno).map_or_else(|| format!("error {errno}"), str::to_owned)
}

/// The number of `EACCES` or `13`; `None` for what is neither.
pub fn number(text: &str) -> Option<i32> {
    // 133 is the last number of asm-generic/errno.h.
    let named = || (1..=133).chain([524]).find(|&number| name(number) == text);
    text.parse().ok().or_else(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_attach_target_is_named() {
        let line =
            "libbpf: prog 'trace': failed to find kernel BTF type ID of 'no_such_function': -3\n";
        let unsaid = explain(3, Stage::AttachTarget, line);
        assert_eq!(unsaid.reason, Reason::AttachTarget);
        assert!(unsaid.message.contains("`no_such_function`"), "{}", unsaid.message);
    }

    #[test]
    fn a_missing_kfunc_is_named() {
        let line = "libbpf: extern (func ksym) 'bpf_no_such': not found in kernel or module BTFs\n";
        let unsaid = explain(3, Stage::Prepare, line);
        assert_eq!(unsaid.reason, Reason::UnknownKfunc);
        assert!(unsaid.message.contains("`bpf_no_such`"), "{}", unsaid.message);
    }

    #[test]
    fn variables_of_the_kernel_are_named() {
        let explained = |line| explain(3, Stage::Prepare, line);
        for line in [
            "libbpf: extern (var ksym) 'runqueue': not found in kernel BTF\n",
            "libbpf: extern 'runqueue' (strong): not resolved\n",
        ] {
            assert_eq!(explained(line).reason, Reason::UnknownKfunc);
            assert!(explained(line).message.ends_with("variable `runqueue`"));
        }
        let line = "libbpf: extern (var ksym) 'runqueues': incompatible types, expected [7] int \
                    int, but kernel has [9] struct rq\n";
        assert_eq!(explained(line).message, "the kernel's variable `runqueues` has another type");
    }

    #[test]
    fn a_bare_number_is_spelled_out() {
        assert!(explain(22, Stage::Load, "").message.contains("EINVAL"));
        assert!(explain(9999, Stage::Load, "").message.contains("error 9999"));
        assert_eq!(explain(1, Stage::Load, "").reason, Reason::PermissionDenied);
    }
}
