//! Words for the tests' stories.
//!
//! Owns how a test says who sends what, and what a whole log is. Promises that a failure names what was expected. Never
//! asserts on its own but in `whole`.

use std::sync::Arc;

use parlour_feed::cursor::{Check, Cursor};
use parlour_room::{
    domain::{
        event::{Body, Draft, Event},
        ids::{RoomId, UserId},
        message::{DisplayName, RequestKey, User},
        room::{NewRoom, Room, RoomName, Visibility},
    },
    store::{Appended, Store},
};

pub(crate) fn user(id: &str) -> User {
    User { id: UserId::new(id), name: DisplayName::parse(id).expect("a name"), guest: false }
}

pub(crate) fn key(text: &str) -> RequestKey {
    RequestKey::stored(text)
}

pub(crate) fn message(room: &RoomId, by: &str, with_key: &str, content: &str) -> Draft {
    Draft {
        room: room.clone(),
        actor: user(by),
        key: key(with_key),
        key_is_clients: true,
        body: Body::Message { content: content.into(), reply_to: None },
    }
}

pub(crate) fn change(room: &RoomId, with_key: &str, title: &str, archived: bool) -> Draft {
    let body = Body::RoomChanged { title: title.into(), topic: "of late".into(), archived };
    Draft { room: room.clone(), actor: user("ada"), key: key(with_key), key_is_clients: false, body }
}

pub(crate) fn new_room(name: &str) -> NewRoom {
    NewRoom {
        name: RoomName::parse(name).expect("a name"),
        title: format!("The {name}"),
        topic: String::new(),
        visibility: Visibility::Public,
        created_by: UserId::new("ada"),
        request_key: "made-1".into(),
    }
}

pub(crate) async fn room<S: Store>(store: &S, name: &str) -> Room {
    let (room, made) = store.create_room(&new_room(name)).await.expect("made");
    assert!(made, "{name} is new");
    room
}

pub(crate) async fn append_one<S: Store>(store: &S, draft: Draft) -> Appended {
    let mut answers = store.append(&[draft]).await.expect("appended");
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

pub(crate) fn new(appended: &Appended) -> &Arc<Event> {
    match appended {
        Appended::New { event, .. } => event,
        other => panic!("not new: {other:?}"),
    }
}

pub(crate) fn repeat(appended: &Appended) -> &Arc<Event> {
    match appended {
        Appended::Repeat(event) => event,
        other => panic!("not a repeat: {other:?}"),
    }
}

/// Reads a room's log from its beginning, and proves it whole: 1, 2, 3 …, times rising, head and base right.
pub(crate) async fn whole<S: Store>(store: &S, id: &RoomId) -> Vec<Event> {
    let room = store.room_by_id(id).await.expect("read").expect("a room");
    let mut position = Cursor { check: Check::of(id.as_str(), room.created_at), seq: 0 };
    let mut time = room.created_at;
    let mut log = Vec::new();
    loop {
        let page = store.events(id, position.seq, 200).await.expect("read").expect("a room");
        assert_eq!(page.base, Some(position), "the page begins where the last one ended");
        for event in page.events {
            assert_eq!(event.seq, position.seq + 1, "no gap in {id}");
            assert!(event.created_at > time, "times rise");
            time = event.created_at;
            position = event.cursor(id);
            log.push(event);
        }
        if position == page.head {
            let room = store.room_by_id(id).await.expect("read").expect("a room");
            assert_eq!(room.cursor(), position, "the room knows its head");
            let mut messages = log.iter().filter(|event| event.message().is_some());
            assert_eq!(room.message_count, messages.clone().count() as u64);
            assert_eq!(room.last_message_at, messages.next_back().map(|event| event.created_at));
            return log;
        }
    }
}
