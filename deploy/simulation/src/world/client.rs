//! The clients: browsers of the full dialect, as `static/js` has them, with moods.
//!
//! Owns what each client wants, holds and has sent: rooms with their cursors, an outbox with keys that are made once.
//! Promises what the page's client promises: it returns with its cursors, repeats with its keys, keeps its order. Never
//! knows more than it was told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{ConnId, Plan, World, links::Conn};
use crate::{
    judge::View,
    schedule::{Deed, GATEWAYS, Sleep},
    store::ROOMS,
    words::Ask,
};

/// Messages that a client sends without waiting for answers, where it does.
const PIPELINE: usize = 5;
/// How long a client waits before it says again what was refused for now.
const AGAIN_US: u64 = 400_000;

/// A message of a client's outbox.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) nth: u64,
    is_sent: bool,
}

/// A client.
pub(super) struct Client {
    nth: usize,
    pub(super) user: Option<String>,
    token: Option<String>,
    pub(super) conn: Option<ConnId>,
    is_welcome: bool,
    naps: u32,
    gateway: usize,
    pub(super) slow_until_us: u64,
    /// The rooms it wants to be in, and whether only to follow them.
    pub(super) wants: BTreeMap<usize, bool>,
    pub(super) views: BTreeMap<usize, View>,
    outbox: [VecDeque<Letter>; ROOMS.len()],
    sent: [u64; ROOMS.len()],
    acked: [BTreeSet<u64>; ROOMS.len()],
    waits: [bool; ROOMS.len()],
    pub(super) typed: [u64; ROOMS.len()],
}

impl Client {
    pub(super) fn new(nth: usize) -> Self {
        Self {
            nth,
            user: None,
            token: None,
            conn: None,
            is_welcome: false,
            naps: 0,
            gateway: nth % GATEWAYS,
            slow_until_us: 0,
            wants: BTreeMap::from([(0, false)]),
            views: BTreeMap::new(),
            outbox: Default::default(),
            sent: Default::default(),
            acked: Default::default(),
            waits: Default::default(),
            typed: Default::default(),
        }
    }

    fn key(&self, room: usize, nth: u64) -> String {
        format!("c{} r{room} {nth}", self.nth)
    }

    /// Which of its messages a key names.
    pub(super) fn nth_of(key: &str) -> u64 {
        key.rsplit(' ').next().and_then(|nth| nth.parse().ok()).unwrap_or(0)
    }

    /// How many of its messages have no answer.
    pub(super) fn unanswered(&self) -> usize {
        self.outbox.iter().map(VecDeque::len).sum()
    }
}

impl World {
    /// A client does something.
    pub(super) fn act(&mut self, deed: Deed) {
        match deed {
            Deed::Send(client, room, count) => {
                let of = &mut self.clients[client];
                for _ in 0..count {
                    of.sent[room] += 1;
                    let nth = of.sent[room];
                    of.outbox[room].push_back(Letter { nth, is_sent: false });
                }
                self.send_on(client, room);
            }
            Deed::Join(client, room, is_fresh) => self.want(client, room, false, is_fresh),
            Deed::Monitor(client, room) => self.want(client, room, true, false),
            Deed::Leave(client, room) => self.leave(client, room),
            Deed::Sleep(client, how, ms) => self.sleep(client, how, ms),
            Deed::Slow(client, ms) => self.clients[client].slow_until_us = self.us + ms * 1_000,
            Deed::Repeat(client, room) => {
                let of = &self.clients[client];
                let (Some(conn), true) = (of.conn, of.is_welcome) else { return };
                let Some(nth) = of.acked[room].iter().next().copied() else { return };
                self.ask(conn, Ask::Post(room, self.clients[client].key(room, nth), "once more".to_owned()));
            }
            Deed::Type(client, room) => {
                if let (Some(conn), true) = (self.clients[client].conn, self.clients[client].is_welcome) {
                    self.clients[client].typed[room] += 1;
                    self.ask(conn, Ask::Typing(room));
                }
            }
            _ => {}
        }
    }

    /// A client wants to be in a room; if it is connected, it says so.
    pub(super) fn want(&mut self, client: usize, room: usize, is_monitor: bool, is_fresh: bool) {
        let of = &mut self.clients[client];
        of.wants.insert(room, is_monitor);
        let view = of.views.entry(room).or_default();
        let is_in = view.is_in && view.leaving == 0;
        if is_monitor {
            view.present_since_us = None;
        }
        if let (Some(conn), true) = (of.conn, of.is_welcome) {
            let at = view.cursor.filter(|_| !is_fresh && !is_in);
            view.asked.push_back(at);
            self.ask(conn, Ask::Join { room, at, is_monitor });
        }
    }

    pub(super) fn leave(&mut self, client: usize, room: usize) {
        let of = &mut self.clients[client];
        of.wants.remove(&room);
        let view = of.views.entry(room).or_default();
        (view.present_since_us, view.away_since) = (None, None);
        if let (Some(conn), true) = (of.conn, of.is_welcome) {
            view.leaving += 1;
            self.ask(conn, Ask::Leave(room));
        }
    }

    fn sleep(&mut self, client: usize, how: Sleep, ms: u64) {
        let Some(id) = self.clients[client].conn.take() else { return };
        let calm = self.is_calm;
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.is_over_at_client = true;
            conn.down.is_lossy = true;
        }
        let gateway_after_us = match how {
            Sleep::Close => {
                self.ask(id, Ask::Close);
                None
            }
            Sleep::Break => Some(self.delay(3_000)),
            Sleep::Vanish => Some(if calm { 1_000 } else { self.chance.between(1_000_000, 20_000_000) }),
        };
        if let Some(after_us) = gateway_after_us {
            self.plan(after_us, Plan::GatewayLoses(id, false));
        }
        let grace_us = if how == Sleep::Close { 2_000_000 } else { 10_000_000 };
        self.is_away(client, grace_us);
        let gateway = self.chance.below(GATEWAYS as u64) as usize;
        self.clients[client].gateway = gateway;
        self.nap(client, ms * 1_000);
    }

    /// The client's connection is no more, and it comes back after that long.
    fn nap(&mut self, client: usize, us: u64) {
        let of = &mut self.clients[client];
        (of.conn, of.is_welcome) = (None, false);
        of.naps += 1;
        for outbox in &mut of.outbox {
            outbox.iter_mut().for_each(|letter| letter.is_sent = false);
        }
        for view in of.views.values_mut() {
            view.lost();
        }
        let nap = of.naps;
        self.plan(us, Plan::Wake(client, nap));
    }

    pub(super) fn is_away(&mut self, client: usize, grace_us: u64) {
        let us = self.us;
        for view in self.clients[client].views.values_mut() {
            view.is_away(us, grace_us);
        }
    }

    /// A client connects.
    pub(super) fn wake(&mut self, client: usize, nap: u32) {
        let of = &self.clients[client];
        if of.conn.is_some() || of.naps != nap {
            return;
        }
        let gateway = of.gateway;
        if !self.gateways[gateway].is_up {
            let us = self.chance.between(50_000, 500_000);
            self.clients[client].gateway = (gateway + 1) % GATEWAYS;
            return self.nap(client, us);
        }
        let id = self.id();
        self.conns.insert(id, Conn::new(client, gateway));
        // The last client is another tab of the first.
        let twin = if client + 1 == self.clients.len() { self.clients[0].token.clone() } else { None };
        let of = &mut self.clients[client];
        of.conn = Some(id);
        if of.token.is_none() {
            of.token = twin;
        }
        let mut rooms = Vec::new();
        for (room, is_monitor) in &of.wants {
            if !is_monitor {
                let view = of.views.entry(*room).or_default();
                view.asked.push_back(view.cursor);
                rooms.push((*room, view.cursor));
            }
        }
        let token = of.token.clone();
        self.ask(id, Ask::Hello(token, rooms));
    }

    pub(super) fn client_loses(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        conn.is_over_at_client = true;
        let client = conn.client;
        if self.clients[client].conn == Some(id) {
            self.is_away(client, 9_000_000); // it learns of it a little late
            let us = self.chance.between(20_000, 700_000);
            self.clients[client].gateway = self.chance.below(GATEWAYS as u64) as usize;
            self.nap(client, us);
        }
        self.sweep_links();
    }

    pub(super) fn welcomed(&mut self, client: usize, user: String, token: String) {
        let of = &mut self.clients[client];
        let known = of.user.get_or_insert_with(|| user.clone()).clone();
        (of.token, of.is_welcome) = (Some(token), true);
        if known != user {
            return self.found("P4", format!("client {client} was {known}, and comes back as {user}"));
        }
        for room in 0..ROOMS.len() {
            self.send_on(client, room);
        }
        // What it has come to want, or not to want, since it said hello.
        for room in 0..ROOMS.len() {
            let of = &mut self.clients[client];
            let is_asked = of.views.get(&room).is_some_and(|view| !view.asked.is_empty());
            match of.wants.get(&room).copied() {
                Some(is_monitor) if !is_asked || is_monitor => self.want(client, room, is_monitor, false),
                None if is_asked => self.leave(client, room),
                Some(_) | None => {}
            }
        }
    }

    /// Sends what the outbox has and the client's manner allows.
    pub(super) fn send_on(&mut self, client: usize, room: usize) {
        let most = if self.schedule.is_pipelined { PIPELINE } else { 1 };
        let of = &mut self.clients[client];
        of.waits[room] = false;
        let (Some(conn), true) = (of.conn, of.is_welcome) else { return };
        let mut due = Vec::new();
        for letter in of.outbox[room].iter_mut().take(most).filter(|letter| !letter.is_sent) {
            letter.is_sent = true;
            due.push(letter.nth);
        }
        for nth in due {
            let of = &self.clients[client];
            let (key, text) = (of.key(room, nth), of.key(room, nth));
            self.ask(conn, Ask::Post(room, key, text));
        }
    }

    pub(super) fn acked(&mut self, client: usize, room: usize, key: &str) {
        let nth = Client::nth_of(key);
        let of = &mut self.clients[client];
        of.outbox[room].retain(|letter| letter.nth != nth);
        of.acked[room].insert(nth);
        self.on_answer(client, room);
    }

    /// A refusal for now: the letter stays, and is said again in its place once nothing is under way.
    pub(super) fn refused(&mut self, client: usize, room: usize, key: &str, code: &str) {
        let nth = Client::nth_of(key);
        if code != "UNAVAILABLE" && code != "RATE_LIMITED" {
            return self.found("P11", format!("{key} is refused with {code}"));
        }
        let of = &mut self.clients[client];
        if let Some(letter) = of.outbox[room].iter_mut().find(|letter| letter.nth == nth) {
            letter.is_sent = false;
            of.waits[room] = true;
        }
        self.on_answer(client, room);
    }

    fn on_answer(&mut self, client: usize, room: usize) {
        let of = &self.clients[client];
        let is_under_way = of.outbox[room].iter().any(|letter| letter.is_sent);
        if !of.waits[room] {
            self.send_on(client, room);
        } else if !is_under_way {
            self.plan(AGAIN_US, Plan::Again(client, room));
        }
    }
}
