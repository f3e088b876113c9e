//! What is said to one peer beside the events: answers and the ephemeral.
//!
//! Owns a bounded queue. Promises P8 and P9: its bounds hold, what stays keeps its order, typing goes before presence and
//! presence before an answer is lost, in one outbox as in all of a process together, and no presence is shed without saying whose. Never drops an answer in silence:
//! full of them, it says so, and its owner stops reading the peer until it drains.

use std::collections::VecDeque;

use crate::{
    log::Weigh,
    pool::{Pool, Share},
};

/// What a frame is worth when there is not room for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// An answer, `joined`, `gone`, `resync`: never shed.
    Answer,
    /// A snapshot or diff of presence: shed when typing is gone; a snapshot is owed then.
    Presence,
    /// Typing and its like: shed first.
    Typing,
}

impl Class {
    /// Whether all outboxes together leave room for frames of that class: typing goes without first, then presence. Where
    /// there is none for answers, no more is to be read of a peer that has yet to take some.
    pub fn has_room(self, outboxes: &Pool) -> bool {
        !outboxes.has_reached(match self {
            Self::Typing => 14,
            Self::Presence => 15,
            Self::Answer => 16,
        })
    }
}

/// A frame in an [`Outbox`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item<F, K> {
    /// What it is worth.
    pub class: Class,
    /// Which room it is about, or whatever else the owner tells frames apart by.
    pub key: K,
    /// The frame.
    pub frame: F,
}

/// What a push did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "presence that was shed is owed"]
pub struct Pushed<K> {
    /// Whether the frame is in the outbox. An answer that is not: the peer has taken none for twice the bound, though
    /// its owner should have stopped reading it; end it.
    pub is_kept: bool,
    /// The keys whose presence was shed, the pushed one's included; each is owed a snapshot. Keys may repeat.
    pub presence_shed: Vec<K>,
}

/// A bounded queue of frames to one peer: `F` is a frame, `K` tells rooms apart.
#[derive(Debug)]
pub struct Outbox<F, K> {
    items: VecDeque<Item<F, K>>,
    frames_limit: usize,
    bytes_limit: usize,
    answers: Load,
    presence: Load,
    typing: Load,
    shed: u64,
    /// What it weighs, among all of a process.
    share: Share,
}

#[derive(Clone, Copy, Debug, Default)]
struct Load {
    frames: usize,
    bytes: usize,
}

impl<F: Weigh, K: Clone> Default for Outbox<F, K> {
    /// A session's: 256 frames or 1 MiB.
    fn default() -> Self {
        Self::new(256, 1 << 20)
    }
}

impl<F: Weigh, K: Clone> Outbox<F, K> {
    /// An empty one with those bounds.
    pub fn new(frames_limit: usize, bytes_limit: usize) -> Self {
        let (answers, presence, typing) = (Load::default(), Load::default(), Load::default());
        let share = Pool::new(usize::MAX).share();
        Self { items: VecDeque::new(), frames_limit, bytes_limit, answers, presence, typing, shed: 0, share }
    }

    /// Counts what it holds among all outboxes.
    pub fn within(mut self, outboxes: &Pool) -> Self {
        self.share.move_to(outboxes);
        self
    }

    /// Whether all outboxes together leave room for frames of that class.
    pub fn has_room_for(&self, class: Class) -> bool {
        class.has_room(self.share.pool())
    }

    /// Puts a frame at the end, and sheds what is worth less where there is not room for all. A frame larger than the
    /// whole bound is an answer's privilege.
    pub fn push(&mut self, class: Class, key: K, frame: F) -> Pushed<K> {
        let need = Load { frames: 1, bytes: frame.bytes() };
        let mut pushed = Pushed { is_kept: true, presence_shed: Vec::new() };
        self.make_room(class, need, &mut pushed.presence_shed);
        let is_over = self.is_over(need) || !self.has_room_for(class);
        pushed.is_kept = match class {
            Class::Answer => !self.answers.plus(need).exceeds(self.frames_limit * 2, self.bytes_limit * 2),
            Class::Presence | Class::Typing => !is_over,
        };
        if pushed.is_kept {
            self.load(class).add(need);
            self.items.push_back(Item { class, key, frame });
        } else if class != Class::Answer {
            self.shed += 1;
            pushed.presence_shed.extend((class == Class::Presence).then_some(key));
        }
        self.share.set(self.bytes());
        pushed
    }

    /// Takes the first frame.
    pub fn pop(&mut self) -> Option<Item<F, K>> {
        let item = self.items.pop_front()?;
        self.load(item.class).subtract(item.frame.bytes());
        self.share.set(self.bytes());
        Some(item)
    }

    /// The first frame.
    pub fn front(&self) -> Option<&Item<F, K>> {
        self.items.front()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many frames there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// What they weigh.
    pub fn bytes(&self) -> usize {
        self.total().bytes
    }

    /// Whether it is full of answers, or all outboxes are and this one is not empty: read nothing more of the peer until
    /// it drains. In bytes it is so at an eighth of the bound: the rest is for the answer that is under way, a page, and
    /// for what of it lies in the buffers on its way. A peer that takes what it is given is read on, whatever others do.
    pub fn is_full(&self) -> bool {
        let is_full = self.answers.frames >= self.frames_limit || self.answers.bytes * 8 >= self.bytes_limit;
        is_full || (!self.is_empty() && !self.has_room_for(Class::Answer))
    }

    /// How many frames have been shed.
    pub fn shed(&self) -> u64 {
        self.shed
    }

    /// Sheds typing, all of it, then presence, the oldest first, for a frame of that class.
    fn make_room(&mut self, class: Class, need: Load, presence_shed: &mut Vec<K>) {
        let sheds_typing = self.is_over(need) || !self.has_room_for(Class::Typing);
        if class != Class::Typing && sheds_typing && self.typing.frames > 0 {
            self.shed += self.typing.frames as u64;
            self.items.retain(|item| item.class != Class::Typing);
            self.typing = Load::default();
        }
        let has_room = self.has_room_for(Class::Presence);
        let limits = if has_room { (self.frames_limit, self.bytes_limit) } else { (0, 0) };
        if class == Class::Answer && self.presence.frames > 0 && (self.is_over(need) || !has_room) {
            self.shed_presence(need, limits, presence_shed);
        }
    }

    /// Sheds presence, the oldest first, until the rest is within those limits.
    fn shed_presence(&mut self, need: Load, limits: (usize, usize), presence_shed: &mut Vec<K>) {
        let mut total = self.total().plus(need);
        let presence = &mut self.presence;
        let before = presence.frames;
        self.items.retain(|item| {
            if item.class != Class::Presence || !total.exceeds(limits.0, limits.1) {
                return true;
            }
            total.subtract(item.frame.bytes());
            presence.subtract(item.frame.bytes());
            presence_shed.push(item.key.clone());
            false
        });
        self.shed += (before - self.presence.frames) as u64;
    }

    fn is_over(&self, need: Load) -> bool {
        self.total().plus(need).exceeds(self.frames_limit, self.bytes_limit)
    }

    fn total(&self) -> Load {
        self.answers.plus(self.presence).plus(self.typing)
    }

    fn load(&mut self, class: Class) -> &mut Load {
        match class {
            Class::Answer => &mut self.answers,
            Class::Presence => &mut self.presence,
            Class::Typing => &mut self.typing,
        }
    }
}

impl Load {
    fn plus(self, other: Self) -> Self {
        Self { frames: self.frames + other.frames, bytes: self.bytes + other.bytes }
    }

    fn add(&mut self, other: Self) {
        *self = self.plus(other);
    }

    fn subtract(&mut self, bytes: usize) {
        self.frames -= 1;
        self.bytes -= bytes;
    }

    fn exceeds(self, frames: usize, bytes: usize) -> bool {
        self.frames > frames || self.bytes > bytes
    }
}
