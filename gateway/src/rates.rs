//! Rates of addresses.
//!
//! Owns how fast one address may connect, send and make rooms, however many sessions and guests it is. Promises typed
//! refusals that say how long to wait (P11), each counted. Never judges one user or session: their rates are the room
//! service's, and the session's.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use http::HeaderMap;
use metrics::counter;
use parlour_chassis::{
    address::{Address, CONNECTIONS, PEOPLE, Proxies},
    rates::{Buckets, Rate},
};

use crate::{error::Error, limits::Limits, metrics::ADDRESS_REFUSALS};

/// The buckets of all addresses. Clones are handles to the same.
#[derive(Clone, Debug)]
pub struct Rates(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    proxies: Proxies,
    connections: Buckets<Address>,
    sends: Option<Buckets<Address>>,
    rooms: Option<Buckets<Address>>,
}

/// Who a request comes from, as an extension of it.
#[derive(Clone, Debug)]
pub struct Visitor {
    rates: Rates,
    /// None for this machine itself, which has no limit.
    address: Option<Address>,
}

impl Rates {
    /// All buckets full. These proxies are believed about who comes through them.
    pub fn new(proxies: Proxies, limits: &Limits) -> Self {
        let (send, now) = (Rate::per_second(limits.send_rate, limits.send_burst), now());
        Self(Arc::new(Shared {
            proxies,
            connections: Buckets::new(CONNECTIONS, now),
            sends: send.map(|rate| Buckets::new(rate.of_many(PEOPLE), now)),
            rooms: send.map(|rate| Buckets::new(rate, now)),
        }))
    }

    /// Who comes from that peer with those headers.
    pub fn visitor(&self, peer: SocketAddr, headers: &HeaderMap) -> Visitor {
        Visitor { rates: self.clone(), address: self.0.proxies.client(peer, headers) }
    }
}

impl Visitor {
    /// Takes one connection.
    ///
    /// # Errors
    /// `RATE_LIMITED`.
    pub fn may_connect(&self) -> Result<(), Error> {
        self.take(Some(&self.rates.0.connections), "connection")
    }

    /// Takes one send. Keys are not known here, so a repeat may be refused like anything else, and is repeated again.
    ///
    /// # Errors
    /// `RATE_LIMITED`.
    pub fn may_send(&self) -> Result<(), Error> {
        self.take(self.rates.0.sends.as_ref(), "send")
    }

    /// Takes one making of a room, which is a send too.
    ///
    /// # Errors
    /// `RATE_LIMITED`.
    pub fn may_make_room(&self) -> Result<(), Error> {
        self.may_send()?;
        self.take(self.rates.0.rooms.as_ref(), "room")
    }

    fn take(&self, buckets: Option<&Buckets<Address>>, what: &'static str) -> Result<(), Error> {
        let (Some(buckets), Some(address)) = (buckets, &self.address) else { return Ok(()) };
        buckets.take(address, now()).map_err(|wait| refused(what, wait))
    }
}

fn refused(what: &'static str, retry_after: Duration) -> Error {
    counter!(ADDRESS_REFUSALS, "what" => what).increment(1);
    Error::RateLimited { retry_after }
}

fn now() -> std::time::Instant {
    tokio::time::Instant::now().into_std()
}
