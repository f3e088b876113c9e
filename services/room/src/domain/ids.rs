//! Identities.
//!
//! Owns the newtypes that name rooms, users and sessions. Promises that each parses once and prints the same. Never
//! decides who may do what.

use std::{fmt, sync::Arc};

use uuid::Uuid;

/// A room's id: `R` and 26 upper-case base32 characters (a version 7 UUID's 128 bits), so never a room's name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomId(Arc<str>);

impl RoomId {
    /// Makes a new one.
    pub fn generate() -> Self {
        Self(format!("R{}", base32(Uuid::now_v7().as_bytes())).into())
    }

    /// Reads one, or returns `None` where the text is not of that form.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix('R')?;
        (rest.len() == 26 && rest.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7')))
            .then(|| Self(text.into()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A user's id: a token's `sub`, or `guest_` and 26 base32 characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(Arc<str>);

impl UserId {
    /// Takes an id that this service made or a verified token carried.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A session's identity: 128 random bits made by whoever holds the connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId([u8; 16]);

impl SessionId {
    /// Makes a new one.
    pub fn generate() -> Self {
        Self(*Uuid::new_v4().as_bytes())
    }

    /// Reads 16 bytes, or returns `None` for any other length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Prints bytes in upper-case base32 without padding: 26 characters for 16 bytes.
pub fn base32(bytes: &[u8]) -> String {
    data_encoding::BASE32_NOPAD.encode(bytes)
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_id_round_trips_and_is_never_a_name() {
        let id = RoomId::generate();
        assert_eq!(RoomId::parse(id.as_str()), Some(id.clone()));
        assert!(crate::domain::room::RoomName::parse(id.as_str()).is_err());
        for wrong in ["", "R", "general", "r0000", &id.as_str().to_lowercase(), &format!("{id}A")] {
            assert_eq!(RoomId::parse(wrong), None, "{wrong}");
        }
    }
}
