//! Small rules of a session that nothing else here relies on.

use parlour_proto::v1 as proto;
use serde_json::{Value, json};

use crate::house::{Browser, House};

/// Every frame up to the pong of a ping said now.
async fn settled(browser: &mut Browser) -> Vec<Value> {
    browser.says(json!({"type": "ping", "id": "settled"})).await;
    let mut frames = Vec::new();
    loop {
        let frame = browser.next().await;
        if frame["type"] == "pong" {
            return frames;
        }
        frames.push(frame);
    }
}

async fn joined(house: &House, name: &str) -> Browser {
    let (mut browser, _) = house.full(name).await;
    browser.says(json!({"type": "join", "room": "general"})).await;
    browser.hears("joined").await;
    browser
}

async fn sends(house: &House, content: &str) {
    let send =
        proto::SendMessageRequest { room: "general".into(), content: content.into(), ..Default::default() };
    house.rpc().await.send_message(send).await.expect("sent");
}

fn kinds(frames: &[Value]) -> Vec<&str> {
    frames.iter().filter_map(|frame| frame["type"].as_str()).collect()
}

#[tokio::test]
async fn who_has_left_a_room_is_told_nothing_more_of_it() {
    let house = House::open().await;
    let (mut ada, mut bob) = (joined(&house, "ada").await, joined(&house, "bob").await);
    ada.says(json!({"type": "leave", "room": "general", "id": "l"})).await;
    ada.hears("ack").await;
    sends(&house, "unheard").await;
    bob.hears("message").await;
    assert!(!kinds(&settled(&mut ada).await).contains(&"message"));
}

#[tokio::test]
async fn leave_and_typing_are_answered_only_where_they_carry_an_id() {
    let house = House::open().await;
    let mut ada = joined(&house, "ada").await;
    settled(&mut ada).await;
    ada.says(json!({"type": "typing", "room": "general", "typing": true})).await;
    ada.says(json!({"type": "typing", "room": "general", "typing": false, "id": "t"})).await;
    ada.says(json!({"type": "leave", "room": "general"})).await;
    ada.says(json!({"type": "leave", "room": "general", "id": "l"})).await;
    let frames = settled(&mut ada).await;
    let acked: Vec<_> = frames.iter().filter(|frame| frame["type"] == "ack").map(|ack| &ack["id"]).collect();
    assert_eq!(acked, [&json!("t"), &json!("l")]);
}

#[tokio::test]
async fn p11_p12_faults_in_a_row_count_unknown_frames_never_and_a_good_one_begins_anew() {
    let house = House::open().await;
    let (mut full, _) = house.full("ada").await;
    let mut plain = house.plain("general", "bob").await;
    let typing = json!({"type": "typing", "room": "general", "username": "bob"});
    for (browser, good) in [(&mut full, json!({"type": "ping"})), (&mut plain, typing)] {
        for _ in 0..12 {
            browser.says(json!({"type": "of tomorrow"})).await;
            assert_eq!(browser.hears("error").await["code"], "UNKNOWN_FRAME");
        }
        for _ in 0..2 {
            for _ in 0..9 {
                browser.says_text("{").await;
                assert_eq!(browser.hears("error").await["code"], "INVALID_FRAME");
            }
            browser.says(good.clone()).await;
        }
        for _ in 0..10 {
            browser.says_text("{").await;
        }
        assert_eq!(browser.closes().await, 4503);
    }
}

#[tokio::test]
async fn p8_joins_of_a_session_have_a_rate() {
    let house = House::open().await;
    let (mut ada, _) = house.full("ada").await;
    for n in 0..200 {
        ada.says(json!({"type": "join", "room": "general", "id": n.to_string(), "history": 0})).await;
    }
    let mut refused = 0;
    for _ in 0..200 {
        let frame = ada.next().await;
        match frame["type"].as_str() {
            Some("error") => {
                assert_eq!(frame["code"], "RATE_LIMITED");
                assert!(frame["retry_after_ms"].as_u64().is_some_and(|wait| wait > 0), "{frame}");
                refused += 1;
            }
            Some("joined") => {}
            other => panic!("{other:?}"),
        }
    }
    assert!((1..=100).contains(&refused), "{refused}");
}

#[tokio::test]
async fn p9_typing_is_thinned_out_and_plain_clients_hear_only_of_its_beginning() {
    let house = House::open().await;
    let mut ada = joined(&house, "ada").await;
    let mut bob = joined(&house, "bob").await;
    let mut plain = house.plain("general", "cyd").await;
    for _ in 0..50 {
        ada.says(json!({"type": "typing", "room": "general", "typing": true})).await;
    }
    ada.says(json!({"type": "typing", "room": "general", "typing": false})).await;
    let mut heard = Vec::new();
    loop {
        let typing = bob.hears("typing").await["typing"].clone();
        heard.push(typing.clone());
        if typing == false {
            break;
        }
    }
    assert!(heard.len() <= 4, "{heard:?}");
    bob.says(json!({"type": "typing", "room": "general", "typing": true})).await;
    let mut said = 1;
    while plain.hears("typing").await["username"] == "ada" {
        said += 1;
    }
    assert_eq!(said, heard.len(), "all but that one has stopped");
}

#[tokio::test]
async fn p7_a_monitor_is_told_counts_and_a_join_once_more_may_change_that() {
    let house = House::open().await;
    let (mut eve, _) = house.full("eve").await;
    eve.says(json!({"type": "join", "room": "general", "monitor": true})).await;
    assert_eq!(eve.hears("joined").await["count"], 0);
    let mut ada = joined(&house, "ada").await;
    let told = eve.hears("presence").await;
    assert_eq!((&told["joined"], &told["count"]), (&json!([]), &json!(1)));
    eve.says(json!({"type": "join", "room": "general"})).await;
    assert_eq!(eve.hears("joined").await["count"], 2);
    while ada.hears("presence").await["joined"][0]["name"] != "eve" {}
    let _bob = joined(&house, "bob").await;
    while eve.hears("presence").await["joined"][0]["name"] != "bob" {}
}

#[tokio::test]
async fn p8_a_page_has_a_most_and_the_rooms_of_hello_bring_none() {
    let house = House::open().await;
    for n in 0..210 {
        sends(&house, &format!("m{n}")).await;
    }
    let mut ada = house.browser().await;
    ada.says(json!({"type": "hello", "version": 1, "rooms": {"general": ""}})).await;
    let joined = ada.hears("joined").await;
    assert_eq!((&joined["messages"], &joined["more"]), (&json!([]), &json!(true)));
    ada.says(json!({"type": "history", "room": "general", "limit": 1_000})).await;
    let page = ada.hears("history").await;
    assert_eq!((page["messages"].as_array().map(Vec::len), &page["more"]), (Some(200), &json!(true)));
}

#[tokio::test]
async fn who_joins_later_is_told_the_room_as_it_is_now() {
    let house = House::open().await;
    let mut ada = joined(&house, "ada").await;
    let update = proto::UpdateRoomRequest {
        room: "general".into(),
        title: Some("Everything".into()),
        ..Default::default()
    };
    house.rpc().await.update_room(update).await.expect("changed");
    ada.hears("room_changed").await;
    let (mut bob, _) = house.full("bob").await;
    bob.says(json!({"type": "join", "room": "general"})).await;
    assert_eq!(bob.hears("joined").await["info"]["title"], "Everything");
}
