//! The replica's writer, and the store's ways of failing beneath it.
//!
//! Owns what waits to be committed and whose answer it is. Promises P1 of the model: a batch is committed, then heard of,
//! then answered, unless something dies in between. Never gives an answer twice.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use parlour_room::{
    domain::{event::Draft, ids::SessionId},
    error::Error,
    rooms::{Place, RoomRef, Send, Sent},
    rpc::relay::desk::Done,
    store::Appended,
};

use super::{
    Plan, StreamId, World,
    replica::{DEADLINE_US, store_failed},
};

/// Drafts of a batch.
const BATCH: usize = 256;

/// A draft that waits.
pub(super) struct Waiting {
    stream: StreamId,
    session: SessionId,
    request: u64,
    job: u64,
    room: usize,
    draft: Draft,
}

/// The writer.
#[derive(Default)]
pub(super) struct Writer {
    queue: VecDeque<Waiting>,
    committing: Vec<Waiting>,
    open: BTreeSet<u64>,
    last_job: u64,
}

impl Writer {
    /// Whether that job was not answered before; it is now.
    pub(super) fn answer(&mut self, job: u64) -> bool {
        self.open.remove(&job)
    }
}

impl World {
    /// A send comes to the rooms' verbs.
    pub(super) fn submit(&mut self, stream: StreamId, session: SessionId, request: u64, send: Send) {
        let life = self.replica.life;
        let number = match &send.room {
            RoomRef::Name(name) => self.store.number(name.as_str()),
            RoomRef::Id(id) => self.store.number_of(id),
        };
        self.replica.writer.last_job += 1;
        let job = self.replica.writer.last_job;
        self.replica.writer.open.insert(job);
        let Some(room) = number else {
            let done = Done::Sent(session, request, Err(Error::RoomNotFound));
            return self.plan(1_000, Plan::Done(life, stream, job, Box::new(done)));
        };
        if self.mishap(40) {
            let retry_after = super::replica::ms(self.chance.between(20, 400));
            let done = Done::Sent(session, request, Err(Error::RateLimited { retry_after }));
            return self.plan(50, Plan::Done(life, stream, job, Box::new(done)));
        }
        let draft = send.into_draft(self.store.id(room).clone());
        self.replica.writer.queue.push_back(Waiting { stream, session, request, job, room, draft });
        let late = Done::Sent(session, request, Err(Error::TimedOut));
        self.plan(DEADLINE_US, Plan::Done(life, stream, job, Box::new(late)));
        self.begin_commit();
    }

    fn begin_commit(&mut self) {
        let writer = &mut self.replica.writer;
        if !writer.committing.is_empty() || writer.queue.is_empty() {
            return;
        }
        let most = writer.queue.len().min(BATCH);
        writer.committing = writer.queue.drain(..most).collect();
        let after_us = 300 + self.faults.slow_us(self.us) + self.delay(2_500);
        let life = self.replica.life;
        self.plan(after_us, Plan::Commit(life));
    }

    /// A batch is committed, or is not, or is and nobody can tell.
    pub(super) fn commit(&mut self, life: u32) {
        if !self.replica.lives(life) {
            return;
        }
        let fails = self.mishap(25) || self.faults.store_fails(self.us);
        let is_applied = !fails || self.chance.one_in(3);
        let batch = std::mem::take(&mut self.replica.writer.committing);
        let appended: Vec<_> = if is_applied {
            self.apply(batch)
        } else {
            batch.into_iter().map(|waiting| (waiting, None)).collect()
        };
        if let Some(back_ms) = self.faults.take_kill_after_commit() {
            return self.replica_dies(back_ms);
        }
        for (waiting, appended) in appended {
            let outcome = match appended.filter(|_| !fails) {
                Some(appended) => self.publish(&waiting, appended),
                None => Err(store_failed()),
            };
            let done = Done::Sent(waiting.session, waiting.request, outcome);
            let after_us = 2 + self.delay(20);
            self.plan(after_us, Plan::Done(life, waiting.stream, waiting.job, Box::new(done)));
        }
        self.begin_commit();
    }

    fn apply(&mut self, batch: Vec<Waiting>) -> Vec<(Waiting, Option<Appended>)> {
        let mut applied = Vec::with_capacity(batch.len());
        for waiting in batch {
            let appended = self.store.append(waiting.room, waiting.draft.clone());
            if let Appended::New { event, .. } = &appended {
                let (at_us, age) = (self.us, self.store.age());
                self.judge.committed(waiting.room, event, age, at_us);
            }
            applied.push((waiting, Some(appended)));
        }
        applied
    }

    /// What was committed is heard of; the way there may lose it, repeat it, or let another overtake.
    fn publish(&mut self, waiting: &Waiting, appended: Appended) -> Result<(Place, Sent), Error> {
        let (life, room) = (self.replica.life, waiting.room);
        let place = Place { id: self.store.id(room).clone(), name: self.store.name(room).clone() };
        let sent = match appended {
            Appended::New { event, prev } => {
                let times = 1 - u64::from(self.mishap(12)) + u64::from(self.mishap(12));
                for _ in 0..times {
                    let after_us = if self.mishap(8) { self.chance.below(60_000) } else { 1 };
                    self.plan(after_us, Plan::Hint(life, room, prev, Arc::clone(&event)));
                }
                Sent { event, repeated: false }
            }
            Appended::Repeat(event) => {
                let (now, at) = (self.now(), event.cursor(&place.id));
                if let Some(lived) = self.replica.rooms.get(&room) {
                    lived.room.with_at(now, |live| live.head(at, now));
                }
                Sent { event, repeated: true }
            }
            _ => return Err(store_failed()),
        };
        Ok((place, sent))
    }

    /// The replica is dead: what was being committed is, or is not, and nobody is told.
    pub(super) fn lose_batch(&mut self) {
        let batch = std::mem::take(&mut self.replica.writer.committing);
        if !batch.is_empty() && self.chance.one_in(2) {
            self.apply(batch);
        }
    }
}
