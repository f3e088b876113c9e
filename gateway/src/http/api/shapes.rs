//! The shapes of `/api`.
//!
//! Owns which names and types its JSON has, and how the contract becomes them. Promises that they only grow. Never
//! reads JSON.

use parlour_proto::v1;
use prost_types::Timestamp;
use serde::Serialize;

use crate::error::Error;

/// Where `HH:MM` stands in an RFC 3339 time.
const CLOCK: std::ops::Range<usize> = 11..16;

/// A page of rooms.
#[derive(Serialize)]
pub(super) struct Rooms {
    rooms: Vec<Room>,
    next_page_token: String,
}

impl From<v1::ListRoomsResponse> for Rooms {
    fn from(page: v1::ListRoomsResponse) -> Self {
        Self {
            rooms: page.rooms.into_iter().map(Room::from).collect(),
            next_page_token: page.next_page_token,
        }
    }
}

/// A room.
#[derive(Serialize)]
pub(super) struct Room {
    id: String,
    name: String,
    title: String,
    topic: String,
    archived: bool,
    online: u32,
    message_count: u64,
    last_message_at: Option<String>,
    created_at: Option<String>,
}

impl From<v1::Room> for Room {
    fn from(room: v1::Room) -> Self {
        Self {
            id: room.id,
            name: room.name,
            title: room.title,
            topic: room.topic,
            archived: room.archived,
            online: room.online,
            message_count: room.message_count,
            last_message_at: room.last_message_at.as_ref().map(rfc3339),
            created_at: room.created_at.as_ref().map(rfc3339),
        }
    }
}

/// How much happens in a room.
#[derive(Serialize)]
pub(super) struct Stats {
    name: String,
    message_count: u64,
    last_message_at: Option<String>,
    online: u32,
}

impl From<v1::Room> for Stats {
    fn from(room: v1::Room) -> Self {
        Self {
            name: room.name,
            message_count: room.message_count,
            last_message_at: room.last_message_at.as_ref().map(rfc3339),
            online: room.online,
        }
    }
}

/// Who is here.
#[derive(Serialize)]
pub(super) struct Presence {
    users: Vec<User>,
    count: u32,
}

impl From<v1::GetPresenceResponse> for Presence {
    fn from(presence: v1::GetPresenceResponse) -> Self {
        Self { users: presence.users.into_iter().map(User::from).collect(), count: presence.count }
    }
}

/// Someone.
#[derive(Serialize)]
struct User {
    id: String,
    name: String,
    guest: bool,
}

impl From<v1::User> for User {
    fn from(user: v1::User) -> Self {
        Self { id: user.id, name: user.name, guest: user.guest }
    }
}

/// A message: the keys of the smallest client, and beside them those of the full protocol.
#[derive(Serialize)]
pub(super) struct Message {
    id: u64,
    seq: u64,
    username: String,
    user: User,
    content: String,
    /// `HH:MM` in UTC, for display.
    timestamp: String,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_message_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<u64>,
}

impl TryFrom<v1::Message> for Message {
    type Error = Error;

    fn try_from(message: v1::Message) -> Result<Self, Error> {
        let (Some(user), Some(created_at)) = (message.user, message.created_at) else {
            return Err(Error::Internal("a message of the room service lacks its author or time"));
        };
        let created_at = rfc3339(&created_at);
        Ok(Self {
            id: message.id,
            seq: message.id,
            username: user.name.clone(),
            user: user.into(),
            content: message.content,
            timestamp: created_at.get(CLOCK).unwrap_or_default().to_owned(),
            created_at,
            client_message_id: message.client_message_id,
            reply_to: message.reply_to,
        })
    }
}

/// A page of messages.
pub(super) fn messages(page: Vec<v1::Message>) -> Result<Vec<Message>, Error> {
    page.into_iter().map(Message::try_from).collect()
}

/// A time as proto3 JSON has it.
fn rfc3339(time: &Timestamp) -> String {
    time.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_has_the_keys_of_the_smallest_client_and_more() {
        let message = v1::Message {
            id: 7,
            user: Some(v1::User { id: "guest_x".to_owned(), name: "Ada".to_owned(), guest: true }),
            content: "hi".to_owned(),
            client_message_id: None,
            reply_to: Some(3),
            created_at: Some(Timestamp { seconds: 1_700_000_000, nanos: 123_456_000 }),
        };
        assert_eq!(
            serde_json::to_value(Message::try_from(message).unwrap()).unwrap(),
            json!({"id": 7, "seq": 7, "username": "Ada", "user": {"id": "guest_x", "name": "Ada", "guest": true},
                   "content": "hi", "timestamp": "22:13", "created_at": "2023-11-14T22:13:20.123456Z", "reply_to": 3})
        );
        assert!(Message::try_from(v1::Message::default()).is_err());
    }

    #[test]
    fn a_quiet_room_has_no_last_message() {
        let room = v1::Room { name: "tech".to_owned(), ..v1::Room::default() };
        let stats = serde_json::to_value(Stats::from(room)).unwrap();
        assert_eq!(stats, json!({"name": "tech", "message_count": 0, "last_message_at": null, "online": 0}));
    }
}
