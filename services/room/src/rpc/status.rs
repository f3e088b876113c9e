//! Errors at the border.
//!
//! Owns the table from error kinds to gRPC codes, and the form of a refusal inside a stream. Promises
//! `ErrorInfo{reason, domain: "parlour"}` always, `BadRequest` for fields, `RetryInfo` where waiting helps. Never shows
//! what a failure's source says.

use std::time::Duration;

use parlour_proto::v1;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::error::{Error, ErrorKind};

/// The domain of every reason.
pub const DOMAIN: &str = "parlour";

/// Turns an error into a status with details, and logs it where a person should look.
pub fn from_error(error: &Error) -> Status {
    log(error);
    let mut details = ErrorDetails::new();
    details.set_error_info(error.reason(), DOMAIN, []);
    if let Some(field) = error.field() {
        details.add_bad_request_violation(field, error.to_string());
    }
    if let Some(wait) = error.retry_after() {
        details.set_retry_info(Some(wait));
    }
    Status::with_error_details(code(error.kind()), error.to_string(), details)
}

/// Turns an error into the refusal that stands in a stream, and logs it where a person should look.
pub fn to_frame(error: &Error) -> v1::Error {
    log(error);
    v1::Error {
        code: error.reason().to_owned(),
        message: error.to_string(),
        field: error.field().map(str::to_owned),
        retry_after_ms: error.retry_after().map(millis),
    }
}

/// A status that ends a stream: the client comes back for `UNAVAILABLE`, and does not for the rest.
pub fn ending(code: Code, reason: &str, message: &str, retry_after: Option<Duration>) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info(reason, DOMAIN, []);
    if let Some(wait) = retry_after {
        details.set_retry_info(Some(wait));
    }
    Status::with_error_details(code, message, details)
}

/// The gRPC code of a kind.
pub fn code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::InvalidArgument => Code::InvalidArgument,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::AlreadyExists => Code::AlreadyExists,
        ErrorKind::FailedPrecondition => Code::FailedPrecondition,
        ErrorKind::ResourceExhausted => Code::ResourceExhausted,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::Unauthenticated => Code::Unauthenticated,
        ErrorKind::PermissionDenied => Code::PermissionDenied,
        ErrorKind::Internal => Code::Internal,
    }
}

/// Whole milliseconds, rounded up so that whoever waits as told has waited enough.
fn millis(wait: Duration) -> u32 {
    u32::try_from(wait.as_micros().div_ceil(1_000)).unwrap_or(u32::MAX)
}

fn log(error: &Error) {
    match error {
        Error::Store(source) => tracing::warn!(error = %source, "the store refused a request"),
        Error::Internal(what) => tracing::error!(error = %what, "a promise inside was broken"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p11_a_refusal_carries_reason_field_and_wait() {
        let status = from_error(&Error::Missing("room"));
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        let info = details.error_info().expect("always there");
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("MISSING_FIELD", DOMAIN));
        assert_eq!(details.bad_request().expect("a field is at fault").field_violations[0].field, "room");

        let limited = Error::RateLimited { retry_after: Duration::from_micros(1_500) };
        assert_eq!(to_frame(&limited).retry_after_ms, Some(2));
        let details = from_error(&limited).get_error_details();
        assert_eq!(
            details.retry_info().expect("waiting helps").retry_delay,
            Some(Duration::from_micros(1_500))
        );
    }

    #[test]
    fn a_failure_does_not_show_its_source() {
        let error = Error::Store(crate::store::StoreError::Unavailable("password=secret".to_owned()));
        assert!(!from_error(&error).message().contains("secret"));
        assert!(!to_frame(&error).message.contains("secret"));
    }
}
