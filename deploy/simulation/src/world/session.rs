//! A browser's session, as its gateway holds it.
//!
//! Owns where the session stands in each room, what it has asked, and the order in which it is told things. Promises the
//! order of `gateway/src/ws/session`, whose shape it has without the socket: answers first, then a room's turn, then
//! presence, then typing; and `joined` before anything of the room. Never takes more than its socket has room for.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Instant,
};

use parlour_feed::{Allowance, Budget, Cursor, PresenceShare, ReaderId, Step};
use parlour_gateway::{
    relay::{
        Id, Join, Joined, Refusal, Room, Told,
        event::{Form, RoomEvent, id_bytes},
        inbox::Inbox,
        presence::{Mark, Shown},
    },
    ws::session::presence::news,
};
use parlour_proto::v1::{self as proto, event::Kind, open_session::Credentials};

use super::{ConnId, World, links::SOCKET};
use crate::{
    store::{Name, ROOMS},
    words::{Ask, Say},
};

/// What is taken from a room before the next has its turn.
const BUDGET: Budget = Budget { events: 5, bytes: 64 * 1024 };

/// How far a session has come in a room.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Its `joined` waits for the log's word on its cursor.
    Verifying(Cursor),
    Live,
}

struct Seat {
    room: Arc<Room>,
    reader: ReaderId,
    state: State,
    is_monitor: bool,
    mark: Mark,
    /// Since when presence is owed.
    presence_owed: Option<Instant>,
    head: Cursor,
    shown: Shown,
}

enum Asked {
    Join(usize, Option<Cursor>, bool),
    Post(usize, String),
}

/// A session.
pub(super) struct Session {
    pub(super) id: Id,
    pub(super) inbox: Arc<Inbox>,
    is_open: bool,
    first_rooms: Vec<(usize, Option<Cursor>)>,
    asked: BTreeMap<u64, Asked>,
    held: VecDeque<Ask>,
    answers: VecDeque<Say>,
    ready: VecDeque<usize>,
    seats: BTreeMap<usize, Seat>,
    allowance: Allowance,
}

impl Session {
    fn new(id: Id, share: PresenceShare, now: Instant) -> Self {
        Self {
            id,
            inbox: Arc::default(),
            is_open: false,
            first_rooms: Vec::new(),
            asked: BTreeMap::new(),
            held: VecDeque::new(),
            answers: VecDeque::new(),
            ready: VecDeque::new(),
            seats: BTreeMap::new(),
            allowance: Allowance::new(share, now),
        }
    }

    fn is_joining(&self, room: usize) -> bool {
        self.asked.values().any(|asked| matches!(asked, Asked::Join(of, ..) if *of == room))
            || self.seats.get(&room).is_some_and(|seat| seat.state != State::Live)
    }

    pub(super) fn reads(&self, room: usize) -> bool {
        self.seats.contains_key(&room)
    }

    /// The next room that has something, and has its turn.
    fn next_room(&mut self) -> Option<usize> {
        let number = |name: &str| ROOMS.iter().position(|room| *room == name);
        self.ready.pop_front().or_else(|| number(self.inbox.next_room()?.room()))
    }

    fn joined(&mut self, room: usize, at: Option<Cursor>, is_monitor: bool, joined: Joined) {
        if joined.again
            && let Some(seat) = self.seats.get_mut(&room)
        {
            (seat.is_monitor, seat.mark) = (is_monitor, joined.shown.mark);
            let cursor = seat.room.look(|feed| feed.reader_position(seat.reader)).unwrap_or(joined.head);
            self.answers.push_back(says_joined(room, cursor, &joined.shown, is_monitor));
            return;
        }
        let state = match at {
            Some(cursor) => State::Verifying(cursor),
            None => {
                self.answers.push_back(says_joined(room, joined.head, &joined.shown, is_monitor));
                State::Live
            }
        };
        let seat = Seat {
            room: joined.room,
            reader: joined.reader,
            state,
            is_monitor,
            mark: joined.shown.mark,
            presence_owed: None,
            head: joined.head,
            shown: joined.shown,
        };
        self.seats.insert(room, seat);
        self.ready.push_back(room);
    }

    /// The log has judged the cursor that it came with: `joined` is said, from there or from the head.
    fn verified(&mut self, room: usize, head: Option<Cursor>, into: &mut Vec<Say>) {
        let Some(seat) = self.seats.get_mut(&room) else { return };
        if let State::Verifying(at) = std::mem::replace(&mut seat.state, State::Live) {
            into.push(says_joined(room, head.unwrap_or(at), &seat.shown, seat.is_monitor));
        }
    }
}

fn says_joined(room: usize, cursor: Cursor, shown: &Shown, is_monitor: bool) -> Say {
    let users = shown.users.iter().map(|user| user.id.clone()).collect();
    Say::Joined { room, cursor, users, count: shown.count, is_monitor }
}

/// What the judge calls an event.
fn name(event: &RoomEvent) -> Name {
    let created_at = match &event.event.kind {
        Some(Kind::Message(posted)) => posted.data.as_ref().and_then(|data| data.created_at),
        _ => None,
    };
    created_at.map_or(0, |at| at.seconds * 1_000_000 + i64::from(at.nanos) / 1_000)
}

fn micros(at: Option<prost_types::Timestamp>) -> Name {
    at.map_or(0, |at| at.seconds * 1_000_000 + i64::from(at.nanos) / 1_000)
}

impl World {
    /// A frame of a client arrives.
    pub(super) fn gateway_hears(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let Some(ask) = conn.up.frames.pop_front() else { return };
        let (gateway, is_over) = (conn.gateway, conn.is_over_at_gateway);
        if is_over || !self.gateways[gateway].is_up {
            return;
        }
        self.asks(gateway, id, ask);
        self.gateway_follows_through(gateway);
    }

    fn asks(&mut self, gateway: usize, conn: ConnId, ask: Ask) {
        let now = self.now();
        if let Ask::Hello(token, rooms) = ask {
            let mut session = Session::new(self.chance.id(), self.limits.presence, now);
            session.first_rooms = rooms;
            let credentials = token.map(Credentials::GuestToken);
            let open =
                proto::OpenSession { session: id_bytes(&session.id), credentials, ..Default::default() };
            let at = &mut self.gateways[gateway];
            at.lane.open(session.id, open, Arc::clone(&session.inbox));
            at.sessions.insert(conn, session);
            return;
        }
        let at = &mut self.gateways[gateway];
        let Some(session) = at.sessions.get_mut(&conn) else { return };
        match ask {
            Ask::Join { room, .. } | Ask::Leave(room) if session.is_joining(room) => {
                session.held.push_back(ask)
            }
            Ask::Join { room, at, is_monitor } => self.joins(gateway, conn, room, at, is_monitor, false),
            Ask::Leave(room) => {
                if session.seats.remove(&room).is_some() {
                    at.lane.leave(session.id, ROOMS[room], now);
                }
                session.answers.push_back(Say::Left(room));
            }
            Ask::Post(room, key, content) => {
                let post = proto::SessionPost {
                    room: ROOMS[room].to_owned(),
                    content,
                    key: key.clone(),
                    key_is_clients: true,
                    ..Default::default()
                };
                self.judge.asked(room, conn, &post.content);
                match at.lane.post(session.id, post, now) {
                    Ok(number) => drop(session.asked.insert(number, Asked::Post(room, key))),
                    Err(refusal) => {
                        self.judge.refused(room, conn, &key);
                        session.answers.push_back(Say::Refused(room, key, refusal.0.code));
                    }
                }
            }
            Ask::Typing(room) => {
                let (session, room) = (id_bytes(&session.id), ROOMS[room].to_owned());
                at.lane.typing(proto::SessionTyping { session, room, typing: true, ..Default::default() });
            }
            Ask::Close => self.gateway_loses(conn, true),
            Ask::Hello(..) => {}
        }
    }

    fn joins(
        &mut self,
        gateway: usize,
        conn: ConnId,
        room: usize,
        at: Option<Cursor>,
        is_monitor: bool,
        is_first: bool,
    ) {
        let (now, seed) = (self.now(), self.chance.number());
        let limits = &self.limits;
        let here = &mut self.gateways[gateway];
        let Some(session) = here.sessions.get_mut(&conn) else { return };
        let join = Join { room: ROOMS[room].into(), name: String::new(), is_monitor, at, is_first };
        let mut made = None;
        let number = here.lane.join(
            session.id,
            join,
            || Arc::clone(made.insert(Room::new(ROOMS[room].into(), limits, seed))),
            now,
        );
        match number {
            Ok(number) => drop(session.asked.insert(number, Asked::Join(room, at, is_monitor))),
            Err(refusal) => session.answers.push_back(Say::Gone(room, refusal.0.code)),
        }
        if let Some(made) = made {
            made.look(|feed| feed.share_in(&here.pools));
            here.rooms.insert(room, Self::fed(made));
        }
    }

    /// The gateway learns that a client is gone, or has closed in order.
    pub(super) fn gateway_loses(&mut self, id: ConnId, in_order: bool) {
        let now = self.now();
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if std::mem::replace(&mut conn.is_over_at_gateway, true) {
            return;
        }
        let gateway = conn.gateway;
        let at = &mut self.gateways[gateway];
        if let Some(session) = at.sessions.remove(&id) {
            let reason = if in_order { proto::CloseReason::Closed } else { proto::CloseReason::Broken };
            let close = proto::CloseSession { reason: reason.into(), ..Default::default() };
            at.lane.close(session.id, close, now);
        }
        self.gateway_follows_through(gateway);
        self.sweep_links();
    }

    /// Hears what the relay says, then finds something to write while the socket has room.
    pub(super) fn serve(&mut self, gateway: usize, conn: ConnId) {
        while let Some(told) =
            self.gateways[gateway].sessions.get(&conn).and_then(|session| session.inbox.next_told())
        {
            self.told(gateway, conn, told);
        }
        self.ask_held(gateway, conn);
        while self.conns.get(&conn).is_some_and(|conn| conn.down.frames.len() < SOCKET) {
            let said = self.next_words(gateway, conn);
            if said.is_empty() {
                return;
            }
            for say in said {
                self.say(conn, Arc::new(say));
            }
            self.ask_held(gateway, conn);
        }
    }

    /// Asks what waited for the answer to a join of the same room, in its order.
    fn ask_held(&mut self, gateway: usize, conn: ConnId) {
        let Some(session) = self.gateways[gateway].sessions.get_mut(&conn) else { return };
        for ask in std::mem::take(&mut session.held) {
            self.asks(gateway, conn, ask);
        }
    }

    fn told(&mut self, gateway: usize, conn: ConnId, told: Told) {
        let now = self.now();
        let at = &mut self.gateways[gateway];
        let Some(session) = at.sessions.get_mut(&conn) else { return };
        match told {
            Told::Opened(Ok(opened)) => {
                if std::mem::replace(&mut session.is_open, true) {
                    return; // opened again, on another stream
                }
                let user = match opened.outcome {
                    Some(proto::session_opened::Outcome::User(user)) => user.id,
                    _ => String::new(),
                };
                session.answers.push_back(Say::Welcome(user, opened.guest_token));
                for (room, cursor) in std::mem::take(&mut session.first_rooms) {
                    self.joins(gateway, conn, room, cursor, false, true);
                }
            }
            Told::Opened(Err(_)) => session.answers.push_back(Say::Over),
            Told::Joined(number, answer) => match (session.asked.remove(&number), answer) {
                (Some(Asked::Join(room, cursor, is_monitor)), Ok(joined)) => {
                    session.joined(room, cursor, is_monitor, *joined);
                }
                (Some(Asked::Join(room, ..)), Err(Refusal(error))) => {
                    session.answers.push_back(Say::Gone(room, error.code));
                }
                (_, Ok(joined)) => at.lane.leave(session.id, joined.room.name(), now),
                (_, Err(_)) => {}
            },
            Told::Posted(number, answer) => {
                let Some(Asked::Post(room, key)) = session.asked.remove(&number) else { return };
                if answer.is_err() {
                    self.judge.refused(room, conn, &key);
                }
                session.answers.push_back(match answer {
                    Ok(ack) => Say::Ack(room, key, ack.seq.unwrap_or(0), micros(ack.created_at)),
                    Err(Refusal(error)) => Say::Refused(room, key, error.code),
                });
            }
            Told::Gone { room, reason } => {
                if let Some(room) = self.store.number(&room) {
                    session.seats.remove(&room);
                    session.answers.push_back(Say::Gone(room, reason));
                }
            }
        }
    }

    /// What is written next: answers, then a room's turn, then presence, then typing.
    fn next_words(&mut self, gateway: usize, conn: ConnId) -> Vec<Say> {
        let now = self.now();
        let Some(session) = self.gateways[gateway].sessions.get_mut(&conn) else { return Vec::new() };
        let mut said: Vec<_> = session.answers.drain(..).collect();
        while said.is_empty()
            && let Some(room) = session.next_room()
        {
            step(session, room, now, &mut said);
        }
        while said.is_empty() && tell_presence(session, now, &mut said) {}
        if said.is_empty()
            && let Some(notice) = session.inbox.next_typing()
            && let Some(room) = ROOMS.iter().position(|room| *room == notice.typing.room)
            && session.seats.get(&room).is_some_and(|seat| seat.state == State::Live)
        {
            let user = notice.typing.user.as_ref().map(|user| user.id.clone()).unwrap_or_default();
            said.push(Say::Typing(room, user));
        }
        said
    }

    /// Tells the heads that have moved, where everything up to them has been taken.
    pub(super) fn tell_heads(&mut self, gateway: usize, conn: ConnId) {
        let Some(session) = self.gateways[gateway].sessions.get_mut(&conn) else { return };
        let mut heads = Vec::new();
        for (room, seat) in session.seats.iter_mut().filter(|(_, seat)| seat.state == State::Live) {
            let head = seat.room.look(|feed| feed.is_live(seat.reader).then(|| feed.position()).flatten());
            if let Some(head) = head.filter(|head| std::mem::replace(&mut seat.head, *head) != *head) {
                heads.push(Say::Head(*room, head));
            }
        }
        session.answers.extend(heads);
    }
}

/// Takes what a room has for the session now.
fn step(session: &mut Session, room: usize, now: Instant, said: &mut Vec<Say>) {
    let Some(seat) = session.seats.get_mut(&room) else { return };
    let (reader, mut entries) = (seat.reader, Vec::new());
    let (step, is_live) = seat.room.look(|feed| {
        let step = feed.step(reader, BUDGET, now, &mut entries);
        (step, feed.is_live(reader))
    });
    match step {
        Step::Nothing if is_live => session.verified(room, None, said),
        Step::Nothing | Step::Head(_) => {}
        Step::Events => {
            session.ready.push_back(room);
            session.verified(room, None, said);
            said.extend(entries.iter().map(|entry| Say::Event(room, entry.cursor, name(&entry.event))));
        }
        Step::Presence { .. } => {
            seat.presence_owed.get_or_insert(now);
            session.ready.push_back(room);
            session.verified(room, None, said);
        }
        Step::Resync { cursor, reason } => {
            seat.head = cursor;
            session.ready.push_back(room);
            session.verified(room, Some(cursor), said);
            said.push(Say::Resync(room, cursor, reason));
        }
    }
}

/// Tells what has been owed longest of a room's presence, if anything is and the allowance permits.
fn tell_presence(session: &mut Session, now: Instant, said: &mut Vec<Say>) -> bool {
    if session.allowance.wait(now).is_some() {
        return false;
    }
    let owed = session.seats.iter_mut().filter(|(_, seat)| seat.state == State::Live);
    let owed = owed.filter_map(|(room, seat)| Some((seat.presence_owed?, *room, seat)));
    let Some((_, room, seat)) = owed.min_by_key(|(since, ..)| *since) else { return false };
    seat.presence_owed = None;
    let at_once = session.allowance.at_once();
    for frame in news(&seat.room, &mut seat.mark, Form::Full, seat.is_monitor, at_once) {
        session.allowance.spend(frame.len(), now);
        said.push(Say::Presence(room, frame));
    }
    true
}
