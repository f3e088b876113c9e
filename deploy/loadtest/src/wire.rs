//! The frames, as a client writes and reads them.
//!
//! Owns the requests that our clients make and the responses that they understand, in JSON and over gRPC. Promises that
//! both dialects of the full protocol become the same values, and that a frame of an unknown type is one too (P12).
//! Never judges what is said.

use std::collections::BTreeMap;

use parlour_feed::Cursor;
use parlour_proto::v1::{
    self, chat_request::Frame as Request, chat_response::Frame as Response, event::Kind,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{judge::view::Someone, plan::Fault};

/// What a client says.
#[derive(Clone, Debug)]
pub(crate) enum Up {
    Hello { name: String, guest_token: Option<String>, rooms: BTreeMap<String, String> },
    Join { room: String, cursor: Option<String> },
    Leave { room: String },
    Message { room: String, content: String, key: String },
    Typing { room: String },
    Ping,
    Fault(Fault, String),
}

impl Up {
    /// As JSON. `id` is echoed in the answer.
    pub(crate) fn to_json(&self, id: &str) -> String {
        let mut frame = match self {
            Self::Hello { name, guest_token, rooms } => {
                json!({"type": "hello", "version": 1, "name": name, "guest_token": guest_token, "rooms": rooms,
                       "unknown_here": true})
            }
            Self::Join { room, cursor } => {
                json!({"type": "join", "room": room, "cursor": cursor, "history": 0})
            }
            Self::Leave { room } => json!({"type": "leave", "room": room}),
            Self::Message { room, content, key } => {
                json!({"type": "message", "room": room, "content": content, "client_message_id": key})
            }
            Self::Typing { room } => json!({"type": "typing", "room": room, "typing": true}),
            Self::Ping => json!({"type": "ping"}),
            Self::Fault(Fault::UnknownFrame, _) => json!({"type": "unknown_here"}),
            Self::Fault(fault, room) => return fault.as_request(room).to_json(id),
        };
        if !id.is_empty() {
            frame["id"] = Value::from(id);
        }
        frame.to_string()
    }

    /// As a frame of `Chat`.
    pub(crate) fn to_chat(&self, id: &str) -> v1::ChatRequest {
        let frame = match self.clone() {
            Self::Hello { name, guest_token, rooms } => Some(Request::Hello(v1::Hello {
                version: Some(1),
                guest_token,
                name: Some(name),
                rooms: rooms.into_iter().collect(),
                ..v1::Hello::default()
            })),
            Self::Join { room, cursor } => {
                Some(Request::Join(v1::Join { room, cursor, history: Some(0), monitor: false }))
            }
            Self::Leave { room } => Some(Request::Leave(v1::Leave { room })),
            Self::Message { room, content, key } => Some(Request::Message(v1::Post {
                room,
                content,
                client_message_id: Some(key),
                reply_to: None,
            })),
            Self::Typing { room } => Some(Request::Typing(v1::SetTyping { room, typing: true })),
            Self::Ping => Some(Request::Ping(v1::Ping {})),
            Self::Fault(Fault::UnknownFrame, _) => None,
            Self::Fault(fault, room) => return fault.as_request(&room).to_chat(id),
        };
        v1::ChatRequest { id: id.to_owned(), frame }
    }
}

impl Fault {
    fn as_request(self, room: &str) -> Up {
        let room = room.to_owned();
        match self {
            Self::UnknownRoom => Up::Join { room: format!("{room}-that-is-not"), cursor: None },
            Self::BlankText | Self::UnknownFrame => {
                Up::Message { room, content: " ".to_owned(), key: "blank".to_owned() }
            }
            Self::BadCursor => Up::Join { room, cursor: Some("no cursor".to_owned()) },
        }
    }
}

/// What a client is told, and the id of the request it answers.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) id: String,
    pub(crate) down: Down,
}

/// A message or another event of a room.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) room: String,
    pub(crate) cursor: String,
    pub(crate) seq: u64,
    /// `None` for what is no message.
    pub(crate) message: Option<Message>,
}

#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) author: String,
    pub(crate) content: String,
    pub(crate) key: Option<String>,
}

/// A frame to a client.
#[derive(Debug)]
pub(crate) enum Down {
    Welcome {
        guest_token: Option<String>,
        user: String,
    },
    Joined {
        room: String,
        cursor: String,
        users: Vec<Someone>,
        count: u32,
    },
    Event(Event),
    Ack {
        seq: Option<u64>,
    },
    Error {
        code: String,
        retry_after_ms: Option<u32>,
    },
    Snapshot {
        room: String,
        users: Vec<Someone>,
        count: u32,
    },
    Change {
        room: String,
        joined: Vec<Someone>,
        left: Vec<Someone>,
        changed: Vec<Someone>,
        count: u32,
    },
    Typing {
        room: String,
    },
    Heartbeat {
        heads: BTreeMap<String, String>,
    },
    Resync {
        room: String,
        cursor: String,
        reason: String,
    },
    Gone {
        room: String,
        reason: String,
    },
    GoingAway {
        retry_after_ms: u32,
    },
    /// One that asks for nothing, or is not known here.
    Other,
}

/// A frame's fields, whatever its type.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields {
    #[serde(rename = "type")]
    kind: String,
    id: String,
    room: String,
    seq: Option<u64>,
    cursor: String,
    data: Option<Data>,
    guest_token: Option<String>,
    user: User,
    users: Vec<User>,
    joined: Vec<User>,
    left: Vec<User>,
    changed: Vec<User>,
    snapshot: bool,
    count: u32,
    code: String,
    reason: String,
    retry_after_ms: Option<u32>,
    heads: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Data {
    user: User,
    content: String,
    client_message_id: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    id: String,
    name: String,
}

fn people(users: Vec<User>) -> Vec<Someone> {
    users.into_iter().map(|user| Someone { id: user.id, name: user.name }).collect()
}

impl Told {
    /// Reads a text of the full dialect.
    ///
    /// # Errors
    /// It is not JSON, or a field is of another type than documented.
    pub(crate) fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        let fields: Fields = serde_json::from_str(text)?;
        let Fields { room, cursor, count, reason, .. } = fields;
        let retry_after_ms = fields.retry_after_ms;
        let down = match fields.kind.as_str() {
            "welcome" => Down::Welcome { guest_token: fields.guest_token, user: fields.user.id },
            "joined" => Down::Joined { room, cursor, users: people(fields.users), count },
            "ack" => Down::Ack { seq: fields.seq },
            "error" => Down::Error { code: fields.code, retry_after_ms },
            "presence" if fields.snapshot => Down::Snapshot { room, users: people(fields.users), count },
            "presence" => Down::Change {
                room,
                joined: people(fields.joined),
                left: people(fields.left),
                changed: people(fields.changed),
                count,
            },
            "typing" => Down::Typing { room },
            "heartbeat" => Down::Heartbeat { heads: fields.heads },
            "resync" => Down::Resync { room, cursor, reason },
            "gone" => Down::Gone { room, reason },
            "going_away" => Down::GoingAway { retry_after_ms: retry_after_ms.unwrap_or_default() },
            // Whatever has a seq and a cursor is an event, also of a kind that is not known here.
            kind => match fields.seq {
                Some(seq) if !cursor.is_empty() => {
                    let message = fields.data.filter(|_| kind == "message").map(|data| Message {
                        author: data.user.name,
                        content: data.content,
                        key: data.client_message_id,
                    });
                    Down::Event(Event { room, cursor, seq, message })
                }
                _ => Down::Other,
            },
        };
        Ok(Self { id: fields.id, down })
    }

    /// Reads a frame of `Chat`.
    pub(crate) fn from_chat(response: v1::ChatResponse) -> Self {
        let down = match response.frame {
            Some(Response::Welcome(v1::Welcome { guest_token, user, .. })) => {
                Down::Welcome { guest_token, user: user.unwrap_or_default().id }
            }
            Some(Response::Joined(v1::Joined { room, cursor, users, count, .. })) => {
                Down::Joined { room, cursor, users: all(users), count }
            }
            Some(Response::Event(event)) => Down::Event(event.into()),
            Some(Response::Ack(ack)) => Down::Ack { seq: ack.seq },
            Some(Response::Error(v1::Error { code, retry_after_ms, .. })) => {
                Down::Error { code, retry_after_ms }
            }
            Some(Response::Presence(presence)) => presence.into(),
            Some(Response::Typing(typing)) => Down::Typing { room: typing.room },
            Some(Response::Heartbeat(heartbeat)) => {
                Down::Heartbeat { heads: heartbeat.heads.into_iter().collect() }
            }
            Some(Response::Resync(v1::Resync { room, cursor, reason })) => {
                Down::Resync { room, cursor, reason }
            }
            Some(Response::Gone(v1::Gone { room, reason })) => Down::Gone { room, reason },
            Some(Response::GoingAway(going)) => Down::GoingAway { retry_after_ms: going.retry_after_ms },
            Some(Response::History(_) | Response::Pong(_)) | None => Down::Other,
        };
        Self { id: response.id, down }
    }
}

fn all(users: Vec<v1::User>) -> Vec<Someone> {
    users.into_iter().map(|user| Someone { id: user.id, name: user.name }).collect()
}

impl From<v1::Event> for Event {
    fn from(event: v1::Event) -> Self {
        let message = match event.kind {
            Some(Kind::Message(posted)) => posted.data.map(|message| Message {
                author: message.user.unwrap_or_default().name,
                content: message.content,
                key: message.client_message_id,
            }),
            _ => None,
        };
        Self { room: event.room, cursor: event.cursor, seq: event.seq, message }
    }
}

impl From<v1::Presence> for Down {
    fn from(presence: v1::Presence) -> Self {
        let v1::Presence { room, snapshot, users, joined, left, changed, count } = presence;
        if snapshot {
            return Self::Snapshot { room, users: all(users), count };
        }
        Self::Change { room, joined: all(joined), left: all(left), changed: all(changed), count }
    }
}

/// A cursor that a server gave.
///
/// # Errors
/// It is none.
pub(crate) fn cursor(text: &str) -> Result<Cursor, String> {
    text.parse().map_err(|_| format!("{text:?} is not a cursor"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(value: &Value) -> Told {
        Told::from_json(&value.to_string()).unwrap()
    }

    #[test]
    fn both_dialects_of_an_event_are_one() {
        let json = told(&json!({"type": "message", "room": "r", "seq": 7, "cursor": "0000000a:7",
            "data": {"id": 7, "user": {"id": "guest_a", "name": "ada", "guest": true}, "content": "hi",
                     "client_message_id": "k", "created_at": "2026-01-01T00:00:00Z"}}));
        let user = v1::User { id: "guest_a".into(), name: "ada".into(), guest: true };
        let data = v1::Message {
            id: 7,
            user: Some(user),
            content: "hi".into(),
            client_message_id: Some("k".into()),
            ..v1::Message::default()
        };
        let kind = Some(Kind::Message(v1::MessagePosted { data: Some(data) }));
        let event = v1::Event { room: "r".into(), seq: 7, cursor: "0000000a:7".into(), kind };
        let chat =
            Told::from_chat(v1::ChatResponse { id: String::new(), frame: Some(Response::Event(event)) });
        assert_eq!(format!("{json:?}"), format!("{chat:?}"));
    }

    #[test]
    fn p12_an_event_of_an_unknown_kind_is_one_and_an_unknown_frame_is_let_pass() {
        let told_event = told(&json!({"type": "poll", "room": "r", "seq": 7, "cursor": "0000000a:7"}));
        assert!(matches!(told_event.down, Down::Event(Event { seq: 7, message: None, .. })));
        assert!(matches!(told(&json!({"type": "fireworks", "more": []})).down, Down::Other));
        assert!(Told::from_json("[").is_err());
    }

    #[test]
    fn a_request_carries_its_id() {
        let json: Value = serde_json::from_str(&Up::Ping.to_json("7")).unwrap();
        assert_eq!(json, json!({"type": "ping", "id": "7"}));
        assert_eq!(Up::Ping.to_chat("7").id, "7");
        assert!(Up::Fault(Fault::UnknownFrame, "r".into()).to_chat("7").frame.is_none());
        assert!(Up::Fault(Fault::BadCursor, "r".into()).to_json("7").contains("no cursor"));
    }
}
