//! Rates.
//!
//! Owns token buckets: how much may be done a second, and how much at once; one bucket alone, or one for each key.
//! Promises that a table of them has a bound (P8) and remembers only whose bucket is not full. Never waits or reads a
//! clock.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How many keys a table of buckets has at most.
pub const KEYS: usize = 131_072;
/// Below this many keys it is not worth while to look which are needed.
const FEW: usize = 1_024;
/// How long a table is left alone after it was swept.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);
/// The slowest rate: one a day.
const SLOWEST: Duration = Duration::from_secs(86_400);

/// How much may be done over time, and how much at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// What one token takes to come.
    one: Duration,
    /// What a full bucket takes to fill.
    burst: Duration,
}

impl Rate {
    /// One every so often; `burst` of them, and at least one, at once.
    pub const fn every(one: Duration, burst: u32) -> Self {
        Self { one, burst: one.saturating_mul(if burst == 0 { 1 } else { burst }) }
    }

    /// So many a second, as settings say it; `None`, no limit, for 0.
    pub fn per_second(count: f64, burst: u32) -> Option<Self> {
        let one = Duration::try_from_secs_f64(1.0 / count).unwrap_or(SLOWEST).min(SLOWEST);
        (count > 0.0).then(|| Self::every(one, burst))
    }

    /// What that many together may do.
    pub fn of_many(self, many: u32) -> Self {
        Self { one: self.one / many, burst: self.burst }
    }

    /// Takes a token of the bucket that is full at that time, or says how long until there is one.
    fn take(self, full_at: &mut Instant, now: Instant) -> Result<(), Duration> {
        let after = (*full_at).max(now) + self.one;
        match after.checked_duration_since(now + self.burst) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => {
                *full_at = after;
                Ok(())
            }
        }
    }
}

/// One bucket.
#[derive(Clone, Debug)]
pub struct Bucket {
    rate: Rate,
    /// When it is full again.
    full_at: Instant,
}

impl Bucket {
    /// A full one.
    pub fn new(rate: Rate, now: Instant) -> Self {
        Self { rate, full_at: now }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// How long until there is one.
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        self.rate.take(&mut self.full_at, now)
    }
}

/// A bucket for each key. Where there are too many keys, those that are new share one.
#[derive(Debug)]
pub struct Buckets<K> {
    rate: Rate,
    table: Mutex<Table<K>>,
}

#[derive(Debug)]
struct Table<K> {
    full_at: HashMap<K, Instant>,
    /// When the bucket is full that those share who found the table full.
    shared: Instant,
    /// At how many keys, and no sooner than when, it is looked which are needed.
    sweep: (usize, Instant),
}

impl<K: Eq + Hash + Clone> Buckets<K> {
    /// All of them full.
    pub fn new(rate: Rate, now: Instant) -> Self {
        let table = Table { full_at: HashMap::new(), shared: now, sweep: (FEW, now) };
        Self { rate, table: Mutex::new(table) }
    }

    /// Takes a token from a key's bucket.
    ///
    /// # Errors
    /// How long until there is one.
    pub fn take(&self, key: &K, now: Instant) -> Result<(), Duration> {
        // Whatever panicked under this lock left times, of which none is wrong.
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(full_at) = table.full_at.get_mut(key) {
            return self.rate.take(full_at, now);
        }
        table.make_room(now);
        if table.full_at.len() >= KEYS {
            return self.rate.take(&mut table.shared, now);
        }
        let mut full_at = now;
        let taken = self.rate.take(&mut full_at, now);
        table.full_at.insert(key.clone(), full_at);
        taken
    }
}

impl<K: Eq + Hash> Table<K> {
    /// Forgets whose buckets are full, each time they may have become twice as many.
    fn make_room(&mut self, now: Instant) {
        if self.full_at.len() < self.sweep.0 || now < self.sweep.1 {
            return;
        }
        self.full_at.retain(|_, full_at| *full_at > now);
        let at = (2 * self.full_at.len()).clamp(FEW, KEYS);
        self.full_at.shrink_to(at);
        self.sweep = (at, now + SWEEP_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate::every(Duration::from_millis(50), 100);

    #[test]
    fn p8_a_bucket_gives_its_burst_then_its_rate_and_says_how_long_to_wait() {
        let now = Instant::now();
        let mut bucket = Bucket::new(RATE, now);
        assert!((0..100).all(|_| bucket.take(now).is_ok()));
        assert_eq!(bucket.take(now), Err(Duration::from_millis(50)));
        let later = now + Duration::from_secs(1);
        assert_eq!((0..40).filter(|_| bucket.take(later).is_ok()).count(), 20);
        let much_later = now + Duration::from_secs(3_600);
        assert_eq!((0..200).filter(|_| bucket.take(much_later).is_ok()).count(), 100, "never more than full");
    }

    #[test]
    fn rates_of_settings_are_off_at_0_and_never_too_slow_for_a_clock() {
        assert_eq!(Rate::per_second(0.0, 20), None);
        assert_eq!(Rate::per_second(20.0, 100), Some(RATE));
        let now = Instant::now();
        for slow in [f64::MIN_POSITIVE, 1e-9] {
            let mut bucket = Bucket::new(Rate::per_second(slow, u32::MAX).unwrap(), now);
            assert_eq!(bucket.take(now), Ok(()), "{slow}");
        }
        let mut none = Bucket::new(Rate::every(Duration::from_secs(1), 0), now);
        assert_eq!((none.take(now), none.take(now).is_err()), (Ok(()), true), "a burst is at least one");
    }

    #[test]
    fn many_have_each_ones_rate_and_burst_together() {
        let now = Instant::now();
        let mut bucket = Bucket::new(RATE.of_many(20), now);
        assert_eq!((0..3_000).filter(|_| bucket.take(now).is_ok()).count(), 2_000);
        assert_eq!(bucket.take(now), Err(Duration::from_micros(2_500)));
    }

    #[test]
    fn keys_have_buckets_of_their_own() {
        let now = Instant::now();
        let buckets = Buckets::new(Rate::every(Duration::from_secs(1), 2), now);
        assert!((0..2).all(|_| buckets.take(&"a", now).is_ok()));
        assert_eq!(buckets.take(&"a", now), Err(Duration::from_secs(1)));
        assert_eq!(buckets.take(&"b", now), Ok(()));
    }

    #[test]
    fn p8_a_table_keeps_whose_bucket_is_not_full_and_at_its_bound_the_new_share_one() {
        let now = Instant::now();
        let buckets = Buckets::new(Rate::every(Duration::from_secs(1), 2), now);
        let keys = |buckets: &Buckets<usize>| buckets.table.lock().unwrap().full_at.len();
        for key in 0..KEYS + 2 {
            assert_eq!(buckets.take(&key, now), Ok(()));
        }
        assert_eq!(keys(&buckets), KEYS);
        assert!(buckets.take(&(KEYS + 2), now).is_err(), "two have taken all that is shared");
        assert_eq!((buckets.take(&0, now), buckets.take(&0, now).is_err()), (Ok(()), true), "its own");
        let later = now + Duration::from_secs(1);
        assert_eq!(buckets.take(&KEYS, later), Ok(()));
        assert_eq!(keys(&buckets), 2, "0, which has spent two, and the new one");
    }
}
