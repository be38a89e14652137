//! The `jaquard` binary: arguments in, exit code out.

use std::process::ExitCode;

/// Number of `mi_option_purge_delay`, which has no name in the bindings.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Milliseconds that freed memory is kept.
const PURGE_AFTER_MS: std::ffi::c_long = 200;

#[global_allocator]
static ALLOCATOR: jaquard::jq::CountingAllocator<mimalloc::MiMalloc> =
    jaquard::jq::CountingAllocator(mimalloc::MiMalloc);

fn main() -> ExitCode {
    // Before any other thread exists. Batches are made in one thread and freed in another. With huge
    // pages the system clears two megabytes wherever an allocator touches a new kilobyte: twice the
    // memory, and an eighth of the time of a plain copy. What a burst has taken goes back to the
    // system, but not at once: the next batch would have its pages cleared again.
    // SAFETY: set a flag of this process and a number in the allocator's own table.
    #[allow(unsafe_code, reason = "neither has a safe setter")]
    unsafe {
        #[cfg(target_os = "linux")]
        libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0);
        libmimalloc_sys::mi_option_set(PURGE_DELAY, PURGE_AFTER_MS);
    }
    ExitCode::from(jaquard::cli::main())
}
