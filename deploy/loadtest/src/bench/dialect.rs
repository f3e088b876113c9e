//! How the measured servers are spoken to.
//!
//! Owns what a member of each dialect says, and which frames mean that it is in, must be answered, or was refused.
//! Promises that a message is about as large in every dialect. Never knows how a message is marked.

use clap::ValueEnum;
use serde::Serialize;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

/// What a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Dialect {
    /// Parlour's full protocol.
    Parlour,
    /// The path names the room; each text is given to everybody in it.
    Broadcast,
    /// Socket.IO over a WebSocket, with a `join` and a `message`.
    SocketIo,
    /// NATS over a WebSocket; a room is a subject.
    Nats,
}

/// What a frame without a message means to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// It is in the room.
    Joined,
    /// The server asks for something.
    Asks,
    /// Something was refused.
    Refused,
    /// Anything else.
    Other,
}

impl Dialect {
    /// Whether rooms are made before they are joined.
    pub(crate) fn makes_rooms(self) -> bool {
        self == Self::Parlour
    }

    /// Whether a member waits to be let in; else its connection alone lets it in.
    pub(crate) fn admits(self) -> bool {
        self != Self::Broadcast
    }

    /// The path of a member's socket.
    pub(crate) fn path(self, room: &str) -> String {
        match self {
            Self::Parlour => "/chat".to_owned(),
            Self::Broadcast => format!("/{room}"),
            Self::SocketIo => "/socket.io/?EIO=4&transport=websocket".to_owned(),
            Self::Nats => "/".to_owned(),
        }
    }

    /// What a member says first, where it says something first.
    pub(crate) fn greeting(self, name: &str, room: &str) -> Option<Message> {
        match self {
            Self::Parlour => {
                let hello = json!({"type": "hello", "version": 1, "name": name, "rooms": {room: ""}});
                Some(Message::text(hello.to_string()))
            }
            Self::Nats => {
                let connect = format!("CONNECT {{\"verbose\":false}}\r\nSUB {room} 1\r\nPING\r\n");
                Some(Message::binary(connect.into_bytes()))
            }
            Self::Broadcast | Self::SocketIo => None,
        }
    }

    /// A message.
    pub(crate) fn says(self, room: &str, content: &str) -> Message {
        // As large as what Parlour hands to its members, where the server adds nothing to it.
        let whole = || {
            json!({"type": "message", "room": room, "seq": 1_234_567, "cursor": "0123abcd:1234567", "data":
                {"id": 1_234_567, "user": {"id": "guest_abcdefghijklmnopqrstuvwxyz", "name": "a member", "guest": true},
                 "content": content, "created_at": "2026-01-01T00:00:00.000000Z"}})
            .to_string()
        };
        match self {
            Self::Parlour => {
                Message::text(json!({"type": "message", "room": room, "content": content}).to_string())
            }
            Self::Broadcast => Message::text(whole()),
            Self::SocketIo => Message::text(format!(r#"42["message",{}]"#, whole())),
            Self::Nats => {
                let body = whole();
                Message::binary(format!("PUB {room} {}\r\n{body}\r\n", body.len()).into_bytes())
            }
        }
    }

    /// What answers a frame that asks for something.
    pub(crate) fn answer(self, text: &str, room: &str) -> Option<Message> {
        match (self, text.get(..2)) {
            (Self::Parlour, _) => Some(Message::text(r#"{"type":"ping"}"#)),
            (Self::Broadcast, _) => None,
            // Engine.IO is open: open Socket.IO. It is open: join. A ping: a pong.
            (Self::SocketIo, Some("0{")) => Some(Message::text("40")),
            (Self::SocketIo, Some("40")) => Some(Message::text(format!(r#"42["join","{room}"]"#))),
            (Self::SocketIo, _) => Some(Message::text("3")),
            (Self::Nats, _) => Some(Message::binary(&b"PONG\r\n"[..])),
        }
    }

    /// What a frame without a message means.
    pub(crate) fn meaning(self, text: &str) -> Meaning {
        match self {
            Self::Parlour => {
                match text.strip_prefix(r#"{"type":""#).and_then(|rest| rest.split('"').next()) {
                    Some("joined") => Meaning::Joined,
                    Some("heartbeat") => Meaning::Asks,
                    Some("error" | "gone" | "resync" | "going_away") => Meaning::Refused,
                    _ => Meaning::Other,
                }
            }
            Self::Broadcast => Meaning::Other,
            Self::SocketIo => match text {
                r#"42["joined"]"# => Meaning::Joined,
                "2" => Meaning::Asks,
                _ if text.starts_with("0{") || text.starts_with("40") => Meaning::Asks,
                _ if text.starts_with("44") => Meaning::Refused,
                _ => Meaning::Other,
            },
            Self::Nats => match text.trim_end() {
                "PONG" => Meaning::Joined,
                "PING" => Meaning::Asks,
                _ if text.starts_with("-ERR") => Meaning::Refused,
                _ => Meaning::Other,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_of_parlours_is_known_by_its_type() {
        let meaning = |text| Dialect::Parlour.meaning(text);
        assert_eq!(meaning(r#"{"type":"joined","room":"r"}"#), Meaning::Joined);
        assert_eq!(meaning(r#"{"type":"heartbeat","heads":{}}"#), Meaning::Asks);
        assert_eq!(meaning(r#"{"type":"error","code":"RATE_LIMITED"}"#), Meaning::Refused);
        assert_eq!(meaning(r#"{"type":"presence"}"#), Meaning::Other);
        assert_eq!(Dialect::Broadcast.meaning(r#"{"type":"error"}"#), Meaning::Other);
    }

    #[test]
    fn socket_io_is_opened_in_three_steps() {
        let answer = |text| match Dialect::SocketIo.meaning(text) {
            Meaning::Asks => Dialect::SocketIo.answer(text, "r").map(|said| said.to_string()),
            _ => None,
        };
        assert_eq!(answer(r#"0{"sid":"a"}"#).as_deref(), Some("40"));
        assert_eq!(answer(r#"40{"sid":"b"}"#).as_deref(), Some(r#"42["join","r"]"#));
        assert_eq!(answer("2").as_deref(), Some("3"));
        assert_eq!(Dialect::SocketIo.meaning(r#"42["joined"]"#), Meaning::Joined);
    }
}
