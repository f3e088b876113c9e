//! Request bodies.
//!
//! Owns how a JSON object of `/api` is read. Promises that what is wrong is refused with the field at fault, and that
//! unknown fields are ignored (P12). Never judges what a value means.

use axum::extract::{FromRequest, Request, rejection::BytesRejection};
use bytes::Bytes;
use http::{StatusCode, header::CONTENT_TYPE};
use serde_json::{Map, Value};

use crate::error::Error;

/// The JSON object of a request.
pub(super) struct Object(Map<String, Value>);

impl Object {
    /// A text that may be absent; `null` counts as absent.
    pub(super) fn text(&mut self, field: &'static str) -> Result<Option<String>, Error> {
        match self.0.remove(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Error::Invalid { field, expected: "a string" }),
        }
    }

    /// A text that must be there.
    pub(super) fn required_text(&mut self, field: &'static str) -> Result<String, Error> {
        self.text(field)?.ok_or(Error::Missing(field))
    }

    /// A whole number that may be absent; `null` counts as absent.
    pub(super) fn number(&mut self, field: &'static str) -> Result<Option<u64>, Error> {
        match self.0.remove(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                value.as_u64().map(Some).ok_or(Error::Invalid { field, expected: "a whole number" })
            }
        }
    }

    fn parse(bytes: &[u8]) -> Result<Self, Error> {
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(object)) => Ok(Self(object)),
            _ => Err(Error::NotAnObject),
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for Object {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        // A form of a foreign page can send other types without asking; this one it cannot.
        if !is_json(&request) {
            return Err(Error::NotJson);
        }
        Self::parse(&Bytes::from_request(request, state).await.map_err(refuse)?)
    }
}

fn is_json(request: &Request) -> bool {
    let value = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.and_then(|value| value.split(';').next()).map(str::trim);
    essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"))
}

fn refuse(rejection: BytesRejection) -> Error {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE { Error::TooLarge } else { Error::NotAnObject }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_told_apart_from_what_is_missing_or_of_another_type() {
        let mut object =
            Object::parse(br#"{"content":"x","reply_to":3,"username":null,"later":[1]}"#).unwrap();
        assert_eq!(object.required_text("content").unwrap(), "x");
        assert_eq!(object.number("reply_to").unwrap(), Some(3));
        assert_eq!(object.text("username").unwrap(), None);
        assert!(matches!(object.required_text("title"), Err(Error::Missing("title"))));
        assert!(matches!(object.text("later"), Err(Error::Invalid { field: "later", .. })));
    }

    #[test]
    fn numbers_are_whole_and_not_negative() {
        for wrong in ["-1", "1.5", "\"1\"", "true", "18446744073709551616"] {
            let mut object = Object::parse(format!(r#"{{"n":{wrong}}}"#).as_bytes()).unwrap();
            assert!(object.number("n").is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for wrong in ["", "[]", "1", "{", "{\"a\":1}x", "\u{feff}{}", &deep] {
            assert!(Object::parse(wrong.as_bytes()).is_err());
        }
        assert!(Object::parse(b"{\"a\":\"\xff\"}").is_err());
    }
}
