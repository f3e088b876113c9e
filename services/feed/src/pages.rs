//! The readers' pages of a room: what the ring has left behind, read once for all who stand there.
//!
//! Owns which pages are wanted, on their way and kept. Promises that a page is read once for everybody who waits for it,
//! that few are on their way and few bytes kept, and that a page of one number always covers the same seqs. Never
//! judges a reader: it says what the page says, and when it was asked for.

mod shared;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Instant,
};

use crate::{
    cursor::{Cursor, Seq},
    limits::Limits,
    log::{Entry, LogRead, Page, Weigh},
    pages::shared::{Outcome, Shared, State},
    planted::{self, Mistake},
    pool::Pool,
    readers::{List, Readers},
    retry::Retry,
};

/// What a page says about a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// There is no such page yet.
    Missing,
    /// The cursor is of the log, and the events after it are here.
    Serves,
    /// The cursor is of the log, and nothing follows it here.
    EndsThere,
    /// The log has another event at that seq.
    Contradicts,
    /// The log ends before that seq.
    EndsBefore,
}

#[derive(Debug)]
pub(crate) struct Pages<E> {
    shared: BTreeMap<u64, Shared<E>>,
    /// Numbers to be asked for, in this order.
    queue: VecDeque<u64>,
    /// Reads on their way: ticket and number.
    asked: Vec<(u64, u64)>,
    bytes: usize,
    /// What the pages of all rooms hold, those on their way included.
    pool: Pool,
    read: u64,
    retry: Retry,
    limits: Arc<Limits>,
}

/// A page that has just come.
pub(crate) struct Arrived<'a, E> {
    pub(crate) page: &'a Page<E>,
    pub(crate) waiters: List,
    /// Where the Follower stood when it was asked for.
    pub(crate) stood: Seq,
}

impl<E: Weigh + Clone> Pages<E> {
    pub(crate) fn new(limits: Arc<Limits>, seed: u64) -> Self {
        let retry = Retry::new(seed, limits.retry_min, limits.retry_max);
        let (shared, queue, asked) = (BTreeMap::new(), VecDeque::new(), Vec::new());
        let pool = Pool::new(usize::MAX);
        Self { shared, queue, asked, bytes: 0, pool, read: 0, retry, limits }
    }

    /// Counts what it holds in that pool; there is nothing yet.
    pub(crate) fn share_in(&mut self, pool: &Pool) {
        debug_assert!(self.shared.is_empty(), "before the first reader");
        self.pool = pool.clone();
    }

    /// The page that has what follows that seq.
    pub(crate) fn number_of(&self, seq: Seq) -> u64 {
        seq / self.size()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn read(&self) -> u64 {
        self.read
    }

    /// A reader begins to wait for that page, or to take it.
    pub(crate) fn enter<W>(&mut self, number: u64, readers: &mut Readers<W>) {
        let shared = self.shared.entry(number);
        shared.or_insert_with(|| Shared::new(readers.new_list(), self.pool.share())).interest += 1;
    }

    /// A reader is through with that page.
    pub(crate) fn leave<W>(&mut self, number: u64, readers: &mut Readers<W>) {
        let Some(shared) = self.shared.get_mut(&number) else { return };
        shared.interest -= 1;
        if shared.interest == 0 && matches!(shared.state, State::Idle | State::Queued) {
            self.remove(number, readers);
        }
    }

    /// Sees to it that the page is read, again if what is there will not do; says where to wait for it.
    pub(crate) fn want(&mut self, number: u64) -> Option<List> {
        let shared = self.shared.get_mut(&number)?;
        if matches!(shared.state, State::Idle | State::Kept { .. }) {
            self.bytes -= shared.forget();
            shared.state = State::Queued;
            self.queue.push_back(number);
        }
        Some(shared.waiters)
    }

    /// What the page says about a cursor of which `number_of` named it, where nothing after `cut` may be given; and the
    /// ticket of the read that began it.
    pub(crate) fn look(&self, number: u64, at: Cursor, cut: Seq) -> (Look, u64) {
        let Some((shared, page)) = self.kept(number) else { return (Look::Missing, 0) };
        let end = page.end();
        let look = match at.seq.checked_sub(page.base.seq) {
            Some(_) if at.seq > end.seq && page.head.seq < at.seq => Look::EndsBefore,
            Some(nth) if at.seq <= end.seq => match page.check_at(nth) {
                check if check != at.check => Look::Contradicts,
                _ if at.seq < end.seq.min(cut) => Look::Serves,
                _ => Look::EndsThere,
            },
            Some(_) | None => Look::Missing,
        };
        (look, shared.began)
    }

    /// The page's events after that seq, up to `cut`.
    pub(crate) fn after(&self, number: u64, seq: Seq, cut: Seq) -> impl Iterator<Item = &Entry<E>> {
        let page = self.kept(number).map(|(_, page)| page);
        let skip =
            page.map_or(0, |page| usize::try_from(seq.saturating_sub(page.base.seq)).unwrap_or(usize::MAX));
        let is_cut_off = planted::makes(Mistake::PageCutOffByOne)
            && skip == 0
            && page.is_some_and(|page| page.entries.len() > 1);
        let skip = skip + usize::from(is_cut_off);
        let entries = page.map_or(&[][..], |page| &page.entries[skip.min(page.entries.len())..]);
        entries.iter().take_while(move |entry| entry.cursor.seq <= cut)
    }

    /// What must be read now: after that seq, so many events.
    pub(crate) fn poll_read<W>(
        &mut self,
        now: Instant,
        ticket: u64,
        stood: Seq,
        readers: &mut Readers<W>,
    ) -> Option<(Seq, usize)> {
        self.expire(now, readers);
        if self.asked.len() >= self.limits.pages_in_flight.max(1) || !self.retry.is_over(now) {
            return None;
        }
        let number = *self.queue.front()?;
        let has_begun = self.shared.get(&number).is_some_and(|shared| shared.page.is_some());
        if !has_begun && !self.make_room(now, readers) {
            return None;
        }
        if !has_begun && !self.reserve(number, now, readers) {
            self.retry.failed(now); // other rooms' pages go by themselves, and soon
            return None;
        }
        self.queue.pop_front();
        self.ask(number, ticket, stood)
    }

    /// Somebody has taken from the page: it has served its purpose, and may go where another needs the room; whether
    /// one does.
    pub(crate) fn mark_used(&mut self, number: u64, now: Instant) -> bool {
        if let Some(Shared { state: State::Kept { used, .. }, .. }) = self.shared.get_mut(&number) {
            *used = Some(now);
        }
        self.is_short()
    }

    fn is_short(&self) -> bool {
        !self.queue.is_empty() && self.bytes >= self.limits.pages_bytes
    }

    /// When [`poll_read`](Self::poll_read) may have something to say, or to let go, though nothing came in.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let end = self.shared.values().filter_map(|shared| shared.end(&self.limits)).min();
        [end, self.ask_due()].into_iter().flatten().min()
    }

    /// When another page may be asked for: after the wait for the log, and when there is room.
    fn ask_due(&self) -> Option<Instant> {
        let first = self.queue.front().filter(|_| self.asked.len() < self.limits.pages_in_flight.max(1))?;
        let has_begun = self.shared.get(first).is_some_and(|shared| shared.page.is_some());
        if has_begun || !self.is_short() {
            return self.retry.until();
        }
        let room = self.shared.values().filter_map(|shared| shared.spared(&self.limits)).min()?;
        self.retry.until().max(Some(room))
    }

    /// Takes the log's answer to the read of that ticket.
    pub(crate) fn read_done(
        &mut self,
        ticket: u64,
        read: LogRead<E>,
        now: Instant,
    ) -> Option<Arrived<'_, E>> {
        let place = self.asked.iter().position(|(asked, _)| *asked == ticket)?;
        let (_, number) = self.asked.swap_remove(place);
        let size = self.size();
        let shared = self.shared.get_mut(&number).filter(|shared| shared.state == State::Asked { ticket })?;
        let before = shared.bytes;
        let outcome = shared.answer(number * size, size, read);
        self.bytes = self.bytes - before + shared.bytes;
        shared.hold(matches!(outcome, Outcome::Whole), self.limits.page_reserve);
        match outcome {
            Outcome::Whole => {
                shared.state = State::Kept { since: now, used: None };
                self.retry.succeeded();
                self.read += 1;
            }
            Outcome::Part | Outcome::Failed => {
                shared.state = State::Queued;
                self.queue.push_front(number);
                if matches!(outcome, Outcome::Failed) {
                    self.retry.failed(now)
                } else {
                    self.retry.succeeded()
                }
            }
        }
        let shared = self.shared.get(&number).filter(|shared| matches!(shared.state, State::Kept { .. }))?;
        Some(Arrived { page: shared.page.as_ref()?, waiters: shared.waiters, stood: shared.stood })
    }

    /// Drops every page; who waited is put into `woken`. What is on its way will be ignored.
    pub(crate) fn clear<W>(&mut self, readers: &mut Readers<W>, woken: List) {
        for (_, shared) in std::mem::take(&mut self.shared) {
            readers.append(shared.waiters, woken);
            readers.drop_list(shared.waiters);
        }
        self.queue.clear();
        self.bytes = 0;
    }

    fn size(&self) -> u64 {
        self.limits.page_events.max(1) as u64
    }

    fn kept(&self, number: u64) -> Option<(&Shared<E>, &Page<E>)> {
        let shared = self.shared.get(&number)?;
        let page = shared.page.as_ref().filter(|_| matches!(shared.state, State::Kept { .. }))?;
        Some((shared, page))
    }

    fn ask(&mut self, number: u64, ticket: u64, stood: Seq) -> Option<(Seq, usize)> {
        let size = self.size();
        let shared = self.shared.get_mut(&number)?;
        let base = number * size;
        if shared.page.is_none() {
            (shared.began, shared.stood) = (ticket, stood);
        }
        let after = shared.page.as_ref().map_or(base, |page| page.end().seq);
        shared.state = State::Asked { ticket };
        self.asked.push((ticket, number));
        Some((after, usize::try_from(base + size - after).unwrap_or(usize::MAX)))
    }

    /// Lets go what has been kept long enough.
    fn expire<W>(&mut self, now: Instant, readers: &mut Readers<W>) {
        loop {
            let mut ends = self.shared.iter().map(|(number, shared)| (*number, shared.end(&self.limits)));
            let over = ends.find(|(_, end)| end.is_some_and(|end| end <= now));
            let Some((number, _)) = over else { return };
            self.let_go(number, readers);
        }
    }

    /// Whether another page may be begun: within the bound, or after letting go one that can be spared.
    fn make_room<W>(&mut self, now: Instant, readers: &mut Readers<W>) -> bool {
        while self.bytes >= self.limits.pages_bytes {
            if !self.spare(now, readers) {
                return false;
            }
        }
        true
    }

    /// Keeps room for a page that is about to be asked for, among those of all rooms; lets go what can be spared here.
    fn reserve<W>(&mut self, number: u64, now: Instant, readers: &mut Readers<W>) -> bool {
        let reserve = self.limits.page_reserve;
        if planted::makes(Mistake::PageWithoutRoom) {
            return true;
        }
        while !self.shared.get_mut(&number).is_some_and(|shared| shared.held.try_grow(reserve)) {
            if !self.spare(now, readers) {
                return false;
            }
        }
        true
    }

    /// Lets go the page that can be spared best; whether there was one.
    fn spare<W>(&mut self, now: Instant, readers: &mut Readers<W>) -> bool {
        let spared = |(number, shared): (&u64, &Shared<E>)| {
            let since = shared.spared(&self.limits)?;
            (shared.interest == 0 || since <= now).then_some((since, *number))
        };
        let Some((_, number)) = self.shared.iter().filter_map(spared).min() else { return false };
        self.let_go(number, readers);
        true
    }

    fn let_go<W>(&mut self, number: u64, readers: &mut Readers<W>) {
        let Some(shared) = self.shared.get_mut(&number) else { return };
        self.bytes -= shared.forget();
        shared.state = State::Idle;
        if shared.interest == 0 {
            self.remove(number, readers);
        }
    }

    fn remove<W>(&mut self, number: u64, readers: &mut Readers<W>) {
        if let Some(mut shared) = self.shared.remove(&number) {
            self.bytes -= shared.forget();
            self.queue.retain(|other| *other != number);
            readers.drop_list(shared.waiters);
        }
    }
}
