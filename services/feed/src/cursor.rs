//! Where a reader is in a log, and what proves the log the same.
//!
//! Owns `Seq`, `Check` and `Cursor`. Promises that a check is computed here alone. Never decides what follows from one
//! that does not match.

use std::{fmt, str::FromStr};

/// The place of an event in its room's log: 1, 2, 3 and on; 0 is before the first.
pub type Seq = u64;

/// What proves a log the same: a hash over a room's id and the time of one of its events.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Check(pub u32);

impl Check {
    /// The check of the event of that time (of the room's own time for seq 0), in microseconds since 1970: FNV-1a in 64
    /// bits over the id's bytes and the time's eight, most significant first, folded to 32.
    pub fn of(room_id: &str, time_us: i64) -> Self {
        const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0100_0000_01b3;
        let time = time_us.to_be_bytes();
        let hash = room_id
            .bytes()
            .chain(time)
            .fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
        Self((hash >> 32) as u32 ^ hash as u32)
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// A place in a log that proves which log it is of; prints as `check:seq`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// Proves the log the same.
    pub check: Check,
    /// The last seq taken.
    pub seq: Seq,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}:{}", self.check.0, self.seq)
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor")]
pub struct NotACursor;

impl FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let (check, seq) = text.split_once(':').ok_or(NotACursor)?;
        let is_hex = check.len() == 8 && check.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let is_decimal =
            seq == "0" || (seq.bytes().all(|byte| byte.is_ascii_digit()) && !seq.starts_with('0'));
        if !is_hex || !is_decimal {
            return Err(NotACursor);
        }
        let check = u32::from_str_radix(check, 16).map_err(|_| NotACursor)?;
        Ok(Self { check: Check(check), seq: seq.parse().map_err(|_| NotACursor)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_prints_and_parses_the_same() {
        for cursor in [Cursor { check: Check(0), seq: 0 }, Cursor { check: Check(u32::MAX), seq: u64::MAX }] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for wrong in [
            "",
            ":",
            "00000000:",
            "0000000:1",
            "000000000:1",
            "0000000G:1",
            "0000000A:1",
            "00000000:01",
            "00000000:-1",
            "00000000:+1",
            "00000000:18446744073709551616",
            "00000000:1 ",
        ] {
            assert_eq!(wrong.parse::<Cursor>(), Err(NotACursor), "{wrong}");
        }
    }

    #[test]
    fn a_check_never_changes() {
        assert_eq!(Check::of("RAAAAAAAAAAAAAAAAAAAAAAAAAA", 1_700_000_000_000_000), Check(0xaa21_1379));
        assert_ne!(Check::of("RAAAAAAAAAAAAAAAAAAAAAAAAAA", 0), Check::of("RAAAAAAAAAAAAAAAAAAAAAAAAAA", 1));
        assert_ne!(Check::of("RAAAAAAAAAAAAAAAAAAAAAAAAAA", 0), Check::of("RBAAAAAAAAAAAAAAAAAAAAAAAAA", 0));
    }
}
