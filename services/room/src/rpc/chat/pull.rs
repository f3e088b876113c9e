//! What a session is given.
//!
//! Owns the order in which what waits goes out. Promises that answers, events and presence of a room leave in the order
//! in which they were said, that rooms take turns, and that typing goes last (P9). Never takes from a room while
//! something is waiting to leave.

use std::time::Instant;

use parlour_feed::{Budget, Class, Entry};
use parlour_proto::v1::chat_response::Frame as Down;

use super::{
    super::convert,
    frames::{self, Response},
    session::{Session, Slot, Stand},
};
use crate::{
    hub::{
        live::{Fact, Taken},
        signal::Key,
    },
    rooms::settings::SHOWN_NAMES,
};

/// What one room gives at a time.
const BUDGET: Budget = Budget { events: 32, bytes: 64 * 1024 };
/// The same where all outboxes together are full: nothing stays in this one.
const LEAST: Budget = Budget { events: 1, bytes: 0 };

impl Session {
    /// The next response, if there is one.
    pub(super) fn response(&mut self) -> Option<Response> {
        loop {
            if let Some(item) = self.outbox.pop() {
                return Some(item.frame);
            }
            if let Some(key) = self.dirty.pop_front() {
                self.pull(key);
                continue;
            }
            let (key, typing) = self.typing.pop_front()?;
            if let Some(Slot { place, stand: Stand::In(_), .. }) = self.slots.get(&key)
                && typing.session != self.id
            {
                return Some(frames::response("", frames::typing(&place.name, &typing)));
            }
        }
    }

    /// Takes from one room into the outbox, which is empty; the room stays in line while it has more.
    fn pull(&mut self, key: Key) {
        let (reader, room) = match self.slots.get(&key).map(|slot| &slot.stand) {
            Some(Stand::In(inside)) => (inside.reader, std::sync::Arc::clone(&inside.room)),
            Some(Stand::Verifying(..)) => return self.verify(key),
            Some(Stand::Out) | None => return,
        };
        let mut entries = Vec::new();
        let budget = if self.outbox.has_room_for(Class::Answer) { BUDGET } else { LEAST };
        let taken = room.with(|live, now| live.step(reader, budget, SHOWN_NAMES, now, &mut entries));
        match taken {
            Taken::Nothing => return,
            Taken::Events => self.give(&room.place, &entries),
            Taken::Presence(update) => self.presence_moved(key, update),
            Taken::Resync(cursor, reason) => self.say("", frames::resync(&room.place.name, cursor, reason)),
            Taken::Gone => return self.lost(key),
            Taken::Head(_) => {} // for relays
        }
        self.dirty.push_back(key);
    }

    fn give(&mut self, place: &crate::rooms::Place, entries: &[Entry<Fact>]) {
        let now = Instant::now();
        for entry in entries {
            if let Some(heard) = entry.event.heard {
                self.fanout.record(now.saturating_duration_since(heard));
            }
            self.say("", Down::Event(convert::event(&place.id, &place.name, &entry.event.event)));
        }
    }
}
