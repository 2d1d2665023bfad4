//! The one table of codes. A code is never reused for another meaning; each
//! has a page `docs/diagnostics/CODE.md`.
//!
//! | range | about |
//! |---|---|
//! | 01 | command line, manifest, project |
//! | 02 | building: clang, linking, skeletons |
//! | 03 | what the kernel's verifier rejects |
//! | 04 | the object file |
//! | 05 | BTF and CO-RE |
//! | 06 | the machine: files, programs, cache |
//! | 07 | kernels and virtual machines |
//! | 09 | what programs cost: budgets, baselines |

use super::code::{Class, Code, Row};

macro_rules! codes {
    ($($name:ident = $id:literal $slug:literal $class:ident $summary:literal;)*) => {
        $(#[doc = concat!("`", $id, "`: ", $summary)]
        pub const $name: Code = {
            static ROW: Row =
                Row { id: $id, slug: $slug, class: Class::$class, summary: $summary };
            Code::new(&ROW)
        };)*
        /// Every code, in the order of the table.
        pub const ALL: &[Code] = &[$($name),*];
    };
}

codes! {
    // 01: command line, manifest, project
    USAGE = "E0101" "usage" Usage "the command line is not one skep understands";
    MANIFEST_SYNTAX = "E0102" "manifest-syntax" Usage "the manifest is not valid TOML";
    MANIFEST_KEY = "E0103" "manifest-key" Usage "the manifest has a key that skep does not know";
    MANIFEST_VALUE = "E0104" "manifest-value" Usage "a value in the manifest cannot be used";
    NO_PROJECT = "E0105" "no-project" Usage "there is no project here";
    NO_SOURCES = "E0106" "no-sources" Usage "the project has no BPF source";
    BAD_NAME = "E0107" "bad-name" Usage "the name cannot be used for a project";
    NOT_EMPTY = "E0108" "not-empty" Usage "the directory has files in it already";
    UNKNOWN_TEMPLATE = "E0109" "unknown-template" Usage "there is no template of that name";
    BAD_ANSWER = "E0110" "bad-answer" Usage "an answer to a template's question cannot be used";
    WRONG_INPUT = "E0111" "wrong-input" Usage "a path on the command line is not something skep can work on";
    FILE_DIFFERS = "E0112" "file-differs" Usage "a file of the user's stands where skep would write one";
    LOCK = "E0113" "lock" Usage "Skep.lock cannot be used or must not change";
    UNKNOWN_LINT = "W0114" "unknown-lint" Finding "a name that findings are allowed by is none of a finding";
    BAD_TEMPLATE = "E0117" "bad-template" Usage "a template is not as templates are";
    INTERRUPTED = "E0130" "interrupted" Interrupted "the command was interrupted";

    // 02: building
    CLANG_ERROR = "E0201" "clang-error" Finding "clang rejects the source";
    CLANG_WARNING = "W0201" "clang-warning" Finding "clang warns about the source";
    CLANG_FAILED = "E0202" "clang-failed" Environment "clang ended without a diagnostic";
    CLANG_MISSING = "E0203" "clang-missing" Environment "no clang that can compile BPF was found";
    CLANG_TOO_OLD = "E0204" "clang-too-old" Environment "the clang that was found is too old";
    KERNEL_BTF_MISSING = "E0205" "kernel-btf-missing" Environment "there is no kernel's BTF to make vmlinux.h from";
    LINK_FAILED = "E0206" "link-failed" Finding "objects cannot be linked into one";
    SKELETON_FAILED = "E0207" "skeleton-failed" Finding "no skeleton can be written for an object";
    USER_ERROR = "E0208" "user-error" Finding "the compiler rejects a source of the user program";
    USER_WARNING = "W0208" "user-warning" Finding "the compiler warns about a source of the user program";
    USER_LINK_FAILED = "E0209" "user-link-failed" Finding "the user program cannot be linked";
    LIBBPF_MISSING = "E0210" "libbpf-missing" Environment "the machine has no libbpf to link the user program to";
    CARGO_FAILED = "E0211" "cargo-failed" Finding "cargo cannot build the user program";

    // 03: what the verifier rejects
    VERIFIER_REJECTED = "E0300" "verifier-rejected" Finding "the kernel's verifier rejects the program for a reason skep has no name for yet";
    MAP_VALUE_MAYBE_NULL = "E0301" "map-value-maybe-null" Finding "a pointer that may be null is dereferenced";
    PACKET_OUT_OF_BOUNDS = "E0302" "packet-out-of-bounds" Finding "packet data is read or written beyond what was checked";
    UNBOUNDED_LOOP = "E0303" "unbounded-loop" Finding "the verifier cannot see the end of a loop";
    STACK_OVERFLOW = "E0304" "stack-overflow" Finding "the program needs more stack than a BPF program has";
    GPL_ONLY_HELPER = "E0305" "gpl-only-helper" Finding "a GPL-only helper is called from a program with another license";
    INVALID_CONTEXT_ACCESS = "E0306" "invalid-context-access" Finding "the context is accessed in a way its program type does not allow";
    TOO_COMPLEX = "E0307" "too-complex" Finding "the program takes more steps or branches than the verifier will follow";
    NOT_A_POINTER = "E0308" "not-a-pointer" Finding "a number is used as a pointer";
    MAP_VALUE_OUT_OF_BOUNDS = "E0309" "map-value-out-of-bounds" Finding "a map value is accessed beyond its end";
    STACK_OUT_OF_BOUNDS = "E0310" "stack-out-of-bounds" Finding "the stack is accessed outside of its bounds";
    MEMORY_OUT_OF_BOUNDS = "E0311" "memory-out-of-bounds" Finding "a block of memory is accessed beyond its end";
    UNINITIALIZED_REGISTER = "E0312" "uninitialized-register" Finding "a value is used that was never set on this path";
    UNINITIALIZED_STACK = "E0313" "uninitialized-stack" Finding "stack memory is read that was never written";
    UNBOUNDED_ACCESS = "E0314" "unbounded-access" Finding "an index or a size has no bounds that the verifier can see";
    MISALIGNED_ACCESS = "E0315" "misaligned-access" Finding "memory is accessed at an address that is not aligned";
    READ_ONLY_MEMORY = "E0316" "read-only-memory" Finding "memory is accessed in a way its kind does not allow";
    POINTER_ARITHMETIC = "E0317" "pointer-arithmetic" Finding "a pointer is computed in a way the verifier cannot follow";
    POINTER_LEAK = "E0318" "pointer-leak" Finding "a kernel address would leave the program";
    MODIFIED_POINTER = "E0319" "modified-pointer" Finding "a pointer that must keep its offset was moved";
    KERNEL_STRUCT_ACCESS = "E0320" "kernel-struct-access" Finding "a kernel structure is accessed in a way its type does not allow";
    UNKNOWN_HELPER = "E0321" "unknown-helper" Finding "a helper is called that the kernel does not have";
    HELPER_NOT_ALLOWED = "E0322" "helper-not-allowed" Finding "a helper is called that this kind of program may not use";
    WRONG_ARGUMENT = "E0323" "wrong-argument" Finding "a helper or kernel function is called with an argument of the wrong kind";
    WRONG_MAP_TYPE = "E0324" "wrong-map-type" Finding "a helper is called with a map of a type it does not work on";
    UNRELEASED_REFERENCE = "E0325" "unreleased-reference" Finding "a reference is acquired and not released on every path";
    INVALID_RELEASE = "E0326" "invalid-release" Finding "something is released that holds no reference";
    LOCK_MISUSE = "E0327" "lock-misuse" Finding "a lock is taken, held or released in a way that is not allowed";
    CRITICAL_SECTION = "E0328" "critical-section" Finding "a section without preemption, interrupts or RCU updates is not well-formed";
    RETURN_VALUE = "E0329" "return-value" Finding "the program returns a value that its type does not allow";
    UNREACHABLE_CODE = "E0330" "unreachable-code" Finding "the program has instructions that nothing leads to";
    CONTROL_FLOW = "E0331" "control-flow" Finding "a jump or call leads where it must not";
    CALL_DEPTH = "E0332" "call-depth" Finding "functions call each other too deeply, or themselves";
    INVALID_INSTRUCTION = "E0333" "invalid-instruction" Finding "an instruction is not one the kernel knows";
    UNKNOWN_KFUNC = "E0334" "unknown-kfunc" Finding "a kernel function or variable is used that the kernel does not offer";
    KFUNC_NOT_ALLOWED = "E0335" "kfunc-not-allowed" Finding "a kernel function is called that this program may not use";
    ATOMIC_MISUSE = "E0336" "atomic-misuse" Finding "an atomic operation works on memory or a size it must not";
    SLEEPABLE_MISUSE = "E0337" "sleepable-misuse" Finding "something that may sleep is used where sleeping is not allowed";
    SUBPROGRAM_ARGUMENT = "E0338" "subprogram-argument" Finding "a function of the program has a signature or a caller that does not fit";
    MISSING_BTF = "E0339" "missing-btf" Finding "the program or the kernel lacks the BTF this needs";
    DYNPTR_MISUSE = "E0340" "dynptr-misuse" Finding "a dynptr is used in a way that is not allowed";
    ITERATOR_MISUSE = "E0341" "iterator-misuse" Finding "an open-coded iterator is used in a way that is not allowed";
    CALLBACK_MISUSE = "E0342" "callback-misuse" Finding "a callback function is used in a way that is not allowed";
    KPTR_MISUSE = "E0343" "kptr-misuse" Finding "a kernel pointer kept in a map is used in a way that is not allowed";
    SPECIAL_FIELD = "E0344" "special-field" Finding "a timer, work queue or other special field of a map value is misused";
    COLLECTION_MISUSE = "E0345" "collection-misuse" Finding "a list, tree or allocated object is used in a way that is not allowed";
    LICENSE_REQUIRED = "E0346" "license-required" Finding "what the program does needs a GPL-compatible license";
    PERMISSION_DENIED = "E0347" "permission-denied" Finding "whoever loads the program may not do what it does";
    NOT_SUPPORTED = "E0348" "not-supported" Finding "the kernel was built without something the program needs";
    TAIL_CALL_MISUSE = "E0349" "tail-call-misuse" Finding "a tail call is made where it is not allowed";
    LOAD_REFUSED = "E0350" "load-refused" Finding "libbpf or the kernel refuses the program before the verifier sees it";
    NO_ATTACH_TARGET = "E0351" "no-attach-target" Finding "the kernel has nothing of the name the program is to attach to";
    MAP_NOT_ALLOWED = "E0352" "map-not-allowed" Finding "a map of this type or content may not be used by this program";
    STRUCT_OPS_MEMBER = "E0353" "struct-ops-member" Finding "the struct_ops member the program implements cannot be used";
    EXTENSION_MISMATCH = "E0354" "extension-mismatch" Finding "the program does not fit the program it extends or traces";
    LIMIT_EXCEEDED = "E0355" "limit-exceeded" Finding "the program has more of something than the kernel allows";
    VERIFIER_BUG = "E0356" "verifier-bug" Finding "the verifier met a fault of its own";
    LEGACY_PACKET_ACCESS = "E0357" "legacy-packet-access" Finding "an old-style packet load is used where it is not allowed";
    CORE_RELOCATION = "E0358" "core-relocation" Finding "a field, type or value the program asks for is not in this kernel";
    MAP_NOT_CREATED = "E0359" "map-not-created" Finding "a map the program uses could not be created";
    BTF_REJECTED = "E0360" "btf-rejected" Finding "the kernel rejects the BTF that comes with the program";
    VERIFICATION_INTERRUPTED = "E0361" "verification-interrupted" Finding "the verification was broken off";
    FORMAT_STRING = "E0362" "format-string" Finding "a format string is not one the kernel accepts";
    STALE_PACKET_POINTER = "E0363" "stale-packet-pointer" Finding "a packet pointer is used after a call that may have moved the packet";
    USE_AFTER_RELEASE = "E0364" "use-after-release" Finding "something is used after it was released";
    ARENA_MISUSE = "E0365" "arena-misuse" Finding "an arena is used in a way that is not allowed";
    USER_MEMORY = "E0366" "user-memory" Finding "user memory is accessed directly";
    EXCEPTION_MISUSE = "E0367" "exception-misuse" Finding "an exception is thrown or handled where it is not allowed";


    // 04: the object file
    NOT_AN_OBJECT = "E0401" "not-an-object" Finding "the file is not an ELF object";
    NOT_BPF = "E0402" "not-bpf" Finding "the ELF object is not for BPF";
    OBJECT_CORRUPT = "E0403" "object-corrupt" Finding "the object file is damaged";
    UNKNOWN_SECTION = "E0404" "unknown-section" Finding "libbpf knows no program type for a program's section";
    UNTYPED_SECTION = "W0404" "unknown-section" Finding "a program's section says no program type, so the loader must";
    LICENSE_MISSING = "W0405" "license-missing" Finding "the object says no license";
    BAD_MAP = "E0406" "bad-map" Finding "a map is defined in a way that libbpf or the kernel refuses";
    UNFINISHED_MAP = "W0406" "unfinished-map" Finding "a map's definition leaves something for the loader to set";
    LEGACY_MAPS = "E0407" "legacy-maps" Finding "maps are defined in the form that libbpf gave up with 1.0";
    BAD_CALL = "E0408" "bad-call" Finding "a call leads to no function";
    UNRESOLVED_SYMBOL = "E0409" "unresolved-symbol" Finding "the code refers to something that libbpf cannot provide";
    STATIC_PROGRAM = "E0410" "static-program" Finding "a program is static, so libbpf refuses the object";
    DEBUG_INFO_MISMATCH = "W0411" "debug-info-mismatch" Finding "function or line records do not agree with the code";
    OBJECT_WITHOUT_BTF = "E0412" "object-without-btf" Finding "the object has no BTF, and needs it";
    OBJECT_HAS_NO_BTF = "W0412" "object-without-btf" Finding "the object has no BTF";
    KERNEL_TOO_OLD = "E0413" "kernel-too-old" Finding "the object uses something that a kernel does not have";
    PRINTK_IN_HOT_PATH = "W0414" "printk-in-hot-path" Finding "text is printed where a program runs very often";
    COMM_LENGTH = "W0415" "comm-length" Finding "a task's name is taken or compared with a length that cannot be meant";
    CONFIG_WITHOUT_VOLATILE = "W0416" "config-without-volatile" Finding "a constant is not read, because clang put its value into the code";
    LARGE_STACK = "W0417" "large-stack" Finding "a program needs nearly all the stack that there is";
    GLOBAL_FUNCTION = "W0418" "global-function" Finding "a function is verified alone and relies on what its callers pass";
    UNALIGNED_PACKET_ACCESS = "W0419" "unaligned-packet-access" Finding "packet data is accessed at an address that is not aligned";
    CONSTANT_ARGUMENT = "W0420" "constant-argument" Finding "a helper is called with a constant that makes the call fail each time";
    UNUSED_MAP = "W0421" "unused-map" Finding "nothing refers to a map";
    UNREFERENCED_PROGRAM = "W0422" "unreferenced-program" Finding "no struct of functions names a struct_ops program, so libbpf does not load it";

    // 05: BTF and CO-RE
    BTF_CORRUPT = "E0501" "btf-corrupt" Finding "the BTF data is damaged";
    BTF_MISSING = "E0502" "btf-missing" Finding "there is no BTF where some is needed";
    NOT_BTF = "E0503" "not-btf" Usage "the file holds no BTF";
    NO_SUCH_TYPE = "E0504" "no-such-type" Usage "the BTF has no type of that name";
    CORE_INVALID = "E0505" "core-invalid" Finding "libbpf refuses a CO-RE relocation of the object";
    CORE_AMBIGUOUS = "E0506" "core-ambiguous" Finding "a CO-RE relocation has more than one answer";
    CORE_TYPE_ID = "W0507" "core-type-id" Finding "a program asks for the number of a kernel type, which minimal BTF does not keep";
    TYPE_DRIFT = "E0508" "type-drift" Finding "what the project uses of a kernel type is different on another kernel";
    TYPE_DRIFT_ELSEWHERE = "W0508" "type-drift" Finding "a kernel type that the project uses is different on another kernel, but not in what is used";
    BTF_CHANGED = "E0509" "btf-changed" Finding "the BTF that the project is pinned to is not the same any more";
    READ_WITHOUT_CORE = "W0510" "read-without-core" Finding "a field of a kernel structure is read at a fixed offset";

    // 06: the machine
    FILE_NOT_FOUND = "E0601" "file-not-found" Usage "a file that is needed is not there";
    FILE_ACCESS = "E0602" "file-access" Environment "a file or directory cannot be read or written";
    DISK_FULL = "E0603" "disk-full" Environment "there is no space left on the disk";
    PROGRAM_FAILED = "E0604" "program-failed" Environment "a program that skep ran failed";
    TEMPLATE_NOT_FETCHED = "E0606" "template-not-fetched" Environment "the repository of a template could not be copied";
    CAPTURE_UNREADABLE = "E0607" "capture-unreadable" Usage "a file of captured packets cannot be read";
    LIBRARY_MISSING = "E0608" "library-missing" Environment "a shared library of a program that is to run in a guest is not there";

    // 07: kernels and virtual machines
    QEMU_MISSING = "E0701" "qemu-missing" Environment "QEMU is not installed";
    KERNEL_NOT_FOUND = "E0702" "kernel-not-found" Environment "the kernel cannot be had";
    KERNEL_IMAGE_CORRUPT = "E0703" "kernel-image-corrupt" Environment "the kernel image is damaged or of an unknown kind";
    PACKAGE_WITHOUT_KERNEL = "E0704" "package-without-kernel" Environment "the package holds no kernel";
    KERNEL_REFERENCE = "E0705" "kernel-reference" Usage "the kernel reference is not one skep understands";
    VM_DID_NOT_BOOT = "E0706" "vm-did-not-boot" Environment "the virtual machine did not come up";
    VM_LOST = "E0707" "vm-lost" Environment "the virtual machine ended before it gave a verdict";
    DOWNLOAD_FAILED = "E0708" "download-failed" Environment "a package could not be downloaded";
    PACKAGE_CORRUPT = "E0709" "package-corrupt" Environment "the package is damaged";
    GUEST_FAILED = "E0710" "guest-failed" Environment "the guest could not do what it was asked to";
    NO_VERDICT = "E0711" "no-verdict" Environment "the program could not be loaded to the end, so there is no verdict";
    KERNEL_DRIFT = "E0712" "kernel-drift" Environment "a kernel that the project is pinned to cannot be had any more";
    OWN_KERNEL_DENIED = "E0713" "own-kernel-denied" Environment "the machine's own kernel loads no program of this user";
    OWN_KERNEL_NOT_AGREED = "E0714" "own-kernel-not-agreed" Usage "nobody agreed to running a program on the machine's own kernel";

    // 08: what programs do
    NOT_ATTACHED = "E0801" "not-attached" Finding "no program could be attached";
    TEST_FAILED = "E0802" "test-failed" Finding "a test of a program did not come out as expected";
    NO_RECORD = "E0804" "no-record" Usage "a file is no record of what programs said, or of another version";
    UNKNOWN_TAG = "W0803" "unknown-tag" Finding "a declaration has a tag of skep's that nobody knows";

    // 09: what programs cost
    OVER_BUDGET = "E0901" "over-budget" Finding "a program costs the verifier more than the manifest allows";
    VERDICT_FLIPPED = "E0902" "verdict-flipped" Finding "a program was accepted when the baseline was saved, and is not any more";
    VERIFICATION_GREW = "E0903" "verification-grew" Finding "a program costs the verifier so much more than in the baseline that it is not allowed";
    NO_TRACE = "E0904" "no-trace" Finding "the verifier's log tells of no instruction, so there is nothing to trace";
    RUN_SLOWER = "E0905" "run-slower" Finding "a program takes longer to run than its baseline allows";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_and_slugs_are_unique_and_well_formed() {
        let mut seen = HashSet::new();
        for code in ALL {
            assert!(seen.insert(code.id()), "{code} is there twice");
            assert!(
                seen.insert(code.slug()) || code.id().starts_with('W'),
                "{code} is there twice"
            );
            assert!(code.id().len() == 5 && code.id()[1..].parse::<u16>().is_ok(), "{code}");
            assert!(code.slug().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{code}");
            assert_eq!(Code::find(code.id()), Some(*code));
        }
    }
}
