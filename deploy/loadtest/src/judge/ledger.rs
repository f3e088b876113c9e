//! What was seen of a room's log by anybody.
//!
//! Owns, for each seq, the check and the content that its first witness saw. Promises that a second witness who saw
//! something else is told (P2), and that its size is that of the log, however many saw it (P8). Never holds a text.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use parlour_feed::{Cursor, cursor::Check};

use super::{Breach, Promise};

/// What stands for a content: a hash of its author and text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digest(u64);

impl Digest {
    /// That of a message.
    pub(crate) fn of(author: &str, content: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        (author, content).hash(&mut hasher);
        Self(hasher.finish())
    }

    /// That of an event which is no message.
    pub(crate) fn other(kind: &str) -> Self {
        Self::of("", kind)
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    check: Option<Check>,
    digest: Option<Digest>,
}

/// One room's.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// What is known of seq 0, 1, 2 …
    entries: Vec<Entry>,
}

impl Ledger {
    /// How many events a room's ledger holds at most: what lies beyond is not compared.
    pub(crate) const LIMIT: u64 = 4_000_000;

    /// The highest seq that anybody saw.
    pub(crate) fn head(&self) -> u64 {
        (self.entries.len() as u64).saturating_sub(1)
    }

    /// An event was seen, by a reader who is told cursors or by one who is not.
    pub(crate) fn saw(&mut self, seq: u64, check: Option<Check>, digest: Digest) -> Result<(), Breach> {
        let Some(entry) = self.entry(seq) else { return Ok(()) };
        if entry.digest.is_some_and(|known| known != digest) {
            return Err(Breach::at(
                Promise::P2,
                seq,
                format!("two clients were given different events as {seq}"),
            ));
        }
        entry.digest = Some(digest);
        check.map_or(Ok(()), |check| vouch(entry, Cursor { check, seq }))
    }

    /// A cursor was named.
    pub(crate) fn named(&mut self, cursor: Cursor) -> Result<(), Breach> {
        self.entry(cursor.seq).map_or(Ok(()), |entry| vouch(entry, cursor))
    }

    /// Whether somebody saw an event, or was given a cursor, of exactly that place.
    pub(crate) fn knows(&self, cursor: Cursor) -> bool {
        let entry = usize::try_from(cursor.seq).ok().and_then(|index| self.entries.get(index));
        entry.is_some_and(|entry| entry.check == Some(cursor.check))
    }

    /// What was seen as that event.
    pub(crate) fn digest(&self, seq: u64) -> Option<Digest> {
        self.entries.get(usize::try_from(seq).ok()?)?.digest
    }

    fn entry(&mut self, seq: u64) -> Option<&mut Entry> {
        if seq > Self::LIMIT {
            return None;
        }
        let index = usize::try_from(seq).ok()?;
        if self.entries.len() <= index {
            self.entries.resize(index + 1, Entry::default());
        }
        self.entries.get_mut(index)
    }
}

/// Takes a cursor for true, or says that another was named for the same place.
fn vouch(entry: &mut Entry, cursor: Cursor) -> Result<(), Breach> {
    match entry.check {
        Some(known) if known != cursor.check => {
            let known = Cursor { check: known, ..cursor };
            Err(Breach::at(Promise::P2, cursor.seq, format!("one log cannot have both {known} and {cursor}")))
        }
        _ => {
            entry.check = Some(cursor.check);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p2_two_who_see_different_events_under_one_seq_convict() {
        let mut ledger = Ledger::default();
        ledger.saw(1, Some(Check(7)), Digest::of("ada", "hi")).unwrap();
        ledger.saw(1, Some(Check(7)), Digest::of("ada", "hi")).unwrap();
        ledger.saw(1, None, Digest::of("ada", "hi")).unwrap();
        let breach = ledger.saw(1, None, Digest::of("bob", "hi")).unwrap_err();
        assert_eq!((breach.promise, breach.seq), (Promise::P2, Some(1)));
    }

    #[test]
    fn p2_two_checks_of_one_seq_convict() {
        let mut ledger = Ledger::default();
        ledger.named(Cursor { check: Check(1), seq: 0 }).unwrap();
        ledger.named(Cursor { check: Check(2), seq: 0 }).unwrap_err();
        ledger.saw(1, Some(Check(7)), Digest::of("ada", "hi")).unwrap();
        ledger.saw(1, Some(Check(8)), Digest::of("ada", "hi")).unwrap_err();
        assert!(ledger.knows(Cursor { check: Check(7), seq: 1 }));
        assert!(!ledger.knows(Cursor { check: Check(7), seq: 2 }));
        assert_eq!(ledger.head(), 1);
    }
}
