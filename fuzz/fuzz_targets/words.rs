//! Any bytes as C source: the scan for words ends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skep::vmlinux::Words;

fuzz_target!(|data: &[u8]| {
    let mut words = Words::new();
    words.add(data);
    words.add_helpers(data);
    let _ = words.key();
});
