//! A relay's frames.
//!
//! Owns how the live side looks on a relay. Promises nothing else. Never decides what is sent.

use bytes::Bytes;
use parlour_proto::v1::{self, relay_frame::Frame as Down};

use super::super::{convert, status};
use crate::{
    domain::{ids::SessionId, message::User, room::RoomName},
    error::Error,
    hub::{
        live::Typing,
        presence::{Update, What},
    },
};

pub(super) fn session(session: SessionId) -> Bytes {
    Bytes::copy_from_slice(session.as_bytes())
}

/// An answer to a request of a session.
pub(super) fn answer(id: SessionId, request: u64, outcome: Result<v1::Ack, Error>) -> Down {
    let outcome = match outcome {
        Ok(ack) => v1::session_answer::Outcome::Ack(ack),
        Err(error) => v1::session_answer::Outcome::Error(status::to_frame(&error)),
    };
    Down::Answer(v1::SessionAnswer { session: session(id), request, outcome: Some(outcome) })
}

/// A session's reader ends.
pub(super) fn gone(id: SessionId, room: &RoomName, reason: &str) -> Down {
    Down::Gone(v1::SessionGone { session: session(id), room: room.to_string(), reason: reason.to_owned() })
}

/// A session is admitted.
pub(super) fn joined(id: SessionId, request: u64, room: &RoomName, as_of: u64, user: &User) -> Down {
    Down::Joined(v1::SessionJoined {
        session: session(id),
        request,
        room: room.to_string(),
        as_of,
        user: Some(convert::user(user)),
    })
}

/// Someone is typing.
pub(super) fn typing(room: &RoomName, typing: &Typing) -> Down {
    Down::Typing(v1::RoomTyping {
        session: session(typing.session),
        typing: Some(v1::Typing {
            room: room.to_string(),
            user: Some(convert::user(&typing.user)),
            typing: typing.typing,
        }),
    })
}

/// How presence moved on; `None` where it has not.
pub(super) fn presence(room: &RoomName, update: &Update) -> Option<v1::RoomPresence> {
    let mut presence = v1::Presence {
        room: room.to_string(),
        count: u32::try_from(update.count).unwrap_or(u32::MAX),
        ..v1::Presence::default()
    };
    match &update.what {
        What::Nothing => return None,
        What::Count => {}
        What::Diff(diff) => {
            presence.joined = diff.joined.iter().map(convert::user).collect();
            presence.left = diff.left.iter().map(convert::user).collect();
            presence.changed = diff.changed.iter().map(convert::user).collect();
        }
        What::Whole(users) => {
            presence.snapshot = true;
            presence.users = users.iter().map(convert::user).collect();
        }
    }
    let settling = presence.snapshot && update.settling;
    Some(v1::RoomPresence { presence: Some(presence), settling })
}
