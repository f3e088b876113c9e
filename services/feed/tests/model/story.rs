//! One hop in stories: every input by hand, the log answering when it is asked to.
//!
//! Owns the clock. Promises to do nothing that the story does not say. Never checks anything.

use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

use parlour_feed::{Audience, Budget, Cursor, Entry, Hint, Limits, Read, ReaderId, ReaderKind, Seq, Step};

use super::{Log, Shared};

const ALL: Budget = Budget { events: 1_000, bytes: 1 << 20 };

/// An Audience, the log behind it, and a clock that only the story moves.
pub(crate) struct Story {
    pub(crate) log: Log,
    pub(crate) audience: Audience<Shared, usize>,
    pub(crate) now: Instant,
    pub(crate) reads: u64,
}

impl Story {
    pub(crate) fn new(before: usize, limits: Limits) -> Self {
        let mut log = Log::new();
        (0..before).for_each(|_| drop(log.append(100)));
        Self { audience: Audience::new(log.head(), limits, 1), log, now: Instant::now(), reads: 0 }
    }

    pub(crate) fn appends(&mut self, events: usize) {
        for _ in 0..events {
            let hint = self.log.append(100);
            self.hears(&hint);
        }
    }

    pub(crate) fn hears(&mut self, hint: &Hint<Shared>) {
        self.audience.hint(hint.clone(), self.now);
        while self.audience.next_change().is_some() {}
    }

    pub(crate) fn at(&self, seq: Seq) -> Cursor {
        self.log.cursor_at(seq).expect("a seq of the log")
    }

    pub(crate) fn joins(&mut self, at: Cursor) -> ReaderId {
        self.audience.join(ReaderKind::Log, Some(at), 0)
    }

    pub(crate) fn steps(&mut self, reader: ReaderId) -> (Step, Vec<Seq>) {
        let mut given: Vec<Entry<Shared>> = Vec::new();
        let step = self.audience.step(reader, ALL, self.now, &mut given);
        (step, given.iter().map(|entry| entry.cursor.seq).collect())
    }

    /// Steps to the end, the log answering whatever is asked.
    pub(crate) fn reads_out(&mut self, reader: ReaderId) -> Vec<Seq> {
        let mut all = Vec::new();
        loop {
            match self.steps(reader) {
                (Step::Events, given) => all.extend(given),
                (Step::Nothing, _) if self.answers() > 0 => {}
                (Step::Nothing, _) => return all,
                (step, _) => panic!("{step:?}"),
            }
        }
    }

    pub(crate) fn asked(&mut self) -> Vec<Read> {
        std::iter::from_fn(|| self.audience.poll_read(self.now)).collect()
    }

    /// Answers all that is asked; says how many reads that were.
    pub(crate) fn answers(&mut self) -> u64 {
        let reads = self.asked();
        let count = reads.len() as u64;
        for read in reads {
            let answer = self.log.read(read.after, read.limit);
            self.audience.read_done(read, answer, self.now);
        }
        while self.audience.next_change().is_some() {}
        self.reads += count;
        count
    }

    pub(crate) fn passes(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }

    pub(crate) fn woken(&mut self) -> Vec<usize> {
        let woken = RefCell::new(Vec::new());
        self.audience.drain_woken(|who| woken.borrow_mut().push(*who));
        woken.into_inner()
    }
}
