//! What a session is told of who is here.
//!
//! Owns a session's share of presence: how many bytes a second, and how many at once. Promises that it is kept however many
//! come and go and whatever their names, that nothing owed waits longer than what was told before it takes to be paid,
//! and that rooms take turns (P7, P9). Never delays an event or an answer.

use std::time::Duration;

use parlour_chassis::rates::Rate;
use parlour_feed::Class;
use parlour_proto::v1 as proto;
use parlour_proto::v1::chat_response;

use super::{Dialect, Frame, Session, Socket, frame, plain, pull::now, seat::Seat};
use crate::relay::{
    event::Form,
    presence::{Fold, Mark, Owed, Shown},
};

/// How many bytes of presence a session is sent in a second.
const BYTES_PER_SECOND: u32 = 4_096;
/// The same, for a bucket that saves nothing up.
pub(super) const RATE: Rate = Rate::every(Duration::from_nanos(1_000_000_000 / BYTES_PER_SECOND as u64), 1);
/// How many bytes a session is sent at once, and so for how long it may be told nothing: 1.25 s. With the half second that
/// a room may take to tell of a change, everybody knows the truth within two seconds.
const AT_ONCE: usize = BYTES_PER_SECOND as usize / 4 * 5;
/// How long presence is put off while all sessions together hold nearly what they may.
const PAUSE: Duration = Duration::from_millis(500);

impl<S: Socket> Session<S> {
    /// How long presence that is owed waits, if it must.
    pub(super) fn presence_wait(&mut self) -> Option<Duration> {
        if self.has_room_for(Class::Presence) { self.presence.wait(now()) } else { Some(PAUSE) }
    }

    /// Tells what has been owed longest of a room's presence, if anything is and the budget allows it.
    pub(super) fn tell_presence(&mut self) -> bool {
        if self.presence_wait().is_some() {
            return false;
        }
        let owed = self.seats.iter_mut().filter(|(_, seat)| seat.is_live());
        let owed = owed.filter_map(|(name, seat)| Some((seat.presence_owed?, name, seat)));
        let Some((_, name, seat)) = owed.min_by_key(|(since, ..)| *since) else { return false };
        let frames = news(name, seat, self.dialect);
        seat.presence_owed = None;
        for frame in frames {
            self.presence.spend(frame.len(), now());
            self.writer.put(frame);
        }
        true
    }
}

/// What the session in that seat has not been told yet: each change where they are few bytes, else everybody.
fn news(room: &str, seat: &mut Seat, dialect: Dialect) -> Vec<Frame> {
    let (mark, is_monitor) = (seat.mark, seat.is_monitor);
    let (each, shown) = seat.room.look(|feed| {
        let fold = feed.fold();
        let each = match dialect {
            Dialect::Plain => notices(room, mark, fold),
            _ if is_monitor => Some(vec![counts(room, fold.shown().count)]),
            _ => changes(mark, fold),
        };
        (each, fold.shown())
    });
    seat.mark = shown.mark;
    match each {
        Some(each) if each.iter().map(Frame::len).sum::<usize>() <= AT_ONCE => each,
        _ => vec![everybody(room, &shown, dialect)],
    }
}

fn changes(mark: Mark, fold: &Fold) -> Option<Vec<Frame>> {
    let Owed::Each(changes) = fold.changes_since(mark.version) else { return None };
    let frames = changes.iter().filter_map(|change| {
        let presence = || chat_response::Frame::Presence(change.presence.clone());
        change.frames.get(Form::Full, || Some(frame::encode("", &presence()).wire().clone()))
    });
    Some(frames.map(Frame::of_wire).collect())
}

fn notices(room: &str, mark: Mark, fold: &Fold) -> Option<Vec<Frame>> {
    let Owed::Each(notices) = fold.notices_since(mark.notices) else { return None };
    let frames = notices.iter().filter_map(|notice| {
        notice.frames.get(Form::Plain, || Some(plain::notice(room, notice).wire().clone()))
    });
    Some(frames.map(Frame::of_wire).collect())
}

/// Who is here, in place of all that was known; as many are named as there are bytes for.
fn everybody(room: &str, shown: &Shown, dialect: Dialect) -> Frame {
    let (form, make): (_, fn(&str, &Shown) -> Frame) = match dialect {
        Dialect::Plain => (Form::Plain, plain::user_list),
        Dialect::Full | Dialect::Open => (Form::Full, whole),
    };
    let fitting = || Some(fitting(shown, |shown| make(room, shown)).wire().clone());
    shown.frames.get(form, fitting).map_or_else(|| make(room, shown), Frame::of_wire)
}

fn fitting(shown: &Shown, make: impl Fn(&Shown) -> Frame) -> Frame {
    let mut named = shown.users.len();
    let mut frame = make(shown);
    while frame.len() > AT_ONCE && named > 0 {
        named = (named * AT_ONCE / frame.len()).min(named - 1);
        frame = make(&shown.first(named));
    }
    frame
}

/// How many are here, without names: what a monitor is told.
fn counts(room: &str, count: u32) -> Frame {
    let presence = proto::Presence { room: room.to_owned(), count, ..Default::default() };
    frame::encode("", &chat_response::Frame::Presence(presence))
}

fn whole(room: &str, shown: &Shown) -> Frame {
    let presence = proto::Presence {
        room: room.to_owned(),
        snapshot: true,
        users: shown.users.to_vec(),
        count: shown.count,
        ..Default::default()
    };
    frame::encode("", &chat_response::Frame::Presence(presence))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn p9_everybody_is_told_in_no_more_bytes_than_may_be_told_at_once_whatever_their_names() {
        for (people, name) in [(0, "ada".to_owned()), (100, "ada".to_owned()), (100, "\u{10ffff}".repeat(64))]
        {
            let user = |n| proto::User { id: format!("guest_{n:026}"), name: name.clone(), guest: true };
            let users: Vec<_> = (0..people).map(user).collect();
            let names = users.iter().map(|user| user.name.clone()).collect();
            let mark = Mark { version: 0, notices: 0 };
            let (users, names) = (Arc::new(users), Arc::new(names));
            let shown = Shown { users, names, count: 1_000, mark, frames: Arc::default() };
            for dialect in [Dialect::Full, Dialect::Plain] {
                let frame = everybody("general", &shown, dialect);
                assert!(frame.len() <= AT_ONCE, "{} bytes", frame.len());
                let body = String::from_utf8(frame.body().to_vec()).unwrap();
                assert!(body.contains("1000"), "the count is always told: {body}");
                assert!(people == 0 || body.contains(&name), "and somebody is named: {body}");
            }
        }
    }
}
