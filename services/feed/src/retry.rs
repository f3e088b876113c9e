//! When to ask a log again that did not answer.
//!
//! Owns a small generator of its own, seeded by the caller, so that a simulation repeats itself. Promises that waits
//! grow, are jittered and end at a maximum. Never reads a clock.

use std::time::{Duration, Instant};

/// The wait after failed reads of one kind.
#[derive(Debug)]
pub(crate) struct Retry {
    state: u64,
    failures: u32,
    until: Option<Instant>,
    min: Duration,
    max: Duration,
}

impl Retry {
    pub(crate) fn new(seed: u64, min: Duration, max: Duration) -> Self {
        Self { state: seed, failures: 0, until: None, min, max }
    }

    /// When the wait ends, if there is one.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.until
    }

    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| until <= now)
    }

    pub(crate) fn failed(&mut self, now: Instant) {
        self.failures = (self.failures + 1).min(16);
        let most = self.min.saturating_mul(1 << self.failures).min(self.max);
        let spread = most.saturating_sub(self.min).as_nanos() as u64;
        let jitter = Duration::from_nanos(self.random() % spread.max(1));
        self.until = Some(now + self.min + jitter);
    }

    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
        self.until = None;
    }

    /// splitmix64.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_jittered_and_bounded() {
        let start = Instant::now();
        let (min, max) = (Duration::from_millis(50), Duration::from_millis(500));
        let mut retry = Retry::new(7, min, max);
        let mut waits = Vec::new();
        for _ in 0..40 {
            retry.failed(start);
            let wait = retry.until().unwrap() - start;
            assert!(wait >= min && wait <= max, "{wait:?}");
            assert!(!retry.is_over(start) && retry.is_over(start + wait));
            waits.push(wait);
        }
        assert!(waits[0] < min * 2, "the first is short");
        waits.dedup();
        assert!(waits.len() > 35, "no two alike");
        retry.succeeded();
        assert!(retry.is_over(start));
    }
}
