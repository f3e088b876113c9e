//! What an event looks like as a row.
//!
//! Owns the columns that both stores share and their meaning. Promises that a body survives the way there and back.
//! Never knows a driver.

use std::time::{SystemTime, UNIX_EPOCH};

use parlour_feed::cursor::Seq;

use super::StoreError;
use crate::domain::{event::Body, room::Visibility};

/// The kind of an event that posted a message.
pub(super) const MESSAGE: &str = "message";
/// The kind of an event that changed its room.
pub(super) const ROOM_CHANGED: &str = "room_changed";

/// A body as columns; those that are not of its kind are `None`.
#[derive(Debug, Default)]
pub(super) struct Columns<'a> {
    pub(super) kind: &'a str,
    pub(super) content: Option<&'a str>,
    pub(super) reply_to: Option<i64>,
    pub(super) title: Option<&'a str>,
    pub(super) topic: Option<&'a str>,
    pub(super) archived: Option<bool>,
}

impl<'a> Columns<'a> {
    pub(super) fn of(body: &'a Body) -> Self {
        match body {
            Body::Message { content, reply_to } => Self {
                kind: MESSAGE,
                content: Some(content),
                reply_to: reply_to.map(seq_in),
                ..Self::default()
            },
            Body::RoomChanged { title, topic, archived } => Self {
                kind: ROOM_CHANGED,
                title: Some(title),
                topic: Some(topic),
                archived: Some(*archived),
                ..Self::default()
            },
        }
    }

    pub(super) fn body(&self) -> Result<Body, StoreError> {
        match self {
            Self { kind: MESSAGE, content: Some(content), reply_to, .. } => {
                Ok(Body::Message { content: (*content).into(), reply_to: reply_to.map(seq_out).transpose()? })
            }
            Self {
                kind: ROOM_CHANGED,
                title: Some(title),
                topic: Some(topic),
                archived: Some(archived),
                ..
            } => {
                Ok(Body::RoomChanged { title: (*title).into(), topic: (*topic).into(), archived: *archived })
            }
            Self { kind, .. } => Err(StoreError::Unusable(format!(
                "the log holds an event of kind \"{kind}\" that this program cannot read: it was written by another \
                 program"
            ))),
        }
    }
}

/// A seq as the stores have it; one beyond what they hold is beyond every log.
pub(super) fn seq_in(seq: Seq) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

/// A seq as the stores had it.
pub(super) fn seq_out(seq: i64) -> Result<Seq, StoreError> {
    Seq::try_from(seq).map_err(|_| StoreError::Unusable(format!("the log holds a seq of {seq}")))
}

/// A limit, or a small number of ours, as the stores take it.
pub(super) fn limit_in(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// A visibility as the stores have it.
pub(super) fn visibility_in(visibility: Visibility) -> &'static str {
    match visibility {
        Visibility::Public => "public",
    }
}

/// A visibility as the stores had it.
pub(super) fn visibility_out(text: &str) -> Result<Visibility, StoreError> {
    match text {
        "public" => Ok(Visibility::Public),
        other => Err(StoreError::Unusable(format!("a room has the unknown visibility \"{other}\""))),
    }
}

/// The time now, in microseconds since 1970.
pub(super) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_survives_the_way_there_and_back() {
        for body in [
            Body::Message { content: "hello".into(), reply_to: None },
            Body::Message { content: String::new(), reply_to: Some(7) },
            Body::RoomChanged { title: "T".into(), topic: String::new(), archived: true },
        ] {
            assert_eq!(Columns::of(&body).body(), Ok(body.clone()));
        }
        assert!(Columns { kind: "of-tomorrow", ..Columns::default() }.body().is_err());
        assert!(Columns { kind: MESSAGE, ..Columns::default() }.body().is_err(), "a message without content");
    }
}
