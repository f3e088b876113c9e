//! The room service goes and comes back.

use serde_json::json;

use crate::house::House;

#[tokio::test]
async fn p4_sessions_of_a_lost_relay_are_closed_with_4000_and_resume_by_cursor() {
    let mut house = House::open().await;
    let (mut ada, welcome) = house.full("ada").await;
    ada.says(json!({"type": "join", "room": "general"})).await;
    ada.hears("joined").await;
    ada.says(json!({"type": "message", "room": "general", "content": "before", "id": "1"})).await;
    let said = ada.hears("message").await;
    house.stop_room().await;
    assert_eq!(ada.closes().await, 4000);

    // While the room service is away a socket is taken, and its requests wait.
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
