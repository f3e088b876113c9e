//! Pages.
//!
//! Owns how many events one page takes. Promises that it is at most its number and its bytes, but never nothing where
//! there is something. Never asks a store.

use super::PAGE_BYTES;
use crate::domain::event::Event;

/// The most events in one page, whatever limit was asked for.
const PAGE_EVENTS: usize = 1_000;

/// How many rows to read so as to fill a page of `limit` events and learn whether there are more.
pub(super) fn rows(limit: usize) -> i64 {
    limit.min(PAGE_EVENTS) as i64 + 1
}

/// A page that is being filled.
#[derive(Debug)]
pub(super) struct Filling {
    events: Vec<Event>,
    limit: usize,
    left_bytes: usize,
    more: bool,
}

impl Filling {
    /// An empty page for at most `limit` events.
    pub(super) fn new(limit: usize) -> Self {
        Self { events: Vec::new(), limit: limit.min(PAGE_EVENTS), left_bytes: PAGE_BYTES, more: false }
    }

    /// Takes the next event, or returns `false` where the page is full: there is more than it holds.
    pub(super) fn take(&mut self, event: Event) -> bool {
        let weight = event.weight();
        if self.events.len() >= self.limit || (weight > self.left_bytes && !self.events.is_empty()) {
            self.more = true;
            return false;
        }
        self.left_bytes = self.left_bytes.saturating_sub(weight);
        self.events.push(event);
        true
    }

    /// Its events in the order taken, and whether one was left.
    pub(super) fn done(self) -> (Vec<Event>, bool) {
        (self.events, self.more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        event::Body,
        ids::UserId,
        message::{DisplayName, RequestKey, User},
    };

    fn event(seq: u64, bytes: usize) -> Event {
        Event {
            seq,
            created_at: 1,
            actor: User { id: UserId::new("ada"), name: DisplayName::guest(), guest: true },
            key: RequestKey::stored("k"),
            key_is_clients: true,
            body: Body::Message { content: "x".repeat(bytes), reply_to: None },
        }
    }

    #[test]
    fn a_page_ends_at_its_number_or_its_bytes_and_says_so() {
        let mut page = Filling::new(2);
        assert!(page.take(event(1, 1)) && page.take(event(2, 1)) && !page.take(event(3, 1)));
        let (events, more) = page.done();
        assert_eq!((events.len(), more), (2, true));

        let mut page = Filling::new(200);
        let taken = (1..=200).take_while(|seq| page.take(event(*seq, 16_000))).count();
        assert!((30..=32).contains(&taken), "{taken} events of 16,000 bytes are 512 KiB");

        let mut page = Filling::new(200);
        assert!(page.take(event(1, PAGE_BYTES * 2)), "one event is a page, however large");
        assert!(!page.take(event(2, 1)));
        assert_eq!(Filling::new(0).done(), (vec![], false));
    }
}
