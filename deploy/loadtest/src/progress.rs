//! How a run goes on.
//!
//! Owns the line that is shown while a run works. Promises one a second: in place on a terminal, less often elsewhere.
//! Never shows more than counts.

use std::{
    io::{IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use crate::record::{Count, Record};

/// How often a line is shown where it cannot be replaced.
const SELDOM: Duration = Duration::from_secs(5);

/// The line.
#[derive(Debug)]
pub(crate) struct Progress {
    is_terminal: bool,
    last: Option<Instant>,
}

impl Progress {
    /// How often it is worth saying something.
    pub(crate) const EVERY: Duration = Duration::from_secs(1);

    /// Shown on standard output.
    pub(crate) fn new() -> Self {
        Self { is_terminal: std::io::stdout().is_terminal(), last: None }
    }

    /// Shows how far it is, if it is time.
    pub(crate) fn say(&mut self, record: &Record, doing: &str) {
        let every = if self.is_terminal { Self::EVERY.mul_f64(0.9) } else { SELDOM };
        if self.last.is_some_and(|last| last.elapsed() < every) {
            return;
        }
        self.last = Some(Instant::now());
        let line = format!(
            "{:>5.0} s  {doing}: {} sent, {} acknowledged, {} delivered, {} resumed, {} lost connections, {} broken",
            record.elapsed().as_secs_f64(),
            record.counted(Count::Sends),
            record.counted(Count::Acknowledged),
            record.counted(Count::Deliveries),
            record.counted(Count::Resumes),
            record.counted(Count::Losses),
            record.breaches(),
        );
        let mut out = std::io::stdout().lock();
        // Whoever reads this may go away; the verdict is what counts, and its printing does not fail silently.
        let _ = if self.is_terminal { write!(out, "\r\x1b[K{line}") } else { writeln!(out, "{line}") };
        let _ = out.flush();
    }

    /// Nothing more is shown: the line gives way.
    pub(crate) fn finish(&mut self) {
        if self.is_terminal {
            let _ = write!(std::io::stdout().lock(), "\r\x1b[K");
        }
    }
}
