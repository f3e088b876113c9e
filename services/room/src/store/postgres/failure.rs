//! What PostgreSQL's errors mean.
//!
//! Owns the reading of error codes. Promises that "nothing was done", "nothing is known" and "these values are at fault"
//! are told apart. Never puts a value that was sent into a sentence.

use deadpool_postgres::PoolError;
use tokio_postgres::error::SqlState;

use crate::store::StoreError;

/// Why a transaction did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing is known of its outcome: the connection was lost.
    Lost(StoreError),
    /// Nothing was done, and the same again may well succeed.
    Again(StoreError),
    /// Nothing was done: a row it needs is held by another for too long.
    Locked,
    /// Nothing was done: a value that was given is at fault.
    Values,
    /// Nothing was done.
    Store(StoreError),
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        let unavailable = || StoreError::Unavailable(sentence(&error));
        let Some(code) = error.code() else { return Self::Lost(unavailable()) };
        if [SqlState::T_R_DEADLOCK_DETECTED, SqlState::T_R_SERIALIZATION_FAILURE, SqlState::UNIQUE_VIOLATION]
            .contains(code)
        {
            return Self::Again(unavailable());
        }
        if *code == SqlState::LOCK_NOT_AVAILABLE {
            return Self::Locked;
        }
        match code.code().get(..2) {
            // The server is stopping or crashed: what it did before that is not known.
            Some("08") => Self::Lost(unavailable()),
            Some("57") if *code != SqlState::QUERY_CANCELED => Self::Lost(unavailable()),
            // Data, constraints, and what is too large for an index.
            Some("22" | "23" | "54") => Self::Values,
            // Credentials, privileges, names: somebody must set something right.
            Some("28" | "3D" | "3F" | "42" | "0A") => Self::Store(StoreError::Unusable(format!(
                "PostgreSQL cannot be used: {}; check the store's URL and that user's rights",
                sentence(&error)
            ))),
            _ => Self::Store(unavailable()),
        }
    }
}

impl From<PoolError> for Failure {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => match error.into() {
                // A connection that was not made has done nothing.
                Self::Lost(why) | Self::Again(why) => Self::Store(why),
                other => other,
            },
            PoolError::Timeout(_) => {
                Self::Store(StoreError::Unavailable("no connection to PostgreSQL in time".into()))
            }
            PoolError::Closed => Self::Store(StoreError::Unavailable("the store is closed".into())),
            other => Self::Store(StoreError::Unavailable(other.to_string())),
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Lost(error) | Failure::Again(error) | Failure::Store(error) => error,
            Failure::Locked => Self::Unavailable("a row is held by another for too long".into()),
            Failure::Values => Self::Unavailable("PostgreSQL refused a value".into()),
        }
    }
}

/// What a person should know; a server's detail may hold values, and is left out.
fn sentence(error: &tokio_postgres::Error) -> String {
    if let Some(server) = error.as_db_error() {
        return format!("{} ({})", server.message(), server.code().code());
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
