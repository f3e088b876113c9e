//! Backoff.
//!
//! Owns how long to wait before trying again. Promises full jitter within bounds, so that many who fail together do not
//! return together. Never sleeps.

use std::time::Duration;

/// Delays that double from a least to a greatest bound, each drawn evenly between nothing and its bound.
#[derive(Clone, Debug)]
pub struct Backoff {
    least: Duration,
    greatest: Duration,
    failures: u32,
}

impl Backoff {
    /// Makes one; the first delay is drawn below `least`, none ever above `greatest`.
    pub fn new(least: Duration, greatest: Duration) -> Self {
        Self { least, greatest, failures: 0 }
    }

    /// Draws the delay before the next try.
    pub fn next_delay(&mut self) -> Duration {
        let bound = self.least.saturating_mul(1 << self.failures.min(16)).min(self.greatest);
        self.failures = self.failures.saturating_add(1);
        bound.mul_f64(rand::random::<f64>())
    }

    /// Starts anew after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_stay_within_bounds_and_start_anew() {
        let (least, greatest) = (Duration::from_millis(50), Duration::from_millis(500));
        let mut backoff = Backoff::new(least, greatest);
        assert!(backoff.next_delay() <= least);
        assert!((0..100).map(|_| backoff.next_delay()).all(|delay| delay <= greatest));
        backoff.reset();
        assert!(backoff.next_delay() <= least);
    }
}
