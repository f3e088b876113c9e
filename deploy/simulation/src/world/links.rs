//! What lies between processes: gateways' streams, clients' connections.
//!
//! Owns what is on its way and in what order. Promises that each direction keeps its order, and that nothing arrives
//! once the link is cut. Never looks into a frame.

use std::{collections::VecDeque, sync::Arc};

use parlour_proto::v1::{self as proto, relay_request};
use parlour_room::{hub::presence::Owner, rpc::relay::desk::Desk};
use tokio_util::sync::CancellationToken;

use super::{ConnId, Plan, StreamId, World};
use crate::{
    judge::Told,
    words::{Ask, Say},
};

/// Responses that may be on their way to a gateway before its replica waits.
pub(super) const IN_FLIGHT: usize = 4;
/// Frames that may be on their way to a client before its gateway waits.
pub(super) const SOCKET: usize = 6;

/// One direction of a link.
pub(super) struct Way<T> {
    pub(super) frames: VecDeque<T>,
    /// When the last of them arrives, and before when none does.
    last_us: u64,
    /// What is put on it vanishes.
    pub(super) is_lossy: bool,
}

impl<T> Way<T> {
    fn new() -> Self {
        Self { frames: VecDeque::new(), last_us: 0, is_lossy: false }
    }

    pub(super) fn stall_until(&mut self, us: u64) {
        self.last_us = self.last_us.max(us);
    }

    /// Puts a frame on its way; says when it arrives, unless it never will.
    fn put(&mut self, frame: T, at_us: u64) -> Option<u64> {
        if self.is_lossy {
            return None;
        }
        self.last_us = self.last_us.max(at_us);
        self.frames.push_back(frame);
        Some(self.last_us)
    }
}

/// A gateway's stream.
pub(super) struct Stream {
    pub(super) gateway: usize,
    /// Whose it is, once attached.
    pub(super) owner: Option<Owner>,
    pub(super) up: Way<relay_request::Frame>,
    pub(super) down: Way<proto::RelayResponse>,
    /// The replica's end, once attached; `None` again when it has ended.
    pub(super) desk: Option<Desk>,
    pub(super) superseded: Option<CancellationToken>,
    pub(super) is_over_at_replica: bool,
    /// The replica has been told to end it.
    pub(super) is_ending: bool,
    pub(super) is_over_at_gateway: bool,
    /// When the replica last heard of the gateway.
    pub(super) heard_us: u64,
}

impl Stream {
    pub(super) fn new(gateway: usize, us: u64) -> Self {
        Self {
            gateway,
            owner: None,
            up: Way::new(),
            down: Way::new(),
            desk: None,
            superseded: None,
            is_over_at_replica: false,
            is_ending: false,
            is_over_at_gateway: false,
            heard_us: us,
        }
    }
}

/// A client's connection.
pub(super) struct Conn {
    pub(super) client: usize,
    pub(super) gateway: usize,
    pub(super) up: Way<Ask>,
    pub(super) down: Way<Arc<Say>>,
    /// What it is told of presence.
    pub(super) presence: Told,
    pub(super) is_over_at_client: bool,
    pub(super) is_over_at_gateway: bool,
}

impl Conn {
    pub(super) fn new(client: usize, gateway: usize) -> Self {
        let (up, down) = (Way::new(), Way::new());
        let presence = Told::default();
        Self { client, gateway, up, down, presence, is_over_at_client: false, is_over_at_gateway: false }
    }
}

impl World {
    pub(super) fn send_up(&mut self, id: StreamId, frame: relay_request::Frame) {
        let at_us = self.us + 200 + self.delay(800);
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if let Some(arrives_us) = stream.up.put(frame, at_us) {
            self.plan(arrives_us - self.us, Plan::Up(id));
        }
    }

    pub(super) fn send_down(&mut self, id: StreamId, response: proto::RelayResponse) {
        let at_us = self.us + 200 + self.delay(800);
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if let Some(arrives_us) = stream.down.put(response, at_us) {
            self.plan(arrives_us - self.us, Plan::Down(id));
        }
    }

    /// The client says something.
    pub(super) fn ask(&mut self, id: ConnId, ask: Ask) {
        let at_us = self.us + 1_000 + self.delay(3_000);
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if let Some(arrives_us) = conn.up.put(ask, at_us) {
            self.plan(arrives_us - self.us, Plan::ToGateway(id));
        }
    }

    /// The gateway says something to a client.
    pub(super) fn say(&mut self, id: ConnId, say: Arc<Say>) {
        let Some(client) = self.conns.get(&id).map(|conn| conn.client) else { return };
        if let Say::Presence(_, frame) = &*say {
            self.judge_share(id, frame.len());
        }
        let pace_us = if self.clients[client].slow_until_us > self.us { 400_000 } else { 0 };
        let at_us = self.us + 1_000 + pace_us + self.delay(2_000);
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if let Some(arrives_us) = conn.down.put(say, at_us) {
            self.plan(arrives_us - self.us, Plan::ToClient(id));
        }
    }

    /// Both ends of a stream that are left learn that it is no more, the replica after that long.
    pub(super) fn cut(&mut self, id: StreamId, replica_after_us: u64) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.down.frames.clear();
        (stream.down.is_lossy, stream.up.is_lossy) = (true, true);
        let gateway_after_us = self.delay(1_000);
        self.plan(gateway_after_us, Plan::DownEnds(id));
        self.plan(replica_after_us.max(1), Plan::UpEnds(id));
    }

    /// Forgets the links that have ended at both ends.
    pub(super) fn sweep_links(&mut self) {
        self.streams.retain(|_, stream| !(stream.is_over_at_gateway && stream.is_over_at_replica));
        self.conns.retain(|_, conn| !(conn.is_over_at_client && conn.is_over_at_gateway));
    }
}
