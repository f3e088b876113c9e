//! Problem documents.
//!
//! Owns the form of a refusal over HTTP (RFC 9457). Promises the stable reason, a sentence, the field at fault and,
//! where waiting helps, how long (P11). Never shows a source.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{
    HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, UPGRADE},
};
use serde::Serialize;

use crate::error::{Error, ErrorKind};

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// What stands in the body. `type` is `about:blank`: the status says what kind of problem it is, `code` which.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        log(&self);
        let status = self.kind().status();
        let wait = self.retry_after();
        let problem = Problem {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: self.to_string(),
            code: self.reason(),
            field: self.field(),
            retry_after_ms: wait.map(|wait| whole(wait.as_micros(), 1_000)),
        };
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, MEDIA_TYPE);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = wait {
            headers.insert(RETRY_AFTER, whole(wait.as_micros(), 1_000_000).into());
        }
        if self.kind() == ErrorKind::UpgradeRequired {
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        }
        // What is left unread of a body that was refused must not be taken for the next request.
        if status == StatusCode::PAYLOAD_TOO_LARGE || status == StatusCode::REQUEST_TIMEOUT {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Whole units, rounded up so that whoever waits as told has waited enough.
fn whole(micros: u128, unit: u128) -> u64 {
    u64::try_from(micros.div_ceil(unit)).unwrap_or(u64::MAX)
}

fn log(error: &Error) {
    match error {
        Error::Unreachable(status) => {
            tracing::debug!(error = %status, "a request did not reach the room service")
        }
        Error::Upstream(status) => tracing::error!(error = %status, "the room service failed"),
        Error::Internal(what) => tracing::error!(error = %what, "a promise inside was broken"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::BodyExt as _;
    use serde_json::{Value, json};

    use super::*;
    use crate::error::Refusal;

    async fn seen(error: Error) -> (http::HeaderMap, Value) {
        let response = error.into_response();
        let headers = response.headers().clone();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (headers, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn p11_a_refusal_says_which_where_and_how_long() {
        let (headers, body) = seen(Error::Refused(Box::new(Refusal {
            kind: ErrorKind::ResourceExhausted,
            reason: "RATE_LIMITED".to_owned(),
            message: "too fast".to_owned(),
            field: Some("content".to_owned()),
            retry_after: Some(Duration::from_micros(1_200_100)),
        })))
        .await;
        assert_eq!(headers[CONTENT_TYPE], "application/problem+json");
        assert_eq!(headers[RETRY_AFTER], "2");
        assert_eq!(
            body,
            json!({"type": "about:blank", "title": "Too Many Requests", "status": 429, "detail": "too fast",
                   "code": "RATE_LIMITED", "field": "content", "retry_after_ms": 1201})
        );
    }

    #[tokio::test]
    async fn what_does_not_apply_is_left_out() {
        let (headers, body) = seen(Error::NotFound).await;
        assert!(!headers.contains_key(RETRY_AFTER));
        assert_eq!(
            body,
            json!({"type": "about:blank", "title": "Not Found", "status": 404, "detail": "there is nothing here",
                   "code": "NOT_FOUND"})
        );
    }
}
