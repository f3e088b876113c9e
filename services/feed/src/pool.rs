//! What the rooms and streams of one service hold together.
//!
//! Owns the count of bytes that many parts share, and its bound. Promises P8 for a whole process: the count is the sum of
//! its shares, whatever becomes of them, and what is to give way gives way in an order. Never holds the bytes themselves,
//! and never makes one part wait for another: a share costs an atomic addition.

use std::{
    sync::{
        Arc, Mutex, TryLockError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use crate::limits::Bounds;

/// A count of bytes that many share. Clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    held: AtomicUsize,
    bound: usize,
    reclaiming: Mutex<()>,
}

impl Pool {
    /// Nothing is held yet.
    pub fn new(bound: usize) -> Self {
        Self(Arc::new(Inner { held: AtomicUsize::new(0), bound, reclaiming: Mutex::new(()) }))
    }

    /// A share that holds nothing yet.
    pub fn share(&self) -> Share {
        Share { pool: self.clone(), bytes: 0 }
    }

    /// What all shares hold now.
    pub fn bytes(&self) -> usize {
        self.0.held.load(Ordering::Relaxed)
    }

    /// What they may hold.
    pub fn bound(&self) -> usize {
        self.0.bound
    }

    /// Whether so many sixteenths of the bound are held.
    pub fn has_reached(&self, sixteenths: usize) -> bool {
        self.bytes() >= self.0.bound / 16 * sixteenths
    }

    /// Whether the bound is near: time to [`reclaim`](Self::reclaim).
    pub fn is_short(&self) -> bool {
        self.has_reached(14)
    }

    /// Whether more is held than may be.
    pub(crate) fn is_over(&self) -> bool {
        self.bytes() > self.0.bound
    }

    /// Where the bound is near, asks the parts to give back until a quarter of it is free: first what was never read,
    /// then what was longest unread. `shrink` is told how much is too much and shrinks its part by as much, or as it can.
    /// One caller at a time does it; others return at once.
    pub fn reclaim<R>(
        &self,
        parts: impl FnOnce() -> Vec<(Option<Instant>, R)>,
        mut shrink: impl FnMut(R, usize),
    ) {
        let _alone = match self.0.reclaiming.try_lock() {
            Ok(alone) => alone,
            Err(TryLockError::Poisoned(alone)) => alone.into_inner(), // it guards nothing but the turn
            Err(TryLockError::WouldBlock) => return,
        };
        if !self.is_short() {
            return;
        }
        let mut parts = parts();
        parts.sort_by_key(|(read, _)| *read);
        for (_, part) in parts {
            match self.bytes().saturating_sub(self.0.bound / 4 * 3) {
                0 => return,
                excess => shrink(part, excess),
            }
        }
    }
}

/// One part's share of a [`Pool`]: given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    pool: Pool,
    bytes: usize,
}

impl Share {
    /// The pool it is of.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// What this part holds.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// This part holds so much more.
    pub fn grow(&mut self, bytes: usize) {
        self.pool.0.held.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
    }

    /// This part holds so much less.
    pub fn shrink(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.pool.0.held.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// This part holds that much now.
    pub fn set(&mut self, bytes: usize) {
        match bytes.checked_sub(self.bytes) {
            Some(more) => self.grow(more),
            None => self.shrink(self.bytes - bytes),
        }
    }

    /// Takes so much more if the bound allows it; whether it did. All of it where the bound is smaller than that.
    pub fn try_grow(&mut self, bytes: usize) -> bool {
        let (bound, bytes) = (self.pool.0.bound, bytes.min(self.pool.0.bound));
        let grown = |held: usize| held.checked_add(bytes).filter(|held| *held <= bound);
        let has_grown = self.pool.0.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown).is_ok();
        self.bytes += if has_grown { bytes } else { 0 };
        has_grown
    }

    /// Moves to another pool with all it holds.
    pub fn move_to(&mut self, pool: &Pool) {
        let mut moved = pool.share();
        moved.grow(self.bytes);
        *self = moved;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

/// The three pools of a service.
#[derive(Clone, Debug)]
pub struct Pools {
    /// What the rings of all rooms hold.
    pub rings: Pool,
    /// What the readers' pages of all rooms hold, or have room kept for.
    pub pages: Pool,
    /// What the outboxes of all sessions, streams and relays hold.
    pub outboxes: Pool,
}

impl Pools {
    /// Nothing is held yet.
    pub fn new(bounds: Bounds) -> Self {
        let Bounds { rings, pages, outboxes } = bounds;
        Self { rings: Pool::new(rings), pages: Pool::new(pages), outboxes: Pool::new(outboxes) }
    }
}

impl Default for Pools {
    /// Those of the default bounds.
    fn default() -> Self {
        Self::new(Bounds::default())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn p8_the_longest_unread_give_way_first_until_a_quarter_is_free() {
        let (pool, now) = (Pool::new(1_600), Instant::now());
        let read = [Some(now), None, Some(now - Duration::from_secs(9)), Some(now - Duration::from_secs(1))];
        let mut parts: Vec<_> = read.iter().map(|_| pool.share()).collect();
        parts.iter_mut().for_each(|part| part.grow(340));
        let reclaim = |parts: &mut Vec<Share>| {
            let listed = || read.iter().copied().zip(0..).collect();
            pool.reclaim(listed, |nth: usize, excess| {
                let part = &mut parts[nth];
                part.shrink(excess.min(part.bytes()));
            });
            parts.iter().map(Share::bytes).collect::<Vec<_>>()
        };
        assert_eq!((pool.is_short(), reclaim(&mut parts)), (false, vec![340; 4]), "there is room");
        parts[0].grow(240);
        assert!(pool.is_short());
        assert_eq!(reclaim(&mut parts), [580, 0, 280, 340]);
        assert_eq!(pool.bytes(), 1_200);
        drop(parts);
        assert_eq!(pool.bytes(), 0);
    }

    #[test]
    fn p8_what_must_fit_is_taken_only_where_it_does() {
        let pool = Pool::new(100);
        let (mut first, mut second) = (pool.share(), pool.share());
        assert!(first.try_grow(60) && !second.try_grow(60) && second.try_grow(40));
        assert_eq!((first.bytes(), second.bytes(), pool.bytes()), (60, 40, 100));
        first.set(0);
        second.set(0);
        assert!(second.try_grow(500), "all of it, alone");
        assert!(!first.try_grow(1));
        assert_eq!(pool.bytes(), 100);
    }
}
