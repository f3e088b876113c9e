//! One page that somebody wanted, from wish to answer.
//!
//! Owns what has been read of it. Promises that it covers its seqs to their end or to the log's head, of one log, however
//! many answers that takes. Never decides when it is asked for.

use std::time::Instant;

use crate::{
    cursor::Seq,
    limits::Limits,
    log::{LogRead, Page, Weigh},
    pool::Share,
    readers::List,
};

/// A page that somebody wanted.
#[derive(Debug)]
pub(super) struct Shared<E> {
    pub(super) waiters: List,
    /// How many readers wait for it or are taking it.
    pub(super) interest: usize,
    pub(super) state: State,
    /// The ticket of the read that began it.
    pub(super) began: u64,
    /// Where the Follower stood then.
    pub(super) stood: Seq,
    /// What has been read of it: one answer, or several where bytes cut it.
    pub(super) page: Option<Page<E>>,
    pub(super) bytes: usize,
    /// The same, or what is kept for it while it is on its way, among those of all rooms.
    pub(super) held: Share,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Idle,
    Queued,
    Asked { ticket: u64 },
    Kept { since: Instant, used: Option<Instant> },
}

pub(super) enum Outcome {
    Whole,
    Part,
    Failed,
}

impl<E: Weigh> Shared<E> {
    pub(super) fn new(waiters: List, held: Share) -> Self {
        Self { waiters, interest: 0, state: State::Idle, began: 0, stood: 0, page: None, bytes: 0, held }
    }

    /// Until when it is kept, counted from when somebody last took from it: briefly for whoever else comes there, longer
    /// for those who wait for it or are taking it. So a crowd that comes over a while reads it once.
    pub(super) fn end(&self, limits: &Limits) -> Option<Instant> {
        let keep = if self.interest == 0 { limits.page_keep } else { limits.page_hold };
        match self.state {
            State::Kept { since, used } => Some(used.unwrap_or(since) + keep),
            State::Idle | State::Queued | State::Asked { .. } => None,
        }
    }

    /// From when on another page may have its room: once somebody has taken from it, so that each page read moves
    /// somebody on, however slow all of them are.
    pub(super) fn spared(&self, limits: &Limits) -> Option<Instant> {
        let is_unused = self.interest > 0 && matches!(self.state, State::Kept { used: None, .. });
        self.since().map(|since| since + if is_unused { limits.page_hold } else { limits.page_keep })
    }

    fn since(&self) -> Option<Instant> {
        match self.state {
            State::Kept { since, .. } => Some(since),
            State::Idle | State::Queued | State::Asked { .. } => None,
        }
    }

    /// Drops what has been read; says what it weighed.
    pub(super) fn forget(&mut self) -> usize {
        self.page = None;
        self.held.set(0);
        std::mem::take(&mut self.bytes)
    }

    /// Holds what it weighs once it is whole, and while it has only begun what was kept for it, if that is more.
    pub(super) fn hold(&mut self, is_whole: bool, reserve: usize) {
        let has_begun = !is_whole && self.page.is_some();
        self.held.set(self.bytes.max(if has_begun { reserve.min(self.held.pool().bound()) } else { 0 }));
    }

    /// Takes an answer for the page of `size` events after `base`.
    pub(super) fn answer(&mut self, base: Seq, size: u64, read: LogRead<E>) -> Outcome {
        let after = self.page.as_ref().map_or(base, |page| page.end().seq);
        match read {
            LogRead::Page(part) if part.follows(after) => self.extend(part, base + size),
            LogRead::Ahead { head } if head.seq < after => match self.page {
                None => {
                    self.page = Some(Page { base: head, entries: Vec::new(), head });
                    Outcome::Whole
                }
                Some(_) => self.begin_again(),
            },
            LogRead::Page(_) | LogRead::Ahead { .. } | LogRead::Failed => Outcome::Failed,
        }
    }

    fn extend(&mut self, mut part: Page<E>, end: Seq) -> Outcome {
        let head = part.true_head();
        part.entries.retain(|entry| entry.cursor.seq <= end);
        let weight: usize = part.entries.iter().map(|entry| entry.event.bytes()).sum();
        let has_grown = !part.entries.is_empty();
        match &mut self.page {
            Some(page) if page.end() != part.base => return self.begin_again(),
            Some(page) => page.entries.append(&mut part.entries),
            None => self.page = Some(part),
        }
        self.bytes += weight;
        let Some(page) = &mut self.page else { return Outcome::Failed };
        page.head = head;
        match page.end().seq >= end.min(head.seq) {
            true => Outcome::Whole,
            false if has_grown => Outcome::Part,
            false => Outcome::Failed,
        }
    }

    /// The log changed while its parts were read.
    fn begin_again(&mut self) -> Outcome {
        self.forget();
        Outcome::Part
    }
}
