//! Long logs, made at once.
//!
//! Owns the filling of a house's store behind its back, and the cursors of what is there. Promises whole logs. Never
//! appends while a room service has the store.

use std::sync::Arc;

use parlour_feed::cursor::{Check, Cursor};
use parlour_room::{
    domain::{
        event::{Body, Draft, Event},
        ids::{RoomId, UserId},
        message::{DisplayName, RequestKey, User},
        room::{NewRoom, RoomName, Visibility},
    },
    store::{AnyStore, Appended, Options, Store},
};
use serde_json::Value;

use super::house::House;

/// Drafts of one batch.
const BATCH: usize = 256;

/// The logs of some rooms.
pub(crate) struct Log {
    rooms: Vec<(RoomId, i64, Vec<Arc<Event>>)>,
}

impl Log {
    /// Makes rooms with so many messages each, while the room service is away.
    pub(crate) async fn fill(house: &mut House, names: &[&str], messages: u64) -> Self {
        house.stop_room().await;
        let store = AnyStore::open(&house.store(), Options::default()).await.expect("the store opens");
        let mut rooms = Vec::new();
        for name in names {
            rooms.push(fill_room(&store, name, messages).await);
        }
        store.close().await;
        house.start_room().await;
        Self { rooms }
    }

    /// The cursor of that room's event.
    pub(crate) fn cursor(&self, room: usize, seq: u64) -> String {
        let (id, made, events) = &self.rooms[room];
        let cursor = match seq.checked_sub(1) {
            None => Cursor { check: Check::of(id.as_str(), *made), seq: 0 },
            Some(nth) => events[usize::try_from(nth).expect("a short log")].cursor(id),
        };
        cursor.to_string()
    }
}

async fn fill_room(store: &AnyStore, name: &str, messages: u64) -> (RoomId, i64, Vec<Arc<Event>>) {
    let new = NewRoom {
        name: RoomName::parse(name).expect("a slug"),
        title: name.to_owned(),
        topic: String::new(),
        visibility: Visibility::Public,
        created_by: UserId::new("filler"),
        request_key: String::new(),
    };
    let (room, _) = store.create_room(&new).await.expect("made");
    let draft = |n: u64| Draft {
        room: room.id.clone(),
        actor: User { id: UserId::new("filler"), name: DisplayName::guest(), guest: true },
        key: RequestKey::stored(&format!("fill-{n}")),
        key_is_clients: true,
        body: Body::Message { content: format!("message {n} of {name}"), reply_to: None },
    };
    let drafts: Vec<_> = (1..=messages).map(draft).collect();
    let mut events = Vec::new();
    for batch in drafts.chunks(BATCH) {
        for answer in store.append(batch).await.expect("appended") {
            match answer {
                Appended::New { event, .. } => events.push(event),
                other => panic!("not new: {other:?}"),
            }
        }
    }
    (room.id, room.created_at, events)
}

/// The seq of a cursor.
pub(crate) fn seq_of(cursor: &Value) -> u64 {
    let cursor: Cursor = cursor.as_str().and_then(|cursor| cursor.parse().ok()).expect("a cursor");
    cursor.seq
}

/// What this process has in memory.
pub(crate) fn resident_bytes() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number") * 4_096
}
