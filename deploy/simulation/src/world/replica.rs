//! The room replica: its relays and its live rooms, as their tasks drive them.
//!
//! Owns the replica's lives, one after the other, and within one the live rooms and the relays' desks. Promises that
//! every input is followed through as the product's tasks do: jobs begun, reads asked, responses sent while there is
//! room. Never keeps anything over a death.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parlour_feed::{Bounds, Pools};
use parlour_proto::v1::relay_request::Frame as Up;
use parlour_room::{
    error::Error,
    hub::{lanes::Lanes, presence::Owner},
    rpc::relay::desk::{Desk, Done, Job},
    store::StoreError,
};

use super::{
    Plan, StreamId, World,
    links::IN_FLIGHT,
    rooms::{Lived, PROBE_US},
    writer::Writer,
};
use crate::store::ROOMS;

/// After how long without a word the replica takes a stream as broken.
const SILENCE_US: u64 = 5_000_000;
/// A request's deadline.
pub(super) const DEADLINE_US: u64 = 5_000_000;

/// The replica, in one of its lives.
pub(super) struct Replica {
    pub(super) life: u32,
    pub(super) is_up: bool,
    pub(super) still_until_us: u64,
    incarnation: [u8; 16],
    pub(super) pools: Pools,
    pub(super) started: Instant,
    lanes: Lanes,
    pub(super) rooms: BTreeMap<usize, Lived>,
    pub(super) writer: Writer,
}

impl Replica {
    pub(super) fn new(life: u32, incarnation: [u8; 16], bounds: Bounds, started: Instant) -> Self {
        Self {
            life,
            is_up: true,
            still_until_us: 0,
            incarnation,
            pools: Pools::new(bounds),
            started,
            lanes: Lanes::default(),
            rooms: BTreeMap::new(),
            writer: Writer::default(),
        }
    }

    pub(super) fn lives(&self, life: u32) -> bool {
        self.is_up && self.life == life
    }
}

impl World {
    /// A frame of a gateway arrives.
    pub(super) fn up(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let Some(frame) = stream.up.frames.pop_front() else { return };
        if !self.replica.is_up {
            stream.is_over_at_replica = true;
        }
        if stream.is_over_at_replica {
            if !stream.down.is_lossy && !stream.is_over_at_gateway {
                self.plan(300, Plan::DownEnds(id)); // refused, or reset
            }
            return;
        }
        stream.heard_us = self.us;
        let is_first = stream.desk.is_none();
        match (frame, is_first) {
            (Up::Attach(attach), true) => self.attach(id, &attach),
            (frame, false) => {
                let now = self.now();
                let taken =
                    self.streams.get_mut(&id).and_then(|stream| stream.desk.as_mut()?.take(frame, now).err());
                if let Some(misuse) = taken {
                    self.found("P11", format!("a gateway is said to misuse the protocol: {misuse}"));
                }
            }
            (frame, true) => self.found("P10", format!("a stream begins with {frame:?}")),
        }
        self.stop_after_frame();
        self.follow_through();
    }

    fn attach(&mut self, id: StreamId, attach: &parlour_proto::v1::Attach) {
        let now = self.now();
        let Ok(holder) = <[u8; 16]>::try_from(&attach.incarnation[..]) else { return };
        let owner = Owner { holder, lane: attach.lane, generation: attach.generation };
        let superseded = self.replica.lanes.attach(owner, now);
        let Some(stream) = self.streams.get_mut(&id) else { return };
        match superseded {
            Some(token) => {
                let (auth, settings) = (Arc::clone(&self.auth), self.settings.clone());
                let outboxes = &self.replica.pools.outboxes;
                let desk = Desk::new(owner, self.replica.incarnation, auth, settings, outboxes);
                (stream.desk, stream.superseded, stream.owner) = (Some(desk), Some(token), Some(owner));
                self.plan(SILENCE_US, Plan::Silence(id));
            }
            None => self.end_stream(id),
        }
    }

    /// The replica ends a stream, or has learnt that it is at an end.
    fn end_stream(&mut self, id: StreamId) {
        let now = self.now();
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if std::mem::replace(&mut stream.is_over_at_replica, true) {
            return;
        }
        if let Some(mut desk) = stream.desk.take() {
            desk.end(now);
            if let Some(owner) = stream.owner {
                self.replica.lanes.ended(owner, now);
            }
        }
        let (gateway, is_heard) = (stream.gateway, !stream.down.is_lossy);
        if is_heard {
            self.plan(300, Plan::DownEnds(id));
        }
        if self.gateways[gateway].stream == Some(id) {
            self.note_outage(gateway);
        }
    }

    pub(super) fn up_ends(&mut self, id: StreamId) {
        self.end_stream(id);
        self.follow_through();
        self.sweep_links();
    }

    pub(super) fn look_for_silence(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get(&id).filter(|stream| !stream.is_over_at_replica) else { return };
        let left_us = (stream.heard_us + SILENCE_US).saturating_sub(self.us);
        if left_us > 0 {
            return self.plan(left_us, Plan::Silence(id));
        }
        self.end_stream(id);
        self.follow_through();
    }

    /// Does what every input leads to, until nothing more follows.
    pub(super) fn follow_through(&mut self) {
        if !self.replica.is_up {
            return;
        }
        loop {
            for room in 0..ROOMS.len() {
                self.drive(room);
            }
            let attached = |(id, stream): (&StreamId, &super::Stream)| stream.desk.is_some().then_some(*id);
            let ids: Vec<_> = self.streams.iter().filter_map(attached).collect();
            let mut is_quiet = true;
            for id in ids {
                is_quiet &= !self.pump(id);
            }
            if is_quiet {
                return self.judge_pools();
            }
        }
    }

    /// What a stream's task does; whether it did anything.
    fn pump(&mut self, id: StreamId) -> bool {
        let now = self.now();
        let Some(stream) = self.streams.get_mut(&id) else { return false };
        let Some(desk) = &mut stream.desk else { return false };
        if stream.superseded.as_ref().is_some_and(|token| token.is_cancelled()) {
            if !std::mem::replace(&mut stream.is_ending, true) {
                let after_us = if self.mishap(3) { 1 + self.chance.below(60_000) } else { 20 };
                self.plan(after_us, Plan::UpEnds(id));
            }
            return false;
        }
        desk.take_marks();
        let jobs: Vec<_> = std::iter::from_fn(|| desk.next_job()).collect();
        let mut responses = Vec::new();
        while stream.down.frames.len() + responses.len() < IN_FLIGHT
            && let Some(response) = desk.response(now)
        {
            responses.push(response);
        }
        let is_over = desk.is_overflowed() || desk.is_full();
        let has_done = !jobs.is_empty() || !responses.is_empty();
        for job in jobs {
            self.begin_job(id, job);
        }
        for response in responses {
            self.send_down(id, response);
        }
        if is_over {
            self.found("P8", "a relay's answers do not fit".to_owned());
        }
        has_done
    }

    fn begin_job(&mut self, id: StreamId, job: Job) {
        let life = self.replica.life;
        match job {
            Job::Load(key, name, wait) => {
                let wait_us = u64::try_from(wait.as_micros()).unwrap_or(0);
                let live = self.store.number(name.as_str()).and_then(|room| self.replica.rooms.get(&room));
                let (loaded, after_us) = match (live, self.store.number(name.as_str())) {
                    (Some(live), _) if wait_us == 0 => (Ok(Arc::clone(&live.room)), 5),
                    (_, None) => (Err(Error::RoomNotFound), 1_000),
                    (_, Some(room)) => match self.read_fails() {
                        false => (Ok(self.live(room)), wait_us + self.read_us()),
                        true => (Err(Error::TimedOut), wait_us + self.read_us()),
                    },
                };
                self.plan(after_us, Plan::Done(life, id, 0, Box::new(Done::Loaded(key, loaded))));
            }
            Job::Send(session, request, send) => self.submit(id, session, request, *send),
        }
    }

    pub(super) fn done(&mut self, life: u32, id: StreamId, job: u64, done: Done) {
        if !self.replica.lives(life) || (job != 0 && !self.replica.writer.answer(job)) {
            return;
        }
        let now = self.now();
        if let Some(desk) = self.streams.get_mut(&id).and_then(|stream| stream.desk.as_mut()) {
            desk.done(done, now);
        }
        self.follow_through();
    }

    /// The replica dies.
    pub(super) fn replica_dies(&mut self, back_ms: u64) {
        if !self.replica.is_up {
            return;
        }
        self.replica.is_up = false;
        self.replica.still_until_us = 0;
        self.lose_batch();
        self.replica.rooms.clear();
        let ids: Vec<_> = self.streams.keys().copied().collect();
        for id in ids {
            let Some(stream) = self.streams.get_mut(&id) else { continue };
            if std::mem::replace(&mut stream.is_over_at_replica, true) {
                continue;
            }
            (stream.desk, stream.superseded) = (None, None); // nobody is told anything any more
            stream.up.frames.clear();
            if !stream.down.is_lossy {
                let after_us = self.delay(1_000);
                self.plan(after_us, Plan::DownEnds(id));
            }
        }
        self.note_outages();
        let life = self.replica.life + 1;
        self.plan(back_ms * 1_000, Plan::ReplicaBack(life));
    }

    pub(super) fn replica_back(&mut self, life: u32) {
        if self.replica.is_up || life != self.replica.life + 1 {
            return;
        }
        let incarnation = self.chance.id();
        self.replica = Replica::new(life, incarnation, self.settings.bounds, self.now());
        let after_us = self.chance.below(PROBE_US);
        self.plan(after_us, Plan::Probe(life));
    }

    /// Checks that the parts of the replica agree.
    pub(super) fn check_replica(&mut self) {
        let now = self.now();
        let mut rooms = self.replica.rooms.values();
        let wrong = rooms.find_map(|lived| lived.room.with_at(now, |live| live.check_invariants()).err());
        if let Some(wrong) = wrong {
            self.found("P7", wrong);
        }
    }
}

/// How a failed store is spoken of.
pub(super) fn store_failed() -> Error {
    Error::Store(StoreError::Unavailable("the simulation says so".to_owned()))
}

/// A moment, as long as a plan may wait at most.
pub(super) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
