//! What a client is told, against what it holds and what is true.
//!
//! Owns a client's view of each room. Promises P1, P3 and P4 of each thing told: the event that truly follows, or a
//! `resync` with a reason that is true, and nothing of a room it is not in. Never corrects a view.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use parlour_feed::{Cursor, ResyncReason};

use crate::{
    store::{Name, ROOMS},
    words::{Presence, Say},
    world::World,
};

/// A client's view of a room.
#[derive(Debug, Default)]
pub struct View {
    /// Whether it was told that it is in, and not that it is out.
    pub is_in: bool,
    /// Whether it follows without being present.
    pub is_monitor: bool,
    /// Joins that are not answered, with the cursors they came with.
    pub asked: VecDeque<Option<Cursor>>,
    /// Leaves that are not answered.
    pub leaving: u32,
    /// How far it is.
    pub cursor: Option<Cursor>,
    /// The event it holds last.
    name: Name,
    /// `joined` said otherwise than asked: the next thing is a `resync` to there.
    resyncs_to: Option<Cursor>,
    /// Who it believes is here, and how many.
    pub users: BTreeSet<String>,
    /// How many it believes are here.
    pub count: u32,
    /// Since when it has been present without a gap longer than the grace.
    pub present_since_us: Option<u64>,
    /// The gateway by which it was last told that it is in.
    pub home: usize,
    /// Since when its connection has been gone, and how long its grace is.
    pub away_since: Option<(u64, u64)>,
}

impl View {
    /// Its connection is gone.
    pub fn lost(&mut self) {
        self.is_in = false;
        self.resyncs_to = None;
        self.asked.clear();
        self.leaving = 0;
    }

    /// Its connection is going, with that grace.
    pub fn is_away(&mut self, us: u64, grace_us: u64) {
        self.expire(us);
        if self.present_since_us.is_some() {
            let (since_us, grace_us) = match self.away_since {
                Some((since_us, before_us)) => (since_us, before_us.min(grace_us)),
                None => (us, grace_us),
            };
            self.away_since = Some((since_us, grace_us));
        }
    }

    /// Its presence ends with its grace.
    pub fn expire(&mut self, us: u64) {
        if self.away_since.is_some_and(|(since_us, grace_us)| since_us + grace_us <= us) {
            (self.present_since_us, self.away_since) = (None, None);
        }
    }

    fn is_back(&mut self, us: u64) {
        self.expire(us);
        self.away_since = None;
        self.present_since_us.get_or_insert(us);
    }

    fn told_presence(&mut self, presence: &Presence) {
        if presence.snapshot {
            self.users.clear();
        }
        for user in &presence.left {
            self.users.remove(&user.id);
        }
        let here = presence.users.iter().chain(&presence.joined);
        self.users.extend(here.map(|user| user.id.clone()));
        self.count = presence.count;
    }
}

impl World {
    /// The next thing said to a client arrives.
    pub(crate) fn client_hears(&mut self, id: u32) {
        let Some((client, gateway, say)) = self.next_said(id) else { return };
        let seen = self.now_us() ^ ((client as u64) << 56);
        self.judge.mix(seen);
        if self.judge.trace.is_some() {
            self.note(format!("client {client} is told {say:?}"));
        }
        self.judge_said(client, &say);
        self.after_said(gateway);
    }

    fn judge_said(&mut self, client: usize, say: &Arc<Say>) {
        match &**say {
            Say::Welcome(user, token) => self.client_welcomed(client, user, token),
            Say::Joined { room, cursor, users, count, is_monitor } => {
                self.judge_joined(client, *room, *cursor, users, *count, *is_monitor);
            }
            Say::Event(room, cursor, name) => self.judge_event(client, *room, *cursor, *name),
            Say::Resync(room, cursor, reason) => self.judge_resync(client, *room, *cursor, *reason),
            Say::Presence(room, frame) => {
                if let Some(view) = self.view_in(client, *room) {
                    view.told_presence(&Presence::read(frame));
                }
            }
            Say::Gone(room, reason) => self.judge_gone(client, *room, reason),
            Say::Left(room) => {
                let view = self.view(client, *room);
                (view.is_in, view.resyncs_to) = (false, None);
                view.leaving = view.leaving.saturating_sub(1);
            }
            Say::Ack(room, key, seq, name) => self.judge_ack(client, *room, key, *seq, *name),
            Say::Refused(room, key, code) => self.client_refused(client, *room, key, code),
            Say::Typing(room, user) => {
                let _ = self.view_in(client, *room);
                self.judge_typing(client, *room, user);
            }
            Say::Head(room, head) => {
                if let Some(view) = self.view_in(client, *room)
                    && view.cursor != Some(*head)
                {
                    let held = view.cursor;
                    self.finds(
                        "P3",
                        format!(
                            "client {client} is told head {head} of {}, and holds {held:?}",
                            ROOMS[*room]
                        ),
                    );
                }
            }
            Say::Over => self.finds("P10", format!("client {client} is told that its session is over")),
        }
    }

    /// The view of a room that the client is in, of which nothing else may be told.
    fn view_in(&mut self, client: usize, room: usize) -> Option<&mut View> {
        if !self.view(client, room).is_in {
            self.finds("P3", format!("client {client} is told of {}, where it is not", ROOMS[room]));
            return None;
        }
        Some(self.view(client, room))
    }

    fn judge_joined(
        &mut self,
        client: usize,
        room: usize,
        cursor: Cursor,
        users: &[String],
        count: u32,
        is_monitor: bool,
    ) {
        let (us, user, home) = (self.now_us(), self.user_of(client), self.gateway_of(client));
        let is_cut_off = self.is_cut_off(client);
        let name = self.truths().named(room, cursor);
        let view = self.view(client, room);
        let was_in = std::mem::replace(&mut view.is_in, true);
        let Some(asked) = view.asked.pop_front() else {
            return self.finds(
                "P3",
                format!("client {client} is told `joined` of {}, and has not asked", ROOMS[room]),
            );
        };
        let held = view.cursor;
        view.home = home.unwrap_or(view.home);
        (view.users, view.count, view.is_monitor) = (users.iter().cloned().collect(), count, is_monitor);
        if is_monitor {
            (view.present_since_us, view.away_since) = (None, None);
        } else if view.asked.is_empty() && view.leaving == 0 && !is_cut_off {
            view.is_back(us); // and nothing is under way that says otherwise
        }
        let lacks_itself = !is_monitor && user.as_ref().is_some_and(|user| !view.users.contains(user));
        let is_elsewhere =
            if was_in { held != Some(cursor) } else { asked.is_some_and(|asked| asked != cursor) };
        match (is_elsewhere, name) {
            (true, _) if was_in => {
                self.finds("P3", format!("client {client} joins again at {cursor}, and holds {held:?}"));
            }
            // What it was given since it asked is of the time before it left.
            (true, _) => (view.cursor, view.resyncs_to) = (asked, Some(cursor)),
            (false, Some(name)) => (view.cursor, view.name) = (Some(cursor), name),
            (false, None) => self.finds("P1", format!("client {client} joins at {cursor}, which never was")),
        }
        if lacks_itself {
            self.finds("P7", format!("client {client} is told who is in {}, without itself", ROOMS[room]));
        }
    }

    fn judge_event(&mut self, client: usize, room: usize, cursor: Cursor, name: Name) {
        self.judge.mix(cursor.seq ^ (u64::from(cursor.check.0) << 20));
        self.judge.tally.delivered += 1;
        let (truth, named) = (self.truths().truth(room, name), self.truths().named(room, cursor));
        let Some(view) = self.view_in(client, room) else { return };
        let (held, last, resyncs_to) = (view.cursor, view.name, view.resyncs_to);
        (view.cursor, view.name) = (Some(cursor), name);
        let Some(truth) = truth.filter(|_| named == Some(name)) else {
            return self.finds("P1", format!("client {client} is given {cursor}, which is not committed"));
        };
        let is_next = held.is_some_and(|held| held.seq + 1 == cursor.seq) && truth.follows == last;
        if resyncs_to.is_some() || !is_next {
            self.finds(
                "P3",
                format!("client {client} holds {held:?} of {}, and is given {cursor}", ROOMS[room]),
            );
        }
    }

    fn judge_resync(&mut self, client: usize, room: usize, cursor: Cursor, reason: ResyncReason) {
        self.judge.tally.resyncs += 1;
        self.judge.mix(cursor.seq);
        let replay = self.replay();
        let Some(view) = self.view_in(client, room) else { return };
        let (held, to) = (view.cursor, view.resyncs_to.take());
        view.cursor = Some(cursor);
        let name = self.truths().named(room, cursor);
        self.view(client, room).name = name.unwrap_or(0);
        let Some(held) = held else {
            return self.finds("P3", format!("client {client} is told `resync`, and holds nothing"));
        };
        let is_true = match reason {
            ResyncReason::TooFar => cursor.seq.saturating_sub(held.seq) > replay,
            ResyncReason::OtherLog | ResyncReason::Ahead => false,
        };
        if !is_true && self.truths().has(room, held) {
            self.finds(
                "P4",
                format!(
                    "client {client} holds {held} of {}, and is told {reason:?} to {cursor}",
                    ROOMS[room]
                ),
            );
        } else if to.is_some_and(|to| to != cursor) || name.is_none() {
            self.finds("P4", format!("client {client} is sent to {cursor}, after `joined` with {to:?}"));
        }
    }

    fn judge_gone(&mut self, client: usize, room: usize, reason: &str) {
        let view = self.view(client, room);
        let had_asked = view.asked.pop_front().is_some();
        (view.present_since_us, view.away_since) = (None, None);
        if reason != "UNAVAILABLE" || !had_asked {
            return self
                .finds("P3", format!("client {client} is told that {} is gone: {reason}", ROOMS[room]));
        }
        self.asks_again(client, room);
    }

    fn judge_ack(&mut self, client: usize, room: usize, key: &str, seq: u64, name: Name) {
        self.judge.mix(seq);
        let (age, us) = (self.truths().age(), self.now_us());
        self.judge.acknowledged(room, key, seq, name, age, us);
        self.client_acked(client, room, key);
    }

    fn judge_typing(&mut self, client: usize, room: usize, user: &str) {
        if self.typed(room, user) == 0 {
            self.finds(
                "P9",
                format!("client {client} is told that {user} types in {}, who has not", ROOMS[room]),
            );
        }
    }

    /// P7: why a user must be seen as present in a room, if they must.
    pub(crate) fn should_be_here(&mut self, user: &str, room: usize) -> Option<String> {
        let (us, late_us) = (self.now_us(), self.late_us());
        for client in 0..self.client_count() {
            if self.user_of(client).as_deref() != Some(user) || self.is_out_of_sight(client, room) {
                continue;
            }
            let view = self.view(client, room);
            view.expire(us);
            if let Some(since_us) = view.present_since_us.filter(|since_us| since_us + late_us <= us) {
                let away = view.away_since.map(|(away_us, _)| (us - away_us) / 1_000);
                return Some(format!(
                    "client {client} is there since {} ms, away for {away:?} ms",
                    since_us / 1_000
                ));
            }
        }
        None
    }
}
