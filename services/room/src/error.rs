//! Refusals and failures of the room service.
//!
//! Owns every way a request can end other than well, each with its kind and its stable reason. Promises that a reason
//! never changes (P11). Never shows a source to the outside.

use std::time::Duration;

use crate::{domain::Invalid, store::StoreError};

/// How long a client that met a failing store is asked to wait.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A field is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A value is not allowed.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// A cursor does not parse.
    #[error("{0} is not a cursor")]
    InvalidCursor(&'static str),
    /// No frame, or one of a kind that is not known.
    #[error("this frame is not known here")]
    UnknownFrame,
    /// There is no such room, or not for this user.
    #[error("this room does not exist")]
    RoomNotFound,
    /// The room is read but no longer written.
    #[error("this room is archived")]
    RoomArchived,
    /// Another room has the name.
    #[error("a room of this name exists")]
    RoomExists,
    /// There is no such message in the room.
    #[error("this message does not exist")]
    MessageNotFound,
    /// The session is in as many rooms as it may be.
    #[error("a session may be in {0} rooms")]
    TooManyRooms(usize),
    /// Too much in too short a time.
    #[error("too fast: wait {} ms", .retry_after.as_millis())]
    RateLimited {
        /// How long to wait.
        retry_after: Duration,
    },
    /// The store failed; a send may have been applied: repeat it with the same key.
    #[error("the store is unavailable")]
    Store(#[source] StoreError),
    /// Too much is under way, or the service is about to stop.
    #[error("the service is busy")]
    Busy,
    /// The request was not done within its deadline; a send may have been applied: repeat it with the same key.
    #[error("this took too long")]
    TimedOut,
    /// Who calls is not proved.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// Who calls may not do this.
    #[error("{0}")]
    Forbidden(&'static str),
    /// The cursor is of another log than this room's.
    #[error("the cursor is of another log")]
    OtherLog,
    /// The cursor is ahead of this room's log.
    #[error("the cursor is ahead of the log")]
    Ahead,
    /// The protocol was broken.
    #[error("{0}")]
    ProtocolMisuse(&'static str),
    /// A promise inside was broken; the log says which.
    #[error("an internal error")]
    Internal(&'static str),
}

/// The few kinds that borders turn into codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request itself is wrong.
    InvalidArgument,
    /// What it names is not there.
    NotFound,
    /// What it would make is there.
    AlreadyExists,
    /// The state does not allow it.
    FailedPrecondition,
    /// Too much.
    ResourceExhausted,
    /// Not now; a repeat may help.
    Unavailable,
    /// Not known who asks.
    Unauthenticated,
    /// Not allowed.
    PermissionDenied,
    /// A fault of ours.
    Internal,
}

impl Error {
    /// Its kind.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Missing(_) | Self::Invalid(_) | Self::InvalidCursor(_) | Self::UnknownFrame => {
                ErrorKind::InvalidArgument
            }
            Self::RoomNotFound | Self::MessageNotFound => ErrorKind::NotFound,
            Self::RoomExists => ErrorKind::AlreadyExists,
            Self::RoomArchived | Self::OtherLog | Self::Ahead | Self::ProtocolMisuse(_) => {
                ErrorKind::FailedPrecondition
            }
            Self::TooManyRooms(_) | Self::RateLimited { .. } => ErrorKind::ResourceExhausted,
            Self::Store(_) | Self::Busy | Self::TimedOut => ErrorKind::Unavailable,
            Self::Unauthenticated(_) => ErrorKind::Unauthenticated,
            Self::Forbidden(_) => ErrorKind::PermissionDenied,
            Self::Internal(_) => ErrorKind::Internal,
        }
    }

    /// Its stable reason: what clients branch on.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Missing(_) => "MISSING_FIELD",
            Self::Invalid(invalid) => invalid.reason,
            Self::InvalidCursor(_) => "INVALID_CURSOR",
            Self::UnknownFrame => "UNKNOWN_FRAME",
            Self::RoomNotFound => "ROOM_NOT_FOUND",
            Self::RoomArchived => "ROOM_ARCHIVED",
            Self::RoomExists => "ROOM_EXISTS",
            Self::MessageNotFound => "MESSAGE_NOT_FOUND",
            Self::TooManyRooms(_) => "TOO_MANY_ROOMS",
            Self::RateLimited { .. } => "RATE_LIMITED",
            Self::Store(_) | Self::Busy | Self::TimedOut => "UNAVAILABLE",
            Self::Unauthenticated(_) => "UNAUTHENTICATED",
            Self::Forbidden(_) => "FORBIDDEN",
            Self::OtherLog => "OTHER_LOG",
            Self::Ahead => "AHEAD",
            Self::ProtocolMisuse(_) => "PROTOCOL_MISUSE",
            Self::Internal(_) => "INTERNAL",
        }
    }

    /// The field at fault.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::Missing(field) | Self::InvalidCursor(field) => Some(field),
            Self::Invalid(invalid) => Some(invalid.field),
            _ => None,
        }
    }

    /// How long to wait, where waiting helps.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } => Some(*retry_after),
            Self::Store(_) | Self::Busy | Self::TimedOut => Some(STORE_RETRY),
            _ => None,
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
