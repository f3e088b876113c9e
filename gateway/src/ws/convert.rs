//! The contract's messages as our JSON writes them.
//!
//! Owns the shape of each noun on the browser's socket, borrowed from the contract's types. Promises the four fixed
//! differences from proto3 JSON (DESIGN section 6), absent fields left out and the others always written. Never decides
//! what is sent.

use std::collections::BTreeMap;

use parlour_proto::v1 as proto;
use parlour_proto::v1::event::Kind;
use serde::Serialize;

/// Someone.
#[derive(Serialize)]
pub(super) struct User<'a> {
    id: &'a str,
    name: &'a str,
    guest: bool,
}

impl<'a> From<&'a proto::User> for User<'a> {
    fn from(user: &'a proto::User) -> Self {
        Self { id: &user.id, name: &user.name, guest: user.guest }
    }
}

/// A message.
#[derive(Serialize)]
pub(super) struct Message<'a> {
    id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<User<'a>>,
    content: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_message_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
}

impl<'a> From<&'a proto::Message> for Message<'a> {
    fn from(message: &'a proto::Message) -> Self {
        Self {
            id: message.id,
            user: message.user.as_ref().map(User::from),
            content: &message.content,
            client_message_id: message.client_message_id.as_deref(),
            reply_to: message.reply_to,
            created_at: message.created_at.as_ref().map(rfc3339),
        }
    }
}

/// What a session is shown of a room.
#[derive(Serialize)]
pub(super) struct Info<'a> {
    id: &'a str,
    title: &'a str,
    topic: &'a str,
    visibility: &'static str,
    archived: bool,
}

impl<'a> From<&'a proto::RoomInfo> for Info<'a> {
    fn from(info: &'a proto::RoomInfo) -> Self {
        let visibility = match info.visibility() {
            proto::Visibility::Unspecified => "unspecified",
            proto::Visibility::Public => "public",
        };
        Self { id: &info.id, title: &info.title, topic: &info.topic, visibility, archived: info.archived }
    }
}

/// How a room was changed.
#[derive(Serialize)]
pub(super) struct RoomChange<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<User<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    info: Option<Info<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
}

/// What an event of a kind carries.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Data<'a> {
    Message(Message<'a>),
    RoomChange(RoomChange<'a>),
}

/// An event: its kind's name is its `type`.
#[derive(Serialize)]
pub(super) struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    room: &'a str,
    seq: u64,
    cursor: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data<'a>>,
}

impl<'a> From<&'a proto::Event> for Event<'a> {
    fn from(event: &'a proto::Event) -> Self {
        let (kind, data) = match &event.kind {
            Some(Kind::Message(posted)) => {
                ("message", posted.data.as_ref().map(|message| Data::Message(message.into())))
            }
            Some(Kind::RoomChanged(changed)) => {
                let data = changed.data.as_ref().map(|change| {
                    Data::RoomChange(RoomChange {
                        user: change.user.as_ref().map(User::from),
                        info: change.info.as_ref().map(Info::from),
                        created_at: change.created_at.as_ref().map(rfc3339),
                    })
                });
                ("room_changed", data)
            }
            None => ("event", None),
        };
        Self { kind, room: &event.room, seq: event.seq, cursor: &event.cursor, data }
    }
}

/// What the server takes at most.
#[derive(Serialize)]
pub(super) struct Limits {
    frame_bytes: u32,
    content_chars: u32,
    rooms: u32,
    page: u32,
}

impl From<&proto::Limits> for Limits {
    fn from(limits: &proto::Limits) -> Self {
        Self {
            frame_bytes: limits.frame_bytes,
            content_chars: limits.content_chars,
            rooms: limits.rooms,
            page: limits.page,
        }
    }
}

/// Heads in the order of their rooms' names.
pub(super) fn sorted(heads: &std::collections::HashMap<String, String>) -> BTreeMap<&str, &str> {
    heads.iter().map(|(room, cursor)| (room.as_str(), cursor.as_str())).collect()
}

/// Each of them in our shape.
pub(super) fn all<'a, T, U: From<&'a T>>(items: &'a [T]) -> Vec<U> {
    items.iter().map(U::from).collect()
}

/// A time as proto3 JSON writes it: RFC 3339 in UTC with 0, 3, 6 or 9 digits of a second.
pub(super) fn rfc3339(time: &prost_types::Timestamp) -> String {
    time.to_string()
}

/// Where such a text has what plain clients show: `HH:MM`.
pub(super) const CLOCK: std::ops::Range<usize> = 11..16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_proto3_json_does() {
        let at = |seconds, nanos| prost_types::Timestamp { seconds, nanos };
        assert_eq!(rfc3339(&at(1_700_000_000, 0)), "2023-11-14T22:13:20Z");
        assert_eq!(rfc3339(&at(1_700_000_000, 120_000_000)), "2023-11-14T22:13:20.120Z");
        assert_eq!(rfc3339(&at(1_700_000_000, 120_001_000)), "2023-11-14T22:13:20.120001Z");
        assert_eq!(rfc3339(&at(1_700_000_000, 1)), "2023-11-14T22:13:20.000000001Z");
        assert_eq!(rfc3339(&at(1_700_000_000, 1))[CLOCK], *"22:13");
    }
}
