//! The clients of a run, and what they share.
//!
//! Owns the world that every client acts in: where to connect, the rooms, the truth, the record, the phase. Promises
//! that all of it is bounded by the number of clients, rooms and events (P8). Never acts by itself.

pub(crate) mod chat;
mod comparing;
pub(crate) mod doing;
pub(crate) mod full;
pub(crate) mod hearing;
pub(crate) mod link;
pub(crate) mod outbox;
pub(crate) mod plain;
pub(crate) mod socket;

pub(crate) use chat::Chat;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{mpsc, watch};

use crate::{
    config::Address,
    judge::{
        Breach, Promise,
        audit::Sent,
        doubts::{Doubt, Doubts},
        ledger::Ledger,
        reader::Reader,
        view::{Difference, Present},
    },
    plan::Names,
    record::Record,
    truth::Truth,
};

/// What everybody does now. Phases follow each other in this order.
#[derive(Clone, Debug)]
pub(crate) enum Phase {
    /// Clients talk, part and return.
    Talk,
    /// Nobody says anything new; what has no answer is said until it has.
    Hush,
    /// Everybody is connected, and takes their last place.
    Settle,
    /// Everybody reads up to these heads.
    Catch(Arc<Vec<u64>>),
    /// Everybody compares what they were told with what is, until it is the same or will never be.
    Compare(Arc<Comparison>),
    /// Everybody goes.
    Part,
}

impl Phase {
    /// Its place in the order.
    pub(crate) const fn number(&self) -> u8 {
        match self {
            Self::Talk => 0,
            Self::Hush => 1,
            Self::Settle => 2,
            Self::Catch(_) => 3,
            Self::Compare(..) => 4,
            Self::Part => 5,
        }
    }
}

/// How everything is at the end.
#[derive(Clone, Debug)]
pub(crate) struct Comparison {
    /// When nothing had changed for a while.
    pub(crate) since: Duration,
    /// Each room.
    pub(crate) rooms: Vec<Last>,
}

impl Comparison {
    /// How long a difference may last: the promise is two seconds, and the lease after a crash, on a machine that has
    /// time for it. What is true at once is compared at once.
    pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

    /// Whether what is different by then will not change any more.
    pub(crate) fn is_final(&self, difference: &Difference, now: Duration) -> bool {
        now >= self.since + Self::PATIENCE && now >= difference.until
    }

    /// Until when anything may still change.
    pub(crate) fn ends(&self) -> Duration {
        let lingering = self.rooms.iter().flat_map(|room| room.present.lingering.values());
        lingering.copied().fold(self.since + Self::PATIENCE, Duration::max)
    }
}

/// How a room is at the end.
#[derive(Clone, Debug)]
pub(crate) struct Last {
    /// The log's last seq.
    pub(crate) head: u64,
    /// Who is there.
    pub(crate) present: Present,
}

/// A room of the run.
#[derive(Debug)]
pub(crate) struct Room {
    /// Its name.
    pub(crate) name: String,
    ledger: Mutex<Ledger>,
}

impl Room {
    /// One of which nothing was seen yet.
    pub(crate) fn new(name: String) -> Self {
        Self { name, ledger: Mutex::default() }
    }

    /// What was seen of it.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What all clients of a run share.
#[derive(Debug)]
pub(crate) struct World {
    /// The gateways of the installation.
    pub(crate) gateways: Vec<Address>,
    /// Its room service.
    pub(crate) grpc: Option<Address>,
    pub(crate) names: Names,
    pub(crate) rooms: Vec<Room>,
    pub(crate) seed: u64,
    /// How many messages a second each client says.
    pub(crate) rate: f64,
    /// How much the installation replays.
    pub(crate) replay_events: u64,
    pub(crate) record: Record,
    pub(crate) phase: watch::Receiver<Phase>,
    /// Where a client says that it has done all that a phase asks.
    pub(crate) ready: mpsc::Sender<(usize, u8)>,
    truth: Mutex<Truth>,
    doubts: Mutex<Doubts>,
}

/// What a world is made of.
pub(crate) struct Making {
    pub(crate) gateways: Vec<Address>,
    pub(crate) grpc: Option<Address>,
    pub(crate) names: Names,
    pub(crate) rooms: usize,
    pub(crate) seed: u64,
    pub(crate) rate: f64,
    pub(crate) replay_events: u64,
    pub(crate) truth: Truth,
    pub(crate) phase: watch::Receiver<Phase>,
    pub(crate) ready: mpsc::Sender<(usize, u8)>,
}

impl World {
    /// A world in which nothing has happened.
    pub(crate) fn new(making: Making) -> Self {
        let Making { gateways, grpc, names, rooms, seed, rate, replay_events, truth, phase, ready } = making;
        let rooms = (0..rooms).map(|room| Room::new(names.room(room))).collect();
        let (record, truth, doubts) = (Record::new(), Mutex::new(truth), Mutex::default());
        Self { gateways, grpc, names, rooms, seed, rate, replay_events, record, phase, ready, truth, doubts }
    }

    /// Who is really where.
    pub(crate) fn truth(&self) -> MutexGuard<'_, Truth> {
        self.truth.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A room's number.
    pub(crate) fn room(&self, name: &str) -> Option<usize> {
        self.rooms.iter().position(|room| room.name == name)
    }

    /// Since the start.
    pub(crate) fn now(&self) -> Duration {
        self.record.elapsed()
    }

    /// A session was told that somebody left: they must have, or be known to have soon.
    pub(crate) fn doubt(&self, doubt: Doubt) {
        self.record.tried(Promise::P7, 1);
        if !self.is_explained(&doubt, doubt.at) {
            self.doubts.lock().unwrap_or_else(PoisonError::into_inner).push(doubt);
        }
    }

    fn is_explained(&self, doubt: &Doubt, now: Duration) -> bool {
        let absences = self.truth().absences(&doubt.user, doubt.room, doubt.begun, now);
        absences.is_none_or(|absences| doubt.told <= absences)
    }

    /// Judges what nobody could explain in time; `is_over` where nothing more will be known.
    pub(crate) fn judge_doubts(&self, is_over: bool) {
        let now = self.now();
        let next = || self.doubts.lock().unwrap_or_else(PoisonError::into_inner).pop(now, is_over);
        while let Some(doubt) = next() {
            if self.is_explained(&doubt, now) {
                continue;
            }
            let Doubt { room, client, user, told, at, mut frames, .. } = doubt;
            let what = format!("told {told} times by {} ms that {user} left, who was there", at.as_millis());
            frames.extend(self.truth().trail(&user, room));
            let breach = Breach::of(Promise::P7, what);
            self.record.breach(breach, Some(&self.rooms[room].name), Some(&client), frames);
        }
    }

    /// Records a breach that a client saw in a room.
    pub(crate) fn accuse(&self, client: &str, room: usize, reader: &Reader, result: Result<(), Breach>) {
        if let Err(breach) = result {
            self.record.breach(breach, Some(&self.rooms[room].name), Some(client), reader.frames());
        }
    }
}

/// What a client leaves behind.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Its number.
    pub(crate) client: usize,
    /// Its messages.
    pub(crate) book: Vec<Sent>,
}
