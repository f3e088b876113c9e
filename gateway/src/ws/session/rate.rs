//! Rates of one session.
//!
//! Owns token buckets: of joins, of presence bytes. Promises that a bucket never holds more than its burst. Never waits.

use std::time::Duration;

use tokio::time::Instant;

/// A bucket that fills evenly.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    per_second: f64,
    burst: f64,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// A full one.
    pub(super) fn new(per_second: f64, burst: f64) -> Self {
        Self { per_second, burst, tokens: burst, at: Instant::now() }
    }

    /// Takes one token, or says how long until there is one.
    pub(super) fn take(&mut self) -> Result<(), Duration> {
        self.fill();
        if self.tokens < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - self.tokens) / self.per_second));
        }
        self.tokens -= 1.0;
        Ok(())
    }

    /// Whether anything is left; how long until something is.
    pub(super) fn wait(&mut self) -> Option<Duration> {
        self.fill();
        (self.tokens <= 0.0).then(|| Duration::from_secs_f64((1.0 - self.tokens) / self.per_second))
    }

    /// Takes that much, into debt if need be.
    pub(super) fn spend(&mut self, tokens: usize) {
        self.tokens -= tokens as f64;
    }

    fn fill(&mut self) {
        let now = Instant::now();
        self.tokens = (self.tokens + (now - self.at).as_secs_f64() * self.per_second).min(self.burst);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_bucket_gives_its_burst_then_its_rate() {
        let mut bucket = Bucket::new(20.0, 100.0);
        assert!((0..100).all(|_| bucket.take().is_ok()));
        let wait = bucket.take().unwrap_err();
        assert!(wait <= Duration::from_millis(50));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!((0..40).filter(|_| bucket.take().is_ok()).count(), 20);
    }
}
