//! What comes from the browser.
//!
//! Owns the way from a WebSocket message to a request: signs of life, faults, the choice of the dialect, and the one
//! request that is held back. Promises a typed error for whatever is no frame, and that nothing overtakes what is held
//! back (P11, P12). Never does what a request asks.

use tokio::time::Instant;

use super::{Asked, Close, Dialect, Ending, Held, Session, Socket, seat::State};
use crate::{
    relay::Refusal,
    ws::{
        frame::{Fault, Fields},
        plain,
        socket::Incoming,
    },
};

impl<S: Socket> Session<S> {
    /// Takes what came.
    pub(super) fn incoming(&mut self, incoming: Incoming) {
        self.alive = Instant::now();
        match incoming {
            Incoming::Text(text) => self.text(&text),
            Incoming::Binary(_) => self.fault("", &Fault::NotAnObject),
            Incoming::Alive => {}
            Incoming::Closed => self.end(Ending::of(Close::Normal)),
            Incoming::Broken => self.end(Ending::BROKEN),
            Incoming::Failed(close) => self.end(Ending::of(close)),
        }
    }

    fn text(&mut self, text: &str) {
        let fields = match Fields::parse(text) {
            Ok(fields) => fields,
            Err(fault) => return self.fault("", &fault),
        };
        let kind = match fields.kind() {
            Ok(kind) => kind,
            Err(fault) => return self.fault(&fields.id().unwrap_or_default(), &fault),
        };
        if self.dialect == Dialect::Open && plain::is_known(kind) {
            self.open_plain();
        }
        match self.dialect {
            Dialect::Plain if kind == "hello" => self.end(Ending::of(Close::ProtocolMisuse)),
            Dialect::Plain => self.plain_text(&fields),
            Dialect::Open if kind != "hello" => self.fault(&fields.id().unwrap_or_default(), &Fault::Unknown),
            Dialect::Open | Dialect::Full => self.full_text(&fields),
        }
    }

    fn plain_text(&mut self, fields: &Fields) {
        match plain::request(fields) {
            Ok(request) => {
                self.faults = 0;
                self.plain(request);
            }
            Err(fault) => self.fault("", &fault),
        }
    }

    fn full_text(&mut self, fields: &Fields) {
        let id = match fields.id() {
            Ok(id) => id,
            Err(fault) => return self.fault("", &fault),
        };
        match fields.request() {
            Ok(request) => {
                self.faults = 0;
                self.full(id, request);
            }
            Err(fault) => self.fault(&id, &fault),
        }
    }

    /// Holds a request back, and so whatever follows it, until `release` finds that it may go on.
    pub(super) fn hold(&mut self, held: Held) {
        self.held = Some(Box::new(held));
    }

    /// Lets the request that was held back for a room go on, if that room's join is answered now.
    pub(super) fn release(&mut self) {
        let room = match self.held.as_deref() {
            Some(Held::Full(_, request)) => super::full::room_of(request).map(str::to_owned),
            Some(Held::Plain(request)) => Some(request.room.clone()),
            None => return,
        };
        let Some(room) = room.and_then(|room| self.relay.relay().names().known(&room)) else { return };
        if self.is_joining(&room) {
            return;
        }
        self.go_on();
    }

    /// The name of the room that the request held back is about is known, or will not be.
    pub(super) fn named(&mut self, name: Result<std::sync::Arc<str>, Refusal>) {
        match name {
            Ok(_) => self.go_on(),
            Err(refusal) => match self.held.take().map(|held| *held) {
                Some(Held::Full(id, request)) => {
                    self.refuse(&id, super::full::room_of(&request), &refusal);
                }
                Some(Held::Plain(request)) => self.refuse("", Some(&request.room), &refusal),
                None => {}
            },
        }
    }

    /// Whether a join of that room has no answer yet.
    pub(super) fn is_joining(&self, room: &str) -> bool {
        let is_asked = |asked: &Asked| matches!(asked, Asked::Join(joining) if *joining.room == *room);
        self.asked.values().any(is_asked)
            || self
                .seats
                .get(room)
                .is_some_and(|seat| matches!(seat.state, State::Starting(_) | State::Verifying(_)))
    }

    fn go_on(&mut self) {
        match self.held.take().map(|held| *held) {
            Some(Held::Full(id, request)) => self.full(id, request),
            Some(Held::Plain(request)) => self.plain(request),
            None => {}
        }
    }

    /// A field breaks a rule of the gateway's: told, and counted, like any other fault.
    pub(super) fn invalid(&mut self, id: &str, field: &'static str, expected: &'static str) {
        self.fault(id, &Fault::Invalid(field, expected));
    }
}
