//! Who is who.
//!
//! Owns how credentials become a user: guests by their session, name, request key or token, and the gateways' service
//! credential. Promises that the same credentials give the same user on every replica, and comparisons in constant time.
//! Never decides what a user may do in a room.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{
    domain::{
        ids::{SessionId, UserId, base32},
        message::{DisplayName, RequestKey, User},
    },
    error::Error,
    store::GuestKey,
};

/// What every guest's id begins with; a token's `sub` may not.
pub const GUEST_PREFIX: &str = "guest_";
/// The id of the key that is configured; those of the store count from 1.
const CONFIGURED_KEY: u32 = 0;
/// The bytes of a guest's id, and of a guest token's signature.
const ID_BYTES: usize = 16;

/// Turns credentials into users.
pub struct Auth {
    /// Never empty; the last one signs.
    keys: Vec<Key>,
    guests_allowed: bool,
}

struct Key {
    id: u32,
    hmac: Hmac<Sha256>,
}

impl Auth {
    /// Makes one from the store's keys; a configured key signs instead of them, and theirs still verify.
    pub fn new(stored: &[GuestKey], configured: Option<&str>, guests_allowed: bool) -> Self {
        let stored = stored.iter().map(|key| Key::new(key.id, &key.secret));
        let configured = configured.map(|secret| Key::new(CONFIGURED_KEY, &Sha256::digest(secret)));
        Self { keys: stored.chain(configured).collect(), guests_allowed }
    }

    /// Whether guests may come in.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` where they may not.
    pub fn admit_guests(&self) -> Result<(), Error> {
        if self.guests_allowed { Ok(()) } else { Err(Error::Unauthenticated("guests are not let in here")) }
    }

    /// The guest that opening this session makes: anywhere, and again, the same.
    pub fn guest_of_session(&self, session: &SessionId) -> UserId {
        self.guest("session", session.as_bytes())
    }

    /// The guest of a name, which a plain session speaks as.
    pub fn guest_of_name(&self, name: &DisplayName) -> User {
        let id = self.guest("name", name.as_str().as_bytes());
        User { id, name: name.clone(), guest: true }
    }

    /// The guest of a request key, which an unary call without credentials is.
    pub fn guest_of_key(&self, key: &RequestKey) -> UserId {
        self.guest("key", key.as_str().as_bytes())
    }

    /// Signs what makes someone the same guest next time: `key id.guest id.signature`. It does not expire.
    pub fn sign(&self, guest: &UserId) -> String {
        let key = self.signer();
        let id = guest.as_str().strip_prefix(GUEST_PREFIX).unwrap_or(guest.as_str());
        format!("{}.{id}.{}", key.id, base32(&key.mac(&["token", id])[..ID_BYTES]))
    }

    /// The guest of a guest token, or `None` where it does not verify.
    pub fn verify(&self, token: &str) -> Option<UserId> {
        let mut parts = token.splitn(3, '.');
        let (key, id, signature) = (parts.next()?, parts.next()?, parts.next()?);
        let key: u32 = key.parse().ok()?;
        let key = self.keys.iter().find(|known| known.id == key)?;
        let expected = base32(&key.mac(&["token", id])[..ID_BYTES]);
        let is_valid: bool = expected.as_bytes().ct_eq(signature.as_bytes()).into();
        is_valid.then(|| UserId::new(format!("{GUEST_PREFIX}{id}")))
    }

    fn guest(&self, kind: &str, value: &[u8]) -> UserId {
        let mac = self.signer().mac_bytes(&[kind.as_bytes(), value]);
        UserId::new(format!("{GUEST_PREFIX}{}", base32(&mac[..ID_BYTES])))
    }

    fn signer(&self) -> &Key {
        self.keys.last().expect("a store always has a key")
    }
}

impl Key {
    fn new(id: u32, secret: &[u8]) -> Self {
        Self { id, hmac: Hmac::new_from_slice(secret).expect("HMAC takes a key of any length") }
    }

    fn mac(&self, parts: &[&str]) -> [u8; 32] {
        self.mac_bytes(&parts.iter().map(|part| part.as_bytes()).collect::<Vec<_>>())
    }

    /// HMAC-SHA-256 over the parts with a zero byte between them.
    fn mac_bytes(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut hmac = self.hmac.clone();
        hmac.update(&parts.join(&0));
        hmac.finalize().into_bytes().into()
    }
}

/// What lets a gateway call `Relay`: kept as a hash, so that comparing takes the same time whatever is offered.
#[derive(Clone)]
pub struct ServiceCredential(Option<[u8; 32]>);

impl ServiceCredential {
    /// Takes the configured token; without one every caller passes, which only a loopback listener may allow.
    pub fn new(token: Option<&str>) -> Self {
        Self(token.map(|token| Sha256::digest(token).into()))
    }

    /// Checks the value of an `authorization` header.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`.
    pub fn check(&self, authorization: Option<&str>) -> Result<(), Error> {
        let Some(expected) = &self.0 else { return Ok(()) };
        let offered = authorization.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        if expected.ct_eq(&Sha256::digest(offered)[..]).into() {
            Ok(())
        } else {
            Err(Error::Unauthenticated("this call needs the service credential"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: u32) -> GuestKey {
        GuestKey { id, secret: [u8::try_from(id).expect("small"); 32] }
    }

    #[test]
    fn a_guest_is_the_same_again_and_nobody_else() {
        let auth = Auth::new(&[key(1)], None, true);
        let session = SessionId::generate();
        let ada = auth.guest_of_session(&session);
        assert_eq!(ada, auth.guest_of_session(&session));
        assert_eq!(ada.as_str().len(), GUEST_PREFIX.len() + 26);
        assert_ne!(ada, auth.guest_of_session(&SessionId::generate()));
        let name = DisplayName::parse("k").expect("a name");
        let key = RequestKey::parse("k", "id").expect("a key");
        assert_ne!(auth.guest_of_name(&name).id, auth.guest_of_key(&key), "kinds are apart");
    }

    #[test]
    fn a_guest_token_verifies_by_the_key_it_names_and_not_when_touched() {
        let old = Auth::new(&[key(1)], None, true);
        let guest = old.guest_of_session(&SessionId::generate());
        let token = old.sign(&guest);
        let rotated = Auth::new(&[key(1), key(2)], Some("configured"), true);
        assert_eq!(rotated.verify(&token), Some(guest.clone()));
        assert_eq!(rotated.verify(&rotated.sign(&guest)), Some(guest));
        assert_eq!(
            old.verify(&rotated.sign(&old.guest_of_session(&SessionId::generate()))),
            None,
            "unknown key"
        );
        for at in 0..token.len() {
            let mut touched = token.clone().into_bytes();
            touched[at] ^= 1;
            assert_eq!(old.verify(&String::from_utf8(touched).expect("ASCII")), None, "byte {at}");
        }
        for wrong in ["", ".", "..", "1..", "1.A", "x.A.B"] {
            assert_eq!(old.verify(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_service_credential_is_checked_where_one_is_configured() {
        assert!(ServiceCredential::new(None).check(None).is_ok());
        let credential = ServiceCredential::new(Some("secret"));
        assert!(credential.check(Some("Bearer secret")).is_ok());
        for wrong in
            [None, Some(""), Some("secret"), Some("Bearer "), Some("Bearer Secret"), Some("bearer secret")]
        {
            assert!(credential.check(wrong).is_err(), "{wrong:?}");
        }
    }
}
