//! kill -9.
//!
//! Owns a process that writes until it is killed, and what must be found afterwards. Promises P6: what was acknowledged
//! is kept, and P2: without a gap. Never kills anything but its own child.

use std::{collections::BTreeMap, process::Stdio, sync::Arc, time::Duration};

use parlour_chassis::tasks::Tasks;
use parlour_feed::cursor::Cursor;
use parlour_room::{
    domain::{event::Event, ids::RoomId, room::RoomName},
    store::{
        AnyStore, Options, Store, StoreError,
        writer::{Published, Writer},
    },
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    task::JoinSet,
};

use super::{
    place::Place,
    story::{message, new, new_room, whole},
};

const URL: &str = "PARLOUR_TEST_KILLED_STORE";
const ROOMS: usize = 5;
const SENDERS: usize = 32;

/// What is killed is killed under load: after so many answers.
const ANSWERS: usize = 600;

pub(crate) async fn p6_acknowledged_sends_survive_kill_9_without_a_gap(place: Place) {
    let mut acknowledged: BTreeMap<(String, String), u64> = BTreeMap::new();
    for round in 0..3 {
        let answers = write_until_killed(&place, round).await;
        assert!(answers.len() >= ANSWERS);
        for (room, key, seq) in answers {
            assert!(acknowledged.insert((room, key), seq).is_none(), "each key once");
        }
        let store = place.open().await;
        for number in 0..ROOMS {
            let name = RoomName::parse(&format!("room-{number}")).expect("a name");
            let room = store.room_by_name(&name).await.expect("read").expect("kept");
            let log = whole(&*store, &room.id).await;
            let kept: BTreeMap<&str, u64> = log.iter().map(|event| (event.key.as_str(), event.seq)).collect();
            for ((_, key), seq) in acknowledged.iter().filter(|((of, _), _)| of == name.as_str()) {
                assert_eq!(
                    kept.get(key.as_str()),
                    Some(seq),
                    "{name} {key}, acknowledged in round {round} or before"
                );
            }
        }
        store.close().await;
    }
}

/// Starts the child, kills it in the midst of its work, and returns all that it said was acknowledged.
async fn write_until_killed(place: &Place, round: usize) -> Vec<(String, String, u64)> {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "the_process_that_is_killed", "--nocapture", "--test-threads=1"])
        .env(URL, place.url())
        .env("PARLOUR_TEST_KILLED_ROUND", round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the child starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut answers = Vec::new();
    let mut killed = false;
    while let Some(line) = lines.next_line().await.expect("read") {
        let Some(said) = line.strip_prefix("acknowledged ") else { continue };
        let mut words = said.split(' ');
        // The last line may have been cut short by the kill: the answer was not given whole.
        let (Some(room), Some(key), Some(seq), Some(".")) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        answers.push((room.into(), key.into(), seq.parse().expect("a seq")));
        if answers.len() >= ANSWERS && !killed {
            if place.is_sqlite() {
                let refusal = place.try_open().await.expect_err("a second process is refused");
                assert!(matches!(refusal, StoreError::Unusable(_)), "{refusal:?}");
            }
            child.start_kill().expect("SIGKILL"); // what it wrote before is still read below
            killed = true;
        }
    }
    let status =
        tokio::time::timeout(Duration::from_secs(20), child.wait()).await.expect("it ends").expect("status");
    assert!(killed && !status.success(), "it wrote until it was killed: {status}");
    answers
}

/// Writes until it is killed, where the variable says that this process is there for that.
#[expect(clippy::disallowed_methods, reason = "the parent of this process tells it so what to do")]
pub(crate) async fn child() {
    let Ok(url) = std::env::var(URL) else { return };
    let round = std::env::var("PARLOUR_TEST_KILLED_ROUND").expect("set by the parent");
    let store = Arc::new(AnyStore::open(&url, Options::default()).await.expect("the store opens"));
    let mut rooms = Vec::new();
    for number in 0..ROOMS {
        rooms.push(store.create_room(&new_room(&format!("room-{number}"))).await.expect("made").0);
    }
    let writer = Writer::spawn(&store, &Arc::new(Nobody), &Tasks::new());
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let (writer, room, round) = (writer.clone(), rooms[sender % ROOMS].clone(), round.clone());
        senders.spawn(async move {
            for turn in 0_u64.. {
                let key = format!("{round}-{sender}-{turn}");
                let answer = writer.append(message(&room.id, "ada", &key, "hello")).await.expect("appended");
                println!("\nacknowledged {} {key} {} .", room.name, new(&answer).seq);
            }
        });
    }
    senders.join_all().await;
}

/// Whoever is told, and does not care.
pub(crate) struct Nobody;

impl Published for Nobody {
    fn appended(&self, _: &RoomId, _: Cursor, _: &Arc<Event>) {}
    fn reached(&self, _: &RoomId, _: Cursor) {}
}
