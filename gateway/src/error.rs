//! Refusals and failures of the gateway.
//!
//! Owns every way a request can end other than well, its kind, and the table from kinds to HTTP statuses. Promises that
//! a reason never changes (P11), and that what the room service says passes on in its own words (P12). Never shows a
//! source to the outside.

use std::time::Duration;

use http::StatusCode;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Whose reasons the room service gives.
const DOMAIN: &str = "parlour";
/// How long a client is asked to wait where the room service does not say.
const UPSTREAM_RETRY: Duration = Duration::from_secs(1);

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The room service refused.
    #[error("{}", .0.message)]
    Refused(Box<Refusal>),
    /// The room service cannot be reached, or did not answer in time; an append may have been heard: repeat it with the
    /// same key.
    #[error("the room service does not answer")]
    Unreachable(#[source] Box<Status>),
    /// The room service said something it never says.
    #[error("an internal error")]
    Upstream(#[source] Box<Status>),
    /// A promise inside was broken; the log says which.
    #[error("an internal error")]
    Internal(&'static str),
    /// Too much came from one address in too short a time.
    #[error("too much comes from your address: wait {} ms", .retry_after.as_micros().div_ceil(1_000))]
    RateLimited {
        /// How long to wait.
        retry_after: Duration,
    },
    /// A page of a foreign site asks.
    #[error("pages of this origin may not do this")]
    ForeignOrigin,
    /// A field is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A value is not what it should be.
    #[error("{field} must be {expected}")]
    Invalid {
        /// The field at fault.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A body is not a JSON object.
    #[error("the body must be a JSON object")]
    NotAnObject,
    /// A body is of another media type.
    #[error("the body must be of type application/json")]
    NotJson,
    /// A body is too large.
    #[error("the body is too large")]
    TooLarge,
    /// A request took too long to arrive.
    #[error("the request took too long to arrive")]
    TooSlow,
    /// This is where WebSockets open, and the request asks for none.
    #[error("this is where WebSockets open: ask for an upgrade")]
    NotAnUpgrade,
    /// There is nothing at this path.
    #[error("there is nothing here")]
    NotFound,
    /// What is at this path does not understand this method.
    #[error("this method means nothing here")]
    MethodNotAllowed,
}

/// What the room service said.
#[derive(Debug)]
pub struct Refusal {
    /// The kind of refusal.
    pub kind: ErrorKind,
    /// The stable reason.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// The field at fault.
    pub field: Option<String>,
    /// How long to wait, where waiting helps.
    pub retry_after: Option<Duration>,
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
    /// Too much in too short a time, or too many.
    ResourceExhausted,
    /// Not now; a repeat may help.
    Unavailable,
    /// Not known who asks.
    Unauthenticated,
    /// Not allowed.
    PermissionDenied,
    /// A fault of ours.
    Internal,
    /// The method means nothing here.
    MethodNotAllowed,
    /// The body is too large.
    TooLarge,
    /// The body is of another media type.
    UnsupportedMedia,
    /// The request did not arrive in time.
    TooSlow,
    /// Another protocol is spoken here.
    UpgradeRequired,
}

impl ErrorKind {
    /// The HTTP status of a kind.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::InvalidArgument => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::AlreadyExists | Self::FailedPrecondition => StatusCode::CONFLICT,
            Self::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::PermissionDenied => StatusCode::FORBIDDEN,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMedia => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::UpgradeRequired => StatusCode::UPGRADE_REQUIRED,
        }
    }

    /// The kind of a gRPC code; none for codes that the room service never gives.
    const fn of_code(code: Code) -> Option<Self> {
        Some(match code {
            Code::InvalidArgument | Code::OutOfRange => Self::InvalidArgument,
            Code::NotFound => Self::NotFound,
            Code::AlreadyExists => Self::AlreadyExists,
            Code::FailedPrecondition | Code::Aborted => Self::FailedPrecondition,
            Code::ResourceExhausted => Self::ResourceExhausted,
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => Self::Unavailable,
            Code::Unauthenticated => Self::Unauthenticated,
            Code::PermissionDenied => Self::PermissionDenied,
            Code::Internal => Self::Internal,
            _ => return None,
        })
    }
}

impl Error {
    /// Its kind and its stable reason: the one table.
    fn row(&self) -> (ErrorKind, &str) {
        match self {
            Self::Refused(refusal) => (refusal.kind, &refusal.reason),
            Self::Unreachable(_) => (ErrorKind::Unavailable, "UNAVAILABLE"),
            Self::Upstream(_) | Self::Internal(_) => (ErrorKind::Internal, "INTERNAL"),
            Self::RateLimited { .. } => (ErrorKind::ResourceExhausted, "RATE_LIMITED"),
            Self::ForeignOrigin => (ErrorKind::PermissionDenied, "FORBIDDEN"),
            Self::Missing(_) => (ErrorKind::InvalidArgument, "MISSING_FIELD"),
            Self::Invalid { .. } => (ErrorKind::InvalidArgument, "INVALID_FIELD"),
            Self::NotAnObject => (ErrorKind::InvalidArgument, "INVALID_FRAME"),
            Self::NotJson => (ErrorKind::UnsupportedMedia, "INVALID_FRAME"),
            Self::TooLarge => (ErrorKind::TooLarge, "TOO_LARGE"),
            Self::TooSlow => (ErrorKind::TooSlow, "TOO_SLOW"),
            Self::NotAnUpgrade => (ErrorKind::UpgradeRequired, "UPGRADE_REQUIRED"),
            Self::NotFound => (ErrorKind::NotFound, "NOT_FOUND"),
            Self::MethodNotAllowed => (ErrorKind::MethodNotAllowed, "METHOD_NOT_ALLOWED"),
        }
    }

    /// Its kind.
    pub fn kind(&self) -> ErrorKind {
        self.row().0
    }

    /// Its stable reason: what clients branch on.
    pub fn reason(&self) -> &str {
        self.row().1
    }

    /// The field at fault.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => refusal.field.as_deref(),
            Self::Missing(field) | Self::Invalid { field, .. } => Some(field),
            _ => None,
        }
    }

    /// Names a field of the contract as this border names it.
    pub fn naming(mut self, theirs: &str, ours: &str) -> Self {
        if let Self::Refused(refusal) = &mut self
            && refusal.field.as_deref() == Some(theirs)
        {
            refusal.field = Some(ours.to_owned());
        }
        self
    }

    /// How long to wait, where waiting helps.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            Self::RateLimited { retry_after } => Some(*retry_after),
            Self::Unreachable(_) => Some(UPSTREAM_RETRY),
            _ => None,
        }
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let kind = ErrorKind::of_code(status.code());
        if let (Some(kind), Some(info)) = (kind, details.error_info().filter(|info| info.domain == DOMAIN)) {
            let violations = details.bad_request().map(|request| request.field_violations.as_slice());
            return Self::Refused(Box::new(Refusal {
                kind,
                reason: info.reason.clone(),
                message: status.message().to_owned(),
                field: violations.and_then(<[_]>::first).map(|violation| violation.field.clone()),
                retry_after: details.retry_info().and_then(|info| info.retry_delay),
            }));
        }
        // Without the room service's details it is the link that speaks, or nobody.
        if kind == Some(ErrorKind::Unavailable) || std::error::Error::source(&status).is_some() {
            Self::Unreachable(Box::new(status))
        } else {
            Self::Upstream(Box::new(status))
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn p11_a_refusal_of_the_room_service_keeps_reason_sentence_field_and_wait() {
        let mut details = ErrorDetails::with_error_info("INVALID_CONTENT", DOMAIN, []);
        details.add_bad_request_violation("content", "is blank");
        details.set_retry_info(Some(Duration::from_millis(1500)));
        let error =
            Error::from(Status::with_error_details(Code::InvalidArgument, "content is blank", details));
        assert_eq!((error.kind().status().as_u16(), error.reason()), (400, "INVALID_CONTENT"));
        assert_eq!(error.to_string(), "content is blank");
        assert_eq!(error.field(), Some("content"));
        assert_eq!(error.retry_after(), Some(Duration::from_millis(1500)));
    }

    #[test]
    fn p12_a_reason_of_a_newer_room_service_passes_on() {
        let details = ErrorDetails::with_error_info("ROOM_ON_FIRE", DOMAIN, []);
        let error = Error::from(Status::with_error_details(Code::FailedPrecondition, "it burns", details));
        assert_eq!((error.kind().status().as_u16(), error.reason()), (409, "ROOM_ON_FIRE"));
    }

    #[test]
    fn a_status_without_our_details_shows_nothing_of_itself() {
        let unreachable = Error::from(Status::unavailable("tcp connect error: 10.0.0.7:50051"));
        assert_eq!((unreachable.reason(), unreachable.kind()), ("UNAVAILABLE", ErrorKind::Unavailable));
        assert!(unreachable.retry_after().is_some());
        for code in [Code::DeadlineExceeded, Code::Cancelled] {
            assert_eq!(Error::from(Status::new(code, "x")).reason(), "UNAVAILABLE");
        }
        let strange = Error::from(Status::unknown("panicked at src/secret.rs"));
        assert_eq!((strange.reason(), strange.kind()), ("INTERNAL", ErrorKind::Internal));
        assert!(
            ![unreachable, strange]
                .iter()
                .any(|error| { error.to_string().contains("10.0") || error.to_string().contains("secret") })
        );
    }
}
