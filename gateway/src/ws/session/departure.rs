//! How sessions leave a gateway that drains.
//!
//! Owns how many sessions there are and when each is to return elsewhere. Promises that those who are sent away are spread
//! over the drain by how many they are: a few return at once, many never together (P10). Never closes a session.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use metrics::{Gauge, gauge};

use crate::metrics::SESSIONS;

/// How many sessions a second are sent elsewhere, where the drain leaves time for it.
const PER_SECOND: f64 = 500.0;
/// The part of a drain over which they are spread at most.
const SPREAD: f64 = 0.75;
/// The part of a drain after which whoever is still here is closed.
const STAY: f64 = 0.85;

/// The sessions of a gateway, and how they leave it.
#[derive(Debug)]
pub struct Departure {
    window: Duration,
    open: AtomicUsize,
    gauge: Gauge,
    leaving: OnceLock<usize>,
}

impl Departure {
    /// Nobody is here. A drain may take `window`.
    pub fn new(window: Duration) -> Arc<Self> {
        Arc::new(Self {
            window,
            open: AtomicUsize::new(0),
            gauge: gauge!(SESSIONS),
            leaving: OnceLock::new(),
        })
    }

    /// Counts a session, until what is returned is dropped.
    pub(super) fn count(self: &Arc<Self>) -> Open {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.gauge.increment(1.0);
        Open(Arc::clone(self))
    }

    /// After how long a session is to return elsewhere; `share`, from 0 to 1, is its place among all.
    pub(super) fn wait(&self, share: f64) -> Duration {
        let leaving = *self.leaving.get_or_init(|| self.open.load(Ordering::Relaxed));
        let spread = Duration::from_secs_f64(leaving as f64 / PER_SECOND);
        spread.min(self.window.mul_f64(SPREAD)).mul_f64(share)
    }

    /// After how long whoever is still here is closed.
    pub(super) fn stay(&self) -> Duration {
        self.window.mul_f64(STAY)
    }
}

/// A session, while it is open.
pub(super) struct Open(Arc<Departure>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        self.0.gauge.decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p10_a_few_return_at_once_and_many_spread_over_the_drain() {
        let departure = Departure::new(Duration::from_secs(20));
        let alone = departure.count();
        assert_eq!(departure.wait(1.0), Duration::from_millis(2));
        drop(alone);
        let departure = Departure::new(Duration::from_secs(20));
        let crowd: Vec<_> = (0..3_000).map(|_| departure.count()).collect();
        assert_eq!((departure.wait(0.0), departure.wait(0.5)), (Duration::ZERO, Duration::from_secs(3)));
        drop(crowd);
        assert_eq!(departure.wait(1.0), Duration::from_secs(6), "as many as there were");
    }

    #[test]
    fn p10_whoever_is_told_to_wait_may_stay_that_long() {
        let departure = Departure::new(Duration::from_secs(5));
        let _crowd: Vec<_> = (0..10_000).map(|_| departure.count()).collect();
        assert_eq!(departure.wait(1.0), Duration::from_millis(3_750));
        assert!(departure.stay() > departure.wait(1.0) && departure.stay() < Duration::from_secs(5));
    }
}
