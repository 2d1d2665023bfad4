//! Debian's and RPM packages: the kernel found in one, and its image looked at.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skep::kernels::{looks_like_package, read_package};

fuzz_target!(|data: &[u8]| {
    let _ = looks_like_package(data);
    let _ = read_package(data);
});
