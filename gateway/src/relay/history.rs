//! What is read of rooms beside their feeds.
//!
//! Owns the reads of message pages and of events that clients ask for. Promises that those who ask for the same at the
//! same time share one read. Never keeps a page once everybody has it: messages change.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared, WeakShared},
};
use parlour_feed::Cursor;
use parlour_proto::v1 as proto;

use super::refusal::Refusal;
use crate::upstream::Upstream;

/// Which messages or events of a room.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// The room's name.
    pub room: Arc<str>,
    /// Where.
    pub place: Place,
    /// How many at most.
    pub limit: u32,
}

/// Where in a room's past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The newest messages.
    Newest,
    /// Messages below this seq, the newest of them.
    Before(u64),
    /// Events above this seq, the oldest of them.
    After(u64),
}

/// A page, as the full dialect says it.
pub type Page = Result<Arc<proto::History>, Refusal>;
type Reading = BoxFuture<'static, Page>;

/// The reads under way.
#[derive(Debug)]
pub struct History {
    upstream: Upstream,
    reading: Mutex<HashMap<Wanted, WeakShared<Reading>>>,
}

impl History {
    /// Nothing is being read.
    pub fn new(upstream: Upstream) -> Self {
        Self { upstream, reading: Mutex::default() }
    }

    /// Reads a page, or joins those who are reading it.
    pub fn read(&self, wanted: Wanted) -> Shared<Reading> {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        reading.retain(|_, read| read.upgrade().is_some_and(|read| read.peek().is_none()));
        if let Some(read) = reading.get(&wanted).and_then(WeakShared::upgrade) {
            return read;
        }
        let read = read(self.upstream.clone(), wanted.clone()).boxed().shared();
        if let Some(weak) = read.downgrade() {
            reading.insert(wanted, weak);
        }
        read
    }
}

async fn read(upstream: Upstream, wanted: Wanted) -> Page {
    let page_size = i32::try_from(wanted.limit).unwrap_or(i32::MAX);
    let room = wanted.room.to_string();
    let page = match wanted.place {
        Place::After(seq) => events(&upstream, room, seq, page_size).await?,
        Place::Newest => messages(&upstream, room, None, page_size).await?,
        Place::Before(seq) => messages(&upstream, room, Some(seq), page_size).await?,
    };
    Ok(Arc::new(page))
}

async fn messages(
    upstream: &Upstream,
    room: String,
    before_seq: Option<u64>,
    page_size: i32,
) -> Result<proto::History, Refusal> {
    let request = proto::ListMessagesRequest { room: room.clone(), before_seq, after_seq: None, page_size };
    let answer = upstream.unary(request, async |mut client, request| client.list_messages(request).await);
    let page = answer.await.map_err(Refusal::of_status)?;
    Ok(proto::History { room, messages: page.messages, events: Vec::new(), more: page.more })
}

async fn events(
    upstream: &Upstream,
    room: String,
    after: u64,
    page_size: i32,
) -> Result<proto::History, Refusal> {
    let request = proto::ListEventsRequest {
        room: room.clone(),
        after: String::new(),
        page_size,
        after_seq: Some(after),
    };
    let answer = upstream.unary(request, async |mut client, request| client.list_events(request).await);
    let page = answer.await.map_err(Refusal::of_status)?;
    let head: Cursor = page.head.parse().map_err(|_| Refusal::unavailable())?;
    let more = page.events.last().is_some_and(|event| event.seq < head.seq);
    Ok(proto::History { room, messages: Vec::new(), events: page.events, more })
}
