//! What a session is told, and what becomes of it.
//!
//! Owns the answers to what was asked: of the relay, and of what was read beside it. Promises one answer to each request
//! that is owed one, and that `joined` is said in the reader's own order (P3, P11). Never asks anything by itself.

use std::{collections::BTreeMap, sync::Arc};

use parlour_feed::Cursor;
use parlour_proto::v1 as proto;
use parlour_proto::v1::chat_response::Frame as Down;

use super::{
    Asked, Close, Dialect, Done, Ending, Joining, Session, Socket, plain,
    seat::{Seat, Start, State},
};
use crate::{
    limits,
    relay::{
        Joined, Refusal, Told,
        history::{Place, Wanted},
    },
};

impl<S: Socket> Session<S> {
    /// Takes what the relay says.
    pub(super) fn told(&mut self, told: Told) {
        match told {
            Told::Opened(Ok(opened)) => self.opened(opened),
            Told::Opened(Err(refusal)) => self.not_opened(&refusal),
            Told::Joined(number, answer) => match (self.answered(number), answer) {
                (Some(Asked::Join(joining)), Ok(joined)) => self.joined(*joining, *joined),
                (Some(Asked::Join(joining)), Err(refusal)) => self.not_joined(&joining, &refusal),
                (_, Ok(joined)) => self.relay.leave(joined.room.name()),
                (_, Err(_)) => {}
            },
            Told::Posted(number, answer) => self.posted(number, answer),
            Told::Gone { room, reason } => {
                self.seats.remove(&room);
                self.say_gone(&room, &reason);
            }
        }
    }

    /// Takes what was read.
    pub(super) fn done(&mut self, done: Done) {
        match done {
            Done::History(id, Ok(page)) => self.answer(&id, Down::History((*page).clone())),
            Done::History(id, Err(refusal)) => self.refuse(&id, None, &refusal),
            Done::Messages(room, page) => self.started(&room, page),
            Done::Named(name) => self.named(name),
            Done::FirstNamed(asked, cursor, Ok(name)) => self.first(&asked, &name, &cursor),
            Done::FirstNamed(asked, _, Err(refusal)) => self.say_gone(&asked, &refusal.0.code),
        }
    }

    fn answered(&mut self, number: u64) -> Option<Asked> {
        let asked = self.asked.remove(&number);
        if self.asked.is_empty() {
            self.asked = BTreeMap::new(); // most sessions wait: they hold nothing meanwhile
        }
        asked
    }

    fn opened(&mut self, opened: proto::SessionOpened) {
        // A plain session hears nothing of it.
        let Some(opening) = self.opening.take() else { return };
        let user = match opened.outcome {
            Some(proto::session_opened::Outcome::User(user)) => Some(user),
            _ => None,
        };
        let limits = &self.terms.limits;
        let welcome = proto::Welcome {
            session: data_encoding::HEXLOWER.encode(&self.relay.id()),
            user,
            guest_token: (!opened.guest_token.is_empty()).then_some(opened.guest_token),
            heartbeat_ms: u32::try_from(limits.heartbeat.as_millis()).unwrap_or(u32::MAX),
            limits: Some(proto::Limits {
                frame_bytes: u32::try_from(limits.frame_bytes).unwrap_or(u32::MAX),
                content_chars: u32::try_from(limits.content_chars).unwrap_or(u32::MAX),
                rooms: u32::try_from(limits.session_rooms).unwrap_or(u32::MAX),
                page: limits::PAGE_MAX,
            }),
        };
        self.answer(&opening.id, Down::Welcome(welcome));
        self.first_rooms(opening.rooms);
    }

    fn not_opened(&mut self, refusal: &Refusal) {
        let opening = self.opening.take();
        let (was_open, id) = (opening.is_none(), opening.map(|opening| opening.id).unwrap_or_default());
        self.refuse(&id, None, refusal);
        match refusal.0.code.as_str() {
            "UNAUTHENTICATED" => self.end(Ending::of(Close::Unauthenticated)),
            // A plain session, or one opened again on another stream: what it came with cannot be put right.
            _ if was_open || refusal.is_retryable() => self.end(Ending::of(Close::GoingAway)),
            // Something in the hello can be put right: it may be said again.
            _ => {
                self.relay = self.relay.relay().session();
                self.dialect = Dialect::Open;
            }
        }
    }

    fn joined(&mut self, joining: Joining, joined: Joined) {
        let Joined { room, reader, again, wake, head, info, mut shown, user: _ } = joined;
        let name = Arc::clone(room.name());
        if self.dialect == Dialect::Plain {
            shown = room.look(|feed| feed.fold().shown_plainly());
        }
        if again && let Some(seat) = self.seats.get_mut(&name) {
            (seat.is_monitor, seat.mark) = (joining.is_monitor, shown.mark);
            seat.name.clone_from(&joining.name);
            let cursor = seat.room.look(|feed| feed.reader_position(reader)).unwrap_or(head);
            if self.dialect == Dialect::Plain {
                self.welcome_plain(&joining, &shown);
            } else {
                self.answer(&joining.id, Down::Joined(frame(&name, info, cursor, &shown)));
            }
            return;
        }
        let mut seat = Seat {
            room,
            reader,
            wake,
            state: State::Live,
            name: joining.name.clone(),
            is_monitor: joining.is_monitor,
            mark: shown.mark,
            presence_owed: None,
            head,
            typed: None,
        };
        if self.dialect == Dialect::Plain {
            self.welcome_plain(&joining, &shown);
        } else {
            let cursor = joining.cursor.unwrap_or(head);
            let start = Start { id: joining.id, joined: frame(&name, info, cursor, &shown) };
            if joining.cursor.is_some() {
                seat.state = State::Verifying(Box::new(start));
            } else if joining.history == 0 || head.seq == 0 {
                self.answer(&start.id, Down::Joined(start.joined));
            } else {
                seat.state = State::Starting(Box::new(start));
                self.read_newest(&name, head, joining.history);
            }
        }
        self.seats.insert(seat);
        self.be_direct(&name);
        self.ready.push_back(name);
    }

    fn welcome_plain(&mut self, joining: &Joining, shown: &crate::relay::presence::Shown) {
        self.answers.push_back(plain::user_list(&joining.room, shown));
        if !joining.is_monitor {
            self.answers.push_back(plain::user_joined(&joining.room, &joining.name, shown));
        }
    }

    fn read_newest(&mut self, room: &Arc<str>, head: Cursor, limit: u32) {
        let wanted = Wanted { room: Arc::clone(room), place: Place::Before(head.seq + 1), limit };
        let (room, page) = (Arc::clone(room), self.relay.relay().history().read(wanted));
        self.order(async move { Done::Messages(room, page.await) });
    }

    /// The newest messages are there: `joined` can be said.
    fn started(&mut self, name: &Arc<str>, page: crate::relay::history::Page) {
        let Some(seat) = self.seats.get_mut(name) else { return };
        let State::Starting(mut start) = std::mem::replace(&mut seat.state, State::Live) else { return };
        match page {
            Ok(page) => {
                start.joined.messages.clone_from(&page.messages);
                start.joined.more = page.more;
                self.answer(&start.id, Down::Joined(start.joined));
                self.be_direct(name);
                self.ready.push_back(Arc::clone(name));
            }
            Err(refusal) => {
                self.seats.remove(name);
                self.relay.leave(name);
                self.refuse(&start.id, Some(name), &refusal);
            }
        }
    }

    pub(super) fn not_joined(&mut self, joining: &Joining, refusal: &Refusal) {
        if joining.is_first {
            self.say_gone(&joining.named, &refusal.0.code);
        } else {
            self.refuse(&joining.id, Some(&joining.named), refusal);
        }
    }

    fn posted(&mut self, number: u64, answer: Result<proto::Ack, Refusal>) {
        let Some(Asked::Post { id, room }) = self.answered(number) else { return };
        match answer {
            Ok(_) if self.dialect == Dialect::Plain => {}
            Ok(ack) => self.answer(&id, Down::Ack(ack)),
            Err(refusal) => self.refuse(&id, Some(&room), &refusal),
        }
    }

    pub(super) fn say_gone(&mut self, room: &str, reason: &str) {
        if self.dialect == Dialect::Plain {
            self.answers.push_back(plain::gone(room, reason));
        } else {
            self.answer("", Down::Gone(proto::Gone { room: room.to_owned(), reason: reason.to_owned() }));
        }
    }
}

/// A `joined` that brings no messages yet.
fn frame(
    room: &str,
    info: proto::RoomInfo,
    cursor: Cursor,
    shown: &crate::relay::presence::Shown,
) -> proto::Joined {
    proto::Joined {
        room: room.to_owned(),
        info: Some(info),
        cursor: cursor.to_string(),
        messages: Vec::new(),
        more: cursor.seq > 0,
        users: shown.users.to_vec(),
        count: shown.count,
    }
}
