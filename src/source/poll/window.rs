//! Which span of time to ask for next.
//!
//! All moments are milliseconds since 1970 by the server's clock.

use std::time::Duration;

/// The shortest span that is asked for: what overflows a second cannot be told apart by bounds.
pub(super) const SHORTEST: i64 = 1_000;

/// Doublings of a window over a stretch of time with little in it: from an hour to a century.
const MAX_STRETCH: u32 = 20;

/// Records and pages of a window that still count as little.
const SPARSE: (usize, u64) = (8_000, 16);

/// Pages of a window that are so many that the next one is shorter.
const DENSE: u64 = 48;

/// Pages of a stretched window after which it is cut: a window is what is asked for again after a
/// failure.
pub(super) const LONG: u64 = 100;

/// How time is cut.
#[derive(Debug, Clone, Copy)]
pub(in crate::source) struct Windows {
    pub(super) length: i64,
    pub(super) overlap: i64,
    pub(super) settle: i64,
}

/// A span to ask for, both bounds in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: i64,
    pub(super) end: i64,
}

impl Windows {
    pub(super) fn new(length: Duration, overlap: Duration, settle: Duration) -> Self {
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4);
        Windows { length: millis(length).max(SHORTEST), overlap: millis(overlap), settle: millis(settle) }
    }

    /// Up to where everything has settled.
    pub(super) fn settled(self, clock: i64) -> i64 {
        clock.saturating_sub(self.settle)
    }

    /// The next window of a partition that is done up to `through`, or `None` if there is nothing to
    /// ask for yet. Never begins before `floor`.
    pub(super) fn next(self, floor: i64, through: i64, stretch: u32, clock: i64) -> Option<Span> {
        let length = self.length.saturating_mul(1 << stretch.min(MAX_STRETCH));
        let end = through.saturating_add(length).min(self.settled(clock));
        // records that only know their second must not be torn apart: they may be equal
        let end = end - end.rem_euclid(SHORTEST);
        // a millisecond at the least: an API may leave out both of its bounds
        let overlap = self.overlap.max(1);
        (end > through).then(|| Span { start: through.saturating_sub(overlap).max(floor), end })
    }

    /// How much longer the next window may be, after one of so many records and pages.
    pub(super) fn stretch(stretch: u32, records: usize, pages: u64) -> u32 {
        if records <= SPARSE.0 && pages <= SPARSE.1 {
            (stretch + 1).min(MAX_STRETCH)
        } else if pages > DENSE {
            stretch.saturating_sub(1)
        } else {
            stretch
        }
    }
}

impl Span {
    /// Two halves that overlap by a millisecond, if it can be cut: an API may leave out both bounds.
    pub(super) fn halves(self) -> Option<(Span, Span)> {
        let length = self.end - self.start;
        if length < 2 * SHORTEST {
            return None;
        }
        let middle = self.start + length / 2;
        let middle = middle - middle.rem_euclid(SHORTEST);
        // each half has to be shorter than the whole
        let middle = if middle <= self.start + 1 { middle + SHORTEST } else { middle };
        (middle < self.end)
            .then(|| (Span { start: self.start, end: middle }, Span { start: middle - 1, end: self.end }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn hourly() -> Windows {
        Windows::new(Duration::from_hours(1), Duration::from_mins(10), Duration::from_mins(1))
    }

    #[test]
    fn windows_are_contiguous_and_end_before_what_has_not_settled() {
        let windows = hourly();
        let clock = 10 * HOUR;
        let (mut through, mut count) = (0, 0);
        while let Some(span) = windows.next(0, through, 0, clock) {
            assert!(span.start <= through && through < span.end);
            assert!(span.end <= clock - 60_000);
            through = span.end;
            count += 1;
        }
        assert_eq!((through, count), (clock - 60_000, 10));
        assert_eq!(windows.next(0, through, 3, clock), None);
    }

    #[test]
    fn the_first_window_has_nothing_to_overlap() {
        let first = hourly().next(5 * HOUR, 5 * HOUR, 0, 100 * HOUR).unwrap();
        assert_eq!(first.start, 5 * HOUR);
        let second = hourly().next(5 * HOUR, first.end, 0, 100 * HOUR).unwrap();
        assert_eq!(second.start, first.end - 600_000);
    }

    #[test]
    fn sparse_time_is_crossed_in_few_steps_and_dense_time_in_short_ones() {
        let windows = hourly();
        let clock = 50 * 365 * 24 * HOUR;
        let (mut through, mut stretch, mut count) = (0, 0, 0);
        while let Some(span) = windows.next(0, through, stretch, clock) {
            stretch = Windows::stretch(stretch, 0, 1);
            through = span.end;
            count += 1;
        }
        assert!(count < 25, "{count}");
        assert_eq!(Windows::stretch(3, 30_000, 60), 2);
        assert_eq!(Windows::stretch(3, 12_000, 24), 3);
    }

    #[test]
    fn halves_meet() {
        let (one, two) = Span { start: 0, end: 5_001 }.halves().unwrap();
        assert_eq!((one.start, one.end, two.start, two.end), (0, 2_000, 1_999, 5_001));
        assert_eq!(Span { start: 0, end: 1_000 }.halves(), None);
        // cut again and again, every span comes to an end, and nothing is left out
        for start in [0, 1, 500, 999, 1_000, 1_001] {
            for end in start + 1..start + 9_000 {
                let mut spans = vec![Span { start, end }];
                let mut reached = start;
                while let Some(span) = spans.pop() {
                    match span.halves() {
                        Some((one, two)) => {
                            let length = span.end - span.start;
                            assert!(one.end - one.start < length && two.end - two.start < length);
                            spans.extend([two, one]);
                        }
                        None => {
                            assert!(span.start <= reached);
                            reached = span.end;
                        }
                    }
                }
                assert_eq!(reached, end);
            }
        }
    }
}
