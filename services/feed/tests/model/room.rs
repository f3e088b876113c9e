//! One hop in tests: an Audience between a bad link, a bad store and moody readers.
//!
//! Owns the links, the reads on their way and the readers. Promises to wake a reader only when the Audience says so, and
//! to check the promises at every step. Never helps: what is dropped stays dropped.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    time::{Duration, Instant},
};

use parlour_feed::{
    Audience, Budget, Change, Cursor, Entry, Hint, Limits, LogRead, Pools, Read, ReaderId, ReaderKind,
    ResyncReason, Seq, Step, Verdict,
};

use super::{Judge, Log, Shared};

pub(crate) fn small_limits() -> Limits {
    Limits {
        ring_events: 6,
        ring_bytes: 90,
        replay_events: 25,
        pending_events: 3,
        read_events: 5,
        page_events: 4,
        pages_in_flight: 2,
        pages_bytes: 60,
        page_reserve: 4 * HEAVIEST,
        ..Limits::default()
    }
}

/// The heaviest event of these tests.
pub(crate) const HEAVIEST: usize = 20;

pub(crate) struct Room {
    pub(crate) log: Log,
    pub(crate) audience: Audience<Shared, usize>,
    pub(crate) now: Instant,
    pub(crate) link: Vec<Hint<Shared>>,
    asked: Vec<Read>,
    answers: Vec<(Read, LogRead<Shared>)>,
    pub(crate) readers: Vec<Option<Sim>>,
    woken: RefCell<BTreeSet<usize>>,
    follower: Judge,
    limits: Limits,
    presence: Option<u64>,
    /// What the driver sleeps until: it looks again only when it is woken.
    alarm: Option<Instant>,
    pub(crate) resyncs: u64,
    given: Vec<Entry<Shared>>,
}

pub(crate) struct Sim {
    pub(crate) id: ReaderId,
    judge: Judge,
    kind: ReaderKind,
    joined: u64,
    presence: Option<u64>,
}

impl Room {
    pub(crate) fn new(limits: Limits, before: usize, seed: u64) -> Self {
        Self::within(limits, before, seed, &Pools::default())
    }

    pub(crate) fn within(limits: Limits, before: usize, seed: u64, pools: &Pools) -> Self {
        let mut log = Log::new();
        (0..before).for_each(|_| drop(log.append(3)));
        let audience = Audience::new(log.head(), limits.clone(), seed).within(pools);
        let follower = Judge::at(&log, log.head());
        Self {
            log,
            audience,
            now: Instant::now(),
            link: Vec::new(),
            asked: Vec::new(),
            answers: Vec::new(),
            readers: Vec::new(),
            woken: RefCell::default(),
            follower,
            limits,
            presence: None,
            alarm: None,
            resyncs: 0,
            given: Vec::new(),
        }
    }

    pub(crate) fn append(&mut self, weight: usize) {
        let hint = self.log.append(weight);
        self.link.push(hint);
    }

    /// An append of this hop's own: its hint passes no link.
    pub(crate) fn append_own(&mut self, weight: usize) {
        let hint = self.log.append(weight);
        self.link.push(hint.clone());
        self.audience.hint(Hint { own: true, ..hint }, self.now);
        self.settle();
    }

    pub(crate) fn deliver(&mut self, nth: usize, stays: bool) {
        if self.link.is_empty() {
            return;
        }
        let nth = nth % self.link.len();
        let hint = if stays { self.link[nth].clone() } else { self.link.remove(nth) };
        self.audience.hint(hint, self.now);
        self.settle();
    }

    pub(crate) fn drop_hint(&mut self, nth: usize) {
        if !self.link.is_empty() {
            self.link.remove(nth % self.link.len());
        }
    }

    pub(crate) fn say_head(&mut self, head: Cursor) {
        self.audience.head(head, self.now);
        self.settle();
    }

    /// The store carries a read out, though the answer is still on its way; `cut` events at most.
    pub(crate) fn carry_out(&mut self, nth: usize, cut: usize) {
        if self.asked.is_empty() {
            return;
        }
        let read = self.asked.remove(nth % self.asked.len());
        let answer = self.log.read(read.after, read.limit.min(cut.max(1)));
        self.answers.push((read, answer));
    }

    pub(crate) fn answer(&mut self, nth: usize, fails: bool) {
        if self.answers.is_empty() {
            return;
        }
        let (read, answer) = self.answers.remove(nth % self.answers.len());
        self.audience.read_done(read, if fails { LogRead::Failed } else { answer }, self.now);
        self.settle();
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.settle();
    }

    pub(crate) fn join(&mut self, kind: ReaderKind, at: Option<Cursor>) {
        let nth = self.readers.iter().position(Option::is_none).unwrap_or(self.readers.len());
        self.readers.resize_with(self.readers.len().max(nth + 1), || None);
        self.woken.borrow_mut().remove(&nth);
        let stands = at.unwrap_or(self.audience.position());
        let id = self.audience.join(kind, at, nth);
        assert_eq!(self.audience.reader_position(id), Some(stands));
        let judge = Judge::at(&self.log, stands);
        self.readers[nth] = Some(Sim { id, judge, kind, joined: self.audience.pages_read(), presence: None });
        self.settle();
    }

    pub(crate) fn leave(&mut self, nth: usize) {
        let Some(sim) = self.sim(nth).and_then(|nth| self.readers[nth].take()) else { return };
        assert!(self.audience.leave(sim.id).is_some());
        assert!(self.audience.leave(sim.id).is_none(), "leaving twice does no harm");
        let step = self.audience.step(sim.id, Budget { events: 1, bytes: 1 }, self.now, &mut self.given);
        assert_eq!((step, self.given.len()), (Step::Nothing, 0), "nor does a step after it");
        self.settle();
    }

    /// Steps one reader, woken or not.
    pub(crate) fn step(&mut self, nth: usize, budget: Budget) {
        if let Some(nth) = self.sim(nth) {
            self.step_one(nth, budget);
        }
    }

    pub(crate) fn verify(&mut self, nth: usize) {
        let Some(nth) = self.sim(nth) else { return };
        let id = self.readers[nth].as_ref().expect("a reader that is there").id;
        let at = self.audience.reader_position(id).expect("it has joined");
        if let Verdict::Resync { cursor, reason } = self.audience.verify(id, self.now) {
            self.resynced(nth, at, cursor, reason);
        }
        self.settle();
    }

    pub(crate) fn set_presence(&mut self) {
        let version = self.presence.map_or(0, |version| version + 1);
        self.presence = Some(version);
        self.audience.set_presence(version);
        self.settle();
    }

    pub(crate) fn shed_presence(&mut self, nth: usize) {
        let Some(nth) = self.sim(nth) else { return };
        let sim = self.readers[nth].as_mut().expect("a reader that is there");
        sim.presence = None;
        self.audience.owe_presence(sim.id);
        self.settle();
    }

    pub(crate) fn shrink(&mut self, bytes: usize) {
        self.audience.shrink_ring(bytes);
        assert!(self.audience.ring().bytes() <= bytes);
        self.settle();
    }

    /// The link falls silent, reads succeed, and a last event is told by a head: everybody must get there.
    pub(crate) fn quiesce(&mut self) {
        quiesce_together(std::slice::from_mut(self));
    }

    fn hush(&mut self) {
        self.link.clear();
        self.log.append(3);
        self.say_head(self.log.head());
    }

    /// Does what there is to do, or goes to the next deadline; whether there was anything.
    fn goes_on(&mut self) -> bool {
        while !self.asked.is_empty() {
            self.carry_out(0, usize::MAX);
        }
        while !self.answers.is_empty() {
            self.answer(0, false);
        }
        let woken = std::mem::take(&mut *self.woken.borrow_mut());
        for nth in &woken {
            self.step_out(*nth);
        }
        if !woken.is_empty() || !self.asked.is_empty() {
            return true;
        }
        let Some(deadline) = self.alarm else { return false };
        assert!(deadline > self.now, "a deadline that has passed brings something");
        self.now = deadline;
        self.settle();
        true
    }

    fn check_rest(&self) {
        assert_eq!(self.audience.position(), self.log.head(), "P3: the Follower is whole");
        for sim in self.readers.iter().flatten() {
            assert_eq!(
                self.audience.reader_position(sim.id),
                Some(self.log.head()),
                "P3: every reader is whole"
            );
            assert!(self.audience.is_live(sim.id));
            assert_eq!(sim.presence, self.presence, "every reader was told presence");
        }
        assert_eq!(self.audience.live().count(), self.audience.readers());
        assert_eq!(self.audience.pages_bytes(), 0, "what was kept has been let go");
    }

    fn sim(&self, nth: usize) -> Option<usize> {
        let present: Vec<_> = (0..self.readers.len()).filter(|nth| self.readers[*nth].is_some()).collect();
        (!present.is_empty()).then(|| present[nth % present.len()])
    }

    fn step_out(&mut self, nth: usize) {
        while self.readers[nth].is_some() && self.step_one(nth, Budget { events: 3, bytes: 30 }) {}
    }

    fn step_one(&mut self, nth: usize, budget: Budget) -> bool {
        let sim = self.readers[nth].as_mut().expect("a reader that is there");
        let at = self.audience.reader_position(sim.id).expect("it has joined");
        let step = self.audience.step(sim.id, budget, self.now, &mut self.given);
        assert!(self.given.len() <= budget.events.max(1), "P8: within the budget");
        assert_eq!(self.given.is_empty(), step != Step::Events);
        let stands = self.audience.position().seq;
        assert!(self.given.iter().all(|entry| entry.cursor.seq <= stands), "cut where the Follower stands");
        self.given.drain(..).for_each(|entry| sim.judge.takes(&entry));
        match step {
            Step::Nothing | Step::Events => {}
            Step::Presence { told, now } => {
                assert!(self.audience.is_live(sim.id), "presence is for the live");
                assert_eq!((told, Some(now)), (sim.presence, self.presence));
                sim.presence = Some(now);
            }
            Step::Head(head) => {
                assert_eq!((sim.kind, head), (ReaderKind::Hints, self.audience.position()));
                sim.judge = Judge::at(&self.log, head);
            }
            Step::Resync { cursor, reason } => self.resynced(nth, at, cursor, reason),
        }
        self.settle();
        step != Step::Nothing
    }

    fn resynced(&mut self, nth: usize, at: Cursor, cursor: Cursor, reason: ResyncReason) {
        self.resyncs += 1;
        let sim = self.readers[nth].as_mut().expect("a reader that is there");
        assert_eq!(sim.kind, ReaderKind::Log, "a relay is told the head");
        assert_eq!(cursor, self.audience.position(), "live from where the Follower stands");
        match reason {
            ResyncReason::TooFar => {
                assert!(cursor.seq - at.seq > self.limits.replay_events, "it was not too far")
            }
            ResyncReason::OtherLog | ResyncReason::Ahead => {
                assert!(!self.log.holds(at), "a false resync: {at:?} is of the log ({reason:?})");
            }
        }
        sim.judge = Judge::at(&self.log, cursor);
    }

    /// What the owner does after every input.
    fn settle(&mut self) {
        while let Some(change) = self.audience.next_change() {
            match change {
                Change::Delivered(entry) => self.follower.takes(&entry),
                Change::Jumped { to, .. } => self.follower = Judge::at(&self.log, to),
            }
        }
        if self.audience.is_poll_due() || self.alarm.is_some_and(|alarm| alarm <= self.now) {
            while let Some(read) = self.audience.poll_read(self.now) {
                self.asked.push(read);
            }
            self.alarm = self.audience.deadline();
            assert!(self.alarm.is_none_or(|alarm| alarm > self.now), "a driver that spins");
        }
        let is_late = self.audience.deadline().is_some_and(|due| self.alarm.is_none_or(|alarm| alarm > due));
        assert!(!is_late, "a deadline has come nearer and the driver was not told");
        assert!(!self.audience.is_poll_due());
        let woken = &self.woken;
        self.audience.drain_woken(|nth| {
            assert!(self.readers[*nth].is_some(), "only who is there is woken");
            woken.borrow_mut().insert(*nth);
        });
        self.check_bounds();
    }

    fn check_bounds(&self) {
        let (ring, limits) = (self.audience.ring(), &self.limits);
        assert_eq!(ring.end(), self.audience.position(), "the ring ends where the Follower stands");
        assert!(ring.len() <= limits.ring_events && ring.bytes() <= limits.ring_bytes, "P8: the ring");
        let most = limits.pages_bytes + limits.pages_in_flight * limits.page_events * HEAVIEST;
        assert!(self.audience.pages_bytes() <= most, "P8: the pages");
        assert!(self.audience.pending() <= limits.pending_events, "P8: the hints from beyond a gap");
        assert!(self.asked.len() + self.answers.len() <= limits.pages_in_flight + 1, "P8: the reads");
    }
}

/// The same for rooms of one process.
pub(crate) fn quiesce_together(rooms: &mut [Room]) {
    rooms.iter_mut().for_each(Room::hush);
    let mut rounds = 0;
    // Each has its turn in a round, whatever the others did.
    while rooms.iter_mut().map(Room::goes_on).filter(|goes_on| *goes_on).count() > 0 {
        rounds += 1;
        assert!(rounds < 5_000, "P3: it never comes to rest");
    }
    rooms.iter().for_each(Room::check_rest);
}

/// A cursor that never was: ahead, or with a check of nobody's.
pub(crate) fn forged(seq: Seq, check: u32) -> Cursor {
    Cursor { check: parlour_feed::Check(check), seq }
}
