//! Following a room's log at any hop.
//!
//! Owns the seq and cursor, what turns hints and the log into a feed, the ring of recent events, the readers as
//! positions, the bounded outbox and the share of presence beside them, and the count of what all of them hold. Promises P2 to P4 and P8 on every hop. Never names a socket, SQL, a
//! runtime or a clock: inputs and the time come in, effects go out.

pub mod allowance;
pub mod audience;
pub mod cursor;
pub mod follower;
pub mod limits;
pub mod log;
pub mod outbox;
mod pages;
pub mod planted;
pub mod pool;
mod readers;
mod retry;
pub mod ring;

pub use allowance::Allowance;
pub use audience::{Audience, Budget, Step, Verdict};
pub use cursor::{Check, Cursor, NotACursor, Seq};
pub use follower::{Change, Counters, Follower};
pub use limits::{Bounds, Limits, PresenceShare};
pub use log::{Entry, Hint, LogRead, Page, Read, ResyncReason, Weigh};
pub use outbox::{Class, Item, Outbox, Pushed};
pub use pool::{Pool, Pools, Share};
pub use readers::{ReaderId, ReaderKind};
pub use ring::Ring;
