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
    INTERRUPTED = "E0130" "interrupted" Interrupted "the command was interrupted";

    // 02: building
    CLANG_ERROR = "E0201" "clang-error" Finding "clang rejects the source";
    CLANG_WARNING = "W0201" "clang-warning" Finding "clang warns about the source";
    CLANG_FAILED = "E0202" "clang-failed" Environment "clang ended without a diagnostic";
    CLANG_MISSING = "E0203" "clang-missing" Environment "no clang that can compile BPF was found";
    CLANG_TOO_OLD = "E0204" "clang-too-old" Environment "the clang that was found is too old";

    // 03: what the verifier rejects
    VERIFIER_REJECTED = "E0300" "verifier-rejected" Finding "the kernel's verifier rejects the program for a reason skep has no name for yet";
    MAP_VALUE_MAYBE_NULL = "E0301" "map-value-maybe-null" Finding "a pointer that may be null is dereferenced";
    PACKET_OUT_OF_BOUNDS = "E0302" "packet-out-of-bounds" Finding "packet data is read or written beyond what was checked";
    UNBOUNDED_LOOP = "E0303" "unbounded-loop" Finding "the verifier cannot see the end of a loop";
    STACK_OVERFLOW = "E0304" "stack-overflow" Finding "the program needs more stack than a BPF program has";
    GPL_ONLY_HELPER = "E0305" "gpl-only-helper" Finding "a GPL-only helper is called from a program with another license";
    INVALID_CONTEXT_ACCESS = "E0306" "invalid-context-access" Finding "the context is accessed in a way its program type does not allow";

    LOAD_REFUSED = "E0350" "load-refused" Finding "libbpf or the kernel refuses the program before the verifier sees it";
    NO_ATTACH_TARGET = "E0351" "no-attach-target" Finding "the kernel has nothing of the name the program is to attach to";

    // 04: the object file
    NOT_AN_OBJECT = "E0401" "not-an-object" Finding "the file is not an ELF object";
    NOT_BPF = "E0402" "not-bpf" Finding "the ELF object is not for BPF";
    OBJECT_CORRUPT = "E0403" "object-corrupt" Finding "the object file is damaged";

    // 05: BTF and CO-RE
    BTF_CORRUPT = "E0501" "btf-corrupt" Finding "the BTF data is damaged";
    BTF_MISSING = "E0502" "btf-missing" Finding "there is no BTF where some is needed";
    NOT_BTF = "E0503" "not-btf" Usage "the file holds no BTF";
    NO_SUCH_TYPE = "E0504" "no-such-type" Usage "the BTF has no type of that name";

    // 06: the machine
    FILE_NOT_FOUND = "E0601" "file-not-found" Usage "a file that is needed is not there";
    FILE_ACCESS = "E0602" "file-access" Environment "a file or directory cannot be read or written";
    DISK_FULL = "E0603" "disk-full" Environment "there is no space left on the disk";
    PROGRAM_FAILED = "E0604" "program-failed" Environment "a program that skep ran failed";

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
