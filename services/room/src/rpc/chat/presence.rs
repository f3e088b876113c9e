//! A session's share of presence.
//!
//! Owns what of presence is owed to one session, and which of it is told next. Promises P9: its budget is
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

/// How long presence is put off while all outboxes together are near their bound.
const PAUSE: Duration = Duration::from_millis(500);

impl Session {
    /// Presence moved on in a room: it is told now, or owed.
    pub(super) fn presence_moved(&mut self, key: Key, update: Update) {
        let now = Instant::now();
        let may_tell = self.outbox.has_room_for(Class::Presence) && self.allowance.wait(now).is_none();
        let Some(Slot { place, stand: Stand::In(inside), .. }) = self.slots.get_mut(&key) else { return };
        if !may_tell || inside.presence_owed.is_some() {
            inside.presence_owed.get_or_insert(now);
            return;
        }
        let frame = inside.news(&place.name, update, self.allowance.at_once());
        self.tell(frame);
    }

    /// When something owed may be told.
    pub(super) fn presence_due(&self) -> Option<Instant> {
        let owes = |slot: &Slot| matches!(&slot.stand, Stand::In(inside) if inside.presence_owed.is_some());
        self.slots.values().any(owes).then(|| self.allowance.even_at())
    }

    /// Tells what is owed, what has been owed longest first, while the allowance lasts.
    pub(super) fn tell_presence(&mut self) {
        if !self.outbox.has_room_for(Class::Presence) {
            return self.allowance.put_off(Instant::now() + PAUSE);
        }
        while self.allowance.wait(Instant::now()).is_none() {
            let owed = self.slots.values_mut().filter_map(|slot| match &mut slot.stand {
                Stand::In(inside) => Some((inside.presence_owed?, &slot.place.name, inside)),
                _ => None,
            });
            let Some((_, name, inside)) = owed.min_by_key(|(since, ..)| *since) else { return };
            inside.presence_owed = None;
            let (reader, told) = (inside.reader, inside.told);
            let update = inside.room.with(|live, now| live.presence(reader, Some(told), SHOWN_NAMES, now));
            let frame = inside.news(name, update, self.allowance.at_once());
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
    /// How presence moved on: the difference where that is few bytes, else everybody, as many as there are bytes for. Who
    /// was told of more people than names is told all names once there are few enough.
    fn news(&mut self, name: &RoomName, mut update: Update, at_once: usize) -> Option<Down> {
        let weight = |frame: &Option<Down>| frame.as_ref().map_or(0, |frame| frame.encoded_len());
        let mut frame = frames::presence(name, &update, self.monitor);
        let is_large = weight(&frame) > at_once;
        let may_be_whole = !self.is_whole && !self.monitor && update.count <= SHOWN_NAMES;
        if matches!(update.what, What::Diff(_)) && (is_large || may_be_whole) {
            let reader = self.reader;
            let whole = self.room.with(|live, now| live.presence(reader, None, SHOWN_NAMES, now));
            let everybody = frames::presence(name, &whole, self.monitor);
            if is_large || weight(&everybody) <= at_once {
                (update, frame) = (whole, everybody);
            }
        }
        while weight(&frame) > at_once
            && let What::Whole(users) = &mut update.what
        {
            let fitting = (users.len() * at_once / weight(&frame)).min(users.len().saturating_sub(1));
            users.truncate(fitting);
            frame = frames::presence(name, &update, self.monitor);
        }
        self.told = update.version;
        self.is_whole = update.is_whole_after(self.is_whole);
        frame
    }
}
