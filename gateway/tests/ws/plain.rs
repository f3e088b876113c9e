//! The plain dialect, as the smallest client there is speaks it.

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::house::House;

#[tokio::test]
async fn a_plain_client_chats_as_the_table_says() {
    let house = House::open().await;
    let mut ada = house.browser().await;
    ada.says(json!({"type": "join", "room": "general", "username": "ada"})).await;
    let list = ada.next().await;
    assert_eq!((&list["type"], &list["users"]), (&json!("user_list"), &json!(["ada"])));
    let joined = ada.next().await;
    assert_eq!(
        (&joined["type"], &joined["username"], &joined["users"]),
        (&json!("user_joined"), &json!("ada"), &json!(["ada"]))
    );

    let mut bob = house.plain("general", "bob").await;
    let joined = ada.hears("user_joined").await;
    assert_eq!((&joined["username"], &joined["users"]), (&json!("bob"), &json!(["ada", "bob"])));
    assert_eq!(joined["room"], "general");

    bob.says(json!({"type": "typing", "room": "general", "username": "bob"})).await;
    assert_eq!(ada.hears("typing").await["username"], "bob");
    bob.says(json!({"type": "message", "room": "general", "username": "bob", "content": "hello"})).await;
    for browser in [&mut ada, &mut bob] {
        let said = browser.next().await;
        assert_eq!((&said["type"], &said["room"]), (&json!("message"), &json!("general")));
        assert_eq!((&said["data"]["username"], &said["data"]["content"]), (&json!("bob"), &json!("hello")));
        let clock = said["data"]["timestamp"].as_str().unwrap();
        assert!(clock.len() == 5 && clock.as_bytes()[2] == b':', "{clock}");
        assert!(said["data"]["created_at"].as_str().unwrap().ends_with('Z'));
    }

    bob.leaves().await;
    let left = ada.hears("user_left").await;
    assert_eq!((&left["username"], &left["users"]), (&json!("bob"), &json!(["ada"])));
}

#[tokio::test]
async fn p7_two_tabs_with_one_name_are_one_user() {
    let house = House::open().await;
    let mut ada = house.plain("general", "ada").await;
    let first = house.plain("general", "bob").await;
    assert_eq!(ada.hears("user_joined").await["username"], "bob");
    let second = house.plain("general", "bob").await;
    first.leaves().await;
    // Nothing is told of the second tab's coming or the first one's going: the next thing is the message.
    let mut carl = house.plain("random", "carl").await;
    carl.says(json!({"type": "message", "room": "general", "username": "carl", "content": "from outside"}))
        .await;
    assert_eq!(ada.next().await["data"]["content"], "from outside");
    second.leaves().await;
    assert_eq!(ada.hears("user_left").await["username"], "bob");
}

#[tokio::test]
async fn a_second_join_renames() {
    let house = House::open().await;
    let mut ada = house.plain("general", "ada").await;
    let mut bob = house.plain("general", "bob").await;
    ada.hears("user_joined").await;
    bob.says(json!({"type": "join", "room": "general", "username": "rob"})).await;
    assert_eq!(bob.hears("user_list").await["users"], json!(["ada", "rob"]));
    assert_eq!(bob.hears("user_joined").await["username"], "rob");
    let mut told = [ada.next().await, ada.next().await];
    told.sort_by_key(|frame| frame["type"].to_string());
    assert_eq!((&told[0]["type"], &told[0]["username"]), (&json!("user_joined"), &json!("rob")));
    assert_eq!((&told[1]["type"], &told[1]["username"]), (&json!("user_left"), &json!("bob")));
}

#[tokio::test]
async fn a_monitor_hears_messages_without_being_present() {
    let house = House::open().await;
    let mut ada = house.plain("general", "ada").await;
    let mut eye = house.browser().await;
    eye.says(json!({"type": "join", "room": "general", "username": "eye", "monitor": true})).await;
    assert_eq!(eye.next().await["users"], json!(["ada"]));
    ada.says(json!({"type": "message", "room": "general", "username": "ada", "content": "seen?"})).await;
    assert_eq!(eye.hears("message").await["data"]["content"], "seen?");
    assert_eq!(ada.next().await["type"], "message", "nobody came");
}

#[tokio::test]
async fn p11_bad_input_is_a_typed_error_and_the_socket_lives() {
    let house = House::open().await;
    let mut ada = house.plain("general", "ada").await;
    let long = "x".repeat(4_001);
    let refused = [
        (
            json!({"type": "message", "room": "general", "username": "ada", "content": "  "}),
            "INVALID_CONTENT",
        ),
        (
            json!({"type": "message", "room": "general", "username": "ada", "content": long}),
            "INVALID_CONTENT",
        ),
        (
            json!({"type": "message", "room": "general", "username": "ada", "content": "a\u{0}b"}),
            "INVALID_CONTENT",
        ),
        (json!({"type": "message", "room": "nowhere", "username": "ada", "content": "x"}), "ROOM_NOT_FOUND"),
        (json!({"type": "message", "room": "general", "username": "<b>", "content": "x"}), "INVALID_NAME"),
        (json!({"type": "join", "room": "nowhere", "username": "ada"}), "ROOM_NOT_FOUND"),
        (json!({"type": "join", "room": "general", "username": "x".repeat(65)}), "INVALID_NAME"),
        (json!({"type": "join", "room": "RAAAAAAAAAAAAAAAAAAAAAAAAAA", "username": "ada"}), "ROOM_NOT_FOUND"),
        (json!({"type": "dance"}), "UNKNOWN_FRAME"),
        (json!([1]), "INVALID_FRAME"),
        (json!({"type": "join"}), "MISSING_FIELD"),
    ];
    for (frame, code) in refused {
        ada.says(frame.clone()).await;
        let error = ada.hears("error").await;
        assert_eq!(error["code"], code, "{frame}");
        assert!(error["message"].as_str().is_some_and(|sentence| !sentence.is_empty()));
    }
    ada.says_text("{nonsense").await;
    assert_eq!(ada.hears("error").await["code"], "INVALID_FRAME");
    ada.sends(Message::binary(vec![0xff])).await;
    assert_eq!(ada.hears("error").await["code"], "INVALID_FRAME");
    ada.says(json!({"type": "message", "room": "general", "username": "ada", "content": "still here"})).await;
    assert_eq!(ada.hears("message").await["data"]["content"], "still here");
}

#[tokio::test]
async fn a_room_is_joined_by_its_id_too() {
    let house = House::open().await;
    let request = parlour_proto::v1::GetRoomRequest { room: "general".into() };
    let room = house.rpc().await.get_room(request).await.unwrap().into_inner().room.unwrap();
    let mut ada = house.browser().await;
    ada.says(json!({"type": "join", "room": room.id, "username": "ada"})).await;
    ada.says(json!({"type": "message", "room": room.id, "username": "ada", "content": "by id"})).await;
    assert_eq!(ada.hears("user_joined").await["room"], "general");
    assert_eq!(ada.hears("message").await["room"], "general");
}
