//! The writer in front of a store.
//!
//! Owns what group commit owes: P1, P2 and P5 towards whoever listens. Promises the same on every store. Never looks into
//! one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use parlour_chassis::tasks::Tasks;
use parlour_feed::cursor::Cursor;
use parlour_room::{
    domain::{event::Event, ids::RoomId},
    store::{
        AnyStore, Appended, Store, StoreError,
        writer::{Published, Writer},
    },
};
use tokio::task::JoinSet;

use super::{
    place::Place,
    story::{message, new, repeat, room, whole},
};

/// The events of a room, each with the cursor of the one before it.
type Feed = Vec<(Cursor, Arc<Event>)>;

/// What a listener heard, and what the log said at that moment.
#[derive(Default)]
struct Heard {
    events: Mutex<HashMap<RoomId, Feed>>,
    heads: Mutex<Vec<(RoomId, Cursor)>>,
}

impl Published for Heard {
    fn appended(&self, room: &RoomId, prev: Cursor, event: &Arc<Event>) {
        let mut events = self.events.lock().expect("not poisoned");
        events.entry(room.clone()).or_default().push((prev, Arc::clone(event)));
    }

    fn reached(&self, room: &RoomId, at: Cursor) {
        self.heads.lock().expect("not poisoned").push((room.clone(), at));
    }
}

impl Heard {
    fn last(&self, room: &RoomId) -> Option<u64> {
        let events = self.events.lock().expect("not poisoned");
        Some(events.get(room)?.last()?.1.seq)
    }
}

fn writer(store: &Arc<AnyStore>) -> (Writer, Arc<Heard>, Tasks) {
    let (heard, tasks) = (Arc::new(Heard::default()), Tasks::new());
    (Writer::spawn(store, &heard, &tasks), heard, tasks)
}

pub(crate) async fn p1_p2_64_senders_are_heard_after_the_commit_in_seq_order(place: Place) {
    let store = place.open().await;
    let (writer, heard, tasks) = writer(&store);
    let mut rooms = Vec::new();
    for name in ["lobby", "attic", "cellar"] {
        rooms.push(room(&*store, name).await);
    }
    let mut senders = JoinSet::new();
    for sender in 0..64 {
        let (writer, heard, store) = (writer.clone(), Arc::clone(&heard), Arc::clone(&store));
        let room = rooms[sender % 3].id.clone();
        senders.spawn(async move {
            for turn in 0..10 {
                let draft = message(&room, &format!("sender-{sender}"), &format!("k{turn}"), "hello");
                let answer = writer.append(draft).await.expect("appended");
                let event = new(&answer);
                assert!(heard.last(&room) >= Some(event.seq), "heard before it is answered");
                let kept = store.event(&room, event.seq).await.expect("read");
                assert_eq!(kept.as_ref(), Some(&**event), "committed before it is answered");
            }
        });
    }
    senders.join_all().await;
    assert!(tasks.finish(Duration::from_secs(10)).await, "the writers end");
    let events = heard.events.lock().expect("not poisoned").clone();
    for room in rooms {
        let log = whole(&*store, &room.id).await;
        let heard = &events[&room.id];
        assert_eq!(heard.iter().map(|(_, event)| (**event).clone()).collect::<Vec<_>>(), log);
        let mut position = room.cursor();
        for (prev, event) in heard {
            assert_eq!(*prev, position, "each names the one before it");
            position = event.cursor(&room.id);
        }
    }
}

pub(crate) async fn p5_a_repeat_is_not_published_but_tells_how_far_the_log_is(place: Place) {
    let store = place.open().await;
    let (writer, heard, tasks) = writer(&store);
    let lobby = room(&*store, "lobby").await.id;
    let draft = message(&lobby, "ada", "k1", "hello");
    let first = writer.append(draft.clone()).await.expect("appended");
    let again = writer.append(draft).await.expect("appended");
    assert_eq!(repeat(&again), new(&first));
    assert_eq!(heard.events.lock().expect("not poisoned")[&lobby].len(), 1);
    assert_eq!(*heard.heads.lock().expect("not poisoned"), [(lobby.clone(), new(&first).cursor(&lobby))]);
    let refused = writer.append(message(&lobby, "ada", "k2", "\0")).await.expect("answered");
    assert_eq!(refused, Appended::Refused);
    let missing = writer.append(message(&RoomId::generate(), "ada", "k", "x")).await.expect("answered");
    assert_eq!(missing, Appended::Missing);
    assert!(tasks.finish(Duration::from_secs(10)).await);
}

pub(crate) async fn what_waits_when_the_writer_drains_is_written_and_the_rest_refused(place: Place) {
    let store = place.open().await;
    let (writer, _, tasks) = writer(&store);
    let lobby = room(&*store, "lobby").await.id;
    let waiting: Vec<_> = (0..1_000)
        .map(|n| writer.submit(message(&lobby, "ada", &format!("k{n}"), "hello")).expect("there is room"))
        .collect();
    assert!(tasks.finish(Duration::from_secs(30)).await, "the writers end by themselves");
    for (index, pending) in waiting.into_iter().enumerate() {
        let answer = pending.answer().await.expect("written");
        assert_eq!(new(&answer).seq, index as u64 + 1, "in the order submitted");
    }
    let late = writer.append(message(&lobby, "ada", "late", "hello")).await;
    assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
    assert_eq!(whole(&*store, &lobby).await.len(), 1_000);
}

pub(crate) async fn p13_a_proof_goes_through_each_writers_queue_and_commit(place: Place) {
    let store = place.open().await;
    let (writer, heard, tasks) = writer(&store);
    assert_eq!(writer.count(), store.writers());
    for number in 0..writer.count() {
        writer.prove(number).await.expect("it commits");
        writer.prove(number).await.expect("and again");
    }
    assert!(
        matches!(writer.prove(writer.count()).await, Err(StoreError::Unavailable(_))),
        "there is no such one"
    );
    // What fails on purpose tells how many rows there are.
    let rows = format!(
        "create table counted (n integer check (n = {})); \
        insert into counted select count(*) from tracer where at > 0",
        writer.count()
    );
    place.meddle(&rows).await;
    assert!(heard.events.lock().expect("not poisoned").is_empty(), "it is in no room");
    assert!(tasks.finish(Duration::from_secs(10)).await);
    assert!(matches!(writer.prove(0).await, Err(StoreError::Unavailable(_))), "the writers have ended");
}

pub(crate) async fn p13_a_proof_waits_its_turn_behind_what_waits_before_it(place: Place) {
    let store = place.open().await;
    let (writer, heard, tasks) = writer(&store);
    let lobby = room(&*store, "lobby").await.id;
    for n in 0..1_000 {
        drop(writer.submit(message(&lobby, "ada", &format!("k{n}"), "hello")).expect("there is room"));
    }
    for number in 0..writer.count() {
        writer.prove(number).await.expect("it commits");
    }
    assert_eq!(heard.last(&lobby), Some(1_000), "all that was before it is committed and told");
    assert!(tasks.finish(Duration::from_secs(10)).await);
}
