//! What the hub owes, over a store of its own.

use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::{
    domain::ids::UserId,
    domain::room::{NewRoom, Visibility},
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
