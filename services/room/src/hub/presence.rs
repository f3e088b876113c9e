//! Presence as leases.
//!
//! Owns which sessions are present in a room, by whom each is held, who is in grace and until when, and how far the
//! presence told to readers has come. Promises P7: a session is present while it is held or in grace, a return within
//! the grace is not seen, and no older owner touches what a newer one has named. Never reads a clock, never sends.

mod pace;

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use parlour_feed::planted::{self, Mistake};

use crate::{
    domain::{
        ids::{SessionId, UserId},
        message::User,
        presence::{Diff, Presence},
    },
    rooms::Settings,
};

use pace::{BURST_BYTES, Pace};

/// Differences that are kept: a reader who missed no more is told those and not everybody, whom its budget may not allow
/// in time (P7, P9).
const KEPT_DIFFS: usize = 64;
/// Who holds a session: a stream of a gateway's lane, or a `Chat` stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The gateway's incarnation; for `Chat` the session's own identity.
    pub holder: [u8; 16],
    /// Which of the gateway's streams.
    pub lane: u32,
    /// Rises with each stream of the lane.
    pub generation: u64,
}

impl Owner {
    /// The owner of a `Chat` session.
    pub fn chat(session: SessionId) -> Self {
        Self { holder: *session.as_bytes(), lane: 0, generation: 0 }
    }

    fn is_lane_of(&self, other: &Self) -> bool {
        self.holder == other.holder && self.lane == other.lane
    }

    /// Whether this one may not touch what `other` holds: a newer stream of its own lane has named it.
    fn is_older_than(&self, other: &Self) -> bool {
        self.is_lane_of(other) && self.generation < other.generation
    }
}

/// How long sessions are kept after their connection ended, and up to how many people names are told.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// After an orderly close.
    pub grace_closed: Duration,
    /// After a broken connection.
    pub grace_broken: Duration,
    /// People in a room up to whom differences carry names.
    pub names: usize,
}

impl Limits {
    /// Those of the settings.
    pub fn of(settings: &Settings) -> Self {
        Self {
            grace_closed: settings.grace_closed,
            grace_broken: settings.grace_broken,
            names: settings.presence_names,
        }
    }

    /// How long a session is kept that ended like this.
    pub fn grace(&self, ending: Ending) -> Duration {
        match ending {
            Ending::Closed => self.grace_closed,
            Ending::Broken => self.grace_broken,
            Ending::GoingAway(retry_after) => retry_after + self.grace_broken,
        }
    }
}

/// How a session's connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The client closed in order.
    Closed,
    /// The connection broke.
    Broken,
    /// The server asked it to come back after that long.
    GoingAway(Duration),
}

#[derive(Debug)]
struct Lease {
    owner: Owner,
    /// When its grace ends; `None` while it is held.
    until: Option<Instant>,
}

impl Lease {
    /// Whether it is that owner's to renew or to end.
    fn is_of(&self, owner: Owner) -> bool {
        self.owner == owner || planted::makes(Mistake::LateStreamActs) && self.owner.is_lane_of(&owner)
    }
}

/// What a reader of presence is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The version it knows afterwards.
    pub version: u64,
    /// How many people are here.
    pub count: usize,
    /// Whether nobody may be taken away on the strength of it: the replica is younger than the grace.
    pub settling: bool,
    /// What it is told.
    pub what: What,
}

impl Update {
    /// Whether one who is told this has been named all who are here; `before`: whether it had been.
    pub fn is_whole_after(&self, before: bool) -> bool {
        match &self.what {
            What::Nothing | What::Diff(_) => before,
            What::Count => false,
            What::Whole(users) => users.len() == self.count,
        }
    }
}

/// The body of an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It knows already.
    Nothing,
    /// The difference to the version before.
    Diff(Arc<Diff>),
    /// The count only: the room is beyond the names limit.
    Count,
    /// Who is here, in order of arrival, up to the number asked for.
    Whole(Vec<User>),
}

/// How the present version came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// By the last of the differences that are kept.
    Diff,
    Count,
    /// Whatever a reader knew is replaced.
    Whole,
}

/// The sessions present in one room.
#[derive(Debug)]
pub struct Leases {
    here: Presence,
    held: HashMap<SessionId, Lease>,
    lapses: BTreeSet<(Instant, SessionId)>,
    limits: Limits,
    version: u64,
    change: Change,
    /// The differences that led to the present version, the newest last.
    diffs: VecDeque<Arc<Diff>>,
    /// The people here as of `version`.
    told_count: usize,
    counts_only: bool,
    pace: Pace,
    settling_until: Option<Instant>,
    /// Who may have been here before this replica was: until it has settled they may have sessions that it does not know.
    returned: HashSet<UserId>,
}

impl Leases {
    /// Nobody is here. Until `settling_until` snapshots say that somebody may be missing.
    pub fn new(limits: Limits, settling_until: Instant, now: Instant) -> Self {
        Self {
            here: Presence::default(),
            held: HashMap::new(),
            lapses: BTreeSet::new(),
            limits,
            version: 1,
            change: Change::Whole,
            diffs: VecDeque::new(),
            told_count: 0,
            counts_only: false,
            pace: Pace::new(now),
            settling_until: (settling_until > now).then_some(settling_until),
            returned: HashSet::new(),
        }
    }

    /// The version of presence that readers may be told.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How many people are here now.
    pub fn count(&self) -> usize {
        self.here.count()
    }

    /// The first `limit` people who are here now, in order of arrival.
    pub fn users(&self, limit: usize) -> Vec<User> {
        self.here.users(limit)
    }

    /// Whether nobody is present and nobody is in grace.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether that session is present, held by that owner and not in grace.
    pub fn is_held(&self, session: SessionId, owner: Owner) -> bool {
        self.held.get(&session).is_some_and(|lease| lease.owner == owner && lease.until.is_none())
    }

    /// The version that tells of everything that has happened up to now.
    pub fn version_due(&self) -> u64 {
        self.version + u64::from(self.here.is_changed())
    }

    /// Takes a session in as present under that name, or renews it; whoever held it before holds it no longer. Returns
    /// whether it was done: a newer stream of the same lane may have named it already.
    pub fn hold(&mut self, session: SessionId, user: User, owner: Owner) -> bool {
        if !self.take(session, owner) {
            return false;
        }
        self.held.insert(session, Lease { owner, until: None });
        self.here.enter(session, user);
        true
    }

    /// That user may have been here before this replica was: nobody is told that they left before it has settled.
    pub fn returns(&mut self, user: &UserId) {
        if self.settling_until.is_some() {
            self.returned.insert(user.clone());
        }
    }

    /// Takes over a session that is here already, as it is; one that is not here stays away.
    pub fn keep(&mut self, session: SessionId, owner: Owner) {
        if self.held.contains_key(&session) && self.take(session, owner) {
            self.held.insert(session, Lease { owner, until: None });
        }
    }

    /// Takes over a session that closed and has that much of its grace left; `user` is who it was, where that is known.
    pub fn keep_in_grace(
        &mut self,
        session: SessionId,
        user: Option<User>,
        owner: Owner,
        grace: Duration,
        now: Instant,
    ) {
        if !self.held.contains_key(&session) && user.is_none() || !self.take(session, owner) {
            return;
        }
        if let Some(user) = user {
            self.here.enter(session, user);
        }
        let until = now + grace;
        self.held.insert(session, Lease { owner, until: Some(until) });
        self.lapses.insert((until, session));
    }

    /// Takes a session out at once, if that owner holds it.
    pub fn leave(&mut self, session: SessionId, owner: Owner) {
        if self.held.get(&session).is_some_and(|lease| lease.is_of(owner)) {
            self.remove(session);
        }
    }

    /// Puts a session in grace, if that owner holds it.
    pub fn close(&mut self, session: SessionId, owner: Owner, ending: Ending, now: Instant) {
        let grace = self.limits.grace(ending);
        self.begin_grace(session, owner, now + grace);
    }

    /// Puts everything that owner holds in grace: its stream broke at `since`.
    pub fn broken(&mut self, owner: Owner, since: Instant) {
        let until = since + self.limits.grace_broken;
        let held = self.held.iter().filter(|(_, lease)| lease.is_of(owner) && lease.until.is_none());
        let sessions: Vec<_> = held.map(|(session, _)| *session).collect();
        for session in sessions {
            self.begin_grace(session, owner, until);
        }
    }

    /// A newer stream of a lane has named all it has here: what older ones left and it did not name leaves at once.
    pub fn roster(&mut self, owner: Owner, named: &HashSet<SessionId>) {
        let is_left = |(session, lease): &(&SessionId, &Lease)| {
            lease.owner.is_older_than(&owner) && !named.contains(session)
        };
        let left: Vec<_> = self.held.iter().filter(is_left).map(|(session, _)| *session).collect();
        for session in left {
            self.remove(session);
        }
    }

    /// Lets graces lapse and tells what the budget allows: the version rises when there is something to tell. Call it
    /// after every input and at `deadline`.
    pub fn advance(&mut self, now: Instant) {
        while let Some(&(until, session)) = self.lapses.first()
            && until <= now
        {
            self.remove(session);
        }
        if self.settling_until.is_some_and(|until| until <= now) {
            self.settling_until = None;
            self.returned.clear();
            if !planted::makes(Mistake::SettlingNeverEnds) {
                self.here.take_diff();
                self.publish(Change::Whole);
            }
        } else if self.here.is_changed() && self.pace.due() <= now {
            self.tell(now);
        }
    }

    /// When `advance` has to be called at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        let lapse = self.lapses.first().map(|(until, _)| *until);
        let told = self.here.is_changed().then(|| self.pace.due());
        [lapse, told, self.settling_until].into_iter().flatten().min()
    }

    /// What a reader that was told version `told` is to be told now; a whole has up to `limit` people. Brings the
    /// version up to date where a whole is owed, so that no later difference tells of somebody in it.
    pub fn update(&mut self, told: Option<u64>, limit: usize, now: Instant) -> Update {
        let missed = told.and_then(|told| usize::try_from(self.version.checked_sub(told)?).ok());
        let what = match (self.change, missed) {
            (_, Some(0)) => What::Nothing,
            (Change::Diff, Some(missed)) if missed <= self.diffs.len() => What::Diff(self.last(missed)),
            (Change::Count, Some(_)) => What::Count,
            _ => {
                if self.here.is_changed() {
                    self.tell(now);
                }
                What::Whole(self.here.users(limit))
            }
        };
        Update {
            version: self.version,
            count: self.told_count,
            settling: self.settling_until.is_some_and(|until| now < until),
            what,
        }
    }

    /// The last differences, as one.
    fn last(&self, missed: usize) -> Arc<Diff> {
        let missed = self.diffs.iter().skip(self.diffs.len() - missed);
        if missed.len() == 1
            && let Some(diff) = self.diffs.back()
        {
            return Arc::clone(diff);
        }
        Arc::new(Diff::merged(missed.map(Arc::as_ref)))
    }

    /// Checks that its parts agree.
    ///
    /// # Errors
    /// A sentence that says what does not.
    pub fn check_invariants(&self) -> Result<(), String> {
        self.here.check_invariants()?;
        if self.here.session_count() != self.held.len() {
            return Err(format!("{} leases of {} sessions", self.held.len(), self.here.session_count()));
        }
        let in_grace = self.held.iter().filter_map(|(session, lease)| Some((lease.until?, *session)));
        let in_grace: BTreeSet<_> = in_grace.collect();
        if in_grace == self.lapses { Ok(()) } else { Err("graces and lapses differ".to_owned()) }
    }

    /// Ends a session's grace, if it is in one, for `owner` to hold it; `false` where `owner` is too old to.
    fn take(&mut self, session: SessionId, owner: Owner) -> bool {
        let Some(lease) = self.held.get_mut(&session) else { return true };
        if owner.is_older_than(&lease.owner) {
            return false;
        }
        if let Some(until) = lease.until.take() {
            self.lapses.remove(&(until, session));
        }
        true
    }

    fn begin_grace(&mut self, session: SessionId, owner: Owner, until: Instant) {
        let Some(lease) = self.held.get_mut(&session) else { return };
        if !lease.is_of(owner) {
            return;
        }
        if let Some(before) = lease.until.replace(until) {
            self.lapses.remove(&(before, session));
        }
        self.lapses.insert((until, session));
    }

    fn remove(&mut self, session: SessionId) {
        if let Some(Lease { until: Some(until), .. }) = self.held.remove(&session) {
            self.lapses.remove(&(until, session));
        }
        self.here.exit(session);
    }

    fn tell(&mut self, now: Instant) {
        let mut diff = self.here.take_diff();
        diff.left.retain(|user| !self.returned.contains(&user.id));
        let weight = diff.weight();
        let (change, weight) = match (self.counts_only, self.here.count() > self.limits.names) {
            (_, true) => (Change::Count, 64),
            (true, false) => (Change::Whole, BURST_BYTES as usize), // the names left out meanwhile are owed
            (false, false) => {
                self.remember(diff);
                (Change::Diff, weight)
            }
        };
        self.pace.spend(weight, now);
        self.publish(change);
    }

    fn remember(&mut self, diff: Diff) {
        if self.diffs.len() == KEPT_DIFFS {
            self.diffs.pop_front();
        }
        self.diffs.push_back(Arc::new(diff));
    }

    fn publish(&mut self, change: Change) {
        if change != Change::Diff {
            self.diffs.clear();
        }
        self.version += 1;
        self.change = change;
        self.told_count = self.here.count();
        self.counts_only = self.told_count > self.limits.names;
    }
}

#[cfg(test)]
#[path = "presence_tests.rs"]
mod tests;
