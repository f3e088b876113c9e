//! What the room service allocates while an event is appended, published and put on a gateway's stream (P8).
//!
//! The room service has this thread to itself, so that what it allocates can be told from what the gateway does, which is
//! in this process too. Its store has a thread of its own, which is counted apart.

mod support;

use std::{
    alloc::System,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use alloc_tracker::{Allocator, Operation, ProcessSpan, Session, ThreadSpan};
use parlour_room::{
    domain::{
        event::{Body, Draft},
        ids::UserId,
        message::{DisplayName, RequestKey, User},
        room::{NewRoom, RoomName, Visibility},
    },
    store::{AnyStore, Options, Store as _},
};
use tokio::runtime::Builder;

use support::{
    House,
    gateway::{Gateway, answer, events, joined},
};

#[global_allocator]
static ALLOCATOR: Allocator<System> = Allocator::system();

/// The store's threads are found by what the whole process allocates, so these tests take turns.
static ALONE: Mutex<()> = Mutex::new(());

/// What the time brings, such as a sign of life, is not in every one of so many rounds of events.
const ROUNDS: u64 = 5;
const EVENTS: u64 = 20;
/// What one event may cost the room service beside its store, and what it may cost the store.
const AN_EVENT: u64 = 36;
const A_ROW: u64 = 25;

fn thread(work: &Operation) -> ThreadSpan {
    work.measure_thread().iterations(1)
}

fn process(work: &Operation) -> ProcessSpan {
    work.measure_process().iterations(1)
}

/// What is allocated while `work` goes on: by this thread, or by the process.
fn allocations<S>(span: impl FnOnce(&Operation) -> S, work: impl FnOnce()) -> u64 {
    let session = Session::new().no_stdout().no_file();
    let span = span(&session.operation("work"));
    work();
    drop(span);
    session.to_report().operations().map(|(_, work)| work.total_allocations_count()).sum()
}

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A gateway of that number with so many sessions, from the first, in a room.
struct Crowd {
    gateway: Gateway,
    first: u8,
    room: &'static str,
    posts: u64,
}

impl Crowd {
    async fn gather(house: Arc<House>, number: u8, first: u8, size: u8, room: &'static str) -> Self {
        let mut gateway = Gateway::attach(&house, number, 1).await;
        gateway.follows(room).await;
        for n in first..first + size {
            gateway.opens(n, &format!("Guest {n}")).await;
            gateway.joins(n, n.into(), room).await;
        }
        for _ in 0..size {
            gateway.until(joined).await;
        }
        Self { gateway, first, room, posts: 0 }
    }

    /// One of them posts, and the gateway hears the event and the answer, so often.
    async fn posts(mut self, events_wanted: u64) -> Self {
        for _ in 0..events_wanted {
            self.posts += 1;
            let key = format!("key {}", self.posts);
            self.gateway.posts(self.first, self.posts, self.room, "to all of you", &key).await;
            let (mut is_heard, mut is_answered) = (false, false);
            while !(is_heard && is_answered) {
                let frame = self.gateway.next().await.expect("the stream goes on");
                is_heard |= events(&frame).is_some();
                is_answered |= answer(&frame).is_some();
            }
        }
        self
    }
}

#[test]
fn p8_an_event_costs_the_room_service_the_same_however_many_sessions_its_gateway_has() {
    let _alone = alone();
    let others = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let this = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let house = Arc::new(this.block_on(House::with(|settings| settings.send_rate = 0.0)));
    let an_event = |number, first, size, room| {
        let gathering = others.spawn(Crowd::gather(Arc::clone(&house), number, first, size, room));
        let crowd = this.block_on(gathering).expect("a crowd");
        let mut crowd = Some(this.block_on(others.spawn(crowd.posts(5))).expect("a crowd"));
        let rounds = (0..ROUNDS).map(|_| {
            let posting = others.spawn(crowd.take().expect("a crowd").posts(EVENTS));
            allocations(thread, || crowd = this.block_on(posting).ok()) / EVENTS
        });
        let least = rounds.min().expect("a round");
        println!("an event of {size} sessions: {least} allocations");
        (least, crowd)
    };
    let (few, _stay) = an_event(1, 1, 2, "general");
    let (many, _) = an_event(2, 3, 200, "random");
    assert!((1..=AN_EVENT).contains(&few), "{few} allocations for an event");
    assert!(few.abs_diff(many) <= 1, "{many} for one of 200 sessions, {few} of 2");
}

#[test]
fn p8_what_the_store_allocates_for_an_event_is_bounded() {
    let _alone = alone();
    let this = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("parlour.db").display());
    let store = this.block_on(AnyStore::open(&url, Options { connections: 1 })).expect("a store");
    let room = NewRoom {
        name: RoomName::parse("general").expect("a name"),
        title: "General".to_owned(),
        topic: String::new(),
        visibility: Visibility::Public,
        created_by: UserId::new("ada"),
        request_key: String::new(),
    };
    let room = this.block_on(store.create_room(&room)).expect("made").0.id;
    let draft = |nth| Draft {
        room: room.clone(),
        actor: User { id: UserId::new("ada"), name: DisplayName::parse("Ada").expect("a name"), guest: true },
        key: RequestKey::stored(&format!("key {nth}")),
        key_is_clients: true,
        body: Body::Message { content: "to all of you".to_owned(), reply_to: None },
    };
    let append = |drafts: &[Draft]| {
        for draft in drafts {
            this.block_on(store.append(std::slice::from_ref(draft))).expect("appended");
        }
    };
    append(&(0..5).map(draft).collect::<Vec<_>>());
    let drafts: Vec<_> = (5..5 + EVENTS).map(draft).collect();
    let row = allocations(process, || append(&drafts)) / EVENTS;
    println!("an event at the store: {row} allocations");
    assert!((1..=A_ROW).contains(&row), "{row} allocations for an event");
    this.block_on(store.close());
}
