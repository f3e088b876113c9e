//! Page tokens.
//!
//! Owns how a place in a list travels through a client. Promises that a token is opaque, versioned and bound to its
//! query. Never holds anything secret.

use data_encoding::BASE64URL_NOPAD;

use crate::{
    domain::{Invalid, room::RoomName},
    error::Error,
};

/// What a token of `ListRooms` begins with once decoded: its version and its query.
const ROOMS: &str = "1:rooms:";

/// Makes the token that asks for the rooms after `name`.
pub(super) fn rooms_after(name: &RoomName) -> String {
    BASE64URL_NOPAD.encode(format!("{ROOMS}{name}").as_bytes())
}

/// Reads a token of `ListRooms`; an empty one asks for the first page.
///
/// # Errors
/// `INVALID_FIELD` on `page_token` where this service did not make it for this query.
pub(super) fn parse_rooms(token: &str) -> Result<Option<RoomName>, Error> {
    if token.is_empty() {
        return Ok(None);
    }
    let decoded =
        BASE64URL_NOPAD.decode(token.as_bytes()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let name = decoded
        .as_deref()
        .and_then(|text| text.strip_prefix(ROOMS))
        .and_then(|name| RoomName::parse(name).ok());
    name.map(Some).ok_or_else(|| Invalid::field("page_token", "this page token is not of this query").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_round_trips_and_a_foreign_one_is_refused() {
        let name = RoomName::parse("general").expect("a name");
        assert_eq!(parse_rooms(&rooms_after(&name)).expect("ours"), Some(name));
        assert_eq!(parse_rooms("").expect("the first page"), None);
        for wrong in [
            "x",
            "general",
            &BASE64URL_NOPAD.encode(b"1:messages:general"),
            &BASE64URL_NOPAD.encode(b"1:rooms:A B"),
        ] {
            assert_eq!(parse_rooms(wrong).expect_err("refused").field(), Some("page_token"), "{wrong}");
        }
    }
}
