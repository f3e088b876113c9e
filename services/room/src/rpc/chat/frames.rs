//! A session's frames.
//!
//! Owns how the live side looks on a `Chat` stream. Promises nothing else. Never decides what is sent.

use std::collections::HashMap;

use parlour_feed::{Cursor, ResyncReason, Weigh};
use parlour_proto::v1::{self, chat_response::Frame as Down};
use prost::Message as _;

use super::super::{convert, status, stream::Turn};
use crate::{
    domain::room::RoomName,
    error::Error,
    hub::{
        live::Typing,
        presence::{Update, What},
    },
    rooms::{Place, Sent},
};

/// A response on its way, with the turn of a page.
#[derive(Debug)]
pub(super) struct Response(pub(super) v1::ChatResponse, pub(super) Option<Turn>);

impl Weigh for Response {
    fn bytes(&self) -> usize {
        self.0.encoded_len() + 8
    }
}

pub(super) fn response(id: &str, frame: Down) -> Response {
    Response(v1::ChatResponse { id: id.to_owned(), frame: Some(frame) }, None)
}

pub(super) fn refusal(error: &Error) -> Down {
    Down::Error(status::to_frame(error))
}

/// A request was done.
pub(super) fn ack(place: &Place, sent: Option<&Sent>) -> Down {
    Down::Ack(v1::Ack {
        room: Some(place.name.to_string()),
        seq: sent.map(|sent| sent.event.seq),
        created_at: sent.map(|sent| convert::timestamp(sent.event.created_at)),
    })
}

pub(super) fn gone(room: &str, reason: &str) -> Down {
    Down::Gone(v1::Gone { room: room.to_owned(), reason: reason.to_owned() })
}

pub(super) fn resync(room: &RoomName, cursor: Cursor, reason: ResyncReason) -> Down {
    Down::Resync(v1::Resync {
        room: room.to_string(),
        cursor: cursor.to_string(),
        reason: reason.as_str().to_owned(),
    })
}

pub(super) fn typing(room: &RoomName, typing: &Typing) -> Down {
    Down::Typing(v1::Typing {
        room: room.to_string(),
        user: Some(convert::user(&typing.user)),
        typing: typing.typing,
    })
}

pub(super) fn heartbeat(heads: HashMap<String, String>) -> Down {
    Down::Heartbeat(v1::Heartbeat { heads })
}

/// How presence moved on, without names for one who only monitors; `None` where it has not.
pub(super) fn presence(room: &RoomName, update: &Update, monitors: bool) -> Option<Down> {
    let mut presence = v1::Presence {
        room: room.to_string(),
        count: u32::try_from(update.count).unwrap_or(u32::MAX),
        ..v1::Presence::default()
    };
    match &update.what {
        What::Nothing => return None,
        What::Count => {}
        _ if monitors => {}
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
    Some(Down::Presence(presence))
}
