//! One lane: what its sessions and rooms are, as the frames of the stream change it.
//!
//! Owns the book-keeping of one lane's streams: requests, rooms, inboxes, and the joins under way. Promises that a reader
//! is added when its `joined` is handled, where the room then stands, and ended with whatever ends it; and that a stream
//! which breaks ends nobody: the next is told all that the room service must know (P5, P7, P10). Never waits.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parlour_feed::{
    Cursor,
    planted::{self, Mistake},
};
use parlour_proto::v1 as proto;
use parlour_proto::v1::{relay_frame::Frame as Down, relay_request::Frame};

use super::{
    Inboxes,
    audience::Feed,
    event::{Id, id, id_bytes},
    inbox::{Inbox, Joined, Told, Wake},
    refusal::Refusal,
    requests::{Refused, Requests, What},
    room::{Room, RoomFrame},
    rooms::Rooms,
    session::Join,
};
use crate::limits::Limits;

/// What a session is in a room for, until its join is answered.
#[derive(Debug)]
struct Wish {
    room: Arc<str>,
    at: Option<Cursor>,
    name: String,
    is_monitor: bool,
}

/// One lane's sessions and rooms.
#[derive(Debug)]
pub struct Lane {
    requests: Requests,
    rooms: Rooms<Arc<Room>>,
    inboxes: Inboxes,
    wishes: HashMap<u64, Wish>,
    grace_closed: Duration,
    grace_broken: Duration,
}

impl Lane {
    /// Nobody is here, and no stream stands.
    pub fn new(limits: &Limits) -> Self {
        Self {
            requests: Requests::new(limits.request),
            rooms: Rooms::default(),
            inboxes: HashMap::new(),
            wishes: HashMap::new(),
            grace_closed: limits.grace_closed,
            grace_broken: limits.grace_broken,
        }
    }

    /// All rooms that are followed.
    pub fn rooms(&self) -> impl Iterator<Item = &Arc<Room>> {
        self.rooms.all()
    }

    /// A session opens. Answered by `Told::Opened`.
    pub fn open(&mut self, session: Id, open: proto::OpenSession, inbox: Arc<Inbox>) {
        self.inboxes.insert(session, inbox);
        self.requests.open(session, open);
    }

    /// A session asks to join a room, which `make` makes where nobody was in it. Answered by `Told::Joined` with the
    /// number returned.
    ///
    /// # Errors
    /// Too much of that session waits already.
    pub fn join(
        &mut self,
        session: Id,
        join: Join,
        make: impl FnOnce() -> Arc<Room>,
        now: Instant,
    ) -> Result<u64, Refusal> {
        let is_new = self.rooms.enter(session, &join.room, make).is_some();
        if is_new {
            self.requests
                .say(Frame::Follow(proto::Follow { room: join.room.to_string(), ..Default::default() }));
        }
        let request = proto::SessionJoin {
            room: join.room.to_string(),
            name: join.name.clone(),
            monitor: join.is_monitor,
            ..Default::default()
        };
        let number = self.requests.join(request, session, join.is_first, now).inspect_err(|_| {
            self.rooms.refuse(session, &join.room, now);
        })?;
        let wish = Wish { room: join.room, at: join.at, name: join.name, is_monitor: join.is_monitor };
        self.wishes.insert(number, wish);
        Ok(number)
    }

    /// A session leaves a room; its reader has ended when this returns.
    pub fn leave(&mut self, session: Id, room: &str, now: Instant) {
        self.end_reader(session, room, now);
        self.say_leave(&session, room);
    }

    /// A session asks to append a message; the session and the request's number are filled in. Answered by
    /// `Told::Posted` with the number returned.
    ///
    /// # Errors
    /// Too much of that session waits already.
    pub fn post(&mut self, session: Id, post: proto::SessionPost, now: Instant) -> Result<u64, Refusal> {
        self.requests.post(post, session, now)
    }

    /// A session is typing, or has stopped.
    pub fn typing(&mut self, typing: proto::SessionTyping) {
        self.requests.say(Frame::Typing(typing));
    }

    /// How many of a session's requests have no answer.
    pub fn pending(&self, session: &Id) -> usize {
        self.requests.pending(session)
    }

    /// A session closes.
    pub fn close(&mut self, session: Id, close: proto::CloseSession, now: Instant) {
        self.inboxes.remove(&session);
        let grace = self.grace(&close);
        let ended = self.rooms.close(session, grace, now);
        let until = (!ended.is_empty()).then(|| now + grace);
        for (room, reader) in ended {
            room.with(|feed| feed.leave(reader));
        }
        self.requests.close(session, close, until, now);
    }

    /// The next frame for the stream, which must be attached.
    pub fn next_frame(&mut self) -> Option<Frame> {
        self.requests.next_frame()
    }

    /// The stream is attached: everything is said on it.
    fn attached(&mut self, now: Instant) {
        let follows = self.rooms.roster(now).into_iter().map(|(room, follow)| {
            let position = room.look(|feed| feed.position()).map(|position| position.to_string());
            let position = position.filter(|_| !planted::makes(Mistake::ReattachFromTheHead));
            proto::Follow { position: position.unwrap_or_default(), ..follow }
        });
        self.requests.attach(follows, now);
    }

    /// The stream broke. What has no answer waits for the next, and so do rooms with what they must read: whoever may
    /// not read them any more, the next stream says first.
    pub fn broke(&mut self) {
        self.requests.broke();
        for room in self.rooms.iter() {
            room.look(Feed::pause);
        }
    }

    /// Takes a frame. What is about a room, for every session there, is handed back with the room that is to take it.
    pub fn take(&mut self, frame: Down, now: Instant) -> Vec<(Arc<Room>, RoomFrame)> {
        match frame {
            Down::Attached(_) => self.attached(now),
            Down::Opened(opened) => self.opened(opened),
            Down::Joined(joined) => self.joined(joined, now),
            Down::Gone(gone) => self.gone(gone, now),
            Down::Answer(answer) => self.answer(answer, now),
            Down::Following(frame) => return self.of_rooms([RoomFrame::Following(frame)]),
            Down::Events(frame) => return self.of_rooms([RoomFrame::Events(frame)]),
            Down::Presence(frame) => return self.of_rooms([RoomFrame::Presence(frame)]),
            Down::Typing(frame) => return self.of_rooms([RoomFrame::Typing(frame)]),
            Down::Heads(frame) => return self.of_rooms(frame.heads.into_iter().map(RoomFrame::Head)),
            Down::Pong(_) | Down::GoingAway(_) => {}
        }
        Vec::new()
    }

    fn of_rooms(&self, frames: impl IntoIterator<Item = RoomFrame>) -> Vec<(Arc<Room>, RoomFrame)> {
        let known = |frame: RoomFrame| Some((self.rooms.get(frame.room())?.clone(), frame));
        frames.into_iter().filter_map(known).collect()
    }

    /// Does what is due; whether anything was.
    pub fn expire(&mut self, now: Instant) -> bool {
        let (refused, idle) = (self.requests.expire(now), self.rooms.expire(now));
        let was_due = !refused.is_empty() || !idle.is_empty();
        for refused in refused {
            let (session, what) = (refused.session, refused.what.clone());
            self.tell_refused(refused, now);
            if let What::Join(room) = what
                && !self.rooms.is_in(&session, &room)
            {
                self.say_leave(&session, &room); // it may have been admitted, or may be yet
            }
        }
        for (name, room) in idle {
            room.end();
            self.requests.say(Frame::Unfollow(proto::Unfollow { room: name.to_string() }));
        }
        was_due
    }

    fn opened(&mut self, opened: proto::SessionOpened) {
        let Some(session) = id(&opened.session) else { return };
        let refused = match &opened.outcome {
            Some(proto::session_opened::Outcome::Error(error)) => Some(Refusal(error.clone())),
            _ => None,
        };
        if refused.is_some() {
            self.requests.refused(&session);
        }
        self.tell(&session, Told::Opened(refused.map_or(Ok(opened), Err)));
    }

    fn joined(&mut self, joined: proto::SessionJoined, now: Instant) {
        let Some(session) = id(&joined.session) else { return };
        let wish = self.wishes.remove(&joined.request);
        if !self.requests.joined(session, joined.request) {
            return; // its deadline has passed, and `leave` has been said
        }
        let (Some(wish), Some(inbox)) = (wish, self.inboxes.get(&session)) else { return };
        let Some(room) = self.rooms.get(&wish.room).cloned() else { return };
        let Some(seated) = self.rooms.admit(session, &wish.room, joined.as_of, wish.name, wish.is_monitor)
        else {
            return;
        };
        let wake = seated.is_none().then(|| Wake::new(Arc::clone(inbox), Arc::clone(room.name()), session));
        let told = room.with(|feed| {
            let reader = seated.or_else(|| feed.join(wish.at, wake.clone()?))?;
            Some(Joined {
                room: Arc::clone(&room),
                reader,
                again: seated.is_some(),
                wake,
                head: feed.position()?,
                info: feed.info()?.clone(),
                shown: feed.fold().shown(),
                user: joined.user.unwrap_or_default(),
            })
        });
        match told {
            Some(told) => {
                self.rooms.seat(session, &wish.room, told.reader);
                inbox.tell(Told::Joined(joined.request, Ok(Box::new(told))));
            }
            None => {
                tracing::error!("a session was admitted to a room before the room was followed");
                inbox.tell(Told::Joined(joined.request, Err(Refusal::unavailable())));
                self.leave(session, &wish.room, now);
            }
        }
    }

    fn gone(&mut self, gone: proto::SessionGone, now: Instant) {
        let Some(session) = id(&gone.session) else { return };
        self.end_reader(session, &gone.room, now);
        self.tell(&session, Told::Gone { room: gone.room.as_str().into(), reason: gone.reason });
    }

    fn answer(&mut self, answer: proto::SessionAnswer, now: Instant) {
        use proto::session_answer::Outcome;
        let Some(session) = id(&answer.session) else { return };
        match answer.outcome {
            Some(Outcome::Ack(ack)) => {
                if self.requests.acked(session, answer.request, now) {
                    self.tell(&session, Told::Posted(answer.request, Ok(ack)));
                }
            }
            Some(Outcome::Error(error)) => {
                for refused in self.requests.refuse(session, answer.request, Refusal(error), now) {
                    self.tell_refused(refused, now);
                }
            }
            None => tracing::warn!("the room service gave an answer of a kind that is not known here"),
        }
    }

    fn tell_refused(&mut self, refused: Refused, now: Instant) {
        let Refused { session, number, what, refusal } = refused;
        match what {
            What::Join(room) => {
                self.wishes.remove(&number);
                self.rooms.refuse(session, &room, now);
                self.tell(&session, Told::Joined(number, Err(refusal)));
            }
            What::Post(_) => self.tell(&session, Told::Posted(number, Err(refusal))),
        }
    }

    fn tell(&self, session: &Id, told: Told) {
        if let Some(inbox) = self.inboxes.get(session) {
            inbox.tell(told);
        }
    }

    fn say_leave(&mut self, session: &Id, room: &str) {
        let (session, room) = (id_bytes(session), room.to_owned());
        self.requests.say(Frame::Leave(proto::SessionLeave { session, room }));
    }

    /// How long the room service holds a session that closed like this.
    fn grace(&self, close: &proto::CloseSession) -> Duration {
        match close.reason() {
            proto::CloseReason::Closed => self.grace_closed,
            proto::CloseReason::GoingAway => {
                Duration::from_millis(close.retry_after_ms.into()) + self.grace_broken
            }
            proto::CloseReason::Unspecified | proto::CloseReason::Broken => self.grace_broken,
        }
    }

    fn end_reader(&mut self, session: Id, room: &str, now: Instant) {
        if let Some((room, reader)) = self.rooms.leave(session, room, now) {
            room.with(|feed| feed.leave(reader));
        }
    }
}

#[cfg(test)]
mod tests;
