//! Pages.
//!
//! Owns what `events`, `messages` and their limits owe. Promises the same on every store, at every edge. Never looks into
//! one.

use parlour_feed::cursor::{Check, Cursor};
use parlour_room::{
    domain::{event::Draft, event::Event, ids::RoomId},
    store::{PAGE_BYTES, Span, Store},
};

use super::{
    place::Place,
    story::{append_one, change, message, new, room, whole},
};

async fn room_of<S: Store>(store: &S, name: &str, messages: usize) -> RoomId {
    let id = room(store, name).await.id;
    let batch: Vec<Draft> =
        (1..=messages).map(|n| message(&id, "ada", &format!("k{n}"), &format!("number {n}"))).collect();
    store.append(&batch).await.expect("appended");
    id
}

fn seqs(events: &[Event]) -> Vec<u64> {
    events.iter().map(|event| event.seq).collect()
}

pub(crate) async fn events_page_by_seq_with_the_cursors_of_base_and_head(place: Place) {
    let store = place.open().await;
    let lobby = room_of(&*store, "lobby", 10).await;
    room_of(&*store, "attic", 3).await;
    let log = whole(&*store, &lobby).await;
    let head = log[9].cursor(&lobby);
    let page = store.events(&lobby, 4, 3).await.expect("read").expect("a room");
    assert_eq!((page.base, page.head), (Some(log[3].cursor(&lobby)), head));
    assert_eq!(page.events, log[4..7]);
    let page = store.events(&lobby, 8, 200).await.expect("read").expect("a room");
    assert_eq!((page.base, page.head), (Some(log[7].cursor(&lobby)), head));
    assert_eq!(page.events, log[8..]);
    let page = store.events(&lobby, 0, 200).await.expect("read").expect("a room");
    let made = store.room_by_id(&lobby).await.expect("read").expect("a room").created_at;
    assert_eq!(page.base, Some(Cursor { check: Check::of(lobby.as_str(), made), seq: 0 }));
    assert_eq!(page.events, log);
}

pub(crate) async fn events_at_the_edges_are_empty_and_never_an_error(place: Place) {
    let store = place.open().await;
    let lobby = room_of(&*store, "lobby", 2).await;
    let empty = room(&*store, "empty").await;
    let head = whole(&*store, &lobby).await[1].cursor(&lobby);
    for beyond in [3, 1 << 40, i64::MAX as u64 - 1, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX] {
        let page = store.events(&lobby, beyond, 10).await.expect("read").expect("a room");
        assert_eq!((page.base, page.events, page.head), (None, vec![], head), "after {beyond}");
    }
    let page = store.events(&lobby, 2, 10).await.expect("read").expect("a room");
    assert_eq!((page.base, page.events, page.head), (Some(head), vec![], head));
    let page = store.events(&lobby, 0, 0).await.expect("read").expect("a room");
    assert!(page.events.is_empty() && page.base.is_some() && page.head == head, "no events were asked for");
    let page = store.events(&lobby, 0, usize::MAX).await.expect("read").expect("a room");
    assert_eq!(page.events.len(), 2);
    let page = store.events(&empty.id, 0, 10).await.expect("read").expect("a room");
    assert_eq!((page.base, page.events, page.head), (Some(empty.cursor()), vec![], empty.cursor()));
    assert_eq!(store.events(&RoomId::generate(), 0, 10).await.expect("read"), None);
}

pub(crate) async fn p3_heads_are_those_of_the_rooms_there_are(place: Place) {
    let store = place.open().await;
    let lobby = room_of(&*store, "lobby", 3).await;
    let attic = room_of(&*store, "attic", 1).await;
    let empty = room(&*store, "empty").await;
    let archived = append_one(&*store, change(&attic, "c1", "Title", true)).await;
    let asked = [RoomId::generate(), lobby.clone(), empty.id.clone(), attic.clone()];
    let mut heads = store.heads(&asked).await.expect("read");
    heads.sort_by_key(|(_, head)| head.seq);
    let lobbys = whole(&*store, &lobby).await[2].cursor(&lobby);
    let attics = new(&archived).cursor(&attic);
    assert_eq!(heads, [(empty.id.clone(), empty.cursor()), (attic, attics), (lobby, lobbys)]);
    assert_eq!(store.heads(&[]).await.expect("read"), []);
}

pub(crate) async fn messages_page_both_ways_and_say_whether_there_are_more(place: Place) {
    let store = place.open().await;
    let lobby = room_of(&*store, "lobby", 10).await;
    room_of(&*store, "attic", 3).await;
    let empty = room(&*store, "empty").await.id;
    for (span, limit, expected, more) in [
        (Span::Before(u64::MAX), 3, vec![8, 9, 10], true),
        (Span::Before(u64::MAX), 10, (1..=10).collect(), false),
        (Span::Before(u64::MAX), usize::MAX, (1..=10).collect(), false),
        (Span::Before(11), 3, vec![8, 9, 10], true),
        (Span::Before(10), 3, vec![7, 8, 9], true),
        (Span::Before(4), 3, vec![1, 2, 3], false),
        (Span::Before(3), 3, vec![1, 2], false),
        (Span::Before(1), 3, vec![], false),
        (Span::Before(0), 3, vec![], false),
        (Span::Before(4), 0, vec![], true),
        (Span::After(0), 3, vec![1, 2, 3], true),
        (Span::After(7), 3, vec![8, 9, 10], false),
        (Span::After(6), 3, vec![7, 8, 9], true),
        (Span::After(10), 3, vec![], false),
        (Span::After(i64::MAX as u64), 3, vec![], false),
        (Span::After(u64::MAX), 3, vec![], false),
        (Span::After(9), 0, vec![], true),
    ] {
        let (events, has_more) = store.messages(&lobby, span, limit).await.expect("read");
        assert_eq!((seqs(&events), has_more), (expected, more), "{span:?}, at most {limit}");
    }
    for unknown in [empty, RoomId::generate()] {
        assert_eq!(store.messages(&unknown, Span::Before(u64::MAX), 3).await.expect("read"), (vec![], false));
        assert_eq!(store.messages(&unknown, Span::After(0), 3).await.expect("read"), (vec![], false));
    }
}

pub(crate) async fn messages_pass_over_other_kinds(place: Place) {
    let store = place.open().await;
    let lobby = room(&*store, "lobby").await.id;
    for turn in 0..4 {
        append_one(&*store, message(&lobby, "ada", &format!("m{turn}"), "hello")).await;
        let changed = append_one(&*store, change(&lobby, &format!("c{turn}"), "Title", false)).await;
        assert_eq!(new(&changed).seq, 2 * turn + 2);
    }
    let (events, more) = store.messages(&lobby, Span::Before(8), 3).await.expect("read");
    assert_eq!((seqs(&events), more), (vec![3, 5, 7], true));
    let (events, more) = store.messages(&lobby, Span::After(1), 3).await.expect("read");
    assert_eq!((seqs(&events), more), (vec![3, 5, 7], false));
}

pub(crate) async fn a_page_ends_at_its_bytes(place: Place) {
    let store = place.open().await;
    let lobby = room(&*store, "lobby").await.id;
    let text = "😀".repeat(4_000); // as long as a message may be, 16,000 bytes
    let batch: Vec<Draft> = (0..100).map(|n| message(&lobby, "ada", &format!("k{n}"), &text)).collect();
    store.append(&batch).await.expect("appended");
    let fitting = PAGE_BYTES / store.event(&lobby, 1).await.expect("read").expect("there").weight();
    assert!((25..=32).contains(&fitting));
    let page = store.events(&lobby, 10, 200).await.expect("read").expect("a room");
    assert_eq!(seqs(&page.events), (11..=10 + fitting as u64).collect::<Vec<_>>());
    let (events, more) = store.messages(&lobby, Span::Before(u64::MAX), 200).await.expect("read");
    assert_eq!((seqs(&events), more), ((101 - fitting as u64..=100).collect(), true), "the newest that fit");
    let (events, more) = store.messages(&lobby, Span::After(0), 200).await.expect("read");
    assert_eq!((seqs(&events), more), ((1..=fitting as u64).collect(), true), "the oldest that fit");
    let (events, more) = store.messages(&lobby, Span::After(100 - fitting as u64), 200).await.expect("read");
    assert_eq!((events.len(), more), (fitting, false), "just as many as fit are all");
    assert_eq!(whole(&*store, &lobby).await.len(), 100);
}
