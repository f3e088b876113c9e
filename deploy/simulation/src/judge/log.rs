//! What is committed, and in what order.
//!
//! Owns the order in which clients' messages reached the logs, and the keys they came with. Promises P5: one event a key,
//! and what a client sent in an order stands in that order. Never forgives but for a log that was replaced.

use std::collections::{BTreeMap, BTreeSet};

use parlour_feed::Seq;
use parlour_room::domain::event::{Body, Event};

use super::Judge;
use crate::store::Name;

/// One client's messages to a room.
#[derive(Debug, Default)]
struct Sent {
    /// In the log, or in one that was replaced.
    done: BTreeSet<u64>,
    /// Those below are of no more interest.
    from: u64,
    /// Refused for now in a session, by its connection, and not asked for again in that one since.
    refused: BTreeMap<u32, BTreeSet<u64>>,
    /// Which were refused so when a message came to a gateway, in any of the sessions in which it did: any may be the one
    /// that is applied.
    excused: BTreeMap<u64, BTreeSet<u64>>,
}

impl Sent {
    /// The first message that ought to be in the log before this one, and is not. One that was refused before this
    /// one was even asked for need not be (P5 c, d).
    fn missing(&self, nth: u64) -> Option<u64> {
        let excused = self.excused.get(&nth);
        let is_excused = |before: &u64| excused.is_some_and(|excused| excused.contains(before));
        (self.from.max(1)..nth).find(|before| !self.done.contains(before) && !is_excused(before))
    }

    fn asked(&mut self, conn: u32, nth: u64) {
        let refused = self.refused.entry(conn).or_default();
        refused.remove(&nth);
        self.excused.entry(nth).or_default().extend(refused.range(..nth));
    }
}

/// The order of one room's log.
#[derive(Debug, Default)]
pub(super) struct Order {
    sent: BTreeMap<String, Sent>,
    /// Texts in the log as it is now.
    texts: BTreeSet<String>,
    /// Every commit of a key.
    commits: BTreeMap<String, Vec<(Seq, Name, u32)>>,
    /// The log was replaced, and nothing of that client has been committed since.
    is_anew: BTreeSet<String>,
}

/// Whose message, and which of theirs; nobody's where it is sent once more with another body.
fn parse(text: &str) -> Option<(&str, u64)> {
    let (who, nth) = text.rsplit_once(' ')?;
    Some((who, nth.parse().ok()?))
}

impl Judge {
    /// A client's message has come to its gateway.
    pub fn asked(&mut self, room: usize, conn: u32, text: &str) {
        if let Some((who, nth)) = parse(text) {
            self.log[room].sent.entry(who.to_owned()).or_default().asked(conn, nth);
        }
    }

    /// It is refused there for now.
    pub fn refused(&mut self, room: usize, conn: u32, key: &str) {
        if let Some((who, nth)) = parse(key) {
            let sent = self.log[room].sent.entry(who.to_owned()).or_default();
            sent.refused.entry(conn).or_default().insert(nth);
        }
    }

    /// A draft became an event.
    pub fn committed(&mut self, room: usize, event: &Event, age: u32, at_us: u64) {
        let Body::Message { content, .. } = &event.body else { return };
        // A planted mistake alters keys, to no end but this: the first part is the client's own.
        let key = event.key.as_str().split('~').next().unwrap_or_default().to_owned();
        self.mix(event.created_at.unsigned_abs() ^ room as u64);
        self.note(at_us, || format!("committed {key} as {} of room {room}", event.seq));
        let order = &mut self.log[room];
        order.commits.entry(key).or_default().push((event.seq, event.created_at, age));
        let Some((who, nth)) = parse(content) else { return };
        let is_twice = !order.texts.insert(content.clone());
        let is_anew = order.is_anew.remove(who);
        let sent = order.sent.entry(who.to_owned()).or_default();
        let is_old = sent.done.contains(&nth);
        if is_anew && !is_old {
            sent.from = nth;
        }
        let missing = sent.missing(nth).filter(|_| !is_old);
        sent.done.insert(nth);
        if is_twice {
            self.found("P5", at_us, format!("(a) {content} is in the log twice"));
        } else if let Some(missing) = missing {
            self.found("P5", at_us, format!("(b, c) {content} is committed, and {missing} before it is not"));
        }
    }

    /// The logs were replaced by older copies.
    pub fn log_replaced(&mut self) {
        for order in &mut self.log {
            order.texts.clear();
            order.is_anew = order.sent.keys().cloned().collect();
        }
    }

    /// P1, P5 (a): what is acknowledged is committed, and is the first of its key.
    pub fn acknowledged(&mut self, room: usize, key: &str, seq: Seq, name: Name, age: u32, at_us: u64) {
        let commits = self.log[room].commits.get(key).cloned().unwrap_or_default();
        let is_true = commits.iter().any(|commit| (commit.0, commit.1) == (seq, name));
        if !is_true {
            self.found(
                "P1",
                at_us,
                format!("{key} is acknowledged as {seq}, and was committed as {commits:?}"),
            );
        }
        let in_age = commits.iter().filter(|commit| commit.2 == age).count();
        if in_age > 1 {
            self.found("P5", at_us, format!("(a) {key} was committed more than once: {commits:?}"));
        }
    }
}
