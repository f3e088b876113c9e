//! The readers of a room and the lists they stand in.
//!
//! Owns their storage: one table, in which a reader stands in at most one list, doubly linked through the table. Promises
//! that joining, leaving, waiting and waking everybody who waits cost the same however many there are, and that an id
//! outlives its reader without harm. Never decides what a reader may take.

use crate::cursor::Cursor;

/// Names a reader of one [`Audience`](crate::Audience); the id of one that left is harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReaderId {
    index: u32,
    generation: u32,
}

impl ReaderId {
    pub(crate) fn index(self) -> u32 {
        self.index
    }
}

/// What becomes of a reader that the ring has left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReaderKind {
    /// It is given what it missed from the log, page by page (a session).
    Log,
    /// It is told the head and reads the log itself (a relay).
    Hints,
}

/// A reader: a position, and what else it was told.
#[derive(Debug)]
pub(crate) struct Reader<W> {
    pub(crate) kind: ReaderKind,
    pub(crate) position: Cursor,
    /// The version of the presence fold it was told.
    pub(crate) presence: Option<u64>,
    /// The last read asked before it began to wait: only later ones convict it.
    pub(crate) since: Option<u64>,
    /// The page it waits for or is taking.
    pub(crate) page: Option<u64>,
    pub(crate) waker: W,
}

/// A list of readers: the index of its sentinel in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct List(u32);

#[derive(Debug)]
struct Slot<W> {
    generation: u32,
    reader: Option<Reader<W>>,
}

/// Neighbours in a circular list; a slot that is its own neighbour stands in none.
#[derive(Clone, Copy, Debug)]
struct Links {
    before: u32,
    after: u32,
}

#[derive(Debug)]
pub(crate) struct Readers<W> {
    slots: Vec<Slot<W>>,
    links: Vec<Links>,
    free: List,
    len: usize,
}

impl<W> Readers<W> {
    pub(crate) fn new() -> Self {
        let mut readers = Self { slots: Vec::new(), links: Vec::new(), free: List(0), len: 0 };
        readers.grow();
        readers
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn insert(&mut self, reader: Reader<W>) -> ReaderId {
        let index = self.take_slot();
        let slot = &mut self.slots[index as usize];
        slot.reader = Some(reader);
        self.len += 1;
        ReaderId { index, generation: slot.generation }
    }

    pub(crate) fn remove(&mut self, id: ReaderId) -> Option<Reader<W>> {
        self.get(id)?;
        self.len -= 1;
        let slot = &mut self.slots[id.index as usize];
        slot.generation = slot.generation.wrapping_add(1);
        let reader = slot.reader.take();
        self.push(self.free, id.index);
        reader
    }

    pub(crate) fn get(&self, id: ReaderId) -> Option<&Reader<W>> {
        let slot = self.slots.get(id.index as usize)?;
        slot.reader.as_ref().filter(|_| slot.generation == id.generation)
    }

    pub(crate) fn get_mut(&mut self, id: ReaderId) -> Option<&mut Reader<W>> {
        let slot = self.slots.get_mut(id.index as usize)?;
        slot.reader.as_mut().filter(|_| slot.generation == id.generation)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ReaderId, &Reader<W>)> {
        self.slots.iter().zip(0..).filter_map(|(slot, index)| {
            Some((ReaderId { index, generation: slot.generation }, slot.reader.as_ref()?))
        })
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Reader<W>> {
        self.slots.iter_mut().filter_map(|slot| slot.reader.as_mut())
    }

    /// A new, empty list.
    pub(crate) fn new_list(&mut self) -> List {
        List(self.take_slot())
    }

    /// Gives an empty list's place back.
    pub(crate) fn drop_list(&mut self, list: List) {
        debug_assert!(self.is_empty(list), "a list is emptied before it goes");
        self.push(self.free, list.0);
    }

    pub(crate) fn is_empty(&self, list: List) -> bool {
        self.links[list.0 as usize].after == list.0
    }

    /// Puts a reader at the end of a list, and takes it out of the one it stood in.
    pub(crate) fn push(&mut self, list: List, index: u32) {
        self.unlink(index);
        let last = self.links[list.0 as usize].before;
        self.links[index as usize] = Links { before: last, after: list.0 };
        self.links[last as usize].after = index;
        self.links[list.0 as usize].before = index;
    }

    /// Takes a reader out of the list it stands in, if any.
    pub(crate) fn unlink(&mut self, index: u32) {
        let Links { before, after } = self.links[index as usize];
        self.links[before as usize].after = after;
        self.links[after as usize].before = before;
        self.links[index as usize] = Links { before: index, after: index };
    }

    /// The same for an id, where its reader is still there.
    pub(crate) fn unlink_id(&mut self, id: ReaderId) {
        if self.get(id).is_some() {
            self.unlink(id.index);
        }
    }

    /// Moves everybody in `from` to the end of `to`, at once.
    pub(crate) fn append(&mut self, from: List, to: List) {
        if self.is_empty(from) {
            return;
        }
        let Links { before: last, after: first } = self.links[from.0 as usize];
        self.links[from.0 as usize] = Links { before: from.0, after: from.0 };
        let before = self.links[to.0 as usize].before;
        self.links[before as usize].after = first;
        self.links[first as usize].before = before;
        self.links[last as usize].after = to.0;
        self.links[to.0 as usize].before = last;
    }

    /// Takes the first reader out of a list.
    pub(crate) fn pop(&mut self, list: List) -> Option<u32> {
        let first = self.links[list.0 as usize].after;
        if first == list.0 {
            return None;
        }
        self.unlink(first);
        Some(first)
    }

    pub(crate) fn waker(&self, index: u32) -> Option<&W> {
        self.slots[index as usize].reader.as_ref().map(|reader| &reader.waker)
    }

    fn take_slot(&mut self) -> u32 {
        match self.pop(self.free) {
            Some(index) => index,
            None => self.grow(),
        }
    }

    fn grow(&mut self) -> u32 {
        let index =
            u32::try_from(self.slots.len()).expect("four thousand million readers do not fit in memory");
        self.slots.push(Slot { generation: 0, reader: None });
        self.links.push(Links { before: index, after: index });
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cursor::Check;

    fn reader(waker: u32) -> Reader<u32> {
        let position = Cursor { check: Check(0), seq: 0 };
        Reader { kind: ReaderKind::Log, position, presence: None, since: None, page: None, waker }
    }

    fn drain(readers: &mut Readers<u32>, list: List) -> Vec<u32> {
        std::iter::from_fn(|| readers.pop(list).map(|index| *readers.waker(index).unwrap())).collect()
    }

    #[test]
    fn a_reader_stands_in_one_list_at_most() {
        let mut readers = Readers::new();
        let (left, right) = (readers.new_list(), readers.new_list());
        let ids: Vec<_> = (0..5).map(|n| readers.insert(reader(n))).collect();
        for id in &ids {
            readers.push(left, id.index());
        }
        readers.push(right, ids[2].index());
        readers.push(right, ids[2].index());
        readers.unlink(ids[0].index());
        readers.append(left, right);
        assert!(readers.is_empty(left));
        assert_eq!(drain(&mut readers, right), [2, 1, 3, 4]);
        assert!(readers.is_empty(right));
    }

    #[test]
    fn an_id_outlives_its_reader_without_harm() {
        let mut readers = Readers::new();
        let list = readers.new_list();
        let gone = readers.insert(reader(1));
        readers.push(list, gone.index());
        assert_eq!(readers.remove(gone).map(|reader| reader.waker), Some(1));
        assert!(readers.is_empty(list));
        let next = readers.insert(reader(2));
        assert_eq!(next.index(), gone.index(), "the place is taken again");
        assert!(
            readers.get(gone).is_none() && readers.get_mut(gone).is_none() && readers.remove(gone).is_none()
        );
        assert_eq!(readers.len(), 1);
        assert_eq!(readers.iter().count(), 1);
    }
}
