//! Queries.
//!
//! Owns how `?name=value` is read. Promises that what is wrong is refused with the field at fault, and that unknown
//! names are ignored (P12). Never judges what a value means.

use std::collections::HashMap;

use axum::extract::{FromRequestParts, Query as Pairs};
use http::request::Parts;

use crate::error::Error;

/// The names and values of a query; of two values of a name the last holds.
pub(super) struct Query(HashMap<String, String>);

impl Query {
    /// A text, empty where absent.
    pub(super) fn text(&mut self, name: &str) -> String {
        self.0.remove(name).unwrap_or_default()
    }

    /// A whole number that may be absent.
    pub(super) fn number(&self, name: &'static str) -> Result<Option<u64>, Error> {
        let parse = |text: &String| {
            text.parse().map_err(|_| Error::Invalid { field: name, expected: "a whole number" })
        };
        self.0.get(name).map(parse).transpose()
    }

    /// The size of a page: 0 where absent, so that the room service's default holds. Too much is its cap.
    pub(super) fn size(&self, name: &'static str) -> Result<i32, Error> {
        Ok(self.number(name)?.map_or(0, |size| i32::try_from(size).unwrap_or(i32::MAX)))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        Pairs::try_from_uri(&parts.uri)
            .map(|Pairs(pairs)| Self(pairs))
            .map_err(|_| Error::Invalid { field: "query", expected: "names and values in UTF-8" })
    }
}
