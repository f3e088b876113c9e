//! Sending a message.
//!
//! Owns the order in which a send is checked. Promises P5 (a): whatever would refuse it, a repeat of a known key is
//! answered with the first answer, and asking costs the store no more than a bounded rate. Never gives out a seq.

use std::sync::Arc;

use parlour_chassis::address::Address;
use parlour_feed::{
    cursor::Seq,
    planted::{self, Mistake},
};

use super::{Place, RateKey, RoomRef, Rooms};
use crate::{
    domain::{
        event::{Body, Draft, Event},
        ids::{RoomId, UserId},
        message::{RequestKey, User, check_content},
    },
    error::Error,
    store::Store,
};

/// A message to be sent.
#[derive(Clone, Debug)]
pub struct Send {
    /// The room.
    pub room: RoomRef,
    /// Who sends it.
    pub actor: User,
    /// Makes a repeat harmless.
    pub key: RequestKey,
    /// Whether the key is the client's own.
    pub key_is_clients: bool,
    /// The text, unchecked.
    pub content: String,
    /// The message it answers.
    pub reply_to: Option<Seq>,
    /// Whose rate it counts to.
    pub rate: RateKey,
    /// The address whose rate it counts to as well.
    pub from: Option<Address>,
}

/// A message sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The event it is.
    pub event: Arc<Event>,
    /// Whether the key was known already: then it is the first one's event, whatever this one's body.
    pub repeated: bool,
}

impl Rooms {
    /// Appends a message; returns once it is committed (P1).
    ///
    /// # Errors
    /// `ROOM_NOT_FOUND`, `ROOM_ARCHIVED`, `INVALID_CONTENT`, `MESSAGE_NOT_FOUND` (what it answers), `RATE_LIMITED`;
    /// `UNAVAILABLE`: it may have been applied, and is repeated with the same key.
    pub async fn send(&self, send: Send) -> Result<(Place, Sent), Error> {
        let place = self.place(&send.room).await?;
        let sent = match self.check(&place.id, &send).await {
            Ok(()) => self.append(send.into_draft(place.id.clone())).await?,
            Err(refused) => {
                let known = self.first_answer(&place.id, &send.actor.id, &send.key, &send.rate, send.from);
                known.await?.ok_or(refused)?
            }
        };
        Ok((place, sent))
    }

    async fn check(&self, room: &RoomId, send: &Send) -> Result<(), Error> {
        check_content(&send.content, self.0.settings.content_chars)?;
        self.0.rates.check_send(&send.rate, send.from)?;
        let Some(seq) = send.reply_to else { return Ok(()) };
        let answered = self.bounded(self.0.store.event(room, seq)).await?;
        answered.and_then(|event| event.message()).map(drop).ok_or(Error::MessageNotFound)
    }

    /// The event that a key names already, if it does and there is leave to look it up.
    pub(super) async fn first_answer(
        &self,
        room: &RoomId,
        user: &UserId,
        key: &RequestKey,
        rate: &RateKey,
        from: Option<Address>,
    ) -> Result<Option<Sent>, Error> {
        if self.0.rates.check_lookup(rate, from).is_err() {
            return Ok(None);
        }
        let known = self.bounded(self.0.store.event_by_key(room, user, key)).await?;
        Ok(known.map(|event| Sent { event: Arc::new(event), repeated: true }))
    }
}

impl Send {
    /// What it proposes to that room's log.
    pub fn into_draft(mut self, room: RoomId) -> Draft {
        if planted::makes(Mistake::NoLookUpOfRepeats) {
            self.key = RequestKey::stored(&format!("{}~{:x}", self.key.as_str(), rand::random::<u32>()));
        }
        Draft {
            room,
            actor: self.actor,
            key: self.key,
            key_is_clients: self.key_is_clients,
            body: Body::Message { content: self.content, reply_to: self.reply_to },
        }
    }
}
