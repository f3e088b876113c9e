//! Who is really in a room.
//!
//! Owns when each client came, left, and lost its connection. Promises to say who must be present once everybody is
//! quiet, whose state a grace still leaves open, and how often somebody may rightly have been seen to leave. Never hears
//! what presence says.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

/// How many absences of one client in one room are remembered.
const REMEMBERED: usize = 64;
/// How many comings and goings of one client in one room are kept as evidence.
const TRAIL: usize = 6;
/// How much of a grace must have passed before a return may be seen as a leave and a join: clients and servers do not
/// see the end of a connection at the same moment.
const CERTAIN: f64 = 0.75;
/// How late presence may tell of what was long before.
const LATE: Duration = Duration::from_secs(15);

/// How somebody's connection ended, which decides the grace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parting {
    /// In order.
    Closed,
    /// Broken, or closed by the server.
    Broken,
}

/// The installation's graces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Graces {
    /// After an orderly close.
    pub(crate) closed: Duration,
    /// After a broken connection.
    pub(crate) broken: Duration,
}

impl Graces {
    fn of(&self, parting: Parting) -> Duration {
        match parting {
            Parting::Closed => self.closed,
            Parting::Broken => self.broken,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Out,
    In,
    /// In grace since then, for so long.
    Away(Duration, Duration),
}

/// One client in one room. Times are since the start.
#[derive(Debug, Default)]
struct Attendance {
    state: State,
    /// Until when sessions that ended without a word may still count.
    lingers: Duration,
    /// When each absence that others may have seen ended, or began where it has not ended.
    absences: VecDeque<Duration>,
    forgotten: Option<Duration>,
    trail: VecDeque<(Duration, &'static str)>,
}

impl Attendance {
    fn note(&mut self, now: Duration, what: &'static str) {
        if self.trail.len() == TRAIL {
            self.trail.pop_front();
        }
        self.trail.push_back((now, what));
    }

    fn absent(&mut self, at: Duration) {
        if self.absences.len() == REMEMBERED {
            self.forgotten = self.absences.pop_front();
        }
        self.absences.push_back(at);
    }
}

/// Everybody in every room.
#[derive(Debug)]
pub(crate) struct Truth {
    graces: Graces,
    names: Vec<String>,
    /// By room, then by client.
    rooms: Vec<Vec<Attendance>>,
}

impl Truth {
    /// Nobody is anywhere yet.
    pub(crate) fn new(names: Vec<String>, rooms: usize, graces: Graces) -> Self {
        let attendances = || names.iter().map(|_| Attendance::default()).collect();
        Self { graces, rooms: (0..rooms).map(|_| attendances()).collect(), names }
    }

    fn at(&mut self, client: usize, room: usize) -> &mut Attendance {
        &mut self.rooms[room][client]
    }

    /// Somebody has joined.
    pub(crate) fn came(&mut self, client: usize, room: usize, now: Duration) {
        let attendance = self.at(client, room);
        attendance.note(now, "came");
        match attendance.state {
            State::Away(since, grace) if now - since >= grace.mul_f64(CERTAIN) => attendance.absent(now),
            // It left, and comes back: the absence lasts until now.
            State::Out => {
                if let Some(last) = attendance.absences.back_mut() {
                    *last = now;
                }
            }
            State::Away(..) | State::In => {}
        }
        attendance.state = State::In;
    }

    /// Somebody leaves, without grace.
    pub(crate) fn leaves(&mut self, client: usize, room: usize, now: Duration) {
        let attendance = self.at(client, room);
        attendance.note(now, "left");
        if attendance.state != State::Out {
            attendance.absent(now);
        }
        attendance.state = State::Out;
    }

    /// Somebody's connection ended.
    pub(crate) fn parted(&mut self, client: usize, room: usize, now: Duration, parting: Parting) {
        let grace = self.graces.of(parting);
        let attendance = self.at(client, room);
        attendance.note(now, if parting == Parting::Closed { "closed" } else { "broke" });
        // Also one whose join had no answer: the server may have let it in.
        if !matches!(attendance.state, State::Away(..)) {
            attendance.state = State::Away(now, grace);
        }
        attendance.lingers = attendance.lingers.max(now + grace);
    }

    /// Whether an earlier session of somebody who is out may still count as present.
    pub(crate) fn may_linger(&self, client: usize, room: usize, now: Duration) -> bool {
        self.rooms[room][client].lingers + Duration::from_secs(1) > now
    }

    /// Who must be present, once everybody is quiet.
    pub(crate) fn present(&self, room: usize) -> BTreeSet<String> {
        let names = self.names.iter().zip(&self.rooms[room]);
        names.filter(|(_, at)| at.state == State::In).map(|(name, _)| name.clone()).collect()
    }

    /// What somebody did last in a room.
    pub(crate) fn trail(&self, name: &str, room: usize) -> Vec<String> {
        let client = self.names.iter().position(|known| known == name);
        let trail = client.map(|client| &self.rooms[room][client].trail);
        trail
            .into_iter()
            .flatten()
            .map(|(at, what)| format!("{} ms: {name} {what}", at.as_millis()))
            .collect()
    }

    /// How often somebody may rightly be said to have left to a session that began at `since`; `None` where that is not
    /// remembered.
    pub(crate) fn absences(&self, name: &str, room: usize, since: Duration, now: Duration) -> Option<u32> {
        let client = self.names.iter().position(|known| known == name)?;
        let attendance = &self.rooms[room][client];
        let from = since.saturating_sub(LATE);
        if attendance.forgotten.is_some_and(|forgotten| forgotten >= from) {
            return None;
        }
        let is_out = attendance.state == State::Out;
        let last = attendance.absences.len().saturating_sub(1);
        let ended = attendance.absences.iter().enumerate();
        let seen = ended.filter(|(index, at)| **at >= from || (is_out && *index == last)).count();
        let is_away =
            matches!(attendance.state, State::Away(since, grace) if now - since >= grace.mul_f64(CERTAIN));
        u32::try_from(seen + usize::from(is_away)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn truth() -> Truth {
        let graces = Graces { closed: s(2), broken: s(10) };
        Truth::new(vec!["ada".to_owned(), "bob".to_owned()], 2, graces)
    }

    #[test]
    fn p7_present_is_who_came_and_did_not_leave() {
        let mut truth = truth();
        truth.came(0, 0, s(1));
        truth.came(1, 0, s(1));
        truth.leaves(1, 0, s(2));
        assert_eq!(truth.present(0), BTreeSet::from(["ada".to_owned()]));
        assert!(truth.present(1).is_empty());
        assert!(!truth.may_linger(1, 0, s(3)));
    }

    #[test]
    fn p7_a_return_within_the_grace_is_no_absence_and_one_after_it_may_be() {
        let mut truth = truth();
        truth.came(0, 0, s(20));
        truth.parted(0, 0, s(21), Parting::Broken);
        truth.came(0, 0, s(26));
        assert_eq!(truth.absences("ada", 0, s(20), s(30)), Some(0));
        truth.parted(0, 0, s(31), Parting::Closed);
        assert_eq!(truth.absences("ada", 0, s(20), s(32)), Some(0));
        assert_eq!(truth.absences("ada", 0, s(20), s(35)), Some(1));
        truth.came(0, 0, s(36));
        assert_eq!(truth.absences("ada", 0, s(20), s(60)), Some(1));
        assert_eq!(truth.absences("ada", 0, s(60), s(60)), Some(0), "long before that session");
        assert_eq!(truth.absences("nobody", 0, s(0), s(60)), None);
    }

    #[test]
    fn p7_a_leave_is_an_absence_as_long_as_it_lasts() {
        let mut truth = truth();
        truth.came(0, 0, s(1));
        truth.leaves(0, 0, s(2));
        assert_eq!(truth.absences("ada", 0, s(100), s(100)), Some(1));
        truth.came(0, 0, s(101));
        assert_eq!(truth.absences("ada", 0, s(100), s(102)), Some(1));
        assert_eq!(truth.absences("ada", 0, s(200), s(200)), Some(0));
    }

    #[test]
    fn p7_a_session_that_broke_leaves_it_open_for_its_grace_who_is_present() {
        let mut truth = truth();
        truth.came(0, 0, s(1));
        truth.parted(0, 0, s(2), Parting::Broken);
        truth.came(0, 0, s(3));
        truth.leaves(0, 0, s(4));
        assert!(truth.may_linger(0, 0, s(11)));
        assert!(!truth.may_linger(0, 0, s(14)));
    }

    #[test]
    fn p7_one_who_parted_before_its_join_was_answered_may_be_seen_to_leave() {
        let mut truth = truth();
        truth.parted(0, 0, s(1), Parting::Closed);
        assert_eq!(truth.absences("ada", 0, s(0), s(3)), Some(1));
        assert!(truth.present(0).is_empty());
    }

    #[test]
    fn what_is_not_remembered_convicts_nobody() {
        let mut truth = truth();
        for at in 0..100 {
            truth.came(0, 0, s(at));
            truth.leaves(0, 0, s(at));
        }
        assert_eq!(truth.absences("ada", 0, s(0), s(100)), None);
        assert!(truth.absences("ada", 0, s(100), s(100)).is_some());
    }
}
