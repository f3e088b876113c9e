//! Many sockets, and one that does not read.

use futures_util::future::join_all;
use parlour_proto::v1 as proto;
use serde_json::json;

#[path = "ws/house.rs"]
#[allow(dead_code, reason = "this binary needs a part of it")]
mod house;

use house::{House, within};

const CROWD: usize = 1_000;

/// Counters are of the whole process, so these tests have a process of their own and take turns in it.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn a_message_to_a_thousand_sockets_crosses_the_relay_once() {
    let _alone = ALONE.lock().await;
    let house = House::open().await;
    let mut crowd = Vec::new();
    for chunk in (0..CROWD).collect::<Vec<_>>().chunks(50) {
        let joins = chunk.iter().map(|n| {
            let house = &house;
            async move {
                let mut browser = house.browser().await;
                browser.says(json!({"type": "join", "room": "tech", "username": format!("u{n}")})).await;
                browser.hears("user_list").await;
                browser
            }
        });
        crowd.extend(join_all(joins).await);
    }
    let before =
        (House::metric("parlour_room_relay_events_total"), House::metric("parlour_gateway_deliveries_total"));
    let send =
        proto::SendMessageRequest { room: "tech".into(), content: "all of you".into(), ..Default::default() };
    house.rpc().await.send_message(send).await.expect("sent");
    let heard = crowd.iter_mut().map(|browser| browser.hears("message"));
    for said in within("everybody hears it", join_all(heard)).await {
        assert_eq!(said["data"]["content"], "all of you");
    }
    assert_eq!(House::metric("parlour_room_relay_events_total") - before.0, 1.0);
    assert_eq!(House::metric("parlour_gateway_deliveries_total") - before.1, CROWD as f64);
}

#[tokio::test(flavor = "multi_thread")]
async fn p8_a_socket_that_takes_nothing_is_closed_and_nobody_else_notices() {
    let _alone = ALONE.lock().await;
    let house = House::with(&[("STALL_SECONDS", "1"), ("REPLAY_EVENTS", "1000000")]).await;
    let slow_before = House::metric("parlour_gateway_slow_consumers_total");
    let mut stuck = house.narrow_browser().await;
    stuck.says(json!({"type": "join", "room": "random", "username": "stuck"})).await;
    stuck.hears("user_joined").await;
    let mut ada = house.plain("random", "ada").await;
    // Each character is escaped on the wire, so that the buffers between fill soon.
    let content = "\u{1}".repeat(4_000);
    for _ in 0..5_000 {
        if House::metric("parlour_gateway_slow_consumers_total") > slow_before {
            break;
        }
        ada.says(json!({"type": "message", "room": "random", "username": "ada", "content": content})).await;
        ada.hears("message").await;
    }
    assert_eq!(House::metric("parlour_gateway_slow_consumers_total") - slow_before, 1.0);
    drop(stuck);
    ada.says(json!({"type": "message", "room": "random", "username": "ada", "content": "fine"})).await;
    assert_eq!(ada.hears("message").await["data"]["content"], "fine");
}
