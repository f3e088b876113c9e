//! A room as this gateway's sessions read it.
//!
//! Owns the room's Audience over its Follower, the fold of its presence, and what is known of the room itself. Promises
//! that every input is followed through: changes acted upon, readers woken. Never waits, reads a clock or knows a socket.

use std::{sync::Arc, time::Instant};

use parlour_feed::{
    Audience, Budget, Cursor, Entry, Hint, Limits, LogRead, Pools, Read, ReaderId, ReaderKind, Ring, Step,
    follower::{Change, Counters},
};
use parlour_proto::v1 as proto;
use parlour_proto::v1::event::Kind;

use super::{
    event::{Id, RoomEvent, TypingNotice},
    inbox::Wake,
    presence::Fold,
};

/// What the room service said when it began to send a room's events.
#[derive(Debug)]
pub struct Start {
    /// The room itself.
    pub info: proto::RoomInfo,
    /// Where the events follow from, or the head.
    pub position: Cursor,
    /// Who is here.
    pub presence: proto::Presence,
    /// Whether the replica may not know everybody yet.
    pub settling: bool,
}

/// A room that is followed.
#[derive(Debug)]
struct Live {
    audience: Audience<Arc<RoomEvent>, Arc<Wake>>,
    info: proto::RoomInfo,
    /// Those for whom there is something, and who may be given it without being woken.
    waiting: Vec<Arc<Wake>>,
}

/// A room's feed: nothing until it is followed, then for as long as somebody is there.
#[derive(Debug)]
pub struct Feed {
    live: Option<Live>,
    fold: Fold,
    limits: Arc<Limits>,
    pools: Pools,
    seed: u64,
    /// No stream says what happens here: until one does, the log is not asked.
    is_paused: bool,
}

impl Feed {
    /// Nothing is known of the room yet.
    pub fn new(room: Arc<str>, limits: impl Into<Arc<Limits>>, names_limit: usize, seed: u64) -> Self {
        Self {
            live: None,
            fold: Fold::new(room, names_limit),
            limits: limits.into(),
            pools: Pools::default(),
            seed,
            is_paused: false,
        }
    }

    /// Counts what it holds among what all rooms hold, from when it is followed.
    pub fn share_in(&mut self, pools: &Pools) {
        self.pools = pools.clone();
    }

    /// When a reader last took from its ring.
    pub fn ring_read(&self) -> Option<Instant> {
        self.live.as_ref()?.audience.ring_read()
    }

    /// Lets that many bytes of its ring go, or what there is: readers find them in the log.
    pub fn shrink_ring(&mut self, bytes: usize) {
        if let Some(live) = &mut self.live {
            let held = live.audience.ring().bytes();
            live.audience.shrink_ring(held.saturating_sub(bytes));
        }
    }

    /// The stream that followed the room has ended.
    pub fn pause(&mut self) {
        self.is_paused = true;
    }

    /// The room is followed, for the first time or once more: then the position is a head.
    pub fn start(&mut self, start: Start, now: Instant) {
        self.is_paused = false;
        match &mut self.live {
            Some(live) => {
                live.info = start.info;
                #[cfg(feature = "planted-mistakes")]
                if parlour_feed::planted::makes(parlour_feed::planted::Mistake::ReattachFromTheHead) {
                    live.audience.jump_to(start.position);
                }
                live.audience.log_head(start.position, live.audience.position().seq, now);
            }
            None => {
                let audience =
                    Audience::new(start.position, Arc::clone(&self.limits), self.seed).within(&self.pools);
                self.live = Some(Live { audience, info: start.info, waiting: Vec::new() });
            }
        }
        self.presence(start.presence, start.settling, now);
    }

    /// Takes events as they come over the link.
    pub fn hints(&mut self, hints: Vec<Hint<Arc<RoomEvent>>>, now: Instant) {
        let Some(live) = &mut self.live else { return };
        for hint in hints {
            live.audience.hint(hint, now);
        }
        live.follow_through();
    }

    /// Takes how far the room is. The stream keeps its order, so one that is behind where this hop stands tells of a
    /// replica that lags or of a log that was replaced: the log decides.
    pub fn head(&mut self, head: Cursor, now: Instant) {
        if let Some(live) = &mut self.live {
            live.audience.log_head(head, live.audience.position().seq, now);
            live.follow_through();
        }
    }

    /// Takes who is here, or how that changed.
    pub fn presence(&mut self, presence: proto::Presence, settling: bool, now: Instant) {
        self.fold.apply(presence, settling, now);
        self.tell_presence();
    }

    /// Tells everybody who is live, but the one whose it is, that someone is typing.
    pub fn typing(&self, from: Option<Id>, notice: &Arc<TypingNotice>) {
        let Some(live) = &self.live else { return };
        for (_, wake) in live.audience.live().filter(|(_, wake)| Some(wake.session()) != from) {
            wake.inbox().typing(notice);
        }
    }

    /// Adds a reader, at a cursor that need not be right or where the room stands. `None` while it is not followed.
    pub fn join(&mut self, at: Option<Cursor>, wake: Arc<Wake>) -> Option<ReaderId> {
        let version = self.fold.mark().version;
        let live = self.live.as_mut()?;
        let reader = live.audience.join(ReaderKind::Log, at, Arc::clone(&wake));
        wake.belong(reader);
        live.audience.presence_told(reader, version);
        live.follow_through();
        Some(reader)
    }

    /// Ends a reader, wherever it stands.
    pub fn leave(&mut self, reader: ReaderId) {
        if let Some(live) = &mut self.live {
            drop(live.audience.leave(reader));
        }
    }

    /// What the reader may take now.
    pub fn step(
        &mut self,
        reader: ReaderId,
        budget: Budget,
        now: Instant,
        into: &mut Vec<Entry<Arc<RoomEvent>>>,
    ) -> Step {
        self.live.as_mut().map_or(Step::Nothing, |live| live.audience.step(reader, budget, now, into))
    }

    /// Those for whom there is something, and whom the driver is to hand it, or else to wake.
    pub fn take_waiting(&mut self) -> Vec<Arc<Wake>> {
        self.live.as_mut().map(|live| std::mem::take(&mut live.waiting)).unwrap_or_default()
    }

    /// Gives a reader all that it lacks, where that is nothing but events of the ring and `accept` takes them.
    pub fn catch_up(
        &mut self,
        reader: ReaderId,
        now: Instant,
        accept: impl FnOnce(Cursor, &Ring<Arc<RoomEvent>>) -> bool,
    ) -> bool {
        self.live.as_mut().is_none_or(|live| live.audience.catch_up(reader, now, accept))
    }

    /// Whether `poll_read` may have something to say since it said `None`: only then need the driver look.
    pub fn is_poll_due(&self) -> bool {
        self.live.as_ref().is_some_and(|live| live.audience.is_poll_due())
    }

    /// What must be read from the log now.
    pub fn poll_read(&mut self, now: Instant) -> Option<Read> {
        if self.is_paused {
            return None;
        }
        let read = self.live.as_mut()?.audience.poll_read(now);
        if let Some(live) = &mut self.live {
            live.follow_through();
        }
        read
    }

    /// Takes the log's answer.
    pub fn read_done(&mut self, read: Read, answer: LogRead<Arc<RoomEvent>>, now: Instant) {
        if let Some(live) = &mut self.live {
            live.audience.read_done(read, answer, now);
            live.follow_through();
        }
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Instant) {
        self.fold.forget(now);
        if self.fold.tick(now) {
            self.tell_presence();
        }
    }

    /// When `poll_read` and `tick` are to be called though nothing came in.
    pub fn deadline(&self) -> Option<Instant> {
        let reading = self.live.as_ref().filter(|_| !self.is_paused);
        let audience = reading.and_then(|live| live.audience.deadline());
        [audience, self.fold.deadline(), self.fold.forget_due()].into_iter().flatten().min()
    }

    /// Where the room stands here; `None` while it is not followed.
    pub fn position(&self) -> Option<Cursor> {
        self.live.as_ref().map(|live| live.audience.position())
    }

    /// How many events its ring holds.
    pub fn ring_len(&self) -> usize {
        self.live.as_ref().map_or(0, |live| live.audience.ring().len())
    }

    /// Where a reader stands.
    pub fn reader_position(&self, reader: ReaderId) -> Option<Cursor> {
        self.live.as_ref()?.audience.reader_position(reader)
    }

    /// Whether a reader stands where the room stands.
    pub fn is_live(&self, reader: ReaderId) -> bool {
        self.live.as_ref().is_some_and(|live| live.audience.is_live(reader))
    }

    /// The room itself, as far as its events have been read; `None` while it is not followed.
    pub fn info(&self) -> Option<&proto::RoomInfo> {
        self.live.as_ref().map(|live| &live.info)
    }

    /// Who is here.
    pub fn fold(&mut self) -> &mut Fold {
        &mut self.fold
    }

    /// What has been counted.
    pub fn counters(&self) -> Counters {
        self.live.as_ref().map(|live| live.audience.counters()).unwrap_or_default()
    }

    fn tell_presence(&mut self) {
        let version = self.fold.mark().version;
        if let Some(live) = &mut self.live {
            live.audience.set_presence(version);
            live.follow_through();
        }
    }
}

impl Live {
    fn follow_through(&mut self) {
        while let Some(change) = self.audience.next_change() {
            if let Change::Delivered(entry) = change
                && let Some(Kind::RoomChanged(changed)) = &entry.event.event.kind
                && let Some(info) = changed.data.as_ref().and_then(|data| data.info.as_ref())
            {
                self.info = info.clone();
            }
        }
        let waiting = &mut self.waiting;
        self.audience.drain_woken(|wake| match wake.direct() {
            Some(_) => waiting.push(Arc::clone(wake)),
            None => wake.wake(),
        });
    }
}
