//! Who is in a room, as this gateway knows it.
//!
//! Owns the fold of snapshots and differences, the last changes of it with their versions, and the notices that plain
//! clients see. Promises that whoever takes every change, or the whole, ends with the same people (P7); that a snapshot
//! is told as the difference it makes; that notices beyond a rate are folded. Never reads a clock; names no runtime.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use parlour_feed::planted::{self, Mistake};
use parlour_proto::v1 as proto;

use super::event::Frames;
use crate::limits::USERS_SHOWN;

/// How many changes, and how many notices, are kept for those who are a little behind.
const KEPT: usize = 32;
/// How long they are kept: by then whoever can be told has been, and an idle room holds none.
const KEPT_FOR: Duration = Duration::from_secs(10);
/// How many notices a room's plain clients are given one by one, in any second.
const NOTICES_PER_SECOND: u32 = 20;
/// Beyond that rate there is one for each of these.
const FOLD: Duration = Duration::from_millis(250);

/// A change of who is here.
#[derive(Debug)]
pub struct Change {
    version: u64,
    /// The change, as the full dialect says it.
    pub presence: proto::Presence,
    /// What browsers are sent.
    pub frames: Frames<Bytes>,
}

/// A notice to plain clients.
#[derive(Debug)]
pub struct Notice {
    /// Whether the name came; else it left.
    pub came: bool,
    /// Whose.
    pub name: String,
    /// The distinct names, in order of arrival, at most 100.
    pub names: Arc<Vec<String>>,
    /// How many people are here.
    pub count: u32,
    /// What browsers are sent.
    pub frames: Frames<Bytes>,
}

/// Who is here at one moment, as a joiner is shown it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The first 100, in order of arrival.
    pub users: Arc<Vec<proto::User>>,
    /// The distinct names of all, at most 100, where somebody speaks plainly; else none.
    pub names: Arc<Vec<String>>,
    /// How many people are here.
    pub count: u32,
    /// What a reader has been told when it has seen this.
    pub mark: Mark,
    /// What browsers are sent that are told all of this in place of what they knew, and whether all of it is in there.
    pub frames: Arc<Frames<(Bytes, bool)>>,
}

impl Shown {
    /// The same with so many named at most.
    pub fn first(&self, named: usize) -> Self {
        let mut shown = self.clone();
        Arc::make_mut(&mut shown.users).truncate(named);
        Arc::make_mut(&mut shown.names).truncate(named);
        shown
    }
}

/// What a session was told of a room's presence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The fold's version.
    pub version: u64,
    /// How many notices there had been.
    pub notices: u64,
    /// Whether all who are here were named: of a crowd only some are.
    pub is_whole: bool,
}

/// What is owed to a session that was told less.
#[derive(Debug)]
pub enum Owed<T> {
    /// These, in order.
    Each(Vec<Arc<T>>),
    /// It has missed too much: the whole.
    Whole,
}

/// The fold.
#[derive(Debug)]
pub struct Fold {
    room: Arc<str>,
    names_limit: usize,
    users: Vec<proto::User>,
    count: u32,
    /// The replica did not know everybody when it last said who is here.
    is_settling: bool,
    /// Who was here before that replica was: until it knows everybody they may have sessions that it does not know.
    kept: HashSet<String>,
    mark: Mark,
    changes: VecDeque<Arc<Change>>,
    forgotten: u64,
    /// Somebody speaks plainly here: only they are told names, and of those that come and go.
    is_spoken_plainly: bool,
    notices: VecDeque<Arc<Notice>>,
    second: Option<Instant>,
    said: u32,
    folded: Option<(Instant, bool, String)>,
    shown: Option<Shown>,
    /// When the changes and notices kept now are kept no longer.
    forget_due: Option<Instant>,
}

impl Fold {
    /// Nobody is here; above `names_limit` people, names are left out.
    pub fn new(room: Arc<str>, names_limit: usize) -> Self {
        Self {
            room,
            names_limit,
            users: Vec::new(),
            count: 0,
            is_settling: false,
            kept: HashSet::new(),
            mark: Mark { version: 0, notices: 0, is_whole: true },
            changes: VecDeque::new(),
            forgotten: 0,
            is_spoken_plainly: false,
            notices: VecDeque::new(),
            second: None,
            said: 0,
            folded: None,
            shown: None,
            forget_due: None,
        }
    }

    /// What whoever has seen everything has been told.
    pub fn mark(&self) -> Mark {
        self.mark
    }

    /// Who is here.
    pub fn shown(&mut self) -> Shown {
        let users = || self.users.iter().take(USERS_SHOWN).cloned().collect();
        let mut shown = self.shown.clone().unwrap_or_else(|| Shown {
            users: Arc::new(users()),
            names: Arc::new(if self.is_spoken_plainly { self.names() } else { Vec::new() }),
            count: self.count,
            mark: self.mark,
            frames: Arc::default(),
        });
        shown.mark = Mark { is_whole: shown.users.len() == shown.count as usize, ..self.mark };
        self.shown.insert(shown).clone()
    }

    /// The same for one who speaks plainly, and is given notices from now on.
    pub fn shown_plainly(&mut self) -> Shown {
        if !std::mem::replace(&mut self.is_spoken_plainly, true) {
            self.shown = None;
        }
        self.shown()
    }

    /// Takes a snapshot or a difference. `settling`: a snapshot of one that does not know everybody yet, which takes
    /// nobody away.
    pub fn apply(&mut self, presence: proto::Presence, settling: bool, now: Instant) {
        let before = self.is_spoken_plainly.then(|| self.all_names());
        let told = if presence.snapshot { self.replace(presence, settling) } else { self.change(presence) };
        let Some(mut told) = told else { return };
        self.shown = None;
        told.room = self.room.to_string();
        told.count = self.count;
        if self.is_crowd(self.count) {
            told.joined.clear();
            told.left.clear();
            told.changed.clear();
        }
        self.mark.version += 1;
        self.forget_due = Some(now + KEPT_FOR);
        let change = Change { version: self.mark.version, presence: told, frames: Frames::default() };
        self.changes.push_back(Arc::new(change));
        if self.changes.len() > KEPT {
            self.forgotten = self.changes.pop_front().map_or(self.forgotten, |change| change.version);
        }
        if let Some(before) = before {
            self.notice(&before, now);
        }
    }

    /// When [`tick`](Self::tick) is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.folded.as_ref().map(|(due, ..)| *due)
    }

    /// Says the folded notice, if it is due. Returns whether it did.
    pub fn tick(&mut self, now: Instant) -> bool {
        match self.folded.take() {
            Some((due, came, name)) if due <= now => {
                self.mark.version += 1;
                self.forget_due = Some(now + KEPT_FOR);
                self.say(came, name);
                true
            }
            folded => {
                self.folded = folded;
                false
            }
        }
    }

    /// The changes since a version.
    pub fn changes_since(&self, version: u64) -> Owed<Change> {
        if version < self.forgotten {
            return Owed::Whole;
        }
        let version = match planted::makes(Mistake::DiffsOnlyToTheLive) {
            true => version.max(self.mark.version.saturating_sub(1)),
            false => version,
        };
        Owed::Each(self.changes.iter().filter(|change| change.version > version).cloned().collect())
    }

    /// Whether differences name nobody where so many are here.
    pub fn is_crowd(&self, count: u32) -> bool {
        count as usize > self.names_limit
    }

    /// The notices since there had been that many.
    pub fn notices_since(&self, notices: u64) -> Owed<Notice> {
        let owed = usize::try_from(self.mark.notices.saturating_sub(notices)).unwrap_or(usize::MAX);
        match self.notices.len().checked_sub(owed) {
            Some(skip) => Owed::Each(self.notices.iter().skip(skip).cloned().collect()),
            None => Owed::Whole,
        }
    }

    /// When [`forget`](Self::forget) is due.
    pub fn forget_due(&self) -> Option<Instant> {
        self.forget_due
    }

    /// Forgets the changes and notices that have been kept long enough.
    pub fn forget(&mut self, now: Instant) {
        if self.forget_due.is_none_or(|due| now < due) {
            return;
        }
        self.forgotten = self.changes.back().map_or(self.forgotten, |change| change.version);
        (self.changes, self.notices) = (VecDeque::new(), VecDeque::new());
        (self.shown, self.forget_due) = (None, None);
        self.users.shrink_to_fit();
    }

    fn replace(&mut self, snapshot: proto::Presence, settling: bool) -> Option<proto::Presence> {
        let mut told = proto::Presence::default();
        let now: HashSet<_> = snapshot.users.iter().map(|user| user.id.clone()).collect();
        let settling = settling && !planted::makes(Mistake::TakenAwayWhileSettling);
        let taken = if settling {
            self.kept.extend(self.users.iter().map(|user| user.id.clone()));
            Vec::new()
        } else {
            self.kept.clear();
            self.users.extract_if(.., |user| !now.contains(&user.id)).collect()
        };
        told.left = taken;
        for user in snapshot.users {
            self.put(user, &mut told);
        }
        self.is_settling = settling;
        self.settle(told, snapshot.count)
    }

    fn change(&mut self, change: proto::Presence) -> Option<proto::Presence> {
        let mut told = proto::Presence::default();
        for user in change.left.into_iter().filter(|user| !self.kept.contains(&user.id)) {
            if let Some(at) = self.users.iter().position(|known| known.id == user.id) {
                told.left.push(self.users.remove(at));
            }
        }
        for user in change.joined.into_iter().chain(change.changed) {
            self.put(user, &mut told);
        }
        self.settle(told, change.count)
    }

    fn put(&mut self, user: proto::User, told: &mut proto::Presence) {
        let is_full = self.users.len() >= self.names_limit.max(USERS_SHOWN);
        match self.users.iter_mut().find(|known| known.id == user.id) {
            Some(known) if *known == user => {}
            Some(known) => {
                *known = user.clone();
                told.changed.push(user);
            }
            None if is_full => {}
            None => {
                self.users.push(user.clone());
                told.joined.push(user);
            }
        }
    }

    fn settle(&mut self, told: proto::Presence, count: u32) -> Option<proto::Presence> {
        // One that does not know everybody counts too few: nobody is taken away by that.
        let count = if self.is_settling { count.max(self.counted(&told)) } else { count };
        let is_news = count != self.count
            || !(told.joined.is_empty() && told.left.is_empty() && told.changed.is_empty());
        self.count = count;
        is_news.then_some(told)
    }

    /// How many there are by what was counted before and has changed by name.
    fn counted(&self, told: &proto::Presence) -> u32 {
        let of = |users: &[proto::User]| u32::try_from(users.len()).unwrap_or(u32::MAX);
        self.count.saturating_add(of(&told.joined)).saturating_sub(of(&told.left))
    }

    fn names(&self) -> Vec<String> {
        let mut seen = HashSet::new();
        let distinct = self.users.iter().filter(|user| seen.insert(user.name.as_str()));
        distinct.take(USERS_SHOWN).map(|user| user.name.clone()).collect()
    }

    fn all_names(&self) -> HashSet<String> {
        self.users.iter().map(|user| user.name.clone()).collect()
    }

    /// Tells plain clients which names came and went, unless the room is crowded.
    fn notice(&mut self, before: &HashSet<String>, now: Instant) {
        if self.is_crowd(self.count) {
            return;
        }
        let mut ordered = HashMap::new();
        for (at, user) in self.users.iter().enumerate() {
            ordered.entry(user.name.clone()).or_insert(at);
        }
        let mut left: Vec<_> = before.iter().filter(|name| !ordered.contains_key(*name)).cloned().collect();
        left.sort_unstable();
        let mut came: Vec<_> = ordered.into_iter().filter(|(name, _)| !before.contains(name)).collect();
        came.sort_unstable_by_key(|(_, at)| *at);
        for name in left {
            self.rate(false, name, now);
        }
        for (name, _) in came {
            self.rate(true, name, now);
        }
    }

    fn rate(&mut self, came: bool, name: String, now: Instant) {
        if let Some((_, last_came, last)) = &mut self.folded {
            (*last_came, *last) = (came, name);
            return;
        }
        let is_same_second =
            self.second.is_some_and(|second| now.duration_since(second) < Duration::from_secs(1));
        if !is_same_second {
            (self.second, self.said) = (Some(now), 0);
        }
        if self.said < NOTICES_PER_SECOND {
            self.said += 1;
            self.say(came, name);
        } else {
            self.folded = Some((now + FOLD, came, name));
        }
    }

    fn say(&mut self, came: bool, name: String) {
        let names = self.shown().names;
        self.notices.push_back(Arc::new(Notice {
            came,
            name,
            names,
            count: self.count,
            frames: Frames::default(),
        }));
        self.mark.notices += 1;
        if self.notices.len() > KEPT {
            self.notices.pop_front();
        }
    }
}

#[cfg(test)]
mod tests;
