//! What a session is told of presence, against its share.
//!
//! Owns the count of what one connection was told. Promises P9 of each: however many come and go, no more at once, and no
//! more over any time, than a session's share. Never asks the machines what they have counted.

use parlour_feed::PresenceShare;

/// What a connection was told of presence.
#[derive(Debug, Default)]
pub struct Told {
    /// What of it is not paid for, in millionths of a byte, as of a moment.
    unpaid: u64,
    us: u64,
}

impl Told {
    /// So many bytes are told; by how many that is too much.
    pub fn tell(&mut self, bytes: usize, us: u64, share: PresenceShare) -> u64 {
        let paid = (us - self.us) * u64::from(share.per_second);
        (self.unpaid, self.us) = (self.unpaid.saturating_sub(paid) + bytes as u64 * 1_000_000, us);
        (self.unpaid / 1_000_000).saturating_sub(share.at_once as u64)
    }
}
