//! What a session is told of who is here.
//!
//! Owns which of a session's rooms is told next, and in which frames. Promises that its share is kept however many come
//! and go and whatever their names, that nothing owed waits longer than what was told before it takes to be paid, and
//! that rooms take turns (P7, P9). Never delays an event or an answer.

use std::time::Duration;

use parlour_feed::Class;
use parlour_proto::v1 as proto;
use parlour_proto::v1::chat_response;

use super::{Frame, Session, Socket, frame, plain, pull::now};
use crate::relay::{
    Room,
    event::Form,
    presence::{Fold, Mark, Owed, Shown},
};

/// How long presence is put off while all sessions together hold nearly what they may.
const PAUSE: Duration = Duration::from_millis(500);

impl<S: Socket> Session<S> {
    /// How long presence that is owed waits, if it must.
    pub(super) fn presence_wait(&mut self) -> Option<Duration> {
        if self.has_room_for(Class::Presence) { self.allowance.wait(now()) } else { Some(PAUSE) }
    }

    /// Tells what has been owed longest of a room's presence, if anything is and the allowance permits.
    pub(super) fn tell_presence(&mut self) -> bool {
        if self.presence_wait().is_some() {
            return false;
        }
        let form = self.form();
        let owed = self.seats.iter_mut().filter(|seat| seat.is_live());
        let owed = owed.filter_map(|seat| Some((seat.presence_owed?, seat)));
        let Some((_, seat)) = owed.min_by_key(|(since, _)| *since) else { return false };
        seat.presence_owed = None;
        let at_once = self.allowance.at_once();
        for frame in news(&seat.room, &mut seat.mark, form, seat.is_monitor, at_once) {
            self.allowance.spend(frame.len(), now());
            self.writer.put(frame);
        }
        true
    }
}

/// What whoever was told as much as `told` says has not been told yet: each change where they are few bytes, else
/// everybody, in no more bytes than may be told at once. Who was told of more people than names is told all names once
/// there are few enough.
pub fn news(room: &Room, told: &mut Mark, form: Form, is_monitor: bool, at_once: usize) -> Vec<Frame> {
    let (name, mark) = (room.name(), *told);
    let (each, shown) = room.look(|feed| {
        let fold = feed.fold();
        let each = match form {
            Form::Plain => notices(name, mark, fold),
            Form::Full if is_monitor => Some(vec![counts(name, fold.shown().count)]),
            Form::Full => changes(told, fold),
        };
        (each, fold.shown())
    });
    let is_whole = told.is_whole;
    *told = shown.mark;
    let is_name_owed = form == Form::Full && !is_monitor && !is_whole;
    if is_name_owed
        && shown.mark.is_whole
        && let (whole, true) = everybody(name, &shown, form, at_once)
    {
        return vec![whole];
    }
    match each {
        Some(each) if each.iter().map(Frame::len).sum::<usize>() <= at_once => {
            told.is_whole = is_whole;
            each
        }
        _ => {
            let (whole, names_all) = everybody(name, &shown, form, at_once);
            told.is_whole &= names_all;
            vec![whole]
        }
    }
}

fn changes(told: &mut Mark, fold: &Fold) -> Option<Vec<Frame>> {
    let Owed::Each(changes) = fold.changes_since(told.version) else { return None };
    told.is_whole &= !changes.iter().any(|change| fold.is_crowd(change.presence.count));
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

/// Who is here, in place of all that was known, as many as there are bytes for; and whether those are all that are shown.
fn everybody(room: &str, shown: &Shown, form: Form, at_once: usize) -> (Frame, bool) {
    let make = match form {
        Form::Plain => plain::user_list,
        Form::Full => whole,
    };
    let fitting = || {
        let (frame, names_all) = fitting(shown, at_once, |shown| make(room, shown));
        Some((frame.wire().clone(), names_all))
    };
    let made = shown.frames.get(form, fitting);
    made.map_or_else(|| (make(room, shown), true), |(wire, names_all)| (Frame::of_wire(wire), names_all))
}

fn fitting(shown: &Shown, at_once: usize, make: impl Fn(&Shown) -> Frame) -> (Frame, bool) {
    let mut named = shown.users.len();
    let mut frame = make(shown);
    while frame.len() > at_once && named > 0 {
        named = (named * at_once / frame.len()).min(named - 1);
        frame = make(&shown.first(named));
    }
    (frame, named == shown.users.len())
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

    use parlour_feed::PresenceShare;

    use super::*;

    #[test]
    fn p9_everybody_is_told_in_no_more_bytes_than_may_be_told_at_once_whatever_their_names() {
        for (people, name) in [(0, "ada".to_owned()), (100, "ada".to_owned()), (100, "\u{10ffff}".repeat(64))]
        {
            let user = |n| proto::User { id: format!("guest_{n:026}"), name: name.clone(), guest: true };
            let users: Vec<_> = (0..people).map(user).collect();
            let names = users.iter().map(|user| user.name.clone()).collect();
            let mark = Mark { version: 0, notices: 0, is_whole: false };
            let (users, names) = (Arc::new(users), Arc::new(names));
            let shown = Shown { users, names, count: 1_000, mark, frames: Arc::default() };
            let at_once = PresenceShare::default().at_once;
            for form in [Form::Full, Form::Plain] {
                let (frame, _) = everybody("general", &shown, form, at_once);
                assert!(frame.len() <= at_once, "{} bytes", frame.len());
                let body = String::from_utf8(frame.body().to_vec()).unwrap();
                assert!(body.contains("1000"), "the count is always told: {body}");
                assert!(people == 0 || body.contains(&name), "and somebody is named: {body}");
            }
        }
    }
}
