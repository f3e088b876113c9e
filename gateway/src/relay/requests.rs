//! What sessions ask of the room service.
//!
//! Owns what waits to go over the link, what has no answer yet, and what is said again after the link broke. Promises P5
//! on this side: one append of a session and room is on the link at a time, one that is refused for now refuses those
//! behind it, what has no answer is asked again on the next link, and a plain session's sends outlive even the socket.
//! Never waits, reads a clock or names a runtime.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use parlour_feed::planted::{self, Mistake};
use parlour_proto::v1 as proto;
use parlour_proto::v1::relay_request::Frame;

use departed::{Departed, Goodbye};

use super::{
    event::{Id, id_bytes},
    refusal::Refusal,
};

mod departed;

/// How many requests of a session wait at most.
pub const WAITING_PER_SESSION: usize = 64;
/// How many sends outlive their sockets at most, all sessions together.
const ORPHANS: usize = 4_096;
/// How long such a send is kept while no link stands.
const ORPHAN_LIMIT: Duration = Duration::from_secs(60);

/// A request that ended without the room service's yes.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// Whose.
    pub session: Id,
    /// Which.
    pub number: u64,
    /// What it was.
    pub what: What,
    /// Why.
    pub refusal: Refusal,
}

/// What a request was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A join of that room.
    Join(Arc<str>),
    /// A send to that room.
    Post(Arc<str>),
}

#[derive(Debug)]
struct Pending {
    what: What,
    frame: Frame,
    is_orphan: bool,
    deadline: Instant,
}

#[derive(Debug)]
struct Session {
    open: proto::OpenSession,
    is_plain: bool,
    is_named: bool,
    pending: BTreeMap<u64, Pending>,
    /// The appends of each room in order; only the first is, or may go, on the link.
    appends: BTreeMap<Arc<str>, VecDeque<u64>>,
    /// The socket is gone; what is left is to be answered by nobody.
    goodbye: Option<Box<Goodbye>>,
}

#[derive(Debug)]
enum Out {
    Open(Id),
    Request(Id, u64),
    Frame(Frame),
}

impl Session {
    /// What may go on the link: all joins, and of each room's appends the first.
    fn first(&self) -> impl Iterator<Item = u64> {
        let is_first = |number: &u64, pending: &Pending| match &pending.what {
            What::Join(_) => true,
            What::Post(room) => self.appends.get(room).and_then(VecDeque::front) == Some(number),
        };
        self.pending
            .iter()
            .filter(move |(number, pending)| is_first(number, pending))
            .map(|(number, _)| *number)
    }
}

/// All sessions' requests.
#[derive(Debug)]
pub struct Requests {
    limit: Duration,
    sessions: HashMap<Id, Box<Session>>,
    departed: Departed,
    out: VecDeque<Out>,
    deadlines: BTreeMap<(Instant, u64), Id>,
    last: u64,
    orphans: usize,
    is_up: bool,
}

impl Requests {
    /// Nobody has asked anything. A request waits for its answer no longer than `limit`.
    pub fn new(limit: Duration) -> Self {
        Self {
            limit,
            sessions: HashMap::new(),
            departed: Departed::default(),
            out: VecDeque::new(),
            deadlines: BTreeMap::new(),
            last: 0,
            orphans: 0,
            is_up: false,
        }
    }

    /// How many sessions there are, those of closed sockets among them.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// How many of a session's requests have no answer.
    pub fn pending(&self, id: &Id) -> usize {
        self.sessions.get(id).map_or(0, |session| session.pending.len())
    }

    /// Opens a session.
    pub fn open(&mut self, id: Id, open: proto::OpenSession) {
        let is_plain = matches!(open.credentials, Some(proto::open_session::Credentials::Plain(_)));
        let session = Session {
            open,
            is_plain,
            is_named: false,
            pending: BTreeMap::new(),
            appends: BTreeMap::new(),
            goodbye: None,
        };
        self.sessions.insert(id, Box::new(session));
        self.push(Out::Open(id));
    }

    /// Asks to join a room; returns the request's number. `is_first`: one of the rooms a session came with, which have a
    /// bound of their own.
    ///
    /// # Errors
    /// Too much of that session waits already.
    pub fn join(
        &mut self,
        mut join: proto::SessionJoin,
        id: Id,
        is_first: bool,
        now: Instant,
    ) -> Result<u64, Refusal> {
        let number = self.number(&id, is_first)?;
        join.session = id_bytes(&id);
        join.request = number;
        let room: Arc<str> = join.room.as_str().into();
        self.put(id, number, What::Join(room), Frame::Join(join), now);
        self.push(Out::Request(id, number));
        Ok(number)
    }

    /// Asks to append a message; returns the request's number.
    ///
    /// # Errors
    /// Too much of that session waits already.
    pub fn post(&mut self, mut post: proto::SessionPost, id: Id, now: Instant) -> Result<u64, Refusal> {
        let number = self.number(&id, false)?;
        post.session = id_bytes(&id);
        post.request = number;
        let room: Arc<str> = post.room.as_str().into();
        self.put(id, number, What::Post(Arc::clone(&room)), Frame::Message(post), now);
        let Some(session) = self.sessions.get_mut(&id) else { return Err(Refusal::unavailable()) };
        let appends = session.appends.entry(room).or_default();
        appends.push_back(number);
        let is_first = appends.len() == 1 || planted::makes(Mistake::Pipelining);
        if is_first {
            self.push(Out::Request(id, number));
        }
        Ok(number)
    }

    /// Says something that has no answer; where no link stands, it is not said later.
    pub fn say(&mut self, frame: Frame) {
        self.push(Out::Frame(frame));
    }

    /// A link stands: on it sessions are opened, then rooms followed, then what has no answer is asked, in order. Who
    /// closed within the grace is opened too, so that the room service knows whom a roster names, and then closed.
    pub fn attach(&mut self, follows: impl IntoIterator<Item = proto::Follow>, now: Instant) {
        self.is_up = true;
        self.out.clear();
        let mut sessions: Vec<_> = self.sessions.keys().copied().collect();
        sessions.sort_unstable(); // the same from the same past
        self.out.extend(sessions.into_iter().map(Out::Open));
        let (opens, closes) = self.departed.in_grace(now);
        self.out.extend(opens.into_iter().map(|open| Out::Frame(Frame::Open(open))));
        self.out.extend(follows.into_iter().map(|follow| Out::Frame(Frame::Follow(follow))));
        self.out.extend(closes.into_iter().map(|close| Out::Frame(Frame::Close(close))));
        let mut numbers: Vec<_> = self
            .sessions
            .iter()
            .flat_map(|(id, session)| session.first().map(|number| (number, *id)))
            .collect();
        numbers.sort_unstable();
        self.out.extend(numbers.into_iter().map(|(number, id)| Out::Request(id, number)));
    }

    /// Closes a session, which the room service holds in grace `until` then, if anywhere. A plain one that has sends
    /// without an answer is closed once it has them.
    pub fn close(&mut self, id: Id, mut close: proto::CloseSession, until: Option<Instant>, now: Instant) {
        close.session = id_bytes(&id);
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.goodbye = Some(Box::new(Goodbye { close, until }));
        let is_plain = session.is_plain;
        let is_kept = |pending: &Pending| is_plain && matches!(pending.what, What::Post(_));
        let given_up = session.pending.iter().filter(|(_, pending)| !is_kept(pending));
        for number in given_up.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.forget(id, number);
        }
        self.keep_or_end(id, now);
    }

    /// The next frame for the link, which must stand.
    pub fn next_frame(&mut self) -> Option<Frame> {
        while let Some(out) = self.out.pop_front() {
            match out {
                Out::Frame(frame) => return Some(frame),
                Out::Open(id) => {
                    let Some(session) = self.sessions.get_mut(&id) else { continue };
                    session.is_named = true;
                    return Some(Frame::Open(session.open.clone()));
                }
                Out::Request(id, number) => {
                    let session = self.sessions.get(&id);
                    let Some(pending) = session.and_then(|session| session.pending.get(&number)) else {
                        continue;
                    };
                    return Some(pending.frame.clone());
                }
            }
        }
        None
    }

    /// A session may not be: it is over.
    pub fn refused(&mut self, id: &Id) {
        self.end(id);
    }

    /// The room service admits a session: whether that is still wanted.
    pub fn joined(&mut self, id: Id, number: u64) -> bool {
        let is_wanted = self.forget(id, number).is_some();
        is_wanted && self.sessions.get(&id).is_some_and(|session| session.goodbye.is_none())
    }

    /// The room service did what was asked. Returns whether anybody waits for that.
    pub fn acked(&mut self, id: Id, number: u64, now: Instant) -> bool {
        let Some(pending) = self.forget(id, number) else { return false };
        if let What::Post(room) = pending.what {
            self.advance(id, &room, number);
        }
        self.keep_or_end(id, now)
    }

    /// The room service refused what was asked. Returns who is to be told: those behind a send that is refused for now
    /// are refused with it (P5 c).
    pub fn refuse(&mut self, id: Id, number: u64, refusal: Refusal, now: Instant) -> Vec<Refused> {
        let mut refused = Vec::new();
        let Some(pending) = self.forget(id, number) else { return refused };
        if let What::Post(room) = &pending.what {
            let behind = if refusal.is_retryable() { self.take_behind(id, room, number) } else { Vec::new() };
            self.advance(id, room, number);
            refused.push(Refused {
                session: id,
                number,
                what: pending.what.clone(),
                refusal: refusal.clone(),
            });
            for number in behind {
                if let Some(pending) = self.forget(id, number) {
                    refused.push(Refused {
                        session: id,
                        number,
                        what: pending.what,
                        refusal: refusal.clone(),
                    });
                }
            }
        } else {
            refused.push(Refused { session: id, number, what: pending.what, refusal });
        }
        if self.keep_or_end(id, now) { refused } else { Vec::new() }
    }

    /// When `expire` is to be called.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadlines.keys().next().map(|(due, _)| *due)
    }

    /// Refuses what has waited too long.
    pub fn expire(&mut self, now: Instant) -> Vec<Refused> {
        let mut refused = Vec::new();
        while self.deadline().is_some_and(|due| due <= now) {
            let Some(((_, number), id)) = self.deadlines.pop_first() else { break };
            refused.extend(self.refuse(id, number, Refusal::unavailable(), now));
        }
        refused
    }

    /// The link broke: what has no answer waits for the next.
    pub fn broke(&mut self) {
        self.is_up = false;
        self.out.clear();
        for session in self.sessions.values_mut() {
            session.open.again |= std::mem::take(&mut session.is_named);
        }
    }

    /// Puts something behind what waits for the link. Without one, `attach` finds by itself what is to be said.
    fn push(&mut self, out: Out) {
        if self.is_up {
            self.out.push_back(out);
        }
    }

    fn number(&mut self, id: &Id, is_first: bool) -> Result<u64, Refusal> {
        let session = self.sessions.get(id).ok_or_else(Refusal::unavailable)?;
        if !is_first && session.pending.len() >= WAITING_PER_SESSION {
            return Err(Refusal::unavailable());
        }
        self.last += 1;
        Ok(self.last)
    }

    fn put(&mut self, id: Id, number: u64, what: What, frame: Frame, now: Instant) {
        let deadline = now + self.limit;
        if let Some(session) = self.sessions.get_mut(&id) {
            session.pending.insert(number, Pending { what, frame, is_orphan: false, deadline });
            self.deadlines.insert((deadline, number), id);
        }
    }

    fn forget(&mut self, id: Id, number: u64) -> Option<Pending> {
        let session = self.sessions.get_mut(&id)?;
        let pending = session.pending.remove(&number)?;
        if session.pending.is_empty() {
            session.pending = BTreeMap::new(); // most sessions wait: they hold nothing meanwhile
        }
        self.deadlines.remove(&(pending.deadline, number));
        self.orphans -= usize::from(pending.is_orphan);
        Some(pending)
    }

    /// The room's first append is done: the next may go.
    fn advance(&mut self, id: Id, room: &Arc<str>, number: u64) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Some(appends) = session.appends.get_mut(room) else { return };
        let was_first = appends.front() == Some(&number);
        appends.retain(|waiting| *waiting != number);
        match appends.front() {
            Some(next) if was_first => {
                let next = *next;
                self.push(Out::Request(id, next));
            }
            Some(_) => {}
            None => {
                session.appends.remove(room);
                if session.appends.is_empty() {
                    session.appends = BTreeMap::new(); // an empty one may hold memory
                }
            }
        }
    }

    /// Takes those behind an append out of their room's queue.
    fn take_behind(&mut self, id: Id, room: &Arc<str>, number: u64) -> Vec<u64> {
        let appends = self.sessions.get_mut(&id).and_then(|session| session.appends.get_mut(room));
        let Some(appends) = appends else { return Vec::new() };
        match appends.iter().position(|waiting| *waiting == number) {
            Some(at) => appends.drain(at + 1..).collect(),
            None => Vec::new(),
        }
    }

    /// A closed session ends with its last answer. Returns whether anybody is there to be told.
    fn keep_or_end(&mut self, id: Id, now: Instant) -> bool {
        let Some(session) = self.sessions.get_mut(&id) else { return false };
        if session.goodbye.is_none() {
            return true;
        }
        if !session.pending.is_empty() {
            self.orphan(id, now);
        } else if let Some(Session { open, is_named, goodbye: Some(goodbye), .. }) =
            self.end(&id).map(|ended| *ended)
        {
            if is_named {
                self.push(Out::Frame(Frame::Close(goodbye.close.clone())));
            }
            self.departed.add(open, *goodbye, now);
        }
        false
    }

    /// The sends of a plain session whose socket is gone wait longer: nobody else would say them again.
    fn orphan(&mut self, id: Id, now: Instant) {
        let deadline = now + ORPHAN_LIMIT;
        let Some(session) = self.sessions.get_mut(&id) else { return };
        for (number, pending) in &mut session.pending {
            if pending.is_orphan || self.orphans >= ORPHANS {
                continue;
            }
            pending.is_orphan = true;
            self.orphans += 1;
            self.deadlines.remove(&(pending.deadline, *number));
            pending.deadline = deadline;
            self.deadlines.insert((deadline, *number), id);
        }
    }

    fn end(&mut self, id: &Id) -> Option<Box<Session>> {
        let session = self.sessions.remove(id)?;
        for (number, pending) in &session.pending {
            self.orphans -= usize::from(pending.is_orphan);
            self.deadlines.remove(&(pending.deadline, *number));
        }
        Some(session)
    }
}

#[cfg(test)]
mod tests;
