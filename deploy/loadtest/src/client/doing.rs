//! What a client of the full protocol does.
//!
//! Owns what it asks for, and when: what its dice say, what its outboxes hold, what the phase of the run wants. Promises
//! one way for everything that is asked, so that every answer finds its question. Never touches a connection.

use std::time::{Duration, Instant};

use super::{
    Phase,
    full::{Asked, End, Full, Seat},
    outbox::Say,
};
use crate::{
    judge::audit::{Fate, Mark, Sent},
    plan::Deed,
    record::Count,
    truth::Parting,
    wire::Up,
};

/// How long a request may go unanswered before the connection is given up.
const SILENCE: Duration = Duration::from_secs(30);
/// How many messages one client says at most.
const MESSAGES: usize = 100_000;

impl Full {
    /// Does what is due.
    pub(super) fn act(&mut self, now: Instant) -> Option<End> {
        if self.asked.values().any(|(_, since)| now - *since > SILENCE)
            || (!self.is_welcome && now - self.opened > SILENCE)
        {
            self.world.record.count(Count::Unanswered);
            return Some(End::Part(Parting::Broken, Duration::ZERO));
        }
        if self.going.is_some_and(|at| at <= now) {
            return Some(End::Part(Parting::Closed, Duration::ZERO)); // which is told as what was asked
        }
        let phase = self.phase.borrow().clone();
        match phase {
            Phase::Talk if self.is_welcome => self.talk(now),
            Phase::Talk | Phase::Hush | Phase::Catch(_) => None,
            Phase::Settle => {
                self.settle();
                None
            }
            Phase::Compare(comparison) => {
                self.compare(&comparison);
                None
            }
            Phase::Part => Some(End::Finished),
        }
    }

    /// Talks, and does the deeds that are due.
    fn talk(&mut self, now: Instant) -> Option<End> {
        if self.next_say <= now {
            self.next_say = now + self.dice.wait(self.world.rate);
            let rooms = self.rooms(|seat| seat.is_wished && seat.reader.is_in());
            if let Some(room) = self.dice.one_of(&rooms).copied() {
                self.compose(room);
            }
        }
        if self.next_deed > now {
            return None;
        }
        self.next_deed = now + self.dice.until_deed();
        match self.dice.deed() {
            Deed::Part(parting, pause) => {
                let is_cut = parting == Parting::Broken;
                self.world.record.count(if is_cut { Count::Cuts } else { Count::Closes });
                return Some(End::Part(parting, pause));
            }
            deed => self.does(deed),
        }
        None
    }

    fn does(&mut self, deed: Deed) {
        let inside = self.rooms(|seat| seat.is_wished && seat.reader.is_in());
        match deed {
            Deed::Leave => {
                let quiet =
                    self.rooms(|seat| seat.is_wished && seat.reader.is_in() && seat.outbox.is_empty());
                if let Some(room) = self.dice.one_of(&quiet).filter(|_| inside.len() > 1) {
                    self.seats[*room].is_wished = false;
                }
            }
            Deed::Join => {
                let outside = self.rooms(|seat| !seat.is_wished && !seat.is_leaving);
                if let Some(room) = self.dice.one_of(&outside) {
                    self.seats[*room].is_wished = true;
                }
            }
            Deed::Repeat => self.repeat(),
            Deed::Burst(size) => {
                if let Some(room) = self.dice.one_of(&inside).copied() {
                    (0..size).for_each(|_| self.compose(room));
                    self.seats[room].outbox.burst();
                }
            }
            Deed::Type => {
                if let Some(room) = self.dice.one_of(&inside) {
                    let room = self.world.rooms[*room].name.clone();
                    self.says.push((String::new(), Up::Typing { room }));
                }
            }
            Deed::Err(fault) => {
                let room = self.world.rooms[0].name.clone();
                self.ask(Asked::Fault(fault), Up::Fault(fault, room));
            }
            Deed::Part(..) => {}
        }
    }

    /// The rooms whose seats are so.
    fn rooms(&self, is_so: impl Fn(&Seat) -> bool) -> Vec<usize> {
        self.seats.iter().enumerate().filter(|(_, seat)| is_so(seat)).map(|(room, _)| room).collect()
    }

    /// Has something new to say.
    fn compose(&mut self, room: usize) {
        if self.book.len() >= MESSAGES || !self.seats[room].outbox.has_room() {
            return;
        }
        let number = u32::try_from(self.book.len()).expect("there are at most MESSAGES");
        let room_number = u16::try_from(room).expect("the settings bound the rooms");
        self.book.push(Sent { room: room_number, ..Sent::default() });
        self.seats[room].outbox.push(Say::new(number));
    }

    /// Says again what was acknowledged long ago.
    fn repeat(&mut self) {
        if self.book.is_empty() {
            return;
        }
        let number = self.dice.below(self.book.len());
        let Sent { room, fate, .. } = self.book[number];
        let seat = &mut self.seats[usize::from(room)];
        if matches!(fate, Fate::Acknowledged(_)) && seat.is_wished && seat.outbox.is_empty() {
            let number = u32::try_from(number).expect("there are at most MESSAGES");
            seat.outbox.push(Say::again(number));
        }
    }

    /// Takes its last place: back where an earlier session may still count, out of one room in five.
    fn settle(&mut self) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let now = self.world.now();
        for room in 0..self.seats.len() {
            let may_linger = self.world.truth().may_linger(self.me, room, now);
            let leaves = self.dice.chance(0.2);
            let seat = &mut self.seats[room];
            if may_linger {
                seat.is_wished = true;
            } else if leaves && seat.outbox.is_empty() {
                seat.is_wished = false;
            }
        }
    }

    /// Writes what the session owes: joins, leaves, messages.
    pub(super) fn pump(&mut self, now: Instant) {
        if !self.is_welcome {
            return;
        }
        for room in 0..self.seats.len() {
            let seat = &mut self.seats[room];
            let (is_in, is_asking) = (seat.reader.is_in(), seat.reader.is_asking());
            if seat.is_wished && !is_in && !is_asking && seat.not_before.is_none_or(|at| at <= now) {
                self.join(room);
            } else if !seat.is_wished && is_in && !seat.is_leaving {
                self.leave(room);
            } else if seat.is_wished && is_in && !seat.is_leaving {
                for say in seat.outbox.launch(now) {
                    self.say(room, say);
                }
            }
        }
    }

    fn join(&mut self, room: usize) {
        let (now, at_ms) = (self.world.now(), self.world.record.elapsed_ms());
        let seat = &mut self.seats[room];
        if seat.is_leaving {
            return;
        }
        let from = seat.reader.at();
        seat.reader.asks(at_ms, from);
        seat.view.begin();
        seat.begun = now;
        let join =
            Up::Join { room: self.world.rooms[room].name.clone(), cursor: from.map(|from| from.to_string()) };
        self.ask(Asked::Join(room), join);
    }

    fn leave(&mut self, room: usize) {
        self.seats[room].is_leaving = true;
        self.world.truth().leaves(self.me, room, self.world.now());
        self.ask(Asked::Leave(room), Up::Leave { room: self.world.rooms[room].name.clone() });
    }

    fn say(&mut self, room: usize, say: Say) {
        let mark = Mark { client: self.me, number: say.number };
        let is_known = matches!(self.book[say.number as usize].fate, Fate::Acknowledged(_));
        let names = &self.world.names;
        let content = if is_known { names.other_text(mark) } else { names.text(mark) };
        let message =
            Up::Message { room: self.world.rooms[room].name.clone(), content, key: names.key(mark) };
        self.world.record.count(if say.is_again { Count::Repeats } else { Count::Sends });
        self.ask(Asked::Send(room, say.number), message);
    }

    /// Asks for something that is answered.
    pub(super) fn ask(&mut self, asked: Asked, up: Up) {
        self.ids += 1;
        let id = self.ids.to_string();
        self.asked.insert(id.clone(), (asked, Instant::now()));
        self.says.push((id, up));
    }

    /// When there is something to do though nothing is heard.
    pub(super) fn due(&self) -> Instant {
        let mut due = Instant::now() + Duration::from_secs(1);
        if matches!(*self.phase.borrow(), Phase::Talk) && self.is_welcome {
            due = due.min(self.next_say).min(self.next_deed);
        }
        let waits = self.seats.iter().flat_map(|seat| [seat.outbox.due(), seat.not_before]).flatten();
        waits.chain(self.going).fold(due, Instant::min)
    }

    /// Says that it has done all that the phase asks, once it has.
    pub(super) fn report(&mut self) {
        let phase = self.phase.borrow().clone();
        if self.reported >= phase.number() || !self.is_welcome {
            return;
        }
        let is_quiet = self.seats.iter().all(|seat| seat.outbox.is_empty()) && self.asked.is_empty();
        let is_placed = self.seats.iter().all(|seat| seat.is_wished == seat.reader.is_in());
        let is_there = |heads: &[u64]| {
            let seats = self.seats.iter().zip(heads);
            seats
                .filter(|(seat, _)| seat.is_wished)
                .all(|(seat, head)| seat.reader.at().is_some_and(|at| at.seq >= *head))
        };
        let is_done = match &phase {
            Phase::Talk | Phase::Part => false,
            Phase::Hush => is_quiet,
            Phase::Settle => is_quiet && is_placed && self.settled,
            Phase::Catch(heads) => is_quiet && is_placed && is_there(heads),
            Phase::Compare(..) => self.seats.iter().all(|seat| seat.is_compared),
        };
        // The channel has room for every client and phase.
        if is_done && self.world.ready.try_send((self.me, phase.number())).is_ok() {
            self.reported = phase.number();
        }
    }
}
