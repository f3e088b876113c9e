//! What a relay is given.
//!
//! Owns the order in which what waits becomes one response: answers, then events and presence room by room, then typing.
//! Promises that a room's frames keep their order, that no room starves another, and that a response is bounded (P8).
//! Never waits.

use std::time::Instant;

use parlour_feed::{
    Budget, Cursor, Entry,
    planted::{self, Mistake},
};
use parlour_proto::v1::{self, relay_frame::Frame as Down};

use super::{
    desk::{Desk, Frame},
    follow::{Followed, State},
    frames,
};
use crate::{
    hub::{
        live::{Fact, Taken},
        signal::Key,
    },
    rooms::Place,
};
use parlour_feed::Weigh;

/// Frames of a response.
const FRAMES: usize = 1_024;
/// Bytes after which a response takes no more.
const BYTES: usize = 512 * 1024;
/// What one room gives at a time.
const BUDGET: Budget = Budget { events: 256, bytes: 256 * 1024 };

/// A response in the making.
#[derive(Default)]
struct Batch {
    frames: Vec<v1::RelayFrame>,
    bytes: usize,
}

impl Batch {
    fn has_room(&self) -> bool {
        self.frames.len() < FRAMES && self.bytes < BYTES
    }

    fn push(&mut self, frame: Down) {
        let frame = Frame(frame);
        self.bytes += frame.bytes();
        self.frames.push(v1::RelayFrame { frame: Some(frame.0) });
    }
}

impl Desk {
    /// What the peer takes next, if anything.
    pub fn response(&mut self, now: Instant) -> Option<v1::RelayResponse> {
        let mut batch = Batch::default();
        if planted::makes(Mistake::OutboxBesideTheRing) {
            self.pull_rooms(&mut batch, now);
        }
        // While there is room it is for these: what is said of a room goes before what the room has.
        while batch.has_room()
            && let Some(item) = self.outbox.pop()
        {
            batch.push(item.frame.0);
        }
        self.pull_rooms(&mut batch, now);
        while batch.has_room()
            && let Some((key, typing)) = self.typing.pop_front()
        {
            if let Some(followed) = self.followed.get(&key) {
                batch.push(frames::typing(&followed.name, &typing));
            }
        }
        (!batch.frames.is_empty()).then_some(v1::RelayResponse { frames: batch.frames })
    }

    /// Takes from the rooms in turn.
    fn pull_rooms(&mut self, batch: &mut Batch, now: Instant) {
        while batch.has_room()
            && let Some(key) = self.dirty.pop_front()
        {
            self.pull(key, batch, now);
        }
    }

    /// Takes from one room; it stays in line while it has more.
    fn pull(&mut self, key: Key, batch: &mut Batch, now: Instant) {
        let names = self.settings.presence_names;
        let Some(Followed { name, state: State::Ready(ready) }) = self.followed.get_mut(&key) else { return };
        let mut entries = Vec::new();
        let (before, taken) = ready.room.with_at(now, |live| {
            let before = live.reader_position(ready.reader);
            (before, live.step(ready.reader, BUDGET, names, now, &mut entries))
        });
        match taken {
            Taken::Nothing => return,
            Taken::Gone => return self.lost(key, now),
            Taken::Events => {
                let Some(before) = before else { return };
                self.events.increment(entries.len() as u64);
                for heard in entries.iter().filter_map(|entry| entry.event.heard) {
                    self.fanout.record(now.saturating_duration_since(heard));
                }
                batch.push(Down::Events(events(&ready.room.place, before, &entries)));
            }
            Taken::Presence(update) => {
                ready.told = update.version;
                batch.frames.reserve(1);
                if let Some(presence) = frames::presence(name, &update) {
                    batch.push(Down::Presence(presence));
                }
                for joined in ready.released() {
                    batch.push(joined);
                }
            }
            Taken::Head(head) | Taken::Resync(head, _) => {
                let head = v1::RoomHead { room: name.to_string(), head: head.to_string() };
                batch.push(Down::Heads(v1::RoomHeads { heads: vec![head] }));
            }
        }
        self.dirty.push_back(key);
    }
}

fn events(place: &Place, before: Cursor, entries: &[Entry<Fact>]) -> v1::RoomEvents {
    let event =
        |entry: &Entry<Fact>| super::super::convert::event(&place.id, &place.name, &entry.event.event);
    v1::RoomEvents {
        room: place.name.to_string(),
        prev: before.check.0,
        events: entries.iter().map(event).collect(),
    }
}
