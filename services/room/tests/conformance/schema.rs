//! Opening.
//!
//! Owns what opening a store owes: what was kept is there, and what cannot be used is refused with a sentence. Never
//! appends more than it must.

use parlour_room::store::{Store, StoreError};

use super::{
    place::Place,
    story::{append_one, change, message, new, repeat, room, whole},
};

pub(crate) async fn a_store_that_is_opened_again_has_everything(place: Place) {
    let store = place.open().await;
    let lobby = room(&*store, "lobby").await.id;
    let first = append_one(&*store, message(&lobby, "ada", "k1", "hello")).await;
    let log = whole(&*store, &lobby).await;
    store.close().await;
    assert!(matches!(store.prove(0).await, Err(StoreError::Unavailable(_))), "a closed store says so");
    assert!(matches!(
        store.append(&[message(&lobby, "ada", "k2", "too late")]).await,
        Err(StoreError::Unavailable(_))
    ));
    let store = place.open().await;
    assert_eq!(whole(&*store, &lobby).await, log);
    let again = append_one(&*store, message(&lobby, "ada", "k1", "hello")).await;
    assert_eq!(repeat(&again), new(&first));
    let next = append_one(&*store, message(&lobby, "ada", "k2", "and on")).await;
    assert_eq!(new(&next).seq, 2);
}

pub(crate) async fn two_programs_that_open_a_new_store_at_once_agree(place: Place) {
    if place.is_sqlite() {
        let (one, other) = tokio::join!(place.try_open(), place.try_open());
        let refusal = match (one, other) {
            (Ok(_), Err(refusal)) | (Err(refusal), Ok(_)) => refusal,
            (one, other) => panic!("one has the file, the other is refused: {one:?}, {other:?}"),
        };
        assert!(matches!(refusal, StoreError::Unusable(_)));
        assert!(refusal.to_string().contains("another process has"), "{refusal}");
        return;
    }
    let (one, two, three, four) =
        tokio::join!(place.try_open(), place.try_open(), place.try_open(), place.try_open());
    let lobby = room(&*one.expect("opens"), "lobby").await;
    for store in [two, three, four] {
        let store = store.expect("opens");
        assert_eq!(store.room_by_id(&lobby.id).await.expect("read"), Some(lobby.clone()));
    }
}

/// Step 4 makes the events anew, or their index: whatever order they had.
pub(crate) async fn p6_a_log_is_kept_whole_while_its_keys_are_put_in_another_order(place: Place) {
    let store = place.open().await;
    let lobby = room(&*store, "lobby").await.id;
    let mut said = Vec::new();
    for n in 0..50 {
        let draft = message(&lobby, &format!("user-{}", n % 7), &format!("k{n}"), "hello");
        said.push((draft.clone(), append_one(&*store, draft).await));
    }
    append_one(&*store, change(&lobby, "c1", "The lobby", true)).await;
    let log = whole(&*store, &lobby).await;
    store.close().await;
    place.meddle("delete from migration where version = 4").await;
    let store = place.open().await;
    assert_eq!(whole(&*store, &lobby).await, log);
    for (draft, first) in said {
        assert_eq!(repeat(&append_one(&*store, draft).await), new(&first));
    }
}

pub(crate) async fn a_newer_schema_is_refused_with_a_sentence(place: Place) {
    place.open().await.close().await;
    place
        .meddle("insert into migration (version, name, checksum, applied_at) values (7001, 'of-tomorrow', 'x', 1)")
        .await;
    let refusal = place.try_open().await.expect_err("refused");
    assert!(matches!(refusal, StoreError::Unusable(_)), "{refusal:?}");
    let sentence = refusal.to_string();
    assert!(sentence.contains("version 7001") && sentence.contains("at least as new"), "{sentence}");
}

pub(crate) async fn a_schema_that_was_changed_is_refused_with_a_sentence(place: Place) {
    place.open().await.close().await;
    place.meddle("update migration set checksum = 'another' where version = 1").await;
    let refusal = place.try_open().await.expect_err("refused");
    assert!(matches!(refusal, StoreError::Unusable(_)), "{refusal:?}");
    assert!(refusal.to_string().contains("another build"), "{refusal}");
}
