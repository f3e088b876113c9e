//! The full dialect: join, send, resume.

use serde_json::{Value, json};

use crate::house::{Browser, House};

async fn joins(browser: &mut Browser, room: &str) -> Value {
    browser.says(json!({"type": "join", "room": room, "id": "j"})).await;
    let joined = browser.hears("joined").await;
    assert_eq!((&joined["id"], &joined["room"]), (&json!("j"), &json!(room)));
    joined
}

async fn sends(browser: &mut Browser, content: &str) {
    browser.says(json!({"type": "message", "room": "general", "content": content, "id": content})).await;
}

#[tokio::test]
async fn a_full_client_joins_sends_and_is_told() {
    let house = House::open().await;
    let (mut ada, welcome) = house.full("ada").await;
    assert_eq!(welcome["user"]["name"], "ada");
    assert_eq!((&welcome["user"]["guest"], &welcome["limits"]["rooms"]), (&json!(true), &json!(100)));
    assert!(welcome["guest_token"].is_string() && welcome["session"].is_string());
    let joined = joins(&mut ada, "general").await;
    assert_eq!((&joined["count"], &joined["users"][0]["name"]), (&json!(1), &json!("ada")));
    assert_eq!((&joined["messages"], &joined["info"]["visibility"]), (&json!([]), &json!("public")));
    assert!(joined["cursor"].as_str().unwrap().ends_with(":0"), "P3: a cursor even in an empty room");

    let (mut bob, _) = house.full("bob").await;
    joins(&mut bob, "general").await;
    let came = ada.hears("presence").await;
    assert_eq!((&came["joined"][0]["name"], &came["count"]), (&json!("bob"), &json!(2)));

    bob.says(json!({"type": "typing", "room": "general", "typing": true})).await;
    let typing = ada.hears("typing").await;
    assert_eq!((&typing["user"]["name"], &typing["typing"]), (&json!("bob"), &json!(true)));

    sends(&mut bob, "hello").await;
    let said = ada.hears("message").await;
    assert_eq!((&said["seq"], &said["data"]["content"]), (&json!(1), &json!("hello")));
    assert_eq!(said["data"]["user"]["name"], "bob");
    let ack = bob.hears("ack").await;
    assert_eq!((&ack["id"], &ack["room"], &ack["seq"]), (&json!("hello"), &json!("general"), &json!(1)));

    let (mut carl, _) = house.full("carl").await;
    let joined = joins(&mut carl, "general").await;
    assert_eq!(joined["messages"][0]["content"], "hello");
    assert_eq!((&joined["more"], &joined["cursor"]), (&json!(false), &said["cursor"]));
    carl.says(json!({"type": "history", "room": "general", "after": 0, "id": "h"})).await;
    let page = carl.hears("history").await;
    assert_eq!((&page["id"], &page["events"][0]["type"]), (&json!("h"), &json!("message")));
    carl.says(json!({"type": "leave", "room": "general", "id": "l"})).await;
    assert_eq!(carl.hears("ack").await["id"], "l");
    assert_eq!(ada.hears("presence").await["joined"][0]["name"], "carl");
    assert_eq!(ada.hears("presence").await["left"][0]["name"], "carl");
}

#[tokio::test]
async fn p4_a_client_resumes_from_its_cursor_each_event_once() {
    let house = House::open().await;
    let (mut ada, welcome) = house.full("ada").await;
    let joined = joins(&mut ada, "general").await;
    ada.leaves().await;
    let (mut bob, _) = house.full("bob").await;
    for n in 0..120 {
        sends(&mut bob, &n.to_string()).await;
        bob.hears("ack").await;
    }
    let mut ada = house.browser().await;
    ada.says(json!({
        "type": "hello", "version": 1, "guest_token": welcome["guest_token"], "rooms": {"general": joined["cursor"]},
    }))
    .await;
    assert_eq!(ada.next().await["user"]["id"], welcome["user"]["id"], "the same guest");
    let again = ada.hears("joined").await;
    assert_eq!((&again["cursor"], &again["messages"]), (&joined["cursor"], &json!([])));
    sends(&mut bob, "live").await;
    for n in 0..=120_u64 {
        let said = ada.hears("message").await;
        assert_eq!(said["seq"], n + 1);
    }
}

#[tokio::test]
async fn p4_a_cursor_that_is_not_usable_is_told_with_the_reason() {
    let house = House::with(&[("REPLAY_EVENTS", "5"), ("RING_EVENTS", "2")]).await;
    let (mut bob, _) = house.full("bob").await;
    let start = joins(&mut bob, "general").await;
    for n in 0..10 {
        sends(&mut bob, &n.to_string()).await;
        bob.hears("ack").await;
    }
    let head = {
        let (mut eve, _) = house.full("eve").await;
        joins(&mut eve, "general").await["cursor"].as_str().unwrap().to_owned()
    };
    let other_log = format!("ffffffff:{}", head.split(':').nth(1).unwrap());
    for (cursor, reason) in [
        (start["cursor"].as_str().unwrap(), "TOO_FAR"),
        (other_log.as_str(), "OTHER_LOG"),
        ("ffffffff:1000", "AHEAD"),
    ] {
        let (mut ada, _) = house.full("ada").await;
        ada.says(json!({"type": "join", "room": "general", "cursor": cursor})).await;
        assert_eq!(ada.hears("joined").await["cursor"], head, "{reason}");
        let resync = ada.next().await;
        assert_eq!(
            (&resync["type"], &resync["reason"], &resync["cursor"]),
            (&json!("resync"), &json!(reason), &json!(head))
        );
    }
    let (mut ada, _) = house.full("ada").await;
    ada.says(json!({"type": "join", "room": "general", "cursor": "nonsense", "id": "x"})).await;
    let error = ada.hears("error").await;
    assert_eq!(
        (&error["code"], &error["field"], &error["id"]),
        (&json!("INVALID_CURSOR"), &json!("cursor"), &json!("x"))
    );
}

#[tokio::test]
async fn p5_what_is_sent_twice_is_said_once_and_in_order() {
    let house = House::open().await;
    let (mut ada, _) = house.full("ada").await;
    joins(&mut ada, "general").await;
    for n in 0..50 {
        let key = format!("key-{}", n / 2);
        let content = format!("{n}");
        ada.says(json!({"type": "message", "room": "general", "content": content, "client_message_id": key, "id": key})).await;
    }
    let (mut said, mut acks) = (Vec::new(), Vec::new());
    while acks.len() < 50 || said.len() < 25 {
        let frame = ada.next().await;
        match frame["type"].as_str() {
            Some("message") => said.push(frame["data"]["content"].as_str().unwrap().to_owned()),
            Some("ack") => acks.push(frame["seq"].as_u64().unwrap()),
            other => panic!("{other:?}: {frame}"),
        }
    }
    assert_eq!(said, (0..25).map(|n| (2 * n).to_string()).collect::<Vec<_>>());
    assert_eq!(acks, (0..50).map(|n| n / 2 + 1).collect::<Vec<u64>>());
}

#[tokio::test]
async fn a_room_that_cannot_be_joined_is_an_error_or_gone() {
    let house = House::open().await;
    let mut ada = house.browser().await;
    let rooms = json!({"general": "", "nowhere": "", "random": "nonsense"});
    ada.says(json!({"type": "hello", "version": 1, "name": "ada", "rooms": rooms, "id": "h"})).await;
    let welcome = ada.next().await;
    assert_eq!((&welcome["type"], &welcome["id"]), (&json!("welcome"), &json!("h")));
    let mut told: Vec<_> = [ada.next().await, ada.next().await, ada.next().await].into();
    told.sort_by_key(|frame| frame["room"].to_string());
    assert_eq!((&told[0]["type"], &told[0]["messages"]), (&json!("joined"), &json!([])));
    assert_eq!((&told[1]["type"], &told[1]["reason"]), (&json!("gone"), &json!("ROOM_NOT_FOUND")));
    assert_eq!((&told[2]["type"], &told[2]["reason"]), (&json!("gone"), &json!("INVALID_CURSOR")));
    ada.says(json!({"type": "join", "room": "nowhere", "id": "n"})).await;
    let error = ada.hears("error").await;
    assert_eq!((&error["code"], &error["id"]), (&json!("ROOM_NOT_FOUND"), &json!("n")));
    // A join of a room one is in replays nothing.
    let again = joins(&mut ada, "general").await;
    assert_eq!(again["messages"], json!([]));
}

#[tokio::test]
async fn p3_heartbeats_carry_the_heads_that_moved() {
    let house = House::with(&[("HEARTBEAT_SECONDS", "0.1")]).await;
    let (mut ada, _) = house.full("ada").await;
    joins(&mut ada, "general").await;
    sends(&mut ada, "hello").await;
    let said = ada.hears("message").await;
    loop {
        let beat = ada.hears("heartbeat").await;
        if beat["heads"] == json!({"general": said["cursor"]}) {
            break;
        }
        assert_eq!(beat["heads"], json!({}));
    }
    assert_eq!(ada.hears("heartbeat").await["heads"], json!({}), "told once");
    ada.says(json!({"type": "ping"})).await;
    ada.says(json!({"type": "ping", "id": "p"})).await;
    assert_eq!(ada.hears("pong").await["id"], "p");
}

#[tokio::test]
async fn p8_p9_sessions_full_together_cost_typing_then_presence_and_no_answer_or_event() {
    let house = House::open().await;
    let sixteenth = house.pools.outboxes.bound() / 16;
    let mut others = house.pools.outboxes.share(); // stands for those who take nothing
    let (mut ada, _) = house.full("ada").await;
    let (mut bob, _) = house.full("bob").await;
    joins(&mut ada, "general").await;
    joins(&mut bob, "general").await;
    ada.hears("presence").await;
    let is_told_of = |frame: &Value, name: &str| {
        let named = |list: &Value| {
            list.as_array().into_iter().flatten().any(|user| user["name"].as_str() == Some(name))
        };
        frame["type"] == "presence" && (named(&frame["joined"]) || named(&frame["users"]))
    };

    others.grow(14 * sixteenth);
    bob.says(json!({"type": "typing", "room": "general", "typing": true})).await;
    let (mut cleo, _) = house.full("cleo").await;
    joins(&mut cleo, "general").await;
    loop {
        let frame = ada.next().await;
        assert_ne!(frame["type"], "typing", "typing goes first");
        if is_told_of(&frame, "cleo") {
            break;
        }
    }

    others.grow(sixteenth);
    let (mut dan, _) = house.full("dan").await;
    joins(&mut dan, "general").await;
    for seq in 1..=20 {
        others.grow(if seq == 10 { sixteenth } else { 0 });
        sends(&mut ada, &format!("a{seq}")).await;
        let (mut is_answered, mut has_heard) = (false, false);
        while !(is_answered && has_heard) {
            let frame = ada.next().await;
            assert!(!is_told_of(&frame, "dan"), "then presence");
            is_answered |= frame["type"] == "ack"; // never these
            has_heard |= frame["type"] == "message" && frame["seq"] == seq;
        }
    }

    drop(others);
    while !is_told_of(&ada.next().await, "dan") {}
    dan.says(json!({"type": "typing", "room": "general", "typing": true})).await;
    ada.hears("typing").await;
}
