//! A relay's book-keeping.
//!
//! Owns what one stream is in the middle of: its sessions, the rooms it follows, requests under way and answers that
//! wait. Promises that nothing here waits, that everything is bounded (P8), and that its end, however it comes, leaves
//! its sessions in grace (P7). Never touches the socket, the store or a clock: frames, what was waited for and the time
//! come in, frames and jobs go out.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use metrics::{Counter, Histogram, counter, histogram};
use parlour_feed::{
    Class, Outbox, Pool, Weigh,
    planted::{self, Mistake},
};
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
        presence::{Ending, Limits, Owner},
        room::LiveRoom,
        signal::{Key, Signal},
    },
    rooms::{Place, RoomRef, Send, Sent, Settings},
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

/// Something to be waited for elsewhere.
#[derive(Debug)]
pub enum Job {
    /// Load a room, after a wait; answered by `Done::Loaded` with its key.
    Load(Key, RoomName, Duration),
    /// Send a message; answered by `Done::Sent` with its session and request.
    Send(SessionId, u64, Box<Send>),
}

/// Something that was waited for.
#[derive(Debug)]
pub enum Done {
    /// A room was loaded.
    Loaded(Key, Result<Arc<LiveRoom>, Error>),
    /// A message was sent, or refused.
    Sent(SessionId, u64, Result<(Place, Sent), Error>),
}

/// One stream's book-keeping.
pub struct Desk {
    pub(super) settings: Settings,
    pub(super) auth: Arc<Auth>,
    pub(super) owner: Owner,
    pub(super) signal: Arc<Signal>,
    jobs: VecDeque<Job>,
    /// Jobs that are not done.
    under_way: usize,
    pub(super) sessions: Sessions,
    pub(super) names: HashMap<RoomName, Key>,
    pub(super) followed: BTreeMap<Key, Followed>,
    pub(super) next_key: Key,
    /// Rooms that have something to take.
    pub(super) dirty: VecDeque<Key>,
    pub(super) outbox: Outbox<Frame, ()>,
    pub(super) typing: VecDeque<(Key, Arc<Typing>)>,
    pub(super) events: Counter,
    pub(super) fanout: Histogram,
    is_overflowed: bool,
    unknown: Counter,
}

impl Desk {
    /// Answers the attach of `owner` to the replica of that incarnation. `outboxes` is what all outboxes hold.
    pub fn new(
        owner: Owner,
        incarnation: [u8; 16],
        auth: Arc<Auth>,
        settings: Settings,
        outboxes: &Pool,
    ) -> Self {
        let outbox = Outbox::new(OUTBOX.0, OUTBOX.1).within(outboxes);
        let mut desk = Self {
            settings,
            auth,
            owner,
            signal: Arc::default(),
            jobs: VecDeque::new(),
            under_way: 0,
            sessions: Sessions::default(),
            names: HashMap::new(),
            followed: BTreeMap::new(),
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

    /// What its rooms mark; to be followed by `take_marks`.
    pub fn signal(&self) -> &Arc<Signal> {
        &self.signal
    }

    /// The next of what is to be waited for elsewhere; each is to be answered by `done`.
    pub fn next_job(&mut self) -> Option<Job> {
        self.jobs.pop_front()
    }

    /// How many jobs are not done.
    pub fn under_way(&self) -> usize {
        self.under_way
    }

    /// Whether an answer did not fit: the stream is over.
    pub fn is_overflowed(&self) -> bool {
        self.is_overflowed
    }

    /// Whether there is something for the peer to take.
    pub fn has_something(&self) -> bool {
        !self.outbox.is_empty() || !self.dirty.is_empty() || !self.typing.is_empty()
    }

    /// Whether so many answers wait that nothing more is to be read of the peer.
    pub fn is_full(&self) -> bool {
        self.outbox.is_full()
    }

    /// Takes note of what its rooms have marked. Where all outboxes together are near their bound, typing is let go.
    /// (Presence waits in no relay's outbox: it is taken when the peer takes it.)
    pub fn take_marks(&mut self) {
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
    pub fn say_going_away(&mut self) {
        let retry_after_ms = u32::try_from(self.settings.drain_retry.as_millis()).unwrap_or(u32::MAX);
        self.say(Down::GoingAway(v1::GoingAway { retry_after_ms, reason: "GOING_AWAY".to_owned() }));
    }

    /// Counts a frame of a kind that is not known here.
    pub fn count_unknown(&self) {
        self.unknown.increment(1);
    }

    /// Takes a frame.
    ///
    /// # Errors
    /// What of the protocol it breaks.
    pub fn take(&mut self, frame: Up, now: Instant) -> Result<(), &'static str> {
        match frame {
            Up::Attach(_) => return Err("attach comes once"),
            Up::Ping(ping) => self.say(Down::Pong(v1::RelayPong { number: ping.number })),
            Up::Follow(follow) => self.follow(follow, now),
            Up::Unfollow(unfollow) => self.unfollow(&unfollow.room, now),
            Up::Open(open) => self.open(&open),
            Up::Close(close) => self.close(&close, now)?,
            Up::Join(join) => self.join(join, now)?,
            Up::Leave(leave) => self.leave(id(&leave.session)?, &leave.room, now),
            Up::Message(post) => self.post(post, now)?,
            Up::Typing(typing) => self.note_typing(&typing, now)?,
        }
        Ok(())
    }

    /// Takes what was waited for.
    pub fn done(&mut self, done: Done, now: Instant) {
        self.under_way = self.under_way.saturating_sub(1);
        match done {
            Done::Loaded(key, loaded) => self.loaded(key, loaded, now),
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

    fn close(&mut self, close: &v1::CloseSession, now: Instant) -> Result<(), &'static str> {
        let session = id(&close.session)?;
        let retry_after = Duration::from_millis(close.retry_after_ms.into());
        let ending = match close.reason() {
            v1::CloseReason::Closed => Ending::Closed,
            v1::CloseReason::GoingAway => Ending::GoingAway(retry_after),
            v1::CloseReason::Unspecified | v1::CloseReason::Broken => Ending::Broken,
        };
        let until = now + Limits::of(&self.settings).grace(ending);
        for followed in self.followed.values_mut() {
            followed.close(session, until, |name| self.sessions.user(&self.auth, session, name).ok());
        }
        let rooms = self.sessions.remove(session).map(|session| session.rooms).unwrap_or_default();
        for key in rooms {
            if let Some(room) = self.ready(key) {
                room.with_at(now, |live| live.close(session, self.owner, ending, now));
            }
        }
        Ok(())
    }

    fn post(&mut self, post: v1::SessionPost, now: Instant) -> Result<(), &'static str> {
        let (session, request) = (id(&post.session)?, post.request);
        match self.checked(session, post) {
            Ok(send) => {
                if planted::makes(Mistake::PublishBeforeCommit) {
                    self.publish_early(&send, now);
                }
                self.begin_job(Job::Send(session, request, Box::new(send)));
            }
            Err(refused) => self.say(frames::answer(session, request, Err(refused))),
        }
        Ok(())
    }

    fn checked(&self, session: SessionId, post: v1::SessionPost) -> Result<Send, Error> {
        if self.under_way >= WORK {
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

    fn note_typing(&mut self, typing: &v1::SessionTyping, now: Instant) -> Result<(), &'static str> {
        let session = id(&typing.session)?;
        let room = self.names.get(typing.room.as_str()).and_then(|key| self.ready(*key));
        if let Some(room) = room
            && let Ok(user) = self.sessions.user(&self.auth, session, &typing.name)
        {
            room.with_at(now, |live| live.typing(Typing { session, user, typing: typing.typing }));
        }
        Ok(()) // a courtesy: what cannot be told is not answered
    }

    pub(super) fn begin_job(&mut self, job: Job) {
        self.under_way += 1;
        self.jobs.push_back(job);
    }

    /// The stream has ended: nothing reads any more, and who was here is in grace.
    pub fn end(&mut self, now: Instant) {
        for followed in std::mem::take(&mut self.followed).into_values() {
            if let State::Ready(ready) = followed.state {
                ready.room.with_at(now, |live| {
                    live.part(ready.reader, now);
                    live.broken(self.owner, now);
                });
            }
        }
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
