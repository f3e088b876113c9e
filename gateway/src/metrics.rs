//! Metrics.
//!
//! Owns the name, meaning and labels of every metric of the gateway. Promises labels of closed sets, and that each metric
//! is there from the start, but for those of requests. Never labels by room, user or session.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use parlour_feed::Pools;
use tokio_util::sync::CancellationToken;

/// Browsers' sessions that are open.
pub const SESSIONS: &str = "parlour_gateway_sessions";
/// Browsers' connections that are open, those that became sessions included.
pub const CONNECTIONS: &str = "parlour_gateway_connections";
/// What the rings of all rooms hold.
pub const RING_BYTES: &str = "parlour_gateway_ring_bytes";
/// What the readers' pages of all rooms hold.
pub const PAGE_BYTES: &str = "parlour_gateway_page_bytes";
/// What waits to be written to all sessions.
pub const OUTBOX_BYTES: &str = "parlour_gateway_outbox_bytes";
/// Room events handed to sessions.
pub const DELIVERIES: &str = "parlour_gateway_deliveries_total";
/// Sessions closed because they took nothing, or fell too far behind.
pub const SLOW_CONSUMERS: &str = "parlour_gateway_slow_consumers_total";
/// Gaps in rooms' feeds, by `outcome`.
pub const GAPS: &str = "parlour_gateway_gaps_total";
/// What was refused because of all that came from its address, by `what`.
pub const ADDRESS_REFUSALS: &str = "parlour_gateway_address_refusals_total";
/// How long HTTP requests took, by `method`, `route` and `status`.
pub const REQUEST_DURATION: &str = "http_server_request_duration_seconds";

/// How often what pools hold is looked up.
const EVERY: Duration = Duration::from_secs(1);

/// Describes every metric of the gateway.
pub fn describe() {
    describe_gauge!(SESSIONS, "browsers' sessions that are open");
    describe_gauge!(CONNECTIONS, "browsers' connections that are open, sessions included");
    describe_gauge!(RING_BYTES, Unit::Bytes, "what the rings of all rooms hold");
    describe_gauge!(PAGE_BYTES, Unit::Bytes, "what the readers' pages of all rooms hold");
    describe_gauge!(OUTBOX_BYTES, Unit::Bytes, "what waits to be written to all sessions");
    describe_counter!(DELIVERIES, "room events handed to sessions");
    describe_counter!(SLOW_CONSUMERS, "sessions closed because they took nothing or fell too far behind");
    describe_counter!(GAPS, "gaps in rooms' feeds, by outcome");
    describe_counter!(
        ADDRESS_REFUSALS,
        "what was refused because of all that came from its address, by what: connection, send, room"
    );
    describe_histogram!(REQUEST_DURATION, Unit::Seconds, "how long HTTP requests took");
    begin();
}

/// Makes each be there before anything has happened: a rate over what begins with its first count misses that one.
fn begin() {
    for pool in [RING_BYTES, PAGE_BYTES, OUTBOX_BYTES] {
        let _ = gauge!(pool);
    }
    let _ = gauge!(SESSIONS);
    let _ = gauge!(CONNECTIONS);
    let _ = counter!(DELIVERIES);
    let _ = counter!(SLOW_CONSUMERS);
    for outcome in ["healed_by_link", "healed_by_log", "dissolved"] {
        let _ = counter!(GAPS, "outcome" => outcome);
    }
    for what in ["connection", "send", "room"] {
        let _ = counter!(ADDRESS_REFUSALS, "what" => what);
    }
}

/// Counts a request. `method` and `route` are of closed sets.
pub(crate) fn request(method: &'static str, route: &str, status: u16, duration: Duration) {
    histogram!(REQUEST_DURATION, "method" => method, "route" => route.to_owned(), "status" => status.to_string())
        .record(duration);
}

/// Tells what all rooms and sessions hold, until the end.
pub(crate) async fn watch(pools: Pools, end: CancellationToken) {
    let gauges = [
        (pools.rings, gauge!(RING_BYTES)),
        (pools.pages, gauge!(PAGE_BYTES)),
        (pools.outboxes, gauge!(OUTBOX_BYTES)),
    ];
    let mut every = tokio::time::interval(EVERY);
    while end.run_until_cancelled(every.tick()).await.is_some() {
        for (pool, gauge) in &gauges {
            gauge.set(pool.bytes() as f64);
        }
    }
}
