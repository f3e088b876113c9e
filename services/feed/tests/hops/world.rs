//! Two replicas behind a lossy bus, two gateways behind relays that break, and clients that wander between them.
//!
//! Owns the clock and everything on its way. Promises that a seed repeats itself. Never lets a client see what an
//! Audience did not give it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    sync::Arc,
    time::{Duration, Instant},
};

use parlour_feed::{
    Audience, Budget, Check, Cursor, Entry, Hint, Limits, LogRead, Read, ReaderId, ReaderKind, ResyncReason,
    Step,
};

use super::{
    log::{Event, Log},
    random::Random,
};

pub(crate) const REPLICAS: usize = 2;
const HOPS: usize = 4;

/// Who is woken at a hop: at a replica a gateway's relay, at a gateway a client.
type Who = usize;

pub(crate) struct World {
    pub(crate) random: Random,
    start: Instant,
    us: u64,
    pub(crate) log: Log,
    /// The replicas, then the gateways.
    hops: Vec<Audience<Arc<Event>, Who>>,
    relays: BTreeMap<usize, Relay>,
    clients: Vec<Client>,
    agenda: BinaryHeap<Reverse<(u64, u64)>>,
    plans: BTreeMap<u64, Plan>,
    plan_count: u64,
    limits: Vec<Limits>,
    /// When each hop's next timer is due.
    timers: Vec<Option<u64>>,
    pub(crate) is_calm: bool,
    pub(crate) totals: Totals,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) inputs: u64,
    pub(crate) steps: u64,
    pub(crate) given: u64,
    pub(crate) resyncs: u64,
}

/// A gateway's stream to a replica.
struct Relay {
    replica: usize,
    reader: ReaderId,
    generation: u64,
    /// What is on the stream, and when the last of it arrives.
    waiting: usize,
    last_us: u64,
    is_stepping: bool,
}

struct Client {
    home: Option<(usize, ReaderId)>,
    cursor: Cursor,
    name: Option<u64>,
    is_stepping: bool,
    is_slow: bool,
}

enum Plan {
    Bus { replica: usize, hint: Hint<Arc<Event>> },
    Down { gateway: usize, generation: u64, said: Said },
    CarryOut { hop: usize, read: Read },
    Answer { hop: usize, read: Read, answer: LogRead<Arc<Event>> },
    Timer { hop: usize },
    RelayStep { gateway: usize, generation: u64 },
    ClientStep { client: usize },
}

enum Said {
    Event(Hint<Arc<Event>>),
    Head(Cursor),
}

impl World {
    pub(crate) fn new(seed: u64, clients: usize) -> Self {
        let log = Log::new();
        let bus = Limits {
            ring_events: 24,
            replay_events: 90,
            pending_events: 8,
            read_events: 30,
            page_events: 8,
            pages_bytes: 4_000,
            ..Limits::default()
        };
        let relay = Limits { gap_wait: Duration::ZERO, ring_events: 16, ..bus.clone() };
        let limits: Vec<_> =
            (0..HOPS).map(|hop| if hop < REPLICAS { bus.clone() } else { relay.clone() }).collect();
        let hops =
            limits.iter().zip(seed..).map(|(limits, seed)| Audience::new(log.head(), limits.clone(), seed));
        let client =
            |_| Client { home: None, cursor: log.head(), name: Some(0), is_stepping: false, is_slow: false };
        let mut world = Self {
            random: Random(seed),
            start: Instant::now(),
            us: 0,
            hops: hops.collect(),
            relays: BTreeMap::new(),
            clients: (0..clients).map(client).collect(),
            agenda: BinaryHeap::new(),
            plans: BTreeMap::new(),
            plan_count: 0,
            limits,
            timers: vec![None; HOPS],
            is_calm: false,
            totals: Totals::default(),
            log,
        };
        (REPLICAS..HOPS).for_each(|gateway| world.attach(gateway));
        world
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_micros(self.us)
    }

    fn plan(&mut self, after_us: u64, plan: Plan) {
        self.plan_count += 1;
        self.plans.insert(self.plan_count, plan);
        self.agenda.push(Reverse((self.us + after_us, self.plan_count)));
    }

    /// Runs until then, or until nothing is planned.
    pub(crate) fn run_for(&mut self, us: u64) {
        let until = self.us + us;
        while let Some(&Reverse((due, nth))) = self.agenda.peek() {
            if due > until {
                break;
            }
            self.agenda.pop();
            self.us = due;
            let plan = self.plans.remove(&nth).expect("a plan is carried out once");
            self.carry_out(plan);
        }
        self.us = until;
    }

    fn carry_out(&mut self, plan: Plan) {
        let now = self.now();
        self.totals.inputs += 1;
        match plan {
            Plan::Bus { replica, hint } => {
                self.hops[replica].hint(hint, now);
                self.settle(replica);
            }
            Plan::Down { gateway, generation, said } => self.down(gateway, generation, said),
            Plan::CarryOut { hop, read } => {
                let answer =
                    if self.faults(8) { LogRead::Failed } else { self.log.read(read.after, read.limit) };
                let delay = self.delay(3_000);
                self.plan(delay, Plan::Answer { hop, read, answer });
            }
            Plan::Answer { hop, read, answer } => {
                self.hops[hop].read_done(read, answer, now);
                self.settle(hop);
            }
            Plan::Timer { hop } => {
                self.timers[hop].take_if(|due| *due <= self.us);
                self.settle(hop);
            }
            Plan::RelayStep { gateway, generation } => self.relay_step(gateway, generation),
            Plan::ClientStep { client } => self.client_step(client),
        }
    }

    /// One in so many, while there are faults at all.
    pub(crate) fn faults(&mut self, one_in: u64) -> bool {
        !self.is_calm && self.random.below(one_in) == 0
    }

    fn delay(&mut self, usual_us: u64) -> u64 {
        let slow = if self.faults(20) { 40 } else { 1 };
        self.random.below(usual_us) * slow + 1
    }

    /// A replica appends: its own Follower hears at once, the others by the bus.
    pub(crate) fn append(&mut self) {
        let entry = self.log.append();
        let author = self.random.below(REPLICAS as u64) as usize;
        for replica in 0..REPLICAS {
            let hint = Hint { prev: entry.event.prev, entry: entry.clone(), own: replica == author };
            let times = if replica == author {
                1
            } else {
                1 - u64::from(self.faults(10)) + u64::from(self.faults(10))
            };
            for _ in 0..times {
                let delay = if replica == author { 1 } else { self.delay(2_000) };
                self.plan(delay, Plan::Bus { replica, hint: hint.clone() });
            }
        }
    }

    /// The replicas ask the log for its head.
    pub(crate) fn probe(&mut self) {
        let (head, now) = (self.log.head(), self.now());
        for replica in 0..REPLICAS {
            self.hops[replica].head(head, now);
            self.settle(replica);
        }
    }

    pub(crate) fn attach(&mut self, gateway: usize) {
        let generation = match self.relays.remove(&gateway) {
            Some(old) => {
                self.hops[old.replica].leave(old.reader);
                old.generation + 1
            }
            None => 0,
        };
        let replica = self.random.below(REPLICAS as u64) as usize;
        let at = self.hops[gateway].position();
        let reader = self.hops[replica].join(ReaderKind::Hints, Some(at), gateway);
        let last_us = self.us;
        self.relays
            .insert(gateway, Relay { replica, reader, generation, waiting: 0, last_us, is_stepping: false });
        self.settle(replica);
    }

    fn relay_step(&mut self, gateway: usize, generation: u64) {
        let now = self.now();
        let Some(relay) = self.relays.get_mut(&gateway).filter(|relay| relay.generation == generation) else {
            return;
        };
        relay.is_stepping = false;
        if relay.waiting > 20 {
            relay.is_stepping = true;
            return self.plan(2_000, Plan::RelayStep { gateway, generation });
        }
        let (reader, replica, mut given) = (relay.reader, relay.replica, Vec::new());
        let before = self.hops[replica].reader_position(reader).expect("the relay is there");
        match self.hops[replica].step(reader, Budget { events: 10, bytes: 600 }, now, &mut given) {
            Step::Nothing => return,
            Step::Events => {
                let prevs: Vec<Check> =
                    [before.check].into_iter().chain(given.iter().map(|entry| entry.cursor.check)).collect();
                for (entry, prev) in given.into_iter().zip(prevs) {
                    self.send_down(gateway, Said::Event(Hint { prev, entry, own: false }));
                }
            }
            Step::Head(head) => self.send_down(gateway, Said::Head(head)),
            step @ (Step::Resync { .. } | Step::Presence { .. }) => panic!("{step:?} is not for a relay"),
        }
        self.wake(replica, gateway);
    }

    fn send_down(&mut self, gateway: usize, said: Said) {
        let delay = self.delay(500);
        let us = self.us;
        let Some(relay) = self.relays.get_mut(&gateway) else { return };
        relay.waiting += 1;
        relay.last_us = relay.last_us.max(us + delay); // a stream keeps its order
        let (after, generation) = (relay.last_us - us, relay.generation);
        self.plan(after, Plan::Down { gateway, generation, said });
    }

    fn down(&mut self, gateway: usize, generation: u64, said: Said) {
        let now = self.now();
        let Some(relay) = self.relays.get_mut(&gateway).filter(|relay| relay.generation == generation) else {
            return;
        };
        relay.waiting -= 1;
        match said {
            Said::Event(hint) => self.hops[gateway].hint(hint, now),
            Said::Head(head) => self.hops[gateway].head(head, now),
        }
        self.settle(gateway);
    }

    pub(crate) fn client_joins(&mut self, client: usize) {
        self.client_leaves(client);
        let gateway = REPLICAS + self.random.below((HOPS - REPLICAS) as u64) as usize;
        let is_fresh = self.faults(6);
        let at = if is_fresh { None } else { Some(self.clients[client].cursor) };
        let reader = self.hops[gateway].join(ReaderKind::Log, at, client);
        let cursor = self.hops[gateway].reader_position(reader).expect("it has joined");
        let name = self.log.names.get(&cursor).copied();
        let is_slow = self.faults(3);
        self.clients[client] =
            Client { home: Some((gateway, reader)), cursor, name, is_stepping: false, is_slow };
        self.settle(gateway);
    }

    pub(crate) fn client_leaves(&mut self, client: usize) {
        if let Some((gateway, reader)) = self.clients[client].home.take() {
            assert_eq!(self.hops[gateway].leave(reader), Some(client));
        }
    }

    fn client_step(&mut self, client: usize) {
        let now = self.now();
        self.clients[client].is_stepping = false;
        let Some((gateway, reader)) = self.clients[client].home else { return };
        let budget = Budget { events: self.random.below(12) as usize, bytes: 900 };
        let mut given = Vec::new();
        let step = self.hops[gateway].step(reader, budget, now, &mut given);
        self.totals.steps += 1;
        let stands = self.hops[gateway].position().seq;
        assert!(given.iter().all(|entry| entry.cursor.seq <= stands), "nothing the Follower has not reached");
        for entry in given {
            self.client_takes(client, &entry);
        }
        let held = self.clients[client].cursor;
        match step {
            Step::Nothing => {}
            Step::Events => self.wake(gateway, client),
            Step::Resync { cursor, reason } => {
                let distance = cursor.seq.saturating_sub(held.seq);
                let is_just = match reason {
                    ResyncReason::TooFar => distance > self.limits[gateway].replay_events,
                    ResyncReason::OtherLog | ResyncReason::Ahead => !self.log.has(held),
                };
                assert!(is_just, "P3: a false resync from {held:?} to {cursor:?}: {reason:?}");
                self.totals.resyncs += 1;
                self.clients[client].cursor = cursor;
                self.clients[client].name = self.log.names.get(&cursor).copied();
                self.wake(gateway, client);
            }
            step @ (Step::Presence { .. } | Step::Head(_)) => panic!("{step:?} is not for a client"),
        }
        self.settle(gateway);
    }

    fn client_takes(&mut self, client: usize, entry: &Entry<Arc<Event>>) {
        let client = &mut self.clients[client];
        assert_eq!(client.name, Some(entry.event.follows), "P3: {:?} is not what comes next", entry.cursor);
        assert_eq!(client.cursor.seq + 1, entry.cursor.seq, "P2: one after the other");
        client.name = Some(entry.event.name);
        client.cursor = entry.cursor;
        self.totals.given += 1;
    }

    fn wake(&mut self, hop: usize, who: Who) {
        if hop < REPLICAS {
            let Some(relay) = self.relays.get_mut(&who).filter(|relay| relay.replica == hop) else { return };
            if !std::mem::replace(&mut relay.is_stepping, true) {
                let generation = relay.generation;
                self.plan(20, Plan::RelayStep { gateway: who, generation });
            }
        } else if !std::mem::replace(&mut self.clients[who].is_stepping, true) {
            let usual = if self.clients[who].is_slow && !self.is_calm { 200_000 } else { 300 };
            let delay = self.delay(usual);
            self.plan(delay, Plan::ClientStep { client: who });
        }
    }

    /// What a driver does after every input.
    fn settle(&mut self, hop: usize) {
        let now = self.now();
        while self.hops[hop].next_change().is_some() {}
        let is_due = self.hops[hop].is_poll_due() || self.hops[hop].deadline().is_some_and(|due| due <= now);
        while let Some(read) = is_due.then(|| self.hops[hop].poll_read(now)).flatten() {
            let delay = self.delay(2_000);
            self.plan(delay, Plan::CarryOut { hop, read });
        }
        let mut woken = Vec::new();
        self.hops[hop].drain_woken(|who| woken.push(*who));
        woken.into_iter().for_each(|who| self.wake(hop, who));
        if let Some(deadline) = self.hops[hop].deadline() {
            let after = deadline.saturating_duration_since(now).as_micros() as u64 + 1;
            if self.timers[hop].is_none_or(|due| due > self.us + after) {
                self.timers[hop] = Some(self.us + after);
                self.plan(after, Plan::Timer { hop });
            }
        }
        let (hop, limits) = (&self.hops[hop], &self.limits[hop]);
        assert!(hop.ring().len() <= limits.ring_events && hop.pending() <= limits.pending_events, "P8");
        assert!(
            hop.pages_bytes() <= limits.pages_bytes + limits.pages_in_flight * limits.page_events * 100,
            "P8"
        );
    }

    /// No more faults: everybody comes back, and must get to the head.
    pub(crate) fn come_to_rest(&mut self) {
        self.is_calm = true;
        self.append();
        self.run_for(10_000_000);
        self.probe();
        (REPLICAS..HOPS).for_each(|gateway| self.attach(gateway));
        (0..self.clients.len())
            .filter(|nth| self.clients[*nth].home.is_none())
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|client| self.client_joins(client));
        self.run_for(30_000_000);
        for hop in &self.hops {
            assert_eq!(hop.position(), self.log.head(), "every hop is whole");
        }
        for client in &self.clients {
            assert_eq!(client.cursor, self.log.head(), "P3: every client is whole");
        }
        assert!(self.agenda.is_empty(), "a system at rest asks for nothing");
    }
}
