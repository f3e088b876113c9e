//! The log of this simulation: events that know whom they follow, and a store that can be put back to an older copy.
//!
//! Owns what is true. Promises that names are never used twice. Never looks at a check to tell events apart.

use std::{collections::HashMap, sync::Arc};

use parlour_feed::{Check, Cursor, Entry, LogRead, Page, Seq, Weigh};

/// An event: its own name, and the name of the one it truly follows.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) name: u64,
    pub(crate) follows: u64,
    pub(crate) prev: Check,
}

impl Weigh for Event {
    fn bytes(&self) -> usize {
        100
    }
}

pub(crate) struct Log {
    cursors: Vec<Cursor>,
    events: Vec<Arc<Event>>,
    pub(crate) names: HashMap<Cursor, u64>,
}

impl Log {
    pub(crate) fn new() -> Self {
        let root = Cursor { check: Check(1), seq: 0 };
        Self { cursors: vec![root], events: Vec::new(), names: HashMap::from([(root, 0)]) }
    }

    pub(crate) fn head(&self) -> Cursor {
        *self.cursors.last().expect("the root stays")
    }

    pub(crate) fn has(&self, cursor: Cursor) -> bool {
        self.cursors.get(cursor.seq as usize) == Some(&cursor)
    }

    pub(crate) fn append(&mut self) -> Entry<Arc<Event>> {
        let (before, name) = (self.head(), self.names.len() as u64);
        let seq = before.seq + 1;
        let mut cursors =
            (name as i64..).map(|time| Cursor { check: Check::of("a room", time * 7_919), seq });
        let cursor = cursors.find(|cursor| !self.names.contains_key(cursor));
        let cursor = cursor.expect("a check that is free at this seq");
        self.names.insert(cursor, name);
        let event = Arc::new(Event { name, follows: self.names[&before], prev: before.check });
        self.cursors.push(cursor);
        self.events.push(event.clone());
        Entry { cursor, event }
    }

    pub(crate) fn put_back(&mut self, events: usize) {
        self.events.truncate(events);
        self.cursors.truncate(events + 1);
    }

    pub(crate) fn read(&self, after: Seq, limit: usize) -> LogRead<Arc<Event>> {
        let (start, head) = (after as usize, self.head());
        if after > head.seq {
            return LogRead::Ahead { head };
        }
        let last = (start + limit).min(self.events.len());
        let entries =
            (start..last).map(|nth| Entry { cursor: self.cursors[nth + 1], event: self.events[nth].clone() });
        LogRead::Page(Page { base: self.cursors[start], entries: entries.collect(), head })
    }
}
