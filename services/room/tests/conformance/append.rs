//! Appending.
//!
//! Owns what `append` owes: P2, P5(a), each draft judged alone. Promises the same on every store. Never looks into one.

use std::{collections::HashSet, sync::Arc};

use parlour_room::{
    domain::{
        event::{Body, Draft},
        ids::RoomId,
        message::User,
    },
    store::{Appended, Store},
};
use rand::seq::SliceRandom;
use tokio::task::JoinSet;

use super::{
    place::Place,
    story::{append_one, change, message, new, repeat, room, user, whole},
};

pub(crate) async fn p2_seqs_follow_without_a_gap_whoever_appends_at_once(place: Place) {
    let stores = place.open_two().await;
    let lobby = room(&*stores[0], "lobby").await.id;
    let mut senders = JoinSet::new();
    for sender in 0..64 {
        let (store, lobby) = (Arc::clone(&stores[sender % 2]), lobby.clone());
        senders.spawn(async move {
            let mut seqs = Vec::new();
            for turn in 0..5 {
                let by = format!("sender-{sender}");
                let answer = append_one(&*store, message(&lobby, &by, &format!("k{turn}"), "hello")).await;
                seqs.push(new(&answer).seq);
            }
            assert!(seqs.is_sorted(), "a sender's own order is kept");
            seqs
        });
    }
    let mut seqs: Vec<u64> = senders.join_all().await.concat();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=320).collect::<Vec<_>>());
    assert_eq!(whole(&*stores[0], &lobby).await.len(), 320);
}

pub(crate) async fn p5_a_repeat_in_one_batch_is_answered_with_the_first(place: Place) {
    let store = place.open().await;
    let lobby = room(&*store, "lobby").await.id;
    let batch = [
        message(&lobby, "ada", "k1", "first"),
        message(&lobby, "ada", "k1", "again"),
        message(&lobby, "ada", "k2", "second"),
        message(&lobby, "ada", "k1", "and again"),
    ];
    let answers = store.append(&batch).await.expect("appended");
    assert_eq!(new(&answers[0]).seq, 1);
    assert_eq!(repeat(&answers[1]), new(&answers[0]));
    assert_eq!(new(&answers[2]).seq, 2);
    assert_eq!(repeat(&answers[3]), new(&answers[0]));
    assert_eq!(whole(&*store, &lobby).await.len(), 2);
}

pub(crate) async fn p5_a_repeat_later_is_answered_with_the_first_whatever_its_body(place: Place) {
    let store = place.open().await;
    let lobby = room(&*store, "lobby").await.id;
    let first = append_one(&*store, message(&lobby, "ada", "k1", "first")).await;
    let other = append_one(&*store, message(&lobby, "ada", "k1", "another body")).await;
    assert_eq!(repeat(&other), new(&first));
    let other = append_one(&*store, change(&lobby, "k1", "Another kind", true)).await;
    assert_eq!(repeat(&other), new(&first));
    append_one(&*store, change(&lobby, "archive", "Closed", true)).await;
    let other = append_one(&*store, message(&lobby, "ada", "k1", "in an archived room")).await;
    assert_eq!(repeat(&other), new(&first));
    assert_eq!(
        store.event_by_key(&lobby, &user("ada").id, &new(&first).key).await.expect("read").as_ref(),
        Some(&**new(&first))
    );
    assert_eq!(store.event_by_key(&lobby, &user("bob").id, &new(&first).key).await.expect("read"), None);
}

pub(crate) async fn p5_repeats_that_race_from_two_connections_name_one_event(place: Place) {
    let stores = place.open_two().await;
    let lobby = room(&*stores[0], "lobby").await.id;
    for round in 0..40 {
        let mut racers = JoinSet::new();
        for racer in 0..8 {
            let (store, lobby) = (Arc::clone(&stores[racer % 2]), lobby.clone());
            racers.spawn(async move {
                let mut batch = vec![
                    message(&lobby, "ada", &format!("k{round}"), &format!("racer {racer}")),
                    message(&lobby, &format!("other-{racer}"), &format!("k{round}"), "beside it"),
                ];
                if racer % 3 == 0 {
                    batch.reverse();
                }
                let answers = store.append(&batch).await.expect("appended");
                let raced = batch.iter().position(|draft| draft.actor == user("ada")).expect("in it");
                assert!(matches!(answers[1 - raced], Appended::New { .. }));
                match &answers[raced] {
                    Appended::New { event, .. } => (true, Arc::clone(event)),
                    Appended::Repeat(event) => (false, Arc::clone(event)),
                    other => panic!("{other:?}"),
                }
            });
        }
        let answers = racers.join_all().await;
        assert_eq!(answers.iter().filter(|(is_new, _)| *is_new).count(), 1, "one of them was the first");
        assert!(answers.iter().all(|(_, event)| *event == answers[0].1), "all are told the same event");
    }
    assert_eq!(whole(&*stores[0], &lobby).await.len(), 40 * 9);
}

pub(crate) async fn p5_the_same_key_of_another_user_or_room_is_another_event(place: Place) {
    let store = place.open().await;
    let (lobby, attic) = (room(&*store, "lobby").await.id, room(&*store, "attic").await.id);
    let batch = [
        message(&lobby, "ada", "k1", "a"),
        message(&lobby, "bob", "k1", "b"),
        message(&attic, "ada", "k1", "c"),
    ];
    let answers = store.append(&batch).await.expect("appended");
    assert_eq!(answers.iter().map(|answer| new(answer).seq).collect::<Vec<_>>(), [1, 2, 1]);
}

pub(crate) async fn a_draft_that_cannot_be_appended_leaves_the_rest_of_its_batch_alone(place: Place) {
    let store = place.open().await;
    let (lobby, attic) = (room(&*store, "lobby").await.id, room(&*store, "attic").await.id);
    let batch = [
        message(&lobby, "ada", "k1", "first"),
        message(&lobby, "ada", "k2", "a \0 no store keeps"),
        message(&lobby, "ada", "", "a key that is none"),
        message(&attic, "ada", "k1", "elsewhere"),
        message(&lobby, "ada", "k1", "first, again"),
        message(&lobby, "ada", "k3", "second"),
    ];
    let answers = store.append(&batch).await.expect("appended");
    assert_eq!(new(&answers[0]).seq, 1);
    assert_eq!([&answers[1], &answers[2]], [&Appended::Refused, &Appended::Refused]);
    assert_eq!(new(&answers[3]).seq, 1);
    assert_eq!(repeat(&answers[4]), new(&answers[0]));
    assert_eq!(new(&answers[5]).seq, 2);
    assert_eq!(whole(&*store, &lobby).await.len(), 2);
    assert_eq!(whole(&*store, &attic).await.len(), 1);
}

pub(crate) async fn a_draft_without_a_room_or_in_an_archived_one_is_told_so(place: Place) {
    let store = place.open().await;
    let (lobby, attic) = (room(&*store, "lobby").await.id, room(&*store, "attic").await.id);
    append_one(&*store, change(&attic, "archive", "Closed", true)).await;
    let batch = [
        message(&RoomId::generate(), "ada", "k1", "nowhere"),
        message(&attic, "ada", "k1", "too late"),
        message(&lobby, "ada", "k1", "here"),
        change(&attic, "reopen", "Open again", false),
    ];
    let answers = store.append(&batch).await.expect("appended");
    assert_eq!(answers[0], Appended::Missing);
    assert_eq!(answers[1], Appended::Archived);
    assert_eq!(new(&answers[2]).seq, 1);
    assert_eq!(answers[3], Appended::Archived);
    assert_eq!(whole(&*store, &attic).await.len(), 1);
}

pub(crate) async fn what_follows_an_archiving_draft_in_its_batch_is_archived(place: Place) {
    let store = place.open().await;
    let (lobby, attic) = (room(&*store, "lobby").await.id, room(&*store, "attic").await.id);
    let batch = [
        message(&lobby, "ada", "k1", "in time"),
        change(&lobby, "k2", "Renamed", false),
        message(&lobby, "ada", "k3", "in time"),
        change(&lobby, "k4", "Closed", true),
        message(&lobby, "ada", "k5", "too late"),
        message(&attic, "ada", "k5", "elsewhere"),
        message(&lobby, "ada", "k1", "a repeat"),
    ];
    let answers = store.append(&batch).await.expect("appended");
    let seqs: Vec<u64> = answers[..4].iter().map(|answer| new(answer).seq).collect();
    assert_eq!(seqs, [1, 2, 3, 4]);
    assert_eq!(answers[4], Appended::Archived);
    assert_eq!(new(&answers[5]).seq, 1);
    assert_eq!(repeat(&answers[6]), new(&answers[0]));
    let room = store.room_by_id(&lobby).await.expect("read").expect("there");
    assert_eq!((room.title.as_str(), room.archived), ("Closed", true));
    whole(&*store, &lobby).await;
}

pub(crate) async fn shuffled_batches_over_many_rooms_from_four_writers_do_not_deadlock(place: Place) {
    const ROOMS: usize = 24;
    const BATCHES: usize = 20;
    let stores = place.open_two().await;
    let mut rooms = Vec::new();
    for number in 0..ROOMS {
        rooms.push(room(&*stores[0], &format!("room-{number}")).await.id);
    }
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let (store, rooms) = (Arc::clone(&stores[writer % 2]), rooms.clone());
        writers.spawn(async move {
            for number in 0..BATCHES {
                let with_key = format!("k{number}");
                let mut batch: Vec<Draft> =
                    rooms.iter().map(|id| message(id, &format!("w{writer}"), &with_key, "x")).collect();
                batch.shuffle(&mut rand::rng());
                let answers = store.append(&batch).await.expect("appended");
                assert!(answers.iter().all(|answer| matches!(answer, Appended::New { .. })), "{answers:?}");
            }
        });
    }
    writers.join_all().await;
    for id in &rooms {
        assert_eq!(whole(&*stores[0], id).await.len(), 4 * BATCHES);
    }
}

pub(crate) async fn p2_an_append_that_nobody_waits_for_leaves_no_gap(place: Place) {
    let store = place.open().await;
    let lobby = room(&*store, "lobby").await.id;
    for round in 0..30_u64 {
        let batch: Vec<Draft> =
            (0..20).map(|n| message(&lobby, "ada", &format!("k{round}-{n}"), "hello")).collect();
        let append = store.append(&batch);
        // Polled once or a few times, then dropped: begun, and abandoned wherever it stood.
        let mut append = Box::pin(append);
        for _ in 0..=round % 4 {
            if futures_util::poll!(append.as_mut()).is_ready() {
                break; // the store was quicker than whoever abandons it
            }
            tokio::task::yield_now().await;
        }
        drop(append);
        append_one(&*store, message(&lobby, "bob", &format!("after-{round}"), "still here")).await;
    }
    let log = whole(&*store, &lobby).await;
    assert_eq!(log.iter().filter(|event| event.actor == user("bob")).count(), 30);
    let abandoned = log.len() - 30;
    assert_eq!(abandoned % 20, 0, "a batch is there whole or not at all");
}

pub(crate) async fn times_rise_with_every_event_and_the_room_keeps_its_head(place: Place) {
    let store = place.open().await;
    let lobby = room(&*store, "lobby").await;
    assert_eq!((lobby.head, lobby.head_at), (0, lobby.created_at));
    // A clock that went back by years: as if the newest event were of the year 2100.
    place.meddle(&format!("update room set last_at = 4102444800000000 where id = '{}'", lobby.id)).await;
    let batch: Vec<Draft> = (0..3).map(|n| message(&lobby.id, "ada", &format!("k{n}"), "x")).collect();
    let answers = store.append(&batch).await.expect("appended");
    let times: Vec<i64> = answers.iter().map(|answer| new(answer).created_at).collect();
    assert_eq!(times, [4_102_444_800_000_001, 4_102_444_800_000_002, 4_102_444_800_000_003]);
    for pair in answers.windows(2) {
        let Appended::New { prev, .. } = &pair[1] else { panic!("new") };
        assert_eq!(*prev, new(&pair[0]).cursor(&lobby.id), "prev is the event before it");
    }
    let room = store.room_by_id(&lobby.id).await.expect("read").expect("there");
    assert_eq!((room.head, room.head_at, room.message_count), (3, times[2], 3));
    assert_eq!(room.last_message_at, Some(times[2]));
}

pub(crate) async fn a_changed_room_is_as_the_event_says(place: Place) {
    let store = place.open().await;
    let lobby = room(&*store, "lobby").await;
    let answer = append_one(&*store, message(&lobby.id, "ada", "k1", "hello")).await;
    let posted_at = new(&answer).created_at;
    let Appended::New { prev, .. } = answer else { panic!("new") };
    assert_eq!(prev, lobby.cursor(), "before the first event is the room");
    let answer = append_one(&*store, change(&lobby.id, "k2", "Renamed", false)).await;
    let room = store.room_by_id(&lobby.id).await.expect("read").expect("there");
    assert_eq!((room.title.as_str(), room.topic.as_str(), room.archived), ("Renamed", "of late", false));
    assert_eq!((room.message_count, room.last_message_at), (1, Some(posted_at)), "a change is no message");
    assert_eq!(room.cursor(), new(&answer).cursor(&lobby.id));
    append_one(&*store, change(&lobby.id, "k2", "A repeat changes nothing", true)).await;
    assert_eq!(store.room_by_id(&lobby.id).await.expect("read"), Some(room));
}

pub(crate) async fn a_body_comes_back_as_it_was(place: Place) {
    let store = place.open().await;
    let lobby = room(&*store, "lobby").await.id;
    let strange = "'; drop table event; -- \u{1F600} \u{202e}\r\n\t\\ {\"a\":[1]} %s $1 ?1";
    let mut draft = message(&lobby, "ada", "~ !'\"\\{}", strange);
    draft.body = Body::Message { content: strange.into(), reply_to: Some(u64::from(u32::MAX)) };
    draft.actor = User { guest: true, ..user("Zoë ✨") };
    draft.key_is_clients = false;
    let answer = append_one(&*store, draft.clone()).await;
    let event = store.event(&lobby, 1).await.expect("read").expect("there");
    assert_eq!(event, **new(&answer));
    assert_eq!((&event.body, &event.actor, &event.key), (&draft.body, &draft.actor, &draft.key));
    assert!(!event.key_is_clients);
    assert_eq!(store.event(&lobby, 2).await.expect("read"), None);
    assert_eq!(store.event(&lobby, u64::MAX).await.expect("read"), None);
    assert_eq!(store.event(&RoomId::generate(), 1).await.expect("read"), None);
}

pub(crate) async fn an_empty_batch_is_answered_with_nothing(place: Place) {
    let store = place.open().await;
    assert_eq!(store.append(&[]).await.expect("appended"), []);
    let lobby = room(&*store, "lobby").await.id;
    let many: Vec<Draft> = (0..256).map(|n| message(&lobby, "ada", &format!("k{n}"), "x")).collect();
    let seqs: HashSet<u64> =
        store.append(&many).await.expect("appended").iter().map(|answer| new(answer).seq).collect();
    assert_eq!(seqs.len(), 256, "and a full one with as many");
}
