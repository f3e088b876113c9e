//! A client of the full protocol.
//!
//! Owns one guest's life: connections, rooms, messages, and the deeds that its dice say. Promises what a good client
//! owes: its cursors and its guest token on every return, its keys on every repeat, jitter before it returns, obedience
//! to whoever asks it to wait or go, a sign of life when asked. Never judges what it is given.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use parlour_chassis::backoff::Backoff;
use tokio::sync::watch;

use super::{
    Account, Phase, World,
    link::{Door, Link, Weather},
    outbox::Outbox,
};
use crate::{
    judge::{Breach, Promise, audit::Sent, reader::Reader, view::View},
    plan::{Dice, Fault},
    record::Count,
    truth::Parting,
    wire::Up,
};

/// The bounds of the delay before connecting again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// A client's place in a room.
#[derive(Debug, Default)]
pub(super) struct Seat {
    /// It wants to be there.
    pub(super) is_wished: bool,
    pub(super) is_leaving: bool,
    pub(super) reader: Reader,
    pub(super) outbox: Outbox,
    pub(super) view: View,
    /// When it asked to join, in this session.
    pub(super) begun: Duration,
    /// Not to ask again before then.
    pub(super) not_before: Option<Instant>,
    /// How far the others were when it came back.
    pub(super) target: u64,
    /// At the end, what it was told is the truth, or was found not to be.
    pub(super) is_compared: bool,
}

/// What was asked and has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Hello,
    Join(usize),
    Leave(usize),
    Send(usize, u32),
    Fault(Fault),
}

/// How a session ends.
#[derive(Debug)]
pub(super) enum End {
    /// The client parts, and returns after a pause.
    Part(Parting, Duration),
    /// The run is over.
    Finished,
}

/// A client.
pub(crate) struct Full {
    pub(super) world: Arc<World>,
    pub(super) me: usize,
    pub(super) name: String,
    pub(super) seats: Vec<Seat>,
    pub(super) book: Vec<Sent>,
    pub(super) asked: HashMap<String, (Asked, Instant)>,
    pub(super) says: Vec<(String, Up)>,
    pub(super) guest_token: Option<String>,
    /// Who it is, since it was first told.
    pub(super) user: Option<String>,
    pub(super) is_welcome: bool,
    /// When it returned, until it is where the others were then.
    pub(super) returning: Option<Instant>,
    /// When the server wants it gone.
    pub(super) going: Option<Instant>,
    pub(super) backoff: Backoff,
    pub(super) dice: Dice,
    pub(super) phase: watch::Receiver<Phase>,
    is_grpc: bool,
    gateway: Option<usize>,
    pub(super) ids: u64,
    pub(super) opened: Instant,
    pub(super) next_say: Instant,
    pub(super) next_deed: Instant,
    /// The phase that it has said it is ready for.
    pub(super) reported: u8,
    pub(super) settled: bool,
}

impl Full {
    /// The client of that number, which speaks JSON to the gateways or gRPC to the room service.
    pub(crate) fn new(world: &Arc<World>, me: usize, is_grpc: bool) -> Self {
        let mut dice = Dice::new(world.seed, me);
        let mut seats: Vec<_> = world.rooms.iter().map(|_| Seat::default()).collect();
        for seat in &mut seats {
            seat.is_wished = dice.chance(0.75);
        }
        let home = me % seats.len();
        seats[home].is_wished = true;
        let now = Instant::now();
        Self {
            name: world.names.client(me),
            phase: world.phase.clone(),
            world: Arc::clone(world),
            me,
            seats,
            book: Vec::new(),
            asked: HashMap::new(),
            says: Vec::new(),
            guest_token: None,
            user: None,
            is_welcome: false,
            returning: None,
            going: None,
            backoff: Backoff::new(BACKOFF.0, BACKOFF.1),
            dice,
            is_grpc,
            gateway: None,
            ids: 0,
            opened: now,
            next_say: now,
            next_deed: now,
            reported: 0,
            settled: false,
        }
    }

    /// Lives until the run is over.
    pub(crate) async fn live(mut self) -> Account {
        loop {
            let door = self.door();
            match Link::open(&door).await {
                Ok(mut link) => {
                    self.begin(Instant::now());
                    let end = self.session(&mut link).await;
                    if self.ended(link, end).await {
                        break;
                    }
                }
                Err(weather) => {
                    self.world.record.count(Count::FailedConnects);
                    self.accuse_weather(&weather);
                    if matches!(*self.phase.borrow(), Phase::Part) {
                        break;
                    }
                    tokio::time::sleep(self.backoff.next_delay()).await;
                }
            }
        }
        if !self.seats.iter().all(|seat| seat.is_compared) {
            let breach = Breach::of(Promise::P4, "could not come back before the end");
            self.world.record.breach(breach, None, Some(&self.name), Vec::new());
        }
        Account { client: self.me, book: self.book }
    }

    /// Where to connect next.
    fn door(&mut self) -> Door {
        if let Some(address) = self.world.grpc.as_ref().filter(|_| self.is_grpc) {
            return Door::RoomService(address.clone());
        }
        let gateway = self.dice.below(self.world.gateways.len());
        if self.gateway.replace(gateway).is_some_and(|before| before != gateway) {
            self.world.record.count(Count::GatewayChanges);
        }
        Door::Gateway(self.world.gateways[gateway].clone())
    }

    /// A session begins: says hello.
    fn begin(&mut self, now: Instant) {
        self.world.record.count(Count::Sessions);
        (self.is_welcome, self.going, self.opened) = (false, None, now);
        self.asked.clear();
        self.says.clear();
        self.next_deed = now + self.dice.until_deed();
        self.next_say = now + self.dice.wait(self.world.rate);
        self.returning.get_or_insert(now);
        let (at, at_ms) = (self.world.now(), self.world.record.elapsed_ms());
        let mut rooms = BTreeMap::new();
        for (seat, room) in self.seats.iter_mut().zip(&self.world.rooms) {
            (seat.is_leaving, seat.not_before, seat.target) = (false, None, 0);
            if seat.is_wished {
                let from = seat.reader.at();
                seat.begun = at;
                seat.view.begin();
                seat.reader.asks(at_ms, from);
                rooms.insert(room.name.clone(), from.map(|from| from.to_string()).unwrap_or_default());
            }
        }
        let hello = Up::Hello { name: self.name.clone(), guest_token: self.guest_token.clone(), rooms };
        self.ask(Asked::Hello, hello);
    }

    /// One session, until something ends it.
    async fn session(&mut self, link: &mut Link) -> Result<End, Weather> {
        loop {
            let now = Instant::now();
            if let Some(end) = self.act(now) {
                return Ok(end);
            }
            self.pump(now);
            if !self.says.is_empty() {
                let says = std::mem::take(&mut self.says);
                link.say(&says).await?;
            }
            self.report();
            let due = tokio::time::Instant::from_std(self.due());
            tokio::select! {
                told = link.next() => self.hear(told?),
                () = tokio::time::sleep_until(due) => {}
                changed = self.phase.changed() => {
                    if changed.is_err() {
                        return Ok(End::Finished);
                    }
                }
            }
        }
    }

    /// A session has ended; returns whether the client's life has, too.
    async fn ended(&mut self, link: Link, end: Result<End, Weather>) -> bool {
        let (parting, pause) = match end {
            Ok(End::Part(parting, pause)) => {
                self.parted(
                    self.going
                        .map_or(parting, |at| Parting::Asked(at.saturating_duration_since(Instant::now()))),
                );
                (parting, pause)
            }
            Ok(End::Finished) => {
                link.part(Parting::Closed, false).await;
                return true;
            }
            Err(weather) => {
                self.world.record.count(Count::Losses);
                self.accuse_weather(&weather);
                self.parted(Parting::Broken);
                (Parting::Broken, self.backoff.next_delay())
            }
        };
        let resets = self.dice.chance(0.5);
        link.part(parting, resets).await;
        self.pause(pause).await;
        self.returning = Some(Instant::now());
        false
    }

    /// Stays away, unless the run draws to its close.
    async fn pause(&mut self, pause: Duration) {
        let talk_ends = self.phase.wait_for(|phase| phase.number() > Phase::Talk.number());
        // Whichever comes first, it returns.
        let _ = tokio::time::timeout(pause, talk_ends).await;
    }

    fn parted(&mut self, parting: Parting) {
        let (now, at_ms) = (self.world.now(), self.world.record.elapsed_ms());
        for (room, seat) in self.seats.iter_mut().enumerate() {
            seat.outbox.broke();
            if seat.reader.is_in() || seat.reader.is_asking() {
                self.world.truth().parted(self.me, room, now, parting);
            }
            let result = seat.reader.parted(at_ms);
            self.world.accuse(&self.name, room, &seat.reader, result);
        }
    }

    fn accuse_weather(&self, weather: &Weather) {
        if weather.is_wrong() {
            let breach =
                Breach::of(Promise::P11, format!("did nothing wrong, and was turned away: {weather}"));
            self.world.record.breach(breach, None, Some(&self.name), Vec::new());
        }
    }
}
