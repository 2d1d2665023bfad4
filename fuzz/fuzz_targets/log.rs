//! The verifier's log: read, followed, explained.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skep::verdict::errno::Stage;
use skep::verifier_log::{Log, NoPlaces, Path, Rejection, explain, extract};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    for framed in extract(&text) {
        let _ = framed;
    }
    let log = Log::parse(&text);
    let path = Path::new(&log);
    if let Some(last) = path.last() {
        let _ = path.back_from(last).count();
    }
    let _ = explain(&Rejection {
        log: &text,
        errno: 13,
        stage: Stage::Verifier,
        libbpf: "",
        program: Some("fuzz"),
        object: None,
        section: None,
        kernel: None,
        raw_log: None,
        places: &NoPlaces,
    });
});
