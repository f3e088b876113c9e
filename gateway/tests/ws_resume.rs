//! Sessions that return with their cursors: after silence, after restarts, elsewhere, in crowds (P3, P4, P8).

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::task::JoinSet;

#[path = "ws_resume/log.rs"]
mod log;

#[path = "ws/house.rs"]
#[allow(dead_code, reason = "this binary needs a part of it")]
mod house;

use house::{Browser, House, within};
use log::{Log, seq_of};

/// Gauges and counters are of the whole process, so these tests have a process of their own and take turns in it.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Returns as that guest with cursors.
async fn returns(house: &House, token: &Value, rooms: &Value) -> Browser {
    let mut browser = house.browser().await;
    browser.says(json!({"type": "hello", "version": 1, "guest_token": token, "rooms": rooms})).await;
    assert_eq!(browser.next().await["type"], "welcome");
    browser
}

/// The next frame that says anything of the log.
async fn next_of_log(browser: &mut Browser) -> Value {
    loop {
        let frame = browser.next().await;
        if !matches!(frame["type"].as_str(), Some("presence" | "heartbeat")) {
            return frame;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_a_cursor_of_an_empty_room_is_good_after_silence_and_restarts_and_on_another_gateway() {
    let _alone = ALONE.lock().await;
    let brief = [
        ("IDLE_ROOM_SECONDS", "0.1"),
        ("GRACE_CLOSED_SECONDS", "0.05"),
        ("GRACE_BROKEN_SECONDS", "0.05"),
        ("HEARTBEAT_SECONDS", "0.2"),
    ];
    let mut house = House::with(&brief).await;
    let (elsewhere, stop_elsewhere) = house.another_gateway().await;
    let gateways = [house.gateway, elsewhere];
    let (mut ada, welcome) = house.full("ada").await;
    ada.says(json!({"type": "join", "room": "general"})).await;
    let cursor = ada.hears("joined").await["cursor"].clone();
    assert_eq!(seq_of(&cursor), 0);
    ada.leaves().await;
    for turn in 0..5 {
        within("the room has left memory", async {
            while House::metric("parlour_room_live_rooms") > 0.0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        if turn % 2 == 1 {
            house.stop_room().await;
            house.start_room().await;
        }
        house.gateway = gateways[turn % 2];
        let mut ada = returns(&house, &welcome["guest_token"], &json!({"general": cursor})).await;
        assert_eq!(next_of_log(&mut ada).await["cursor"], cursor, "turn {turn}: joined, from there");
        if turn == 4 {
            ada.says(json!({"type": "message", "room": "general", "content": "first", "id": "1"})).await;
            let said = next_of_log(&mut ada).await;
            let said = if said["type"] == "ack" { next_of_log(&mut ada).await } else { said };
            assert_eq!(
                (&said["type"], &said["seq"]),
                (&json!("message"), &json!(1)),
                "and no resync between"
            );
        }
        ada.leaves().await;
    }
    stop_elsewhere.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_who_missed_the_replay_length_is_given_all_of_it_and_who_missed_more_is_told_too_far() {
    let _alone = ALONE.lock().await;
    let mut house = House::with(&[("REPLAY_EVENTS", "100"), ("RING_EVENTS", "8")]).await;
    let (_, welcome) = house.full("ada").await;
    let log = Log::fill(&mut house, &["attic"], 101).await;
    let [all, more] = [log.cursor(0, 1), log.cursor(0, 0)];
    let mut ada = returns(&house, &welcome["guest_token"], &json!({"attic": all})).await;
    assert_eq!(next_of_log(&mut ada).await["cursor"], json!(all));
    for seq in 2..=101 {
        assert_eq!(next_of_log(&mut ada).await["seq"], seq);
    }
    let mut late = returns(&house, &welcome["guest_token"], &json!({"attic": more})).await;
    assert_eq!(next_of_log(&mut late).await["cursor"], json!(log.cursor(0, 101)));
    let resync = next_of_log(&mut late).await;
    assert_eq!((&resync["type"], &resync["reason"]), (&json!("resync"), &json!("TOO_FAR")));
    assert_eq!(resync["cursor"], json!(log.cursor(0, 101)));
}

/// A page is kept for a second, so whoever asks for the next only then takes as many seconds as there are pages.
#[tokio::test(flavor = "multi_thread")]
async fn p4_who_missed_forty_pages_is_given_one_after_the_other_without_a_pause() {
    const MISSED: u64 = 4_000;
    let _alone = ALONE.lock().await;
    let mut house = House::with(&[("REPLAY_EVENTS", "4000"), ("RING_EVENTS", "8")]).await;
    let (_, welcome) = house.full("ada").await;
    let log = Log::fill(&mut house, &["attic"], MISSED).await;
    let mut ada = returns(&house, &welcome["guest_token"], &json!({"attic": log.cursor(0, 0)})).await;
    assert_eq!(next_of_log(&mut ada).await["type"], "joined");
    let since = Instant::now();
    for seq in 1..=MISSED {
        assert_eq!(next_of_log(&mut ada).await["seq"], seq);
    }
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_a_room_of_hello_that_cannot_be_joined_is_gone_with_the_reason_and_the_rest_are_joined() {
    let _alone = ALONE.lock().await;
    let house = House::open().await;
    let (_, welcome) = house.full("ada").await;
    let long = "x".repeat(65);
    let rooms = json!({"general": "", "nowhere": "", "random": "no cursor", &long: ""});
    let mut ada = returns(&house, &welcome["guest_token"], &rooms).await;
    let mut gone = Vec::new();
    let mut joined = Vec::new();
    while gone.len() + joined.len() < 4 {
        let frame = next_of_log(&mut ada).await;
        match frame["type"].as_str() {
            Some("gone") => gone.push((frame["room"].clone(), frame["reason"].clone())),
            Some("joined") => joined.push(frame["room"].clone()),
            _ => panic!("{frame}"),
        }
    }
    gone.sort_by_key(|(room, _)| room.to_string());
    let expected = [("nowhere", "ROOM_NOT_FOUND"), ("random", "INVALID_CURSOR"), (&long, "ROOM_NOT_FOUND")];
    assert_eq!(gone, expected.map(|(room, reason)| (json!(room), json!(reason))));
    assert_eq!(joined, [json!("general")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_a_heartbeat_never_tells_a_head_before_the_events_up_to_it() {
    const MESSAGES: u64 = 400;
    let _alone = ALONE.lock().await;
    let house = House::with(&[("HEARTBEAT_SECONDS", "0.05"), ("RING_EVENTS", "16")]).await;
    let (mut ada, _) = house.full("ada").await;
    ada.says(json!({"type": "join", "room": "general"})).await;
    ada.hears("joined").await;
    let mut rpc = house.rpc().await;
    let mut sending = JoinSet::new();
    sending.spawn(async move {
        for n in 0..MESSAGES {
            let content = format!("message {n}");
            let send = parlour_proto::v1::SendMessageRequest {
                room: "general".into(),
                content,
                ..Default::default()
            };
            rpc.send_message(send).await.expect("sent");
        }
    });
    let (mut last, mut told, mut beats) = (Value::Null, Value::Null, 0);
    while last.is_null() || seq_of(&last) < MESSAGES || told != last {
        let frame = ada.next().await;
        match frame["type"].as_str() {
            Some("message") => {
                assert_eq!(seq_of(&frame["cursor"]), if last.is_null() { 1 } else { seq_of(&last) + 1 });
                last = frame["cursor"].clone();
            }
            Some("heartbeat") => {
                if let Some(head) = frame["heads"].get("general") {
                    assert_ne!(*head, told, "told once");
                    assert_eq!(*head, last, "neither ahead of what was given nor behind it");
                    (told, beats) = (head.clone(), beats + 1);
                }
                ada.says(json!({"type": "ping"})).await;
            }
            // Of two heartbeats on their way at once, the second's ping is one that nobody has asked for.
            Some("presence" | "pong") => {}
            _ => panic!("{frame}"),
        }
    }
    assert!(beats > 0);
    sending.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_five_thousand_who_return_to_one_room_together_read_its_log_once() {
    const SESSIONS: usize = 5_000;
    const MISSED: u64 = 200;
    const PAGE: u64 = 50;
    let _alone = ALONE.lock().await;
    let mut house = House::open().await;
    let log = Log::fill(&mut house, &["attic"], MISSED).await;
    let mut crowd = Vec::new();
    for _ in 0..SESSIONS / 50 {
        crowd.extend(join_all((0..50).map(|_| house.browser())).await);
    }
    let before = House::metric("parlour_room_store_pages_read_total");
    let returning = crowd.iter_mut().map(async |browser| {
        let rooms = json!({"attic": log.cursor(0, 0)});
        browser.says(json!({"type": "hello", "version": 1, "name": "back", "rooms": rooms})).await;
        browser.hears("joined").await;
        for seq in 1..=MISSED {
            assert_eq!(browser.hears("message").await["seq"], seq);
        }
    });
    within("everybody has all", join_all(returning)).await;
    let read = House::metric("parlour_room_store_pages_read_total") - before;
    assert!(read <= MISSED.div_ceil(PAGE) as f64, "{read} pages of the log were read");
    assert!(read > 0.0, "they were read, and not in the ring");
}

#[tokio::test(flavor = "multi_thread")]
async fn p8_a_hundred_rooms_with_600_missed_events_each_come_in_through_one_slow_socket() {
    const ROOMS: usize = 100;
    const MISSED: u64 = 600;
    let _alone = ALONE.lock().await;
    let mut house = House::open().await;
    let (_, welcome) = house.full("ada").await;
    let names: Vec<String> = (0..ROOMS).map(|n| format!("room-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let log = Log::fill(&mut house, &names, MISSED).await;
    let (mut bob, _) = house.full("bob").await;
    bob.says(json!({"type": "join", "room": "general"})).await;
    bob.hears("joined").await;
    let resident = log::resident_bytes();
    let mut slow = house.narrow_browser().await;
    let rooms: serde_json::Map<_, _> =
        names.iter().enumerate().map(|(nth, name)| ((*name).to_owned(), json!(log.cursor(nth, 0)))).collect();
    let hello = json!({"type": "hello", "version": 1, "guest_token": welcome["guest_token"], "rooms": rooms});
    slow.says(hello).await;
    let mut given = vec![0; ROOMS];
    let (mut frames, mut most, mut slowest) = (0_u64, 0, Duration::ZERO);
    while given.iter().any(|seq| *seq < MISSED) {
        let frame = slow.next().await;
        match frame["type"].as_str() {
            Some("message") => {
                let room = frame["room"].as_str().and_then(|room| room.strip_prefix("room-")?.parse().ok());
                let room: usize = room.expect("one of them");
                given[room] += 1;
                assert_eq!(frame["seq"], given[room], "each once and in order");
                frames += 1;
            }
            Some("resync" | "gone" | "error") => panic!("{frame}"),
            _ => continue,
        }
        if frames % 2_000 == 0 {
            // It takes its time, and somebody else is served meanwhile.
            let since = Instant::now();
            bob.says(json!({"type": "message", "room": "general", "content": "me too", "id": "b"})).await;
            bob.hears("ack").await;
            slowest = slowest.max(since.elapsed());
            most = most.max(log::resident_bytes().saturating_sub(resident));
        }
    }
    let most = most / (1 << 20);
    println!("at most {most} MiB more, another's slowest answer took {slowest:?}");
    assert!(most < 96, "{most} MiB for one slow socket");
    assert!(slowest < Duration::from_secs(2), "{slowest:?} for another's send");
}
