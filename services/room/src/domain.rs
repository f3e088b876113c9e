//! The nouns and the rules of a room, as plain values.
//!
//! Owns what a room, an event, a message, a user and a presence are, and what makes each valid. Promises that a value
//! of these types is valid. Never does I/O.

pub mod event;
pub mod ids;
pub mod message;
pub mod presence;
pub mod room;

/// A value that is not valid: a typed refusal (P11).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Invalid {
    /// The stable reason, such as `INVALID_FIELD`.
    pub reason: &'static str,
    /// The field at fault.
    pub field: &'static str,
    /// A sentence for a person.
    pub message: String,
}

impl Invalid {
    /// A field whose value is not allowed.
    pub fn field(field: &'static str, message: impl Into<String>) -> Self {
        Self { reason: "INVALID_FIELD", field, message: message.into() }
    }
}
