//! The full dialect's JSON.
//!
//! Owns how the frames of `Chat` are written and read on the browser's socket. Promises that the two agree but for the
//! four fixed differences (DESIGN section 6), that unknown fields are ignored, that whatever comes is a frame or a typed
//! fault, and that nothing panics. Never decides what a frame does.

use std::collections::HashMap;

use parlour_proto::v1 as proto;
use parlour_proto::v1::{chat_request, chat_response};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{convert, socket::Frame};
use crate::limits;

/// The largest integer that JSON numbers hold everywhere.
const MAX_INTEGER: u64 = 1 << 53;

/// What is wrong with a frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not a JSON object in a text frame.
    #[error("a frame is one JSON object in a text message")]
    NotAnObject,
    /// A type that is not known here; it does not count as a fault (P12).
    #[error("frames of this type are not known")]
    Unknown,
    /// A field is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A field is not what it should be.
    #[error("{0} must be {1}")]
    Invalid(&'static str, &'static str),
}

impl Fault {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAnObject => "INVALID_FRAME",
            Self::Unknown => "UNKNOWN_FRAME",
            Self::Missing(_) => "MISSING_FIELD",
            Self::Invalid(..) => "INVALID_FIELD",
        }
    }

    /// What the client is told.
    pub fn to_error(&self) -> proto::Error {
        let field = match self {
            Self::Missing(field) | Self::Invalid(field, _) => Some((*field).to_owned()),
            Self::NotAnObject | Self::Unknown => None,
        };
        proto::Error { code: self.code().to_owned(), message: self.to_string(), field, retry_after_ms: None }
    }
}

/// The fields of a frame, and its type.
#[derive(Clone, Debug, Default)]
pub struct Fields(Map<String, Value>);

impl Fields {
    /// Reads a text.
    ///
    /// # Errors
    /// It is not a JSON object, or is nested deeper than any frame.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) | Err(_) => Err(Fault::NotAnObject),
        }
    }

    /// The frame's type.
    ///
    /// # Errors
    /// It has none.
    pub fn kind(&self) -> Result<&str, Fault> {
        self.optional("type", "a string", Value::as_str)?.ok_or(Fault::Missing("type"))
    }

    /// What is echoed in the answer.
    ///
    /// # Errors
    /// It is no string of at most 64 characters.
    pub fn id(&self) -> Result<String, Fault> {
        const EXPECTED: &str = "a string of at most 64 characters";
        let id = self.optional("id", EXPECTED, Value::as_str)?.unwrap_or_default();
        if id.chars().count() > limits::NAME_CHARS {
            return Err(Fault::Invalid("id", EXPECTED));
        }
        Ok(id.to_owned())
    }

    /// A field that may be missing, or null.
    fn optional<'a, T>(
        &'a self,
        name: &'static str,
        expected: &'static str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Fault> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value).map(Some).ok_or(Fault::Invalid(name, expected)),
        }
    }

    /// A text that may be missing.
    pub fn text(&self, name: &'static str) -> Result<Option<String>, Fault> {
        self.optional(name, "a string", |value| value.as_str().map(str::to_owned))
    }

    /// A text that must be there.
    pub fn required(&self, name: &'static str) -> Result<String, Fault> {
        self.text(name)?.ok_or(Fault::Missing(name))
    }

    /// The room a frame is about.
    pub fn room(&self) -> Result<String, Fault> {
        let room = self.text("room")?.filter(|room| !room.is_empty()).ok_or(Fault::Missing("room"))?;
        if room.chars().count() > limits::NAME_CHARS {
            return Err(Fault::Invalid("room", "a name or an id of at most 64 characters"));
        }
        Ok(room)
    }

    /// A truth that may be missing.
    pub fn truth(&self, name: &'static str) -> Result<Option<bool>, Fault> {
        self.optional(name, "true or false", Value::as_bool)
    }

    fn seq(&self, name: &'static str) -> Result<Option<u64>, Fault> {
        let read = |value: &Value| value.as_u64().filter(|number| *number <= MAX_INTEGER);
        self.optional(name, "a whole number, not negative and at most 2^53", read)
    }

    fn number(&self, name: &'static str) -> Result<Option<u32>, Fault> {
        let read = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
        self.optional(name, "a whole number, not negative and below 2^32", read)
    }

    fn cursors(&self, name: &'static str) -> Result<HashMap<String, String>, Fault> {
        let read = |value: &Value| {
            let rooms = value.as_object()?.iter();
            rooms.map(|(room, cursor)| Some((room.clone(), cursor.as_str()?.to_owned()))).collect()
        };
        Ok(self.optional(name, "an object of strings", read)?.unwrap_or_default())
    }

    /// The frame.
    ///
    /// # Errors
    /// Its type is not known, or a field is missing or wrong.
    pub fn request(&self) -> Result<chat_request::Frame, Fault> {
        use chat_request::Frame;
        Ok(match self.kind()? {
            "hello" => Frame::Hello(self.hello()?),
            "join" => Frame::Join(proto::Join {
                room: self.room()?,
                cursor: self.text("cursor")?,
                history: self.number("history")?,
                monitor: self.truth("monitor")?.unwrap_or_default(),
            }),
            "leave" => Frame::Leave(proto::Leave { room: self.room()? }),
            "message" => Frame::Message(proto::Post {
                room: self.room()?,
                content: self.required("content")?,
                client_message_id: self.text("client_message_id")?,
                reply_to: self.seq("reply_to")?,
            }),
            "typing" => Frame::Typing(proto::SetTyping {
                room: self.room()?,
                typing: self.truth("typing")?.unwrap_or_default(),
            }),
            "history" => Frame::History(self.history()?),
            "ping" => Frame::Ping(proto::Ping {}),
            _ => return Err(Fault::Unknown),
        })
    }

    fn hello(&self) -> Result<proto::Hello, Fault> {
        Ok(proto::Hello {
            version: Some(self.number("version")?.ok_or(Fault::Missing("version"))?),
            token: self.text("token")?,
            guest_token: self.text("guest_token")?,
            name: self.text("name")?,
            rooms: self.cursors("rooms")?,
        })
    }

    fn history(&self) -> Result<proto::ReadHistory, Fault> {
        let (before, after) = (self.seq("before")?, self.seq("after")?);
        if before.is_some() && after.is_some() {
            return Err(Fault::Invalid("after", "absent where before is given"));
        }
        Ok(proto::ReadHistory { room: self.room()?, before, after, limit: self.number("limit")? })
    }
}

/// Whether it is a type of the full dialect's frames.
pub fn is_known(kind: &str) -> bool {
    matches!(kind, "hello" | "join" | "leave" | "message" | "typing" | "history" | "ping")
}

/// A frame to the browser, its `type` first.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Response<'a> {
    Welcome {
        session: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        user: Option<convert::User<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        guest_token: Option<&'a str>,
        heartbeat_ms: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        limits: Option<convert::Limits>,
    },
    Joined {
        room: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        info: Option<convert::Info<'a>>,
        cursor: &'a str,
        messages: Vec<convert::Message<'a>>,
        more: bool,
        users: Vec<convert::User<'a>>,
        count: u32,
    },
    Ack {
        #[serde(skip_serializing_if = "Option::is_none")]
        room: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        created_at: Option<String>,
    },
    Error {
        code: &'a str,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        field: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u32>,
    },
    History {
        room: &'a str,
        messages: Vec<convert::Message<'a>>,
        events: Vec<convert::Event<'a>>,
        more: bool,
    },
    Typing {
        room: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        user: Option<convert::User<'a>>,
        typing: bool,
    },
    Presence {
        room: &'a str,
        snapshot: bool,
        users: Vec<convert::User<'a>>,
        joined: Vec<convert::User<'a>>,
        left: Vec<convert::User<'a>>,
        changed: Vec<convert::User<'a>>,
        count: u32,
    },
    Heartbeat {
        heads: std::collections::BTreeMap<&'a str, &'a str>,
    },
    Pong {},
    Resync {
        room: &'a str,
        cursor: &'a str,
        reason: &'a str,
    },
    Gone {
        room: &'a str,
        reason: &'a str,
    },
    GoingAway {
        retry_after_ms: u32,
        reason: &'a str,
    },
}

#[derive(Serialize)]
struct Answer<'a, T: Serialize> {
    #[serde(flatten)]
    frame: &'a T,
    id: &'a str,
}

/// A frame to the browser. `id` is that of the request it answers, or empty.
pub fn encode(id: &str, frame: &chat_response::Frame) -> Frame {
    use chat_response::Frame as From;
    let response = match frame {
        From::Event(event) => return written(id, &convert::Event::from(event)),
        From::Welcome(welcome) => Response::Welcome {
            session: &welcome.session,
            user: welcome.user.as_ref().map(convert::User::from),
            guest_token: welcome.guest_token.as_deref(),
            heartbeat_ms: welcome.heartbeat_ms,
            limits: welcome.limits.as_ref().map(convert::Limits::from),
        },
        From::Joined(joined) => Response::Joined {
            room: &joined.room,
            info: joined.info.as_ref().map(convert::Info::from),
            cursor: &joined.cursor,
            messages: convert::all(&joined.messages),
            more: joined.more,
            users: convert::all(&joined.users),
            count: joined.count,
        },
        From::Ack(ack) => Response::Ack {
            room: ack.room.as_deref(),
            seq: ack.seq,
            created_at: ack.created_at.as_ref().map(convert::rfc3339),
        },
        From::Error(error) => Response::Error {
            code: &error.code,
            message: &error.message,
            field: error.field.as_deref(),
            retry_after_ms: error.retry_after_ms,
        },
        From::History(history) => Response::History {
            room: &history.room,
            messages: convert::all(&history.messages),
            events: convert::all(&history.events),
            more: history.more,
        },
        From::Typing(typing) => Response::Typing {
            room: &typing.room,
            user: typing.user.as_ref().map(convert::User::from),
            typing: typing.typing,
        },
        From::Presence(presence) => Response::Presence {
            room: &presence.room,
            snapshot: presence.snapshot,
            users: convert::all(&presence.users),
            joined: convert::all(&presence.joined),
            left: convert::all(&presence.left),
            changed: convert::all(&presence.changed),
            count: presence.count,
        },
        From::Heartbeat(heartbeat) => Response::Heartbeat { heads: convert::sorted(&heartbeat.heads) },
        From::Pong(_) => Response::Pong {},
        From::Resync(resync) => {
            Response::Resync { room: &resync.room, cursor: &resync.cursor, reason: &resync.reason }
        }
        From::Gone(gone) => Response::Gone { room: &gone.room, reason: &gone.reason },
        From::GoingAway(going) => {
            Response::GoingAway { retry_after_ms: going.retry_after_ms, reason: &going.reason }
        }
    };
    written(id, &response)
}

/// An event that answers nothing, as `encode` writes it.
pub fn event(event: &proto::Event) -> Frame {
    written("", &convert::Event::from(event))
}

fn written(id: &str, frame: &impl Serialize) -> Frame {
    let text = if id.is_empty() {
        serde_json::to_string(frame)
    } else {
        serde_json::to_string(&Answer { frame, id })
    };
    Frame::text(&text.expect("texts, numbers, lists and maps with keys of text are always JSON"))
}

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
