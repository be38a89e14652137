//! The `jaquard` binary: arguments in, exit code out.

use std::process::ExitCode;

/// Number of `mi_option_purge_delay`, which has no name in the bindings.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Milliseconds that freed memory is kept.
const PURGE_AFTER_MS: std::ffi::c_long = 20;

#[global_allocator]
static ALLOCATOR: jaquard::jq::CountingAllocator<mimalloc::MiMalloc> =
    jaquard::jq::CountingAllocator(mimalloc::MiMalloc);

fn main() -> ExitCode {
    // Memory that a burst has taken goes back to the system soon: batches are made in one thread and
    // freed in another, and an allocator that keeps them for later holds twice what is used. Not at
    // once: the next batch would have its pages cleared again.
    // SAFETY: sets a number in the allocator's own table, before any other thread exists.
    #[allow(unsafe_code, reason = "the option has no safe setter")]
    unsafe {
        libmimalloc_sys::mi_option_set(PURGE_DELAY, PURGE_AFTER_MS);
    }
    ExitCode::from(jaquard::cli::main())
}
