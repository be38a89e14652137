//! The `jaquard` binary: arguments in, exit code out.

use std::process::ExitCode;

/// Number of `mi_option_purge_delay`, which has no name in the bindings.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

#[global_allocator]
static ALLOCATOR: jaquard::jq::CountingAllocator<mimalloc::MiMalloc> =
    jaquard::jq::CountingAllocator(mimalloc::MiMalloc);

fn main() -> ExitCode {
    // Memory that a burst has taken goes back to the system at once: batches are made in one thread
    // and freed in another, and an allocator that keeps them for later holds twice what is used.
    // SAFETY: sets a number in the allocator's own table, before any other thread exists.
    #[allow(unsafe_code, reason = "the option has no safe setter")]
    unsafe {
        libmimalloc_sys::mi_option_set(PURGE_DELAY, 20);
    }
    ExitCode::from(jaquard::cli::main())
}
