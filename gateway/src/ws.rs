//! The way in for browsers' sockets.
//!
//! Owns the upgrade of a connection and its hand-over to a tracked task. Promises that every session is counted, told to
//! leave when the gateway drains, and waited for. Never judges origins: they are before.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use parlour_chassis::tasks::Tasks;
use parlour_feed::Pool;

use crate::{http::Seat, rates::Visitor, relay::Relay};

pub mod close;
mod convert;
pub mod frame;
pub mod plain;
pub mod session;
pub mod socket;
mod upgrade;

pub use session::{Departure, Terms};

use session::Session;

/// What opens sessions. Clones are handles to the same.
#[derive(Clone, Debug)]
pub struct Gate {
    relay: Relay,
    terms: Arc<Terms>,
    tasks: Tasks,
}

impl Gate {
    /// Opens sessions over that relay on those terms. `tasks` are the sessions' own: whoever drains the gateway finishes
    /// them before the relay.
    pub fn new(relay: Relay, terms: Terms, tasks: Tasks) -> Self {
        Self { relay, terms: Arc::new(terms), tasks }
    }
}

/// Turns a request into a session; refuses while the gateway drains, and where too many come from one address.
pub async fn upgrade(
    State(gate): State<Gate>,
    seat: Option<Extension<Seat>>,
    Extension(visitor): Extension<Visitor>,
    mut request: Request,
) -> Response {
    let (response, opening) = match upgrade::open(&mut request, gate.terms.limits.frame_bytes) {
        Ok(opened) => opened,
        Err(error) => return error.into_response(),
    };
    if gate.terms.drain.is_cancelled() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if let Err(refused) = visitor.may_connect() {
        return refused.into_response();
    }
    let Gate { relay, terms, tasks } = gate;
    // Boxed, so that what opening takes is not kept for the session's whole life.
    let opened = Box::pin(async move {
        let socket = opening.socket(&relay.pools().outboxes).await?;
        Some(Box::new(Session::new(socket, &relay, terms, visitor)))
    });
    let task = tasks.spawn(async move {
        if let Some(session) = opened.await {
            session.run().await;
        }
        // The connection's seat is given back when its session is over.
        drop(seat);
    });
    drop(task);
    response
}

/// Turns a request into a socket that sends everything back, with the bounds of a session's: what a conformance suite
/// judges.
#[doc(hidden)]
pub async fn echo(State(tasks): State<Tasks>, mut request: Request) -> Response {
    let (response, opening) = match upgrade::open(&mut request, 16 * 1024 * 1024) {
        Ok(opened) => opened,
        Err(error) => return error.into_response(),
    };
    tasks.spawn_detached(async move {
        if let Some(socket) = opening.socket(&Pool::new(usize::MAX)).await {
            socket::echo(socket).await;
        }
    });
    response
}
