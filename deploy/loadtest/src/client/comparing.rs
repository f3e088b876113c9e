//! What a client of the full protocol finds at the end.
//!
//! Owns the comparison of where it stands and whom it sees with what is. Promises to wait for what may still come right,
//! and to convict what will not (P3, P4, P7). Never asks for anything.

use super::{Comparison, Last, full::Full};
use crate::judge::{
    Breach, Promise,
    view::{Difference, NAMED},
};

impl Full {
    /// Compares each room, once it can be.
    pub(super) fn compare(&mut self, comparison: &Comparison) {
        let now = self.world.now();
        for (room, last) in comparison.rooms.iter().enumerate() {
            if self.seats[room].is_compared {
                continue;
            }
            let differences =
                if self.seats[room].is_wished { self.differences(room, last) } else { Vec::new() };
            if differences.iter().any(|difference| !comparison.is_final(difference, now)) {
                continue;
            }
            self.seats[room].is_compared = true;
            if self.seats[room].is_wished {
                self.world.record.tried(Promise::P7, u64::from(last.present.here.len() <= NAMED));
                self.world.record.agreed_after(now.saturating_sub(comparison.since));
            }
            for Difference { breach, .. } in differences {
                self.world.accuse(&self.name, room, &self.seats[room].reader, Err(breach));
            }
        }
    }

    /// What is not as it should be.
    fn differences(&self, room: usize, last: &Last) -> Vec<Difference> {
        let seat = &self.seats[room];
        let at = seat.reader.at().map_or(0, |at| at.seq);
        let here = if !seat.reader.is_in() {
            Some(Breach::of(Promise::P4, "is not back in the room at the end"))
        } else if at != last.head {
            let what =
                format!("all is quiet, the log ends with {}, and nothing after {at} was given", last.head);
            Some(Breach::at(Promise::P3, at + 1, what))
        } else {
            None
        };
        let seen = seat.view.compare(&last.present);
        here.map(Difference::final_one).into_iter().chain(seen.err()).collect()
    }
}
