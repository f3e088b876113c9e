//! A session's share of presence.
//!
//! Owns what one session may still be told of who is here: so many bytes at once, then none until they are paid for.
//! Promises that the share is kept over time, and that nothing waits for longer than what was told before it takes to be
//! paid for (P7, P9). Never decides what is told.

use std::time::{Duration, Instant};

use crate::{
    limits::PresenceShare,
    planted::{self, Mistake},
};

/// What a session may still be told of presence.
#[derive(Clone, Debug)]
pub struct Allowance {
    share: PresenceShare,
    /// When what was told is paid for.
    even_at: Instant,
}

impl Allowance {
    /// Nothing has been told.
    pub fn new(share: PresenceShare, now: Instant) -> Self {
        Self { share, even_at: now }
    }

    /// How many bytes may be told at once.
    pub fn at_once(&self) -> usize {
        self.share.at_once
    }

    /// When something may be told again.
    pub fn even_at(&self) -> Instant {
        self.even_at
    }

    /// How long nothing may be told, if so.
    pub fn wait(&self, now: Instant) -> Option<Duration> {
        self.even_at.checked_duration_since(now).filter(|wait| !wait.is_zero())
    }

    /// Nothing is told before then.
    pub fn put_off(&mut self, until: Instant) {
        self.even_at = self.even_at.max(until);
    }

    /// So many bytes are told.
    pub fn spend(&mut self, bytes: usize, now: Instant) {
        if planted::makes(Mistake::PresenceUnpaid) {
            return;
        }
        let time = Duration::from_secs_f64(bytes as f64 / f64::from(self.share.per_second));
        self.even_at = self.even_at.max(now) + time;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p9_an_allowance_is_kept_over_time_and_never_owes_for_long() {
        let (share, start) = (PresenceShare::default(), Instant::now());
        let (mut allowance, mut now, mut spent) = (Allowance::new(share, start), start, 0);
        for _ in 0..10_000 {
            if allowance.wait(now).is_none() {
                allowance.spend(1_000, now);
                spent += 1_000;
            }
            now += Duration::from_millis(1);
        }
        let most = f64::from(share.per_second) * (now - start).as_secs_f64() + 1_000.0;
        assert!(f64::from(spent) <= most, "{spent} of {most}");
        allowance.spend(share.at_once, now);
        assert!(allowance.wait(now + Duration::from_millis(1_500)).is_none());
    }
}
