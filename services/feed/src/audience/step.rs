//! What a reader may take now.
//!
//! Owns the order of a reader's step. Promises that a reader ahead of the Follower, or at odds with it, is convicted only
//! by a read of the log asked for after it began to wait, and that the log is read once for all who wait alike. Never
//! takes what the Follower has not reached.

use std::time::Instant;

use super::Audience;
use crate::{
    cursor::Cursor,
    log::{Entry, ResyncReason, Weigh},
    pages::Look,
    planted::{self, Mistake},
    readers::{ReaderId, ReaderKind},
    ring::Ring,
};

/// What a reader can take at once. The first event is always taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Events at most.
    pub events: usize,
    /// Bytes at most, the first event apart.
    pub bytes: usize,
}

/// What a reader's step brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing now: the reader is woken when there is something for it.
    Nothing,
    /// Events, appended to what was handed in. Step again when they are written.
    Events,
    /// The reader has every event up to the Follower's position, and presence has moved on. It counts as told.
    Presence {
        /// The version it was told last: the difference from it will do, where it is still at hand. `None`: the whole.
        told: Option<u64>,
        /// The version to tell now.
        now: u64,
    },
    /// A relay that was left behind: the Follower's position, to be told as a head.
    Head(Cursor),
    /// What follows the reader's position cannot be given. It stands at `cursor` now, live.
    Resync {
        /// Where it goes on.
        cursor: Cursor,
        /// Why.
        reason: ResyncReason,
    },
}

/// What is known of a reader's cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// What follows it can be given.
    Usable,
    /// The log has been asked: the reader is woken when it has answered.
    Unknown,
    /// What follows it cannot be given. The reader stands at `cursor` now, live.
    Resync {
        /// Where it goes on.
        cursor: Cursor,
        /// Why.
        reason: ResyncReason,
    },
}

/// Where a reader's next event comes from.
enum Source {
    /// It has them all.
    Nowhere,
    Ring,
    Page(u64),
    /// Not from here: it reads the log itself.
    Elsewhere,
    /// Not known yet; the reader stands in the list of those who wait for it.
    Unknown,
    Lost(ResyncReason),
}

impl<E: Weigh + Clone, W> Audience<E, W> {
    /// What a reader may take now. Its outbox must be empty before (item 1 of the order): `joined`, `resync` and `gone`
    /// are said in the reader's own order. Call it with room in the socket, again until it brings `Nothing`.
    pub fn step(&mut self, id: ReaderId, budget: Budget, now: Instant, into: &mut Vec<Entry<E>>) -> Step {
        let Some(at) = self.reader_position(id) else { return Step::Nothing };
        match self.source(id, at, now) {
            Source::Nowhere => self.step_live(id),
            Source::Ring => {
                let to = take(self.follower.ring().after(at.seq), budget, into).unwrap_or(at);
                self.place(id, to);
                self.ring_read = Some(now);
                Step::Events
            }
            Source::Page(number) => {
                let cut = self.position().seq;
                let to = take(self.pages.after(number, at.seq, cut), budget, into).unwrap_or(at);
                self.is_polled &= !self.pages.mark_used(number, now);
                self.advance(id, to);
                Step::Events
            }
            Source::Elsewhere => Step::Head(self.place_at_end(id)),
            Source::Unknown => Step::Nothing,
            Source::Lost(reason) => Step::Resync { cursor: self.place_at_end(id), reason },
        }
    }

    /// Gives a reader all that it lacks, where that is nothing but events of the ring and `accept` takes them: those after
    /// a cursor, to the ring's end. It waits then, as after a step that brought `Nothing`. False: it stands where it
    /// stood, and a step says what it is to be given.
    pub fn catch_up(
        &mut self,
        id: ReaderId,
        now: Instant,
        accept: impl FnOnce(Cursor, &Ring<E>) -> bool,
    ) -> bool {
        let Some(reader) = self.readers.get(id) else { return true }; // it has left
        let at = reader.position;
        if self.presence.is_some() && reader.presence != self.presence {
            return false;
        }
        if at != self.position() {
            if !self.follower.ring().holds(at) || !accept(at, self.follower.ring()) {
                return false;
            }
            self.ring_read = Some(now);
        }
        self.place_at_end(id);
        self.readers.push(self.idle, id.index());
        true
    }

    /// Whether a joiner's cursor is one from which it can be given what follows; takes nothing. For whoever must say
    /// where a reader begins before its first step. (Unless that follows, `drain_woken` names the reader once more.)
    pub fn verify(&mut self, id: ReaderId, now: Instant) -> Verdict {
        let Some(at) = self.reader_position(id) else { return Verdict::Unknown };
        match self.source(id, at, now) {
            Source::Nowhere | Source::Ring | Source::Page(_) | Source::Elsewhere => {
                self.wake_to(id, Verdict::Usable)
            }
            Source::Unknown => Verdict::Unknown,
            Source::Lost(reason) => {
                let cursor = self.place_at_end(id);
                self.wake_to(id, Verdict::Resync { cursor, reason })
            }
        }
    }

    fn wake_to(&mut self, id: ReaderId, verdict: Verdict) -> Verdict {
        self.readers.push(self.woken, id.index());
        verdict
    }

    fn source(&mut self, id: ReaderId, at: Cursor, now: Instant) -> Source {
        self.readers.unlink_id(id);
        let end = self.position();
        if at == end {
            Source::Nowhere
        } else if self.follower.ring().holds(at) {
            Source::Ring
        } else if self.readers.get(id).is_some_and(|reader| reader.kind == ReaderKind::Hints) {
            Source::Elsewhere
        } else if at.seq > end.seq {
            self.source_ahead(id, at, now)
        } else if end.seq - at.seq > self.limits.replay_events {
            Source::Lost(ResyncReason::TooFar)
        } else {
            self.source_in_log(id, at)
        }
    }

    /// A reader ahead of the Follower waits for it. One read of the log, asked for after it came, serves everybody who
    /// is ahead: either the log ends before their seq, or the Follower is about to get there.
    fn source_ahead(&mut self, id: ReaderId, at: Cursor, now: Instant) -> Source {
        if planted::makes(Mistake::JudgeByThisHopAlone) {
            return Source::Lost(ResyncReason::Ahead);
        }
        let since = self.wait_since(id);
        match self.follower.answered().filter(|answered| answered.ticket > since) {
            Some(answered) if answered.head.seq < at.seq => return Source::Lost(ResyncReason::Ahead),
            Some(_) => {}
            None => self.probe_by(now + self.limits.ahead_wait),
        }
        self.set_page(id, None);
        self.parked_until = self.parked_until.min(at.seq);
        self.readers.push(self.parked, id.index());
        Source::Unknown
    }

    /// A reader that the ring does not serve: the log decides. A page kept from before may give, but only one asked for
    /// since may convict.
    fn source_in_log(&mut self, id: ReaderId, at: Cursor) -> Source {
        let number = self.pages.number_of(at.seq);
        let since = self.wait_since(id);
        self.set_page(id, Some(number));
        let (look, asked) = self.pages.look(number, at, self.position().seq);
        match look {
            Look::Serves => return Source::Page(number),
            Look::Contradicts if asked > since || planted::makes(Mistake::JudgeByThisHopAlone) => {
                return Source::Lost(ResyncReason::OtherLog);
            }
            Look::EndsBefore if asked > since => return Source::Lost(ResyncReason::Ahead),
            Look::EndsThere if asked > since => self.dispute(id, at),
            Look::Missing | Look::Contradicts | Look::EndsBefore | Look::EndsThere => {
                self.is_polled = false;
                if let Some(waiters) = self.pages.want(number) {
                    self.readers.push(waiters, id.index());
                }
            }
        }
        Source::Unknown
    }

    /// The log agrees with the reader and has no more, so it is the Follower that is in doubt: it asks the log, and the
    /// reader waits for that answer.
    fn dispute(&mut self, id: ReaderId, at: Cursor) {
        self.follower.suspect();
        self.is_polled = false;
        self.place(id, at);
        self.readers.push(self.parked, id.index());
    }

    fn step_live(&mut self, id: ReaderId) -> Step {
        self.place_at_end(id);
        let Some(reader) = self.readers.get_mut(id) else { return Step::Nothing };
        match self.presence {
            Some(now) if reader.presence != Some(now) => {
                Step::Presence { told: reader.presence.replace(now), now }
            }
            Some(_) | None => {
                self.readers.push(self.idle, id.index());
                Step::Nothing
            }
        }
    }

    fn place_at_end(&mut self, id: ReaderId) -> Cursor {
        let end = self.position();
        self.place(id, end);
        end
    }

    /// The reader stands there now, and waits for nothing.
    fn place(&mut self, id: ReaderId, position: Cursor) {
        self.advance(id, position);
        self.set_page(id, None);
    }

    /// The same, but it goes on with the page it is taking, if that has more for it.
    fn advance(&mut self, id: ReaderId, position: Cursor) {
        let number = self.pages.number_of(position.seq);
        let Some(reader) = self.readers.get_mut(id) else { return };
        reader.position = position;
        reader.since = None;
        if reader.page.is_some_and(|page| page != number) {
            self.set_page(id, None);
        }
    }

    fn wait_since(&mut self, id: ReaderId) -> u64 {
        let asks = self.asks;
        self.readers.get_mut(id).map_or(asks, |reader| *reader.since.get_or_insert(asks))
    }
}

/// Takes from the events as many as the budget allows; says where that leads.
fn take<'a, E: Weigh + Clone + 'a>(
    events: impl Iterator<Item = &'a Entry<E>>,
    budget: Budget,
    into: &mut Vec<Entry<E>>,
) -> Option<Cursor> {
    let (mut bytes, mut last) = (0, None);
    for (entry, nth) in events.zip(0..) {
        bytes += entry.event.bytes();
        if nth > 0 && (nth >= budget.events || bytes > budget.bytes) {
            if planted::makes(Mistake::PositionAdvancedOnADrop) {
                last = Some(entry.cursor);
            }
            break;
        }
        last = Some(entry.cursor);
        into.push(entry.clone());
    }
    last
}
