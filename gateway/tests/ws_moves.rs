//! Many sessions, while one service or the other is replaced (P10).

use std::{net::SocketAddr, time::Duration};

use futures_util::future::join_all;
use parlour_proto::v1 as proto;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

#[path = "ws/house.rs"]
#[allow(dead_code, reason = "this binary needs a part of it")]
mod house;

use house::{Browser, House, within};

/// Both tests need the whole machine.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A full client that is in a room, at a gateway, and how many it was told are there.
async fn joins(gateway: SocketAddr, room: &str, name: &str) -> (Browser, Value) {
    let mut browser = Browser::at(gateway).await;
    browser.says(json!({"type": "hello", "version": 1, "name": name, "rooms": {room: ""}})).await;
    let count = browser.hears("joined").await["count"].clone();
    (browser, count)
}

async fn sends(house: &House, room: &str, content: &str) {
    let send = proto::SendMessageRequest { room: room.into(), content: content.into(), ..Default::default() };
    house.rpc().await.send_message(send).await.expect("sent");
}

fn is_about_people(frame: &Value) -> bool {
    let is_some = |field: &str| frame[field].as_array().is_some_and(|users| !users.is_empty());
    frame["type"] == "presence" && (is_some("left") || is_some("joined") || frame["snapshot"] == true)
}

#[tokio::test(flavor = "multi_thread")]
async fn p10_a_room_service_restarts_under_a_thousand_browsers_and_none_notices() {
    const CROWD: usize = 1_000;
    let _alone = ALONE.lock().await;
    let mut house = House::open().await;
    let mut crowd = Vec::new();
    for chunk in (0..CROWD).collect::<Vec<_>>().chunks(50) {
        let names: Vec<_> = chunk.iter().map(|n| format!("u{n}")).collect();
        crowd.extend(join_all(names.iter().map(|name| joins(house.gateway, "tech", name))).await);
    }
    sends(&house, "tech", "everybody is here").await;
    let counts = crowd.iter_mut().map(|(browser, count)| async {
        // Presence has its budget: the last of the joins may be told after the message.
        let mut has_message = false;
        while !has_message || *count != CROWD {
            let frame = browser.next().await;
            has_message |= frame["type"] == "message";
            if frame["type"] == "presence" {
                *count = frame["count"].clone();
            }
        }
    });
    within("everybody knows of everybody", join_all(counts)).await;

    house.stop_room().await;
    house.start_room().await;
    house.room_is_ready().await;
    let start = Instant::now();
    sends(&house, "tech", "again").await;
    let heard = crowd.iter_mut().map(|(browser, _)| async {
        loop {
            // A closed socket fails here.
            let frame = browser.next().await;
            assert!(!is_about_people(&frame), "nobody came or left: {frame}");
            if frame["type"] == "message" {
                assert_eq!((&frame["seq"], &frame["data"]["content"]), (&json!(2), &json!("again")));
                return;
            }
        }
    });
    within("everybody is live again", join_all(heard)).await;
    let took = start.elapsed();
    println!("{CROWD} browsers are live {} ms after the room service is ready", took.as_millis());
    assert!(took < Duration::from_secs(5), "{took:?}");
}

/// A client that returns where it is told to, and what it has seen.
struct Returner {
    browser: Browser,
    token: Value,
    room: String,
    cursor: String,
    seq: u64,
    returned: Option<Instant>,
}

impl Returner {
    async fn joins(gateway: SocketAddr, room: String, name: String) -> Self {
        let mut browser = Browser::at(gateway).await;
        let hello = json!({"type": "hello", "version": 1, "name": name, "rooms": {room.as_str(): ""}});
        browser.says(hello).await;
        let token = browser.hears("welcome").await["guest_token"].clone();
        let joined = browser.hears("joined").await;
        let cursor = joined["cursor"].as_str().expect("a cursor").to_owned();
        let seq = cursor.split_once(':').expect("a cursor").1.parse().expect("a seq");
        Self { browser, token, room, cursor, seq, returned: None }
    }

    /// Reads until the event with that seq; moves to `other` when it is asked to leave.
    async fn reads_to(&mut self, seq: u64, other: SocketAddr) {
        while self.seq < seq {
            let Some(frame) = self.browser.next_unless_closed().await else {
                self.returns(other).await; // it was too slow to leave by itself
                continue;
            };
            match frame["type"].as_str() {
                Some("message") => self.takes(&frame),
                Some("going_away") => self.moves(&frame, other).await,
                Some("presence") => {
                    assert!(frame["left"].as_array().is_none_or(Vec::is_empty), "nobody has left: {frame}");
                }
                Some("resync") => panic!("nothing was too far: {frame}"),
                _ => {}
            }
        }
    }

    fn takes(&mut self, message: &Value) {
        self.seq += 1;
        assert_eq!(message["seq"], self.seq, "each once and in order: {message}");
        self.cursor = message["cursor"].as_str().expect("a cursor").to_owned();
    }

    async fn moves(&mut self, going: &Value, other: SocketAddr) {
        let wait = Duration::from_millis(going["retry_after_ms"].as_u64().expect("a wait"));
        let returns = Instant::now() + wait;
        // It stays that long, and takes what comes.
        while let Ok(Some(frame)) = tokio::time::timeout_at(returns, self.browser.next_unless_closed()).await
        {
            if frame["type"] == "message" {
                self.takes(&frame);
            }
        }
        self.returns(other).await;
    }

    async fn returns(&mut self, other: SocketAddr) {
        let mut again = Browser::at(other).await;
        let rooms = json!({self.room.as_str(): self.cursor});
        again.says(json!({"type": "hello", "version": 1, "guest_token": self.token, "rooms": rooms})).await;
        self.browser = again;
        assert_eq!(self.browser.hears("joined").await["cursor"], self.cursor.as_str());
        self.returned = Some(Instant::now());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p10_a_gateway_drains_two_thousand_sessions_onto_another_and_nobody_is_told_of_a_leave() {
    const CROWD: usize = 2_000;
    const ROOMS: usize = 20;
    const ROUNDS: u64 = 12;
    let _alone = ALONE.lock().await;
    let house = House::with(&[("DRAIN_SECONDS", "5")]).await;
    let (other, other_stop) = house.another_gateway().await;
    let _other_stop: tokio_util::sync::DropGuard = CancellationToken::drop_guard(other_stop);
    let mut rpc = house.rpc().await;
    let rooms: Vec<_> = (0..ROOMS).map(|n| format!("room-{n}")).collect();
    for name in &rooms {
        let create = proto::CreateRoomRequest { name: name.clone(), ..Default::default() };
        rpc.create_room(create).await.expect("a room");
    }
    let mut crowd = Vec::new();
    for chunk in (0..CROWD).collect::<Vec<_>>().chunks(50) {
        let arrivals =
            chunk.iter().map(|n| Returner::joins(house.gateway, rooms[n % ROOMS].clone(), format!("u{n}")));
        crowd.extend(within("they join", join_all(arrivals)).await);
    }
    let watchers = rooms.iter().map(|room| Returner::joins(other, room.clone(), "watcher".to_owned()));
    crowd.extend(join_all(watchers).await);
    // What was told of the others' coming is read before the drain begins.
    sends_everywhere(&house, &rooms, 1).await;
    let settled = crowd.iter_mut().map(|one| one.reads_to(1, other));
    within("everybody is live", join_all(settled)).await;

    let start = Instant::now();
    house.drain_gateway();
    let speaking = async {
        let mut rounds = tokio::time::interval(Duration::from_millis(500));
        for round in 2..=ROUNDS {
            rounds.tick().await;
            sends_everywhere(&house, &rooms, round).await;
        }
    };
    let reading = join_all(crowd.iter_mut().map(|one| one.reads_to(ROUNDS, other)));
    tokio::join!(speaking, async { within("everybody has everything", reading).await });
    let mut returned: Vec<_> = crowd.iter().filter_map(|one| Some(one.returned? - start)).collect();
    returned.sort_unstable();
    assert_eq!(returned.len(), CROWD, "all have moved");
    let (first, last) = (returned[CROWD / 20], returned[CROWD * 19 / 20]);
    println!("{CROWD} sessions moved; 90 % of them between {first:?} and {last:?} after the signal");
    assert!(last - first > Duration::from_secs(2), "spread over the drain: {first:?} to {last:?}");
}

async fn sends_everywhere(house: &House, rooms: &[String], round: u64) {
    let mut rpc = house.rpc().await;
    for room in rooms {
        let content = format!("round {round}");
        let send = proto::SendMessageRequest { room: room.clone(), content, ..Default::default() };
        rpc.send_message(send).await.expect("sent");
    }
}
