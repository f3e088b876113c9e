//! The plain dialect's requests.
//!
//! Owns what each frame of the plain dialect asks for. Promises that a plain session is nobody but its names, and that
//! each of its sends has a key, so that the gateway can say it again (P5). Never answers with an ack.

use std::sync::Arc;

use parlour_proto::v1 as proto;
use parlour_proto::v1::open_session::Credentials;

use super::{Dialect, Held, Joining, Session, Socket};
use crate::{
    upstream,
    ws::plain::{Request, Verb},
};

impl<S: Socket> Session<S> {
    /// The first frame was a plain one.
    pub(super) fn open_plain(&mut self) {
        self.dialect = Dialect::Plain;
        let credentials = Some(Credentials::Plain(proto::PlainSession {}));
        self.relay.open(proto::OpenSession { credentials, ..Default::default() });
    }

    /// Does what a frame asks.
    pub(super) fn plain(&mut self, request: Request) {
        let Some(room) = self.room_name(&request.room) else { return self.hold(Held::Plain(request)) };
        if matches!(request.verb, Verb::Join { .. }) && self.is_joining(&room) {
            return self.hold(Held::Plain(request));
        }
        match request.verb {
            Verb::Join { monitor } => self.join(Joining {
                id: String::new(),
                room,
                named: request.room,
                name: request.name,
                is_monitor: monitor,
                is_first: false,
                cursor: None,
                history: 0,
            }),
            Verb::Message { content } => {
                let post = proto::SessionPost {
                    room: room.to_string(),
                    content,
                    key: upstream::made_key(),
                    name: request.name,
                    ..Default::default()
                };
                self.post(String::new(), request.room, post);
            }
            Verb::Typing { typing } => self.typing_plain(&room, request.name, typing),
        }
    }

    fn typing_plain(&mut self, room: &Arc<str>, name: String, typing: bool) {
        if let Some(seat) = self.seats.get_mut(room)
            && seat.may_type(typing)
        {
            self.relay.typing(room, name, typing);
        }
    }
}
