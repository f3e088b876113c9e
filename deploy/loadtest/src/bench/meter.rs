//! What is counted.
//!
//! Owns the counts of a run, the distribution of its waiting, and the mark that a message carries. Promises that what a
//! member is given twice, late or never is told apart from what comes in order. Never waits.

use std::{
    fmt::Write as _,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use serde::Serialize;

/// The longest waiting that is told apart, in microseconds.
const LONGEST_US: u64 = 60_000_000;
/// Distributions that are kept apart, so that nobody waits for another.
const SHARDS: usize = 16;
/// What a mark begins with.
const MARK: &str = "bench~";
/// How much of a content the fields of a mark take at most.
const FIELDS: usize = 64;
/// How long a content is at least, in characters, to hold a mark.
pub(crate) const SHORTEST: usize = MARK.len() + FIELDS;

/// Waiting, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Quantiles {
    p50: f64,
    p99: f64,
    max: f64,
}

/// Who said what when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The speaker's place in its room.
    pub(crate) speaker: usize,
    /// Counted by the speaker from 0.
    pub(crate) number: u64,
    /// When it was due, since the start of the run.
    pub(crate) due: Duration,
}

impl Mark {
    /// A message's content of so many characters.
    pub(crate) fn content(&self, chars: usize) -> String {
        let mut content = String::with_capacity(chars);
        // A string takes everything.
        let _ = write!(content, "{MARK}{}~{}~{}~", self.speaker, self.number, self.due.as_micros());
        content.extend(std::iter::repeat_n('x', chars.saturating_sub(content.len())));
        content
    }

    /// The marks in a frame: one, or as many as the server has gathered in it.
    pub(crate) fn all(frame: &[u8]) -> impl Iterator<Item = Self> {
        memchr::memmem::find_iter(frame, MARK).filter_map(|at| Self::parse(frame.get(at + MARK.len()..)?))
    }

    fn parse(rest: &[u8]) -> Option<Self> {
        let mut fields = std::str::from_utf8(rest.get(..FIELDS)?).ok()?.split('~').map(str::parse::<u64>);
        let mut next = || fields.next()?.ok();
        let (speaker, number, due) = (next()?, next()?, next()?);
        Some(Self { speaker: usize::try_from(speaker).ok()?, number, due: Duration::from_micros(due) })
    }
}

/// The counts of a run.
pub(crate) struct Meter {
    start: Instant,
    /// Whether waiting is noted.
    pub(crate) is_measuring: AtomicBool,
    said: AtomicU64,
    /// Deliveries that what was said calls for.
    owed: AtomicU64,
    heard: AtomicU64,
    /// Given again, or after a later one.
    pub(crate) repeats: AtomicU64,
    pub(crate) refused: AtomicU64,
    waiting: [Mutex<Histogram<u64>>; SHARDS],
}

impl Meter {
    pub(crate) fn new() -> Self {
        let histogram =
            || Mutex::new(Histogram::new_with_bounds(1, LONGEST_US, 3).expect("1 is below the longest"));
        Self {
            start: Instant::now(),
            is_measuring: AtomicBool::new(false),
            said: AtomicU64::new(0),
            owed: AtomicU64::new(0),
            heard: AtomicU64::new(0),
            repeats: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            waiting: std::array::from_fn(|_| histogram()),
        }
    }

    /// Since the start.
    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// A message is said, to so many.
    pub(crate) fn say(&self, members: u64) {
        self.said.fetch_add(1, Ordering::Relaxed);
        self.owed.fetch_add(members, Ordering::Relaxed);
    }

    /// A member is given the next message of a speaker.
    pub(crate) fn hear(&self, member: usize, mark: Mark) {
        self.heard.fetch_add(1, Ordering::Relaxed);
        if self.is_measuring.load(Ordering::Relaxed) {
            let waited = self.now().saturating_sub(mark.due).as_micros();
            let mut waiting = self.waiting[member % SHARDS].lock().unwrap_or_else(PoisonError::into_inner);
            waiting.saturating_record(u64::try_from(waited).unwrap_or(u64::MAX).max(1));
        }
    }

    pub(crate) fn said(&self) -> u64 {
        self.said.load(Ordering::Relaxed)
    }

    pub(crate) fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    /// What was said and has not come yet.
    pub(crate) fn missing(&self) -> u64 {
        self.owed.load(Ordering::Relaxed).saturating_sub(self.heard())
    }

    /// How long members waited.
    pub(crate) fn quantiles(&self) -> Quantiles {
        let mut all: Histogram<u64> =
            Histogram::new_with_bounds(1, LONGEST_US, 3).expect("1 is below the longest");
        for shard in &self.waiting {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            all.add(&*shard).expect("the same bounds");
        }
        let ms = |us: u64| us as f64 / 1e3;
        Quantiles {
            p50: ms(all.value_at_quantile(0.5)),
            p99: ms(all.value_at_quantile(0.99)),
            max: ms(all.max()),
        }
    }
}

/// What one member has been given of each speaker.
#[derive(Debug, Default)]
pub(crate) struct Heard(Vec<u64>);

impl Heard {
    /// Takes a message; whether it is new and none after it has come.
    pub(crate) fn takes(&mut self, mark: Mark) -> bool {
        if self.0.len() <= mark.speaker {
            self.0.resize(mark.speaker + 1, 0);
        }
        let next = &mut self.0[mark.speaker];
        let is_new = mark.number >= *next;
        *next = (*next).max(mark.number + 1);
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(speaker: usize, number: u64) -> Mark {
        Mark { speaker, number, due: Duration::from_micros(1_500) }
    }

    #[test]
    fn a_mark_is_found_in_a_frame() {
        let content = mark(3, 41).content(100);
        assert_eq!(content.len(), 100);
        let frame = format!(r#"{{"type":"message","data":{{"content":"{content}"}}}}"#);
        let found = |frame: &str| Mark::all(frame.as_bytes()).collect::<Vec<_>>();
        assert_eq!(found(&frame), [mark(3, 41)]);
        assert_eq!(found(&frame.repeat(3)), [mark(3, 41); 3]);
        for other in ["", "bench~", "bench~1~2~x~", r#"{"type":"ack"}"#] {
            assert_eq!(found(other), [], "{other}");
        }
    }

    #[test]
    fn what_is_given_again_or_late_is_told() {
        let mut heard = Heard::default();
        assert!(heard.takes(mark(0, 0)));
        assert!(heard.takes(mark(1, 0)));
        assert!(!heard.takes(mark(0, 0)));
        assert!(heard.takes(mark(0, 2)));
        assert!(!heard.takes(mark(0, 1)), "after a later one");
    }

    #[test]
    fn what_was_said_is_owed_to_everybody() {
        let meter = Meter::new();
        meter.say(2);
        meter.hear(0, mark(0, 0));
        assert_eq!((meter.said(), meter.heard(), meter.missing()), (1, 1, 1));
        assert_eq!(meter.quantiles().max, 0.0, "nothing is noted before the measured time");
        meter.is_measuring.store(true, Ordering::Relaxed);
        meter.hear(1, mark(0, 0));
        assert_eq!(meter.missing(), 0);
        assert!(meter.quantiles().p50 > 0.0);
    }
}
