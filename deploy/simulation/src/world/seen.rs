//! What the judges see of the world.
//!
//! Owns the few looks that judges take, and what follows at a client from what it is told. Promises to show the store's
//! truth and the clients' own words. Never shows a machine's inside but for bounds and invariants.

use std::sync::{Arc, Weak};

use parlour_feed::{Cursor, Weigh as _};
use parlour_gateway::relay::requests::WAITING_PER_SESSION;

use super::{ConnId, Plan, World};
use crate::{
    judge::View,
    schedule::{Deed, Sleep},
    store::{ROOMS, Store},
    words::Say,
};

impl World {
    pub(crate) fn now_us(&self) -> u64 {
        self.us
    }

    pub(crate) fn truths(&self) -> &Store {
        &self.store
    }

    pub(crate) fn replay(&self) -> u64 {
        self.settings.replay_events
    }

    pub(crate) fn client_count(&self) -> usize {
        self.clients.len()
    }

    pub(crate) fn note(&mut self, what: String) {
        let us = self.us;
        self.judge.note(us, || what);
    }

    pub(crate) fn finds(&mut self, promise: &'static str, what: String) {
        self.found(promise, what);
    }

    pub(crate) fn view(&mut self, client: usize, room: usize) -> &mut View {
        self.clients[client].views.entry(room).or_default()
    }

    pub(crate) fn user_of(&self, client: usize) -> Option<String> {
        self.clients[client].user.clone()
    }

    pub(crate) fn wants(&self, client: usize, room: usize) -> bool {
        self.clients[client].wants.contains_key(&room)
    }

    pub(crate) fn unanswered(&self, client: usize) -> usize {
        self.clients[client].unanswered()
    }

    /// How often somebody has typed in a room.
    pub(crate) fn typed(&self, room: usize, user: &str) -> u64 {
        let of = self.clients.iter().filter(|client| client.user.as_deref() == Some(user));
        of.map(|client| client.typed[room]).sum()
    }

    /// The next thing said to a client, unless it is gone.
    pub(crate) fn next_said(&mut self, id: u32) -> Option<(usize, usize, Arc<Say>)> {
        let conn = self.conns.get_mut(&id)?;
        let say = conn.down.frames.pop_front()?;
        let (client, gateway) = (conn.client, conn.gateway);
        let is_there = !conn.is_over_at_client && self.clients[client].conn == Some(id);
        is_there.then_some((client, gateway, say))
    }

    /// There is room in a client's socket again.
    pub(crate) fn after_said(&mut self, gateway: usize) {
        self.gateway_follows_through(gateway);
    }

    pub(crate) fn client_welcomed(&mut self, client: usize, user: &str, token: &str) {
        self.welcomed(client, user.to_owned(), token.to_owned());
    }

    pub(crate) fn client_acked(&mut self, client: usize, room: usize, key: &str) {
        self.acked(client, room, key);
    }

    pub(crate) fn client_refused(&mut self, client: usize, room: usize, key: &str, code: &str) {
        self.refused(client, room, key, code);
    }

    /// A join was refused for now.
    pub(crate) fn asks_again(&mut self, client: usize, room: usize) {
        self.plan(500_000, Plan::JoinAgain(client, room));
    }

    pub(super) fn join_again(&mut self, client: usize, room: usize) {
        let is_monitor = self.clients[client].wants.get(&room).copied();
        let view = self.view(client, room);
        if let Some(is_monitor) = is_monitor.filter(|_| view.asked.is_empty()) {
            self.want(client, room, is_monitor, false);
        }
    }

    /// Whether the replica may have lost sight of a client for longer than the grace, through no fault of the machines.
    pub(crate) fn is_out_of_sight(&mut self, client: usize, room: usize) -> bool {
        let (us, grace_us) = (self.us, 10_000_000);
        let home = self.view(client, room).home;
        self.gateways[home].out_since_us[room].is_some_and(|since_us| us - since_us >= grace_us)
    }

    /// How late a gateway may hear what has been so for long.
    pub(crate) fn late_us(&self) -> u64 {
        1_000_000 + self.faults.longest_ms * 1_000
    }

    /// A gateway's people of a room are in the replica's sight again.
    pub(super) fn outage_ends(&mut self, gateway: usize, room: usize) {
        let Some(since_us) = self.gateways[gateway].out_since_us[room].take() else { return };
        if self.us - since_us < 10_000_000 {
            return;
        }
        let us = self.us;
        for client in 0..self.clients.len() {
            let view = self.view(client, room);
            if view.home == gateway && view.present_since_us.is_some() {
                view.present_since_us = Some(us); // from now on, again
            }
        }
    }

    /// A gateway dies while the replica does not see its people of some rooms: nobody can know of them any more.
    pub(super) fn loses_sight(&mut self, gateway: usize) {
        for room in 0..ROOMS.len() {
            if self.gateways[gateway].out_since_us[room].is_none() {
                continue;
            }
            for client in 0..self.clients.len() {
                let view = self.view(client, room);
                if view.home == gateway {
                    (view.present_since_us, view.away_since) = (None, None);
                }
            }
        }
    }

    /// The gateway that a client is connected to.
    pub(crate) fn gateway_of(&self, client: usize) -> Option<usize> {
        Some(self.conns.get(&self.clients[client].conn?)?.gateway)
    }

    /// Whether what a client is told is the last of a connection whose gateway's end is over.
    pub(crate) fn is_cut_off(&self, client: usize) -> bool {
        let conn = self.clients[client].conn.and_then(|conn| self.conns.get(&conn));
        conn.is_none_or(|conn| conn.is_over_at_gateway)
    }

    /// Where a gateway stands in a room that somebody reads there.
    pub(crate) fn feed_position(&self, gateway: usize, room: usize) -> Option<Cursor> {
        let fed = self.gateways[gateway].rooms.get(&room)?;
        let is_read = self.gateways[gateway].sessions.values().any(|session| session.reads(room));
        fed.room.look(|feed| feed.position()).filter(|_| is_read)
    }

    pub(crate) fn wait_us(&mut self, us: u64) {
        let until_us = self.us + us;
        self.run_until(until_us);
    }

    /// Everything works from here on, and everybody comes back.
    pub(crate) fn calm_down(&mut self) {
        if self.judge.found.is_some() {
            return;
        }
        self.is_calm = true;
        self.faults.end();
        self.replica.still_until_us = 0;
        for gateway in &mut self.gateways {
            gateway.still_until_us = 0;
        }
        for client in 0..self.clients.len() {
            self.clients[client].slow_until_us = 0;
        }
        // A log that was replaced is recognised by what is appended to it, or without that by the probe.
        for room in 0..ROOMS.len() {
            if self.chance.one_in(2) {
                self.act(Deed::Send(0, room, 1));
            }
        }
    }

    pub(crate) fn leaves(&mut self, client: usize, room: usize) {
        self.leave(client, room);
    }

    pub(crate) fn joins_anew(&mut self, client: usize, room: usize) {
        if !self.wants(client, room) {
            self.want(client, room, false, false);
        } else if client == 1 {
            self.act(Deed::Sleep(client, Sleep::Close, 300));
        }
    }

    /// P8: what is bounded is within its bounds, and nothing lingers.
    pub(crate) fn judge_bounds(&mut self) {
        self.check_replica();
        let under_way: usize = self
            .streams
            .values()
            .filter_map(|stream| stream.desk.as_ref())
            .map(|desk| desk.under_way())
            .sum();
        if under_way > 0 {
            self.found("P8", format!("{under_way} jobs of relays are never done"));
        }
        let streams = self.streams.values().filter(|stream| stream.desk.is_some()).count();
        if streams > self.gateways.len() {
            self.found("P8", format!("{streams} streams of {} gateways", self.gateways.len()));
        }
        self.judge_memory();
    }

    /// P8: at any moment no ring, nor all together, hold more than their bound, and no session has more requests waiting
    /// than it may.
    pub(super) fn judge_memory(&mut self) {
        let (at_replica, at_gateway) = (self.settings.ring_events, self.limits.ring_events);
        let mut rings: Vec<_> = self
            .replica
            .rooms
            .values()
            .map(|lived| (lived.room.look(|live| live.ring_len()), at_replica))
            .collect();
        for gateway in &self.gateways {
            let fed = gateway.rooms.values().map(|fed| fed.room.look(|feed| feed.ring_len()));
            rings.extend(fed.map(|len| (len, at_gateway)));
        }
        if let Some((len, bound)) = rings.into_iter().find(|(len, bound)| len > bound) {
            self.found("P8", format!("a ring of {bound} events holds {len}"));
        }
        self.judge_counts();
        let most = WAITING_PER_SESSION + ROOMS.len(); // those it came with have a bound of their own
        let pending = self
            .gateways
            .iter()
            .flat_map(|gateway| gateway.sessions.values().map(|session| gateway.lane.pending(&session.id)));
        if let Some(pending) = pending.max().filter(|pending| *pending > most) {
            self.found("P8", format!("{pending} requests of a session wait, of {most}"));
        }
    }

    /// P8: what all rings, pages and outboxes of a process hold is within its bound.
    pub(super) fn judge_pools(&mut self) {
        let processes = self.gateways.iter().map(|gateway| &gateway.pools).chain([&self.replica.pools]);
        let pools = processes.flat_map(|pools| [&pools.rings, &pools.pages, &pools.outboxes]);
        let over = pools.map(|pool| (pool.bytes(), pool.bound())).find(|(bytes, bound)| bytes > bound);
        if let Some((bytes, bound)) = over {
            self.found("P8", format!("{bytes} bytes are held, of {bound}"));
        }
    }

    /// P8: what was read of the log for a gateway and is in its memory still is counted there.
    fn judge_counts(&mut self) {
        for gateway in 0..self.gateways.len() {
            let at = &mut self.gateways[gateway];
            at.read.retain(|event| event.strong_count() > 0);
            let held: usize = at.read.iter().filter_map(Weak::upgrade).map(|event| event.bytes()).sum();
            let counted = at.pools.pages.bytes() + at.pools.rings.bytes();
            if held > counted {
                self.found(
                    "P8",
                    format!("gateway {gateway} holds {held} bytes of the log and counts {counted}"),
                );
            }
        }
    }

    /// P9: a session is told no more of presence than its share.
    pub(super) fn judge_share(&mut self, id: ConnId, bytes: usize) {
        let (us, share) = (self.us, self.limits.presence);
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let (client, excess) = (conn.client, conn.presence.tell(bytes, us, share));
        if excess > 0 {
            self.found("P9", format!("client {client} is told {excess} bytes of presence beyond its share"));
        }
    }
}
