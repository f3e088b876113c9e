//! A session's share of presence.
//!
//! Owns how much presence one session is told a second, and at once, and what is owed to it. Promises P9: its budget is
//! kept however many come and go, nothing is owed for longer than what was told before takes to be paid while all
//! outboxes of the process are within bounds, and rooms take turns. Never delays an event.

use std::time::{Duration, Instant};

use parlour_feed::{Class, Weigh as _};
use parlour_proto::v1::chat_response::Frame as Down;

use super::{
    frames,
    session::{In, Session, Slot, Stand},
};
use crate::{
    domain::room::RoomName,
    hub::{
        presence::{Update, What},
        signal::Key,
    },
    rooms::settings::SHOWN_NAMES,
};

/// What a session is told of presence, in bytes a second.
const BYTES_PER_SECOND: f64 = 4_096.0;
/// How long presence is put off while all outboxes together are near their bound.
const PAUSE: Duration = Duration::from_millis(500);
/// What it is told at once, in bytes, and so how long it may be told nothing: 1.25 s.
const AT_ONCE: usize = 5_120;

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
        self.even_at = self.even_at.max(now) + Duration::from_secs_f64(bytes as f64 / BYTES_PER_SECOND);
    }
}

impl Session {
    /// Presence moved on in a room: it is told now, or owed.
    pub(super) fn presence_moved(&mut self, key: Key, update: Update) {
        let now = Instant::now();
        let may_tell = self.outbox.has_room_for(Class::Presence) && self.allowance.is_even(now);
        let Some(Slot { place, stand: Stand::In(inside), .. }) = self.slots.get_mut(&key) else { return };
        if !may_tell || inside.presence_owed.is_some() {
            inside.presence_owed.get_or_insert(now);
            return;
        }
        let frame = inside.news(&place.name, update);
        self.tell(frame);
    }

    /// When something owed may be told.
    pub(super) fn presence_due(&self) -> Option<Instant> {
        let owes = |slot: &Slot| matches!(&slot.stand, Stand::In(inside) if inside.presence_owed.is_some());
        self.slots.values().any(owes).then_some(self.allowance.even_at)
    }

    /// Tells what is owed, what has been owed longest first, while the allowance lasts.
    pub(super) fn tell_presence(&mut self) {
        if !self.outbox.has_room_for(Class::Presence) {
            return self.allowance.put_off(Instant::now());
        }
        while self.allowance.is_even(Instant::now()) {
            let owed = self.slots.values_mut().filter_map(|slot| match &mut slot.stand {
                Stand::In(inside) => Some((inside.presence_owed?, &slot.place.name, inside)),
                _ => None,
            });
            let Some((_, name, inside)) = owed.min_by_key(|(since, ..)| *since) else { return };
            inside.presence_owed = None;
            let (reader, told) = (inside.reader, inside.told);
            let update = inside.room.with(|live, now| live.presence(reader, Some(told), SHOWN_NAMES, now));
            let frame = inside.news(name, update);
            self.tell(frame);
        }
    }

    fn tell(&mut self, frame: Option<Down>) {
        let Some(frame) = frame else { return };
        let response = frames::response("", frame);
        self.allowance.spend(response.bytes(), Instant::now());
        let pushed = self.outbox.push(Class::Answer, (), response);
        self.is_overflowed |= !pushed.is_kept;
    }
}

impl In {
    /// How presence moved on: the difference where that is few bytes, else everybody, as many as there are bytes for.
    fn news(&mut self, name: &RoomName, mut update: Update) -> Option<Down> {
        let weight = |frame: &Option<Down>| frame.as_ref().map_or(0, |frame| frame.encoded_len());
        let mut frame = frames::presence(name, &update, self.monitor);
        if weight(&frame) > AT_ONCE && matches!(update.what, What::Diff(_)) {
            let reader = self.reader;
            update = self.room.with(|live, now| live.presence(reader, None, SHOWN_NAMES, now));
            frame = frames::presence(name, &update, self.monitor);
        }
        while weight(&frame) > AT_ONCE
            && let What::Whole(users) = &mut update.what
        {
            let fitting = (users.len() * AT_ONCE / weight(&frame)).min(users.len().saturating_sub(1));
            users.truncate(fitting);
            frame = frames::presence(name, &update, self.monitor);
        }
        self.told = update.version;
        frame
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
        allowance.spend(AT_ONCE, now);
        assert!(allowance.is_even(now + Duration::from_millis(1_500)));
    }
}
