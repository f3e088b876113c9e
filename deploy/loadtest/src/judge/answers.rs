//! What one session was answered about its sends to one room.
//!
//! Owns the order in which sends went out, and that in which their answers came. Promises to convict an order that is
//! not the one sent (P5 b), and a send that was applied while one before it was refused (P5 c), where no timing excuses
//! it. Never knows a content.

use std::collections::VecDeque;

use super::{Breach, Promise};

/// A send without an answer.
#[derive(Clone, Copy, Debug)]
struct Flight {
    number: u32,
    /// It was never sent before: its seq is given out now or not at all.
    is_first: bool,
    /// One sent after it has been acknowledged.
    is_overtaken: bool,
}

/// The answers of one session and room.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    flights: VecDeque<Flight>,
    /// The seq acknowledged last to a send that was made for the first time, and which send that was.
    last: Option<(u64, u32)>,
}

impl Answers {
    /// A send goes out.
    pub(crate) fn sent(&mut self, number: u32, is_first: bool) {
        self.flights.push_back(Flight { number, is_first, is_overtaken: false });
    }

    /// It was acknowledged as that event.
    pub(crate) fn acknowledged(&mut self, number: u32, seq: u64) -> Result<(), Breach> {
        let Some((index, flight)) = self.take(number) else {
            return Err(Breach::at(Promise::P5, seq, "an acknowledgement of what was not sent"));
        };
        self.flights.iter_mut().take(index).for_each(|before| before.is_overtaken = true);
        if !flight.is_first {
            return Ok(());
        }
        let Some((last, other)) = self.last.replace((seq, number)) else { return Ok(()) };
        if (number > other) == (seq > last) {
            return Ok(());
        }
        let what = format!(
            "messages {other} and {number}, sent in the order of their numbers, became {last} and {seq}"
        );
        Err(Breach::at(Promise::P5, seq, what))
    }

    /// It was refused in a way that invites a repeat.
    pub(crate) fn refused(&mut self, number: u32, code: &str) -> Result<(), Breach> {
        match self.take(number) {
            None => Err(Breach::of(Promise::P11, format!("{code} to what was not sent"))),
            Some((_, flight)) if flight.is_overtaken => Err(Breach::of(
                Promise::P5,
                format!(
                    "message {number} was refused with {code}, after one sent behind it had been applied"
                ),
            )),
            Some(_) => Ok(()),
        }
    }

    fn take(&mut self, number: u32) -> Option<(usize, Flight)> {
        let index = self.flights.iter().position(|flight| flight.number == number)?;
        Some((index, self.flights.remove(index)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(numbers: std::ops::Range<u32>) -> Answers {
        let mut answers = Answers::default();
        numbers.for_each(|number| answers.sent(number, true));
        answers
    }

    #[test]
    fn p5_sends_in_order_are_right() {
        let mut answers = sent(0..4);
        answers.acknowledged(0, 10).unwrap();
        answers.acknowledged(1, 12).unwrap();
        answers.refused(2, "RATE_LIMITED").unwrap();
        answers.refused(3, "RATE_LIMITED").unwrap();
        // Repeats are answered with whatever they were at first.
        answers.sent(1, false);
        answers.acknowledged(1, 12).unwrap();
    }

    #[test]
    fn p5_sends_applied_in_another_order_convict() {
        let mut answers = sent(0..2);
        answers.acknowledged(0, 12).unwrap();
        assert_eq!(answers.acknowledged(1, 10).unwrap_err().promise, Promise::P5);
    }

    #[test]
    fn p5_a_refusal_that_was_overtaken_convicts() {
        let mut answers = sent(0..3);
        answers.acknowledged(1, 10).unwrap();
        answers.refused(2, "UNAVAILABLE").unwrap();
        assert_eq!(answers.refused(0, "UNAVAILABLE").unwrap_err().promise, Promise::P5);
    }

    #[test]
    fn p5_an_answer_to_nothing_convicts() {
        sent(0..1).acknowledged(7, 1).unwrap_err();
        sent(0..1).refused(7, "UNAVAILABLE").unwrap_err();
    }
}
