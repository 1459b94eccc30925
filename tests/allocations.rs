//! What the crate takes of its caller's memory: so many pieces an image, and nothing is kept.

// Each binary uses a part of it.
#[allow(dead_code)]
#[path = "support/linted.rs"]
mod linted;
#[allow(dead_code)]
#[path = "support/runners.rs"]
mod runners;

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};

use minild::Options;
use minild::input::spec;
use minild::target::TARGETS;

/// Counts what is asked of the system's allocator.
struct Counting;

static ASKED: AtomicUsize = AtomicUsize::new(0);
static HELD: AtomicIsize = AtomicIsize::new(0);

// SAFETY: every call is the system's own; two numbers are counted beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.fetch_add(1, Ordering::Relaxed);
        HELD.fetch_add(layout.size().cast_signed(), Ordering::Relaxed);
        // SAFETY: as asked.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size().cast_signed(), Ordering::Relaxed);
        // SAFETY: as asked.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Pieces of memory for one image of hello, at most: a third more than docs/MEASUREMENTS.md says, for the next
/// version of a library that works otherwise.
const PIECES: &[(&str, usize)] = &[("linux", 110), ("macos", 210), ("windows", 130), ("uefi", 75)];

/// How many images of each target.
const IMAGES: usize = 10_000 / 8;

/// One test, as the counters are the process': nothing else may run beside it.
#[test]
fn ten_thousand_images_leave_nothing_behind_and_are_the_commands_own() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    let text = fs::read_to_string(samples.join("hello.toml")).expect("a sample");
    let spec = spec::read(&text, &samples).expect("a sample");
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options::default();
    for row in TARGETS {
        let built = folder.path().join(row.name);
        let command = runners::minild()
            .args(["build", "--target", row.name, "-o"])
            .arg(&built)
            .arg(samples.join("hello.toml"))
            .output()
            .expect("minild starts");
        assert!(command.status.success(), "{}", String::from_utf8_lossy(&command.stderr));
        let expected = fs::read(&built).expect("a file");

        let (program, _) = spec.program(row.target).expect("a sample");
        let image = linted::link(&program, &options).expect("it links");
        assert!(image.bytes == expected, "{}: other bytes than the command's", row.name);
        drop(image);

        let held = HELD.load(Ordering::Relaxed);
        let asked = ASKED.load(Ordering::Relaxed);
        for _ in 0..IMAGES {
            // Not linted: memory is counted, and the bytes are those of the image above.
            let image = minild::link(&program, &options).expect("it links");
            assert!(image.bytes == expected, "{}: other bytes the next time", row.name);
        }
        let pieces = (ASKED.load(Ordering::Relaxed) - asked) / IMAGES;
        assert_eq!(HELD.load(Ordering::Relaxed), held, "{}: bytes are kept", row.name);
        let system = row.target.operating_system.name();
        let (_, most) = PIECES.iter().find(|(name, _)| *name == system).expect("a row");
        assert!(pieces <= *most, "{}: {pieces} pieces of memory for an image", row.name);
        println!("{}: {pieces} pieces of memory for an image", row.name);
    }
}
