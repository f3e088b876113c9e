//! A session's share of presence.
//!
//! Owns how much presence one session is told a second, and what is owed to it. Promises P9: never more than its budget
//! over time, and nothing is owed for longer than a second and a half while all outboxes of the process are within
//! bounds. Never delays an event.

use std::time::{Duration, Instant};

use super::{
    frames,
    session::{Session, Slot, Stand},
};
use crate::{
    hub::{presence::Update, signal::Key},
    rooms::settings::SHOWN_NAMES,
};
use parlour_feed::{Class, Weigh as _};

/// What a session is told of presence, in bytes a second.
const BYTES_PER_SECOND: f64 = 4_096.0;
/// How long presence is put off while all outboxes together are near their bound.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest that presence is held back.
const LONGEST_WAIT: Duration = Duration::from_millis(1_500);

/// What a session may still be told.
pub(super) struct Allowance {
    /// When its debt is paid.
    even_at: Instant,
}

impl Allowance {
    pub(super) fn new(now: Instant) -> Self {
        Self { even_at: now }
    }

    fn is_even(&self, now: Instant) -> bool {
        self.even_at <= now
    }

    fn put_off(&mut self, now: Instant) {
        self.even_at = self.even_at.max(now + PAUSE);
    }

    fn spend(&mut self, bytes: usize, now: Instant) {
        let cost = Duration::from_secs_f64(bytes as f64 / BYTES_PER_SECOND);
        self.even_at = (self.even_at.max(now) + cost).min(now + LONGEST_WAIT);
    }
}

impl Session {
    /// Presence moved on in a room: it is told now, or owed.
    pub(super) fn presence_moved(&mut self, key: Key, update: &Update) {
        let has_room = self.outbox.has_room_for(Class::Presence);
        let is_even = has_room && self.allowance.is_even(Instant::now());
        let Some(Slot { place, stand: Stand::In(inside), .. }) = self.slots.get_mut(&key) else { return };
        if !is_even || inside.owes_presence {
            inside.owes_presence = true;
            return;
        }
        inside.told = update.version;
        let frame = frames::presence(&place.name, update, inside.monitor);
        if let Some(frame) = frame {
            self.tell(frame);
        }
    }

    /// When something owed may be told.
    pub(super) fn presence_due(&self) -> Option<Instant> {
        let owes = |slot: &Slot| matches!(&slot.stand, Stand::In(inside) if inside.owes_presence);
        self.slots.values().any(owes).then_some(self.allowance.even_at)
    }

    /// Tells what is owed, one room at a time while the allowance lasts.
    pub(super) fn tell_presence(&mut self) {
        if !self.outbox.has_room_for(Class::Presence) {
            return self.allowance.put_off(Instant::now());
        }
        let owing = self.slots.iter().filter_map(|(key, slot)| match &slot.stand {
            Stand::In(inside) if inside.owes_presence => Some(*key),
            _ => None,
        });
        let owing: Vec<_> = owing.collect();
        for key in owing {
            if !self.allowance.is_even(Instant::now()) {
                return;
            }
            let Some(Slot { place, stand: Stand::In(inside), .. }) = self.slots.get_mut(&key) else {
                continue;
            };
            inside.owes_presence = false;
            let (reader, told) = (inside.reader, inside.told);
            let update = inside.room.with(|live, now| live.presence(reader, Some(told), SHOWN_NAMES, now));
            inside.told = update.version;
            let frame = frames::presence(&place.name, &update, inside.monitor);
            if let Some(frame) = frame {
                self.tell(frame);
            }
        }
    }

    fn tell(&mut self, frame: parlour_proto::v1::chat_response::Frame) {
        let response = frames::response("", frame);
        self.allowance.spend(response.bytes(), Instant::now());
        let pushed = self.outbox.push(Class::Answer, (), response);
        self.is_overflowed |= !pushed.is_kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p9_an_allowance_is_kept_over_time_and_never_owes_for_long() {
        let start = Instant::now();
        let (mut allowance, mut now, mut spent) = (Allowance::new(start), start, 0);
        for _ in 0..10_000 {
            if allowance.is_even(now) {
                allowance.spend(1_000, now);
                spent += 1_000;
            }
            now += Duration::from_millis(1);
        }
        let most = BYTES_PER_SECOND * (now - start).as_secs_f64() + 1_000.0;
        assert!(f64::from(spent) <= most, "{spent} of {most}");
        allowance.spend(1_000_000, now);
        assert!(allowance.is_even(now + LONGEST_WAIT));
    }
}
