//! The progress line of a long run on a terminal.

use std::io::IsTerminal as _;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

use crate::topology::ProgressFn;

/// A progress line that appears once there is something to show.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress(Arc<OnceLock<ProgressBar>>);

impl Progress {
    /// A function for the run to call, if standard error is a terminal.
    pub(super) fn function(&self) -> Option<ProgressFn> {
        if !std::io::stderr().is_terminal() {
            return None;
        }
        let progress = self.clone();
        let started = Instant::now();
        Some(Arc::new(move |events, done, total| {
            // a short run needs no line
            if started.elapsed().as_millis() < 500 {
                return;
            }
            let bar = progress.0.get_or_init(|| {
                let bar = ProgressBar::new_spinner();
                if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
                    bar.set_style(style);
                }
                bar
            });
            let rate = events as f64 / started.elapsed().as_secs_f64();
            let mut message = format!("{} events, {} a second", HumanCount(events), HumanCount(rate as u64));
            if let Some(percent) = (done.min(total) * 100).checked_div(total) {
                message.push_str(&format!(", {percent} % of {}", HumanBytes(total)));
            }
            bar.set_message(message);
            bar.tick();
        }))
    }

    /// Prints something else without mixing the two.
    pub(super) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        match self.0.get() {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// Takes the line away.
    pub(super) fn finish(&self) {
        if let Some(bar) = self.0.get() {
            bar.finish_and_clear();
        }
    }
}
