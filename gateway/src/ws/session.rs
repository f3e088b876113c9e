//! One browser session.
//!
//! Owns a socket's life: frames in, frames out, signs of life, and the one way to close. Promises that answers go before
//! events and events before the ephemeral, that a socket which takes nothing or says nothing is closed, and that the
//! room service is told how it ended (P3, P7, P8, P10, P11). Never decides what a room allows.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    future::poll_fn,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture};
use parlour_chassis::rates::{Bucket, Rate};
use parlour_feed::{Allowance, Class, Cursor};
use parlour_proto::v1 as proto;
use parlour_proto::v1::chat_response;
use tokio::time::Instant;

use super::{
    close::Close,
    frame::{self, Fault},
    plain,
    socket::{Frame, Socket},
};
use crate::{
    limits::ANSWER_BYTES,
    metrics as names,
    rates::Visitor,
    relay::{self, Refusal, Relay, event::Form, history},
};

mod departure;
mod full;
mod incoming;
mod live;
mod plain_verbs;
pub mod presence;
mod pull;
mod seat;
mod terms;
mod told;
mod writer;

pub use departure::Departure;
use departure::Open;
use seat::Seats;
pub use terms::Terms;
use writer::{Queue, Turn, Writer};

/// How many faulty frames in a row close a socket.
const FAULTS: u32 = 10;
/// How many answers wait to be written before the socket is read no more.
const ANSWERS: usize = 64;
/// How many pages a session may have asked for before its socket is read no more.
const PAGES: usize = 16;
/// Joins of one session.
const JOINS: Rate = Rate::every(Duration::from_millis(50), 100);
/// How long the last frames may take to be written.
const GOODBYE: Duration = Duration::from_secs(1);

/// Which of the dialects is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    /// Nothing was said yet.
    Open,
    Plain,
    Full,
}

/// What was asked and has no answer.
#[derive(Debug)]
enum Asked {
    Join(Box<Joining>),
    Post { id: String, room: String },
}

/// A join under way.
#[derive(Debug)]
struct Joining {
    id: String,
    room: Arc<str>,
    /// How the client named the room.
    named: String,
    name: String,
    is_monitor: bool,
    is_first: bool,
    cursor: Option<Cursor>,
    history: u32,
}

/// What was read, or asked, beside the relay.
#[derive(Debug)]
enum Done {
    /// A page of history, the answer to this request.
    History(String, history::Page),
    /// The newest messages for a `joined`.
    Messages(Arc<str>, history::Page),
    /// The name of the room that the request held back is about.
    Named(Result<Arc<str>, Refusal>),
    /// The name of a room of `hello`, as it was asked for, with its cursor.
    FirstNamed(String, String, Result<Arc<str>, Refusal>),
}

/// A frame that waits: for its room's name, or for a join of that room to be answered.
#[derive(Debug)]
enum Held {
    Full(String, proto::chat_request::Frame),
    Plain(plain::Request),
}

/// A `hello` that has no answer.
#[derive(Debug)]
struct Opening {
    id: String,
    rooms: HashMap<String, String>,
    since: Instant,
}

/// How a session ends.
#[derive(Clone, Copy, Debug)]
struct Ending {
    /// What the socket is told; nothing where it is gone.
    close: Option<Close>,
    /// What the room service is told.
    reason: proto::CloseReason,
}

impl Ending {
    const fn of(close: Close) -> Self {
        let reason = match close {
            Close::GoingAway | Close::SlowConsumer => proto::CloseReason::GoingAway,
            Close::HeartbeatLost => proto::CloseReason::Broken,
            _ => proto::CloseReason::Closed,
        };
        Self { close: Some(close), reason }
    }

    const BROKEN: Self = Self { close: None, reason: proto::CloseReason::Broken };
}

/// A session. `S` is its socket.
pub struct Session<S> {
    socket: S,
    relay: relay::Session,
    terms: Arc<Terms>,
    /// Who is at the other end.
    visitor: Visitor,
    dialect: Dialect,
    opening: Option<Box<Opening>>,
    seats: Seats,
    /// Rooms to look at, beside those the inbox names.
    ready: VecDeque<Arc<str>>,
    asked: BTreeMap<u64, Asked>,
    held: Option<Box<Held>>,
    /// What is read, one after the other: the first is under way.
    pages: VecDeque<BoxFuture<'static, Done>>,
    answers: Queue,
    writer: Writer,
    faults: u32,
    joins: Bucket,
    allowance: Allowance,
    alive: Instant,
    heartbeat_due: Instant,
    /// A heartbeat was sent that no `ping` has answered.
    is_asked_for_life: bool,
    /// When the drain asked this session to leave: until then it may stay, and from then it is to return elsewhere.
    leaving: Option<(Instant, Instant)>,
    ending: Option<Ending>,
}

impl<S: Socket> Session<S> {
    /// A session on that socket.
    pub fn new(socket: S, relay: &Relay, terms: Arc<Terms>, visitor: Visitor) -> Self {
        let (now, outboxes) = (Instant::now(), &relay.pools().outboxes);
        Self {
            socket,
            relay: relay.session(),
            dialect: Dialect::Open,
            opening: None,
            seats: Seats::default(),
            ready: VecDeque::new(),
            asked: BTreeMap::new(),
            held: None,
            pages: VecDeque::new(),
            answers: Queue::new(outboxes),
            writer: Writer::new(outboxes),
            faults: 0,
            joins: Bucket::new(JOINS, now.into_std()),
            allowance: Allowance::new(terms.limits.presence, now.into_std()),
            alive: now,
            heartbeat_due: terms.next_beat(now),
            is_asked_for_life: false,
            leaving: None,
            ending: None,
            terms,
            visitor,
        }
    }

    /// Lives until either end closes.
    pub async fn run(mut self: Box<Self>) {
        let open = self.terms.departure.count();
        let ending = self.live().await;
        // Boxed, so that the room its goodbye takes is not kept for its whole life.
        Box::pin(self.part(ending, open)).await;
    }

    async fn part(self, mut ending: Ending, open: Open) {
        let (now, mut retry_after_ms) = (Instant::now(), 0);
        let until = now + GOODBYE;
        if let Some((_, returns)) = self.leaving {
            // Whoever was asked to leave is on its way elsewhere, however it closed.
            ending.reason = proto::CloseReason::GoingAway;
            retry_after_ms = millis(returns.saturating_duration_since(now));
        }
        let Self { relay, mut socket, mut writer, mut answers, .. } = self;
        // The room service hears of it before the socket's last second, which may be slow.
        relay.close(ending.reason, retry_after_ms);
        drop(open);
        let Some(close) = ending.close else { return };
        if close != Close::SlowConsumer {
            while let Some(frame) = answers.pop_front() {
                writer.put(frame);
            }
            writer.finish(&mut socket, until).await;
        }
        socket.close(close).await;
    }

    fn form(&self) -> Form {
        if self.dialect == Dialect::Plain { Form::Plain } else { Form::Full }
    }

    /// Whether the socket is read: not while too much waits that reading would add to.
    fn reads(&self) -> bool {
        self.held.is_none()
            && self.opening.is_none()
            && !self.is_full()
            && self.pages.len() < PAGES
            && (self.asked.len() < relay::requests::WAITING_PER_SESSION || !self.relay.relay().is_ready())
    }

    /// Whether so much waits to be written that nothing is to be added to it: too many answers here (in bytes an eighth of
    /// what may wait: the rest is for the page under way), or too much in all sessions together and some of it here. A
    /// browser that takes what it is given is read on, whatever others do.
    fn is_full(&self) -> bool {
        let has_some = !self.answers.is_empty() || !self.writer.is_empty();
        self.answers.len() >= ANSWERS
            || self.answers.bytes() * 8 >= ANSWER_BYTES
            || (has_some && !self.has_room_for(Class::Answer))
    }

    /// Whether all sessions together leave room for frames of that class.
    fn has_room_for(&self, class: Class) -> bool {
        class.has_room(&self.relay.relay().pools().outboxes)
    }

    /// When `tick` is to be called though nothing happens.
    fn due(&mut self) -> Instant {
        let limits = &self.terms.limits;
        let mut due = self.heartbeat_due.min(self.alive + limits.heartbeat_lost);
        if let Some(since) = self.writer.blocked_since() {
            due = due.min(since + limits.stall);
        }
        if let Some(opening) = &self.opening {
            due = due.min(opening.since + limits.request);
        }
        if let Some((until, _)) = self.leaving {
            due = due.min(until);
        }
        if self.seats.iter().any(|seat| seat.presence_owed.is_some())
            && self.writer.is_empty()
            && let Some(wait) = self.presence_wait()
        {
            due = due.min(Instant::now() + wait);
        }
        due
    }

    /// Does what is due.
    fn tick(&mut self) {
        let (now, limits) = (Instant::now(), Arc::clone(&self.terms.limits));
        if self.leaving.is_some_and(|(until, _)| until <= now) {
            return self.end(Ending::of(Close::GoingAway));
        }
        if self.writer.blocked_since().is_some_and(|since| since + limits.stall <= now) {
            return self.end_slow();
        }
        if self.alive + limits.heartbeat_lost <= now {
            return self.lost();
        }
        if self.opening.as_ref().is_some_and(|opening| opening.since + limits.request <= now) {
            let id = self.opening.take().map(|opening| opening.id).unwrap_or_default();
            self.refuse(&id, None, &Refusal::unavailable());
            return self.end(Ending::of(Close::GoingAway));
        }
        if self.heartbeat_due <= now {
            self.heartbeat_due = self.terms.next_beat(now);
            self.beat();
        }
    }

    /// No sign of life came in time, unless this process was too slow to see it.
    fn lost(&mut self) {
        let reads = self.reads();
        match poll_fn(|cx| self.writer.poll_turn(cx, &mut self.socket, reads)).now_or_never() {
            Some(Turn::Incoming(incoming)) => self.incoming(incoming),
            _ => self.end(Ending::of(Close::HeartbeatLost)),
        }
    }

    /// Gives a sign of life, and asks for one.
    fn beat(&mut self) {
        match self.dialect {
            Dialect::Full if self.opening.is_none() => {
                self.is_asked_for_life = true;
                let heads = self.moved_heads();
                self.answer("", chat_response::Frame::Heartbeat(proto::Heartbeat { heads }));
            }
            Dialect::Full | Dialect::Plain | Dialect::Open => self.answers.push_back(Frame::ping()),
        }
    }

    /// The heads of the rooms that are live here and moved since they were last told. Told only with nothing on its way
    /// that they count.
    fn moved_heads(&mut self) -> HashMap<String, String> {
        if !self.writer.is_empty() {
            return HashMap::new();
        }
        self.seats
            .iter_mut()
            .filter_map(|seat| Some((seat.room.name().to_string(), seat.moved_head()?.to_string())))
            .collect()
    }

    /// The gateway drains: asks the client to come back at a time of its own.
    fn go_away(&mut self) {
        let (now, departure) = (Instant::now(), &self.terms.departure);
        let wait = departure.wait(rand::random());
        let stay = match self.dialect {
            Dialect::Full => departure.stay(),
            // A plain client cannot be asked: it is closed when its time has come.
            Dialect::Plain | Dialect::Open => wait,
        };
        self.leaving = Some((now + stay, now + wait));
        if self.dialect == Dialect::Full {
            let reason = Close::GoingAway.reason().to_owned();
            let going = proto::GoingAway { retry_after_ms: millis(wait), reason };
            self.answer("", chat_response::Frame::GoingAway(going));
        }
    }

    fn end(&mut self, ending: Ending) {
        self.ending.get_or_insert(ending);
    }

    fn end_slow(&mut self) {
        metrics::counter!(names::SLOW_CONSUMERS).increment(1);
        self.end(Ending::of(Close::SlowConsumer));
    }

    /// Puts a frame of the full dialect among the answers.
    fn answer(&mut self, id: &str, frame: chat_response::Frame) {
        self.answers.push_back(frame::encode(id, &frame));
    }

    /// Says that a request was refused.
    fn refuse(&mut self, id: &str, room: Option<&str>, refusal: &Refusal) {
        if self.dialect == Dialect::Plain {
            self.answers.push_back(plain::error(room, &refusal.0));
        } else {
            self.answer(id, chat_response::Frame::Error(refusal.0.clone()));
        }
    }

    /// A frame is at fault; too many in a row end the session.
    fn fault(&mut self, id: &str, fault: &Fault) {
        self.refuse(id, None, &Refusal(fault.to_error()));
        if *fault != Fault::Unknown {
            self.faults += 1;
            if self.faults >= FAULTS {
                self.end(Ending::of(Close::TooManyErrors));
            }
        }
    }

    /// Puts a page, or a name, on order: one is read at a time, and the next once that one waits to be written. Pages are
    /// large, and a browser that asks for many and takes none is not to fill the memory with them (P8).
    fn order(&mut self, done: impl Future<Output = Done> + Send + 'static) {
        self.pages.push_back(done.boxed());
    }
}

/// An event's frame in the full dialect.
fn full_event(event: &proto::Event) -> Option<Bytes> {
    Some(frame::event(event).wire().clone())
}

/// An event's frame in the plain dialect; nothing is said of some.
fn plain_event(event: &proto::Event) -> Option<Bytes> {
    plain::event(event).map(|frame| frame.wire().clone())
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}
