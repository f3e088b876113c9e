//! Metrics.
//!
//! Owns the name, meaning and labels of every metric of the gateway. Promises labels of closed sets, and that each metric
//! is there from the start, but for those of requests. Never labels by room, user or session.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

/// Browsers' sessions that are open.
pub const SESSIONS: &str = "parlour_gateway_sessions";
/// Browsers' connections that are open, those that became sessions included.
pub const CONNECTIONS: &str = "parlour_gateway_connections";
/// Room events handed to sessions.
pub const DELIVERIES: &str = "parlour_gateway_deliveries_total";
/// Sessions closed because they took nothing, or fell too far behind.
pub const SLOW_CONSUMERS: &str = "parlour_gateway_slow_consumers_total";
/// Gaps in rooms' feeds, by `outcome`.
pub const GAPS: &str = "parlour_gateway_gaps_total";
/// How long HTTP requests took, by `method`, `route` and `status`.
pub const REQUEST_DURATION: &str = "http_server_request_duration_seconds";

/// Describes every metric of the gateway.
pub fn describe() {
    describe_gauge!(SESSIONS, "browsers' sessions that are open");
    describe_gauge!(CONNECTIONS, "browsers' connections that are open, sessions included");
    describe_counter!(DELIVERIES, "room events handed to sessions");
    describe_counter!(SLOW_CONSUMERS, "sessions closed because they took nothing or fell too far behind");
    describe_counter!(GAPS, "gaps in rooms' feeds, by outcome");
    describe_histogram!(REQUEST_DURATION, Unit::Seconds, "how long HTTP requests took");
    begin();
}

/// Makes each be there before anything has happened: a rate over what begins with its first count misses that one.
fn begin() {
    let _ = gauge!(SESSIONS);
    let _ = gauge!(CONNECTIONS);
    let _ = counter!(DELIVERIES);
    let _ = counter!(SLOW_CONSUMERS);
    for outcome in ["healed_by_link", "healed_by_log", "dissolved"] {
        let _ = counter!(GAPS, "outcome" => outcome);
    }
}

/// Counts a request. `method` and `route` are of closed sets.
pub(crate) fn request(method: &'static str, route: &str, status: u16, duration: Duration) {
    histogram!(REQUEST_DURATION, "method" => method, "route" => route.to_owned(), "status" => status.to_string())
        .record(duration);
}
