//! The rooms a relay follows.
//!
//! Owns each from `follow` to `unfollow`: its loading, its roster, its reader, and the joins that wait. Promises that
//! `following` comes after the `gone` of the roster and before any `joined`, that a joiner is told of itself before its
//! `joined`, and that what a roster does not name has left. Never reads the log.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use parlour_feed::{
    Cursor, ReaderId, ReaderKind,
    planted::{self, Mistake},
};
use parlour_proto::v1::{self, relay_frame::Frame as Down};

use super::{
    desk::{Desk, Job, id},
    frames,
};
use crate::{
    domain::{ids::SessionId, message::User, room::RoomName},
    error::Error,
    hub::{
        live::{Admission, Live, Named},
        presence::Update,
        room::LiveRoom,
        signal::{Key, Waker},
    },
    rooms::RoomRef,
};

/// Joins that wait for one room to be loaded; the next is refused.
const WAITING: usize = 16_384;
/// How long to wait before a room that could not be loaded is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// A room that a relay follows.
pub(super) struct Followed {
    pub(super) name: RoomName,
    pub(super) state: State,
}

pub(super) enum State {
    /// Its live room is asked for.
    Loading(Loading),
    /// It is read.
    Ready(Ready),
}

#[derive(Default)]
pub(super) struct Loading {
    follow: v1::Follow,
    /// Who of the roster had closed, and who has since.
    closed: Vec<Closed>,
    joins: VecDeque<v1::SessionJoin>,
}

/// A session that closed before its room was loaded: it is in grace all the same.
struct Closed {
    session: SessionId,
    /// Who it is; `None` where that is not known, or it may never have been admitted: then it is kept if held.
    user: Option<User>,
    until: Instant,
}

pub(super) struct Ready {
    pub(super) room: Arc<LiveRoom>,
    pub(super) reader: ReaderId,
    /// The version of presence the relay knows.
    pub(super) told: u64,
    /// Who is admitted, and from which version of presence on it may be told so.
    joins: VecDeque<(SessionId, u64, Down)>,
}

/// Whether a roster names a session whose join has no answer.
fn is_joining(follow: &v1::Follow, session: SessionId) -> bool {
    follow.joining.iter().any(|joining| joining[..] == session.as_bytes()[..])
}

impl Closed {
    fn named(&self, now: Instant) -> Named {
        Named::Closing(self.session, self.user.clone(), self.until.saturating_duration_since(now))
    }
}

impl Ready {
    /// The joins that may be told now.
    pub(super) fn released(&mut self) -> Vec<Down> {
        let told = self.told;
        let mut released = Vec::new();
        let waiting = std::mem::take(&mut self.joins);
        for (session, needs, frame) in waiting {
            if needs <= told {
                released.push(frame);
            } else {
                self.joins.push_back((session, needs, frame));
            }
        }
        released
    }
}

impl Followed {
    /// A session has closed, and its grace ends then; `user` says who it is under a display name.
    pub(super) fn close(&mut self, session: SessionId, until: Instant, user: impl Fn(&str) -> Option<User>) {
        if let State::Loading(loading) = &mut self.state {
            let mut present = loading.follow.admitted.iter().filter(|entry| !entry.monitor);
            if let Some(entry) = present.find(|entry| entry.session[..] == session.as_bytes()[..]) {
                loading.closed.push(Closed { session, user: user(&entry.name), until });
            } else if is_joining(&loading.follow, session) {
                loading.closed.push(Closed { session, user: None, until });
            }
        }
        self.forget(session);
    }

    /// A session has left or closed: it waits for nothing here.
    pub(super) fn forget(&mut self, session: SessionId) {
        let is_it = |bytes: &[u8]| bytes == session.as_bytes();
        match &mut self.state {
            State::Loading(loading) => {
                loading.joins.retain(|join| !is_it(&join.session));
                loading.follow.admitted.retain(|entry| !is_it(&entry.session));
                loading.follow.joining.retain(|joining| !is_it(joining));
            }
            State::Ready(ready) => ready.joins.retain(|(waiting, ..)| *waiting != session),
        }
    }
}

impl Desk {
    /// Follows a room, from its first session or after a re-attach.
    pub(super) fn follow(&mut self, follow: v1::Follow, now: Instant) {
        let Ok(name) = RoomName::parse(&follow.room) else { return };
        let key = self.key_of(&name);
        let closed = self.closing(&follow, now);
        let loading = Loading { follow, closed, ..Loading::default() };
        match self.followed.get_mut(&key).map(|followed| &mut followed.state) {
            Some(State::Loading(before)) => {
                (before.follow, before.closed) = (loading.follow, loading.closed);
                return;
            }
            Some(State::Ready(ready)) => {
                ready.room.with_at(now, |live| live.part(ready.reader, now)); // once more: from the beginning
            }
            None => {}
        }
        self.followed.insert(key, Followed { name: name.clone(), state: State::Loading(loading) });
        self.load(key, name, Duration::ZERO);
    }

    /// Follows a room no longer.
    pub(super) fn unfollow(&mut self, room: &str, now: Instant) {
        let Some(key) = self.names.remove(room) else { return };
        let sessions = self.sessions.leave_all(key);
        match self.followed.remove(&key).map(|followed| followed.state) {
            Some(State::Ready(ready)) => ready.room.with_at(now, |live| {
                live.part(ready.reader, now);
                for session in sessions {
                    live.leave(session, self.owner, now);
                }
            }),
            Some(State::Loading(loading)) => self.refuse(loading.joins, || Error::Busy),
            None => {}
        }
    }

    /// The log has a room no longer, which is followed no longer then: whoever is in it, or waits for their `joined`, is
    /// told. A room of that name is another, and is followed with the next join.
    pub(super) fn lost(&mut self, key: Key, now: Instant) {
        let Some(Followed { name, state: State::Ready(ready) }) = self.followed.remove(&key) else { return };
        self.names.remove(&name);
        ready.room.with_at(now, |live| live.part(ready.reader, now));
        for (session, _, joined) in ready.joins {
            if let Down::Joined(joined) = joined {
                self.say(frames::answer(session, joined.request, Err(Error::RoomNotFound)));
            }
        }
        for session in self.sessions.leave_all(key) {
            self.say(frames::gone(session, &name, Error::RoomNotFound.reason()));
        }
    }

    /// Takes a join; one of a room that is not followed begins to follow it.
    pub(super) fn join(&mut self, join: v1::SessionJoin, now: Instant) -> Result<(), &'static str> {
        let session = id(&join.session)?;
        let name = match RoomRef::parse(&join.room) {
            Ok(RoomRef::Name(name)) => name,
            Ok(RoomRef::Id(_)) => return Err("a relay names rooms by their names"),
            Err(refused) => {
                self.say(frames::answer(session, join.request, Err(refused)));
                return Ok(());
            }
        };
        if !self.names.contains_key(&name) {
            self.follow(v1::Follow { room: join.room.clone(), ..v1::Follow::default() }, now);
        }
        let key = self.key_of(&name);
        match self.followed.get_mut(&key).map(|followed| &mut followed.state) {
            Some(State::Loading(loading)) if loading.joins.len() < WAITING => loading.joins.push_back(join),
            Some(State::Ready(_)) => self.admit(key, session, &join, now),
            Some(State::Loading(_)) | None => {
                self.say(frames::answer(session, join.request, Err(Error::Busy)));
            }
        }
        Ok(())
    }

    /// A session leaves a room at once.
    pub(super) fn leave(&mut self, session: SessionId, room: &str, now: Instant) {
        let Some(key) = self.names.get(room).copied() else { return };
        if let Some(open) = self.sessions.get_mut(session) {
            open.rooms.remove(&key);
        }
        if let Some(followed) = self.followed.get_mut(&key) {
            followed.forget(session);
        }
        if let Some(room) = self.ready(key) {
            room.with_at(now, |live| live.leave(session, self.owner, now));
        }
    }

    /// A room was loaded, or was not.
    pub(super) fn loaded(&mut self, key: Key, loaded: Result<Arc<LiveRoom>, Error>, now: Instant) {
        let Some(followed) = self.followed.get_mut(&key) else { return }; // unfollowed meanwhile
        let name = followed.name.clone();
        let State::Loading(loading) = &mut followed.state else { return };
        let (follow, joins) = match loaded {
            Ok(room) => return self.begin(key, name, &room, now),
            Err(Error::RoomNotFound) => {
                let loading = std::mem::take(loading);
                self.followed.remove(&key);
                self.names.remove(&name);
                (loading.follow, loading.joins)
            }
            Err(error) => {
                tracing::debug!(%error, "a room could not be loaded for a relay");
                let joins = std::mem::take(&mut loading.joins);
                self.load(key, name, RETRY);
                return self.refuse(joins, || Error::Busy);
            }
        };
        for session in follow.admitted.iter().filter_map(|entry| id(&entry.session).ok()) {
            self.say(frames::gone(session, &name, Error::RoomNotFound.reason()));
        }
        self.refuse(joins, || Error::RoomNotFound);
    }

    /// Begins to read a loaded room: the roster, then `following`, then the joins that waited.
    fn begin(&mut self, key: Key, name: RoomName, room: &Arc<LiveRoom>, now: Instant) {
        let Some(State::Loading(loading)) = self.followed.get_mut(&key).map(|followed| &mut followed.state)
        else {
            return;
        };
        let Loading { follow, closed, joins } = std::mem::take(loading);
        let mut named = self.roster(key, &name, &follow);
        named.extend(closed.iter().map(|closed| closed.named(now)));
        let (owner, waker) = (self.owner, Waker::new(&self.signal, key));
        let names = self.settings.presence_names;
        let begun = room.enter_at(now, |live| {
            live.roster(owner, named, now);
            start(live, &follow, waker, names, now)
        });
        let Some(Begun { reader, position, update, info }) = begun else {
            // it left memory in between: load it again, with everything
            if let Some(State::Loading(loading)) =
                self.followed.get_mut(&key).map(|followed| &mut followed.state)
            {
                *loading = Loading { follow, closed, joins };
            }
            return self.load(key, name, Duration::ZERO);
        };
        let presence = frames::presence(&name, &update);
        let following = v1::Following {
            room: name.to_string(),
            info: Some(info),
            position: position.to_string(),
            presence,
        };
        let ready = Ready { room: Arc::clone(room), reader, told: update.version, joins: VecDeque::new() };
        if let Some(followed) = self.followed.get_mut(&key) {
            followed.state = State::Ready(ready);
        }
        self.say(Down::Following(following));
        self.take_over(key, room, &follow);
        for join in joins {
            if let Ok(session) = id(&join.session) {
                self.admit(key, session, &join, now);
            }
        }
    }

    /// Who was in before and only joins again is in: its close ends that, though its join may never come.
    fn take_over(&mut self, key: Key, room: &LiveRoom, follow: &v1::Follow) {
        for session in follow.joining.iter().filter_map(|session| id(session).ok()) {
            if room.look(|live| live.is_held(session, self.owner))
                && let Some(open) = self.sessions.get_mut(session)
            {
                open.rooms.insert(key);
            }
        }
    }

    /// Who of a roster has closed within the grace. They are open on this stream just as long as it takes to say who
    /// they are.
    fn closing(&self, follow: &v1::Follow, now: Instant) -> Vec<Closed> {
        let closed = |entry: &v1::ClosingEntry| {
            let session = id(&entry.session).ok()?;
            let known = self.sessions.user(&self.auth, session, &entry.name).ok();
            let user = known.filter(|_| !is_joining(follow, session));
            Some(Closed { session, user, until: now + Duration::from_millis(entry.grace_ms.into()) })
        };
        follow.closing.iter().filter_map(closed).collect()
    }

    /// What a roster names as here; sessions that are not open on this stream are told that they are gone.
    fn roster(&mut self, key: Key, name: &RoomName, follow: &v1::Follow) -> Vec<Named> {
        let mut named = Vec::new();
        for entry in &follow.admitted {
            let Ok(session) = id(&entry.session) else { continue };
            match self.sessions.user(&self.auth, session, &entry.name) {
                Ok(user) => {
                    if let Some(open) = self.sessions.get_mut(session) {
                        open.rooms.insert(key);
                    }
                    named.extend((!entry.monitor).then_some(Named::Present(session, user)));
                }
                Err(refused) => self.say(frames::gone(session, name, refused.reason())),
            }
        }
        let joining = follow.joining.iter().filter_map(|session| id(session).ok());
        named.extend(joining.map(Named::Joining));
        named
    }

    /// Admits a session to a room that is read, or refuses it.
    fn admit(&mut self, key: Key, session: SessionId, join: &v1::SessionJoin, now: Instant) {
        let admitted = self.admission(key, session, join, now);
        let Some(Followed { name, state: State::Ready(ready) }) = self.followed.get_mut(&key) else { return };
        match admitted {
            Ok((user, admission)) => {
                let frame = frames::joined(session, join.request, name, admission.as_of, &user);
                if let Some(open) = self.sessions.get_mut(session) {
                    open.rooms.insert(key);
                }
                if admission.presence <= ready.told || planted::makes(Mistake::JoinedBeforeItsPresence) {
                    self.say(frame);
                } else {
                    ready.joins.push_back((session, admission.presence, frame));
                }
            }
            Err(refused) => {
                ready.room.with_at(now, |live| live.leave(session, self.owner, now));
                self.say(frames::answer(session, join.request, Err(refused)));
            }
        }
    }

    fn admission(
        &mut self,
        key: Key,
        session: SessionId,
        join: &v1::SessionJoin,
        now: Instant,
    ) -> Result<(User, Admission), Error> {
        let user = self.sessions.user(&self.auth, session, &join.name)?;
        let is_in = self.sessions.get_mut(session).is_some_and(|open| open.rooms.contains(&key));
        let room = self.ready(key).ok_or(Error::Busy)?;
        let (owner, has_past) = (self.owner, self.sessions.has_past(session));
        let admission = room.with_at(now, |live| {
            if live.room().archived && !is_in {
                return Err(Error::RoomArchived);
            }
            if has_past {
                live.returns(&user.id);
            }
            if join.monitor {
                return Ok(live.monitor(session, owner, now));
            }
            live.enter(session, user.clone(), owner, now).ok_or(Error::Busy) // a newer stream has it
        })?;
        Ok((user, admission))
    }

    fn refuse(&mut self, joins: VecDeque<v1::SessionJoin>, why: impl Fn() -> Error) {
        for join in joins {
            if let Ok(session) = id(&join.session) {
                self.say(frames::answer(session, join.request, Err(why())));
            }
        }
    }

    fn load(&mut self, key: Key, name: RoomName, wait: Duration) {
        self.begin_job(Job::Load(key, name, wait));
    }

    fn key_of(&mut self, name: &RoomName) -> Key {
        if let Some(key) = self.names.get(name) {
            return *key;
        }
        let key = self.next_key;
        self.next_key = self.next_key.wrapping_add(1);
        self.names.insert(name.clone(), key);
        key
    }
}

/// What a reader begins with.
struct Begun {
    reader: ReaderId,
    position: Cursor,
    update: Update,
    info: v1::RoomInfo,
}

/// Begins to read at the position given, if what follows it is at hand; else where the room stands. A position that
/// says otherwise than this hop is a suspicion for the log to decide.
fn start(live: &mut Live<Waker>, follow: &v1::Follow, waker: Waker, names: usize, now: Instant) -> Begun {
    let given = follow.position.parse::<Cursor>().ok();
    if let Some(given) = given {
        live.head(given, now);
    }
    let position = given.filter(|given| live.holds(*given)).unwrap_or_else(|| live.position());
    let reader = live.join(ReaderKind::Hints, Some(position), waker);
    let update = live.presence(reader, None, names, now);
    Begun { reader, position, update, info: super::super::convert::room_info(live.room()) }
}
