//! A counting allocator: how much the current thread holds, for the memory bound of a program.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
}

/// Bytes allocated minus bytes freed by this thread so far. Only differences mean something.
///
/// Zero for ever in a process whose global allocator is not a [`CountingAllocator`].
pub(super) fn held() -> isize {
    HELD.with(Cell::get)
}

fn count(bytes: isize) {
    // during thread exit the counter may be gone, and no program runs then
    let _ = HELD.try_with(|held| held.set(held.get().wrapping_add(bytes)));
}

/// Wraps the process's allocator and counts per thread.
#[derive(Debug, Default)]
pub struct CountingAllocator<A>(pub A);

// SAFETY: every call is handed to the inner allocator unchanged; the counter is a thread-local
// integer without a destructor and allocates nothing.
#[allow(unsafe_code, reason = "a global allocator cannot be written without")]
unsafe impl<A: GlobalAlloc> GlobalAlloc for CountingAllocator<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        unsafe { self.0.dealloc(ptr, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size.cast_signed() - layout.size().cast_signed());
        unsafe { self.0.realloc(ptr, layout, new_size) }
    }
}
