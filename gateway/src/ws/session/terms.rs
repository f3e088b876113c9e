//! How sessions are treated.
//!
//! Owns what all sessions of a gateway have in common, and when their heartbeats are due. Promises that one is due no
//! later than a hundredth after its time, and that many are due at once. Never knows a session.

use std::{sync::Arc, time::Duration};

use metrics::Counter;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Departure;
use crate::limits::Limits;

/// In how many turns all sessions are given their heartbeat.
const BEATS: u32 = 100;

/// How the gateway treats sessions.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The bounds that settings change.
    pub limits: Arc<Limits>,
    /// When cancelled, sessions are asked to leave.
    pub drain: CancellationToken,
    /// How they leave then.
    pub departure: Arc<Departure>,
    /// Counts the events that they hand out.
    pub deliveries: Counter,
    /// Since when heartbeats are due together.
    pub since: Instant,
}

impl Terms {
    /// When a heartbeat is due after that. Those due at about the same time are due at once: that wakes a thread for many,
    /// instead of for each.
    pub(super) fn next_beat(&self, now: Instant) -> Instant {
        let heartbeat = self.limits.heartbeat;
        let together = (heartbeat / BEATS).as_micros().max(1);
        let due = (now + heartbeat).saturating_duration_since(self.since).as_micros();
        self.since + Duration::from_micros(u64::try_from(due.next_multiple_of(together)).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn heartbeats_are_due_together_and_hardly_later_than_they_should() {
        let limits = Limits { heartbeat: Duration::from_secs(25), ..Limits::default() };
        let since = Instant::now();
        let terms = Terms {
            limits: Arc::new(limits),
            drain: CancellationToken::new(),
            departure: Departure::new(Duration::ZERO),
            deliveries: Counter::noop(),
            since,
        };
        let mut dues = std::collections::HashSet::new();
        for ms in 0..1_000 {
            let now = since + Duration::from_millis(ms);
            let wait = terms.next_beat(now) - now;
            assert!((Duration::from_secs(25)..=Duration::from_millis(25_250)).contains(&wait), "{wait:?}");
            dues.insert(terms.next_beat(now));
        }
        assert!(dues.len() <= 5, "{} turns in a second", dues.len());
    }
}
