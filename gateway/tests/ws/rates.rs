//! What one address may do through sockets. Addresses are feigned, as a proxy that is trusted would forward them.

use serde_json::{Value, json};

use crate::house::{Browser, House};

/// 20 times these: 60 sends at once, then one in 50 s.
const SLOW: [(&str, &str); 3] =
    [("TRUSTED_PROXIES", "127.0.0.1"), ("SEND_RATE", "0.001"), ("SEND_BURST", "3")];

async fn sends(browser: &mut Browser, n: usize) -> Value {
    let content = format!("m{n}");
    browser.says(json!({"type": "message", "id": "m", "room": "general", "content": content})).await;
    loop {
        let frame = browser.next().await;
        if frame["type"] == "ack" || frame["type"] == "error" {
            return frame;
        }
    }
}

async fn full(house: &House, forwarded: &str) -> Browser {
    let mut browser = house.browser_from(forwarded).await.expect("a socket");
    browser.says(json!({"type": "hello", "version": 1, "rooms": {"general": ""}})).await;
    browser.hears("joined").await;
    browser
}

async fn sends_plainly(browser: &mut Browser, n: usize) -> Value {
    let content = format!("p{n}");
    let frame = json!({"type": "message", "room": "general", "username": "u", "content": content});
    browser.says(frame).await;
    loop {
        let frame = browser.next().await;
        if frame["type"] == "error" || frame["data"]["content"] == json!(content) {
            return frame;
        }
    }
}

async fn plain(house: &House, forwarded: &str) -> Browser {
    let mut browser = house.browser_from(forwarded).await.expect("a socket");
    browser.says(json!({"type": "join", "room": "general", "username": "u"})).await;
    browser.hears("user_list").await;
    browser
}

/// P8, P11: sessions of one address have a rate together, in both dialects, whatever stands left of the address.
#[tokio::test]
async fn p8_sends_of_one_address_are_limited_however_many_sessions_it_opens() {
    let house = House::with(&SLOW).await;
    for session in 0..10 {
        let mut ada = full(&house, "203.0.113.7").await;
        let mut bob = plain(&house, &format!("198.51.100.{session}, 203.0.113.7")).await;
        for n in 0..3 {
            assert_eq!(sends(&mut ada, n).await["type"], "ack");
            assert_eq!(sends_plainly(&mut bob, n + 10 * session).await["type"], "message");
        }
    }
    let mut ada = full(&house, "203.0.113.7").await;
    let mut bob = plain(&house, "203.0.113.7").await;
    for refused in [sends(&mut ada, 0).await, sends_plainly(&mut bob, 0).await] {
        assert_eq!(refused["code"], "RATE_LIMITED", "{refused}");
        let wait = refused["retry_after_ms"].as_u64().expect("how long");
        assert!((10_000..=50_000).contains(&wait), "{wait}");
    }
    let mut others = full(&house, "203.0.113.8").await;
    assert_eq!(sends(&mut others, 0).await["type"], "ack");
    let (mut here, _) = house.full("Ada").await;
    assert_eq!(sends(&mut here, 0).await["type"], "ack", "this machine is not counted");
}

#[tokio::test]
async fn an_address_has_no_send_rate_where_users_have_none() {
    let house = House::with(&[("TRUSTED_PROXIES", "127.0.0.0/8"), ("SEND_RATE", "0")]).await;
    let mut ada = full(&house, "203.0.113.7").await;
    for n in 0..500 {
        assert_eq!(sends(&mut ada, n).await["type"], "ack");
    }
}

/// P8: more than that many new sockets of one address are refused before they open; those of others are not.
#[tokio::test]
async fn p8_connections_of_one_address_are_limited() {
    let house = House::with(&[("TRUSTED_PROXIES", "127.0.0.1")]).await;
    let mut opened = 0;
    let refused = loop {
        // One network of IPv6 is one address.
        match house.browser_from(&format!("[2001:db8::{opened:x}]:4711")).await {
            Ok(_) => opened += 1,
            Err(refused) => break refused,
        }
        assert!(opened < 10_000, "none is refused");
    };
    assert!(opened >= 1_000, "{opened} came in at once");
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    let problem: Value = serde_json::from_slice(refused.body().as_deref().unwrap_or_default()).expect("JSON");
    assert_eq!(problem["code"], "RATE_LIMITED", "{problem}");
    assert!(problem["retry_after_ms"].as_u64().is_some_and(|wait| (1..=20).contains(&wait)), "{problem}");
    assert!(House::metric("parlour_gateway_address_refusals_total") >= 1.0);
    full(&house, "2001:db8:0:1::1").await;
    house.full("Ada").await;
}
