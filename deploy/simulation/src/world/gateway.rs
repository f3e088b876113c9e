//! A gateway: its lane and the stream beneath it, as their tasks drive them.
//!
//! Owns a gateway's lives, and within one the lane, the stream's attaching, pings and end. Promises what the product's
//! link promises: silence of 5 s is an end, the next stream is tried within half a second, nothing of an older one is
//! taken. Never decides what a frame means.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};

use parlour_feed::Pools;
use parlour_gateway::{
    limits::Limits,
    relay::{Id, Room, event::RoomEvent, lane::Lane},
};
use parlour_proto::v1::{self as proto, relay_frame::Frame as Down, relay_request::Frame as Up};

use super::{ConnId, Plan, Stream, StreamId, World, session::Session};
use crate::store::ROOMS;

const PING_US: u64 = 2_000_000;
const LOST_US: u64 = 5_000_000;
/// How often what is due is looked for.
const TICK_US: u64 = 100_000;
const HEARTBEAT_US: u64 = 25_000_000;
const BACKOFF_US: u64 = 500_000;

/// A room of the gateway, with what its driver remembers.
pub(super) struct Fed {
    pub(super) room: Arc<Room>,
    pub(super) timer_us: Option<u64>,
    /// Up to which version of presence the judge has looked.
    pub(super) judged: u64,
}

/// A gateway, in one of its lives.
pub(super) struct Gateway {
    pub(super) life: u32,
    pub(super) is_up: bool,
    pub(super) still_until_us: u64,
    pub(super) incarnation: Id,
    pub(super) lane: Lane,
    pub(super) pools: Pools,
    /// The events that were read for it and may be in memory still.
    pub(super) read: Vec<Weak<RoomEvent>>,
    pub(super) rooms: BTreeMap<usize, Fed>,
    pub(super) sessions: BTreeMap<ConnId, Session>,
    generation: u64,
    pub(super) stream: Option<StreamId>,
    is_attached: bool,
    heard_us: u64,
    pings: u64,
    /// Since when its people of each room have been out of the replica's sight.
    pub(super) out_since_us: [Option<u64>; ROOMS.len()],
}

impl Gateway {
    pub(super) fn new(life: u32, incarnation: Id, limits: &Limits) -> Self {
        Self {
            life,
            is_up: true,
            still_until_us: 0,
            incarnation,
            lane: Lane::new(limits),
            pools: Pools::new(limits.bounds),
            read: Vec::new(),
            rooms: BTreeMap::new(),
            sessions: BTreeMap::new(),
            generation: 0,
            stream: None,
            is_attached: false,
            heard_us: 0,
            pings: 0,
            out_since_us: [None; ROOMS.len()],
        }
    }

    pub(super) fn lives(&self, life: u32) -> bool {
        self.is_up && self.life == life
    }
}

impl World {
    pub(super) fn gateway_begins(&mut self, gateway: usize) {
        let life = self.gateways[gateway].life;
        let after_us = self.chance.below(5_000);
        self.plan(after_us, Plan::Connect(gateway, life));
        self.plan(TICK_US, Plan::Tick(gateway, life));
        self.plan(HEARTBEAT_US, Plan::Heartbeat(gateway, life));
    }

    /// Opens another stream.
    pub(super) fn connect(&mut self, gateway: usize, life: u32) {
        if !self.gateways[gateway].lives(life) {
            return;
        }
        let (id, us) = (self.id(), self.us);
        let at = &mut self.gateways[gateway];
        at.generation += 1;
        (at.stream, at.is_attached, at.heard_us) = (Some(id), false, us);
        let attach =
            proto::Attach { incarnation: at.incarnation.to_vec().into(), lane: 0, generation: at.generation };
        self.streams.insert(id, Stream::new(gateway, us));
        self.send_up(id, Up::Attach(attach));
        self.ping(gateway, life, id);
    }

    /// Asks for a sign of life, or gives the stream up for want of one.
    pub(super) fn ping(&mut self, gateway: usize, life: u32, id: StreamId) {
        let us = self.us;
        let at = &mut self.gateways[gateway];
        if !at.lives(life) || at.stream != Some(id) {
            return;
        }
        if us - at.heard_us > LOST_US {
            return self.give_up(gateway);
        }
        at.pings += 1;
        let number = at.pings;
        self.send_up(id, Up::Ping(proto::RelayPing { number }));
        self.plan(PING_US, Plan::Ping(gateway, life, id));
    }

    /// The stream is over for this gateway.
    fn give_up(&mut self, gateway: usize) {
        let at = &mut self.gateways[gateway];
        let Some(id) = at.stream.take() else { return };
        at.is_attached = false;
        at.lane.broke();
        let life = at.life;
        self.note_outage(gateway);
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.is_over_at_gateway = true;
            let late_us = [500, 50_000, 2_000_000][self.chance.below(3) as usize];
            let after_us = if self.is_calm { 500 } else { late_us };
            if !self.streams[&id].up.is_lossy {
                self.plan(after_us, Plan::UpEnds(id));
            }
        }
        let backoff_us = self.chance.below(BACKOFF_US);
        self.plan(backoff_us, Plan::Connect(gateway, life));
    }

    pub(super) fn down_ends(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.is_over_at_gateway = true;
        let gateway = stream.gateway;
        if self.gateways[gateway].is_up && self.gateways[gateway].stream == Some(id) {
            self.give_up(gateway);
        }
        self.gateway_follows_through(gateway);
        self.sweep_links();
    }

    /// A response of the replica arrives.
    pub(super) fn down(&mut self, id: StreamId) {
        let us = self.us;
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let Some(response) = stream.down.frames.pop_front() else { return };
        let gateway = stream.gateway;
        let at = &mut self.gateways[gateway];
        if at.is_up && at.stream == Some(id) {
            at.heard_us = us;
            for frame in response.frames.into_iter().filter_map(|frame| frame.frame) {
                self.gateway_takes(gateway, frame);
            }
            self.gateway_follows_through(gateway);
        }
        self.follow_through(); // there is room on the stream again
    }

    fn gateway_takes(&mut self, gateway: usize, frame: Down) {
        let now = self.now();
        let at = &mut self.gateways[gateway];
        at.is_attached |= matches!(frame, Down::Attached(_));
        let followed = match &frame {
            Down::Following(following) => self.store.number(&following.room),
            _ => None,
        };
        for (room, frame) in at.lane.take(frame, now) {
            room.take(frame, now);
        }
        if let Some(room) = followed {
            self.outage_ends(gateway, room);
        }
        self.judge_presence(gateway);
    }

    /// Does what every input leads to.
    pub(super) fn gateway_follows_through(&mut self, gateway: usize) {
        if !self.gateways[gateway].is_up {
            return;
        }
        for room in 0..ROOMS.len() {
            self.feed_follows_through(gateway, room);
        }
        let conns: Vec<_> = self.gateways[gateway].sessions.keys().copied().collect();
        for conn in conns {
            self.serve(gateway, conn);
        }
        for room in 0..ROOMS.len() {
            self.feed_follows_through(gateway, room); // a step may have asked for a page
        }
        self.judge_pools();
        let at = &mut self.gateways[gateway];
        let Some(id) = at.stream.filter(|_| at.is_attached) else { return };
        while let Some(frame) = self.gateways[gateway].lane.next_frame() {
            self.send_up(id, frame);
        }
    }

    pub(super) fn tick(&mut self, gateway: usize, life: u32) {
        if !self.gateways[gateway].lives(life) {
            return;
        }
        let now = self.now();
        self.gateways[gateway].lane.expire(now);
        self.judge_memory();
        self.plan(TICK_US, Plan::Tick(gateway, life));
        self.gateway_follows_through(gateway);
    }

    pub(super) fn heartbeat(&mut self, gateway: usize, life: u32) {
        if !self.gateways[gateway].lives(life) {
            return;
        }
        self.plan(HEARTBEAT_US, Plan::Heartbeat(gateway, life));
        let conns: Vec<_> = self.gateways[gateway].sessions.keys().copied().collect();
        for conn in conns {
            self.tell_heads(gateway, conn);
        }
    }

    pub(super) fn gateway_dies(&mut self, gateway: usize, back_ms: u64) {
        if !self.gateways[gateway].is_up {
            return;
        }
        self.loses_sight(gateway);
        let at = &mut self.gateways[gateway];
        (at.is_up, at.still_until_us) = (false, 0);
        let (stream, life) = (at.stream.take(), at.life + 1);
        at.sessions.clear();
        at.rooms.clear();
        if let Some(id) = stream {
            if let Some(stream) = self.streams.get_mut(&id) {
                stream.is_over_at_gateway = true;
            }
            let late_us = [300, 30_000, 1_500_000][self.chance.below(3) as usize];
            self.plan(late_us, Plan::UpEnds(id));
        }
        for id in self.conns_of(gateway) {
            if let Some(conn) = self.conns.get_mut(&id) {
                conn.is_over_at_gateway = true;
                let client = conn.client;
                if self.clients[client].conn == Some(id) {
                    self.is_away(client, 10_000_000); // whenever it learns of it
                }
                let after_us = self.delay(20_000);
                self.plan(after_us, Plan::ClientLoses(id));
            }
        }
        self.plan(back_ms * 1_000, Plan::GatewayBack(gateway, life));
    }

    pub(super) fn gateway_back(&mut self, gateway: usize, life: u32) {
        if self.gateways[gateway].is_up || life != self.gateways[gateway].life + 1 {
            return;
        }
        let incarnation = self.chance.id();
        self.gateways[gateway] = Gateway::new(life, incarnation, &self.limits);
        self.gateway_begins(gateway);
    }

    fn conns_of(&self, gateway: usize) -> Vec<ConnId> {
        let of_it = self.conns.iter().filter(|(_, conn)| conn.gateway == gateway && !conn.is_over_at_gateway);
        of_it.map(|(id, _)| *id).collect()
    }
}
