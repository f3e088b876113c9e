//! Rooms and keys.
//!
//! Owns what making, finding and listing rooms owe, and the keys of guest tokens. Promises the same on every store. Never
//! appends but to archive.

use std::sync::Arc;

use parlour_room::{
    domain::{
        ids::{RoomId, UserId},
        room::{NewRoom, RoomName},
    },
    store::Store,
};
use tokio::task::JoinSet;

use super::{
    place::Place,
    story::{append_one, change, new_room, room},
};

fn name(text: &str) -> RoomName {
    RoomName::parse(text).expect("a name")
}

pub(crate) async fn a_room_is_made_once_and_found_by_name_and_id(place: Place) {
    let store = place.open().await;
    let lobby = room(&*store, "lobby").await;
    assert_eq!((lobby.head, lobby.message_count, lobby.last_message_at), (0, 0, None));
    assert_eq!((lobby.created_by.as_str(), lobby.request_key.as_str()), ("ada", "made-1"));
    let other = NewRoom {
        title: "Another".into(),
        created_by: UserId::new("bob"),
        request_key: String::new(),
        ..new_room("lobby")
    };
    assert_eq!(
        store.create_room(&other).await.expect("answered"),
        (lobby.clone(), false),
        "the first stands"
    );
    assert_eq!(store.create_room(&new_room("lobby")).await.expect("answered"), (lobby.clone(), false));
    assert_eq!(store.room_by_name(&name("lobby")).await.expect("read"), Some(lobby.clone()));
    assert_eq!(store.room_by_id(&lobby.id).await.expect("read"), Some(lobby));
    assert_eq!(store.room_by_name(&name("attic")).await.expect("read"), None);
    assert_eq!(store.room_by_id(&RoomId::generate()).await.expect("read"), None);
}

pub(crate) async fn a_name_that_is_raced_for_is_one_room(place: Place) {
    let stores = place.open_two().await;
    for round in 0..10 {
        let mut racers = JoinSet::new();
        for racer in 0..8 {
            let store = Arc::clone(&stores[racer % 2]);
            let new = new_room(&format!("room-{round}"));
            racers.spawn(async move { store.create_room(&new).await.expect("answered") });
        }
        let answers = racers.join_all().await;
        assert_eq!(answers.iter().filter(|(_, made)| *made).count(), 1, "one made it");
        assert!(answers.iter().all(|(room, _)| *room == answers[0].0), "all were given the same");
    }
}

pub(crate) async fn rooms_list_by_name_without_the_archived(place: Place) {
    let store = place.open().await;
    assert_eq!(store.rooms(None, 10).await.expect("read"), []);
    for text in ["b", "a-1", "a_1", "a", "9", "z", "closed"] {
        room(&*store, text).await;
    }
    let closed = store.room_by_name(&name("closed")).await.expect("read").expect("there");
    append_one(&*store, change(&closed.id, "k", "Closed", true)).await;
    let list = async |after: Option<&str>, limit: usize| {
        let rooms = store.rooms(after.map(name).as_ref(), limit).await.expect("read");
        rooms.iter().map(|room| room.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(list(None, 200).await, ["9", "a", "a-1", "a_1", "b", "z"], "by bytes, on every store");
    assert_eq!(list(None, 2).await, ["9", "a"]);
    assert_eq!(list(Some("a"), 3).await, ["a-1", "a_1", "b"]);
    assert_eq!(list(Some("az"), 1).await, ["b"], "after a name that is none");
    assert_eq!(list(Some("z"), 10).await, Vec::<String>::new());
    assert_eq!(list(None, 0).await, Vec::<String>::new());
}

pub(crate) async fn guest_keys_are_made_once_and_kept(place: Place) {
    let stores = place.open_two().await;
    let (one, other) = tokio::join!(stores[0].guest_keys(), stores[1].guest_keys());
    let keys = one.expect("read");
    assert_eq!(keys.len(), 1);
    assert!(keys[0].secret != [0; 32]);
    assert!(other.expect("read") == keys, "two that start at once have the same");
    for store in &stores {
        store.close().await;
    }
    drop(stores);
    assert!(place.open().await.guest_keys().await.expect("read") == keys, "and so has the next");
}
