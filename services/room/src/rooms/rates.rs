//! Rates.
//!
//! Owns how fast one user, one plain session and one address may send, make rooms and open streams, and how often a
//! refused request may be looked up as a repeat. Promises memory only for who came lately. Never decides who someone is.

use std::time::{Duration, Instant};

use metrics::counter;
use parlour_chassis::{
    address::{Address, CONNECTIONS, PEOPLE},
    rates::{Buckets, Rate},
};

use super::Settings;
use crate::{
    domain::ids::{SessionId, UserId},
    error::Error,
};

/// Look-ups of possible repeats, for one whose bucket is empty: 20 a second.
const LOOKUPS: Rate = Rate::every(Duration::from_millis(50), 20);

/// Whose rate it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RateKey {
    /// A user's, over all their sessions.
    User(UserId),
    /// A plain session's, whatever names it goes by.
    Session(SessionId),
}

/// The buckets. An address, where there is one, pays beside the user or session: who comes without credentials is
/// somebody new each time. Gateways give none, since they have counted already.
#[derive(Debug)]
pub(super) struct Rates {
    sends: Option<Buckets<RateKey>>,
    lookups: Buckets<RateKey>,
    addresses: Addresses,
}

/// What one address may do, all its users together.
#[derive(Debug)]
struct Addresses {
    sends: Option<Buckets<Address>>,
    rooms: Option<Buckets<Address>>,
    lookups: Buckets<Address>,
    streams: Buckets<Address>,
}

impl Rates {
    pub(super) fn new(settings: &Settings) -> Self {
        let (send, now) = (Rate::per_second(settings.send_rate, settings.send_burst), Instant::now());
        Self {
            sends: send.map(|rate| Buckets::new(rate, now)),
            lookups: Buckets::new(LOOKUPS, now),
            addresses: Addresses {
                sends: send.map(|rate| Buckets::new(rate.of_many(PEOPLE), now)),
                rooms: send.map(|rate| Buckets::new(rate, now)),
                lookups: Buckets::new(LOOKUPS.of_many(PEOPLE), now),
                streams: Buckets::new(CONNECTIONS, now),
            },
        }
    }

    /// Takes one send. Who sends too fast pays first, so that their neighbours do not.
    pub(super) fn check_send(&self, who: &RateKey, from: Option<Address>) -> Result<(), Error> {
        check(self.sends.as_ref(), Some(who))?;
        check(self.addresses.sends.as_ref(), from.as_ref()).inspect_err(|_| count("send"))
    }

    /// Takes one making of a room, which is a send too.
    pub(super) fn check_room(&self, who: &RateKey, from: Option<Address>) -> Result<(), Error> {
        self.check_send(who, from)?;
        check(self.addresses.rooms.as_ref(), from.as_ref()).inspect_err(|_| count("room"))
    }

    /// Takes one opening of a stream.
    pub(super) fn check_stream(&self, from: Option<Address>) -> Result<(), Error> {
        check(Some(&self.addresses.streams), from.as_ref()).inspect_err(|_| count("stream"))
    }

    /// Takes one look-up of a possible repeat.
    pub(super) fn check_lookup(&self, who: &RateKey, from: Option<Address>) -> Result<(), Error> {
        check(Some(&self.lookups), Some(who))?;
        check(Some(&self.addresses.lookups), from.as_ref())
    }
}

fn check<K: Eq + std::hash::Hash + Clone>(
    buckets: Option<&Buckets<K>>,
    key: Option<&K>,
) -> Result<(), Error> {
    let (Some(buckets), Some(key)) = (buckets, key) else { return Ok(()) };
    buckets.take(key, Instant::now()).map_err(|retry_after| Error::RateLimited { retry_after })
}

fn count(what: &'static str) {
    counter!("parlour_room_address_refusals_total", "what" => what).increment(1);
}
