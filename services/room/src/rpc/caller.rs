//! Who makes an unary call.
//!
//! Owns how metadata becomes a user. Promises that a call without credentials is the guest of its request key, so that
//! its repeat is the same guest. Never decides what a user may do.

use tonic::metadata::MetadataMap;

use crate::{
    auth::Auth,
    domain::{
        ids::UserId,
        message::{DisplayName, RequestKey, User},
    },
    error::Error,
};

/// Metadata that holds a guest's token.
const GUEST_TOKEN: &str = "x-parlour-guest-token";
/// Metadata that holds a guest's display name, in ASCII.
const NAME: &str = "x-parlour-name";

/// The user who calls: the guest of their token, or of `key`. `name` is the request's own display name.
///
/// # Errors
/// `UNAUTHENTICATED` where guests are not let in or the token does not verify, `INVALID_NAME`.
pub(super) fn guest(
    auth: &Auth,
    metadata: &MetadataMap,
    key: &RequestKey,
    name: &str,
) -> Result<User, Error> {
    auth.admit_guests()?;
    let id = match text(metadata, GUEST_TOKEN) {
        Some(token) => verified(auth, token)?,
        None => auth.guest_of_key(key),
    };
    let name = if name.is_empty() { text(metadata, NAME).unwrap_or_default() } else { name };
    Ok(User { id, name: DisplayName::parse(name)?, guest: true })
}

/// A request's key, or one made here where it has none.
///
/// # Errors
/// `INVALID_FIELD` on `field`.
pub(super) fn key(text: &str, field: &'static str) -> Result<(RequestKey, bool), Error> {
    if text.is_empty() {
        return Ok((RequestKey::generate(), false));
    }
    Ok((RequestKey::parse(text, field)?, true))
}

fn verified(auth: &Auth, token: &str) -> Result<UserId, Error> {
    auth.verify(token).ok_or(Error::Unauthenticated("this guest token does not verify"))
}

fn text<'a>(metadata: &'a MetadataMap, name: &str) -> Option<&'a str> {
    metadata.get(name).and_then(|value| value.to_str().ok())
}
