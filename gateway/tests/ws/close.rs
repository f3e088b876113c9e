//! Every way in which the gateway closes a socket.

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::house::House;

#[tokio::test]
async fn what_breaks_the_dialect_is_closed_with_4500() {
    let house = House::open().await;
    let (mut twice, _) = house.full("ada").await;
    twice.says(json!({"type": "hello", "version": 1})).await;
    assert_eq!(twice.closes().await, 4500);
    let mut other = house.browser().await;
    other.says(json!({"type": "hello", "version": 2})).await;
    let error = other.next().await;
    assert_eq!((&error["code"], &error["field"]), (&json!("INVALID_FIELD"), &json!("version")));
    assert_eq!(other.closes().await, 4500);
    let mut plain = house.plain("general", "ada").await;
    plain.says(json!({"type": "hello", "version": 1})).await;
    assert_eq!(plain.closes().await, 4500);
}

#[tokio::test]
async fn a_missing_version_is_a_fault_that_can_be_put_right() {
    let house = House::open().await;
    let mut ada = house.browser().await;
    ada.says(json!({"type": "hello"})).await;
    assert_eq!(ada.next().await["code"], "MISSING_FIELD");
    ada.says(json!({"type": "hello", "version": 1, "name": "<"})).await;
    assert_eq!(ada.next().await["code"], "INVALID_NAME");
    ada.says(json!({"type": "hello", "version": 1})).await;
    assert_eq!(ada.next().await["user"]["name"], "Guest");
}

#[tokio::test]
async fn a_token_is_refused_with_4501_and_a_bad_guest_token_counts_as_none() {
    let house = House::open().await;
    let mut user = house.browser().await;
    user.says(json!({"type": "hello", "version": 1, "token": "x"})).await;
    assert_eq!(user.next().await["code"], "UNAUTHENTICATED");
    assert_eq!(user.closes().await, 4501);
    let mut guest = house.browser().await;
    guest.says(json!({"type": "hello", "version": 1, "guest_token": "x"})).await;
    assert_eq!(guest.next().await["type"], "welcome");
}

#[tokio::test]
async fn a_frame_over_the_limit_is_closed_with_4502() {
    let house = House::open().await;
    for bytes in [65_537, 100_000, 1_000_000] {
        let mut ada = house.browser().await;
        ada.sends(Message::text("x".repeat(bytes))).await;
        assert_eq!(ada.closes().await, 4502, "{bytes}");
    }
    let mut ada = house.browser().await;
    let frame = json!({"type": "dance", "pad": ""}).to_string();
    let legal = frame.replace("\"\"", &format!("{:?}", "x".repeat(65_536 - frame.len())));
    assert_eq!(legal.len(), 65_536);
    ada.says_text(&legal).await;
    assert_eq!(ada.next().await["code"], "UNKNOWN_FRAME");
}

#[tokio::test]
async fn ten_faulty_frames_in_a_row_are_closed_with_4503() {
    let house = House::open().await;
    let mut ada = house.plain("general", "ada").await;
    for _ in 0..9 {
        ada.says_text("[]").await;
    }
    for _ in 0..20 {
        ada.says(json!({"type": "dance"})).await;
    }
    ada.says(json!({"type": "typing", "room": "general", "username": "ada"})).await;
    for _ in 0..10 {
        ada.says_text("[]").await;
    }
    assert_eq!(ada.closes().await, 4503);
}

#[tokio::test]
async fn p7_silence_is_closed_with_4002_but_an_idle_plain_client_lives() {
    let house = House::with(&[("HEARTBEAT_SECONDS", "0.1"), ("HEARTBEAT_LOST_SECONDS", "2")]).await;
    let (mut full, _) = house.full("ada").await;
    let mut idle = house.plain("general", "idle").await;
    // The test's socket answers pings while it is read, as browsers do, so the idle one is read from its first frame on;
    // heartbeats it leaves unanswered.
    let lost = tokio::join!(full.closes(), async {
        tokio::time::timeout(std::time::Duration::from_secs(5), idle.closes()).await.ok()
    });
    assert_eq!(lost, (4002, None));
    idle.says(json!({"type": "message", "room": "general", "username": "idle", "content": "here"})).await;
    assert_eq!(idle.hears("message").await["data"]["content"], "here");
}

#[tokio::test]
async fn p10_a_drain_asks_to_leave_then_closes_with_4000() {
    let house = House::open().await;
    let (mut ada, _) = house.full("ada").await;
    let mut bob = house.plain("general", "bob").await;
    house.drain_gateway();
    let going = ada.hears("going_away").await;
    assert_eq!(going["reason"], "GOING_AWAY");
    assert!(going["retry_after_ms"].as_u64().unwrap() <= 2_000);
    assert_eq!(ada.closes().await, 4000);
    assert_eq!(bob.closes().await, 4000);
}

#[tokio::test]
async fn p8_a_session_has_a_limit_of_rooms() {
    let house = House::with(&[("SESSION_ROOMS", "2")]).await;
    let (mut ada, _) = house.full("ada").await;
    for room in ["general", "random"] {
        ada.says(json!({"type": "join", "room": room})).await;
        ada.hears("joined").await;
    }
    ada.says(json!({"type": "join", "room": "tech"})).await;
    assert_eq!(ada.hears("error").await["code"], "TOO_MANY_ROOMS");
    ada.says(json!({"type": "leave", "room": "random"})).await;
    ada.says(json!({"type": "join", "room": "tech"})).await;
    assert_eq!(ada.hears("joined").await["room"], "tech");
}
