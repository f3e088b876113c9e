//! The readers of a room at one hop: positions over the ring and the log.
//!
//! Owns who reads the room here, what each may take now, and whom to wake. Promises P3, P4 and P8: a reader is given what
//! follows its position, each event once and in order, whether from the ring or from the log, or is told `resync`; one
//! that is slow costs its position and nobody else. Never holds an event for one reader alone, and never convicts a
//! reader but by a read of the log asked for after it came.
//!
//! The owner feeds it (`hint`, `head`, `log_head`, `set_presence`, `join`, `leave`), then reads what it asks for (`poll_read` until
//! `None`, whenever `is_poll_due`, after a step too, and at `deadline`; every `Read` is answered by `read_done`), acts on
//! `next_change`, and wakes whom `drain_woken` names.

mod step;

use std::{sync::Arc, time::Instant};

pub use step::{Budget, Step, Verdict};

use crate::{
    cursor::{Cursor, Seq},
    follower::{Change, Counters, Follower},
    limits::Limits,
    log::{Hint, LogRead, Page, Read, Weigh},
    pages::Pages,
    pool::Pools,
    readers::{List, Reader, ReaderId, ReaderKind, Readers},
    ring::Ring,
};

/// The readers of one room at one hop, and the [`Follower`] they follow. `E` is an event, cheap to clone; `W` wakes a
/// reader.
#[derive(Debug)]
pub struct Audience<E, W> {
    follower: Follower<E>,
    readers: Readers<W>,
    pages: Pages<E>,
    presence: Option<u64>,
    /// Live, with nothing to take.
    idle: List,
    /// To be named by `drain_woken`.
    woken: List,
    /// Ahead of the Follower, or at odds with it: woken when it has moved that far, or has asked the log.
    parked: List,
    /// The lowest seq that the Follower must reach to be of use to somebody parked; or lower.
    parked_until: Seq,
    /// When the log is asked for the sake of those who are ahead.
    probe_due: Option<Instant>,
    /// When a reader last took from the ring.
    ring_read: Option<Instant>,
    /// The ticket of the last read.
    asks: u64,
    /// Whether `poll_read` would say `None` and `deadline` what it said then.
    is_polled: bool,
    limits: Arc<Limits>,
}

impl<E: Weigh + Clone, W> Audience<E, W> {
    /// Follows a room from that position, with no readers yet. `seed` is for the jitter of waits after failed reads.
    pub fn new(position: Cursor, limits: impl Into<Arc<Limits>>, seed: u64) -> Self {
        let limits = limits.into();
        let mut readers = Readers::new();
        let (idle, woken, parked) = (readers.new_list(), readers.new_list(), readers.new_list());
        let follower = Follower::new(position, Arc::clone(&limits), seed);
        let pages = Pages::new(Arc::clone(&limits), seed.rotate_left(32));
        Self {
            follower,
            readers,
            pages,
            presence: None,
            idle,
            woken,
            parked,
            parked_until: Seq::MAX,
            probe_due: None,
            ring_read: None,
            asks: 0,
            is_polled: true,
            limits,
        }
    }

    /// Counts its ring and its pages among those of all rooms.
    pub fn within(mut self, pools: &Pools) -> Self {
        self.follower.share_in(&pools.rings);
        self.pages.share_in(&pools.pages);
        self
    }

    /// Takes an event as it arrives by a link.
    pub fn hint(&mut self, hint: Hint<E>, now: Instant) {
        let before = self.position();
        self.follower.hint(hint, now);
        self.is_polled &= !self.follower.is_waiting();
        self.moved(before);
    }

    /// Takes an event of the log that somebody has heard of: its head, or any before.
    pub fn head(&mut self, head: Cursor, now: Instant) {
        self.follower.head(head, now);
        self.is_polled &= !self.follower.is_waiting();
    }

    /// Takes a head that was read, or said by a hop that follows the same log, when this hop stood at `stood` already:
    /// one behind that makes it ask the log.
    pub fn log_head(&mut self, head: Cursor, stood: Seq, now: Instant) {
        self.follower.log_head(head, stood, now);
        self.is_polled &= !self.follower.is_waiting();
    }

    /// What must be read from the log now; ask until `None`. Also lets go what has been kept long enough.
    pub fn poll_read(&mut self, now: Instant) -> Option<Read> {
        if self.probe_due.is_some_and(|due| due <= now) {
            self.probe_due = None;
            if !self.readers.is_empty(self.parked) {
                self.follower.probe();
            }
        }
        let ticket = self.asks + 1;
        let stood = self.position().seq;
        let wanted = match self.follower.poll_read(now, ticket) {
            Some(after) => Some((after, self.limits.read_events)),
            None => self.pages.poll_read(now, ticket, stood, &mut self.readers),
        };
        self.is_polled = wanted.is_none();
        self.asks += u64::from(wanted.is_some());
        wanted.map(|(after, limit)| Read { after, limit, ticket })
    }

    /// Whether `poll_read` may have something to say, or `deadline` has come nearer, since it said `None`: a step may
    /// have asked for a page. Only then need the driver be woken.
    pub fn is_poll_due(&self) -> bool {
        !self.is_polled
    }

    /// Takes the log's answer.
    pub fn read_done(&mut self, read: Read, answer: LogRead<E>, now: Instant) {
        self.is_polled = false;
        if self.follower.is_reading(read.ticket) {
            self.follower_read(read.ticket, answer, now);
        } else if let Some(arrived) = self.pages.read_done(read.ticket, answer, now) {
            if contradicts(self.follower.ring(), arrived.page) || arrived.page.head.seq < arrived.stood {
                self.follower.suspect();
            }
            self.readers.append(arrived.waiters, self.woken);
        }
    }

    /// When `poll_read` is to be called though nothing came in.
    pub fn deadline(&self) -> Option<Instant> {
        [self.follower.deadline(), self.pages.deadline(), self.probe_due].into_iter().flatten().min()
    }

    /// What the Follower did since it was last asked, one by one. To be emptied after every input.
    pub fn next_change(&mut self) -> Option<Change<E>> {
        self.follower.next_change()
    }

    /// The last event delivered here.
    pub fn position(&self) -> Cursor {
        self.follower.position()
    }

    /// The room's recent events.
    pub fn ring(&self) -> &Ring<E> {
        self.follower.ring()
    }

    /// What has been counted: gaps, jumps, reads.
    pub fn counters(&self) -> Counters {
        self.follower.counters()
    }

    /// How many hints from beyond a gap are kept.
    pub fn pending(&self) -> usize {
        self.follower.pending()
    }

    /// How many readers' pages have been read.
    pub fn pages_read(&self) -> u64 {
        self.pages.read()
    }

    /// What the readers' pages kept now weigh.
    pub fn pages_bytes(&self) -> usize {
        self.pages.bytes()
    }

    /// How many readers there are.
    pub fn readers(&self) -> usize {
        self.readers.len()
    }

    /// Adds a reader at `at`, a cursor that need not be right (the step verifies it), or where the Follower stands. It is
    /// among those named next by `drain_woken`, unless it has stepped before.
    pub fn join(&mut self, kind: ReaderKind, at: Option<Cursor>, waker: W) -> ReaderId {
        let position = at.unwrap_or_else(|| self.position());
        let id =
            self.readers.insert(Reader { kind, position, presence: None, since: None, page: None, waker });
        self.readers.push(self.woken, id.index());
        id
    }

    /// Ends a reader, wherever it stands; gives its waker back.
    pub fn leave(&mut self, id: ReaderId) -> Option<W> {
        self.readers.unlink_id(id); // out of the list of a page that may go with its last reader
        self.set_page(id, None);
        self.readers.remove(id).map(|reader| reader.waker)
    }

    /// Where a reader stands.
    pub fn reader_position(&self, id: ReaderId) -> Option<Cursor> {
        self.readers.get(id).map(|reader| reader.position)
    }

    /// Whether a reader stands where the Follower stands.
    pub fn is_live(&self, id: ReaderId) -> bool {
        self.reader_position(id) == Some(self.position())
    }

    /// Everybody who stands where the Follower stands: whom typing is for.
    pub fn live(&self) -> impl Iterator<Item = (ReaderId, &W)> {
        let position = self.position();
        self.readers
            .iter()
            .filter(move |(_, reader)| reader.position == position)
            .map(|(id, reader)| (id, &reader.waker))
    }

    /// What wakes each of the readers.
    pub fn wakers(&self) -> impl Iterator<Item = &W> {
        self.readers.iter().map(|(_, reader)| &reader.waker)
    }

    /// The owner's fold of presence has reached that version. Until first told, no reader is owed any.
    pub fn set_presence(&mut self, version: u64) {
        if self.presence != Some(version) {
            self.presence = Some(version);
            self.readers.append(self.idle, self.woken);
        }
    }

    /// The reader has been told presence as of that version otherwise than by a step (in its `joined`).
    pub fn presence_told(&mut self, id: ReaderId, version: u64) {
        if let Some(reader) = self.readers.get_mut(id) {
            reader.presence = Some(version);
        }
    }

    /// Presence meant for the reader was shed: once it is live, it is owed the whole.
    pub fn owe_presence(&mut self, id: ReaderId) {
        let Some(reader) = self.readers.get_mut(id) else { return };
        reader.presence = None;
        if self.presence.is_some() && self.is_live(id) {
            self.readers.push(self.woken, id.index());
        }
    }

    /// Names, once each, the readers that have something to take since their last step brought `Nothing`.
    pub fn drain_woken(&mut self, mut wake: impl FnMut(&W)) {
        while let Some(index) = self.readers.pop(self.woken) {
            if let Some(waker) = self.readers.waker(index) {
                wake(waker);
            }
        }
    }

    /// When a reader last took from the ring; `None`: nobody ever has.
    pub fn ring_read(&self) -> Option<Instant> {
        self.ring_read
    }

    /// Lets the ring's oldest events go until it weighs no more than `bytes`; says what was freed.
    pub fn shrink_ring(&mut self, bytes: usize) -> usize {
        self.follower.shrink(bytes)
    }

    /// Everybody goes on from there: a planted mistake.
    #[cfg(feature = "planted-mistakes")]
    pub fn jump_to(&mut self, to: Cursor) {
        self.follower.jump_to(to);
        self.readers.iter_mut().for_each(|reader| reader.position = to);
        self.unpark();
        self.moved(Cursor { seq: u64::MAX, ..to });
    }

    fn set_page(&mut self, id: ReaderId, page: Option<u64>) {
        let Some(reader) = self.readers.get_mut(id) else { return };
        let before = std::mem::replace(&mut reader.page, page);
        if before == page {
            return;
        }
        self.is_polled = false;
        if let Some(number) = page {
            self.pages.enter(number, &mut self.readers);
        }
        if let Some(number) = before {
            self.pages.leave(number, &mut self.readers);
        }
    }

    fn follower_read(&mut self, ticket: u64, answer: LogRead<E>, now: Instant) {
        let (before, jumps) = (self.position(), self.follower.jumps());
        self.follower.read_done(ticket, answer, now);
        if self.follower.jumps() != jumps {
            self.readers.iter_mut().for_each(|reader| reader.page = None);
            self.pages.clear(&mut self.readers, self.woken);
        }
        if self.follower.answered().is_some_and(|answered| answered.ticket == ticket) {
            self.unpark();
        }
        self.moved(before);
    }

    /// Wakes those for whom there may be something now that the Follower stands elsewhere.
    fn moved(&mut self, before: Cursor) {
        if self.position() != before {
            self.readers.append(self.idle, self.woken);
            if self.position().seq >= self.parked_until {
                self.unpark();
            }
        }
    }

    fn probe_by(&mut self, due: Instant) {
        if self.probe_due.is_none() {
            self.probe_due = Some(due);
            self.is_polled = false;
        }
    }

    fn unpark(&mut self) {
        self.parked_until = Seq::MAX;
        self.readers.append(self.parked, self.woken);
    }
}

/// Whether the log has other events than the ring where they overlap.
fn contradicts<E: Weigh + Clone>(ring: &Ring<E>, page: &Page<E>) -> bool {
    let cursors = page.entries.iter().map(|entry| entry.cursor).chain([page.base, page.head]);
    cursors.into_iter().any(|cursor| ring.check_at(cursor.seq).is_some_and(|check| check != cursor.check))
}
