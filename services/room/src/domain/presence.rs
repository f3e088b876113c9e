//! Who is here: a pure fold of sessions into presence.
//!
//! Owns the set of sessions that are present in a room, seen as distinct users in order of arrival, and the difference
//! between two moments of it. Promises that the same sessions make the same presence whatever the order in which they
//! came and went (P7). Never knows a clock: who is in grace is somebody else's business.

use std::collections::{BTreeMap, HashMap};

use super::{
    ids::{SessionId, UserId},
    message::User,
};

/// How presence changed between two moments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// Who came, in order of arrival.
    pub joined: Vec<User>,
    /// Who left, as they were last seen.
    pub left: Vec<User>,
    /// Who is here under a new display name.
    pub changed: Vec<User>,
}

impl Diff {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.joined.is_empty() && self.left.is_empty() && self.changed.is_empty()
    }

    /// The difference that these make, one after the other. Who left and came again is told as changed, since whoever
    /// is told must not see them go.
    pub fn merged<'a>(diffs: impl Iterator<Item = &'a Self>) -> Self {
        // Whether somebody was here before, and who they are since; in the order of their first mention.
        let mut mentioned: Vec<(&User, bool, bool)> = Vec::new();
        let mut places: HashMap<&UserId, usize> = HashMap::new();
        for diff in diffs {
            let left = diff.left.iter().map(|user| (user, false));
            let here = diff.changed.iter().map(|user| (user, true));
            for (user, is_here) in left.chain(here) {
                let place = *places.entry(&user.id).or_insert(mentioned.len());
                match mentioned.get_mut(place) {
                    Some(known) => (known.0, known.2) = (user, is_here),
                    None => mentioned.push((user, true, is_here)),
                }
            }
            for user in &diff.joined {
                let place = *places.entry(&user.id).or_insert(mentioned.len());
                match mentioned.get_mut(place) {
                    Some(known) => (known.0, known.2) = (user, true),
                    None => mentioned.push((user, false, true)),
                }
            }
        }
        let mut merged = Self::default();
        for (user, was_here, is_here) in mentioned {
            match (was_here, is_here) {
                (false, true) => merged.joined.push(user.clone()),
                (true, false) => merged.left.push(user.clone()),
                (true, true) => merged.changed.push(user.clone()),
                (false, false) => {}
            }
        }
        merged
    }

    /// Roughly what it costs on the way to one session, in bytes.
    pub fn weight(&self) -> usize {
        let users = self.joined.iter().chain(&self.left).chain(&self.changed);
        64 + users.map(|user| user.id.as_str().len() + user.name.as_str().len() + 40).sum::<usize>()
    }
}

/// One user who is here.
#[derive(Debug)]
struct Here {
    arrival: u64,
    /// Their sessions in order of entry, each with the name it goes by; the newest names the user. Never empty.
    sessions: Vec<(SessionId, User)>,
}

impl Here {
    fn shown(&self) -> &User {
        &self.sessions.last().expect("a user is here by at least one session").1
    }
}

/// Who is here.
#[derive(Debug, Default)]
pub struct Presence {
    users: HashMap<UserId, Here>,
    sessions: HashMap<SessionId, UserId>,
    arrivals: BTreeMap<u64, UserId>,
    next_arrival: u64,
    /// Users touched since the last `take_diff`, as they were shown then; `None` for who was not here.
    touched: HashMap<UserId, Option<User>>,
}

impl Presence {
    /// How many people are here.
    pub fn count(&self) -> usize {
        self.users.len()
    }

    /// How many sessions they have.
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// The first `limit` of them, in order of arrival.
    pub fn users(&self, limit: usize) -> Vec<User> {
        self.arrivals.values().take(limit).map(|id| self.users[id].shown().clone()).collect()
    }

    /// Takes a session in, or gives it another name. A session that is here as another user is taken out first.
    pub fn enter(&mut self, session: SessionId, user: User) {
        if self.sessions.get(&session).is_some_and(|id| *id != user.id) {
            self.exit(session);
        }
        self.touch(&user.id);
        self.sessions.insert(session, user.id.clone());
        match self.users.get_mut(&user.id) {
            Some(here) => match here.sessions.iter_mut().find(|(id, _)| *id == session) {
                Some((_, shown)) if *shown == user => {}
                Some(_) => {
                    here.sessions.retain(|(id, _)| *id != session);
                    here.sessions.push((session, user));
                }
                None => here.sessions.push((session, user)),
            },
            None => {
                let arrival = self.next_arrival;
                self.next_arrival += 1;
                self.arrivals.insert(arrival, user.id.clone());
                self.users.insert(user.id.clone(), Here { arrival, sessions: vec![(session, user)] });
            }
        }
    }

    /// Takes a session out. One that is not here changes nothing.
    pub fn exit(&mut self, session: SessionId) {
        let Some(id) = self.sessions.remove(&session) else { return };
        self.touch(&id);
        let here = self.users.get_mut(&id).expect("whose session is here is here");
        here.sessions.retain(|(held, _)| *held != session);
        if here.sessions.is_empty() {
            self.arrivals.remove(&here.arrival);
            self.users.remove(&id);
        }
    }

    /// Whether the next `take_diff` has something to tell.
    pub fn is_changed(&self) -> bool {
        self.touched.iter().any(|(id, before)| self.users.get(id).map(Here::shown) != before.as_ref())
    }

    /// What changed since it was last asked; who came and went in between is not mentioned.
    pub fn take_diff(&mut self) -> Diff {
        let mut diff = Diff::default();
        let mut joined = BTreeMap::new();
        for (id, before) in std::mem::take(&mut self.touched) {
            match (before, self.users.get(&id)) {
                (None, Some(here)) => drop(joined.insert(here.arrival, here.shown().clone())),
                (Some(before), None) => diff.left.push(before),
                (Some(before), Some(here)) if before != *here.shown() => {
                    diff.changed.push(here.shown().clone());
                }
                _ => {}
            }
        }
        diff.joined = joined.into_values().collect();
        diff.left.sort_by(|a, b| a.id.cmp(&b.id));
        diff.changed.sort_by(|a, b| a.id.cmp(&b.id));
        diff
    }

    /// Checks that its parts agree.
    ///
    /// # Errors
    /// A sentence that says what does not.
    pub fn check_invariants(&self) -> Result<(), String> {
        let by_user: usize = self.users.values().map(|here| here.sessions.len()).sum();
        if by_user != self.sessions.len() {
            return Err(format!("{by_user} sessions by user, {} by session", self.sessions.len()));
        }
        if self.arrivals.len() != self.users.len() {
            return Err(format!("{} arrivals of {} users", self.arrivals.len(), self.users.len()));
        }
        for (id, here) in &self.users {
            let is_sound = self.arrivals.get(&here.arrival) == Some(id)
                && here.sessions.iter().all(|(session, _)| self.sessions.get(session) == Some(id));
            if here.sessions.is_empty() || !is_sound {
                return Err(format!("user {id} is not held together"));
            }
        }
        Ok(())
    }

    fn touch(&mut self, id: &UserId) {
        if !self.touched.contains_key(id) {
            let before = self.users.get(id).map(|here| here.shown().clone());
            self.touched.insert(id.clone(), before);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::message::DisplayName;

    fn session(n: u8) -> SessionId {
        SessionId::from_bytes(&[n; 16]).expect("16 bytes")
    }

    fn user(n: u8, name: &str) -> User {
        User { id: UserId::new(format!("u{n}")), name: DisplayName::stored(name), guest: true }
    }

    #[test]
    fn merged_differences_say_what_is_different_in_the_end() {
        let diff = |joined: &[u8], left: &[u8], changed: &[u8]| {
            let users = |numbers: &[u8]| numbers.iter().map(|n| user(*n, "Ada")).collect();
            Diff { joined: users(joined), left: users(left), changed: users(changed) }
        };
        let steps = [diff(&[3, 4], &[1, 2], &[5]), diff(&[1], &[3], &[]), diff(&[6], &[5], &[4])];
        assert_eq!(Diff::merged(steps.iter()), diff(&[4, 6], &[2, 5], &[1]));
        assert_eq!(Diff::merged([].iter()), Diff::default());
    }

    #[test]
    fn two_tabs_are_one_user_and_leave_with_the_last() {
        let mut here = Presence::default();
        here.enter(session(1), user(1, "Ada"));
        here.enter(session(2), user(2, "Bob"));
        here.enter(session(3), user(1, "Ada"));
        assert_eq!(here.take_diff().joined, [user(1, "Ada"), user(2, "Bob")]);
        here.exit(session(1));
        assert!(!here.is_changed());
        assert!(here.take_diff().is_empty());
        assert_eq!(here.users(100), [user(1, "Ada"), user(2, "Bob")], "order of arrival stays");
        here.exit(session(3));
        assert_eq!(here.take_diff().left, [user(1, "Ada")]);
        assert_eq!(here.count(), 1);
    }

    #[test]
    fn who_comes_and_goes_between_two_diffs_is_not_mentioned() {
        let mut here = Presence::default();
        here.enter(session(1), user(1, "Ada"));
        here.exit(session(1));
        assert!(here.take_diff().is_empty());
        here.enter(session(1), user(1, "Ada"));
        here.take_diff();
        here.exit(session(1));
        here.enter(session(2), user(1, "Ada"));
        assert!(here.take_diff().is_empty(), "P7: a return is not seen as a leave and a join");
        here.enter(session(2), user(1, "Ada L."));
        assert_eq!(here.take_diff().changed, [user(1, "Ada L.")]);
        here.enter(session(2), user(2, "Bob"));
        let diff = here.take_diff();
        assert_eq!((diff.joined, diff.left), (vec![user(2, "Bob")], vec![user(1, "Ada L.")]));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Enter(u8, u8),
        Exit(u8),
        Tell,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0..8_u8, 0..4_u8).prop_map(|(session, user)| Step::Enter(session, user)),
            (0..8_u8).prop_map(Step::Exit),
            Just(Step::Tell),
        ];
        proptest::collection::vec(step, 0..60)
    }

    proptest! {
        /// P7: presence is what each session did last, whatever was interleaved, and diffs add up to it.
        #[test]
        fn presence_ends_the_same_under_any_interleaving(steps in steps()) {
            let mut here = Presence::default();
            let mut last = HashMap::new();
            let mut told = BTreeSet::new();
            let tell = |here: &mut Presence, told: &mut BTreeSet<UserId>| {
                let diff = here.take_diff();
                for user in diff.left { assert!(told.remove(&user.id)); }
                for user in diff.joined { assert!(told.insert(user.id)); }
                for user in diff.changed { assert!(told.contains(&user.id)); }
            };
            for step in steps {
                match step {
                    Step::Enter(s, u) => { here.enter(session(s), user(u, "x")); last.insert(s, u); }
                    Step::Exit(s) => { here.exit(session(s)); last.remove(&s); }
                    Step::Tell => tell(&mut here, &mut told),
                }
                prop_assert_eq!(here.check_invariants(), Ok(()));
            }
            tell(&mut here, &mut told);
            let expected: BTreeSet<_> = last.values().map(|u| user(*u, "x").id).collect();
            let shown: BTreeSet<_> = here.users(usize::MAX).into_iter().map(|user| user.id).collect();
            prop_assert_eq!(&shown, &expected);
            prop_assert_eq!(&told, &expected);
            prop_assert_eq!(here.count(), expected.len());
            prop_assert_eq!(here.session_count(), last.len());
        }
    }
}
