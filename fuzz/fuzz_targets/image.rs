//! Kernel images: unpacked, and the BTF found in what comes out.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skep::btf::Btf;
use skep::elf;
use skep::kernels::image;

fuzz_target!(|data: &[u8]| {
    let _ = image::looks_like_image(data);
    let _ = image::release(data);
    if let Ok(vmlinux) = image::vmlinux(data) {
        let _ = image::has_pvh_entry(&vmlinux);
        let _ = elf::section(&vmlinux, ".BTF");
    }
    let _ = image::foreign(data);
    if let Ok(kernel) = image::unpacked(data) {
        let _ = Btf::search(&kernel, |btf| btf.len() > 3);
    }
});
