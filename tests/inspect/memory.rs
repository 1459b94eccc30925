//! How much memory a thread takes at once.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, which counts by thread.
pub(crate) struct Counting;

thread_local! {
    static NOW: Cell<usize> = const { Cell::new(0) };
    static MOST: Cell<usize> = const { Cell::new(0) };
}

fn take(size: usize) {
    // A thread that ends has no cells any more.
    let _ = NOW.try_with(|now| {
        now.set(now.get().wrapping_add(size));
        let _ = MOST.try_with(|most| most.set(most.get().max(now.get())));
    });
}

fn give(size: usize) {
    // What another thread took is given back here, too.
    let _ = NOW.try_with(|now| now.set(now.get().saturating_sub(size)));
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        give(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// What `work` gives, and how many bytes it had at once at most.
pub(crate) fn most<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = NOW.get();
    MOST.set(before);
    let result = work();
    (result, MOST.get().saturating_sub(before))
}

#[test]
fn what_is_taken_at_once_is_counted() {
    let ((), bytes) = most(|| drop(vec![0_u8; 1000]));
    assert!((1000..2000).contains(&bytes), "{bytes}");
    let (_, twice) = most(|| (vec![0_u8; 1000], vec![0_u8; 1000]));
    assert!((2000..3000).contains(&twice), "{twice}");
}
