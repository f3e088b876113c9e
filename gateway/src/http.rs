//! HTTP.
//!
//! Owns what the gateway serves besides the sockets themselves: pages, the JSON API, and who may ask. Promises that
//! every refusal is typed, that a request ends, and that a panic ends one request only. Never decides what a room
//! allows.

use std::{any::Any, net::SocketAddr, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, DefaultBodyLimit, Request},
    middleware::{Next, from_fn, map_response},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use http::{
    Method, StatusCode,
    header::{LOCATION, UPGRADE},
};
use tower_http::{catch_panic::CatchPanicLayer, compression::CompressionLayer};

use crate::{
    error::Error,
    limits::{self, Limits},
    rates::Rates,
    upstream::Upstream,
};

mod api;
mod assets;
mod body;
mod headers;
mod link;
mod observe;
pub mod origin;
mod problem;
mod query;
mod serve;

pub use origin::{Origin, Origins};
pub use serve::{Seat, serve};

/// Builds the router. `chat` is where WebSockets open; it is given only requests of admitted origins. Every request knows
/// its [`Visitor`](crate::rates::Visitor).
pub fn router(
    upstream: Upstream,
    origins: Origins,
    rates: Rates,
    limits: &Limits,
    chat: MethodRouter,
) -> Router {
    // Compression would touch the upgrade, so `/chat` stands outside.
    Router::new()
        .route("/chat", guarded(chat, origins.clone()))
        .merge(quiet(upstream, origins, limits))
        .layer(from_fn(move |request, next| introduce(rates.clone(), request, next)))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(map_response(headers::secure))
        .layer(from_fn(observe::request))
}

/// Where WebSockets open. Browsers let any page open one, so the origin is ours to judge.
fn guarded(chat: MethodRouter, origins: Origins) -> MethodRouter {
    chat.fallback(async || Error::MethodNotAllowed)
        .layer(from_fn(only_upgrades))
        .layer(from_fn(move |request, next| admit(origins.clone(), request, next)))
}

/// All that is answered and done with.
fn quiet(upstream: Upstream, origins: Origins, limits: &Limits) -> Router {
    let patience = limits.request + limits::BODY_TIMEOUT;
    let api = api::router(upstream)
        .layer(from_fn(move |request, next| admit_change(origins.clone(), request, next)))
        .layer(from_fn(move |request, next| in_time(patience, request, next)))
        .layer(DefaultBodyLimit::max(limits.body_bytes()));
    Router::new()
        .nest("/api", api)
        .route("/", get(async || (StatusCode::FOUND, [(LOCATION, "/rooms")])))
        .route("/rooms", get(assets::page))
        .route("/room/{name}", get(assets::page))
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        .fallback_service(get(assets::file).fallback(async || Error::MethodNotAllowed))
        .layer(CompressionLayer::new())
}

/// Says who a request comes from.
async fn introduce(rates: Rates, mut request: Request, next: Next) -> Response {
    let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>().copied() else {
        return Error::Internal("a request does not know its peer").into_response();
    };
    let visitor = rates.visitor(peer, request.headers());
    request.extensions_mut().insert(visitor);
    next.run(request).await
}

/// Refuses pages of foreign sites.
async fn admit(origins: Origins, request: Request, next: Next) -> Response {
    if origins.admit(request.headers()) {
        next.run(request).await
    } else {
        Error::ForeignOrigin.into_response()
    }
}

/// Tells who asks without wanting a WebSocket what is spoken here.
async fn only_upgrades(request: Request, next: Next) -> Response {
    let wanted = request.headers().get(UPGRADE).and_then(|value| value.to_str().ok());
    let is_upgrade = wanted.is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket"));
    if is_upgrade || request.method() != Method::GET {
        next.run(request).await
    } else {
        Error::NotAnUpgrade.into_response()
    }
}

/// Refuses pages of foreign sites where they would change something; what they may read, their browser decides.
async fn admit_change(origins: Origins, request: Request, next: Next) -> Response {
    match *request.method() {
        Method::GET | Method::HEAD | Method::OPTIONS => next.run(request).await,
        _ => admit(origins, request, next).await,
    }
}

/// Ends a request whose body dribbles. The room service has its own, shorter deadline.
async fn in_time(patience: Duration, request: Request, next: Next) -> Response {
    match tokio::time::timeout(patience, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Error::TooSlow.into_response(),
    }
}

fn panicked(panic: Box<dyn Any + Send>) -> Response<Body> {
    let said = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    tracing::error!(error = said.unwrap_or("without a word"), "a request panicked");
    Error::Internal("a request panicked").into_response()
}

#[cfg(test)]
mod tests;
