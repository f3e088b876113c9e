//! Readers that take what they are given slowly, and are asked for nothing more (P3, P4, P8).

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use parlour_proto::v1 as proto;
use serde_json::{Value, json};

#[path = "ws/house.rs"]
#[allow(dead_code, reason = "this binary needs a part of it")]
mod house;

use house::{Browser, House, within};

/// How long a socket may take nothing, and what a slow reader lets pass between two messages.
const STALL: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(100);
const BRIEF: [(&str, &str); 2] = [("STALL_SECONDS", "3"), ("RING_EVENTS", "16")];
/// So large that what waits is more than the kernel keeps for a socket.
const CONTENT: usize = 4_000;

/// Has so many messages appended, many at a time.
async fn appends(house: &House, count: u64) {
    let rpc = house.rpc().await;
    let sends = stream::iter(0..count).map(|_| {
        let mut rpc = rpc.clone();
        let content = "x".repeat(CONTENT);
        let send = proto::SendMessageRequest { room: "general".into(), content, ..Default::default() };
        async move { drop(rpc.send_message(send).await.expect("sent")) }
    });
    within("they are appended", sends.buffer_unordered(64).collect::<()>()).await;
}

/// One in the room whose system takes little before it is read.
async fn reader(house: &House) -> Browser {
    let mut reader = house.narrow_browser().await;
    reader.says(json!({"type": "hello", "version": 1, "name": "slow", "rooms": {"general": ""}})).await;
    reader.hears("joined").await;
    reader
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

fn seq_of(cursor: &Value) -> u64 {
    cursor.as_str().and_then(|cursor| cursor.split_once(':')?.1.parse().ok()).expect("a cursor")
}

#[tokio::test(flavor = "multi_thread")]
async fn p8_who_is_merely_slow_stays_and_misses_nothing_while_fewer_than_the_replay_length_wait() {
    const WAITING: u64 = 950; // of 1,000
    let house = House::with(&BRIEF).await;
    let mut slow = reader(&house).await;
    let reads = async {
        let since = Instant::now();
        for seq in 1..=WAITING {
            if since.elapsed() < 3 * STALL {
                tokio::time::sleep(PAUSE).await; // that is how slow it is
            }
            let frame = next_of_log(&mut slow).await;
            assert_eq!((&frame["type"], &frame["seq"]), (&json!("message"), &json!(seq)));
        }
    };
    tokio::join!(appends(&house, WAITING), reads);
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_who_is_so_slow_that_more_than_the_replay_length_wait_is_told_resync_and_stays() {
    const REPLAY: u64 = 200;
    const APPENDED: u64 = 4_000;
    let house = House::with(&[BRIEF[0], BRIEF[1], ("REPLAY_EVENTS", "200")]).await;
    let mut slow = reader(&house).await;
    let is_appended = Cell::new(false);
    let appending = async {
        appends(&house, APPENDED).await;
        is_appended.set(true);
    };
    let reads = async {
        let (mut last, mut resyncs) = (0, 0);
        while last < APPENDED {
            if !is_appended.get() {
                tokio::time::sleep(PAUSE).await; // that is how slow it is
            }
            let frame = next_of_log(&mut slow).await;
            match frame["type"].as_str() {
                Some("message") => {
                    assert_eq!(frame["seq"], last + 1, "each once and in order");
                    last += 1;
                }
                Some("resync") => {
                    assert_eq!(frame["reason"], "TOO_FAR");
                    let missed = seq_of(&frame["cursor"]) - last;
                    assert!(missed > REPLAY, "told to reload though only {missed} waited");
                    (last, resyncs) = (last + missed, resyncs + 1);
                }
                _ => panic!("{frame}"),
            }
        }
        resyncs
    };
    let ((), resyncs) = tokio::join!(appending, reads);
    assert!(resyncs > 0, "so much waited that it cannot be given");
    appends(&house, 1).await;
    assert_eq!(next_of_log(&mut slow).await["seq"], APPENDED + 1, "and it is live");
}

#[tokio::test(flavor = "multi_thread")]
async fn p8_where_all_sessions_together_are_full_one_who_returns_and_takes_nothing_holds_little() {
    let house = House::open().await;
    let (mut ada, _) = house.full("ada").await;
    ada.says(json!({"type": "join", "room": "general"})).await;
    let cursor = ada.hears("joined").await["cursor"].clone();
    appends(&house, 300).await;
    let outboxes = &house.pools.outboxes;
    let mut others = outboxes.share(); // stands for those who take nothing
    others.grow(outboxes.bound());
    let mut stuck = house.narrow_browser().await;
    stuck.says(json!({"type": "hello", "version": 1, "name": "stuck", "rooms": {"general": cursor}})).await;
    let mut most = 0;
    for seq in 301..=400 {
        appends(&house, 1).await;
        while ada.hears("message").await["seq"] != seq {}
        most = most.max(outboxes.bytes() - others.bytes());
    }
    assert!((CONTENT..4 * CONTENT).contains(&most), "{most} bytes");
}
