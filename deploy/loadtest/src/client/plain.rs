//! A plain client: the smallest there is.
//!
//! Owns one plain client's life: it joins every room under its name, talks, and comes back when its socket is gone.
//! Promises the little that such a client does. Never repeats a message: it has no keys.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parlour_chassis::backoff::Backoff;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;

use super::{
    Account, Phase, World,
    link::{Weather, within},
    socket::Socket,
};
use crate::{
    judge::{
        Breach, Promise,
        audit::{Mark, Sent},
        ledger::Digest,
    },
    plan::{Deed, Dice},
    record::Count,
    truth::Parting,
};

/// The bounds of the delay before connecting again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// A frame, as far as it is looked at.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Frame {
    #[serde(rename = "type")]
    kind: String,
    room: String,
    seq: u64,
    data: Data,
    username: String,
    code: String,
    retry_after_ms: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Data {
    username: String,
    content: String,
}

/// Where it is in a room.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// It has heard of its own arrival.
    is_in: bool,
    /// The seq it was shown last, in this session.
    at: u64,
}

/// A plain client.
pub(crate) struct Plain {
    world: Arc<World>,
    me: usize,
    name: String,
    places: Vec<Place>,
    book: Vec<Sent>,
    dice: Dice,
    phase: watch::Receiver<Phase>,
    backoff: Backoff,
    next_say: Instant,
    next_deed: Instant,
    reported: u8,
    /// It was refused before it was everywhere: it begins again.
    is_refused: bool,
}

enum End {
    Part(Parting, Duration),
    Finished,
}

impl Plain {
    /// The client of that number.
    pub(crate) fn new(world: &Arc<World>, me: usize) -> Self {
        let now = Instant::now();
        Self {
            world: Arc::clone(world),
            me,
            name: world.names.client(me),
            places: vec![Place::default(); world.rooms.len()],
            book: Vec::new(),
            dice: Dice::new(world.seed, me),
            phase: world.phase.clone(),
            backoff: Backoff::new(BACKOFF.0, BACKOFF.1),
            next_say: now,
            next_deed: now,
            reported: 0,
            is_refused: false,
        }
    }

    /// Lives until the run is over.
    pub(crate) async fn live(mut self) -> Account {
        loop {
            let gateway = self.dice.below(self.world.gateways.len());
            let opened = within(Socket::open(&self.world.gateways[gateway])).await;
            let mut socket = match opened {
                Ok(socket) => socket,
                Err(_) if matches!(*self.phase.borrow(), Phase::Part) => break,
                Err(_) => {
                    self.world.record.count(Count::FailedConnects);
                    tokio::time::sleep(self.backoff.next_delay()).await;
                    continue;
                }
            };
            self.world.record.count(Count::Sessions);
            let end = self.session(&mut socket).await;
            let (parting, pause) = match end {
                Ok(End::Part(parting, pause)) => (parting, pause),
                Ok(End::Finished) => {
                    socket.close().await;
                    break;
                }
                Err(weather) => {
                    self.lost(&weather);
                    (Parting::Broken, self.backoff.next_delay())
                }
            };
            self.parted(parting);
            match parting {
                Parting::Closed | Parting::Asked(_) => socket.close().await,
                Parting::Broken => socket.cut(self.dice.chance(0.5)),
            }
            let talk_ends = self.phase.wait_for(|phase| phase.number() > Phase::Talk.number());
            // Whichever comes first, it returns.
            let _ = tokio::time::timeout(pause, talk_ends).await;
        }
        Account { client: self.me, book: self.book }
    }

    fn lost(&self, weather: &Weather) {
        self.world.record.count(Count::Losses);
        if weather.is_wrong() {
            let breach =
                Breach::of(Promise::P11, format!("did nothing wrong, and was turned away: {weather}"));
            self.world.record.breach(breach, None, Some(&self.name), Vec::new());
        }
    }

    fn parted(&mut self, parting: Parting) {
        let now = self.world.now();
        for (room, place) in self.places.iter_mut().enumerate() {
            self.world.truth().parted(self.me, room, now, parting);
            *place = Place::default();
        }
    }

    async fn session(&mut self, socket: &mut Socket) -> Result<End, Weather> {
        let joins = self
            .world
            .rooms
            .iter()
            .map(|room| json!({"type": "join", "room": room.name, "username": self.name}).to_string());
        let joins = joins.collect();
        within(socket.say(joins)).await?;
        let now = Instant::now();
        self.next_say = now + self.dice.wait(self.world.rate);
        self.next_deed = now + self.dice.until_deed();
        self.is_refused = false;
        loop {
            if self.is_refused {
                return Ok(End::Part(Parting::Closed, self.backoff.next_delay()));
            }
            let phase = self.phase.borrow().clone();
            let now = Instant::now();
            match &phase {
                Phase::Talk => {
                    if let Some(end) = self.talk(socket, now).await? {
                        return Ok(end);
                    }
                }
                Phase::Part => return Ok(End::Finished),
                Phase::Hush | Phase::Settle | Phase::Catch(_) | Phase::Compare(..) => self.report(&phase),
            }
            let due = self.next_say.min(self.next_deed).max(now + Duration::from_millis(10));
            tokio::select! {
                text = socket.next() => self.hear(&text?)?,
                () = tokio::time::sleep_until(due.into()), if matches!(phase, Phase::Talk) => {}
                changed = self.phase.changed() => {
                    if changed.is_err() {
                        return Ok(End::Finished);
                    }
                }
            }
        }
    }

    async fn talk(&mut self, socket: &mut Socket, now: Instant) -> Result<Option<End>, Weather> {
        if self.next_say <= now {
            self.next_say = now + self.dice.wait(self.world.rate);
            let room = self.dice.below(self.places.len());
            if self.places[room].is_in {
                let text = self.compose(room);
                within(socket.say(vec![text])).await?;
            }
        }
        if self.next_deed > now {
            return Ok(None);
        }
        self.next_deed = now + self.dice.until_deed();
        match self.dice.deed() {
            Deed::Part(parting, pause) => Ok(Some(End::Part(parting, pause))),
            Deed::Type => {
                let room = &self.world.rooms[0].name;
                let typing = json!({"type": "typing", "room": room, "username": self.name});
                within(socket.say(vec![typing.to_string()])).await?;
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    fn compose(&mut self, room: usize) -> String {
        let number = u32::try_from(self.book.len()).expect("a run does not last that long");
        let room_number = u16::try_from(room).expect("the settings bound the rooms");
        self.book.push(Sent { room: room_number, ..Sent::default() });
        self.world.record.count(Count::Sends);
        let content = self.world.names.text(Mark { client: self.me, number });
        let room = &self.world.rooms[room].name;
        json!({"type": "message", "room": room, "username": self.name, "content": content}).to_string()
    }

    fn hear(&mut self, text: &str) -> Result<(), Weather> {
        self.world.truth().heard(self.me, self.world.now());
        let frame: Frame =
            serde_json::from_str(text).map_err(|error| Weather::Nonsense(format!("{error}: {text}")))?;
        match frame.kind.as_str() {
            "user_joined" if frame.username == self.name => {
                if let Some(room) = self.world.room(&frame.room) {
                    self.backoff.reset();
                    self.places[room].is_in = true;
                    self.world.truth().came(self.me, room, self.world.now());
                }
            }
            "message" => self.message(&frame),
            "error" => self.refused(&frame),
            _ => {}
        }
        Ok(())
    }

    fn message(&mut self, frame: &Frame) {
        let record = &self.world.record;
        record.count(Count::PlainDeliveries);
        let Some(room) = self.world.room(&frame.room) else {
            let breach = Breach::at(Promise::P3, frame.seq, "given a message of a room that it never joined");
            return record.breach(breach, Some(&frame.room), Some(&self.name), Vec::new());
        };
        let before = std::mem::replace(&mut self.places[room].at, frame.seq);
        let result = if frame.seq <= before {
            Err(Breach::at(
                Promise::P2,
                frame.seq,
                format!("a plain client was shown {} after {before}", frame.seq),
            ))
        } else {
            let digest = Digest::of(&frame.data.username, &frame.data.content);
            self.world.rooms[room].ledger().saw(frame.seq, None, digest)
        };
        if let Err(breach) = result {
            record.breach(breach, Some(&frame.room), Some(&self.name), Vec::new());
        }
    }

    /// What was refused is not said again: there is no telling which message it was.
    fn refused(&mut self, frame: &Frame) {
        let (record, now) = (&self.world.record, self.world.now());
        for (room, _) in self.places.iter().enumerate().filter(|(_, place)| !place.is_in) {
            self.is_refused = true;
            self.world.truth().refused(self.me, room, now);
        }
        record.tried(Promise::P11, 1);
        match frame.code.as_str() {
            "RATE_LIMITED" if frame.retry_after_ms > 0 => record.count(Count::RateLimited),
            "UNAVAILABLE" if frame.retry_after_ms > 0 => record.count(Count::Unavailable),
            code => {
                let breach = Breach::of(Promise::P11, format!("a plain client was refused with {code:?}"));
                record.breach(breach, Some(&frame.room), Some(&self.name), Vec::new());
            }
        }
    }

    fn report(&mut self, phase: &Phase) {
        let is_done = self.places.iter().all(|place| place.is_in);
        if is_done
            && self.reported < phase.number()
            && self.world.ready.try_send((self.me, phase.number())).is_ok()
        {
            self.reported = phase.number();
        }
    }
}
