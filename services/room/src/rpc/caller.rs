//! Who calls.
//!
//! Owns how metadata becomes a user, whether it is a gateway that calls, and whose address' rates a call counts to.
//! Promises that a unary call without credentials is the guest of its request key, so that its repeat is the same guest.
//! Never decides what a user may do.

use parlour_chassis::address::{Address, Proxies};
use tonic::{Request, metadata::MetadataMap};

use crate::{
    auth::{Auth, ServiceCredential},
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

/// Tells gateways from everybody else.
pub struct Door {
    credential: ServiceCredential,
    proxies: Proxies,
}

impl Door {
    /// Gateways carry this credential; of the rest, these proxies are believed about who calls through them.
    pub fn new(credential: ServiceCredential, proxies: Proxies) -> Self {
        Self { credential, proxies }
    }

    /// Lets only gateways in.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`.
    pub(super) fn admit_gateway(&self, metadata: &MetadataMap) -> Result<(), Error> {
        self.credential.check(text(metadata, "authorization"))
    }

    /// The address whose rates a call counts to: none for a gateway, which has counted already, nor for this machine.
    pub(super) fn address<T>(&self, request: &Request<T>) -> Option<Address> {
        if self.admit_gateway(request.metadata()).is_ok() {
            return None;
        }
        self.proxies.client(request.remote_addr()?, request.metadata().as_ref())
    }
}

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
