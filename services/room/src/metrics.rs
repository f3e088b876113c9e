//! Every metric of the room service.
//!
//! Owns their names and what they mean. Promises that each is described, is there from the start, and has labels of
//! closed sets only. Never counts: that is done where things happen; only what pools hold is looked up here.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use parlour_feed::Pools;
use tokio_util::sync::CancellationToken;

/// How often what pools hold is looked up.
const EVERY: Duration = Duration::from_secs(1);

/// Describes all of them; to be called after the recorder stands.
pub fn describe() {
    describe_gauge!("parlour_room_live_rooms", "Rooms in memory.");
    describe_gauge!("parlour_room_ring_bytes", Unit::Bytes, "What the rings of all rooms hold.");
    describe_gauge!("parlour_room_page_bytes", Unit::Bytes, "What the readers' pages of all rooms hold.");
    describe_gauge!("parlour_room_outbox_bytes", Unit::Bytes, "What the outboxes of all streams hold.");
    describe_counter!("parlour_room_messages_appended_total", "Messages committed, repeats aside.");
    describe_counter!("parlour_room_store_pages_read_total", "Pages of events read from the store.");
    describe_counter!("parlour_room_relay_events_total", "Events handed to gateways, once a gateway.");
    describe_counter!(
        "parlour_room_slow_consumers_total",
        "Streams ended because their peer took nothing for too long, by stream: relay, chat."
    );
    describe_counter!(
        "parlour_room_gaps_total",
        "Gaps found in rooms' feeds, by outcome: healed_by_link, healed_by_log, dissolved, jumped."
    );
    describe_counter!(
        "parlour_room_unknown_frames_total",
        "Frames of a kind that is not known here, by stream: relay, chat."
    );
    describe_counter!(
        "parlour_room_address_refusals_total",
        "Requests refused because of all that came from their address, by what: send, room, stream."
    );
    describe_histogram!(
        "parlour_room_append_duration_seconds",
        Unit::Seconds,
        "From a draft's arrival at its writer to its commit."
    );
    describe_histogram!(
        "parlour_room_fanout_duration_seconds",
        Unit::Seconds,
        "From an event's commit to its leaving for a reader's stream."
    );
    begin();
}

/// Makes each be there before anything has happened: a rate over what begins with its first count misses that one.
fn begin() {
    let _ = gauge!("parlour_room_live_rooms");
    for pool in ["parlour_room_ring_bytes", "parlour_room_page_bytes", "parlour_room_outbox_bytes"] {
        let _ = gauge!(pool);
    }
    let _ = counter!("parlour_room_messages_appended_total");
    let _ = counter!("parlour_room_store_pages_read_total");
    let _ = counter!("parlour_room_relay_events_total");
    for stream in ["relay", "chat"] {
        let _ = counter!("parlour_room_slow_consumers_total", "stream" => stream);
        let _ = counter!("parlour_room_unknown_frames_total", "stream" => stream);
    }
    for outcome in ["healed_by_link", "healed_by_log", "dissolved", "jumped"] {
        let _ = counter!("parlour_room_gaps_total", "outcome" => outcome);
    }
    for what in ["send", "room", "stream"] {
        let _ = counter!("parlour_room_address_refusals_total", "what" => what);
    }
    let _ = histogram!("parlour_room_append_duration_seconds");
    let _ = histogram!("parlour_room_fanout_duration_seconds");
}

/// Tells what all rooms and streams hold, until the drain.
pub(crate) async fn watch(pools: Pools, drain: CancellationToken) {
    let gauges = [
        (pools.rings, gauge!("parlour_room_ring_bytes")),
        (pools.pages, gauge!("parlour_room_page_bytes")),
        (pools.outboxes, gauge!("parlour_room_outbox_bytes")),
    ];
    let mut every = tokio::time::interval(EVERY);
    while drain.run_until_cancelled(every.tick()).await.is_some() {
        for (pool, gauge) in &gauges {
            gauge.set(pool.bytes() as f64);
        }
    }
}
