//! The clients of a run, and what they share.
//!
//! Owns the world that every client acts in: where to connect, the rooms, the truth, the record, the phase. Promises
//! that all of it is bounded by the number of clients, rooms and events (P8). Never acts by itself.

pub(crate) mod chat;
pub(crate) mod doing;
pub(crate) mod full;
pub(crate) mod hearing;
pub(crate) mod link;
pub(crate) mod outbox;
pub(crate) mod plain;
pub(crate) mod socket;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{mpsc, watch};

use crate::{
    config::Address,
    judge::{Breach, audit::Sent, ledger::Ledger, reader::Reader},
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
    /// Everybody compares what they were told with what is.
    Compare(Arc<Vec<Last>>),
}

impl Phase {
    /// Its place in the order.
    pub(crate) const fn number(&self) -> u8 {
        match self {
            Self::Talk => 0,
            Self::Hush => 1,
            Self::Settle => 2,
            Self::Catch(_) => 3,
            Self::Compare(_) => 4,
        }
    }
}

/// How a room is at the end.
#[derive(Clone, Debug)]
pub(crate) struct Last {
    /// The log's last seq.
    pub(crate) head: u64,
    /// Who is there.
    pub(crate) present: BTreeSet<String>,
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
        let (record, truth) = (Record::new(), Mutex::new(truth));
        Self { gateways, grpc, names, rooms, seed, rate, replay_events, record, phase, ready, truth }
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
