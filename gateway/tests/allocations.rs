//! What the gateway allocates while an event goes to everybody in a room (P8).
//!
//! The gateway has this thread to itself, so that what it allocates can be told from what the room service and the
//! browsers do, which are in this process too.

use std::alloc::System;

use alloc_tracker::{Allocator, Session};
use futures_util::future::join_all;
use parlour_proto::v1::{self as proto, room_service_client::RoomServiceClient};
use serde_json::json;
use tokio::runtime::Builder;
use tonic::transport::Channel;

#[path = "ws/house.rs"]
#[allow(dead_code, reason = "this binary needs a part of it")]
mod house;

use house::{Browser, House, within};

#[global_allocator]
static ALLOCATOR: Allocator<System> = Allocator::system();

/// What the time brings, a sign of life or the last of presence, is not in every one of so many rounds of events.
const ROUNDS: u64 = 5;
const EVENTS: u64 = 20;
/// What one event may cost the gateway, whoever hears it.
const AN_EVENT: u64 = 30;
/// What it may cost more where ten times as many hear it: a list of them grows.
const A_LIST: u64 = 5;

/// Browsers of one gateway, all in one room.
struct Crowd {
    room: &'static str,
    browsers: Vec<Browser>,
    rpc: RoomServiceClient<Channel>,
}

impl Crowd {
    /// Everybody knows of everybody: nothing more is to be told of presence.
    async fn gather(
        gateway: std::net::SocketAddr,
        rpc: RoomServiceClient<Channel>,
        room: &'static str,
        size: u64,
    ) -> Self {
        let joins = async |n: u64| {
            let mut browser = Browser::at(gateway).await;
            browser.says(json!({"type": "hello", "version": 1, "name": format!("u{n}")})).await;
            browser.says(json!({"type": "join", "room": room})).await;
            let joined = browser.hears("joined").await;
            (browser, joined["count"].as_u64())
        };
        let mut joined = Vec::new();
        for first in (0..size).step_by(50) {
            joined.extend(join_all((first..size.min(first + 50)).map(joins)).await);
        }
        let hears_of_all = joined.into_iter().map(async |(mut browser, mut count)| {
            while count != Some(size) {
                count = browser.hears("presence").await["count"].as_u64();
            }
            browser
        });
        let browsers = within("everybody knows of everybody", join_all(hears_of_all)).await;
        Self { room, browsers, rpc }
    }

    /// Something is said, and everybody hears it, so often.
    async fn hears(mut self, events: u64) -> Self {
        for _ in 0..events {
            let (room, content) = (self.room.to_owned(), "to all of you".to_owned());
            let message = proto::SendMessageRequest { room, content, ..Default::default() };
            within("it is said", self.rpc.send_message(message)).await.expect("it is said");
            for browser in &mut self.browsers {
                browser.hears("message").await;
            }
        }
        self
    }
}

/// What this thread allocates meanwhile.
fn allocations(work: impl FnOnce()) -> u64 {
    let session = Session::new().no_stdout().no_file();
    let span = session.operation("work").measure_thread().iterations(1);
    work();
    drop(span);
    session.to_report().operations().map(|(_, work)| work.total_allocations_count()).sum()
}

#[test]
fn p8_the_gateway_allocates_nothing_for_a_delivery() {
    let others = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let this = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let settings = [("HEARTBEAT_SECONDS", "600"), ("HEARTBEAT_LOST_SECONDS", "1800")];
    let house = others.block_on(House::with(&settings));
    let (gateway, _stop) = this.block_on(house.another_gateway());
    let an_event = |room, size| {
        let rpc = others.block_on(house.rpc());
        let gathering = others.spawn(Crowd::gather(gateway, rpc, room, size));
        let crowd = this.block_on(gathering).expect("a crowd");
        let mut crowd = Some(this.block_on(others.spawn(crowd.hears(5))).expect("a crowd"));
        let rounds = (0..ROUNDS).map(|_| {
            let hearing = others.spawn(crowd.take().expect("a crowd").hears(EVENTS));
            allocations(|| crowd = this.block_on(hearing).ok()) / EVENTS
        });
        let least = rounds.min().expect("a round");
        println!("an event to {size}: {least} allocations");
        (least, crowd)
    };
    // The hundred stay, so that their leaving is none of the thousand's.
    let (hundred, _stay) = an_event("random", 100);
    let (thousand, _) = an_event("general", 1_000);
    assert!((1..=AN_EVENT).contains(&hundred), "{hundred} allocations for an event");
    assert!(thousand <= hundred + A_LIST, "{thousand} for one to a thousand, {hundred} to a hundred");
}
