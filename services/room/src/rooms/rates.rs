//! Rates.
//!
//! Owns how fast one user, or one plain session, may send, and how often a refused send may be looked up as a repeat.
//! Promises memory only for who sent lately. Never decides who someone is.

use std::{
    num::NonZeroU32,
    sync::Weak,
    time::{Duration, Instant},
};

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use tokio_util::sync::CancellationToken;

use super::{Inner, Settings};
use crate::{
    domain::ids::{SessionId, UserId},
    error::Error,
};

/// Look-ups of possible repeats a second, and at once, for one whose bucket is empty.
const LOOKUPS_PER_SECOND: u32 = 20;
/// How often what is no longer needed is dropped.
const SWEEP: Duration = Duration::from_secs(30);

/// Whose rate it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RateKey {
    /// A user's, over all their sessions.
    User(UserId),
    /// A plain session's, whatever names it goes by.
    Session(SessionId),
}

/// The buckets.
#[derive(Debug)]
pub(super) struct Rates {
    sends: Option<DefaultKeyedRateLimiter<RateKey>>,
    lookups: DefaultKeyedRateLimiter<RateKey>,
    clock: DefaultClock,
}

impl Rates {
    pub(super) fn new(settings: &Settings) -> Self {
        let burst = NonZeroU32::new(settings.send_burst.max(1)).expect("at least one");
        let period = (settings.send_rate > 0.0).then(|| Duration::from_secs_f64(1.0 / settings.send_rate));
        let quota = period.and_then(Quota::with_period).map(|quota| quota.allow_burst(burst));
        let lookups = Quota::per_second(NonZeroU32::new(LOOKUPS_PER_SECOND).expect("a positive constant"));
        Self {
            sends: quota.map(RateLimiter::keyed),
            lookups: RateLimiter::keyed(lookups),
            clock: DefaultClock::default(),
        }
    }

    /// Takes one send from the bucket.
    pub(super) fn check_send(&self, key: &RateKey) -> Result<(), Error> {
        self.sends.as_ref().map_or(Ok(()), |sends| self.check(sends, key))
    }

    /// Takes one look-up of a possible repeat.
    pub(super) fn check_lookup(&self, key: &RateKey) -> Result<(), Error> {
        self.check(&self.lookups, key)
    }

    fn check(&self, buckets: &DefaultKeyedRateLimiter<RateKey>, key: &RateKey) -> Result<(), Error> {
        buckets.check_key(key).map_err(|not_until| Error::RateLimited {
            retry_after: not_until.wait_time_from(self.clock.now()).max(Duration::from_millis(1)),
        })
    }

    fn sweep(&self) {
        for buckets in self.sends.iter().chain([&self.lookups]) {
            buckets.retain_recent();
            buckets.shrink_to_fit();
        }
    }
}

/// Drops, every so often, the buckets that are full again; until the drain, or the service is gone.
pub(super) async fn sweep(rooms: Weak<Inner>, drain: CancellationToken) {
    let mut next = tokio::time::Instant::from_std(Instant::now());
    loop {
        next += SWEEP;
        let slept = drain.run_until_cancelled(tokio::time::sleep_until(next)).await;
        let (Some(()), Some(inner)) = (slept, rooms.upgrade()) else { break };
        inner.rates.sweep();
    }
}
