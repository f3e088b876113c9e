//! A room's recent events, encoded once.
//!
//! Owns the tail of the log that ends where the Follower stands. Promises that it has no gap, stays within its bounds,
//! and can give back memory at any time. Never holds an event that the Follower has not delivered.

use std::collections::VecDeque;

use crate::{
    cursor::{Check, Cursor, Seq},
    log::{Entry, Weigh},
    pool::{Pool, Share},
};

/// The tail of a room's log.
#[derive(Debug)]
pub struct Ring<E> {
    base: Cursor,
    entries: VecDeque<Entry<E>>,
    /// What its events weigh.
    share: Share,
    events_limit: usize,
    bytes_limit: usize,
}

impl<E: Weigh + Clone> Ring<E> {
    pub(crate) fn new(base: Cursor, events_limit: usize, bytes_limit: usize) -> Self {
        let share = Pool::new(usize::MAX).share();
        Self { base, entries: VecDeque::new(), share, events_limit, bytes_limit }
    }

    /// Counts what it holds in that pool.
    pub(crate) fn share_in(&mut self, pool: &Pool) {
        self.share.move_to(pool);
    }

    /// The cursor before the oldest event held.
    pub fn base(&self) -> Cursor {
        self.base
    }

    /// The cursor of the newest event held, or the base.
    pub fn end(&self) -> Cursor {
        self.entries.back().map_or(self.base, |entry| entry.cursor)
    }

    /// How many events it holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What its events weigh.
    pub fn bytes(&self) -> usize {
        self.share.bytes()
    }

    /// The check of the event with that seq, where the ring knows it.
    pub fn check_at(&self, seq: Seq) -> Option<Check> {
        let nth = seq.checked_sub(self.base.seq)?;
        match nth.checked_sub(1) {
            None => Some(self.base.check),
            Some(index) => self.entries.get(usize::try_from(index).ok()?).map(|entry| entry.cursor.check),
        }
    }

    /// Whether that cursor is the base or one of the events held, check and all.
    pub fn holds(&self, cursor: Cursor) -> bool {
        self.check_at(cursor.seq) == Some(cursor.check)
    }

    /// The events after that seq; all of them where it is older than the base.
    pub fn after(&self, seq: Seq) -> impl Iterator<Item = &Entry<E>> {
        let skip = usize::try_from(seq.saturating_sub(self.base.seq)).unwrap_or(usize::MAX);
        self.entries.range(skip.min(self.entries.len())..)
    }

    /// Appends the event that follows the end. Where all rings together are over their bound, it is this one that gives
    /// way: others may have done so before, when the bound was near.
    pub(crate) fn push(&mut self, entry: Entry<E>) {
        debug_assert_eq!(entry.cursor.seq, self.end().seq + 1, "the ring has no gap");
        self.share.grow(entry.event.bytes());
        self.entries.push_back(entry);
        while self.is_over() && !self.is_empty() {
            self.drop_oldest();
        }
    }

    /// Lets the oldest events go until the rest weighs no more than `bytes`; says what was freed.
    pub(crate) fn shrink(&mut self, bytes: usize) -> usize {
        let before = self.bytes();
        while self.bytes() > bytes && !self.is_empty() {
            self.drop_oldest();
        }
        self.entries.shrink_to_fit();
        before - self.bytes()
    }

    /// Empties it: it now ends at another place.
    pub(crate) fn reset(&mut self, base: Cursor) {
        self.entries.clear();
        self.share.set(0);
        self.base = base;
    }

    fn is_over(&self) -> bool {
        let is_long = self.entries.len() > self.events_limit;
        is_long || self.bytes() > self.bytes_limit || self.share.pool().is_over()
    }

    fn drop_oldest(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.share.shrink(entry.event.bytes());
            self.base = entry.cursor;
        }
    }
}
