//! One session's reading of one room.
//!
//! Owns where a reader stands and what it may be given next. Promises to convict whatever skips, repeats, reorders,
//! splices or comes uninvited (P3), a cursor that does not resume, and a `resync` that nothing called for (P4). Never
//! forgets, between sessions, where it stood.

use std::collections::VecDeque;

use parlour_feed::Cursor;

use super::{
    Breach, Promise,
    ledger::{Digest, Ledger},
};

/// Frames that are kept as evidence.
const KEPT: usize = 10;

/// What a reader was given, for the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Given {
    at_ms: u64,
    what: &'static str,
    seq: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Not in the room.
    Out,
    /// Asked to join, from there where a cursor was given.
    Asked(Option<Cursor>),
    /// Was `joined` elsewhere than at its cursor: a `resync` to there comes next.
    Owed { given: Cursor, joined: Cursor },
    /// Takes what follows.
    In,
}

/// What a `joined` meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joined {
    /// It begins at the head.
    Fresh,
    /// It goes on from the cursor given.
    Resumed,
    /// A `resync` is to come.
    Elsewhere,
    /// Nobody had asked; or it was asked again of one who was in.
    Again,
}

/// A reader.
#[derive(Debug)]
pub(crate) struct Reader {
    standing: Standing,
    at: Option<Cursor>,
    /// A head beyond what was given.
    head: Option<Cursor>,
    kept: VecDeque<Given>,
}

impl Default for Reader {
    fn default() -> Self {
        Self { standing: Standing::Out, at: None, head: None, kept: VecDeque::with_capacity(KEPT) }
    }
}

impl Reader {
    /// The cursor of the last event it was given.
    pub(crate) fn at(&self) -> Option<Cursor> {
        self.at
    }

    /// Whether it is in the room.
    pub(crate) fn is_in(&self) -> bool {
        self.standing == Standing::In
    }

    /// Whether its join has no answer.
    pub(crate) fn is_asking(&self) -> bool {
        matches!(self.standing, Standing::Asked(_) | Standing::Owed { .. })
    }

    /// The last frames of this room.
    pub(crate) fn frames(&self) -> Vec<String> {
        self.kept.iter().map(|Given { at_ms, what, seq }| format!("{at_ms} ms: {what} {seq}")).collect()
    }

    /// The client asks to join, from where it stands or at the head.
    pub(crate) fn asks(&mut self, at_ms: u64, from: Option<Cursor>) {
        self.keep(at_ms, "asked to join from", from.map_or(0, |from| from.seq));
        self.standing = Standing::Asked(from);
    }

    /// `joined` came.
    pub(crate) fn joined(&mut self, at_ms: u64, cursor: Cursor) -> Result<Joined, Breach> {
        self.keep(at_ms, "joined at", cursor.seq);
        let asked = match self.standing {
            Standing::Asked(asked) => asked,
            Standing::In if self.at == Some(cursor) => return Ok(Joined::Again),
            _ => {
                return Err(Breach::at(
                    Promise::P3,
                    cursor.seq,
                    "joined a room that it had not asked to join",
                ));
            }
        };
        self.head = None;
        let Some(given) = asked.filter(|asked| *asked != cursor) else {
            (self.standing, self.at) = (Standing::In, Some(cursor));
            return Ok(if asked.is_some() { Joined::Resumed } else { Joined::Fresh });
        };
        self.standing = Standing::Owed { given, joined: cursor };
        Ok(Joined::Elsewhere)
    }

    /// A join was refused, or the room is said to be gone.
    pub(crate) fn refused(&mut self, at_ms: u64) {
        self.keep(at_ms, "gone", 0);
        self.standing = Standing::Out;
    }

    /// A `leave` was acknowledged.
    pub(crate) fn left(&mut self, at_ms: u64) -> Result<(), Breach> {
        self.keep(at_ms, "left", 0);
        self.ends()
    }

    /// The session is over.
    pub(crate) fn parted(&mut self, at_ms: u64) -> Result<(), Breach> {
        if self.standing == Standing::Out {
            return Ok(());
        }
        self.keep(at_ms, "parted", 0);
        self.ends()
    }

    fn ends(&mut self) -> Result<(), Breach> {
        self.standing = Standing::Out;
        self.head.take().map_or(Ok(()), |head| Err(self.behind(head)))
    }

    /// The heads were told, and the events before them never came.
    fn behind(&self, head: Cursor) -> Breach {
        let at = self.at.map_or(0, |at| at.seq);
        Breach::at(Promise::P3, at + 1, format!("told the head {head}, and never given what is after {at}"))
    }

    /// An event came.
    pub(crate) fn event(
        &mut self,
        at_ms: u64,
        cursor: Cursor,
        digest: Digest,
        ledger: &mut Ledger,
    ) -> Result<(), Breach> {
        self.keep(at_ms, "event", cursor.seq);
        let seq = cursor.seq;
        self.is_due(seq, "an event")?;
        let before = self.at.replace(cursor).map_or(0, |at| at.seq);
        if self.head.is_some_and(|head| head.seq <= seq) {
            self.head = None;
        }
        if seq <= before {
            return Err(Breach::at(
                Promise::P3,
                seq,
                format!("given {seq} after {before}: repeated or reordered"),
            ));
        }
        if seq > before + 1 {
            return Err(Breach::at(
                Promise::P3,
                before + 1,
                format!("given {seq} after {before}: lost between"),
            ));
        }
        ledger.saw(seq, Some(cursor.check), digest)
    }

    /// Something else of the room came: presence, typing.
    pub(crate) fn other(&mut self) -> Result<(), Breach> {
        self.is_due(0, "a frame")
    }

    /// Whether anything of the room may come now.
    fn is_due(&self, seq: u64, what: &str) -> Result<(), Breach> {
        match self.standing {
            Standing::In => Ok(()),
            Standing::Out => {
                Err(Breach::at(Promise::P3, seq, format!("given {what} of a room it is not in")))
            }
            Standing::Asked(_) => Err(Breach::at(Promise::P3, seq, format!("given {what} before joined"))),
            Standing::Owed { given, joined } => Err(Breach::at(
                Promise::P4,
                given.seq,
                format!("came with {given}, was joined at {joined}, and then given {what} instead of resync"),
            )),
        }
    }

    /// `resync` came. `replay_events` is how much the installation replays.
    pub(crate) fn resync(
        &mut self,
        at_ms: u64,
        cursor: Cursor,
        reason: &str,
        replay_events: u64,
        ledger: &Ledger,
    ) -> Result<(), Breach> {
        self.keep(at_ms, "resync to", cursor.seq);
        let from = match self.standing {
            Standing::Owed { given, joined } if joined == cursor => Some(given),
            Standing::In => self.at,
            _ => {
                return Err(Breach::at(
                    Promise::P3,
                    cursor.seq,
                    "resync of a room it is not in, or to another place",
                ));
            }
        };
        (self.standing, self.at, self.head) = (Standing::In, Some(cursor), None);
        let Some(from) = from else { return Ok(()) };
        let missed = cursor.seq.saturating_sub(from.seq);
        let is_false = match reason {
            "TOO_FAR" => missed <= replay_events,
            _ => ledger.knows(from),
        };
        if is_false {
            let what =
                format!("resync {reason} from {from} to {cursor}, though only {missed} events were missed");
            return Err(Breach::at(Promise::P4, from.seq, what));
        }
        Ok(())
    }

    /// A heartbeat named the room's head; says whether it is ahead of what was given.
    pub(crate) fn head(&mut self, at_ms: u64, head: Cursor) -> Result<bool, Breach> {
        self.keep(at_ms, "head", head.seq);
        self.is_due(head.seq, "a head")?;
        let at = self.at.unwrap_or(head);
        if at.seq == head.seq && at != head {
            return Err(Breach::at(Promise::P3, head.seq, format!("was given {at}, and the head is {head}")));
        }
        let is_ahead = head.seq > at.seq;
        if is_ahead {
            self.head = Some(head);
        }
        Ok(is_ahead)
    }

    fn keep(&mut self, at_ms: u64, what: &'static str, seq: u64) {
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(Given { at_ms, what, seq });
    }
}

#[cfg(test)]
mod tests {
    use parlour_feed::cursor::Check;

    use super::*;

    fn cursor(seq: u64) -> Cursor {
        Cursor { check: Check(u32::try_from(seq).unwrap()), seq }
    }

    fn digest(seq: u64) -> Digest {
        Digest::of("ada", &seq.to_string())
    }

    /// A reader in a room from seq 5 on.
    fn reader() -> (Reader, Ledger) {
        let mut reader = Reader::default();
        reader.asks(0, None);
        assert_eq!(reader.joined(1, cursor(5)), Ok(Joined::Fresh));
        (reader, Ledger::default())
    }

    fn gives(reader: &mut Reader, ledger: &mut Ledger, seq: u64) -> Result<(), Breach> {
        reader.event(2, cursor(seq), digest(seq), ledger)
    }

    #[test]
    fn p3_what_follows_in_order_is_right() {
        let (mut reader, mut ledger) = reader();
        (6..20).for_each(|seq| gives(&mut reader, &mut ledger, seq).unwrap());
        reader.other().unwrap();
        assert_eq!(reader.head(3, cursor(19)), Ok(false));
        reader.parted(4).unwrap();
        reader.asks(5, reader.at());
        assert_eq!(reader.joined(6, cursor(19)), Ok(Joined::Resumed));
        gives(&mut reader, &mut ledger, 20).unwrap();
        assert_eq!(reader.frames().len(), KEPT);
    }

    #[test]
    fn p3_what_is_lost_repeated_or_reordered_convicts() {
        for (order, seq) in [(&[6, 8][..], 7), (&[6, 6], 6), (&[6, 7, 6], 6), (&[5], 5), (&[7], 6)] {
            let (mut reader, mut ledger) = reader();
            let breaches: Vec<_> =
                order.iter().filter_map(|seq| gives(&mut reader, &mut ledger, *seq).err()).collect();
            assert_eq!(breaches.len(), 1, "{order:?}");
            assert_eq!((breaches[0].promise, breaches[0].seq), (Promise::P3, Some(seq)), "{order:?}");
        }
    }

    #[test]
    fn p3_another_log_spliced_in_convicts() {
        let (mut reader, mut ledger) = reader();
        gives(&mut reader, &mut ledger, 6).unwrap();
        let other = Cursor { check: Check(99), seq: 6 };
        assert_eq!(reader.head(3, other).unwrap_err().promise, Promise::P3);
        ledger.saw(7, Some(Check(99)), digest(7)).unwrap();
        assert_eq!(gives(&mut reader, &mut ledger, 7).unwrap_err().promise, Promise::P2);
    }

    #[test]
    fn p3_a_room_not_joined_or_left_is_silent() {
        let mut ledger = Ledger::default();
        let mut stranger = Reader::default();
        assert_eq!(gives(&mut stranger, &mut ledger, 1).unwrap_err().promise, Promise::P3);
        stranger.other().unwrap_err();
        stranger.joined(1, cursor(0)).unwrap_err();
        let (mut reader, mut ledger) = reader();
        reader.left(2).unwrap();
        gives(&mut reader, &mut ledger, 6).unwrap_err();
        reader.asks(3, reader.at());
        gives(&mut reader, &mut ledger, 6).unwrap_err();
    }

    #[test]
    fn p3_a_head_that_is_never_caught_up_with_convicts() {
        let (mut behind, mut ledger) = reader();
        assert_eq!(behind.head(3, cursor(7)), Ok(true));
        gives(&mut behind, &mut ledger, 6).unwrap();
        let breach = behind.parted(4).unwrap_err();
        assert_eq!((breach.promise, breach.seq), (Promise::P3, Some(7)));
        let (mut healed, mut ledger) = reader();
        healed.head(3, cursor(7)).unwrap();
        (6..=7).for_each(|seq| gives(&mut healed, &mut ledger, seq).unwrap());
        healed.parted(4).unwrap();
    }

    #[test]
    fn p4_a_cursor_that_is_passed_over_without_a_word_convicts() {
        let mut ledger = Ledger::default();
        let mut silent = Reader::default();
        silent.asks(0, Some(cursor(5)));
        assert_eq!(silent.joined(1, cursor(7)), Ok(Joined::Elsewhere));
        let breach = gives(&mut silent, &mut ledger, 8).unwrap_err();
        assert_eq!((breach.promise, breach.seq), (Promise::P4, Some(5)));
    }

    #[test]
    fn p4_a_resync_that_was_called_for_is_right_and_one_that_was_not_convicts() {
        let resync = |to, reason, ledger: &Ledger| {
            let mut reader = Reader::default();
            reader.asks(0, Some(cursor(5)));
            reader.joined(1, cursor(to)).unwrap();
            reader.resync(2, cursor(to), reason, 100, ledger).map(|()| reader.at())
        };
        let mut ledger = Ledger::default();
        assert_eq!(resync(106, "TOO_FAR", &ledger), Ok(Some(cursor(106))));
        assert_eq!(resync(105, "TOO_FAR", &ledger).unwrap_err().promise, Promise::P4);
        resync(6, "OTHER_LOG", &ledger).unwrap();
        ledger.named(cursor(5)).unwrap();
        resync(6, "OTHER_LOG", &ledger).unwrap_err();
        resync(4, "AHEAD", &ledger).unwrap_err();
    }
}
