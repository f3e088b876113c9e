//! The way in for browsers' sockets.
//!
//! Owns the upgrade of a connection and its hand-over to a tracked task. Promises that every session is counted, told to
//! leave when the gateway drains, and waited for (axum waits for none). Never judges origins: they are before.

use axum::{
    Extension,
    extract::{State, ws::WebSocketUpgrade},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use parlour_chassis::tasks::Tasks;

use crate::{
    http::{Seat, Taken},
    rates::Visitor,
    relay::Relay,
};

pub mod close;
mod convert;
pub mod frame;
pub mod plain;
pub mod session;
pub mod socket;

pub use session::{Departure, Terms};

use session::Session;
use socket::AxumSocket;

/// What opens sessions. Clones are handles to the same.
#[derive(Clone, Debug)]
pub struct Gate {
    relay: Relay,
    terms: Terms,
    tasks: Tasks,
}

impl Gate {
    /// Opens sessions over that relay on those terms. `tasks` are the sessions' own: whoever drains the gateway finishes
    /// them before the relay.
    pub fn new(relay: Relay, terms: Terms, tasks: Tasks) -> Self {
        Self { relay, terms, tasks }
    }
}

/// Turns a request into a session; refuses while the gateway drains, and where too many come from one address.
pub async fn upgrade(
    State(gate): State<Gate>,
    seat: Option<Extension<Seat>>,
    taken: Option<Extension<Taken>>,
    Extension(visitor): Extension<Visitor>,
    upgrade: WebSocketUpgrade,
) -> Response {
    if gate.terms.drain.is_cancelled() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if let Err(refused) = visitor.may_connect() {
        return refused.into_response();
    }
    let frame_bytes = gate.terms.limits.frame_bytes;
    socket::bounded(upgrade, frame_bytes).on_upgrade(async move |socket| {
        // This task is axum's, which waits for none: the session is handed to one of ours.
        let socket = AxumSocket::new(socket, taken.unwrap_or_default().0);
        let session = Session::new(socket, &gate.relay, gate.terms, visitor);
        let task = gate.tasks.spawn(async move {
            session.run().await;
            // The connection's seat is given back when its session is over.
            drop(seat);
        });
        drop(task);
    })
}

/// Turns a request into a socket that sends everything back, with the bounds of a session's: what a conformance suite
/// judges.
#[doc(hidden)]
pub async fn echo(upgrade: WebSocketUpgrade) -> Response {
    let frame_bytes = 16 * 1024 * 1024;
    socket::bounded(upgrade, frame_bytes)
        .on_upgrade(async move |socket| socket::echo(AxumSocket::new(socket, Taken::default())).await)
}
