//! A request that was refused.
//!
//! Owns what a refusal says and which of them are for now only. Promises a stable code in each. Never shows a source.

use std::time::Duration;

use parlour_proto::v1 as proto;

use crate::error::Error;

/// What is said to wait where the room service cannot be asked.
pub const RETRY_AFTER_MS: u32 = 1_000;

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal(pub proto::Error);

impl Refusal {
    /// With that code and sentence.
    pub fn new(code: &str, message: &str) -> Self {
        Self(proto::Error {
            code: code.to_owned(),
            message: message.to_owned(),
            field: None,
            retry_after_ms: None,
        })
    }

    /// About that field.
    pub fn of_field(mut self, field: &str) -> Self {
        self.0.field = Some(field.to_owned());
        self
    }

    /// With that wait.
    pub fn after(mut self, retry_after_ms: u32) -> Self {
        self.0.retry_after_ms = Some(retry_after_ms);
        self
    }

    /// The room service could not be asked, or did not answer in time.
    pub fn unavailable() -> Self {
        Self::new("UNAVAILABLE", "the room service does not answer; try again").after(RETRY_AFTER_MS)
    }

    /// What the room service said to a unary call.
    pub fn of_status(status: tonic::Status) -> Self {
        Self::of(&Error::from(status))
    }

    /// What an error says. Milliseconds are rounded up, so that whoever waits as told has waited enough.
    pub fn of(error: &Error) -> Self {
        let millis = |wait: Duration| u32::try_from(wait.as_micros().div_ceil(1_000)).unwrap_or(u32::MAX);
        let retry_after_ms = error.retry_after().map(millis);
        Self(proto::Error {
            code: error.reason().to_owned(),
            message: error.to_string(),
            field: error.field().map(str::to_owned),
            retry_after_ms,
        })
    }

    /// Whether the same request may succeed later, so that those behind it must not overtake it (P5 c).
    pub fn is_retryable(&self) -> bool {
        matches!(self.0.code.as_str(), "UNAVAILABLE" | "RATE_LIMITED")
    }
}
