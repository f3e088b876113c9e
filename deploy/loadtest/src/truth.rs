//! Who is really in a room.
//!
//! Owns when each client came, left, lost its connection, and last heard anything. Promises to say who must be present
//! once everybody is quiet, whom an ended session may still hold there and until when, and how often somebody may
//! rightly have been seen to leave. Never hears what presence says.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
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
/// How much later than it should a grace may be seen to end.
const SLACK: Duration = Duration::from_secs(1);
/// How long a gateway or a room service may take to notice that the other is gone: the grace begins then.
const NOTICED: Duration = Duration::from_secs(5);

/// How somebody's connection ended, which decides the grace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parting {
    /// In order.
    Closed,
    /// Broken, or closed by the server.
    Broken,
    /// Because the server asked for it: it expects the client back within this time.
    Asked(Duration),
}

impl Parting {
    const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Broken => "broke",
            Self::Asked(_) => "went as it was asked to",
        }
    }
}

/// The installation's graces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Graces {
    /// After an orderly close.
    pub(crate) closed: Duration,
    /// After a broken connection.
    pub(crate) broken: Duration,
    /// How long a connection that went without a word may pass for one that stands.
    pub(crate) unheard: Duration,
}

impl Graces {
    const fn of(&self, parting: Parting) -> Duration {
        match parting {
            Parting::Closed => self.closed,
            Parting::Broken => self.broken,
            Parting::Asked(returns) => returns.saturating_add(self.broken),
        }
    }

    /// How long after its end a session may hold its user present, if nobody was told of the end.
    const fn longest(&self) -> Duration {
        self.unheard.saturating_add(self.broken).saturating_add(NOTICED)
    }
}

/// An ended session whose user has not come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Away {
    /// When it ended for its client.
    since: Duration,
    /// When its client had last heard anything: the server may have ended it from then on.
    heard: Duration,
    grace: Duration,
}

impl Away {
    /// Whether others may have seen its user leave.
    fn is_absent(&self, broken: Duration, now: Duration) -> bool {
        let is_over = |since, grace: Duration| now.saturating_sub(since) >= grace.mul_f64(CERTAIN);
        is_over(self.since, self.grace) || is_over(self.heard, broken)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Out,
    In,
    Away(Away),
}

/// One client in one room. Times are since the start.
#[derive(Debug, Default)]
struct Attendance {
    state: State,
    /// Until when sessions that ended in that way may still count.
    lingers: Duration,
    /// When the last session ended.
    parted: Option<Duration>,
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

    /// Until when a session that ended may hold its user there.
    fn lingers(&self, longest: Option<Duration>) -> Duration {
        let unheard = longest.and_then(|longest| Some(self.parted? + longest)).unwrap_or_default();
        self.lingers.max(unheard) + SLACK
    }
}

/// Everybody in every room.
#[derive(Debug)]
pub(crate) struct Truth {
    graces: Graces,
    names: Vec<String>,
    /// When each client last heard anything.
    heard: Vec<Duration>,
    /// By room, then by client.
    rooms: Vec<Vec<Attendance>>,
}

impl Truth {
    /// Nobody is anywhere yet.
    pub(crate) fn new(names: Vec<String>, rooms: usize, graces: Graces) -> Self {
        let attendances = || names.iter().map(|_| Attendance::default()).collect();
        let heard = vec![Duration::ZERO; names.len()];
        Self { graces, heard, rooms: (0..rooms).map(|_| attendances()).collect(), names }
    }

    fn at(&mut self, client: usize, room: usize) -> &mut Attendance {
        &mut self.rooms[room][client]
    }

    /// Somebody hears something: the connection stands.
    pub(crate) fn heard(&mut self, client: usize, now: Duration) {
        self.heard[client] = now;
    }

    /// Somebody has joined.
    pub(crate) fn came(&mut self, client: usize, room: usize, now: Duration) {
        let broken = self.graces.broken;
        self.heard(client, now);
        let attendance = self.at(client, room);
        attendance.note(now, "came");
        match attendance.state {
            State::Away(away) if away.is_absent(broken, now) => attendance.absent(now),
            // It left, and comes back: the absence lasts until now.
            State::Out => {
                if let Some(last) = attendance.absences.back_mut() {
                    *last = now;
                }
            }
            State::Away(_) | State::In => {}
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

    /// Somebody's join was refused: it may have been let in all the same, and taken out again without grace.
    pub(crate) fn refused(&mut self, client: usize, room: usize, now: Duration) {
        let grace = self.graces.broken;
        let attendance = self.at(client, room);
        attendance.note(now, "was refused");
        attendance.absent(now);
        attendance.lingers = attendance.lingers.max(now + grace);
    }

    /// Somebody's connection ended.
    pub(crate) fn parted(&mut self, client: usize, room: usize, now: Duration, parting: Parting) {
        let (grace, heard, broken) = (self.graces.of(parting), self.heard[client], self.graces.broken);
        let attendance = self.at(client, room);
        attendance.note(now, parting.name());
        // Also one whose join had no answer: the server may have let it in, which ends an earlier absence.
        let away = Away { since: now, heard, grace };
        attendance.state = State::Away(match attendance.state {
            State::Away(before) if before.is_absent(broken, now) => {
                attendance.absent(now);
                away
            }
            // Either may be the only one that was let in: what counts is the grace that ends first.
            State::Away(before) if before.since + before.grace <= now + grace => before,
            _ => away,
        });
        attendance.lingers = attendance.lingers.max(now + grace);
        attendance.parted = Some(now);
    }

    /// Whether an earlier session of somebody who is out may still count as present.
    pub(crate) fn may_linger(&self, client: usize, room: usize, now: Duration) -> bool {
        self.rooms[room][client].lingers(None) > now
    }

    /// Who must be present, once everybody is quiet.
    pub(crate) fn present(&self, room: usize) -> BTreeSet<String> {
        let names = self.names.iter().zip(&self.rooms[room]);
        names.filter(|(_, at)| at.state == State::In).map(|(name, _)| name.clone()).collect()
    }

    /// Who need not be present and may be, and until when; `is_troubled` where connections have gone without a word.
    pub(crate) fn lingering(
        &self,
        room: usize,
        now: Duration,
        is_troubled: bool,
    ) -> BTreeMap<String, Duration> {
        let longest = is_troubled.then(|| self.graces.longest());
        let out = self.names.iter().zip(&self.rooms[room]).filter(|(_, at)| at.state != State::In);
        let until = out.map(|(name, at)| (name.clone(), at.lingers(longest)));
        until.filter(|(_, until)| *until > now).collect()
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
        let away = match attendance.state {
            State::Away(away) => Some(away),
            // One who hears nothing may have been cut off without knowing it.
            State::In => Some(Away { since: now, heard: self.heard[client], grace: self.graces.broken }),
            State::Out => None,
        };
        let is_away = away.is_some_and(|away| away.is_absent(self.graces.broken, now));
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
        let graces = Graces { closed: s(2), broken: s(10), unheard: s(60) };
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
        truth.heard(0, s(60));
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
        truth.heard(0, s(200));
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
    fn p7_one_who_came_and_parted_unanswered_may_have_been_away_twice() {
        let mut truth = truth();
        truth.came(0, 0, s(20));
        truth.parted(0, 0, s(21), Parting::Closed);
        truth.heard(0, s(25));
        truth.parted(0, 0, s(25), Parting::Closed);
        assert_eq!(truth.absences("ada", 0, s(20), s(26)), Some(1));
        assert_eq!(truth.absences("ada", 0, s(20), s(27)), Some(2));
    }

    #[test]
    fn p7_of_two_who_parted_unanswered_either_may_be_the_one_that_was_let_in() {
        let mut truth = truth();
        truth.heard(0, s(20));
        truth.parted(0, 0, s(20), Parting::Broken);
        truth.heard(0, s(23));
        truth.parted(0, 0, s(23), Parting::Closed);
        assert_eq!(truth.absences("ada", 0, s(10), s(24)), Some(0));
        assert_eq!(truth.absences("ada", 0, s(10), s(25)), Some(1));
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
    #[test]
    fn p7_one_who_went_as_asked_is_expected_back_and_in_grace_from_then() {
        let mut truth = truth();
        truth.came(0, 0, s(20));
        truth.heard(0, s(21));
        truth.parted(0, 0, s(21), Parting::Asked(s(3)));
        assert!(truth.may_linger(0, 0, s(34)), "3 s and 10 s");
        assert!(!truth.may_linger(0, 0, s(36)));
        truth.came(0, 0, s(28));
        assert_eq!(truth.absences("ada", 0, s(20), s(28)), Some(0), "a return within it is no absence");
    }

    #[test]
    fn p7_one_who_heard_nothing_may_have_been_cut_off_and_one_who_did_was_not() {
        let mut truth = truth();
        truth.came(0, 0, s(20));
        truth.heard(0, s(30));
        assert_eq!(truth.absences("ada", 0, s(20), s(36)), Some(0));
        assert_eq!(truth.absences("ada", 0, s(20), s(39)), Some(1));
        truth.heard(0, s(39));
        assert_eq!(truth.absences("ada", 0, s(20), s(40)), Some(0));
        // It gives up a connection that may have been dead since then, and is back at once.
        truth.parted(0, 0, s(48), Parting::Closed);
        truth.came(0, 0, s(49));
        assert_eq!(truth.absences("ada", 0, s(20), s(49)), Some(1));
    }

    #[test]
    fn p7_a_join_that_was_refused_may_have_been_let_in_and_thrown_out() {
        let mut truth = truth();
        truth.refused(0, 0, s(20));
        assert_eq!(truth.absences("ada", 0, s(20), s(20)), Some(1));
        assert!(truth.present(0).is_empty());
        assert!(truth.may_linger(0, 0, s(21)));
    }

    #[test]
    fn p7_a_ghost_is_excused_for_its_grace_and_where_nobody_was_told_until_it_is_missed() {
        let mut truth = truth();
        truth.came(0, 0, s(1));
        truth.came(1, 0, s(1));
        truth.parted(0, 0, s(2), Parting::Closed);
        let lingering = |at, is_troubled| truth.lingering(0, s(at), is_troubled);
        assert_eq!(lingering(3, false), [("ada".to_owned(), s(5))].into());
        assert!(lingering(5, false).is_empty());
        // Heartbeat lost, then grace; and the time that a room service takes to miss a gateway.
        assert_eq!(lingering(70, true), [("ada".to_owned(), s(2 + 60 + 10 + 5 + 1))].into());
        assert!(lingering(78, true).is_empty());
    }
}
