//! The room service goes and comes back.

use serde_json::json;

use crate::house::House;

#[tokio::test]
async fn p10_a_restarted_room_service_is_not_noticed_but_as_delay() {
    let mut house = House::open().await;
    let (mut ada, _) = house.full("ada").await;
    ada.says(json!({"type": "join", "room": "general"})).await;
    ada.hears("joined").await;
    let mut bob = house.plain("general", "bob").await;
    let told = ada.hears("presence").await;
    assert_eq!((&told["joined"][0]["name"], &told["count"]), (&json!("bob"), &json!(2)));
    ada.says(json!({"type": "message", "room": "general", "content": "before", "id": "1"})).await;
    for _ in ["its ack", "the message"] {
        assert_eq!(ada.next().await["seq"], 1);
    }
    house.stop_room().await;
    bob.says(json!({"type": "message", "room": "general", "username": "bob", "content": "meanwhile"})).await;
    ada.says(json!({"type": "message", "room": "general", "content": "also", "id": "2"})).await;
    house.start_room().await;
    ada.says(json!({"type": "message", "room": "general", "content": "after", "id": "3"})).await;
    let (mut heard, mut acked) = (Vec::new(), Vec::new());
    while heard.len() < 3 || acked.len() < 2 {
        let frame = ada.next().await;
        match frame["type"].as_str() {
            Some("message") => heard.push((frame["seq"].as_u64(), frame["data"]["user"]["name"].clone())),
            Some("ack") => acked.push(frame["seq"].as_u64()),
            other => panic!("only messages and acks were expected, nobody came or left: {other:?}"),
        }
    }
    assert_eq!(heard.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [Some(2), Some(3), Some(4)]);
    assert_eq!(heard.iter().filter(|(_, name)| name == "bob").count(), 1);
    assert!(acked.is_sorted(), "in the order sent: {acked:?}");
    for content in ["before", "meanwhile", "also", "after"] {
        let seen = bob.next().await;
        assert_eq!(seen["type"], "message", "{content}: {seen}");
    }
    let mut carl = house.plain("general", "carl").await;
    let told = ada.hears("presence").await;
    assert_eq!((&told["joined"][0]["name"], &told["count"]), (&json!("carl"), &json!(3)));
    // Only now: typing is a courtesy (P9), and whoever has yet to be told of the other may miss it.
    carl.says(json!({"type": "typing", "room": "general", "username": "carl"})).await;
    assert_eq!(ada.hears("typing").await["user"]["name"], "carl");
}

#[tokio::test]
async fn p4_a_session_that_opens_while_the_room_service_is_away_resumes_when_it_is_back() {
    let mut house = House::open().await;
    let (mut ada, welcome) = house.full("ada").await;
    ada.says(json!({"type": "join", "room": "general"})).await;
    ada.hears("joined").await;
    ada.says(json!({"type": "message", "room": "general", "content": "before", "id": "1"})).await;
    let said = ada.hears("message").await;
    ada.leaves().await;
    house.stop_room().await;

    let mut again = house.browser().await;
    let rooms = json!({"general": said["cursor"]});
    again
        .says(json!({"type": "hello", "version": 1, "guest_token": welcome["guest_token"], "rooms": rooms}))
        .await;
    house.start_room().await;
    assert_eq!(again.next().await["user"]["id"], welcome["user"]["id"]);
    assert_eq!(again.hears("joined").await["cursor"], said["cursor"]);
    again.says(json!({"type": "message", "room": "general", "content": "after", "id": "2"})).await;
    let said = again.hears("message").await;
    assert_eq!((&said["data"]["content"], &said["seq"]), (&json!("after"), &json!(2)));
}

#[tokio::test]
async fn p5_a_request_waits_no_longer_than_its_deadline() {
    let mut house = House::with(&[("REQUEST_SECONDS", "0.5")]).await;
    house.stop_room().await;
    let mut ada = house.browser().await;
    ada.says(json!({"type": "message", "room": "general", "username": "ada", "content": "anyone?"})).await;
    let error = ada.hears("error").await;
    assert_eq!((&error["code"], &error["room"]), (&json!("UNAVAILABLE"), &json!("general")));
    assert!(error["retry_after_ms"].as_u64().unwrap() > 0);
    for _ in 0..64 {
        ada.says(json!({"type": "message", "room": "general", "username": "ada", "content": "anyone?"}))
            .await;
    }
    for _ in 0..64 {
        assert_eq!(ada.hears("error").await["code"], "UNAVAILABLE");
    }
    house.start_room().await;
    ada.says(json!({"type": "join", "room": "general", "username": "ada"})).await;
    assert!(matches!(ada.next().await["type"].as_str(), Some("user_list" | "error")));
}

#[tokio::test]
async fn p5_a_plain_clients_send_waits_for_the_next_relay_though_its_socket_has_closed() {
    let mut house = House::open().await;
    house.stop_room().await;
    let mut ada = house.browser().await;
    ada.says(json!({"type": "message", "room": "general", "username": "ada", "content": "kept"})).await;
    ada.leaves().await;
    house.start_room().await;
    let mut bob = house.plain("general", "bob").await;
    let (mut carl, _) = house.full("carl").await;
    carl.says(json!({"type": "join", "room": "general"})).await;
    let joined = carl.hears("joined").await;
    let content = match joined["messages"][0]["content"].as_str() {
        Some(content) => content.to_owned(),
        None => bob.hears("message").await["data"]["content"].as_str().unwrap().to_owned(),
    };
    assert_eq!(content, "kept");
}
