//! A log to follow in tests, and the judge of who was given what.
//!
//! Owns events that name their true predecessor apart from `check`. Promises that nothing spliced, skipped or repeated
//! passes the judge. Never uses the crate's own notion of what follows what.

#![allow(dead_code, reason = "each test takes what it needs")]

pub(crate) mod room;
pub(crate) mod story;

use std::{collections::HashMap, sync::Arc};

use parlour_feed::{Check, Cursor, Entry, Hint, LogRead, Page, Seq, Weigh};

/// An event's name in all of history; 0 is nobody's.
pub(crate) type Name = u64;

/// What the log holds: its own name and its true predecessor's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) name: Name,
    pub(crate) before: Name,
    pub(crate) weight: usize,
}

impl Weigh for Event {
    fn bytes(&self) -> usize {
        self.weight
    }
}

pub(crate) type Shared = Arc<Event>;

/// A log that can be replaced by an older copy of itself or by another one.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    root: (Cursor, Name),
    entries: Vec<Entry<Shared>>,
    names: u64,
    /// Every cursor that ever was, in whatever log, and the name of its event.
    history: HashMap<Cursor, Name>,
    cursors: Vec<Cursor>,
}

impl Log {
    pub(crate) fn new() -> Self {
        let mut log = Self {
            root: (Cursor { check: Check(0), seq: 0 }, 0),
            entries: Vec::new(),
            names: 0,
            history: HashMap::new(),
            cursors: Vec::new(),
        };
        log.root = log.make(0);
        log
    }

    pub(crate) fn root(&self) -> Cursor {
        self.root.0
    }

    pub(crate) fn head(&self) -> Cursor {
        self.entries.last().map_or(self.root.0, |entry| entry.cursor)
    }

    /// Appends an event; gives the hint that its commit sends out.
    pub(crate) fn append(&mut self, weight: usize) -> Hint<Shared> {
        let (prev, before) = (self.head(), self.name_of(self.head()).expect("the head is of this log"));
        let (cursor, name) = self.make(prev.seq + 1);
        let entry = Entry { cursor, event: Arc::new(Event { name, before, weight }) };
        self.entries.push(entry.clone());
        Hint { prev: prev.check, entry, own: false }
    }

    /// Restores an older copy: the first `keep` events.
    pub(crate) fn restore(&mut self, keep: usize) {
        self.entries.truncate(keep);
    }

    /// Another log altogether.
    pub(crate) fn replace(&mut self) {
        self.entries.clear();
        self.root = self.make(0);
    }

    pub(crate) fn holds(&self, cursor: Cursor) -> bool {
        self.cursor_at(cursor.seq) == Some(cursor)
    }

    pub(crate) fn cursor_at(&self, seq: Seq) -> Option<Cursor> {
        match seq.checked_sub(1) {
            None => Some(self.root.0),
            Some(index) => self.entries.get(usize::try_from(index).ok()?).map(|entry| entry.cursor),
        }
    }

    pub(crate) fn hint_at(&self, seq: Seq) -> Option<Hint<Shared>> {
        let entry = self.entries.get(usize::try_from(seq.checked_sub(1)?).ok()?)?;
        Some(Hint { prev: self.cursor_at(seq - 1)?.check, entry: entry.clone(), own: false })
    }

    pub(crate) fn name_of(&self, cursor: Cursor) -> Option<Name> {
        self.history.get(&cursor).copied()
    }

    /// Every cursor that ever was.
    pub(crate) fn cursors(&self) -> &[Cursor] {
        &self.cursors
    }

    pub(crate) fn read(&self, after: Seq, limit: usize) -> LogRead<Shared> {
        let head = self.head();
        match self.cursor_at(after) {
            None => LogRead::Ahead { head },
            Some(base) => {
                let entries = self.entries[after as usize..].iter().take(limit).cloned().collect();
                LogRead::Page(Page { base, entries, head })
            }
        }
    }

    fn make(&mut self, seq: Seq) -> (Cursor, Name) {
        self.names += 1;
        let mut cursors =
            (self.names as i64..).map(|time| Cursor { check: Check::of("R", time * 7_919), seq });
        let cursor = cursors.find(|cursor| !self.history.contains_key(cursor));
        let cursor = cursor.expect("a check that is free at this seq");
        self.history.insert(cursor, self.names);
        self.cursors.push(cursor);
        (cursor, self.names)
    }
}

/// Follows what one reader is given, event by event.
#[derive(Clone, Debug)]
pub(crate) struct Judge {
    /// The name of the event at its cursor; `None` where the cursor is forged: then nothing may be given.
    last: Option<Name>,
    given: u64,
}

impl Judge {
    pub(crate) fn at(log: &Log, cursor: Cursor) -> Self {
        Self { last: log.name_of(cursor), given: 0 }
    }

    pub(crate) fn takes(&mut self, entry: &Entry<Shared>) {
        assert_eq!(
            self.last,
            Some(entry.event.before),
            "P3: {:?} does not follow what was given",
            entry.cursor
        );
        self.last = Some(entry.event.name);
        self.given += 1;
    }

    pub(crate) fn given(&self) -> u64 {
        self.given
    }
}
