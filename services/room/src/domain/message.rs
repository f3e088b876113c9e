//! Messages and their authors.
//!
//! Owns what a message, its text, its key and its author's display name may be. Promises that a value of these types
//! is valid. Never stores or sends one.

use std::{fmt, sync::Arc};

use parlour_feed::cursor::Seq;
use uuid::Uuid;

use super::{Invalid, ids::UserId};

/// The longest display name, in characters.
pub const NAME_CHARS: usize = 64;
/// The longest request key, in characters.
pub const KEY_CHARS: usize = 64;

/// Who someone is, as the others see them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// Their display name.
    pub name: DisplayName,
    /// Whether they are a guest.
    pub guest: bool,
}

/// A display name: 1 to 64 characters, not blank, no control characters and none of `< > & "`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DisplayName(Arc<str>);

impl DisplayName {
    /// Reads a guest's name; surrounding white space is taken off, nothing at all is `Guest`.
    ///
    /// # Errors
    /// `INVALID_NAME` where it is too long or holds a character that may not be in a name.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let name = text.trim();
        if name.is_empty() {
            return Ok(Self::guest());
        }
        let is_valid = name.chars().count() <= NAME_CHARS
            && !name.chars().any(|c| c.is_control() || matches!(c, '<' | '>' | '&' | '"'));
        is_valid.then(|| Self(name.into())).ok_or_else(|| Invalid {
            reason: "INVALID_NAME",
            field: "name",
            message: "a name is 1 to 64 characters without control characters and without < > & \"".into(),
        })
    }

    /// Takes a name that was valid when it was stored.
    pub fn stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The name of whoever gives none.
    pub fn guest() -> Self {
        Self("Guest".into())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DisplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DisplayName(_)") // names stay out of logs
    }
}

/// What makes a repeat harmless: 1 to 64 printable ASCII characters, unique to its user and room.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestKey(Arc<str>);

impl RequestKey {
    /// Reads a key.
    ///
    /// # Errors
    /// `INVALID_FIELD` on `field` where it is not 1 to 64 printable ASCII characters.
    pub fn parse(text: &str, field: &'static str) -> Result<Self, Invalid> {
        let is_valid =
            (1..=KEY_CHARS).contains(&text.len()) && text.bytes().all(|b| (0x20..0x7f).contains(&b));
        is_valid
            .then(|| Self(text.into()))
            .ok_or_else(|| Invalid::field(field, "a key is 1 to 64 printable ASCII characters"))
    }

    /// Makes one for a request that came without. It begins with the time, so that the store's index of keys grows at a
    /// room's end.
    pub fn generate() -> Self {
        Self(Uuid::now_v7().simple().to_string().into())
    }

    /// Takes a key that was valid when it was stored.
    pub fn stored(text: &str) -> Self {
        Self(text.into())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A message as the log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The seq of the event that posted it.
    pub id: Seq,
    /// Its author, with the display name of that time.
    pub user: User,
    /// Its text.
    pub content: String,
    /// The key its client gave it; `None` where the service made the key.
    pub client_message_id: Option<RequestKey>,
    /// The message it answers.
    pub reply_to: Option<Seq>,
    /// When it was committed, in microseconds since 1970.
    pub created_at: i64,
}

/// Checks a message's text.
///
/// # Errors
/// `INVALID_CONTENT` where it is blank, longer than `limit_chars`, or holds U+0000.
pub fn check_content(content: &str, limit_chars: usize) -> Result<(), Invalid> {
    let message = if content.trim().is_empty() {
        "a message may not be blank".to_owned()
    } else if content.len() > limit_chars && content.chars().count() > limit_chars {
        format!("a message is at most {limit_chars} characters")
    } else if content.contains('\0') {
        "a message may not hold U+0000".to_owned()
    } else {
        return Ok(());
    };
    Err(Invalid { reason: "INVALID_CONTENT", field: "content", message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keys_and_texts_are_checked_at_their_edges() {
        assert_eq!(DisplayName::parse("  ").expect("blank is Guest").as_str(), "Guest");
        assert_eq!(DisplayName::parse(" Ada ").expect("trimmed").as_str(), "Ada");
        assert!(DisplayName::parse(&"é".repeat(64)).is_ok());
        for wrong in ["a<b", "a>b", "a&b", "a\"b", "a\u{7}b", &"x".repeat(65)] {
            assert_eq!(DisplayName::parse(wrong).expect_err("refused").reason, "INVALID_NAME");
        }
        assert!(RequestKey::parse(&"k".repeat(64), "id").is_ok());
        for wrong in ["", "é", "a\n", &"k".repeat(65)] {
            assert!(RequestKey::parse(wrong, "id").is_err());
        }
        assert!(check_content(&"😀".repeat(4_000), 4_000).is_ok());
        for wrong in ["", " \n\t\u{3000}", "a\0b", &"x".repeat(4_001)] {
            assert_eq!(check_content(wrong, 4_000).expect_err("refused").reason, "INVALID_CONTENT");
        }
    }
}
