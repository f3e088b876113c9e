//! What turns hints and the log into each event once and in order.
//!
//! Owns a room's position at this hop, the ring that ends there, and what is known to be missing. Promises P2 and P3: an
//! event is delivered only after the one it names as its predecessor, and only a read of the log after the present
//! position decides that the log is another. Never steps back for a hint or a head, and never waits: it says what must
//! be read.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Instant,
};

use crate::{
    cursor::{Cursor, Seq},
    limits::Limits,
    log::{Entry, Hint, LogRead, Page, ResyncReason, Weigh},
    planted::{self, Mistake},
    pool::Pool,
    retry::Retry,
    ring::Ring,
};

/// What the Follower did, for the effects that hang on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<E> {
    /// The next event of the room: act on it.
    Delivered(Entry<E>),
    /// Events were passed over, or the log is another: what was derived from events must be asked anew.
    Jumped {
        /// Where the Follower stands now: the log's head.
        to: Cursor,
        /// Why.
        reason: ResyncReason,
    },
}

/// What a Follower has counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Gaps noticed.
    pub gaps_found: u64,
    /// Gaps that the link closed by itself.
    pub gaps_healed_by_link: u64,
    /// Gaps that a read of the log closed.
    pub gaps_healed_by_log: u64,
    /// Gaps that were none: what was heard of is not in the log, or lies before a jump.
    pub gaps_dissolved: u64,
    /// What contradicted this hop's position and made it ask the log.
    pub suspicions: u64,
    /// Jumps to the head because it was too far away.
    pub jumps_too_far: u64,
    /// Jumps to the head of another log.
    pub jumps_other_log: u64,
    /// Reads asked for, the readers' pages not among them.
    pub reads: u64,
    /// Reads that failed.
    pub reads_failed: u64,
}

/// A room followed at one hop. [`Audience`](crate::Audience) owns one; it stands alone only where nobody reads.
#[derive(Debug)]
pub struct Follower<E> {
    ring: Ring<E>,
    pending: BTreeMap<Seq, Hint<E>>,
    want: Seq,
    due: Option<Instant>,
    /// The last cursor heard of that is ahead: compared once the position has got there.
    foretold: Option<Cursor>,
    is_suspect: bool,
    reading: Option<Asked>,
    answered: Option<Answered>,
    retry: Retry,
    changes: VecDeque<Change<E>>,
    counters: Counters,
    limits: Arc<Limits>,
}

/// The read that is on its way.
#[derive(Debug)]
struct Asked {
    ticket: u64,
    from: Cursor,
    /// The highest seq heard of since asking.
    heard: Seq,
    /// What was foretold before asking: the answer is news of later.
    foretold: Option<Cursor>,
    is_suspect_again: bool,
}

/// The last answer of the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered {
    pub(crate) ticket: u64,
    pub(crate) head: Cursor,
}

impl<E: Weigh + Clone> Follower<E> {
    /// Follows a room from that position, which the log gave or another hop vouches for.
    pub fn new(position: Cursor, limits: impl Into<Arc<Limits>>, seed: u64) -> Self {
        let limits = limits.into();
        Self {
            ring: Ring::new(position, limits.ring_events, limits.ring_bytes),
            pending: BTreeMap::new(),
            want: position.seq,
            due: None,
            foretold: None,
            is_suspect: false,
            reading: None,
            answered: None,
            retry: Retry::new(seed, limits.retry_min, limits.retry_max),
            changes: VecDeque::new(),
            counters: Counters::default(),
            limits,
        }
    }

    /// The last event delivered.
    pub fn position(&self) -> Cursor {
        self.ring.end()
    }

    /// The recent events.
    pub fn ring(&self) -> &Ring<E> {
        &self.ring
    }

    /// What it has counted.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Hints kept from beyond a gap.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// What it did since it was last asked, one by one. To be emptied after every input.
    pub fn next_change(&mut self) -> Option<Change<E>> {
        self.changes.pop_front()
    }

    /// Takes an event as it arrives by a link.
    pub fn hint(&mut self, hint: Hint<E>, now: Instant) {
        let (seq, position) = (hint.entry.cursor.seq, self.position());
        if seq <= position.seq {
            self.compare(&hint);
        } else if seq - 1 > position.seq {
            self.hold(hint, now);
        } else if !follows(&hint, position) {
            self.suspect();
        } else {
            self.deliver(hint.entry);
            self.drain_pending();
            self.settle(Healer::Link, now + self.limits.gap_wait);
        }
    }

    /// Takes an event of the log that somebody has heard of: its head, or any before.
    pub fn head(&mut self, head: Cursor, now: Instant) {
        if head.seq > self.position().seq {
            self.miss(head, now);
        } else if !self.ring.holds(head) {
            self.suspect();
        }
    }

    /// Takes a head that was read, or said by a hop that follows the same log, when this hop stood at `stood` already.
    /// One that is behind that is no stale news: the log may have been replaced by an older copy of itself, of which
    /// everything is as this hop knows it, but for the end.
    pub fn log_head(&mut self, head: Cursor, stood: Seq, now: Instant) {
        if head.seq < stood {
            self.suspect();
        } else {
            self.head(head, now);
        }
    }

    /// What must be read now: up to `limits.read_events` after that seq, its answer to be given with the same ticket.
    pub fn poll_read(&mut self, now: Instant, ticket: u64) -> Option<Seq> {
        let is_due = self.is_suspect || self.due.is_some_and(|due| due <= now);
        if self.reading.is_some() || !is_due || !self.retry.is_over(now) {
            return None;
        }
        let from = self.position();
        self.reading =
            Some(Asked { ticket, from, heard: 0, foretold: self.foretold.take(), is_suspect_again: false });
        self.counters.reads += 1;
        Some(from.seq)
    }

    /// When [`poll_read`](Self::poll_read) may have something to say though nothing came in.
    pub fn deadline(&self) -> Option<Instant> {
        if self.reading.is_some() {
            return None;
        }
        let waits = if self.is_suspect { None } else { Some(self.due?) };
        waits.max(self.retry.until())
    }

    /// Takes the log's answer to the read of that ticket.
    pub fn read_done(&mut self, ticket: u64, read: LogRead<E>, now: Instant) {
        let Some(asked) = self.reading.take_if(|asked| asked.ticket == ticket) else { return };
        match read {
            LogRead::Page(page) if page.follows(asked.from.seq) => self.page(asked, page, now),
            LogRead::Ahead { head } if head.seq < asked.from.seq => self.contradicted(&asked, head, now),
            LogRead::Page(_) | LogRead::Ahead { .. } | LogRead::Failed => self.read_failed(&asked, now),
        }
    }

    /// Asks the log whether this position is still of it.
    pub(crate) fn suspect(&mut self) {
        self.counters.suspicions += 1;
        self.probe();
    }

    /// Asks the log where it stands; nothing is suspected.
    pub(crate) fn probe(&mut self) {
        match &mut self.reading {
            Some(asked) => asked.is_suspect_again = true,
            None => self.is_suspect = true,
        }
    }

    pub(crate) fn answered(&self) -> Option<Answered> {
        self.answered
    }

    /// Whether it has something to ask, now or later.
    pub(crate) fn is_waiting(&self) -> bool {
        self.reading.is_none() && (self.is_suspect || self.due.is_some())
    }

    pub(crate) fn is_reading(&self, ticket: u64) -> bool {
        self.reading.as_ref().is_some_and(|asked| asked.ticket == ticket)
    }

    pub(crate) fn jumps(&self) -> u64 {
        self.counters.jumps_too_far + self.counters.jumps_other_log
    }

    pub(crate) fn share_in(&mut self, rings: &Pool) {
        self.ring.share_in(rings);
    }

    #[cfg(feature = "planted-mistakes")]
    pub(crate) fn jump_to(&mut self, to: Cursor) {
        self.ring.reset(to);
    }

    pub(crate) fn shrink(&mut self, bytes: usize) -> usize {
        self.ring.shrink(bytes)
    }

    /// A hint at or before the position: the same event again, or a contradiction.
    fn compare(&mut self, hint: &Hint<E>) {
        match self.ring.check_at(hint.entry.cursor.seq) {
            Some(check) if check == hint.entry.cursor.check => {}
            None if !hint.own => {} // too old to tell, and old is what repeats are
            Some(_) | None => self.suspect(),
        }
    }

    /// A hint from beyond a gap: the lowest few are kept, the rest is remembered as wanted.
    fn hold(&mut self, hint: Hint<E>, now: Instant) {
        let cursor = hint.entry.cursor;
        self.pending.insert(cursor.seq, hint);
        if self.pending.len() > self.limits.pending_events {
            self.pending.pop_last();
        }
        self.miss(cursor, now + self.limits.gap_wait);
    }

    fn miss(&mut self, ahead: Cursor, due: Instant) {
        if self.due.is_none() {
            self.counters.gaps_found += 1;
        }
        self.want = self.want.max(ahead.seq);
        self.foretold = Some(ahead);
        self.due = Some(self.due.map_or(due, |other| other.min(due)));
        if let Some(asked) = &mut self.reading {
            asked.heard = asked.heard.max(ahead.seq);
        }
    }

    fn deliver(&mut self, entry: Entry<E>) {
        self.changes.push_back(Change::Delivered(entry.clone()));
        self.ring.push(entry);
    }

    /// Delivers what was pending and is now next.
    fn drain_pending(&mut self) {
        while let Some(first) = self.pending.first_entry() {
            let position = self.ring.end();
            if first.key() - 1 > position.seq {
                return;
            }
            let hint = first.remove();
            if hint.entry.cursor.seq <= position.seq {
                self.compare(&hint);
            } else if !follows(&hint, position) {
                self.suspect();
            } else {
                self.deliver(hint.entry);
            }
        }
    }

    /// Closes the gap if all that is wanted is there; else asks at `due`.
    fn settle(&mut self, healer: Healer, due: Instant) {
        if let Some(foretold) = self.foretold.take_if(|foretold| foretold.seq <= self.ring.end().seq)
            && !self.ring.holds(foretold)
        {
            self.suspect();
        }
        if self.want > self.position().seq {
            self.due = Some(due);
        } else if self.due.take().is_some() {
            *match healer {
                Healer::Link => &mut self.counters.gaps_healed_by_link,
                Healer::Log => &mut self.counters.gaps_healed_by_log,
                Healer::Nobody => &mut self.counters.gaps_dissolved,
            } += 1;
        }
    }

    fn page(&mut self, asked: Asked, page: Page<E>, now: Instant) {
        let head = page.true_head();
        if page.base.check != asked.from.check {
            return self.contradicted(&asked, head, now);
        }
        // The place asked from is of the log, and so is what has been delivered after it, event by event.
        self.answer(&asked, head);
        if head.seq.saturating_sub(self.position().seq) > self.limits.replay_events {
            return self.jump(&asked, head, ResyncReason::TooFar, now);
        }
        let before = self.position();
        self.take(page);
        self.drain_pending();
        self.forget_unheard(&asked, head);
        self.ask_on(before, now);
    }

    /// The log is not what this hop holds, or no longer reaches as far: a verdict only on the position still held.
    fn contradicted(&mut self, asked: &Asked, head: Cursor, now: Instant) {
        self.answer(asked, head);
        if asked.from == self.position() {
            self.jump(asked, head, ResyncReason::OtherLog, now);
        } else {
            self.is_suspect = true;
        }
    }

    fn answer(&mut self, asked: &Asked, head: Cursor) {
        self.retry.succeeded();
        self.is_suspect = asked.is_suspect_again;
        self.answered = Some(Answered { ticket: asked.ticket, head });
    }

    /// Delivers what the page has beyond the position, as far as it connects.
    fn take(&mut self, page: Page<E>) {
        let mut prev = page.base.check;
        for entry in page.entries {
            let (cursor, position) = (entry.cursor, self.position());
            if cursor.seq <= position.seq {
                if self.ring.check_at(cursor.seq).is_some_and(|check| check != cursor.check) {
                    return self.suspect();
                }
            } else if prev == position.check {
                self.deliver(entry);
            } else {
                return self.suspect();
            }
            prev = cursor.check;
        }
    }

    /// What was heard of before asking and is beyond the log's head was of a log that is no more.
    fn forget_unheard(&mut self, asked: &Asked, head: Cursor) {
        self.want = head.seq.max(asked.heard);
        self.pending.split_off(&self.want.saturating_add(1));
    }

    /// Asks for the rest at once, unless the page brought nothing.
    fn ask_on(&mut self, before: Cursor, now: Instant) {
        let has_moved = self.position() != before;
        if self.want > self.position().seq && !has_moved {
            self.retry.failed(now);
        }
        self.settle(if has_moved { Healer::Log } else { Healer::Nobody }, now);
    }

    fn jump(&mut self, asked: &Asked, to: Cursor, reason: ResyncReason, now: Instant) {
        *match reason {
            ResyncReason::TooFar => &mut self.counters.jumps_too_far,
            ResyncReason::OtherLog | ResyncReason::Ahead => &mut self.counters.jumps_other_log,
        } += 1;
        self.ring.reset(to);
        self.changes.push_back(Change::Jumped { to, reason });
        self.forget_unheard(asked, to);
        self.pending = self.pending.split_off(&to.seq.saturating_add(1));
        self.drain_pending();
        self.settle(Healer::Nobody, now + self.limits.gap_wait);
    }

    fn read_failed(&mut self, asked: &Asked, now: Instant) {
        self.counters.reads_failed += 1;
        self.is_suspect |= asked.is_suspect_again;
        self.foretold = self.foretold.or(asked.foretold);
        self.retry.failed(now);
    }
}

/// Whether that event, the next by its seq, is the next.
fn follows<E>(hint: &Hint<E>, position: Cursor) -> bool {
    hint.prev == position.check || planted::makes(Mistake::NextIsOnlyASeq)
}

/// Who closed a gap.
#[derive(Clone, Copy)]
enum Healer {
    Link,
    Log,
    Nobody,
}
