//! Faults on demand: a disk that loses what was not synced, and points of failure in the real binary.
//!
//! A debug build reads `JAQUARD_TESTKIT`, a list of `point` or `point@n` (the n-th time), and fails
//! there. A release build has no such points: the functions are empty and vanish.

mod disk;
pub mod fake_api;

pub use disk::SimDisk;

/// Whether a named point should misbehave now.
#[cfg(debug_assertions)]
pub fn hit(point: &str) -> bool {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Armed {
        point: String,
        at: u64,
        seen: AtomicU64,
    }
    static POINTS: OnceLock<Vec<Armed>> = OnceLock::new();
    let points = POINTS.get_or_init(|| {
        let list = std::env::var("JAQUARD_TESTKIT").unwrap_or_default();
        let armed = list.split(',').filter(|entry| !entry.is_empty()).map(|entry| {
            let (point, at) = entry.split_once('@').unwrap_or((entry, "1"));
            Armed { point: point.to_owned(), at: at.parse().unwrap_or(1), seen: AtomicU64::new(0) }
        });
        armed.collect()
    });
    // every entry of the point counts, so that `p@1,p@2` is hit twice
    points
        .iter()
        .filter(|armed| armed.point == point)
        .fold(false, |hit, armed| hit | (armed.seen.fetch_add(1, Ordering::Relaxed) + 1 == armed.at))
}

/// Whether a named point should misbehave now: never in a release build.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn hit(_: &str) -> bool {
    false
}

/// Panics at a named point, if asked to.
#[inline]
pub fn panic_point(point: &str) {
    if hit(point) {
        std::panic::panic_any(format!("asked to panic at {point}"));
    }
}

/// Ends the process at a named point as a kill would, if asked to.
#[inline]
pub fn crash_point(point: &str) {
    if hit(point) {
        std::process::abort();
    }
}
