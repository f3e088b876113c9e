//! The full dialect's requests.
//!
//! Owns what each frame of the full dialect asks for. Promises the gateway's own limits (rooms, joins, typing, pages) and
//! the order of one session's requests about a room. Never decides what the room service decides.

use std::{collections::HashMap, sync::Arc};

use parlour_proto::v1 as proto;
use parlour_proto::v1::{chat_request, chat_response::Frame as Down, open_session::Credentials};
use tokio::time::Instant;

use super::{Asked, Close, Dialect, Done, Ending, Held, Joining, Opening, Session, Socket};
use crate::{
    limits,
    relay::{
        self, Refusal,
        history::{Place, Wanted},
    },
    upstream,
    ws::frame::Fault,
};

/// The version of the protocol.
const VERSION: u32 = 1;

/// The room that a request is about.
pub(super) fn room_of(request: &chat_request::Frame) -> Option<&str> {
    use chat_request::Frame;
    match request {
        Frame::Join(join) => Some(&join.room),
        Frame::Leave(leave) => Some(&leave.room),
        Frame::Message(post) => Some(&post.room),
        Frame::Typing(typing) => Some(&typing.room),
        Frame::History(history) => Some(&history.room),
        Frame::Hello(_) | Frame::Ping(_) => None,
    }
}

impl<S: Socket> Session<S> {
    /// Does what a frame asks.
    pub(super) fn full(&mut self, id: String, request: chat_request::Frame) {
        use chat_request::Frame;
        let room = match room_of(&request) {
            Some(room) => match self.room_name(room) {
                Some(name) => name,
                None => return self.hold(Held::Full(id, request)),
            },
            None => "".into(),
        };
        // What comes after a join of the same room waits for its answer: a second join, or a leave, means what it leads to.
        if matches!(request, Frame::Join(_) | Frame::Leave(_)) && self.is_joining(&room) {
            return self.hold(Held::Full(id, request));
        }
        match request {
            Frame::Hello(hello) => self.hello(id, hello),
            Frame::Join(join) => self.join_full(id, room, join),
            Frame::Leave(_) => self.leave_full(&id, &room),
            Frame::Message(post) => self.post_full(id, room, post),
            Frame::Typing(typing) => self.typing_full(&id, &room, typing.typing),
            Frame::History(history) => self.history(id, room, &history),
            Frame::Ping(_) => {
                let was_asked = std::mem::take(&mut self.is_asked_for_life);
                if !was_asked || !id.is_empty() {
                    self.answer(&id, Down::Pong(proto::Pong {}));
                }
            }
        }
    }

    /// A room's name; `None` where it is asked for first.
    pub(super) fn room_name(&mut self, room: &str) -> Option<Arc<str>> {
        let known = self.relay.relay().names().known(room);
        if known.is_none() {
            let (relay, room) = (self.relay.relay().clone(), room.to_owned());
            self.order(async move { Done::Named(relay.names().ask(&room).await) });
        }
        known
    }

    fn hello(&mut self, id: String, hello: proto::Hello) {
        if self.dialect == Dialect::Full {
            return self.end(Ending::of(Close::ProtocolMisuse));
        }
        if hello.version != Some(VERSION) {
            self.invalid(&id, "version", "1");
            return self.end(Ending::of(Close::ProtocolMisuse));
        }
        self.dialect = Dialect::Full;
        let credentials = match (hello.token, hello.guest_token) {
            (Some(token), _) => Some(Credentials::Token(token)),
            (None, token) => token.map(Credentials::GuestToken),
        };
        let name = hello.name.unwrap_or_default();
        self.relay.open(proto::OpenSession { credentials, name, ..Default::default() });
        self.opening = Some(Box::new(Opening { id, rooms: hello.rooms, since: Instant::now() }));
    }

    /// Joins the rooms that `hello` came with.
    pub(super) fn first_rooms(&mut self, rooms: HashMap<String, String>) {
        for (asked, cursor) in rooms {
            if asked.chars().count() > limits::NAME_CHARS {
                self.say_gone(&asked, "ROOM_NOT_FOUND");
                continue;
            }
            match self.relay.relay().names().known(&asked) {
                Some(name) => self.first(&asked, &name, &cursor),
                None => {
                    let relay = self.relay.relay().clone();
                    self.order(async move {
                        let name = relay.names().ask(&asked).await;
                        Done::FirstNamed(asked, cursor, name)
                    });
                }
            }
        }
    }

    /// Joins a room that `hello` came with.
    pub(super) fn first(&mut self, asked: &str, name: &Arc<str>, cursor: &str) {
        let cursor = match parse_cursor(Some(cursor)) {
            Ok(cursor) => cursor,
            Err(refusal) => return self.say_gone(asked, &refusal.0.code),
        };
        self.join(Joining {
            id: String::new(),
            room: Arc::clone(name),
            named: asked.to_owned(),
            name: String::new(),
            is_monitor: false,
            is_first: true,
            cursor,
            history: 0,
        });
    }

    fn join_full(&mut self, id: String, room: Arc<str>, join: proto::Join) {
        let cursor = match parse_cursor(join.cursor.as_deref()) {
            Ok(cursor) => cursor,
            Err(refusal) => return self.refuse(&id, Some(&join.room), &refusal),
        };
        self.join(Joining {
            id,
            room,
            named: join.room,
            name: String::new(),
            is_monitor: join.monitor,
            is_first: false,
            cursor,
            history: join.history.unwrap_or(limits::PAGE_DEFAULT).min(limits::PAGE_MAX),
        });
    }

    /// Asks to join, within the limits of a session.
    pub(super) fn join(&mut self, joining: Joining) {
        if let Err(refusal) = self.may_join(&joining) {
            return self.not_joined(&joining, &refusal);
        }
        let join = relay::Join {
            room: Arc::clone(&joining.room),
            name: joining.name.clone(),
            is_monitor: joining.is_monitor,
            at: joining.cursor,
            is_first: joining.is_first,
        };
        match self.relay.join(join) {
            Ok(number) => drop(self.asked.insert(number, Asked::Join(Box::new(joining)))),
            Err(refusal) => self.not_joined(&joining, &refusal),
        }
    }

    fn may_join(&mut self, joining: &Joining) -> Result<(), Refusal> {
        let is_asked = |asked: &&Asked| matches!(asked, Asked::Join(_));
        let rooms = self.seats.len() + self.asked.values().filter(is_asked).count();
        if rooms >= self.terms.limits.session_rooms && self.seats.get(&joining.room).is_none() {
            return Err(Refusal::new("TOO_MANY_ROOMS", "a session may not be in more rooms"));
        }
        if joining.is_first {
            return Ok(());
        }
        self.joins.take(Instant::now().into_std()).map_err(|wait| {
            let wait = u32::try_from(wait.as_micros().div_ceil(1_000)).unwrap_or(u32::MAX);
            Refusal::new("RATE_LIMITED", "too many joins in a short time").after(wait)
        })
    }

    fn leave_full(&mut self, id: &str, room: &Arc<str>) {
        if self.seats.remove(room).is_some() {
            self.relay.leave(room);
        }
        if !id.is_empty() {
            self.answer(
                id,
                Down::Ack(proto::Ack { room: Some(room.to_string()), seq: None, created_at: None }),
            );
        }
    }

    fn post_full(&mut self, id: String, room: Arc<str>, post: proto::Post) {
        let key_is_clients = post.client_message_id.is_some();
        let key = match post.client_message_id {
            Some(key) if is_key(&key) => key,
            Some(_) => return self.invalid(&id, "client_message_id", "1 to 64 printable ASCII characters"),
            None => upstream::made_key(),
        };
        self.post(
            id,
            post.room,
            proto::SessionPost {
                room: room.to_string(),
                content: post.content,
                key,
                key_is_clients,
                reply_to: post.reply_to,
                ..Default::default()
            },
        );
    }

    /// Asks to append a message, within the limits of the address it comes from. One that is refused here has not been
    /// queued, so none waits behind it that would have to be refused with it (P5 c): those of its room that do wait were
    /// sent before it.
    pub(super) fn post(&mut self, id: String, named: String, post: proto::SessionPost) {
        if let Err(refused) = self.visitor.may_send() {
            return self.refuse(&id, Some(&named), &Refusal::of(&refused));
        }
        match self.relay.post(post) {
            Ok(number) => drop(self.asked.insert(number, Asked::Post { id, room: named })),
            Err(refusal) => self.refuse(&id, Some(&named), &refusal),
        }
    }

    fn typing_full(&mut self, id: &str, room: &Arc<str>, typing: bool) {
        if let Some(seat) = self.seats.get_mut(room)
            && seat.may_type(typing)
        {
            self.relay.typing(room, String::new(), typing);
        }
        if !id.is_empty() {
            self.answer(
                id,
                Down::Ack(proto::Ack { room: Some(room.to_string()), seq: None, created_at: None }),
            );
        }
    }

    fn history(&mut self, id: String, room: Arc<str>, history: &proto::ReadHistory) {
        let place = match (history.before, history.after) {
            (Some(_), Some(_)) => {
                return self.fault(&id, &Fault::Invalid("after", "absent where before is given"));
            }
            (Some(seq), None) => Place::Before(seq),
            (None, Some(seq)) => Place::After(seq),
            (None, None) => Place::Newest,
        };
        let limit = match history.limit {
            None | Some(0) => limits::PAGE_DEFAULT,
            Some(limit) => limit.min(limits::PAGE_MAX),
        };
        let page = self.relay.relay().history().read(Wanted { room, place, limit });
        self.order(async move { Done::History(id, page.await) });
    }
}

/// A cursor; an empty one is none.
fn parse_cursor(cursor: Option<&str>) -> Result<Option<parlour_feed::Cursor>, Refusal> {
    match cursor {
        None | Some("") => Ok(None),
        Some(text) => match text.parse() {
            Ok(cursor) => Ok(Some(cursor)),
            Err(_) => Err(Refusal::new("INVALID_CURSOR", "that is not a cursor").of_field("cursor")),
        },
    }
}

fn is_key(key: &str) -> bool {
    (1..=limits::NAME_CHARS).contains(&key.len()) && key.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}
