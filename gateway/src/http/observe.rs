//! What is seen of requests.
//!
//! Owns the metric and the log line of a request. Promises labels of closed sets. Never notes a name, an address or a
//! text.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use http::Method;

use crate::metrics;

/// Measures and logs a request.
pub(super) async fn request(request: Request, next: Next) -> Response {
    let start = Instant::now();
    let method = method(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let duration = start.elapsed();
    let route = route.as_ref().map_or("file", MatchedPath::as_str);
    metrics::request(method, route, response.status().as_u16(), duration);
    tracing::debug!(
        http.method = method,
        http.route = route,
        http.status = response.status().as_u16(),
        duration_ms = duration.as_secs_f64() * 1e3,
        "answered a request"
    );
    response
}

/// Methods are the client's to invent; a label is not.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        _ => "other",
    }
}
