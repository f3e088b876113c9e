//! How fast a room's presence is told.
//!
//! Owns the budget of a room's differences. Promises that what is told stays within it over time, and that no change waits
//! longer than a moment, however large the one before it was (P9). Never reads a clock.

use std::time::{Duration, Instant};

/// How fast a room's presence may be told, in bytes of differences a second: a relay's share; a session's own is
/// smaller and kept where the session is.
pub(super) const BYTES_PER_SECOND: f64 = 32_768.0;
/// What may be told at once after a quiet time, in bytes.
pub(super) const BURST_BYTES: f64 = 32_768.0;
/// The longest a change waits to be told, however large the one before it was.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// What may be told still, as of a moment; less than nothing after too much was.
#[derive(Debug)]
pub(super) struct Pace {
    level: f64,
    at: Instant,
}

impl Pace {
    /// Nothing has been told.
    pub(super) fn new(now: Instant) -> Self {
        Self { level: BURST_BYTES, at: now }
    }

    /// When the next change may be told.
    pub(super) fn due(&self) -> Instant {
        if self.level >= 0.0 {
            return self.at;
        }
        let wait = Duration::from_secs_f64(-self.level / BYTES_PER_SECOND);
        self.at + wait.min(LONGEST_WAIT)
    }

    /// A change of that many bytes is told.
    pub(super) fn spend(&mut self, bytes: usize, now: Instant) {
        let refilled = now.saturating_duration_since(self.at).as_secs_f64() * BYTES_PER_SECOND;
        let level = self.level.max(-LONGEST_WAIT.as_secs_f64() * BYTES_PER_SECOND);
        self.level = (level + refilled).min(BURST_BYTES) - bytes as f64;
        self.at = now;
    }
}
