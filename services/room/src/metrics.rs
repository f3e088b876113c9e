//! Every metric of the room service.
//!
//! Owns their names and what they mean. Promises that each is described, is there from the start, and has labels of
//! closed sets only. Never counts: that is done where things happen.

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

/// Describes all of them; to be called after the recorder stands.
pub fn describe() {
    describe_gauge!("parlour_room_live_rooms", "Rooms in memory.");
    describe_counter!("parlour_room_messages_appended_total", "Messages committed, repeats aside.");
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
    let _ = counter!("parlour_room_messages_appended_total");
    let _ = counter!("parlour_room_relay_events_total");
    for stream in ["relay", "chat"] {
        let _ = counter!("parlour_room_slow_consumers_total", "stream" => stream);
        let _ = counter!("parlour_room_unknown_frames_total", "stream" => stream);
    }
    for outcome in ["healed_by_link", "healed_by_log", "dissolved", "jumped"] {
        let _ = counter!("parlour_room_gaps_total", "outcome" => outcome);
    }
    let _ = histogram!("parlour_room_append_duration_seconds");
    let _ = histogram!("parlour_room_fanout_duration_seconds");
}
