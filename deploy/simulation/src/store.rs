//! The store of the simulation, and what is true.
//!
//! Owns the rooms' logs, in memory, and beside them what the judge goes by: of every event ever committed, which one it
//! truly follows, apart from any check. Promises what `trait Store` does of an append: gapless seqs, rising times, one
//! event a key. Never fails by itself: when a commit fails, or a read, the world decides.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use parlour_feed::{Check, Cursor, Seq};
use parlour_room::{
    domain::{
        event::{Draft, Event},
        ids::{RoomId, UserId},
        room::{Room, RoomName, Visibility},
    },
    store::Appended,
};

/// The rooms' names.
pub const ROOMS: [&str; 2] = ["general", "random"];

/// Names an event for good: its time, which no other event of the simulation has.
pub type Name = i64;

/// A commit, as the judge sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truth {
    /// The event that it truly follows; the room itself, for the first.
    pub follows: Name,
    /// Its place then.
    pub seq: Seq,
    /// How often the log had been replaced when it was committed.
    pub age: u32,
}

/// A page of a log.
pub struct LogPage {
    /// After what it stands; `None` where the log ends before.
    pub base: Option<Cursor>,
    /// The events.
    pub events: Vec<Arc<Event>>,
    /// The log's head.
    pub head: Cursor,
}

struct Log {
    id: RoomId,
    name: RoomName,
    made_at: Name,
    events: Vec<Arc<Event>>,
    keys: BTreeMap<(String, String), usize>,
}

impl Log {
    fn root(&self) -> Cursor {
        Cursor { check: Check::of(self.id.as_str(), self.made_at), seq: 0 }
    }
}

/// The store.
pub struct Store {
    logs: Vec<Log>,
    clock: Name,
    truths: HashMap<(usize, Name), Truth>,
    names: HashMap<(usize, Cursor), Name>,
    /// How often the logs were replaced by older copies.
    age: u32,
}

impl Default for Store {
    fn default() -> Self {
        Self::new()
    }
}

impl Store {
    /// Every room is there, and empty.
    pub fn new() -> Self {
        let mut store = Self {
            logs: Vec::new(),
            clock: 1_700_000_000_000_000,
            truths: HashMap::new(),
            names: HashMap::new(),
            age: 0,
        };
        for (at, name) in ROOMS.into_iter().enumerate() {
            store.clock += 1_000;
            let id = format!("RAAAAAAAAAAAAAAAAAAAAAAAAA{}", ['A', 'B', 'C', 'D'][at % 4]);
            store.logs.push(Log {
                id: RoomId::parse(&id).expect("an id's form"),
                name: RoomName::parse(name).expect("a slug"),
                made_at: store.clock,
                events: Vec::new(),
                keys: BTreeMap::new(),
            });
            let root = store.head(at);
            store.names.insert((at, root), store.clock);
        }
        store
    }

    /// A room's number, by its name.
    pub fn number(&self, name: &str) -> Option<usize> {
        self.logs.iter().position(|log| log.name.as_str() == name)
    }

    /// A room's number, by its id.
    pub fn number_of(&self, id: &RoomId) -> Option<usize> {
        self.logs.iter().position(|log| log.id == *id)
    }

    /// A room's id.
    pub fn id(&self, room: usize) -> &RoomId {
        &self.logs[room].id
    }

    /// A room's name.
    pub fn name(&self, room: usize) -> &RoomName {
        &self.logs[room].name
    }

    /// The room as the store has it.
    pub fn room(&self, room: usize) -> Room {
        let log = &self.logs[room];
        Room {
            id: log.id.clone(),
            name: log.name.clone(),
            title: log.name.to_string(),
            topic: String::new(),
            visibility: Visibility::Public,
            archived: false,
            head: log.events.len() as Seq,
            head_at: log.events.last().map_or(log.made_at, |event| event.created_at),
            message_count: log.events.len() as u64,
            last_message_at: log.events.last().map(|event| event.created_at),
            created_at: log.made_at,
            created_by: UserId::new("system"),
            request_key: String::new(),
        }
    }

    /// A log's head.
    pub fn head(&self, room: usize) -> Cursor {
        let log = &self.logs[room];
        log.events.last().map_or_else(|| log.root(), |event| event.cursor(&log.id))
    }

    /// The cursor at that seq.
    pub fn cursor(&self, room: usize, seq: Seq) -> Option<Cursor> {
        let log = &self.logs[room];
        match usize::try_from(seq).ok()?.checked_sub(1) {
            Some(nth) => log.events.get(nth).map(|event| event.cursor(&log.id)),
            None => Some(log.root()),
        }
    }

    /// Whether that is a place in the log as it is now.
    pub fn has(&self, room: usize, cursor: Cursor) -> bool {
        self.cursor(room, cursor.seq) == Some(cursor)
    }

    /// Which event stands, or ever stood, at that place.
    pub fn named(&self, room: usize, cursor: Cursor) -> Option<Name> {
        self.names.get(&(room, cursor)).copied()
    }

    /// What is true of an event, if it was ever committed.
    pub fn truth(&self, room: usize, name: Name) -> Option<Truth> {
        self.truths.get(&(room, name)).copied()
    }

    /// How often the logs were replaced.
    pub fn age(&self) -> u32 {
        self.age
    }

    /// The events of a log, as it is now.
    pub fn events(&self, room: usize) -> &[Arc<Event>] {
        &self.logs[room].events
    }

    /// Commits a draft.
    pub fn append(&mut self, room: usize, draft: Draft) -> Appended {
        let key = (draft.actor.id.as_str().to_owned(), draft.key.as_str().to_owned());
        if let Some(nth) = self.logs[room].keys.get(&key) {
            return Appended::Repeat(Arc::clone(&self.logs[room].events[*nth]));
        }
        let prev = self.head(room);
        let follows = self.named(room, prev).expect("the head was named when it was committed");
        let Draft { actor, key: request_key, key_is_clients, body, .. } = draft;
        let seq = prev.seq + 1;
        let mut event = Event { seq, created_at: 0, actor, key: request_key, key_is_clients, body };
        self.clock += 10;
        loop {
            self.clock += 1;
            event.created_at = self.clock;
            let cursor = event.cursor(&self.logs[room].id);
            if let std::collections::hash_map::Entry::Vacant(free) = self.names.entry((room, cursor)) {
                free.insert(self.clock);
                break;
            }
        }
        self.truths.insert((room, self.clock), Truth { follows, seq, age: self.age });
        let event = Arc::new(event);
        let log = &mut self.logs[room];
        log.keys.insert(key, log.events.len());
        log.events.push(Arc::clone(&event));
        Appended::New { event, prev }
    }

    /// Reads a log.
    pub fn page(&self, room: usize, after: Seq, limit: usize) -> LogPage {
        let log = &self.logs[room];
        let from = usize::try_from(after).unwrap_or(usize::MAX);
        let events = log.events.iter().skip(from).take(limit).cloned().collect();
        LogPage { base: self.cursor(room, after), events, head: self.head(room) }
    }

    /// Puts an older copy of everything in place: the one of the moment when that share (of 100) of what is there now
    /// had been committed.
    pub fn put_back(&mut self, share: u64) {
        self.age += 1;
        let mut times: Vec<_> =
            self.logs.iter().flat_map(|log| log.events.iter().map(|e| e.created_at)).collect();
        times.sort_unstable();
        let kept = times.len() * usize::try_from(share.min(100)).unwrap_or(0) / 100;
        let last = kept.checked_sub(1).map_or(0, |nth| times[nth]);
        for log in &mut self.logs {
            log.events.retain(|event| event.created_at <= last);
            let left = log.events.len();
            log.keys.retain(|_, nth| *nth < left);
        }
    }
}
