//! Following a room's log at any hop.
//!
//! Owns the seq and cursor, what turns hints and the log into a feed, the ring of recent events, the readers as
//! positions, and the bounded outbox beside them. Promises P2 to P4 and P8 on every hop. Never names a socket, SQL, a
//! runtime or a clock: inputs and the time come in, effects go out.

pub mod cursor;
