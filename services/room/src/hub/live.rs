//! A live room.
//!
//! Owns what a room is in this process: its readers, who is present in it, and its title and topic as of the last event
//! delivered. Promises that whoever joins is given what follows, each event once and in order (P3), that everyone is
//! told who is here (P7), and that typing displaces nothing (P9). Never reads a clock, the log or a socket: inputs and
//! the time come in, effects go out.

mod words;

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use parlour_feed::{
    Audience, Budget, Change, Counters, Entry, Hint, Limits as FeedLimits, LogRead, Pools, Read, ReaderId,
    ReaderKind, Step, Verdict,
    cursor::{Cursor, Seq},
};

pub use words::{Admission, Effects, Fact, Named, Taken, Typing};

use super::presence::{Ending, Leases, Limits, Owner, Update};
use crate::{
    domain::{
        event::{Body, Event},
        ids::{SessionId, UserId},
        message::User,
        room::Room,
    },
    rooms::{Place, Settings},
};

/// Events the Follower asks the log for at once.
const READ_EVENTS: usize = 200;
/// Events of a readers' page.
const PAGE_EVENTS: usize = 50;
/// How often in a row the store must say that it does not have the room: once may be a restore that is half done.
const MISSED: u8 = 2;

/// A live room; `W` wakes a reader.
#[derive(Debug)]
pub struct Live<W> {
    place: Arc<Place>,
    room: Room,
    audience: Audience<Fact, W>,
    leases: Leases,
    typing: Vec<(W, Arc<Typing>)>,
    room_is_stale: bool,
    /// How often in a row the store has said that it does not have this room.
    missed: u8,
    idle_room: Duration,
    idle_since: Option<Instant>,
}

impl<W: Clone> Live<W> {
    /// A room as the store has it, with nobody in it. Before `settling_until` its snapshots say that somebody may be
    /// missing. `seed` is for jitter.
    pub fn new(room: Room, settings: &Settings, settling_until: Instant, seed: u64, now: Instant) -> Self {
        let limits = FeedLimits {
            ring_events: settings.ring_events,
            replay_events: settings.replay_events,
            read_events: READ_EVENTS,
            page_events: PAGE_EVENTS,
            ..FeedLimits::default()
        };
        let leases = Leases::new(Limits::of(settings), settling_until, now);
        let mut audience = Audience::new(room.cursor(), limits, seed);
        audience.set_presence(leases.version());
        Self {
            place: Arc::new(Place::of(&room)),
            room,
            audience,
            leases,
            typing: Vec::new(),
            room_is_stale: false,
            missed: 0,
            idle_room: settings.idle_room,
            idle_since: Some(now),
        }
    }

    /// Counts what it holds among what all rooms hold.
    pub fn within(mut self, pools: &Pools) -> Self {
        self.audience = self.audience.within(pools);
        self
    }

    /// When a reader last took from its ring.
    pub fn ring_read(&self) -> Option<Instant> {
        self.audience.ring_read()
    }

    /// How many events its ring holds.
    pub fn ring_len(&self) -> usize {
        self.audience.ring().len()
    }

    /// What its ring holds.
    pub fn ring_bytes(&self) -> usize {
        self.audience.ring().bytes()
    }

    /// Lets that many bytes of its ring go, or what there is.
    pub fn shrink_ring(&mut self, bytes: usize) {
        self.audience.shrink_ring(self.ring_bytes().saturating_sub(bytes));
    }

    /// Where it stands for good.
    pub fn place(&self) -> &Arc<Place> {
        &self.place
    }

    /// The room as of the last event delivered; its counts are those of its loading.
    pub fn room(&self) -> &Room {
        &self.room
    }

    /// The last event delivered here.
    pub fn position(&self) -> Cursor {
        self.audience.position()
    }

    /// Whether it holds the event at that place, or stands there: what follows it is at hand.
    pub fn holds(&self, at: Cursor) -> bool {
        at == self.position() || self.audience.ring().holds(at)
    }

    /// How many readers there are.
    pub fn readers(&self) -> usize {
        self.audience.readers()
    }

    /// What the Follower has counted.
    pub fn counters(&self) -> Counters {
        self.audience.counters()
    }

    /// Takes an event as it arrives, just after its commit here.
    pub fn appended(&mut self, prev: Cursor, event: Arc<Event>, now: Instant) {
        let entry = Fact::entry(&self.place.id, event, Some(now));
        self.audience.hint(Hint { prev: prev.check, entry, own: true }, now);
    }

    /// Takes the log's head, as a probe that was sent when the room stood at `stood` read it.
    pub fn probed(&mut self, head: Cursor, stood: Seq, now: Instant) {
        if !self.is_lost() {
            self.missed = 0;
        }
        self.audience.log_head(head, stood, now);
    }

    /// Takes the store's word that it does not have this room, from a probe that it answered.
    pub fn missing(&mut self) {
        self.missed = self.missed.saturating_add(1);
    }

    /// Whether the log has this room no longer: a log that was replaced by one in which it never was. Whoever reads here
    /// is told at the next step; a room of the same name is another, to be loaded.
    pub fn is_lost(&self) -> bool {
        self.missed >= MISSED
    }

    /// Takes an event of the log that somebody has heard of.
    pub fn head(&mut self, head: Cursor, now: Instant) {
        self.audience.head(head, now);
    }

    /// Takes the log's answer.
    pub fn read_done(&mut self, read: Read, answer: LogRead<Fact>, now: Instant) {
        self.audience.read_done(read, answer, now);
    }

    /// Takes the room as the store has it now.
    pub fn refresh(&mut self, room: Room, now: Instant) {
        let head = room.cursor();
        if room.head >= self.position().seq {
            self.room = room;
        }
        self.audience.head(head, now);
    }

    /// Adds a reader at `at`, which need not be right, or where the room stands.
    pub fn join(&mut self, kind: ReaderKind, at: Option<Cursor>, waker: W) -> ReaderId {
        self.idle_since = None;
        self.audience.join(kind, at, waker)
    }

    /// Ends a reader, wherever it stands.
    pub fn part(&mut self, reader: ReaderId, now: Instant) {
        self.audience.leave(reader);
        self.note_idle(now);
    }

    /// Where a reader stands.
    pub fn reader_position(&self, reader: ReaderId) -> Option<Cursor> {
        self.audience.reader_position(reader)
    }

    /// Whether a reader stands where the room stands.
    pub fn is_live(&self, reader: ReaderId) -> bool {
        self.audience.is_live(reader)
    }

    /// Whether a joiner's cursor is one from which it can be given what follows; its waker tells when that is known.
    pub fn verify(&mut self, reader: ReaderId, now: Instant) -> Verdict {
        self.audience.verify(reader, now)
    }

    /// What a reader may take now; presence by name up to `names` people.
    pub fn step(
        &mut self,
        reader: ReaderId,
        budget: Budget,
        names: usize,
        now: Instant,
        into: &mut Vec<Entry<Fact>>,
    ) -> Taken {
        if self.is_lost() {
            return Taken::Gone;
        }
        match self.audience.step(reader, budget, now, into) {
            Step::Nothing => Taken::Nothing,
            Step::Events => Taken::Events,
            Step::Presence { told, .. } => Taken::Presence(self.presence(reader, told, names, now)),
            Step::Head(head) => Taken::Head(head),
            Step::Resync { cursor, reason } => Taken::Resync(cursor, reason),
        }
    }

    /// What a reader that was told version `told` is to be told of presence now; it then knows the version answered.
    pub fn presence(&mut self, reader: ReaderId, told: Option<u64>, names: usize, now: Instant) -> Update {
        let update = self.leases.update(told, names, now);
        self.audience.presence_told(reader, update.version);
        self.audience.set_presence(update.version);
        update
    }

    /// Takes a session in as present, or renews it, held by `owner`; `None` where a newer stream of the owner's lane has
    /// named it already.
    pub fn enter(&mut self, session: SessionId, user: User, owner: Owner, now: Instant) -> Option<Admission> {
        self.idle_since = None;
        if !self.leases.hold(session, user, owner) {
            return None;
        }
        self.leases.advance(now);
        Some(self.admission())
    }

    /// Whether that session is present, held by that owner and not in grace.
    pub fn is_held(&self, session: SessionId, owner: Owner) -> bool {
        self.leases.is_held(session, owner)
    }

    /// That user may be here by sessions that this replica does not know yet: until it has settled nobody is told that
    /// they left.
    pub fn returns(&mut self, user: &UserId) {
        self.leases.returns(user);
    }

    /// Lets a session follow without being present.
    pub fn monitor(&mut self, session: SessionId, owner: Owner, now: Instant) -> Admission {
        self.leave(session, owner, now);
        self.admission()
    }

    fn admission(&self) -> Admission {
        Admission { as_of: self.position().seq, presence: self.leases.version_due() }
    }

    /// Takes a session out at once.
    pub fn leave(&mut self, session: SessionId, owner: Owner, now: Instant) {
        self.leases.leave(session, owner);
        self.note_idle(now);
    }

    /// Puts a session in grace.
    pub fn close(&mut self, session: SessionId, owner: Owner, ending: Ending, now: Instant) {
        self.leases.close(session, owner, ending, now);
    }

    /// Puts everything that `owner` holds here in grace, counted from `since`.
    pub fn broken(&mut self, owner: Owner, since: Instant) {
        self.leases.broken(owner, since);
    }

    /// A newer stream names all it has here; what the lane left and it does not name leaves at once.
    pub fn roster(&mut self, owner: Owner, named: Vec<Named>, now: Instant) {
        self.idle_since = None;
        let sessions: HashSet<_> = named.iter().map(Named::session).collect();
        self.leases.roster(owner, &sessions);
        for named in named {
            match named {
                Named::Present(session, user) => {
                    self.leases.returns(&user.id);
                    self.leases.hold(session, user, owner);
                }
                Named::Closing(session, user, grace) => {
                    if let Some(user) = &user {
                        self.leases.returns(&user.id);
                    }
                    self.leases.keep_in_grace(session, user, owner, grace, now);
                }
                Named::Joining(session) => self.leases.keep(session, owner),
            }
        }
        self.note_idle(now);
    }

    /// The first `limit` people present now, in order of arrival, and how many there are.
    pub fn present(&self, limit: usize) -> (Vec<User>, usize) {
        (self.leases.users(limit), self.leases.count())
    }

    /// Tells those who stand where the room stands that someone is typing.
    pub fn typing(&mut self, typing: Typing) {
        let typing = Arc::new(typing);
        self.typing.extend(self.audience.live().map(|(_, waker)| (waker.clone(), Arc::clone(&typing))));
    }

    /// Does what is due and says what is to be done outside. Call it after every input and at `deadline`.
    pub fn advance(&mut self, now: Instant) -> Effects<W> {
        self.leases.advance(now);
        self.audience.set_presence(self.leases.version());
        while let Some(change) = self.audience.next_change() {
            self.apply(&change);
        }
        let reads = std::iter::from_fn(|| self.audience.poll_read(now)).collect();
        let mut woken = Vec::new();
        self.audience.drain_woken(|waker| woken.push(waker.clone()));
        if self.is_lost() {
            woken.extend(self.audience.wakers().cloned());
        }
        self.note_idle(now);
        Effects {
            woken,
            typing: std::mem::take(&mut self.typing),
            reads,
            room_is_stale: std::mem::take(&mut self.room_is_stale),
        }
    }

    /// When `advance` is to be called though nothing came in.
    pub fn deadline(&self) -> Option<Instant> {
        let idle = self.idle_since.map(|since| since + self.idle_room);
        [self.audience.deadline(), self.leases.deadline(), idle].into_iter().flatten().min()
    }

    /// Whether nobody has been in it, or in grace, for so long that it may leave memory.
    pub fn is_idle(&self, now: Instant) -> bool {
        self.is_empty() && self.idle_since.is_some_and(|since| since + self.idle_room <= now)
    }

    /// Checks that its parts agree.
    ///
    /// # Errors
    /// A sentence that says what does not.
    pub fn check_invariants(&self) -> Result<(), String> {
        self.leases.check_invariants().map_err(|what| format!("room {}: {what}", self.place.id))
    }

    fn is_empty(&self) -> bool {
        self.audience.readers() == 0 && self.leases.is_empty()
    }

    fn note_idle(&mut self, now: Instant) {
        if !self.is_empty() {
            self.idle_since = None;
        } else if self.idle_since.is_none() {
            self.idle_since = Some(now);
        }
    }

    fn apply(&mut self, change: &Change<Fact>) {
        match change {
            Change::Delivered(entry) => {
                self.room.head = entry.cursor.seq;
                self.room.head_at = entry.event.event.created_at;
                if let Body::RoomChanged { title, topic, archived } = &entry.event.event.body {
                    self.room.title.clone_from(title);
                    self.room.topic.clone_from(topic);
                    self.room.archived = *archived;
                }
            }
            Change::Jumped { .. } => self.room_is_stale = true,
        }
    }
}

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
