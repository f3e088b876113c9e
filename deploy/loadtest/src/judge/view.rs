//! Who a session was told is in a room.
//!
//! Owns the fold of snapshot and differences, as any client folds them, whose leaving was told, and the comparison of
//! what was told with the truth. Promises that the fold is what the last frames say. Never knows who is really there.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use super::{Breach, Promise};

/// How many people a snapshot names at most: beyond, only the count is known.
pub(crate) const NAMED: usize = 100;

/// Someone, as presence names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Someone {
    /// The user's id.
    pub(crate) id: String,
    /// The display name.
    pub(crate) name: String,
}

/// What was told.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// Names by id.
    here: HashMap<String, String>,
    count: u32,
    /// How often each was said to have left, in this session.
    left: HashMap<String, u32>,
}

impl View {
    /// A snapshot replaces all that was known.
    pub(crate) fn whole(&mut self, users: Vec<Someone>, count: u32) {
        self.here = users.into_iter().map(|user| (user.id, user.name)).collect();
        self.count = count;
    }

    /// Another session begins.
    pub(crate) fn begin(&mut self) {
        self.left.clear();
    }

    /// A difference.
    pub(crate) fn change(
        &mut self,
        joined: Vec<Someone>,
        left: &[Someone],
        changed: Vec<Someone>,
        count: u32,
    ) {
        for user in left {
            self.here.remove(&user.id);
            *self.left.entry(user.name.clone()).or_default() += 1;
        }
        self.here.extend(joined.into_iter().chain(changed).map(|user| (user.id, user.name)));
        self.count = count;
    }

    /// How often that one was said to have left.
    pub(crate) fn times_left(&self, name: &str) -> u32 {
        self.left.get(name).copied().unwrap_or_default()
    }

    /// Compares with the truth, once everybody has been quiet.
    pub(crate) fn compare(&self, truth: &Present) -> Result<(), Difference> {
        let names = self.here.values().cloned().collect();
        truth.compare(&names, self.count)
    }
}

/// Who is in a room, once everybody is quiet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Present {
    /// Who must be there.
    pub(crate) here: BTreeSet<String>,
    /// Who may be there besides, and until when: their sessions ended not long ago.
    pub(crate) lingering: BTreeMap<String, Duration>,
}

/// What was told is not the truth.
#[derive(Clone, Debug)]
pub(crate) struct Difference {
    /// What is wrong.
    pub(crate) breach: Breach,
    /// Until when it may rightly be so; zero where it may not.
    pub(crate) until: Duration,
}

impl Difference {
    /// One that nothing excuses.
    pub(crate) const fn final_one(breach: Breach) -> Self {
        Self { breach, until: Duration::ZERO }
    }
}

impl Present {
    /// Compares a list of people with it. Where there are more than are named, only the counts can be compared.
    pub(crate) fn compare(&self, names: &BTreeSet<String>, count: u32) -> Result<(), Difference> {
        let missing: Vec<_> = self.here.difference(names).collect();
        let ghosts: Vec<_> = names.difference(&self.here).collect();
        let is_whole = self.here.len() <= NAMED;
        let (count, expected) = (count as usize, self.here.len());
        if count == expected && (!is_whole || (missing.is_empty() && ghosts.is_empty())) {
            return Ok(());
        }
        let what = format!(
            "{count} people where {expected} are; ghosts: {}; missing: {}",
            listed(&ghosts),
            listed(&missing)
        );
        let is_possible = if is_whole {
            missing.is_empty() && count == expected + ghosts.len()
        } else {
            (expected..=expected + self.lingering.len()).contains(&count)
        };
        // The first of them to be gone ends what may rightly be so.
        let until = ghosts.iter().map(|ghost| self.lingering.get(*ghost).copied().unwrap_or_default()).min();
        let until = if is_whole { until } else { self.lingering.values().max().copied() };
        let until = until.filter(|_| is_possible).unwrap_or_default();
        Err(Difference { breach: Breach::of(Promise::P7, what), until })
    }
}

/// The first few names.
fn listed(names: &[&String]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.iter().take(5).map(|name| name.as_str()).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people(names: &[&str]) -> Vec<Someone> {
        names.iter().map(|name| Someone { id: format!("id of {name}"), name: (*name).to_owned() }).collect()
    }

    fn truth(names: &[&str]) -> Present {
        let here = names.iter().map(|name| (*name).to_owned()).collect();
        Present { here, ..Present::default() }
    }

    #[test]
    fn p7_a_fold_that_is_the_truth_is_right() {
        let mut view = View::default();
        view.whole(people(&["ada", "bob"]), 2);
        view.change(people(&["carl"]), &people(&["ada"]), Vec::new(), 2);
        view.compare(&truth(&["bob", "carl"])).unwrap();
        assert_eq!((view.times_left("ada"), view.times_left("bob")), (1, 0));
    }

    #[test]
    fn p7_a_ghost_one_missing_and_a_wrong_count_convict() {
        let mut view = View::default();
        view.whole(people(&["ada", "bob"]), 2);
        for wrong in [&["ada"][..], &["ada", "carl"], &["ada", "bob", "carl"]] {
            let difference = view.compare(&truth(wrong)).unwrap_err();
            assert_eq!(
                (difference.breach.promise, difference.until),
                (Promise::P7, Duration::ZERO),
                "{wrong:?}"
            );
        }
        view.change(Vec::new(), &[], Vec::new(), 3);
        view.compare(&truth(&["ada", "bob"])).unwrap_err();
    }
    #[test]
    fn p7_one_in_grace_may_be_seen_as_long_as_that_lasts_and_nobody_else_may() {
        let s = Duration::from_secs;
        let lingering = [("bob".to_owned(), s(7)), ("carl".to_owned(), s(9))].into();
        let truth = Present { lingering, ..truth(&["ada"]) };
        let until = |names: &[&str], count| {
            let mut view = View::default();
            view.whole(people(names), count);
            view.compare(&truth).map_err(|difference| difference.until)
        };
        assert_eq!(until(&["ada"], 1), Ok(()));
        assert_eq!(until(&["ada", "carl"], 2), Err(s(9)));
        assert_eq!(until(&["ada", "bob", "carl"], 3), Err(s(7)));
        for (names, count) in [(&["ada", "dan"][..], 2), (&["bob"], 1), (&["ada", "carl"], 3)] {
            assert_eq!(until(names, count), Err(Duration::ZERO), "{names:?}");
        }
    }
}
