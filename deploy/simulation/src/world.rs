//! The world of a schedule: one replica, gateways, clients, what lies between them, and virtual time.
//!
//! Owns who is there, what is under way and when it arrives. Promises that the same schedule runs the same way to the
//! last microsecond, and that what one end puts on a link arrives in that order or not at all. Never decides what a
//! room, a relay or a reader does: the machines of the product do, and here is only what drives them.

mod client;
mod faults;
mod feeds;
mod gateway;
mod links;
mod replica;
mod rooms;
mod seen;
mod session;
mod writer;

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BinaryHeap},
    sync::Arc,
    time::{Duration, Instant},
};

use parlour_feed::{Bounds, Cursor, LogRead, PresenceShare, Read, Seq};
use parlour_gateway::{limits::Limits, relay::event::RoomEvent};
use parlour_room::{auth::Auth, hub::live::Fact, rooms::Settings, rpc::relay::desk::Done, store::GuestKey};

use self::{
    client::Client,
    gateway::Gateway,
    links::{Conn, Stream},
    replica::Replica,
};
use crate::{
    judge::Judge,
    random::Random,
    schedule::{CLIENTS, GATEWAYS, Schedule},
    store::Store,
};

/// A gateway's stream; numbers are never used twice.
type StreamId = u32;
/// A client's connection.
type ConnId = u32;

/// Bounds that a few clients need more than: of what two rings hold when full, about half, and one page at a time.
const TIGHT: Bounds = Bounds { rings: 12 << 10, pages: 12 << 10, outboxes: 512 << 20 };
/// Events in a page that is within them.
const TIGHT_PAGE: usize = 10;
/// A share that is spent by three or four changes; everybody fits into it.
const TIGHT_SHARE: PresenceShare = PresenceShare { per_second: 512, at_once: 640 };

/// What is to happen at its time. Whatever belongs to a process names the life it belongs to.
enum Plan {
    /// The next step of the schedule.
    Step(usize),
    /// The next frame of a stream arrives at the replica; or at the gateway.
    Up(StreamId),
    Down(StreamId),
    /// An end of a stream learns that the other has gone.
    UpEnds(StreamId),
    DownEnds(StreamId),
    /// The replica looks whether it has heard of the gateway.
    Silence(StreamId),
    /// A gateway opens a stream, says that it lives, does what is due.
    Connect(usize, u32),
    Ping(usize, u32, StreamId),
    Tick(usize, u32),
    Heartbeat(usize, u32),
    /// The replica's rooms: timers, reads, their answers, what the writer says.
    RoomTimer(u32, usize),
    RoomRead(u32, usize, Read),
    RoomAnswer(u32, usize, Read, LogRead<Fact>),
    RoomAgain(u32, usize),
    Hint(u32, usize, Cursor, Arc<parlour_room::domain::event::Event>),
    Probe(u32),
    HeadRead(u32, usize, Seq),
    Probed(u32, usize, Cursor, Seq, bool),
    Commit(u32),
    Done(u32, StreamId, u64, Box<Done>),
    /// A gateway's rooms.
    FeedTimer(usize, u32, usize),
    FeedRead(usize, u32, usize, Read),
    FeedAnswer(usize, u32, usize, Read, LogRead<Arc<RoomEvent>>),
    /// The next frame of a connection arrives at the gateway; or at the client.
    ToGateway(ConnId),
    ToClient(ConnId),
    /// An end of a connection learns that the other has gone.
    GatewayLoses(ConnId, bool),
    ClientLoses(ConnId),
    /// A client connects; says again what was refused.
    Wake(usize, u32),
    Again(usize, usize),
    JoinAgain(usize, usize),
    /// A process is back.
    ReplicaBack(u32),
    GatewayBack(usize, u32),
}

struct Planned {
    at_us: u64,
    nth: u64,
    plan: Plan,
}

impl PartialEq for Planned {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Planned {}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Planned {
    /// The heap's greatest is what comes first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at_us, other.nth).cmp(&(self.at_us, self.nth))
    }
}

/// The world.
pub struct World {
    schedule: Schedule,
    base: Instant,
    us: u64,
    agenda: BinaryHeap<Planned>,
    nth: u64,
    chance: Random,
    /// No more faults.
    is_calm: bool,
    auth: Arc<Auth>,
    settings: Settings,
    limits: Limits,
    store: Store,
    replica: Replica,
    gateways: Vec<Gateway>,
    streams: BTreeMap<StreamId, Stream>,
    conns: BTreeMap<ConnId, Conn>,
    clients: Vec<Client>,
    next_id: u32,
    faults: faults::Faults,
    /// What is found.
    pub judge: Judge,
}

impl World {
    /// The world before the first step of a schedule.
    pub fn new(schedule: Schedule) -> Self {
        let base = Instant::now(); // only differences from it are ever looked at
        let usual = Limits { replay_events: 60, ring_events: 12, ..Limits::default() };
        let limits = match schedule.is_tight {
            true => Limits { bounds: TIGHT, presence: TIGHT_SHARE, log_page: TIGHT_PAGE, ..usual },
            false => usual,
        };
        let settings = Settings {
            bounds: limits.bounds,
            replay_events: 60,
            ring_events: 16,
            idle_room: Duration::from_secs(4),
            ..Settings::default()
        };
        let mut chance = Random::new(schedule.seed);
        let key = GuestKey { id: 1, secret: [7; 32] };
        let replica = Replica::new(1, chance.id(), limits.bounds, base);
        let gateways = (0..GATEWAYS).map(|_| Gateway::new(1, chance.id(), &limits)).collect();
        let mut world = Self {
            base,
            us: 0,
            agenda: BinaryHeap::new(),
            nth: 0,
            chance,
            is_calm: false,
            auth: Arc::new(Auth::new(&[key], None, true)),
            settings,
            limits,
            store: Store::new(),
            replica,
            gateways,
            streams: BTreeMap::new(),
            conns: BTreeMap::new(),
            clients: (0..CLIENTS).map(Client::new).collect(),
            next_id: 0,
            faults: faults::Faults::default(),
            judge: Judge::default(),
            schedule,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        self.plan(1_000_000, Plan::Probe(1));
        for gateway in 0..GATEWAYS {
            self.gateway_begins(gateway);
        }
        for client in 0..CLIENTS {
            let after_us = self.chance.below(200_000);
            self.plan(after_us, Plan::Wake(client, 0));
        }
        if let Some(first) = self.schedule.steps.first() {
            self.plan(first.at_us, Plan::Step(0));
        }
    }

    /// Runs the schedule, then quiet, then the judges that look at the end. Stops at the first thing found.
    pub fn run(&mut self) {
        let end_us = self.schedule.steps.last().map_or(0, |step| step.at_us) + 200_000;
        self.run_until(end_us);
        self.come_to_rest();
    }

    fn run_until(&mut self, until_us: u64) {
        while self.judge.found.is_none()
            && let Some(next) = self.agenda.peek()
            && next.at_us <= until_us
        {
            let Some(Planned { at_us, plan, .. }) = self.agenda.pop() else { break };
            self.us = at_us;
            self.judge.tally.inputs += 1;
            self.carry_out(plan);
        }
        if self.judge.found.is_none() {
            self.us = self.us.max(until_us);
        }
    }

    /// A process that stands still does what came in once it goes on, in the order in which it came.
    fn stands_still_until(&self, plan: &Plan) -> Option<u64> {
        use Plan::*;
        let until_us = match plan {
            Up(_) | UpEnds(_) | Silence(_) | RoomTimer(..) | RoomAnswer(..) | RoomAgain(..) | Hint(..)
            | Probe(_) | Probed(..) | Done(..) => self.replica.still_until_us,
            Down(stream) | DownEnds(stream) => {
                self.gateways[self.streams.get(stream)?.gateway].still_until_us
            }
            Connect(gateway, _)
            | Ping(gateway, ..)
            | Tick(gateway, _)
            | Heartbeat(gateway, _)
            | FeedTimer(gateway, ..)
            | FeedAnswer(gateway, ..) => self.gateways[*gateway].still_until_us,
            ToGateway(conn) | GatewayLoses(conn, _) => {
                self.gateways[self.conns.get(conn)?.gateway].still_until_us
            }
            _ => 0,
        };
        (until_us > self.us).then_some(until_us)
    }

    fn carry_out(&mut self, plan: Plan) {
        if let Some(until_us) = self.stands_still_until(&plan) {
            return self.plan(until_us - self.us, plan);
        }
        match plan {
            Plan::Step(nth) => self.step(nth),
            Plan::Up(stream) => self.up(stream),
            Plan::Down(stream) => self.down(stream),
            Plan::UpEnds(stream) => self.up_ends(stream),
            Plan::DownEnds(stream) => self.down_ends(stream),
            Plan::Silence(stream) => self.look_for_silence(stream),
            Plan::Connect(gateway, life) => self.connect(gateway, life),
            Plan::Ping(gateway, life, stream) => self.ping(gateway, life, stream),
            Plan::Tick(gateway, life) => self.tick(gateway, life),
            Plan::Heartbeat(gateway, life) => self.heartbeat(gateway, life),
            Plan::RoomTimer(life, room) => self.room_timer(life, room),
            Plan::RoomRead(life, room, read) => self.room_read(life, room, read),
            Plan::RoomAnswer(life, room, read, answer) => self.room_answer(life, room, read, answer),
            Plan::RoomAgain(life, room) => self.room_again(life, room),
            Plan::Hint(life, room, prev, event) => self.hint(life, room, prev, &event),
            Plan::Probe(life) => self.probe(life),
            Plan::HeadRead(life, room, stood) => self.head_read(life, room, stood),
            Plan::Probed(life, room, head, stood, has_waited) => {
                self.probed(life, room, head, stood, has_waited);
            }
            Plan::Commit(life) => self.commit(life),
            Plan::Done(life, stream, job, done) => self.done(life, stream, job, *done),
            Plan::FeedTimer(gateway, life, room) => self.feed_timer(gateway, life, room),
            Plan::FeedRead(gateway, life, room, read) => self.feed_read(gateway, life, room, read),
            Plan::FeedAnswer(gateway, life, room, read, answer) => {
                self.feed_answer(gateway, life, room, read, answer);
            }
            Plan::ToGateway(conn) => self.gateway_hears(conn),
            Plan::ToClient(conn) => self.client_hears(conn),
            Plan::GatewayLoses(conn, in_order) => self.gateway_loses(conn, in_order),
            Plan::ClientLoses(conn) => self.client_loses(conn),
            Plan::Wake(client, nap) => self.wake(client, nap),
            Plan::Again(client, room) => self.send_on(client, room),
            Plan::JoinAgain(client, room) => self.join_again(client, room),
            Plan::ReplicaBack(life) => self.replica_back(life),
            Plan::GatewayBack(gateway, life) => self.gateway_back(gateway, life),
        }
    }

    fn plan(&mut self, after_us: u64, plan: Plan) {
        self.nth += 1;
        self.agenda.push(Planned { at_us: self.us + after_us, nth: self.nth, plan });
    }

    fn now(&self) -> Instant {
        self.base + Duration::from_micros(self.us)
    }

    /// How long until then, for a plan; a moment later, so that what is due then is due.
    fn until(&self, at: Instant) -> u64 {
        let us = at.saturating_duration_since(self.now()).as_micros();
        u64::try_from(us).unwrap_or(u64::MAX / 2) + 1
    }

    fn id(&mut self) -> u32 {
        self.next_id += 1;
        self.next_id
    }

    /// Whether a small fault happens: once in so many times, at the schedule's usual noise.
    fn mishap(&mut self, times: u64) -> bool {
        let noise = self.schedule.noise;
        let strikes = self.chance.one_in((noise * times / 12).max(1));
        strikes && noise > 0 && !self.is_calm
    }

    fn delay(&mut self, usual_us: u64) -> u64 {
        let times = if self.mishap(20) { 40 } else { 1 };
        (self.chance.below(usual_us) + 1) * times
    }

    /// The judge's word, with the time.
    fn found(&mut self, promise: &'static str, what: String) {
        let at_us = self.us;
        self.judge.found(promise, at_us, what);
    }
}
