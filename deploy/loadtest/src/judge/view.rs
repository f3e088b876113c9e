//! Who a session was told is in a room.
//!
//! Owns the fold of snapshot and differences, as any client folds them, and whose leaving was told. Promises that the
//! fold is what the last frames say. Never knows who is really there.

use std::collections::{BTreeSet, HashMap};

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
    pub(crate) fn compare(&self, truth: &BTreeSet<String>) -> Result<(), Breach> {
        let names = self.here.values().cloned().collect();
        compare(&names, self.count, truth)
    }
}

/// Compares a list of people with the truth. Where there are more than are named, only the counts can be compared.
pub(crate) fn compare(names: &BTreeSet<String>, count: u32, truth: &BTreeSet<String>) -> Result<(), Breach> {
    let missing: Vec<_> = truth.difference(names).collect();
    let ghosts: Vec<_> = names.difference(truth).collect();
    let is_whole = truth.len() <= NAMED;
    if count as usize == truth.len() && (!is_whole || (missing.is_empty() && ghosts.is_empty())) {
        return Ok(());
    }
    let what = format!(
        "{count} people where {} are; ghosts: {}; missing: {}",
        truth.len(),
        listed(&ghosts),
        listed(&missing)
    );
    Err(Breach::of(Promise::P7, what))
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

    fn truth(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
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
            assert_eq!(view.compare(&truth(wrong)).unwrap_err().promise, Promise::P7, "{wrong:?}");
        }
        view.change(Vec::new(), &[], Vec::new(), 3);
        view.compare(&truth(&["ada", "bob"])).unwrap_err();
    }
}
