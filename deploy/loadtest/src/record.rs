//! What a run has seen.
//!
//! Owns the breaches with their evidence, the counts and the distributions of times. Promises memory that does not grow
//! with the run (P8): of each promise's breaches the first few are kept whole, the rest counted. Never judges.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::judge::{Breach, Promise};

/// Breaches of a promise that are kept with their evidence.
const KEPT: usize = 12;
/// The longest time that is told apart, in microseconds: ten minutes.
const LONGEST_US: u64 = 600_000_000;
/// Times are told apart to three digits.
const DIGITS: u8 = 3;

/// A breach and where it was found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Evidence {
    /// The room's name.
    pub(crate) room: Option<String>,
    /// The seq it is about.
    pub(crate) seq: Option<u64>,
    /// The client's name.
    pub(crate) client: Option<String>,
    /// What was seen.
    pub(crate) what: String,
    /// The frames of that room that the client was given last.
    pub(crate) frames: Vec<String>,
    /// When, since the start.
    pub(crate) at_ms: u64,
}

/// A promise's case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Case {
    /// Occasions on which it could have been broken.
    pub(crate) tried: u64,
    /// How often it was.
    pub(crate) broken: u64,
    /// The first breaches.
    pub(crate) evidence: Vec<Evidence>,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    Sends,
    Acknowledged,
    Deliveries,
    PlainDeliveries,
    Sessions,
    Resumes,
    Replayed,
    Resyncs,
    GatewayChanges,
    Cuts,
    Closes,
    Losses,
    FailedConnects,
    Unanswered,
    Repeats,
    RateLimited,
    Unavailable,
    OtherRefusals,
    GoingAway,
    HeadsAhead,
    Strangers,
}

impl Count {
    /// All of them, with their names in the report.
    pub(crate) const ALL: [(Self, &'static str); 21] = [
        (Self::Sends, "sends"),
        (Self::Acknowledged, "acknowledged"),
        (Self::Deliveries, "deliveries"),
        (Self::PlainDeliveries, "plain_deliveries"),
        (Self::Sessions, "sessions"),
        (Self::Resumes, "resumes"),
        (Self::Replayed, "resumed_behind_the_head"),
        (Self::Resyncs, "resyncs"),
        (Self::GatewayChanges, "gateway_changes"),
        (Self::Cuts, "connections_cut"),
        (Self::Closes, "connections_closed"),
        (Self::Losses, "connections_lost"),
        (Self::FailedConnects, "failed_connects"),
        (Self::Unanswered, "connections_given_up_as_silent"),
        (Self::Repeats, "repeats"),
        (Self::RateLimited, "refused_rate_limited"),
        (Self::Unavailable, "refused_unavailable"),
        (Self::OtherRefusals, "refused_as_expected"),
        (Self::GoingAway, "asked_to_go"),
        (Self::HeadsAhead, "heads_ahead"),
        (Self::Strangers, "messages_of_others"),
    ];
}

/// What a run has seen so far.
#[derive(Debug)]
pub(crate) struct Record {
    started: Instant,
    counts: [AtomicU64; Count::ALL.len()],
    cases: Mutex<[Case; Promise::ALL.len()]>,
    acknowledgements: Mutex<Histogram<u64>>,
    recoveries: Mutex<Histogram<u64>>,
    agreements: Mutex<Histogram<u64>>,
}

impl Record {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            counts: [const { AtomicU64::new(0) }; Count::ALL.len()],
            cases: Mutex::default(),
            acknowledgements: Mutex::new(histogram()),
            recoveries: Mutex::new(histogram()),
            agreements: Mutex::new(histogram()),
        }
    }

    /// Since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Since the start, in milliseconds.
    pub(crate) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Counts one.
    pub(crate) fn count(&self, count: Count) {
        self.counts[count as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many were counted.
    pub(crate) fn counted(&self, count: Count) -> u64 {
        self.counts[count as usize].load(Ordering::Relaxed)
    }

    /// A promise could have been broken that often.
    pub(crate) fn tried(&self, promise: Promise, times: u64) {
        self.cases()[promise.index()].tried += times;
    }

    /// A promise was broken.
    pub(crate) fn breach(
        &self,
        breach: Breach,
        room: Option<&str>,
        client: Option<&str>,
        frames: Vec<String>,
    ) {
        let at_ms = self.elapsed_ms();
        let mut cases = self.cases();
        let case = &mut cases[breach.promise.index()];
        case.broken += 1;
        if case.evidence.len() < KEPT {
            let (room, client) = (room.map(str::to_owned), client.map(str::to_owned));
            case.evidence.push(Evidence { room, client, seq: breach.seq, what: breach.what, frames, at_ms });
        }
    }

    /// How many breaches there are.
    pub(crate) fn breaches(&self) -> u64 {
        self.cases().iter().map(|case| case.broken).sum()
    }

    /// A promise's case.
    pub(crate) fn case(&self, promise: Promise) -> Case {
        self.cases()[promise.index()].clone()
    }

    /// A send was acknowledged after so long.
    pub(crate) fn acknowledged_after(&self, time: Duration) {
        note(&self.acknowledgements, time);
    }

    /// A client that came back was where the others were after so long.
    pub(crate) fn recovered_after(&self, time: Duration) {
        note(&self.recoveries, time);
    }

    /// After so long without changes, what a client was told of a room was the truth.
    pub(crate) fn agreed_after(&self, time: Duration) {
        note(&self.agreements, time);
    }

    /// How long it took until what clients were told was the truth.
    pub(crate) fn agreements(&self) -> Times {
        Times::of(&self.agreements)
    }

    /// How long acknowledgements took.
    pub(crate) fn acknowledgements(&self) -> Times {
        Times::of(&self.acknowledgements)
    }

    /// How long coming back took.
    pub(crate) fn recoveries(&self) -> Times {
        Times::of(&self.recoveries)
    }

    fn cases(&self) -> std::sync::MutexGuard<'_, [Case; Promise::ALL.len()]> {
        self.cases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(LONGEST_US, DIGITS).expect("the constants are within the histogram's bounds")
}

fn note(histogram: &Mutex<Histogram<u64>>, time: Duration) {
    let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    histogram.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(us);
}

/// A distribution of times, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Times {
    /// How many there are.
    pub(crate) count: u64,
    /// Half are shorter.
    pub(crate) p50: f64,
    /// Nine in ten are shorter.
    pub(crate) p90: f64,
    /// 99 in 100 are shorter.
    pub(crate) p99: f64,
    /// 999 in 1,000 are shorter.
    pub(crate) p999: f64,
    /// The longest.
    pub(crate) max: f64,
}

impl Times {
    fn of(histogram: &Mutex<Histogram<u64>>) -> Self {
        let histogram = histogram.lock().unwrap_or_else(PoisonError::into_inner);
        let ms = |us: u64| us as f64 / 1000.0;
        let at = |quantile| ms(histogram.value_at_quantile(quantile));
        Self {
            count: histogram.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: ms(histogram.max()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_stands_where_its_name_does() {
        for (index, (count, _)) in Count::ALL.into_iter().enumerate() {
            assert_eq!(count as usize, index);
        }
    }

    #[test]
    fn p8_many_breaches_are_counted_and_a_few_are_kept() {
        let record = Record::new();
        (0..1000).for_each(|seq| record.breach(Breach::at(Promise::P3, seq, "lost"), None, None, Vec::new()));
        let case = record.case(Promise::P3);
        assert_eq!((case.broken, case.evidence.len(), record.breaches()), (1000, KEPT, 1000));
        assert_eq!(case.evidence[0].seq, Some(0));
    }

    #[test]
    fn times_are_told_in_milliseconds() {
        let record = Record::new();
        (1..=100).for_each(|ms| record.acknowledged_after(Duration::from_millis(ms)));
        let times = record.acknowledgements();
        assert_eq!(times.count, 100);
        assert!((times.p50 - 50.0).abs() < 0.1 && (times.max - 100.0).abs() < 0.2, "{times:?}");
    }
}
