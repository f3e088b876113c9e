//! What the hub owes, over a store of its own.

use std::time::Duration;

use parlour_feed::{Budget, Entry, ReaderId, ReaderKind, ResyncReason};
use tempfile::TempDir;

use super::{
    live::{Fact, Taken},
    signal::Signal,
    *,
};
use crate::{
    domain::{
        event::{Body, Draft},
        ids::{RoomId, UserId},
        message::{DisplayName, RequestKey, User},
        room::{NewRoom, Visibility},
    },
    store::Options,
};

const SOON: Duration = Duration::from_secs(10);

struct House {
    hub: Hub,
    store: Arc<AnyStore>,
    tasks: Tasks,
    folder: TempDir,
}

impl House {
    async fn open(settings: Settings) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite:{}", folder.path().join("parlour.db").display());
        let store = Arc::new(AnyStore::open(&url, Options::default()).await.expect("it opens"));
        let name = RoomName::parse("general").expect("a slug");
        let room = NewRoom {
            name,
            title: "General".into(),
            topic: String::new(),
            visibility: Visibility::Public,
            created_by: UserId::new("u"),
            request_key: String::new(),
        };
        store.create_room(&room).await.expect("it is made");
        let tasks = Tasks::new();
        let hub = Hub::new(Arc::clone(&store), settings, tasks.clone());
        Self { hub, store, tasks, folder }
    }

    /// Appends as somebody else does: nobody here is told.
    async fn appends_untold(&self, room: &RoomId, keys: &[&str]) {
        let draft = |key: &&str| Draft {
            room: room.clone(),
            actor: User { id: UserId::new("ada"), name: DisplayName::guest(), guest: true },
            key: RequestKey::stored(key),
            key_is_clients: true,
            body: Body::Message { content: (*key).to_owned(), reply_to: None },
        };
        let drafts: Vec<_> = keys.iter().map(draft).collect();
        self.store.append(&drafts).await.expect("appended");
    }

    /// Puts an older log in the place of the room's: nothing of it is left but the room.
    fn forgets(&self, room: &RoomId) {
        let file = rusqlite::Connection::open(self.folder.path().join("parlour.db")).expect("opens");
        let sql = format!(
            "begin; delete from event; update room set last_seq = 0, last_at = created_at, message_count = 0 \
             where id = '{room}'; commit"
        );
        file.execute_batch(&sql).expect("forgotten");
    }

    /// Puts a log in the place of this one in which the room never was; one of its name may be, under another id.
    fn never_had(&self, room: &RoomId, other: Option<&RoomId>) {
        let file = rusqlite::Connection::open(self.folder.path().join("parlour.db")).expect("opens");
        let put = match other {
            Some(other) => format!("update room set id = '{other}' where id = '{room}'"),
            None => format!("delete from room where id = '{room}'"),
        };
        file.execute_batch(&format!("begin; delete from event; {put}; commit")).expect("never had");
    }

    async fn close(self) {
        assert!(self.tasks.finish(SOON).await, "the rooms end by themselves");
        self.store.close().await;
    }
}

/// One who reads a live room.
struct Watcher {
    room: Arc<LiveRoom>,
    reader: ReaderId,
    signal: Arc<Signal>,
}

impl Watcher {
    async fn enter(house: &House) -> Self {
        let signal = Arc::new(Signal::default());
        let join = |live: &mut Live<Waker>, _| live.join(ReaderKind::Log, None, Waker::new(&signal, 1));
        let (room, reader) = house.hub.enter(&general(), join).await.expect("it is there");
        Self { room, reader, signal }
    }

    /// What it is given next, apart from presence.
    async fn next(&self) -> (Taken, Vec<Entry<Fact>>) {
        let budget = Budget { events: 64, bytes: 1 << 20 };
        let next = async {
            loop {
                let mut events = Vec::new();
                let taken = self.room.with(|live, now| live.step(self.reader, budget, 100, now, &mut events));
                match taken {
                    Taken::Nothing => self.signal.marked().await,
                    Taken::Presence(_) => {}
                    taken => return (taken, events),
                }
            }
        };
        tokio::time::timeout(SOON, next).await.expect("it is given something")
    }

    async fn resync(&self) -> (Cursor, ResyncReason) {
        match self.next().await {
            (Taken::Resync(cursor, reason), _) => (cursor, reason),
            other => panic!("no resync: {other:?}"),
        }
    }

    async fn closes(self, house: House) {
        self.room.with(|live, now| live.part(self.reader, now));
        house.close().await;
    }

    fn counters(&self) -> parlour_feed::Counters {
        self.room.with(|live, _| live.counters())
    }
}

fn general() -> RoomRef {
    RoomRef::Name(RoomName::parse("general").expect("a slug"))
}

#[tokio::test]
async fn those_who_ask_at_once_share_one_live_room() {
    let house = House::open(Settings::default()).await;
    let name = general();
    let rooms = futures_util::future::join_all((0..50).map(|_| house.hub.load(&name))).await;
    let rooms: Vec<_> = rooms.into_iter().map(|room| room.expect("it is there")).collect();
    assert!(rooms.iter().all(|room| Arc::ptr_eq(room, &rooms[0])));
    let by_id = house.hub.load(&RoomRef::Id(rooms[0].place.id.clone())).await.expect("it is live");
    assert!(Arc::ptr_eq(&by_id, &rooms[0]));
    let nowhere = RoomRef::Name(RoomName::parse("nowhere").expect("a slug"));
    assert!(matches!(house.hub.load(&nowhere).await, Err(Error::RoomNotFound)));
    assert!(house.hub.registry().loading.is_empty());
    assert_eq!(house.hub.check_invariants(), Ok(()));
    house.close().await;
}

#[tokio::test]
async fn p8_an_idle_room_leaves_memory_and_comes_back_when_asked_for() {
    let settings = Settings { idle_room: Duration::from_millis(50), ..Settings::default() };
    let house = House::open(settings).await;
    let first = house.hub.load(&general()).await.expect("it is there");
    let until_gone = async {
        while house.hub.live(&first.place.id).is_some() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, until_gone).await.expect("it leaves memory");
    assert!(first.enter(|_, _| ()).is_none(), "who still holds it cannot enter it");
    let (second, ()) = house.hub.enter(&general(), |_, _| ()).await.expect("it is loaded again");
    assert!(!Arc::ptr_eq(&first, &second));
    house.close().await;
}

/// Somebody who reads a room as far as it goes when told to.
struct Reader {
    room: Arc<LiveRoom>,
    id: ReaderId,
    signal: Arc<Signal>,
}

impl Reader {
    async fn joins(hub: &Hub, name: &str) -> Self {
        let signal = Arc::<Signal>::default();
        let join = |live: &mut Live<Waker>, _| live.join(ReaderKind::Log, None, Waker::new(&signal, 1));
        let name = RoomRef::Name(RoomName::parse(name).expect("a slug"));
        let (room, id) = hub.enter(&name, join).await.expect("it is there");
        Self { room, id, signal }
    }

    /// Reads up to that seq; says what it was given.
    async fn reads(&self, up_to: u64) -> Vec<u64> {
        let budget = Budget { events: 8, bytes: 1 << 20 };
        let mut given = Vec::new();
        while given.last().is_none_or(|last| *last < up_to) {
            let mut entries = Vec::new();
            let step = |live: &mut Live<Waker>, now| live.step(self.id, budget, 0, now, &mut entries);
            match self.room.with(step) {
                Taken::Nothing => self.signal.marked().await,
                Taken::Resync(..) => panic!("nothing is out of reach"),
                _ => given.extend(entries.iter().map(|entry| entry.cursor.seq)),
            }
        }
        given
    }

    fn ring(&self) -> usize {
        self.room.with(|live, _| live.ring_bytes())
    }
}

#[tokio::test]
async fn p8_p3_near_the_bound_of_all_rings_the_longest_unread_shrinks_and_its_reader_loses_nothing() {
    let bounds = parlour_feed::Bounds { rings: 64_000, ..Default::default() };
    let house = House::open(Settings { bounds, send_rate: 0.0, ..Settings::default() }).await;
    let writers = Tasks::new();
    let rooms = crate::rooms::Rooms::build(
        Arc::clone(&house.store),
        Settings { bounds, send_rate: 0.0, ..Settings::default() },
        &house.tasks,
        &writers,
    );
    let tech = NewRoom {
        name: RoomName::parse("tech").expect("a slug"),
        title: "Tech".into(),
        topic: String::new(),
        visibility: Visibility::Public,
        created_by: UserId::new("u"),
        request_key: String::new(),
    };
    rooms.create(tech, None).await.expect("it is made");
    let (unread, read) =
        (Reader::joins(rooms.hub(), "general").await, Reader::joins(rooms.hub(), "tech").await);
    let say = async |room: &str, nth: u64| {
        let actor = User { id: UserId::new("u"), name: DisplayName::stored("u"), guest: true };
        let send = crate::rooms::Send {
            from: None,
            room: RoomRef::Name(RoomName::parse(room).expect("a slug")),
            rate: crate::rooms::RateKey::User(actor.id.clone()),
            actor,
            key: RequestKey::stored(&format!("k{nth}")),
            key_is_clients: false,
            content: "x".repeat(1_000),
            reply_to: None,
        };
        rooms.send(send).await.expect("it is sent");
    };
    say("general", 1).await;
    assert_eq!(unread.reads(1).await, [1]);
    for nth in 2..=20 {
        say("general", nth).await;
    }
    let rings = &rooms.hub().pools().rings;
    let mut nth = 0;
    while !rings.is_short() {
        nth += 1;
        say("tech", nth).await;
        assert_eq!(read.reads(nth).await, [nth]);
        assert!(rings.bytes() <= rings.bound(), "P8");
        if unread.ring() < 20 * 1_000 {
            break; // its driver was quicker than this look
        }
    }
    let until_shrunk = async {
        while rings.bytes() > rings.bound() / 4 * 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, until_shrunk).await.expect("the rings shrink");
    assert!(unread.ring() < 20 * 1_000, "the longest unread");
    assert!(read.ring() > usize::try_from(nth).expect("few") * 1_000, "and no other");
    let given = tokio::time::timeout(SOON, unread.reads(20)).await.expect("it is given what it missed");
    assert_eq!(given, (2..=20).collect::<Vec<_>>());
    for Reader { room, id, .. } in [unread, read] {
        room.with(|live, now| live.part(id, now));
    }
    assert!(writers.finish(SOON).await);
    house.close().await;
}

#[tokio::test]
async fn p3_what_was_committed_and_never_told_is_found_by_the_probe() {
    let house = House::open(Settings::default()).await;
    let watcher = Watcher::enter(&house).await;
    house.appends_untold(&watcher.room.place.id, &["a", "b"]).await;
    house.hub.probe().await;
    let (taken, events) = watcher.next().await;
    assert!(matches!(taken, Taken::Events), "{taken:?}");
    assert_eq!(events.iter().map(|entry| entry.cursor.seq).collect::<Vec<_>>(), [1, 2]);
    let counters = watcher.counters();
    assert_eq!((counters.gaps_found, counters.gaps_healed_by_log), (1, 1));
    watcher.closes(house).await;
}

#[tokio::test]
async fn p3_a_room_that_stands_where_the_log_does_asks_nothing_when_probed() {
    let house = House::open(Settings::default()).await;
    let watcher = Watcher::enter(&house).await;
    house.appends_untold(&watcher.room.place.id, &["a"]).await;
    house.hub.probe().await;
    watcher.next().await;
    let before = watcher.counters();
    for _ in 0..3 {
        house.hub.probe().await;
    }
    assert_eq!(watcher.counters(), before, "no read, no gap, no suspicion");
    watcher.closes(house).await;
}

#[tokio::test]
async fn p3_the_probe_goes_by_itself_in_every_live_room() {
    let settings = Settings { probe: Duration::from_millis(20), ..Settings::default() };
    let house = House::open(settings.clone()).await;
    house.tasks.spawn(probe::keep(house.hub.clone(), settings.probe, house.tasks.drain().clone()));
    let watcher = Watcher::enter(&house).await;
    for key in ["a", "b"] {
        house.appends_untold(&watcher.room.place.id, &[key]).await;
        let (_, events) = watcher.next().await;
        assert_eq!(events[0].event.event.key.as_str(), key);
    }
    watcher.closes(house).await;
}

#[tokio::test]
async fn p3_a_log_replaced_by_an_older_one_ends_in_resync_however_long_it_has_grown() {
    for grown in [&[][..], &["x"], &["x", "y"], &["x", "y", "z"]] {
        let house = House::open(Settings::default()).await;
        let watcher = Watcher::enter(&house).await;
        let id = watcher.room.place.id.clone();
        house.appends_untold(&id, &["a", "b"]).await;
        house.hub.probe().await;
        watcher.next().await;
        house.forgets(&id);
        if !grown.is_empty() {
            house.appends_untold(&id, grown).await;
        }
        house.hub.probe().await;
        let (cursor, reason) = watcher.resync().await;
        let expected = if grown.len() < 2 { ResyncReason::Ahead } else { ResyncReason::OtherLog };
        assert_eq!((cursor.seq, reason), (grown.len() as u64, expected), "{grown:?}");
        house.appends_untold(&id, &["then"]).await;
        house.hub.probe().await;
        let (_, events) = watcher.next().await;
        assert_eq!(events[0].cursor.seq, cursor.seq + 1, "it goes on from there");
        watcher.closes(house).await;
    }
}

#[tokio::test]
async fn p3_a_room_that_the_log_never_had_is_gone_once_the_store_has_said_so_twice() {
    for is_another in [false, true] {
        let house = House::open(Settings::default()).await;
        let watcher = Watcher::enter(&house).await;
        let (id, other) = (watcher.room.place.id.clone(), RoomId::generate());
        house.never_had(&id, is_another.then_some(&other));
        house.hub.probe().await;
        assert!(!watcher.room.is_lost(), "once may be a restore that is half done");
        house.hub.probe().await;
        let (taken, _) = watcher.next().await;
        assert!(matches!(taken, Taken::Gone), "{taken:?}");
        house.hub.forget(&id);
        match house.hub.load(&general()).await {
            Ok(room) => {
                assert_eq!((is_another, &room.place.id), (true, &other), "P4: the room of that name now")
            }
            Err(refused) => assert!(matches!((is_another, refused), (false, Error::RoomNotFound))),
        }
        watcher.closes(house).await;
    }
}

#[tokio::test]
async fn p3_a_room_that_is_back_at_the_next_probe_is_not_gone() {
    let house = House::open(Settings::default()).await;
    let watcher = Watcher::enter(&house).await;
    let (id, other) = (watcher.room.place.id.clone(), RoomId::generate());
    for _ in 0..2 {
        house.never_had(&id, Some(&other));
        house.hub.probe().await;
        house.never_had(&other, Some(&id));
        house.hub.probe().await;
    }
    house.appends_untold(&id, &["a"]).await;
    house.hub.probe().await;
    let (taken, events) = watcher.next().await;
    assert!(matches!(taken, Taken::Events), "{taken:?}");
    assert_eq!(events[0].cursor.seq, 1);
    watcher.closes(house).await;
}

#[tokio::test]
async fn p3_a_store_that_fails_takes_no_room_away() {
    let house = House::open(Settings::default()).await;
    let watcher = Watcher::enter(&house).await;
    house.store.close().await;
    for _ in 0..3 {
        house.hub.probe().await;
    }
    assert!(!watcher.room.is_lost());
    watcher.closes(house).await;
}
