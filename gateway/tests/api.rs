//! The JSON API with a real room service behind it, over real sockets.

use std::time::Duration;

use http::header;
use parlour_chassis::address::Network;
use serde_json::json;

#[path = "api/house.rs"]
mod house;

use house::{House, Place, Running, within};

const MESSAGES: &str = "/api/rooms/general/messages";
const DEADLINE: Duration = Duration::from_secs(5);

async fn both() -> (Place, Running, House) {
    let place = Place::free().await;
    let room = place.open().await;
    let house = House::start(&place, DEADLINE).await;
    (place, room, house)
}

#[tokio::test]
async fn rooms_are_made_listed_and_found_by_name_and_id() {
    let (_place, _room, house) = both().await;
    let made =
        house.post("/api/rooms", &[], json!({"name": "tea", "title": "Tea", "topic": "and cake"})).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.headers[header::LOCATION], "/api/rooms/tea");
    assert_eq!(made.body["title"], "Tea");
    let id = made.body["id"].as_str().unwrap();
    assert_eq!(house.get(&format!("/api/rooms/{id}")).await.body, made.body);
    assert_eq!(house.get("/api/rooms/tea").await.body, made.body);

    let first = house.get("/api/rooms?page_size=3").await;
    let token = first.body["next_page_token"].as_str().unwrap();
    let second = house.get(&format!("/api/rooms?page_size=3&page_token={token}")).await;
    let names: Vec<_> = [&first, &second]
        .iter()
        .flat_map(|page| page.body["rooms"].as_array().unwrap())
        .map(|room| room["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["general", "random", "tea", "tech"]);
    assert_eq!(second.body["next_page_token"], "");

    let again = house.post("/api/rooms", &[], json!({"name": "tea"})).await;
    assert_eq!(again.problem(), (409, "ROOM_EXISTS", None));
}

#[tokio::test]
async fn a_message_is_sent_and_read_by_the_smallest_client() {
    let (_place, _room, house) = both().await;
    assert_eq!(house.get(MESSAGES).await.body, json!([]));
    let sent = house.post(MESSAGES, &[], json!({"content": "<b>hi</b> \u{1f600}", "username": "Ada"})).await;
    assert_eq!(sent.status, 201, "{sent:?}");
    assert_eq!((&sent.body["username"], &sent.body["user"]["guest"]), (&json!("Ada"), &json!(true)));
    let reply = house.post(MESSAGES, &[], json!({"content": "ho", "reply_to": 1, "colour": "red"})).await;
    assert_eq!((&reply.body["reply_to"], &reply.body["username"]), (&json!(1), &json!("Guest")));

    let page = house.get(MESSAGES).await;
    assert_eq!(page.body, json!([sent.body, reply.body]));
    let (clock, created_at) =
        (page.body[0]["timestamp"].as_str().unwrap(), page.body[0]["created_at"].as_str().unwrap());
    assert_eq!(clock, &created_at[11..16]);
    assert!(created_at.ends_with('Z'));

    let stats = house.get("/api/rooms/general/stats").await;
    assert_eq!(
        stats.body,
        json!({"name": "general", "message_count": 2, "online": 0, "last_message_at": reply.body["created_at"]})
    );
    assert_eq!(house.get("/api/rooms/general/presence").await.body, json!({"users": [], "count": 0}));
}

#[tokio::test]
async fn p5_a_repeated_key_is_answered_as_its_first_use() {
    let (_place, _room, house) = both().await;
    let key = [("idempotency-key", "once")];
    let first = house.post(MESSAGES, &key, json!({"content": "one"})).await;
    let again = house.post(MESSAGES, &key, json!({"content": "two"})).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 201));
    assert_eq!(first.body, again.body);
    assert_eq!(first.body["client_message_id"], "once");
    assert_eq!(house.get(MESSAGES).await.ids(), [1]);

    let first = house.post("/api/rooms", &key, json!({"name": "tea"})).await;
    let again = house.post("/api/rooms", &key, json!({"name": "tea"})).await;
    assert_eq!((again.status.as_u16(), first.body), (201, again.body));
}

#[tokio::test]
async fn p11_what_the_room_service_refuses_says_why() {
    let (_place, _room, house) = both().await;
    let nowhere = "/api/rooms/nowhere/messages";
    let long = "x".repeat(4_001);
    for (path, body, expected) in [
        (nowhere, json!({"content": "hi"}), (404, "ROOM_NOT_FOUND", None)),
        (MESSAGES, json!({"content": " \n"}), (400, "INVALID_CONTENT", Some("content"))),
        (MESSAGES, json!({"content": long}), (400, "INVALID_CONTENT", Some("content"))),
        (MESSAGES, json!({"content": "a\u{0}b"}), (400, "INVALID_CONTENT", Some("content"))),
        (MESSAGES, json!({"content": "x", "username": "<b>"}), (400, "INVALID_NAME", Some("username"))),
        (MESSAGES, json!({"username": "Ada"}), (400, "MISSING_FIELD", Some("content"))),
        ("/api/rooms", json!({"title": "x"}), (400, "MISSING_FIELD", Some("name"))),
        ("/api/rooms", json!({"name": "No Slug"}), (400, "INVALID_FIELD", Some("name"))),
    ] {
        assert_eq!(house.post(path, &[], body.clone()).await.problem(), expected, "{path} {body:.60}");
    }
    for path in ["/api/rooms/nowhere", nowhere, "/api/rooms/nowhere/stats", "/api/rooms/nowhere/presence"] {
        assert_eq!(house.get(path).await.problem(), (404, "ROOM_NOT_FOUND", None), "{path}");
    }
    assert_eq!(house.get("/api/rooms?page_token=nonsense").await.status, 400);
    assert_eq!(house.get(MESSAGES).await.body, json!([]), "nothing was written");
}

#[tokio::test]
async fn pages_lead_to_each_other_both_ways() {
    let (_place, _room, house) = both().await;
    for n in 1..=7 {
        assert_eq!(house.post(MESSAGES, &[], json!({"content": n.to_string()})).await.status, 201);
    }
    let newest = house.get(&format!("{MESSAGES}?limit=3")).await;
    assert_eq!((newest.ids(), newest.link("prev")), (vec![5, 6, 7], None));
    let older = house.get(&newest.link("next").unwrap()).await;
    assert_eq!(older.ids(), [2, 3, 4]);
    let oldest = house.get(&older.link("next").unwrap()).await;
    assert_eq!((oldest.ids(), oldest.link("next")), (vec![1], None));

    let back = house.get(&oldest.link("prev").unwrap()).await;
    assert_eq!(back.ids(), [2, 3, 4]);
    let on = house.get(&back.link("next").unwrap()).await;
    assert_eq!((on.ids(), on.link("next")), (vec![5, 6, 7], None));
    assert_eq!(house.get(&on.link("prev").unwrap()).await.ids(), [2, 3, 4]);
    assert_eq!(house.get(&format!("{MESSAGES}?limit=100000")).await.ids().len(), 7);
    assert_eq!(house.get(&format!("{MESSAGES}?limit=0")).await.ids().len(), 7);
}

#[tokio::test]
async fn a_foreign_page_posts_nothing() {
    let (_place, _room, house) = both().await;
    let foreign = [("origin", "https://evil.example")];
    let refused = house.post(MESSAGES, &foreign, json!({"content": "x"})).await;
    assert_eq!(refused.problem(), (403, "FORBIDDEN", None));
    assert_eq!(house.get(MESSAGES).await.body, json!([]));
    let own = format!("http://{}", house.address);
    assert_eq!(house.post(MESSAGES, &[("origin", &own)], json!({"content": "x"})).await.status, 201);
}

/// P8, P11: who calls without credentials is a new guest each time, but not from a new address.
#[tokio::test]
async fn p8_sends_and_rooms_of_one_address_are_limited() {
    let place = Place::free().await;
    let _room = place.open().await;
    let house = House::with(&place, |config| {
        config.trusted_proxies = vec![Network::parse("127.0.0.0/8").unwrap()];
        (config.limits.send_rate, config.limits.send_burst) = (0.001, 2);
    })
    .await;
    let (ada, bob) = ([("x-forwarded-for", "6.6.6.6, 203.0.113.7")], [("x-forwarded-for", "203.0.113.8")]);
    for name in ["tea", "cake"] {
        assert_eq!(house.post("/api/rooms", &ada, json!({"name": name})).await.status, 201);
    }
    let refused = house.post("/api/rooms", &ada, json!({"name": "jam"})).await;
    assert_eq!(refused.problem(), (429, "RATE_LIMITED", None));
    for _ in 3..40 {
        assert_eq!(house.post(MESSAGES, &ada, json!({"content": "x"})).await.status, 201);
    }
    let refused = house.post(MESSAGES, &ada, json!({"content": "x"})).await;
    assert_eq!(refused.problem(), (429, "RATE_LIMITED", None));
    let wait: u64 = refused.headers[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!((10..=50).contains(&wait), "{wait}");
    assert!(refused.body["retry_after_ms"].as_u64().unwrap().div_ceil(1_000) == wait, "{refused:?}");
    assert_eq!(house.post(MESSAGES, &bob, json!({"content": "x"})).await.status, 201);
    assert_eq!(house.post("/api/rooms", &bob, json!({"name": "jam"})).await.status, 201);
    assert_eq!(house.get(MESSAGES).await.status, 200, "reading is not counted");
    for _ in 0..50 {
        let here = house.post(MESSAGES, &[], json!({"content": "x"})).await;
        assert_eq!(here.status, 201, "this machine is not counted: {here:?}");
    }
}

/// Nobody escapes, or is made to pay for another, by a header that nobody trusted has written.
#[tokio::test]
async fn a_header_of_who_is_not_trusted_is_not_believed() {
    let place = Place::free().await;
    let _room = place.open().await;
    let house = House::with(&place, |config| {
        config.trusted_proxies = vec![Network::parse("192.0.2.0/24").unwrap()];
        (config.limits.send_rate, config.limits.send_burst) = (0.001, 1);
    })
    .await;
    for _ in 0..30 {
        let sent = house.post(MESSAGES, &[("x-forwarded-for", "203.0.113.7")], json!({"content": "x"})).await;
        assert_eq!(sent.status, 201, "{sent:?}");
    }
}

#[tokio::test]
async fn a_request_waits_for_a_room_service_that_comes_in_time() {
    let place = Place::free().await;
    let house = House::start(&place, Duration::from_secs(15)).await;
    let (answer, _room) = tokio::join!(house.get("/api/rooms"), place.open());
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn a_room_service_that_is_away_is_said_with_a_wait_and_found_again() {
    let place = Place::free().await;
    let room = place.open().await;
    let house = House::start(&place, Duration::from_millis(300)).await;
    assert_eq!(house.post(MESSAGES, &[], json!({"content": "before"})).await.status, 201);
    room.stop().await;
    let away = house.post(MESSAGES, &[], json!({"content": "meanwhile"})).await;
    assert_eq!(away.problem(), (503, "UNAVAILABLE", None));
    assert_eq!(away.headers[header::RETRY_AFTER], "1");
    assert_eq!(away.body["retry_after_ms"], 1000);
    let _room = place.open().await;
    within(async { while house.get(MESSAGES).await.status != 200 {} }).await;
    assert_eq!(house.get(MESSAGES).await.ids(), [1]);
}

#[tokio::test]
async fn p10_a_drain_ends_idle_connections_and_the_gateway() {
    let (_place, _room, house) = both().await;
    assert_eq!(house.get("/rooms/").await.status, 404, "this connection is kept");
    let address = house.address;
    within(house.stop()).await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens");
}
