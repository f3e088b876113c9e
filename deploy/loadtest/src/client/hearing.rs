//! What a client of the full protocol hears.
//!
//! Owns what each frame means to it. Promises that every frame is put before the judge, with the frames around it, and
//! that what the server asks is done: waiting, going, a sign of life. Never sends.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::full::{Asked, Full, Seat};
use crate::{
    judge::{Breach, Promise, audit::Fate, doubts::Doubt, ledger::Digest, reader::Joined, view::Someone},
    record::Count,
    wire::{self, Down, Event, Told, Up},
};

/// How long to wait where a refusal does not say.
const RETRY: Duration = Duration::from_millis(500);

impl Full {
    /// Takes a frame.
    pub(super) fn hear(&mut self, told: Told) {
        self.world.truth().heard(self.me, self.world.now());
        let Told { id, down } = told;
        match down {
            Down::Welcome { guest_token, user } => self.welcome(&id, guest_token, user),
            Down::Joined { room, cursor, users, count } => self.joined(&id, &room, &cursor, users, count),
            Down::Event(event) => self.event(event),
            Down::Ack { seq } => self.acknowledged(&id, seq),
            Down::Error { code, retry_after_ms } => self.refused(&id, &code, retry_after_ms),
            Down::Snapshot { room, users, count } => {
                self.other(&room, "presence", |seat| seat.view.whole(users, count));
            }
            Down::Change { room, joined, left, changed, count } => {
                self.other(&room, "presence", |seat| seat.view.change(joined, &left, changed, count));
                self.left(&room, &left);
            }
            Down::Typing { room } => self.other(&room, "typing", |_| {}),
            Down::Heartbeat { heads } => {
                self.says.push((String::new(), Up::Ping));
                heads.iter().for_each(|(room, head)| self.head(room, head));
            }
            Down::Resync { room, cursor, reason } => self.resync(&room, &cursor, &reason),
            Down::Gone { room, reason } => self.gone(&room, &reason),
            Down::GoingAway { retry_after_ms } => {
                self.world.record.count(Count::GoingAway);
                self.going = Some(Instant::now() + Duration::from_millis(u64::from(retry_after_ms)));
            }
            Down::Other => {}
        }
    }

    fn welcome(&mut self, id: &str, guest_token: Option<String>, user: String) {
        if self.user.as_ref().is_some_and(|before| *before != user) {
            let breach = Breach::of(Promise::P4, format!("came back with its guest token, and was {user}"));
            self.world.record.breach(breach, None, Some(&self.name), Vec::new());
        }
        if self.asked.remove(id).is_none_or(|(asked, _)| asked != Asked::Hello) {
            let breach = Breach::of(Promise::P11, format!("welcomed as {id:?}, which was no hello"));
            self.world.record.breach(breach, None, Some(&self.name), Vec::new());
        }
        self.user = Some(user);
        self.is_welcome = true;
        self.backoff.reset();
        self.guest_token = guest_token.or(self.guest_token.take());
        for (seat, room) in self.seats.iter_mut().zip(&self.world.rooms) {
            seat.target = if seat.is_wished { room.ledger().head() } else { 0 };
        }
    }

    /// A room of ours; a frame of any other is a breach.
    fn room(&self, name: &str, what: &str) -> Option<usize> {
        let room = self.world.room(name);
        if room.is_none() {
            let breach = Breach::of(Promise::P3, format!("given {what} of a room that it never asked for"));
            self.world.record.breach(breach, Some(name), Some(&self.name), Vec::new());
        }
        room
    }

    fn cursor(&self, room: usize, text: &str) -> Option<parlour_feed::Cursor> {
        let cursor = wire::cursor(text).map_err(|error| Breach::of(Promise::P3, error));
        match cursor {
            Ok(cursor) => Some(cursor),
            Err(breach) => {
                self.world.accuse(&self.name, room, &self.seats[room].reader, Err(breach));
                None
            }
        }
    }

    fn accuse(&self, room: usize, result: Result<(), Breach>) {
        self.world.accuse(&self.name, room, &self.seats[room].reader, result);
    }

    fn joined(&mut self, id: &str, name: &str, cursor: &str, users: Vec<Someone>, count: u32) {
        self.asked.remove(id);
        let Some(room) = self.room(name, "joined") else { return };
        let Some(cursor) = self.cursor(room, cursor) else { return };
        let at_ms = self.world.record.elapsed_ms();
        let world = Arc::clone(&self.world);
        let seat = &mut self.seats[room];
        let joined = seat.reader.joined(at_ms, cursor);
        if joined.is_ok() {
            world.truth().came(self.me, room, world.now());
            seat.view.whole(users, count);
        }
        let named = world.rooms[room].ledger().named(cursor);
        match joined {
            Ok(Joined::Fresh | Joined::Again) => {}
            Ok(Joined::Resumed | Joined::Elsewhere) => {
                world.record.count(Count::Resumes);
                world.record.tried(Promise::P4, 1);
                if seat.target > cursor.seq {
                    world.record.count(Count::Replayed);
                }
            }
            Err(breach) => self.accuse(room, Err(breach)),
        }
        self.accuse(room, named);
        self.is_back();
    }

    fn event(&mut self, event: Event) {
        let Event { room: name, cursor, seq, message } = event;
        let Some(room) = self.room(&name, "an event") else { return };
        let Some(cursor) = self.cursor(room, &cursor) else { return };
        let world = Arc::clone(&self.world);
        world.record.count(Count::Deliveries);
        let at_ms = world.record.elapsed_ms();
        let digest = match &message {
            Some(message) => Digest::of(&message.author, &message.content),
            None => Digest::other("event"),
        };
        let result = if cursor.seq == seq {
            self.seats[room].reader.event(at_ms, cursor, digest, &mut world.rooms[room].ledger())
        } else {
            Err(Breach::at(Promise::P3, seq, format!("the event {seq} has the cursor {cursor}")))
        };
        self.accuse(room, result);
        if let Some(key) = message.as_ref().and_then(|message| message.key.as_deref()) {
            let content = message.as_ref().map(|message| message.content.as_str()).unwrap_or_default();
            if world.names.mark(key) != world.names.mark(content) {
                self.accuse(
                    room,
                    Err(Breach::at(Promise::P2, seq, "its key is another message's than its text")),
                );
            }
        }
        self.is_back();
    }

    /// Notes how long coming back took, once it is where the others were.
    fn is_back(&mut self) {
        let Some(since) = self.returning else { return };
        let is_there = |seat: &Seat| {
            !seat.is_wished
                || (seat.reader.is_in() && seat.reader.at().is_some_and(|at| at.seq >= seat.target))
        };
        if self.is_welcome && self.seats.iter().all(is_there) {
            self.returning = None;
            self.world.record.recovered_after(since.elapsed());
        }
    }

    fn acknowledged(&mut self, id: &str, seq: Option<u64>) {
        let Some((asked, _)) = self.asked.remove(id) else {
            let breach = Breach::of(Promise::P11, format!("an ack of {id:?}, which was not asked"));
            return self.world.record.breach(breach, None, Some(&self.name), Vec::new());
        };
        match (asked, seq) {
            (Asked::Send(room, number), Some(seq)) => self.sent(room, number, seq),
            (Asked::Leave(room), None) => {
                let at_ms = self.world.record.elapsed_ms();
                let seat = &mut self.seats[room];
                seat.is_leaving = false;
                let result = seat.reader.left(at_ms);
                self.accuse(room, result);
            }
            (asked, seq) => {
                let breach = Breach::of(Promise::P11, format!("{asked:?} was answered by an ack of {seq:?}"));
                self.world.record.breach(breach, None, Some(&self.name), Vec::new());
            }
        }
    }

    fn sent(&mut self, room: usize, number: u32, seq: u64) {
        let world = Arc::clone(&self.world);
        let (flight, result) = self.seats[room].outbox.acknowledged(number, seq);
        self.accuse(room, result);
        let sent = &mut self.book[number as usize];
        let before = std::mem::replace(&mut sent.fate, Fate::Acknowledged(seq));
        if let Fate::Acknowledged(first) = before {
            world.record.tried(Promise::P5, 1);
            sent.fate = before;
            if first != seq {
                let what = format!("a repeat was answered with {seq}, and the message itself with {first}");
                self.accuse(room, Err(Breach::at(Promise::P5, first, what)));
            }
        } else {
            world.record.count(Count::Acknowledged);
            if let Some(flight) = flight {
                world.record.acknowledged_after(flight.since.elapsed());
            }
        }
    }

    fn refused(&mut self, id: &str, code: &str, retry_after_ms: Option<u32>) {
        let record = &self.world.record;
        record.tried(Promise::P11, 1);
        let is_open = code == "UNAVAILABLE";
        record.count(match code {
            "UNAVAILABLE" => Count::Unavailable,
            "RATE_LIMITED" => Count::RateLimited,
            _ => Count::OtherRefusals,
        });
        let wait = retry_after_ms.map_or(RETRY, |ms| Duration::from_millis(u64::from(ms)));
        let again = matches!(code, "UNAVAILABLE" | "RATE_LIMITED").then(|| Instant::now() + wait);
        let Some((asked, _)) = self.asked.remove(id) else {
            let breach = Breach::of(Promise::P11, format!("{code} to {id:?}, which was not asked"));
            return record.breach(breach, None, Some(&self.name), Vec::new());
        };
        if again.is_some() && retry_after_ms.is_none() {
            let breach = Breach::of(Promise::P11, format!("{code} without retry_after_ms"));
            record.breach(breach, None, Some(&self.name), Vec::new());
        }
        match asked {
            Asked::Hello => self.expect(again.is_some(), 0, &format!("a hello was refused with {code}")),
            Asked::Send(room, number) => self.not_sent(room, number, code, again, is_open),
            Asked::Join(room) => {
                self.world.truth().refused(self.me, room, self.world.now());
                self.seats[room].reader.refused(self.world.record.elapsed_ms());
                self.seats[room].not_before = again;
                self.expect(again.is_some(), room, &format!("a join was refused with {code}"));
            }
            Asked::Leave(room) => {
                self.seats[room].is_leaving = false;
                self.expect(again.is_some(), room, &format!("a leave was refused with {code}"));
            }
            Asked::Fault(fault) => {
                let is_expected = code == fault.code() || again.is_some();
                self.expect(is_expected, 0, &format!("{fault:?} was refused with {code}"));
            }
        }
    }

    fn expect(&self, is_so: bool, room: usize, what: &str) {
        if !is_so {
            self.accuse(room, Err(Breach::of(Promise::P11, what)));
        }
    }

    fn not_sent(&mut self, room: usize, number: u32, code: &str, again: Option<Instant>, is_open: bool) {
        self.expect(again.is_some(), room, &format!("a message was refused with {code}"));
        let outbox = &mut self.seats[room].outbox;
        // What was surely not applied need not be said again: one in four is dropped, and must never be seen.
        let was_open = outbox.in_flight(number).is_none_or(|flight| flight.say.is_open);
        let is_dropped = !is_open && !was_open && number.is_multiple_of(4);
        if is_dropped {
            self.book[number as usize].fate = Fate::Refused;
        }
        let result = outbox.refused(number, code, again.filter(|_| !is_dropped), is_open);
        self.accuse(room, result);
    }

    fn resync(&mut self, name: &str, cursor: &str, reason: &str) {
        let Some(room) = self.room(name, "resync") else { return };
        let Some(cursor) = self.cursor(room, cursor) else { return };
        let world = Arc::clone(&self.world);
        world.record.count(Count::Resyncs);
        let at_ms = world.record.elapsed_ms();
        let result = {
            let mut ledger = world.rooms[room].ledger();
            let result = self.seats[room].reader.resync(at_ms, cursor, reason, world.replay_events, &ledger);
            result.and_then(|()| ledger.named(cursor))
        };
        self.accuse(room, result);
        self.is_back();
    }

    fn gone(&mut self, name: &str, reason: &str) {
        let Some(room) = self.room(name, "gone") else { return };
        let at_ms = self.world.record.elapsed_ms();
        let seat = &mut self.seats[room];
        if seat.reader.is_in() {
            self.world.truth().leaves(self.me, room, self.world.now());
        }
        self.world.truth().refused(self.me, room, self.world.now());
        seat.reader.refused(at_ms);
        seat.not_before = Some(Instant::now() + RETRY);
        let is_passing = matches!(reason, "UNAVAILABLE" | "RATE_LIMITED");
        self.expect(is_passing, room, &format!("the room is said to be gone: {reason}"));
    }

    fn head(&mut self, name: &str, head: &str) {
        let Some(room) = self.room(name, "a head") else { return };
        let Some(head) = self.cursor(room, head) else { return };
        let at_ms = self.world.record.elapsed_ms();
        match self.seats[room].reader.head(at_ms, head) {
            Ok(false) => {}
            Ok(true) => self.world.record.count(Count::HeadsAhead),
            Err(breach) => self.accuse(room, Err(breach)),
        }
    }

    fn other(&mut self, name: &str, what: &str, take: impl FnOnce(&mut Seat)) {
        let Some(room) = self.room(name, what) else { return };
        take(&mut self.seats[room]);
        let result = self.seats[room].reader.other();
        self.accuse(room, result);
    }

    /// Somebody was said to have left: had they?
    fn left(&mut self, name: &str, left: &[Someone]) {
        let Some(room) = self.world.room(name) else { return };
        let seat = &self.seats[room];
        for user in left {
            self.world.doubt(Doubt {
                room,
                client: self.name.clone(),
                user: user.name.clone(),
                told: seat.view.times_left(&user.name),
                begun: seat.begun,
                at: self.world.now(),
                frames: seat.reader.frames(),
            });
        }
    }
}
