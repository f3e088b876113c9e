//! The log, read at the end.
//!
//! Owns what each client sent and was answered, and the comparison of the log with that and with what was seen. Promises
//! to convict a log with gaps, what was seen and is not in it (P1, P2), what was acknowledged and is not there or
//! elsewhere (P6), what is in it twice (P5), and what was refused and done (P11). Never reads a page.

use super::{
    Breach, Promise,
    ledger::{Digest, Ledger},
};

/// What became of a send, as its client knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was answered with nothing definite: it may be in the log.
    #[default]
    Open,
    /// It was acknowledged, as that event.
    Acknowledged(u64),
    /// It was refused, with a code that says that nothing was done, and never repeated.
    Refused,
}

/// A message of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// The room's number.
    pub(crate) room: u16,
    /// What its client knows of it.
    pub(crate) fate: Fate,
    /// Where it is in the log, once that was read; 0 for nowhere.
    pub(crate) logged: u64,
}

/// Which message a text is: the client's number and the message's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The client.
    pub(crate) client: usize,
    /// The message.
    pub(crate) number: u32,
}

/// An entry of the log.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Its seq.
    pub(crate) seq: u64,
    /// Its author and text.
    pub(crate) digest: Digest,
    /// Whose message it is by its key, where it is one of ours.
    pub(crate) key: Option<Mark>,
    /// What it would be if its text were what its key says.
    pub(crate) expected: Option<Digest>,
    /// When it was committed, in microseconds.
    pub(crate) at_us: i64,
}

/// One room's log under audit.
pub(crate) struct Audit<'a> {
    room: u16,
    ledger: &'a Ledger,
    /// Each client's messages.
    books: &'a mut [Vec<Sent>],
    at: u64,
    at_us: i64,
    /// Events compared with what was seen.
    pub(crate) compared: u64,
}

impl<'a> Audit<'a> {
    /// Begins at the log's first entry.
    pub(crate) fn new(room: u16, ledger: &'a Ledger, books: &'a mut [Vec<Sent>]) -> Self {
        Self { room, ledger, books, at: 0, at_us: 0, compared: 0 }
    }

    /// The log's next entry.
    pub(crate) fn entry(&mut self, entry: &Entry) -> Vec<Breach> {
        let mut breaches = Vec::new();
        let seq = entry.seq;
        if seq != self.at + 1 {
            breaches.push(Breach::at(
                Promise::P2,
                self.at + 1,
                format!("the log has {seq} after {}", self.at),
            ));
        }
        if entry.at_us < self.at_us {
            breaches.push(Breach::at(Promise::P2, seq, "the log's time runs backwards"));
        }
        (self.at, self.at_us) = (seq, entry.at_us);
        if let Some(seen) = self.ledger.digest(seq) {
            self.compared += 1;
            if seen != entry.digest {
                breaches.push(Breach::at(Promise::P2, seq, "what was seen is not what the log holds"));
            }
        }
        if let Some(mark) = entry.key {
            if entry.expected != Some(entry.digest) {
                breaches.push(Breach::at(
                    Promise::P5,
                    seq,
                    "the log does not hold what was first sent with this key",
                ));
            }
            breaches.extend(self.found(mark, seq));
        }
        breaches
    }

    /// A message of ours is in the log.
    fn found(&mut self, mark: Mark, seq: u64) -> Option<Breach> {
        let room = self.room;
        let book = self.books.get_mut(mark.client)?;
        let Some(sent) = book.get_mut(mark.number as usize).filter(|sent| sent.room == room) else {
            return Some(Breach::at(
                Promise::P6,
                seq,
                "the log holds a message of ours that was never sent there",
            ));
        };
        if sent.logged != 0 {
            let what = format!("one message is in the log twice, as {} and as {seq}", sent.logged);
            return Some(Breach::at(Promise::P5, seq, what));
        }
        sent.logged = seq;
        (sent.fate == Fate::Refused)
            .then(|| Breach::at(Promise::P11, seq, "a message that was refused is in the log all the same"))
    }

    /// The log has ended.
    pub(crate) fn finish(self) -> Vec<Breach> {
        let beyond = (self.at + 1..=self.ledger.head()).filter(|seq| self.ledger.digest(*seq).is_some());
        let seen = beyond.map(|seq| {
            Breach::at(Promise::P1, seq, format!("it was seen, and the log ends with {}", self.at))
        });
        let unseen = self.books.iter().flatten().filter_map(|sent| match sent.fate {
            Fate::Acknowledged(seq) if sent.room == self.room && sent.logged != seq => {
                Some((seq, sent.logged))
            }
            _ => None,
        });
        let lost = unseen.map(|(seq, logged)| {
            let what = match logged {
                0 => "it was acknowledged, and the message is not in the log".to_owned(),
                logged => format!("it was acknowledged, and the message is in the log as {logged}"),
            };
            Breach::at(Promise::P6, seq, what)
        });
        seen.chain(lost).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: u32) -> Digest {
        Digest::of("ada", &number.to_string())
    }

    fn entry(seq: u64, number: u32) -> Entry {
        let key = Some(Mark { client: 0, number });
        Entry { seq, digest: digest(number), key, expected: Some(digest(number)), at_us: 0 }
    }

    /// Audits a log of these messages, in this order, after these were seen and sent.
    fn audited(log: &[Entry], seen: &[(u64, u32)], fates: &[Fate]) -> Vec<Promise> {
        let mut ledger = Ledger::default();
        seen.iter().for_each(|(seq, number)| ledger.saw(*seq, None, digest(*number)).unwrap());
        let mut books = [fates.iter().map(|fate| Sent { fate: *fate, ..Sent::default() }).collect()];
        let mut audit = Audit::new(0, &ledger, &mut books);
        let mut breaches: Vec<_> = log.iter().flat_map(|entry| audit.entry(entry)).collect();
        breaches.extend(audit.finish());
        breaches.into_iter().map(|breach| breach.promise).collect()
    }

    const FIRST: Fate = Fate::Acknowledged(1);

    #[test]
    fn a_log_that_holds_what_was_acknowledged_and_seen_is_right() {
        let log = [entry(1, 0), entry(2, 1), entry(3, 2)];
        assert_eq!(
            audited(&log, &[(1, 0), (3, 2)], &[FIRST, Fate::Open, Fate::Acknowledged(3), Fate::Open]),
            []
        );
    }

    #[test]
    fn p6_what_was_acknowledged_and_is_lost_or_elsewhere_convicts() {
        assert_eq!(audited(&[], &[], &[FIRST]), [Promise::P6]);
        assert_eq!(audited(&[entry(1, 1), entry(2, 0)], &[], &[FIRST, Fate::Open]), [Promise::P6]);
    }

    #[test]
    fn p1_what_was_seen_and_is_not_in_the_log_convicts() {
        assert_eq!(audited(&[entry(1, 0)], &[(1, 0), (2, 1)], &[FIRST, Fate::Open]), [Promise::P1]);
    }

    #[test]
    fn p2_a_log_with_gaps_or_of_another_content_convicts() {
        assert_eq!(audited(&[entry(2, 0)], &[], &[Fate::Open]), [Promise::P2]);
        assert_eq!(audited(&[entry(1, 0)], &[(1, 1)], &[Fate::Open]), [Promise::P2]);
        let late = Entry { at_us: 7, ..entry(1, 0) };
        assert_eq!(audited(&[late, entry(2, 1)], &[], &[Fate::Open; 2]), [Promise::P2]);
    }

    #[test]
    fn p5_a_message_twice_or_with_the_repeats_body_convicts() {
        assert_eq!(audited(&[entry(1, 0), entry(2, 0)], &[], &[FIRST]), [Promise::P5]);
        let other = Entry { digest: digest(9), ..entry(1, 0) };
        assert_eq!(audited(&[other], &[], &[FIRST]), [Promise::P5]);
    }

    #[test]
    fn p11_what_was_refused_and_done_convicts_and_so_does_what_was_never_sent() {
        assert_eq!(audited(&[entry(1, 0)], &[], &[Fate::Refused]), [Promise::P11]);
        assert_eq!(audited(&[entry(1, 0)], &[], &[]), [Promise::P6]);
    }
}
