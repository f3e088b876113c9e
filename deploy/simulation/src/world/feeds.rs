//! A gateway's rooms, as their drivers drive them, and the judge's look at who is said to have left.
//!
//! Owns reads of the log over the service's `ListEvents`, and the feeds' timers. Promises that every read is answered.
//! Never reads around the replica: while that is dead, reads fail.

use std::sync::Arc;

use parlour_feed::{LogRead, Page, Read};
use parlour_gateway::relay::{
    event::{RoomEvent, entry},
    presence::Owed,
};
use parlour_room::rpc::convert;

use super::{Plan, World, gateway::Fed};
use crate::store::ROOMS;

impl World {
    /// What the room's driver does: reads begun, the next timer set.
    pub(super) fn feed_follows_through(&mut self, gateway: usize, room: usize) {
        let (now, life) = (self.now(), self.gateways[gateway].life);
        let Some(fed) = self.gateways[gateway].rooms.get(&room) else { return };
        let (reads, deadline) = fed.room.look(|feed| {
            feed.tick(now);
            let reads: Vec<_> = std::iter::from_fn(|| feed.poll_read(now)).collect();
            (reads, feed.deadline())
        });
        let due_us = deadline.map(|at| self.us + self.until(at));
        if let Some(fed) = self.gateways[gateway].rooms.get_mut(&room)
            && let Some(at_us) = due_us.filter(|at_us| fed.timer_us.is_none_or(|before| *at_us < before))
        {
            fed.timer_us = Some(at_us);
            self.plan(at_us - self.us, Plan::FeedTimer(gateway, life, room));
        }
        self.reclaim(gateway);
        for read in reads {
            let after_us = self.delay(1_000);
            self.plan(after_us, Plan::FeedRead(gateway, life, room, read));
        }
    }

    /// Where the gateway's rings together are near their bound, the longest unread shrink.
    fn reclaim(&self, gateway: usize) {
        let at = &self.gateways[gateway];
        let fed =
            || at.rooms.values().map(|fed| (fed.room.look(|feed| feed.ring_read()), &fed.room)).collect();
        at.pools.rings.reclaim(fed, |room, excess| room.look(|feed| feed.shrink_ring(excess)));
    }

    pub(super) fn feed_timer(&mut self, gateway: usize, life: u32, room: usize) {
        if !self.gateways[gateway].lives(life) {
            return;
        }
        let us = self.us;
        if let Some(fed) = self.gateways[gateway].rooms.get_mut(&room) {
            fed.timer_us.take_if(|due_us| *due_us <= us);
        }
        self.gateway_follows_through(gateway);
    }

    pub(super) fn feed_read(&mut self, gateway: usize, life: u32, room: usize, read: Read) {
        let still_us = self.replica.still_until_us.saturating_sub(self.us).min(super::replica::DEADLINE_US);
        let fails = !self.replica.is_up || still_us > 0 || self.read_fails();
        let answer = if fails { LogRead::Failed } else { self.list_events(room, &read) };
        let after_us = still_us + self.read_us();
        self.plan(after_us, Plan::FeedAnswer(gateway, life, room, read, answer));
    }

    fn list_events(&self, room: usize, read: &Read) -> LogRead<Arc<RoomEvent>> {
        let page = self.store.page(room, read.after, read.limit);
        let (id, name) = (self.store.id(room), self.store.name(room));
        let Some(base) = page.base else { return LogRead::Ahead { head: page.head } };
        let entries = page.events.iter().map(|event| entry(convert::event(id, name, event)));
        match entries.collect::<Result<Vec<_>, _>>() {
            Ok(entries) => LogRead::Page(Page { base, entries, head: page.head }),
            Err(_) => LogRead::Failed,
        }
    }

    pub(super) fn feed_answer(
        &mut self,
        gateway: usize,
        life: u32,
        room: usize,
        read: Read,
        answer: LogRead<Arc<RoomEvent>>,
    ) {
        if !self.gateways[gateway].lives(life) {
            return;
        }
        let now = self.now();
        let at = &mut self.gateways[gateway];
        if let LogRead::Page(page) = &answer {
            at.read.extend(page.entries.iter().map(|entry| Arc::downgrade(&entry.event)));
        }
        if let Some(fed) = at.rooms.get(&room) {
            fed.room.look(|feed| feed.read_done(read, answer, now));
        }
        self.gateway_follows_through(gateway);
    }

    /// A room of the gateway's lane is made.
    pub(super) fn fed(room: Arc<parlour_gateway::relay::Room>) -> Fed {
        Fed { room, timer_us: None, judged: 0 }
    }

    /// P7: whoever is here all along, or back within the grace, is not said to have left.
    pub(super) fn judge_presence(&mut self, gateway: usize) {
        for (room, name) in ROOMS.into_iter().enumerate() {
            let Some(fed) = self.gateways[gateway].rooms.get_mut(&room) else { continue };
            let since = fed.judged;
            let (owed, mark) = fed.room.look(|feed| (feed.fold().changes_since(since), feed.fold().mark()));
            if mark.version == since {
                continue;
            }
            fed.judged = mark.version;
            let Owed::Each(changes) = owed else { continue };
            let left: Vec<_> = changes.iter().flat_map(|change| change.presence.left.clone()).collect();
            for user in left {
                if let Some(why) = self.should_be_here(&user.id, room) {
                    self.found(
                        "P7",
                        format!("gateway {gateway} is told that {} left {name}, but {why}", user.id),
                    );
                }
            }
        }
    }
}
