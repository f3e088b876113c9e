//! Who calls.
//!
//! Owns what a request to `/api` carries on to the room service: its key, and a guest's token. Promises that every
//! append has a key, so that it can be made again. Never judges a credential.

use axum::extract::FromRequestParts;
use http::{HeaderMap, HeaderName, request::Parts};
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue},
};

use crate::{error::Error, limits, upstream::made_key};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const GUEST_TOKEN: &str = "x-parlour-guest-token";

/// What goes with a call.
pub(super) struct Caller {
    key: String,
    guest_token: Option<MetadataValue<Ascii>>,
}

impl Caller {
    /// The request key: the client's, or one made here.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// A call with the caller's credentials.
    pub(super) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(token) = &self.guest_token {
            request.metadata_mut().insert(GUEST_TOKEN, token.clone());
        }
        request
    }

    fn read(headers: &HeaderMap) -> Result<Self, Error> {
        let key =
            headers.get(KEY).map(|value| value.to_str().ok().and_then(key).ok_or(BAD_KEY)).transpose()?;
        let token = headers.get(GUEST_TOKEN).map(|value| MetadataValue::try_from(value.as_bytes()));
        let guest_token = token.transpose().map_err(|_| BAD_TOKEN)?;
        Ok(Self { key: key.unwrap_or_else(made_key), guest_token })
    }
}

const BAD_KEY: Error =
    Error::Invalid { field: "Idempotency-Key", expected: "1 to 64 printable ASCII characters" };
const BAD_TOKEN: Error = Error::Invalid { field: "X-Parlour-Guest-Token", expected: "in ASCII" };

/// Reads a key, as it is or as a quoted string (which the header's draft asks for).
fn key(text: &str) -> Option<String> {
    let text = text.trim();
    let key = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let is_key = (1..=limits::NAME_CHARS).contains(&key.len())
        && key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    is_key.then(|| key.to_owned())
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        Self::read(&parts.headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(key: Option<&str>) -> Result<Caller, Error> {
        let mut headers = HeaderMap::new();
        if let Some(key) = key {
            headers.insert(KEY, key.parse().unwrap());
        }
        Caller::read(&headers)
    }

    #[test]
    fn p5_every_append_has_a_key_the_clients_or_one_of_its_own() {
        assert_eq!(read(Some("abc")).unwrap().key(), "abc");
        assert_eq!(read(Some("\"abc\"")).unwrap().key(), "abc");
        let made = [read(None).unwrap(), read(None).unwrap()];
        assert_ne!(made[0].key(), made[1].key());
        assert_eq!(made[0].key().len(), 32);
    }

    #[test]
    fn a_key_that_is_none_is_refused_with_its_field() {
        for wrong in ["", "\"\"", &"x".repeat(65), "caf\u{e9}"] {
            assert_eq!(read(Some(wrong)).err().unwrap().field(), Some("Idempotency-Key"), "{wrong}");
        }
    }
}
