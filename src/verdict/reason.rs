//! Why a program is refused: one variant a cause.

use crate::diagnostics::{Code, codes};

macro_rules! reasons {
    ($($name:ident = $code:ident $(, $help:literal)?;)*) => {
        /// Why a program is refused. A cause, not a message: the kernel words
        /// one cause in several ways, and differently from release to release.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "the summary of each one's code says what it means")]
        pub enum Reason {
            $($name,)*
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code that stands for it.
            pub fn code(self) -> Code {
                match self {
                    $(Self::$name => codes::$code,)*
                }
            }

            /// What helps nearly always, where there is such a thing.
            pub fn help(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => reasons!(@help $($help)?),)*
                }
            }
        }
    };
    (@help $help:literal) => { Some($help) };
    (@help) => { None };
}

reasons! {
    Unknown = VERIFIER_REJECTED;
    MapValueMaybeNull = MAP_VALUE_MAYBE_NULL,
        "compare the pointer with NULL and return, before it is used";
    PacketOutOfBounds = PACKET_OUT_OF_BOUNDS,
        "compare the end of what is read with data_end first: `if (data + size > data_end) return …;`";
    UnboundedLoop = UNBOUNDED_LOOP,
        "give the loop a bound the compiler and the verifier can see, or use bpf_for() or bpf_loop()";
    StackOverflow = STACK_OVERFLOW,
        "keep large buffers in a per-CPU array map instead; a program has 512 bytes of stack, its calls included";
    GplOnlyHelper = GPL_ONLY_HELPER,
        "declare a GPL-compatible license, for example `char LICENSE[] SEC(\"license\") = \"GPL\";`, or do without the helper";
    InvalidContextAccess = INVALID_CONTEXT_ACCESS,
        "access the fields that the context of this program type has, each whole and with its own size";
    TooComplex = TOO_COMPLEX,
        "split the work into __noinline functions, shorten loops or use bpf_loop(), and merge branches";
    NotAPointer = NOT_A_POINTER,
        "follow pointers of the kernel with BPF_CORE_READ() or bpf_probe_read_kernel()";
    MapValueOutOfBounds = MAP_VALUE_OUT_OF_BOUNDS,
        "compare the index with the number of elements before using it";
    StackOutOfBounds = STACK_OUT_OF_BOUNDS,
        "compare the index with the size of the array before using it";
    MemoryOutOfBounds = MEMORY_OUT_OF_BOUNDS,
        "compare offset and size with the size of the memory before the access";
    UninitializedRegister = UNINITIALIZED_REGISTER,
        "give the variable a value on every path; pass every argument a function takes";
    UninitializedStack = UNINITIALIZED_STACK,
        "clear the whole object first, padding included: `__builtin_memset(&var, 0, sizeof(var));`";
    UnboundedAccess = UNBOUNDED_ACCESS,
        "check both bounds before the access, with an unsigned variable or a mask";
    MisalignedAccess = MISALIGNED_ACCESS,
        "read the field whole and at its own address, or copy the bytes first";
    ReadOnlyMemory = READ_ONLY_MEMORY;
    PointerArithmetic = POINTER_ARITHMETIC;
    PointerLeak = POINTER_LEAK;
    ModifiedPointer = MODIFIED_POINTER,
        "keep the original pointer and pass that; use a constant offset to reach a field";
    KernelStructAccess = KERNEL_STRUCT_ACCESS;
    UnknownHelper = UNKNOWN_HELPER,
        "raise the oldest kernel you support, or choose at run time with bpf_core_enum_value_exists()";
    HelperNotAllowed = HELPER_NOT_ALLOWED;
    WrongArgument = WRONG_ARGUMENT;
    WrongMapType = WRONG_MAP_TYPE,
        "use the helper that belongs to the map's type, or another map type";
    UnreleasedReference = UNRELEASED_REFERENCE,
        "release it on every path to the end of the program, error paths included";
    InvalidRelease = INVALID_RELEASE,
        "release exactly the pointer that was acquired, once";
    LockMisuse = LOCK_MISUSE;
    CriticalSection = CRITICAL_SECTION;
    ReturnValue = RETURN_VALUE,
        "return one of the values that the program's type allows, on every path";
    UnreachableCode = UNREACHABLE_CODE,
        "remove the code, or the unconditional jump that hides it";
    ControlFlow = CONTROL_FLOW;
    CallDepth = CALL_DEPTH,
        "turn recursion into a loop, and let small functions be inlined (`static __always_inline`)";
    InvalidInstruction = INVALID_INSTRUCTION,
        "compile for an older instruction set with -mcpu, or build with a newer kernel in mind";
    UnknownKfunc = UNKNOWN_KFUNC,
        "declare the function `__weak` and test it with bpf_ksym_exists(), or raise the oldest kernel you support";
    KfuncNotAllowed = KFUNC_NOT_ALLOWED;
    AttachTarget = NO_ATTACH_TARGET,
        "check the name in SEC() against the kernel's own list (/sys/kernel/tracing/available_filter_functions) and BTF";
    SleepableMisuse = SLEEPABLE_MISUSE,
        "make the program sleepable where its type allows it (`SEC(\"lsm.s/…\")`, `SEC(\"fentry.s/…\")`), or use what does not sleep";
    SubprogramArgument = SUBPROGRAM_ARGUMENT,
        "make the function `static`, or check its pointers for NULL and give them types with a known size";
    MissingBtf = MISSING_BTF,
        "compile with -g, and load on a kernel with CONFIG_DEBUG_INFO_BTF=y";
    DynptrMisuse = DYNPTR_MISUSE;
    IteratorMisuse = ITERATOR_MISUSE,
        "create the iterator once, call its next function in a loop, and destroy it on every path";
    CallbackMisuse = CALLBACK_MISUSE;
    KptrMisuse = KPTR_MISUSE;
    SpecialField = SPECIAL_FIELD;
    CollectionMisuse = COLLECTION_MISUSE;
    LicenseRequired = LICENSE_REQUIRED,
        "declare a GPL-compatible license: `char LICENSE[] SEC(\"license\") = \"GPL\";`";
    PermissionDenied = PERMISSION_DENIED,
        "load as root, or with CAP_BPF and what the program's type needs (CAP_PERFMON, CAP_NET_ADMIN)";
    NotSupported = NOT_SUPPORTED;
    TailCallMisuse = TAIL_CALL_MISUSE;
    AtomicMisuse = ATOMIC_MISUSE;
    ArenaMisuse = ARENA_MISUSE;
    MapNotAllowed = MAP_NOT_ALLOWED;
    StructOpsMember = STRUCT_OPS_MEMBER;
    ExtensionMismatch = EXTENSION_MISMATCH;
    LimitExceeded = LIMIT_EXCEEDED;
    VerifierBug = VERIFIER_BUG,
        "report it to bpf@vger.kernel.org with the program and this log";
    LegacyPacketAccess = LEGACY_PACKET_ACCESS,
        "use bpf_skb_load_bytes() or direct packet access instead";
    CoreRelocation = CORE_RELOCATION,
        "guard the access with bpf_core_field_exists(), bpf_core_type_exists() or bpf_core_enum_value_exists()";
    MapNotCreated = MAP_NOT_CREATED;
    BtfRejected = BTF_REJECTED;
    VerificationInterrupted = VERIFICATION_INTERRUPTED;
    FormatString = FORMAT_STRING,
        "use a constant format string with at most as many conversions as there are arguments";
    StalePacketPointer = STALE_PACKET_POINTER,
        "read data and data_end from the context again after the call, and repeat the bounds check";
    UseAfterRelease = USE_AFTER_RELEASE,
        "use it before it is released, or keep what is needed in a variable";
    LoadFailed = LOAD_REFUSED;
    UserMemory = USER_MEMORY,
        "copy it with bpf_probe_read_user() or bpf_copy_from_user()";
    ExceptionMisuse = EXCEPTION_MISUSE;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_range_has_exactly_one_reason() {
        let reasons: Vec<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        for code in codes::ALL.iter().filter(|code| code.id().starts_with("E03")) {
            assert_eq!(reasons.iter().filter(|known| *known == code).count(), 1, "{code}");
        }
    }
}
