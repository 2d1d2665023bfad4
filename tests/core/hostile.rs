//! Hostile objects: real ones, cut off at every byte and with single bits
//! flipped. Whatever comes out is read and checked without a panic, in less
//! than a second, and in memory that stays in proportion to the file.
//!
//! The suite takes a share that is the same each time; `SKEP_ASK_ALL=1` takes
//! every truncation and 10 000 flips of each object (`benches/hostile`).

use crate::support::debian;
use skep::analysis::{self, kernel::Kernel};
use skep::bpf::KernelVersion;
use skep::elf::Object;
use skep::relocate::core::Target;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Counts what each thread has, and the most it had.
struct Counting;

thread_local! {
    static NOW: Cell<usize> = const { Cell::new(0) };
    static MOST: Cell<usize> = const { Cell::new(0) };
}

fn grown(by: usize) {
    let now = NOW.get().saturating_add(by);
    NOW.set(now);
    MOST.set(MOST.get().max(now));
}

// SAFETY: everything is passed on to the system's allocator as it came; the
// counters are plain cells, which allocate nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.set(NOW.get().saturating_sub(layout.size()));
        // SAFETY: the pointer came from `System`, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// How many objects.
const OBJECTS: usize = 10;

/// How many flips of each.
const FLIPS: u64 = 10_000;

/// What a file may cost, however small it is: tables, messages, names.
const FLOOR: usize = 64 << 10;

/// What came of all files.
#[derive(Default)]
struct Worst {
    files: usize,
    slowest: Duration,
    /// The most memory, as a multiple of the file, in hundredths.
    memory: usize,
    wrong: Vec<String>,
}

/// Reads and checks a file, as `skep check` does for a kernel too.
fn look(bytes: &[u8]) {
    let Ok(object) = Object::parse(bytes) else { return };
    let path = Path::new("hostile.bpf.o");
    analysis::check(&object, path, &|_| None);
    let Some(btf) = &object.btf else { return };
    // A kernel that has the types of the object itself.
    let target = Target::new(btf.clone());
    let kernel = Kernel::of_btf("itself", Some(KernelVersion::new(5, 4)), &target);
    analysis::check_on(&object, path, &|_| None, &[kernel]);
}

fn measure(what: &str, bytes: &[u8], worst: &mut Worst) {
    let (before, begin) = (NOW.get(), Instant::now());
    MOST.set(before);
    let outcome = std::panic::catch_unwind(|| look(bytes));
    let (took, memory) = (begin.elapsed(), MOST.get() - before);
    worst.files += 1;
    worst.slowest = worst.slowest.max(took);
    worst.memory = worst.memory.max(memory.saturating_sub(FLOOR) * 100 / bytes.len().max(1));
    if outcome.is_err() {
        worst.wrong.push(format!("{what}: a panic"));
    }
    if memory > 20 * bytes.len() + FLOOR {
        worst.wrong.push(format!("{what}: {memory} bytes for {}", bytes.len()));
    }
    // A machine that stands still for a moment is no hang: it is asked again.
    if took > Duration::from_secs(1) {
        let begin = Instant::now();
        look(bytes);
        if begin.elapsed() > Duration::from_secs(1) {
            worst.wrong.push(format!("{what}: {took:?}"));
        }
    }
}

fn all(name: &str, bytes: &[u8], share: u64, worst: &mut Worst) {
    // What is made once for all files is not counted.
    look(bytes);
    // A share that is no divisor of anything comes by every kind of place.
    for length in (0..bytes.len()).step_by(usize::try_from(share).unwrap()) {
        measure(&format!("{name} cut at {length}"), &bytes[..length], worst);
    }
    let bits = bytes.len() as u64 * 8;
    let mut random = 0x9e37_79b9_7f4a_7c15_u64 ^ bits;
    for _ in 0..FLIPS / share {
        // xorshift64 (Marsaglia): the same bits each time.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let bit = random % bits;
        let mut flipped = bytes.to_vec();
        flipped[usize::try_from(bit / 8).unwrap()] ^= 1 << (bit % 8);
        measure(&format!("{name} with bit {bit} flipped"), &flipped, worst);
    }
}

#[test]
fn damaged_objects_do_no_harm() {
    let share = if std::env::var_os("SKEP_ASK_ALL").is_some() { 1 } else { 101 };
    let tools = debian::libbpf_tools();
    let step = tools.len() / OBJECTS;
    let open: Vec<_> = tools.into_iter().step_by(step).take(OBJECTS).collect();
    let open = Mutex::new(open);
    let worst = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((name, bytes)) = { open.lock().unwrap().pop() } {
                    let mut own = Worst::default();
                    all(&name, &bytes, share, &mut own);
                    println!(
                        "{name}: {} bytes, {} files, slowest {:?}, memory {}.{:02} times the file",
                        bytes.len(),
                        own.files,
                        own.slowest,
                        own.memory / 100,
                        own.memory % 100
                    );
                    worst.lock().unwrap().push(own);
                }
            });
        }
    });
    let worst = worst.into_inner().unwrap();
    assert_eq!(worst.len(), OBJECTS);
    let files: usize = worst.iter().map(|one| one.files).sum();
    assert!(files > 1000, "only {files} files");
    let wrong: Vec<_> = worst.iter().flat_map(|one| &one.wrong).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
