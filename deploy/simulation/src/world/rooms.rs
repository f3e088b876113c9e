//! The replica's live rooms, as their drivers drive them.
//!
//! Owns their loading, timers, reads of the log and probes. Promises that every read is answered, and that a room nobody
//! is in leaves memory. Never decides what a room does.

use std::sync::Arc;

use parlour_feed::{Cursor, LogRead, Page, Read, Seq};
use parlour_room::{
    domain::event::Event,
    hub::{
        live::{Fact, Live},
        room::LiveRoom,
    },
};

use super::{Plan, World};

/// How often the heads of the live rooms are asked for.
pub(super) const PROBE_US: u64 = 10_000_000;
/// How long an event may be on its way to its live room.
const ON_ITS_WAY_US: u64 = 250_000;
/// How long the driver of a room waits before it asks for the room once more.
const AGAIN_US: u64 = 500_000;

/// A room that is live, with what its driver remembers.
pub(super) struct Lived {
    pub(super) room: Arc<LiveRoom>,
    timer_us: Option<u64>,
    is_stale: bool,
    is_asking: bool,
}

impl World {
    /// The live room, made live where it is not.
    pub(super) fn live(&mut self, room: usize) -> Arc<LiveRoom> {
        if let Some(live) = self.replica.rooms.get(&room) {
            return Arc::clone(&live.room);
        }
        let settling_until = self.replica.started + self.settings.grace_broken;
        let seed = self.chance.number();
        let live = Live::new(self.store.room(room), &self.settings, settling_until, seed, self.now());
        let pools = &self.replica.pools;
        let shared = Arc::new(LiveRoom::new(live.within(pools), pools.rings.clone()));
        let lived = Lived { room: Arc::clone(&shared), timer_us: None, is_stale: false, is_asking: false };
        self.replica.rooms.insert(room, lived);
        shared
    }

    /// What a room's driver does: reads begun, the next timer set.
    pub(super) fn drive(&mut self, room: usize) {
        let life = self.replica.life;
        let Some(lived) = self.replica.rooms.get_mut(&room) else { return };
        let due = lived.room.take_due();
        lived.is_stale |= due.room_is_stale;
        let asks = lived.is_stale && !lived.is_asking;
        if asks {
            (lived.is_stale, lived.is_asking) = (false, true);
        }
        let timer = due.alarm.map(|at| self.us + self.until(at));
        if let Some(lived) = self.replica.rooms.get_mut(&room)
            && let Some(at_us) = timer.filter(|at_us| lived.timer_us.is_none_or(|before| *at_us < before))
        {
            lived.timer_us = Some(at_us);
            self.plan(at_us - self.us, Plan::RoomTimer(life, room));
        }
        let pool = &self.replica.pools.rings;
        let rooms =
            || self.replica.rooms.values().map(|lived| (lived.room.ring_read(), &lived.room)).collect();
        pool.reclaim(rooms, |room: &Arc<LiveRoom>, excess| room.shrink_ring(excess));
        for read in due.reads {
            let after_us = self.delay(500);
            self.plan(after_us, Plan::RoomRead(life, room, read));
        }
        if asks {
            let after_us = self.read_us();
            self.plan(after_us, Plan::RoomAgain(life, room));
        }
    }

    pub(super) fn room_timer(&mut self, life: u32, room: usize) {
        if !self.replica.lives(life) {
            return;
        }
        let (now, us) = (self.now(), self.us);
        let Some(lived) = self.replica.rooms.get_mut(&room) else { return };
        lived.timer_us.take_if(|due_us| *due_us <= us);
        lived.room.with_at(now, |_| ());
        if lived.room.retire(now) {
            self.replica.rooms.remove(&room);
        }
        self.follow_through();
    }

    pub(super) fn room_read(&mut self, life: u32, room: usize, read: Read) {
        if !self.replica.lives(life) {
            return;
        }
        let answer = if self.read_fails() { LogRead::Failed } else { self.read_log(room, &read) };
        let after_us = self.read_us();
        self.plan(after_us, Plan::RoomAnswer(life, room, read, answer));
    }

    fn read_log(&self, room: usize, read: &Read) -> LogRead<Fact> {
        let page = self.store.page(room, read.after, read.limit);
        let id = self.store.id(room);
        match page.base {
            Some(base) => {
                let entries = page.events.into_iter().map(|event| Fact::entry(id, event, None)).collect();
                LogRead::Page(Page { base, entries, head: page.head })
            }
            None => LogRead::Ahead { head: page.head },
        }
    }

    pub(super) fn room_answer(&mut self, life: u32, room: usize, read: Read, answer: LogRead<Fact>) {
        let now = self.now();
        if let Some(lived) = self.replica.rooms.get(&room).filter(|_| self.replica.lives(life)) {
            lived.room.with_at(now, |live| live.read_done(read, answer, now));
        }
        self.follow_through();
    }

    /// The store has been asked for a live room.
    pub(super) fn room_again(&mut self, life: u32, room: usize) {
        if !self.replica.lives(life) {
            return;
        }
        if self.read_fails() {
            return self.plan(AGAIN_US, Plan::RoomAgain(life, room));
        }
        let (now, fresh) = (self.now(), self.store.room(room));
        if let Some(lived) = self.replica.rooms.get_mut(&room) {
            lived.is_asking = false;
            lived.room.with_at(now, |live| live.refresh(fresh, now));
        }
        self.follow_through();
    }

    /// What was appended arrives at the live room.
    pub(super) fn hint(&mut self, life: u32, room: usize, prev: Cursor, event: &Arc<Event>) {
        let now = self.now();
        if let Some(lived) = self.replica.rooms.get(&room).filter(|_| self.replica.lives(life)) {
            lived.room.with_at(now, |live| live.appended(prev, Arc::clone(event), now));
        }
        self.follow_through();
    }

    /// The log is asked for the heads of the live rooms.
    pub(super) fn probe(&mut self, life: u32) {
        if !self.replica.lives(life) {
            return;
        }
        self.plan(PROBE_US, Plan::Probe(life));
        let lived = self.replica.rooms.iter();
        let asked: Vec<_> =
            lived.map(|(room, lived)| (*room, lived.room.look(|live| live.position().seq))).collect();
        for (room, stood) in asked {
            let after_us = self.delay(500);
            self.plan(after_us, Plan::HeadRead(life, room, stood));
        }
    }

    /// The log says where a room is that stood there.
    pub(super) fn head_read(&mut self, life: u32, room: usize, stood: Seq) {
        if self.replica.lives(life) && !self.read_fails() {
            let (head, after_us) = (self.store.head(room), self.read_us());
            self.plan(after_us, Plan::Probed(life, room, head, stood, false));
        }
    }

    /// The live room is told, as `hub/probe.rs` has it: one that seems to be behind a while later, when what was on its
    /// way has come.
    pub(super) fn probed(&mut self, life: u32, room: usize, head: Cursor, stood: Seq, has_waited: bool) {
        let Some(lived) = self.replica.rooms.get(&room).filter(|_| self.replica.lives(life)) else { return };
        if !has_waited && lived.room.look(|live| live.position().seq < head.seq) {
            return self.plan(ON_ITS_WAY_US, Plan::Probed(life, room, head, stood, true));
        }
        let now = self.now();
        lived.room.with_at(now, |live| live.probed(head, stood, now));
        self.follow_through();
    }

    /// How long a read of the store takes.
    pub(super) fn read_us(&mut self) -> u64 {
        self.faults.slow_us(self.us) + self.delay(2_000)
    }

    /// Whether a read of the store fails.
    pub(super) fn read_fails(&mut self) -> bool {
        self.mishap(10) || (self.faults.store_fails(self.us) && self.chance.one_in(2))
    }
}
