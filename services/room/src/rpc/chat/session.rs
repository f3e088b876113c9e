//! A `Chat` session's book-keeping.
//!
//! Owns who the session is, the rooms it is in, its requests under way and the frames that wait. Promises that nothing
//! here waits, that what one session asks of one room is done in the order asked (P5), that everything is bounded (P8),
//! and that its end leaves it in grace (P7). Never touches the socket.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Instant,
};

use futures_util::{future::BoxFuture, stream::FuturesUnordered};
use metrics::{Counter, Histogram, counter, histogram};
use parlour_chassis::{address::Address, rates::Bucket};
use parlour_feed::{Allowance, Class, Cursor, Outbox, PresenceShare, ReaderId};
use parlour_proto::v1::{self, chat_request::Frame as Up, chat_response::Frame as Down};
use tokio::sync::Semaphore;

use super::{
    super::stream::Turn,
    frames::{self, Response},
    join::{Joining, Past},
};
use crate::{
    auth::Auth,
    domain::{
        ids::{RoomId, SessionId},
        message::{DisplayName, User},
    },
    error::Error,
    hub::{
        live::Typing,
        presence::{Ending, Owner},
        room::LiveRoom,
        signal::{Key, Signal},
    },
    rooms::{Place, Rooms, Sent, settings::PAGE_LIMIT},
};

/// Requests that wait or are under way; at the bound nothing more is read of the client.
const REQUESTS: usize = 64;
/// The longest `id` of a request, in characters.
const ID_CHARS: usize = 64;
/// Faulty frames in a row that end a session.
const FAULTS: u32 = 10;

/// Something that was waited for.
pub(super) enum Done {
    /// A request's room was found, or not.
    Place(Box<v1::ChatRequest>, Result<Place, Error>),
    /// A room of hello was found, or not.
    HelloPlace(Joining, Result<Place, Error>),
    /// A room to join was loaded, or not.
    Loaded(Key, Joining, Result<Arc<LiveRoom>, Error>),
    /// The past that a `joined` brings was read, or not.
    Past(Key, Past, Result<(Vec<crate::domain::message::Message>, bool), Error>, Turn),
    /// A message was sent, or refused.
    Sent(Key, String, Result<(Place, Sent), Error>),
    /// A page of history was read, or not.
    History(String, Result<v1::History, Error>, Turn),
}

/// What is asked of one room, in order.
pub(super) enum Command {
    Join(Joining),
    Leave(String),
    Post(String, v1::Post),
}

/// Where the session stands in a room.
pub(super) enum Stand {
    Out,
    /// Its reader waits for the log to say whether its cursor is usable.
    Verifying(Joining, Arc<LiveRoom>, ReaderId),
    In(In),
}

/// The session is in the room.
pub(super) struct In {
    pub(super) room: Arc<LiveRoom>,
    pub(super) reader: ReaderId,
    pub(super) monitor: bool,
    /// The version of presence it knows.
    pub(super) told: u64,
    /// Whether it was named all who are here.
    pub(super) is_whole: bool,
    /// Since when presence is owed: it moved on while there was no allowance to tell it.
    pub(super) presence_owed: Option<Instant>,
    /// The head of its last heartbeat.
    pub(super) head: Cursor,
    pub(super) typed: Option<Instant>,
}

/// A room that the session is in, or asks something of.
pub(super) struct Slot {
    pub(super) place: Place,
    pub(super) stand: Stand,
    pub(super) queue: VecDeque<Command>,
    /// Something asked of it is under way.
    pub(super) is_busy: bool,
}

/// One session.
pub(super) struct Session {
    pub(super) rooms: Rooms,
    pub(super) auth: Arc<Auth>,
    /// The address whose rates its sends count to as well.
    pub(super) from: Option<Address>,
    pub(super) id: SessionId,
    pub(super) owner: Owner,
    pub(super) user: Option<User>,
    /// Whether a token said who: they may be in rooms by sessions of which this replica knows nothing.
    pub(super) has_past: bool,
    pub(super) signal: Arc<Signal>,
    pub(super) work: FuturesUnordered<BoxFuture<'static, Done>>,
    /// A session reads one page of the log at a time, and the next once that one is sent: pages are large, and a
    /// client that asks for many and takes none is not to fill the memory with them (P8).
    turns: Arc<Semaphore>,
    pub(super) slots: HashMap<Key, Slot>,
    pub(super) keys: HashMap<RoomId, Key>,
    pub(super) next_key: Key,
    /// Requests whose room is being looked up: nothing is read of the client meanwhile, so order is kept.
    pub(super) resolving: usize,
    pub(super) outbox: Outbox<Response, ()>,
    pub(super) dirty: VecDeque<Key>,
    pub(super) typing: VecDeque<(Key, Arc<Typing>)>,
    pub(super) allowance: Allowance,
    pub(super) joins: Bucket,
    pub(super) ending: Ending,
    pub(super) fanout: Histogram,
    /// An answer did not fit: the session is over.
    pub(super) is_overflowed: bool,
    /// Faulty frames in a row.
    faults: u32,
    is_beating: bool,
    unknown: Counter,
}

impl Session {
    pub(super) fn new(rooms: Rooms, auth: Arc<Auth>, from: Option<Address>) -> Self {
        let (id, now) = (SessionId::generate(), Instant::now());
        let outbox = Outbox::default().within(&rooms.hub().pools().outboxes);
        Self {
            rooms,
            auth,
            from,
            id,
            owner: Owner::chat(id),
            user: None,
            has_past: false,
            signal: Arc::default(),
            work: FuturesUnordered::new(),
            turns: Arc::new(Semaphore::new(1)),
            slots: HashMap::new(),
            keys: HashMap::new(),
            next_key: 0,
            resolving: 0,
            outbox,
            dirty: VecDeque::new(),
            typing: VecDeque::new(),
            allowance: Allowance::new(PresenceShare::default(), now),
            joins: Bucket::new(super::join::JOINS, now),
            ending: Ending::Broken,
            fanout: histogram!("parlour_room_fanout_duration_seconds"),
            is_overflowed: false,
            faults: 0,
            is_beating: false,
            unknown: counter!("parlour_room_unknown_frames_total", "stream" => "chat"),
        }
    }

    pub(super) fn is_welcomed(&self) -> bool {
        self.user.is_some()
    }

    /// Reads a page when it is its turn.
    pub(super) fn read<T: 'static>(
        &mut self,
        page: impl Future<Output = T> + Send + 'static,
        done: impl FnOnce(T, Turn) -> Done + Send + 'static,
    ) {
        let turns = Arc::clone(&self.turns);
        self.work.push(Box::pin(async move {
            let turn = turns.acquire_owned().await.expect("nobody closes it");
            done(page.await, turn)
        }));
    }

    /// Whether there is something for the client to take.
    pub(super) fn has_something(&self) -> bool {
        !self.outbox.is_empty() || !self.dirty.is_empty() || !self.typing.is_empty()
    }

    /// Whether nothing is under way.
    pub(super) fn is_at_rest(&self) -> bool {
        self.work.is_empty() && self.slots.values().all(|slot| slot.queue.is_empty() && !slot.is_busy)
    }

    /// Whether more is to be read of the client.
    pub(super) fn listens(&self) -> bool {
        let waiting: usize = self.slots.values().map(|slot| slot.queue.len()).sum();
        self.resolving == 0 && waiting + self.work.len() < REQUESTS && !self.outbox.is_full()
    }

    /// Queues a frame. While the outbox is full nothing is read of the client and nothing under way is finished, so that
    /// there is room; were there none, the session would end rather than lose an answer.
    pub(super) fn say(&mut self, id: &str, frame: Down) {
        self.push(frames::response(id, frame));
    }

    /// The same of a page: the next is read once the socket has this one.
    pub(super) fn say_page(&mut self, id: &str, page: v1::History, turn: Turn) {
        let Response(page, _) = frames::response(id, Down::History(page));
        self.push(Response(page, Some(turn)));
    }

    fn push(&mut self, response: Response) {
        let pushed = self.outbox.push(Class::Answer, (), response);
        self.is_overflowed |= !pushed.is_kept;
    }

    pub(super) fn refuse(&mut self, id: &str, error: &Error) {
        let is_fault = matches!(error.reason(), "INVALID_FRAME" | "MISSING_FIELD" | "INVALID_FIELD");
        self.faults += u32::from(is_fault);
        self.say(id, frames::refusal(error));
    }

    /// Says that the stream is about to end. Clients come back spread over the pause.
    pub(super) fn say_going_away(&mut self) {
        let pause = self.rooms.settings().drain_retry.mul_f64(rand::random_range(0.0..=1.0));
        let retry_after_ms = u32::try_from(pause.as_millis()).unwrap_or(u32::MAX);
        self.say("", Down::GoingAway(v1::GoingAway { retry_after_ms, reason: "GOING_AWAY".to_owned() }));
    }

    /// Takes note of what its rooms have marked. Where all outboxes together are near their bound, typing is let go.
    pub(super) fn take_marks(&mut self) {
        self.dirty.extend(self.signal.take_dirty());
        self.typing.extend(self.signal.take_typing());
        let most = if self.outbox.has_room_for(Class::Typing) { REQUESTS } else { 0 };
        let excess = self.typing.len().saturating_sub(most);
        self.typing.drain(..excess);
    }

    /// Tells the heads that moved; the client is to answer.
    pub(super) fn beat(&mut self) {
        let mut heads = HashMap::new();
        for slot in self.slots.values_mut() {
            let Stand::In(inside) = &mut slot.stand else { continue };
            let position = inside.room.with(|live, _| live.is_live(inside.reader).then(|| live.position()));
            if let Some(head) = position.filter(|head| *head != inside.head) {
                inside.head = head;
                heads.insert(slot.place.name.to_string(), head.to_string());
            }
        }
        self.is_beating = true;
        self.say("", frames::heartbeat(heads));
    }

    /// Takes a frame; the first other than hello counts as an empty hello.
    ///
    /// # Errors
    /// What ends the session.
    pub(super) fn take(&mut self, request: v1::ChatRequest) -> Result<(), Error> {
        if request.id.chars().count() > ID_CHARS {
            let error = crate::domain::Invalid::field("id", "an id is at most 64 characters").into();
            self.refuse("", &error);
            return Ok(());
        }
        match &request.frame {
            Some(Up::Hello(hello)) => return self.hello(&request.id, hello),
            _ if self.user.is_none() => self.hello("", &v1::Hello::default())?,
            _ => {}
        }
        let before = self.faults;
        match request.frame {
            Some(Up::Ping(_)) => {
                let is_answer = std::mem::take(&mut self.is_beating) && request.id.is_empty();
                if !is_answer {
                    self.say(&request.id, Down::Pong(v1::Pong {}));
                }
            }
            None => {
                self.unknown.increment(1);
                self.refuse(&request.id, &Error::UnknownFrame);
                return Ok(()); // neither good nor abuse: the client may be newer (P12)
            }
            Some(_) => self.ask(request),
        }
        self.judge(before);
        if self.faults < FAULTS {
            Ok(())
        } else {
            Err(Error::ProtocolMisuse("too many faulty frames in a row"))
        }
    }

    /// How many faulty frames there were in a row so far.
    pub(super) fn faults(&self) -> u32 {
        self.faults
    }

    /// Starts the count of faulty frames anew if the frame that was taken when it stood at `before` was a good one; one
    /// whose room is being looked up is judged when that is done.
    pub(super) fn judge(&mut self, before: u32) {
        if self.faults == before && self.resolving == 0 {
            self.faults = 0;
        }
    }

    fn hello(&mut self, id: &str, hello: &v1::Hello) -> Result<(), Error> {
        if self.user.is_some() {
            return Err(Error::ProtocolMisuse("hello comes first"));
        }
        if hello.version.is_some_and(|version| version != 1) {
            let error = crate::domain::Invalid::field("version", "the protocol's version is 1").into();
            self.refuse(id, &error);
            return Err(Error::ProtocolMisuse("the protocol's version is 1"));
        }
        if hello.token.is_some() {
            return Err(Error::Unauthenticated("users' tokens are not taken here"));
        }
        self.auth.admit_guests()?;
        let name = match DisplayName::parse(hello.name.as_deref().unwrap_or_default()) {
            Ok(name) => name,
            Err(invalid) => {
                self.refuse(id, &invalid.into()); // it may say hello again
                return Ok(());
            }
        };
        let known = hello.guest_token.as_deref().and_then(|token| self.auth.verify(token));
        self.has_past = known.is_some();
        let guest = known.unwrap_or_else(|| self.auth.guest_of_session(&self.id));
        let guest_token = Some(self.auth.sign(&guest));
        let user = User { id: guest, name, guest: true };
        let settings = self.rooms.settings();
        let welcome = v1::Welcome {
            session: self.id.to_string(),
            user: Some(super::super::convert::user(&user)),
            guest_token,
            heartbeat_ms: u32::try_from(settings.heartbeat.as_millis()).unwrap_or(u32::MAX),
            limits: Some(v1::Limits {
                frame_bytes: u32::try_from(settings.frame_bytes).unwrap_or(u32::MAX),
                content_chars: u32::try_from(settings.content_chars).unwrap_or(u32::MAX),
                rooms: u32::try_from(settings.session_rooms).unwrap_or(u32::MAX),
                page: u32::try_from(PAGE_LIMIT).unwrap_or(u32::MAX),
            }),
        };
        self.user = Some(user);
        self.say(id, Down::Welcome(welcome));
        self.hello_rooms(hello);
        Ok(())
    }
}

impl Drop for Session {
    /// However the stream ends: nothing reads any more, and who was here is in grace.
    fn drop(&mut self) {
        for slot in self.slots.values() {
            match &slot.stand {
                Stand::Out => {}
                Stand::Verifying(_, room, reader) => room.with(|live, now| live.part(*reader, now)),
                Stand::In(inside) => inside.room.with(|live, now| {
                    live.part(inside.reader, now);
                    live.close(self.id, self.owner, self.ending, now);
                }),
            }
        }
    }
}
