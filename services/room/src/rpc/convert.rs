//! Domain to contract.
//!
//! Owns how nouns of the domain look on the wire. Promises that nothing is lost on the way. Never reads the wire: each
//! request is read where it is served.

use parlour_proto::v1;
use prost_types::Timestamp;

use crate::domain::{
    event::{Body, Event},
    ids::RoomId,
    message::{Message, User},
    room::{Room, RoomName, Visibility},
};

/// A time in microseconds since 1970.
pub fn timestamp(time_us: i64) -> Timestamp {
    let nanos = i32::try_from(time_us.rem_euclid(1_000_000) * 1_000).expect("less than a second");
    Timestamp { seconds: time_us.div_euclid(1_000_000), nanos }
}

/// A user.
pub fn user(user: &User) -> v1::User {
    v1::User { id: user.id.as_str().to_owned(), name: user.name.as_str().to_owned(), guest: user.guest }
}

/// A message.
pub fn message(message: Message) -> v1::Message {
    v1::Message {
        id: message.id,
        user: Some(user(&message.user)),
        content: message.content,
        client_message_id: message.client_message_id.as_ref().map(|key| key.as_str().to_owned()),
        reply_to: message.reply_to,
        created_at: Some(timestamp(message.created_at)),
    }
}

/// An event of the room of that id and name.
pub fn event(id: &RoomId, name: &RoomName, event: &Event) -> v1::Event {
    v1::Event {
        room: name.as_str().to_owned(),
        seq: event.seq,
        cursor: event.cursor(id).to_string(),
        kind: Some(kind(id, event)),
    }
}

fn kind(id: &RoomId, event: &Event) -> v1::event::Kind {
    match &event.body {
        Body::Message { .. } => {
            v1::event::Kind::Message(v1::MessagePosted { data: event.message().map(message) })
        }
        Body::RoomChanged { title, topic, archived } => v1::event::Kind::RoomChanged(v1::RoomChanged {
            data: Some(v1::RoomChange {
                user: Some(user(&event.actor)),
                info: Some(v1::RoomInfo {
                    id: id.as_str().to_owned(),
                    title: title.clone(),
                    topic: topic.clone(),
                    visibility: visibility(Visibility::Public).into(), // every room is, so far
                    archived: *archived,
                }),
                created_at: Some(timestamp(event.created_at)),
            }),
        }),
    }
}

/// What a session in a room is shown of it.
pub fn room_info(room: &Room) -> v1::RoomInfo {
    v1::RoomInfo {
        id: room.id.as_str().to_owned(),
        title: room.title.clone(),
        topic: room.topic.clone(),
        visibility: visibility(room.visibility).into(),
        archived: room.archived,
    }
}

/// A room with how many people are present in it.
pub fn room(room: &Room, online: usize) -> v1::Room {
    v1::Room {
        id: room.id.as_str().to_owned(),
        name: room.name.as_str().to_owned(),
        title: room.title.clone(),
        topic: room.topic.clone(),
        visibility: visibility(room.visibility).into(),
        archived: room.archived,
        head: room.head,
        cursor: room.cursor().to_string(),
        message_count: room.message_count,
        last_message_at: room.last_message_at.map(timestamp),
        online: u32::try_from(online).unwrap_or(u32::MAX),
        created_at: Some(timestamp(room.created_at)),
    }
}

/// A visibility.
pub fn visibility(visibility: Visibility) -> v1::Visibility {
    match visibility {
        Visibility::Public => v1::Visibility::Public,
    }
}
