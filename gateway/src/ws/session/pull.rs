//! What a session takes from its rooms.
//!
//! Owns the turn in which answers, events and the ephemeral are written. Promises that order, and that each event is made
//! into bytes once for all sessions (P3, P8, P9). Never takes more than the socket is ready for.

use std::sync::Arc;

use parlour_feed::{Budget, Class, Entry, Step};
use parlour_proto::v1 as proto;
use parlour_proto::v1::chat_response;

use super::{Dialect, Frame, Session, Socket, frame, full_event, plain, plain_event, seat::State};
use crate::relay::{
    event::{Form, RoomEvent},
    inbox::take,
};

/// What is taken from a room before the next has its turn.
const BUDGET: Budget = Budget { events: 64, bytes: 64 * 1024 };
/// The same where all sessions together hold what they may.
const LEAST: Budget = Budget { events: 1, bytes: 0 };

impl<S: Socket> Session<S> {
    /// Finds something to write, once everything before has been handed over.
    pub(super) fn fill(&mut self) {
        if !self.writer.is_empty() {
            return;
        }
        while let Some(answer) = self.answers.pop_front() {
            self.writer.put(answer);
        }
        while self.writer.is_empty() && self.ending.is_none() {
            let next = take(&mut self.ready);
            let next = next.or_else(|| self.relay.inbox().next_room().map(|wake| Arc::clone(wake.room())));
            let Some(room) = next else { break };
            self.step(&room);
        }
        while self.writer.is_empty() && self.tell_presence() {}
        if self.writer.is_empty() {
            self.tell_typing();
        }
    }

    /// Takes what a room has for this session now.
    fn step(&mut self, name: &Arc<str>) {
        let budget = if self.has_room_for(Class::Answer) { BUDGET } else { LEAST };
        let Some(seat) = self.seats.get_mut(name) else { return };
        if matches!(seat.state, State::Starting(_)) {
            return;
        }
        let mut entries = Vec::new();
        let reader = seat.reader;
        let (step, is_live, is_poll_due) = seat.room.look(|feed| {
            let step = feed.step(reader, budget, now(), &mut entries);
            (step, feed.is_live(reader), feed.is_poll_due())
        });
        if is_poll_due {
            seat.room.nudge();
        }
        match step {
            Step::Nothing if is_live => self.verified(name, None),
            Step::Nothing => {} // it waits for the log, and is woken
            Step::Events => {
                self.verified(name, None);
                self.ready.push_back(Arc::clone(name));
                self.deliver(&entries);
            }
            Step::Presence { .. } => {
                seat.presence_owed.get_or_insert_with(now);
                self.ready.push_back(Arc::clone(name));
                self.verified(name, None);
            }
            Step::Head(_) => {}
            Step::Resync { cursor, reason } => {
                seat.head = cursor;
                self.ready.push_back(Arc::clone(name));
                if self.dialect == Dialect::Plain {
                    return self.end_slow();
                }
                let resync = proto::Resync {
                    room: name.to_string(),
                    cursor: cursor.to_string(),
                    reason: reason.as_str().to_owned(),
                };
                self.verified(name, Some(resync.cursor.clone()));
                self.writer.put(frame::encode("", &chat_response::Frame::Resync(resync)));
            }
        }
    }

    /// The log has judged the cursor that a session came with: its `joined` is said, from there or from the head.
    fn verified(&mut self, name: &Arc<str>, head: Option<String>) {
        let Some(seat) = self.seats.get_mut(name) else { return };
        if !matches!(seat.state, State::Verifying(_)) {
            return;
        }
        if let State::Verifying(mut start) = std::mem::replace(&mut seat.state, State::Live) {
            if let Some(head) = head {
                start.joined.cursor = head;
            }
            self.writer.put(frame::encode(&start.id, &chat_response::Frame::Joined(start.joined)));
            self.be_direct(name);
        }
    }

    fn deliver(&mut self, entries: &[Entry<Arc<RoomEvent>>]) {
        let form = self.form();
        let mut delivered = 0;
        for Entry { event, .. } in entries {
            let wire = event.frames.get(form, || match form {
                Form::Full => full_event(&event.event),
                Form::Plain => plain_event(&event.event),
            });
            if let Some(wire) = wire {
                self.writer.put(Frame::of_wire(wire));
                delivered += 1;
            }
        }
        self.terms.deliveries.increment(delivered);
    }

    fn tell_typing(&mut self) {
        let (form, has_room) = (self.form(), self.has_room_for(Class::Typing));
        while let Some(notice) = self.relay.inbox().next_typing() {
            if !has_room || !self.seats.get(notice.typing.room.as_str()).is_some_and(|seat| seat.is_live()) {
                continue;
            }
            let wire = notice.frames.get(form, || match form {
                Form::Full => {
                    let typing = chat_response::Frame::Typing(notice.typing.clone());
                    Some(frame::encode("", &typing).wire().clone())
                }
                Form::Plain => plain::typing(&notice.typing).map(|frame| frame.wire().clone()),
            });
            if let Some(wire) = wire {
                self.writer.put(Frame::of_wire(wire));
            }
        }
    }
}

pub(super) fn now() -> std::time::Instant {
    tokio::time::Instant::now().into_std()
}
