//! Logs: to standard error, above a progress line if there is one.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::progress::Progress;
use super::{Global, LogFormat};

/// The running log.
#[derive(Debug)]
pub(super) struct Logging {
    pub(super) progress: Progress,
}

impl Logging {
    pub(super) fn start(global: &Global) -> Self {
        let level = match i16::from(global.verbose) - i16::from(global.quiet) {
            ..=-2 => "error",
            -1 => "warn",
            0 => "info",
            1 => "debug",
            _ => "trace",
        };
        // only the product speaks, unless JAQUARD_LOG names others: a library does not know what is secret
        let asked = std::env::var("JAQUARD_LOG").unwrap_or_default();
        let filter = match asked.parse::<tracing::Level>() {
            Ok(level) => EnvFilter::new(format!("jaquard={level}")),
            Err(_) if asked.trim().is_empty() => EnvFilter::new(format!("jaquard={level}")),
            Err(_) => {
                EnvFilter::try_new(&asked).unwrap_or_else(|_| EnvFilter::new(format!("jaquard={level}")))
            }
        };
        let progress = Progress::default();
        let writer = Lines(progress.clone());
        let colour = super::wants_colour(std::io::IsTerminal::is_terminal(&std::io::stderr()));
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
        match global.log_format {
            LogFormat::Text => builder.with_ansi(colour).with_target(false).init(),
            LogFormat::Json => builder.json().init(),
        }
        Logging { progress }
    }
}

/// Writes log lines above the progress line.
#[derive(Clone)]
struct Lines(Progress);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0)
    }
}

struct Line<'a>(&'a Progress);

impl std::io::Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.aside(|| std::io::Write::write_all(&mut std::io::stderr().lock(), bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}
