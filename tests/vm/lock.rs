//! `Skep.lock`: the kernels of a matrix stay what they are.

use crate::support::{Place, Run, shared_cache};

const SOURCE: &str = r#"
#define SEC(name) __attribute__((section(name), used))
char LICENSE[] SEC("license") = "GPL";
SEC("socket") int nothing(void *ctx) { return 0; }
"#;

/// A project whose matrix is an image of its own and Debian's.
fn project(matrix: &str) -> Place {
    let place = Place::new();
    let manifest = format!(
        "[package]\nname = \"p\"\n[bpf]\nvmlinux = \"none\"\n[kernels]\nmatrix = {matrix}\n"
    );
    place.file("Skep.toml", manifest);
    place.file("src/p.bpf.c", SOURCE);
    place
}

fn image(place: &Place, reference: &str) -> Vec<u8> {
    let path = place.skep(&["-C", "/", "kernel", "path", reference]).expect(0).stdout;
    std::fs::read(path.trim_end()).unwrap()
}

fn locked(place: &Place) -> Run {
    place.skep(&["verify", "--locked"])
}

#[test]
fn the_matrix_is_pinned_and_drift_is_refused() {
    let place = project(r#"["boot/vmlinuz", "debian/bookworm"]"#);
    place.file("boot/vmlinuz", image(&place, "debian/bookworm"));
    // Nothing may be pinned now.
    let run = locked(&place).expect(2);
    assert!(run.stderr.contains("E0113"), "{run}");
    let run = place.skep(&["verify"]).expect(0);
    assert!(run.stderr.contains("Skep.lock pins the kernels"), "{run}");
    let lock = place.read("Skep.lock");
    assert!(lock.contains("reference = \"boot/vmlinuz\""), "{lock}");
    assert!(lock.contains("package = \"linux-image-6.1.0-"), "{lock}");
    assert!(lock.contains("package-sha256"), "{lock}");
    locked(&place).expect(0);
    assert_eq!(place.read("Skep.lock"), lock);

    // Another kernel takes the image's place.
    place.file("boot/vmlinuz", image(&place, "debian/trixie"));
    let run = locked(&place).expect(3);
    assert!(run.stdout.contains("E0712") && run.stdout.contains("boot/vmlinuz"), "{run}");
    // The other kernel has its verdict all the same.
    assert_eq!(run.stdout.matches("accepted").count(), 1, "{run}");
    let run = place.skep(&["verify"]).expect(0);
    assert!(run.stderr.contains("is pinned to 6.1.0-"), "{run}");
    let moved = place.read("Skep.lock");
    assert!(moved != lock && moved.contains("release = \"6.12."), "{moved}");
    locked(&place).expect(0);

    // `skep kernel update` does the same by itself, for what is named.
    place.file("boot/vmlinuz", image(&place, "debian/bookworm"));
    let run = place.skep(&["kernel", "update", "boot/vmlinuz"]).expect(0);
    assert!(run.stdout.contains("6.12.") && run.stdout.contains("yes"), "{run}");
    assert_eq!(place.read("Skep.lock"), lock);
}

#[test]
fn a_pinned_kernel_is_taken_although_its_reference_moved_on() {
    let place = project(r#"["debian/bookworm"]"#);
    place.skep(&["verify"]).expect(0);
    // A cache in which the suite means a newer kernel.
    let cache = place.path().join("cache/kernels");
    std::fs::create_dir_all(&cache).unwrap();
    let shared = shared_cache().join("kernels");
    let key = |reference: &str| {
        let path = shared.join(format!("debian-{reference}.json"));
        let meaning: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        meaning["key"].as_str().unwrap().to_owned()
    };
    image(&place, "debian/trixie");
    let (old, new) = (key("bookworm"), key("trixie"));
    for key in [&old, &new] {
        std::os::unix::fs::symlink(shared.join(key), cache.join(key)).unwrap();
    }
    let meaning = serde_json::json!({"reference": "debian/bookworm", "key": new, "fetched": 1});
    std::fs::write(cache.join("debian-bookworm.json"), meaning.to_string()).unwrap();
    let cache = place.path().join("cache");
    let place = place.env("SKEP_CACHE_DIR", cache);
    let release = |args: &[&str]| {
        let all = [&["kernel", "path", "debian/bookworm"], args].concat();
        place.skep(&all).expect(0).stdout
    };
    assert!(release(&[]).contains(&old));
    assert!(release(&["-C", "/tmp"]).contains(&new));
}
