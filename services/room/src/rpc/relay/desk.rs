//! A relay's book-keeping.
//!
//! Owns what one stream is in the middle of: its sessions, the rooms it follows, requests under way and answers that
//! wait. Promises that nothing here waits, that everything is bounded (P8), and that its end, however it comes, leaves
//! its sessions in grace (P7). Never touches the socket.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{future::BoxFuture, stream::FuturesUnordered};
use metrics::{Counter, Histogram, counter, histogram};
use parlour_feed::{Class, Outbox, Weigh};
use parlour_proto::v1::{self, relay_frame::Frame as Down, relay_request::Frame as Up};

use super::{
    follow::{Followed, State},
    frames,
    sessions::Sessions,
};
use crate::{
    auth::Auth,
    domain::{ids::SessionId, message::RequestKey, room::RoomName},
    error::Error,
    hub::{
        live::Typing,
        presence::{Ending, Owner},
        room::LiveRoom,
        signal::{Key, Signal},
    },
    rooms::{Place, RoomRef, Rooms, Send, Sent},
};

/// Requests under way at once; the next is refused.
const WORK: usize = 8_192;
/// What waits for a relay to take it, in frames and in bytes.
const OUTBOX: (usize, usize) = (65_536, 16 << 20);
/// Typing that waits for a relay to take it.
pub(super) const TYPING: usize = 1_024;

/// A frame on its way down.
pub(super) struct Frame(pub(super) Down);

impl Weigh for Frame {
    fn bytes(&self) -> usize {
        self.0.encoded_len() + 8
    }
}

/// Something that was waited for.
pub(super) enum Done {
    /// A room was loaded.
    Loaded(Key, Result<Arc<LiveRoom>, Error>),
    /// A message was sent, or refused.
    Sent(SessionId, u64, Result<(Place, Sent), Error>),
}

/// One stream's book-keeping.
pub(super) struct Desk {
    pub(super) rooms: Rooms,
    pub(super) auth: Arc<Auth>,
    pub(super) owner: Owner,
    pub(super) signal: Arc<Signal>,
    pub(super) work: FuturesUnordered<BoxFuture<'static, Done>>,
    pub(super) sessions: Sessions,
    pub(super) names: HashMap<RoomName, Key>,
    pub(super) followed: HashMap<Key, Followed>,
    pub(super) next_key: Key,
    /// Rooms that have something to take.
    pub(super) dirty: VecDeque<Key>,
    pub(super) outbox: Outbox<Frame, ()>,
    pub(super) typing: VecDeque<(Key, Arc<Typing>)>,
    pub(super) events: Counter,
    pub(super) fanout: Histogram,
    /// An answer did not fit: the stream is over.
    pub(super) is_overflowed: bool,
    unknown: Counter,
}

impl Desk {
    /// Answers the attach.
    pub(super) fn new(rooms: Rooms, auth: Arc<Auth>, owner: Owner) -> Self {
        let incarnation = rooms.hub().incarnation();
        let outboxes = &rooms.hub().pools().outboxes;
        let outbox = Outbox::new(OUTBOX.0, OUTBOX.1).within(outboxes);
        let mut desk = Self {
            rooms,
            auth,
            owner,
            signal: Arc::default(),
            work: FuturesUnordered::new(),
            sessions: Sessions::default(),
            names: HashMap::new(),
            followed: HashMap::new(),
            next_key: 0,
            dirty: VecDeque::new(),
            outbox,
            typing: VecDeque::new(),
            events: counter!("parlour_room_relay_events_total"),
            fanout: histogram!("parlour_room_fanout_duration_seconds"),
            is_overflowed: false,
            unknown: counter!("parlour_room_unknown_frames_total", "stream" => "relay"),
        };
        desk.say(Down::Attached(v1::Attached { incarnation: incarnation.to_vec().into() }));
        desk
    }

    /// Whether there is something for the peer to take.
    pub(super) fn has_something(&self) -> bool {
        !self.outbox.is_empty() || !self.dirty.is_empty() || !self.typing.is_empty()
    }

    /// Whether so many answers wait that nothing more is to be read of the peer.
    pub(super) fn is_full(&self) -> bool {
        self.outbox.is_full()
    }

    /// Takes note of what its rooms have marked. Where all outboxes together are near their bound, typing is let go.
    /// (Presence waits in no relay's outbox: it is taken when the peer takes it.)
    pub(super) fn take_marks(&mut self) {
        self.dirty.extend(self.signal.take_dirty());
        self.typing.extend(self.signal.take_typing());
        let most = if self.outbox.has_room_for(Class::Typing) { TYPING } else { 0 };
        let excess = self.typing.len().saturating_sub(most);
        self.typing.drain(..excess);
    }

    /// Queues a frame. While the outbox is full nothing is read of the peer and nothing under way is finished, so that
    /// there is room; were there none, the stream would end rather than lose an answer.
    pub(super) fn say(&mut self, frame: Down) {
        let pushed = self.outbox.push(Class::Answer, (), Frame(frame));
        self.is_overflowed |= !pushed.is_kept;
    }

    /// Says that the stream is about to end.
    pub(super) fn say_going_away(&mut self) {
        let retry_after_ms = u32::try_from(self.rooms.settings().drain_retry.as_millis()).unwrap_or(u32::MAX);
        self.say(Down::GoingAway(v1::GoingAway { retry_after_ms, reason: "GOING_AWAY".to_owned() }));
    }

    /// Counts a frame of a kind that is not known here.
    pub(super) fn count_unknown(&self) {
        self.unknown.increment(1);
    }

    /// Takes a frame.
    ///
    /// # Errors
    /// What of the protocol it breaks.
    pub(super) fn take(&mut self, frame: Up) -> Result<(), &'static str> {
        match frame {
            Up::Attach(_) => return Err("attach comes once"),
            Up::Ping(ping) => self.say(Down::Pong(v1::RelayPong { number: ping.number })),
            Up::Follow(follow) => self.follow(follow),
            Up::Unfollow(unfollow) => self.unfollow(&unfollow.room),
            Up::Open(open) => self.open(&open),
            Up::Close(close) => self.close(&close)?,
            Up::Join(join) => self.join(join)?,
            Up::Leave(leave) => self.leave(id(&leave.session)?, &leave.room),
            Up::Message(post) => self.post(post)?,
            Up::Typing(typing) => self.note_typing(&typing)?,
        }
        Ok(())
    }

    /// Takes what was waited for.
    pub(super) fn done(&mut self, done: Done) {
        match done {
            Done::Loaded(key, loaded) => self.loaded(key, loaded),
            Done::Sent(session, request, outcome) => {
                let ack = outcome.map(|(place, sent)| v1::Ack {
                    room: Some(place.name.to_string()),
                    seq: Some(sent.event.seq),
                    created_at: Some(super::super::convert::timestamp(sent.event.created_at)),
                });
                self.say(frames::answer(session, request, ack));
            }
        }
    }

    fn open(&mut self, open: &v1::OpenSession) {
        let opened = self.sessions.open(&self.auth, open).unwrap_or_else(|refused| v1::SessionOpened {
            session: open.session.clone(),
            outcome: Some(v1::session_opened::Outcome::Error(super::super::status::to_frame(&refused))),
            guest_token: String::new(),
        });
        self.say(Down::Opened(opened));
    }

    fn close(&mut self, close: &v1::CloseSession) -> Result<(), &'static str> {
        let session = id(&close.session)?;
        let retry_after = Duration::from_millis(close.retry_after_ms.into());
        let ending = match close.reason() {
            v1::CloseReason::Closed => Ending::Closed,
            v1::CloseReason::GoingAway => Ending::GoingAway(retry_after),
            v1::CloseReason::Unspecified | v1::CloseReason::Broken => Ending::Broken,
        };
        let rooms = self.sessions.remove(session).map(|session| session.rooms).unwrap_or_default();
        for followed in self.followed.values_mut() {
            followed.forget(session);
        }
        for key in rooms {
            if let Some(room) = self.ready(key) {
                room.with(|live, now| live.close(session, self.owner, ending, now));
            }
        }
        Ok(())
    }

    fn post(&mut self, post: v1::SessionPost) -> Result<(), &'static str> {
        let (session, request) = (id(&post.session)?, post.request);
        match self.checked(session, post) {
            Ok(send) => {
                let rooms = self.rooms.clone();
                self.work.push(Box::pin(async move { Done::Sent(session, request, rooms.send(send).await) }));
            }
            Err(refused) => self.say(frames::answer(session, request, Err(refused))),
        }
        Ok(())
    }

    fn checked(&self, session: SessionId, post: v1::SessionPost) -> Result<Send, Error> {
        if self.work.len() >= WORK {
            return Err(Error::Busy);
        }
        let actor = self.sessions.user(&self.auth, session, &post.name)?;
        let rate = self.sessions.rate(session, &actor);
        Ok(Send {
            from: None, // its gateway counts by addresses
            room: RoomRef::parse(&post.room)?,
            actor,
            key: RequestKey::parse(&post.key, "client_message_id")?,
            key_is_clients: post.key_is_clients,
            content: post.content,
            reply_to: post.reply_to,
            rate,
        })
    }

    fn note_typing(&mut self, typing: &v1::SessionTyping) -> Result<(), &'static str> {
        let session = id(&typing.session)?;
        let room = self.names.get(typing.room.as_str()).and_then(|key| self.ready(*key));
        if let Some(room) = room
            && let Ok(user) = self.sessions.user(&self.auth, session, &typing.name)
        {
            room.with(|live, _| live.typing(Typing { session, user, typing: typing.typing }));
        }
        Ok(()) // a courtesy: what cannot be told is not answered
    }

    /// The live room of that key, if it is followed and loaded.
    pub(super) fn ready(&self, key: Key) -> Option<Arc<LiveRoom>> {
        match &self.followed.get(&key)?.state {
            State::Ready(ready) => Some(Arc::clone(&ready.room)),
            State::Loading(_) => None,
        }
    }
}

/// Reads a session's identity.
pub(super) fn id(bytes: &[u8]) -> Result<SessionId, &'static str> {
    SessionId::from_bytes(bytes).ok_or("a session's identity has 16 bytes")
}

impl Drop for Desk {
    /// However the stream ends: nothing reads any more, and who was here is in grace.
    fn drop(&mut self) {
        let since = Instant::now();
        for followed in self.followed.values() {
            if let State::Ready(ready) = &followed.state {
                ready.room.with(|live, now| {
                    live.part(ready.reader, now);
                    live.broken(self.owner, since);
                });
            }
        }
        self.rooms.hub().detached(self.owner);
    }
}
