//! A planted mistake: an event is published before it is committed.
//!
//! Owns that mistake. Promises to be called only where `planted-mistakes` makes it. Never commits anything.

use std::{sync::Arc, time::Instant};

use super::desk::Desk;
use crate::{
    domain::event::{Body, Event},
    rooms::{RoomRef, Send},
};

impl Desk {
    pub(super) fn publish_early(&self, send: &Send, now: Instant) {
        let RoomRef::Name(name) = &send.room else { return };
        let Some(room) = self.names.get(name).and_then(|key| self.ready(*key)) else { return };
        room.with_at(now, |live| {
            let event = Event {
                seq: live.position().seq + 1,
                created_at: live.room().head_at + 1,
                actor: send.actor.clone(),
                key: send.key.clone(),
                key_is_clients: send.key_is_clients,
                body: Body::Message { content: send.content.clone(), reply_to: send.reply_to },
            };
            live.appended(live.position(), Arc::new(event), now);
        });
    }
}
