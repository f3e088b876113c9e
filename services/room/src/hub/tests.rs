//! What the hub owes, over a store of its own.

use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::{
    domain::room::{NewRoom, Visibility},
    domain::{ids::UserId, message::User},
    store::Options,
};

const SOON: Duration = Duration::from_secs(10);

struct House {
    hub: Hub,
    store: Arc<AnyStore>,
    tasks: Tasks,
    _folder: TempDir,
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
        Self { hub, store, tasks, _folder: folder }
    }

    async fn close(self) {
        assert!(self.tasks.finish(SOON).await, "the rooms end by themselves");
        self.store.close().await;
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
    id: parlour_feed::ReaderId,
    signal: Arc<signal::Signal>,
}

impl Reader {
    async fn joins(hub: &Hub, name: &str) -> Self {
        let signal = Arc::<signal::Signal>::default();
        let join = |live: &mut Live<Waker>, _| {
            live.join(parlour_feed::ReaderKind::Log, None, Waker::new(&signal, 1))
        };
        let name = RoomRef::Name(RoomName::parse(name).expect("a slug"));
        let (room, id) = hub.enter(&name, join).await.expect("it is there");
        Self { room, id, signal }
    }

    /// Reads up to that seq; says what it was given.
    async fn reads(&self, up_to: u64) -> Vec<u64> {
        let budget = parlour_feed::Budget { events: 8, bytes: 1 << 20 };
        let mut given = Vec::new();
        while given.last().is_none_or(|last| *last < up_to) {
            let mut entries = Vec::new();
            let step = |live: &mut Live<Waker>, now| live.step(self.id, budget, 0, now, &mut entries);
            match self.room.with(step) {
                live::Taken::Nothing => self.signal.marked().await,
                live::Taken::Resync(..) => panic!("nothing is out of reach"),
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
        let actor = User {
            id: UserId::new("u"),
            name: crate::domain::message::DisplayName::stored("u"),
            guest: true,
        };
        let send = crate::rooms::Send {
            from: None,
            room: RoomRef::Name(RoomName::parse(room).expect("a slug")),
            rate: crate::rooms::RateKey::User(actor.id.clone()),
            actor,
            key: crate::domain::message::RequestKey::stored(&format!("k{nth}")),
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
