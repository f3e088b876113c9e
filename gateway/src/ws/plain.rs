//! The plain dialect.
//!
//! Owns the JSON of the smallest chat client there is: what it sends, and how events, presence and typing look to it.
//! Promises `room` in every frame, the names and content of DESIGN section 6, and that an unnamed speaker is `Guest`.
//! Never decides who is told.

use parlour_proto::v1 as proto;
use parlour_proto::v1::event::Kind;
use serde::Serialize;

use super::{
    convert::{CLOCK, rfc3339},
    frame::{Fault, Fields},
    socket::Frame,
};
use crate::relay::presence::{Notice, Shown};

/// Who speaks without a name.
const NAMELESS: &str = "Guest";

/// What a plain client says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The room, by name or id.
    pub room: String,
    /// The speaker's name.
    pub name: String,
    /// What it is about.
    pub verb: Verb,
}

/// What a plain client does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Joins, or takes another name.
    Join {
        /// Follows without being present.
        monitor: bool,
    },
    /// Says something.
    Message {
        /// What.
        content: String,
    },
    /// Is typing.
    Typing {
        /// Or has stopped.
        typing: bool,
    },
}

/// Whether it is a type of the plain dialect's frames.
pub fn is_known(kind: &str) -> bool {
    matches!(kind, "join" | "message" | "typing")
}

/// Reads a frame.
///
/// # Errors
/// Its type is not known, or a field is missing or wrong.
pub fn request(fields: &Fields) -> Result<Request, Fault> {
    let verb = match fields.kind()? {
        "join" => Verb::Join { monitor: fields.truth("monitor")?.unwrap_or_default() },
        "message" => Verb::Message { content: fields.required("content")? },
        "typing" => Verb::Typing { typing: fields.truth("typing")?.unwrap_or(true) },
        _ => return Err(Fault::Unknown),
    };
    let name = fields.text("username")?.filter(|name| !name.trim().is_empty());
    Ok(Request { room: fields.room()?, name: name.unwrap_or_else(|| NAMELESS.to_owned()), verb })
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Response<'a> {
    UserList { room: &'a str, users: &'a [String], count: u32 },
    UserJoined { room: &'a str, username: &'a str, users: &'a [String], count: u32 },
    UserLeft { room: &'a str, username: &'a str, users: &'a [String], count: u32 },
    Message { room: &'a str, seq: u64, data: Message<'a> },
    RoomChanged { room: &'a str, title: &'a str, topic: &'a str, archived: bool },
    Typing { room: &'a str, username: &'a str },
    Gone { room: &'a str, reason: &'a str },
    Error(Error<'a>),
}

#[derive(Serialize)]
struct Message<'a> {
    id: u64,
    username: &'a str,
    content: &'a str,
    timestamp: String,
    created_at: String,
    guest: bool,
}

#[derive(Serialize)]
struct Error<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<&'a str>,
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u32>,
}

/// Who is here.
pub fn user_list(room: &str, shown: &Shown) -> Frame {
    written(&Response::UserList { room, users: &shown.names, count: shown.count })
}

/// One's own arrival.
pub fn user_joined(room: &str, username: &str, shown: &Shown) -> Frame {
    written(&Response::UserJoined { room, username, users: &shown.names, count: shown.count })
}

/// Another's coming or going.
pub fn notice(room: &str, notice: &Notice) -> Frame {
    let (username, users, count) = (&notice.name, &notice.names, notice.count);
    written(&if notice.came {
        Response::UserJoined { room, username, users, count }
    } else {
        Response::UserLeft { room, username, users, count }
    })
}

/// An event, if plain clients are told of its kind.
pub fn event(event: &proto::Event) -> Option<Frame> {
    let room = &event.room;
    let response = match event.kind.as_ref()? {
        Kind::Message(posted) => {
            let message = posted.data.as_ref()?;
            let user = message.user.as_ref();
            let created_at = rfc3339(&message.created_at.unwrap_or_default());
            Response::Message {
                room,
                seq: event.seq,
                data: Message {
                    id: message.id,
                    username: user.map(|user| user.name.as_str()).unwrap_or_default(),
                    content: &message.content,
                    timestamp: created_at.get(CLOCK).unwrap_or_default().to_owned(),
                    created_at,
                    guest: user.is_none_or(|user| user.guest),
                },
            }
        }
        Kind::RoomChanged(changed) => {
            let info = changed.data.as_ref()?.info.as_ref()?;
            Response::RoomChanged { room, title: &info.title, topic: &info.topic, archived: info.archived }
        }
    };
    Some(written(&response))
}

/// Someone is typing; plain clients are not told that somebody stopped.
pub fn typing(typing: &proto::Typing) -> Option<Frame> {
    let username = typing.user.as_ref().map(|user| user.name.as_str())?;
    typing.typing.then(|| written(&Response::Typing { room: &typing.room, username }))
}

/// One is in a room no longer.
pub fn gone(room: &str, reason: &str) -> Frame {
    written(&Response::Gone { room, reason })
}

/// A refusal.
pub fn error(room: Option<&str>, error: &proto::Error) -> Frame {
    written(&Response::Error(Error {
        room,
        code: &error.code,
        message: &error.message,
        field: error.field.as_deref(),
        retry_after_ms: error.retry_after_ms,
    }))
}

fn written(response: &Response<'_>) -> Frame {
    let text = serde_json::to_string(response);
    Frame::text(&text.expect("texts, numbers and lists are always JSON"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parsed(frame: &Frame) -> Value {
        serde_json::from_slice(&frame.body()).unwrap()
    }

    fn read(text: &str) -> Result<Request, Fault> {
        request(&Fields::parse(text).unwrap())
    }

    #[test]
    fn a_missing_blank_or_null_name_is_guest() {
        for username in [r#""#, r#","username":"  ""#, r#","username":null"#] {
            let request = read(&format!(r#"{{"type":"join","room":"general"{username}}}"#)).unwrap();
            assert_eq!((request.name.as_str(), request.verb), ("Guest", Verb::Join { monitor: false }));
        }
    }

    #[test]
    fn p11_each_fault_names_its_field() {
        for (text, code, field) in [
            (r#"{"type":"join"}"#, "MISSING_FIELD", Some("room")),
            (r#"{"type":"join","room":7}"#, "INVALID_FIELD", Some("room")),
            (r#"{"type":"message","room":"general"}"#, "MISSING_FIELD", Some("content")),
            (r#"{"type":"message","room":"general","content":[]}"#, "INVALID_FIELD", Some("content")),
            (r#"{"type":"typing","room":"general","username":1}"#, "INVALID_FIELD", Some("username")),
            (r#"{"type":"leave","room":"general"}"#, "UNKNOWN_FRAME", None),
            (r#"{"room":"general"}"#, "MISSING_FIELD", Some("type")),
        ] {
            let error = read(text).unwrap_err().to_error();
            assert_eq!((error.code.as_str(), error.field.as_deref()), (code, field), "{text}");
        }
    }

    #[test]
    fn a_message_has_what_the_smallest_client_shows() {
        let user = proto::User { id: "guest_a".into(), name: "ada".into(), guest: true };
        let message = proto::Message {
            id: 7,
            user: Some(user),
            content: "hello".into(),
            created_at: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
            ..Default::default()
        };
        let posted = proto::MessagePosted { data: Some(message) };
        let said = proto::Event {
            room: "general".into(),
            seq: 7,
            cursor: "00000000:7".into(),
            kind: Some(Kind::Message(posted)),
        };
        let expected = json!({
            "type": "message", "room": "general", "seq": 7,
            "data": {"id": 7, "username": "ada", "content": "hello", "timestamp": "22:13",
                     "created_at": "2023-11-14T22:13:20Z", "guest": true},
        });
        assert_eq!(parsed(&event(&said).unwrap()), expected);
    }

    #[test]
    fn an_error_is_an_error_frame() {
        let refusal = proto::Error {
            code: "UNAVAILABLE".into(),
            message: "later".into(),
            field: None,
            retry_after_ms: Some(5),
        };
        let expected = json!({"type": "error", "room": "general", "code": "UNAVAILABLE", "message": "later", "retry_after_ms": 5});
        assert_eq!(parsed(&error(Some("general"), &refusal)), expected);
    }
}
