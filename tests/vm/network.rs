//! The network of `skep run`: a pair of devices with programs at one end, and
//! packets that are sent from the other.

use crate::objects::object;
use crate::support::Place;

const COUNTS: &str = r#"
struct { __uint(type, 2); __uint(max_entries, 2); __type(key, u32); __type(value, u64); } seen SEC(".maps");
static __attribute__((always_inline)) void count(u32 key) {
	u64 *value = lookup(&seen, &key);
	if (value)
		__sync_fetch_and_add(value, 1);
}
SEC("xdp") int on_xdp(struct ctx *ctx) { count(0); return 2; }
SEC("tc") int on_filter(struct ctx *ctx) { count(1); return 0; }
"#;

/// Sends everything back.
const MIRROR: &str = "SEC(\"xdp\") int mirror(struct ctx *ctx) { return 3; }";

/// A file of captured packets, half a second apart.
fn capture(frames: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in [0xa1b2_c3d4_u32, 2 | 4 << 16, 0, 0, 65535, 1] {
        bytes.extend(number.to_le_bytes());
    }
    for (index, frame) in (0..).zip(frames) {
        for number in [1000, index * 500_000, frame.len() as u32, frame.len() as u32] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(*frame);
    }
    bytes
}

/// The number in front of some words.
#[track_caller]
fn number(text: &str, words: &str) -> u64 {
    let before = text.split(words).next().filter(|before| before.len() < text.len());
    let word = before.and_then(|before| before.split_whitespace().next_back());
    word.and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("no {words:?} in {text}"))
}

#[test]
fn packets_arrive_at_programs_that_name_no_place() {
    let place = Place::new();
    object(&place, "counts", COUNTS);
    object(&place, "mirror", MIRROR);
    let mut frame = [0x5a; 60];
    frame[..14].copy_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5]);
    place.file("two.pcap", capture(&[&frame, &frame]));
    for kernel in ["debian/bullseye", "debian/bookworm", "debian/trixie", "debian/sid"] {
        let run =
            |file: &str, args: &[&str]| place.skep(&[&["run", file, "-k", kernel], args].concat());
        let commands = "ping 10.0.0.1; ping fd00::1; far ping 10.0.0.2; tcp 10.0.0.1:80 hello; \
                        far udp 10.0.0.2:9 hello; far tcp [fd00::2]:80 hello";
        let sends = ["--send", "eth/ip/udp(dport=9)/\"x\"", "--send", "two.pcap"];
        let ran = run("counts.bpf.o", &[&sends[..], &["-e", commands]].concat()).expect(0);
        assert!(ran.stderr.contains("Attached on_xdp to veth0\n"), "{kernel}: {ran}");
        assert!(ran.stderr.contains("Attached on_filter to veth0 ingress\n"), "{kernel}: {ran}");
        assert_eq!(number(&ran.stdout, " packets sent to veth0"), 3, "{kernel}: {ran}");
        assert!(number(&ran.stdout, " received") >= 3, "{kernel}: {ran}");
        for address in ["10.0.0.1", "fd00::1", "10.0.0.2"] {
            assert!(ran.stdout.contains(&format!("{address} answers\n")), "{kernel}: {ran}");
        }
        assert!(ran.stdout.contains("seen (2 entries)"), "{kernel}: {ran}");

        let ran = run("mirror.bpf.o", &["--send", "two.pcap"]).expect(0);
        // What IPv6 says of itself comes along.
        assert!(number(&ran.stdout, " came back") >= 2, "{kernel}: {ran}");
    }
}

#[test]
fn packets_are_sent_at_the_pace_that_is_asked_for() {
    let place = Place::new();
    object(&place, "counts", COUNTS);
    let frame = [0x5a; 60];
    place.file("five.pcap", capture(&[&frame as &[u8]; 5]));
    let took = |args: &[&str]| {
        let args =
            [&["run", "counts.bpf.o", "-k", "debian/trixie", "--send", "five.pcap"], args].concat();
        let started = std::time::Instant::now();
        let ran = place.skep(&args).expect(0);
        assert_eq!(number(&ran.stdout, " packets sent to veth0"), 5, "{ran}");
        started.elapsed().as_secs_f64()
    };
    assert!(took(&["--send-rate", "recorded"]) >= 2.0);
    assert!(took(&["--send-rate", "2"]) >= 2.0);
    place.file("half.pcap", &capture(&[&frame])[..50]);
    for (args, code, said) in [
        (&["--send", "half.pcap"][..], 2, "error[E0607]"),
        (&["--send", "eth/nonsense"], 2, "is no file and no packet"),
        (&["--send", "five.pcap", "--send-rate", "often"], 2, "or `recorded`"),
        (&["--send-rate", "5"], 2, "--send"),
    ] {
        let args = [&["run", "counts.bpf.o", "-k", "debian/trixie"], args].concat();
        let wrong = place.skep(&args).expect(code);
        assert!(wrong.stderr.contains(said), "no {said:?} in {wrong}");
    }
}
