//! The methods of `RoomService`.
//!
//! Owns the way from a request to a verb and back: convert, call, convert. Promises typed refusals. Never decides what a
//! room allows.

use std::sync::Arc;

use parlour_chassis::tasks::Tasks;
use parlour_feed::cursor::Cursor;
use parlour_proto::v1::{self, room_service_server::RoomService};
use tonic::{Request, Response, Status, Streaming};

use super::{
    caller::{self, Door},
    chat, convert, page_token, relay, status, stream,
};
use crate::{
    auth::Auth,
    domain::{
        Invalid,
        room::{NewRoom, Room, RoomName, Visibility},
    },
    error::Error,
    rooms::{After, Change, RateKey, RoomRef, Rooms, Send, settings},
    store::Span,
};

/// The service behind the port.
pub struct Service {
    rooms: Rooms,
    auth: Arc<Auth>,
    door: Door,
    chats: chat::Chats,
    relays: relay::Relays,
}

impl Service {
    /// Makes it over the verbs; its streams are tasks of `tasks`, whose drain ends them.
    pub fn new(rooms: Rooms, auth: Arc<Auth>, door: Door, tasks: &Tasks) -> Self {
        let relays = relay::Relays::new(rooms.clone(), Arc::clone(&auth), tasks.clone());
        let chats = chat::Chats::new(rooms.clone(), Arc::clone(&auth), tasks.clone());
        Self { rooms, auth, door, chats, relays }
    }

    fn shown(&self, room: &Room) -> v1::Room {
        convert::room(room, self.rooms.online(&room.id))
    }
}

/// What every method answers.
type Answer<T> = Result<Response<T>, Status>;

fn answer<T>(done: Result<T, Error>) -> Answer<T> {
    done.map(Response::new).map_err(|error| status::from_error(&error))
}

fn streams<T>(opened: Result<stream::Responses<T>, Error>) -> Answer<stream::Responses<T>> {
    opened.map(stream::answer).map_err(|error| status::from_error(&error))
}

#[tonic::async_trait]
impl RoomService for Service {
    async fn create_room(&self, request: Request<v1::CreateRoomRequest>) -> Answer<v1::CreateRoomResponse> {
        answer(self.create(request).await)
    }

    async fn get_room(&self, request: Request<v1::GetRoomRequest>) -> Answer<v1::GetRoomResponse> {
        answer(self.get(&request.into_inner().room).await)
    }

    async fn list_rooms(&self, request: Request<v1::ListRoomsRequest>) -> Answer<v1::ListRoomsResponse> {
        answer(self.list(request.into_inner()).await)
    }

    async fn update_room(&self, request: Request<v1::UpdateRoomRequest>) -> Answer<v1::UpdateRoomResponse> {
        answer(self.update(request).await)
    }

    async fn archive_room(
        &self,
        request: Request<v1::ArchiveRoomRequest>,
    ) -> Answer<v1::ArchiveRoomResponse> {
        answer(self.archive(request).await)
    }

    async fn send_message(
        &self,
        request: Request<v1::SendMessageRequest>,
    ) -> Answer<v1::SendMessageResponse> {
        answer(self.send(request).await)
    }

    async fn get_message(&self, request: Request<v1::GetMessageRequest>) -> Answer<v1::GetMessageResponse> {
        answer(self.message(request.into_inner()).await)
    }

    async fn list_messages(
        &self,
        request: Request<v1::ListMessagesRequest>,
    ) -> Answer<v1::ListMessagesResponse> {
        answer(self.messages(request.into_inner()).await)
    }

    async fn list_events(&self, request: Request<v1::ListEventsRequest>) -> Answer<v1::ListEventsResponse> {
        answer(self.events(request.into_inner()).await)
    }

    async fn get_presence(
        &self,
        request: Request<v1::GetPresenceRequest>,
    ) -> Answer<v1::GetPresenceResponse> {
        answer(self.presence(&request.into_inner().room).await)
    }

    type ChatStream = chat::Responses;

    async fn chat(&self, request: Request<Streaming<v1::ChatRequest>>) -> Answer<Self::ChatStream> {
        let from = self.door.address(&request);
        streams(self.chats.open(request.into_inner(), from))
    }

    type RelayStream = relay::Responses;

    async fn relay(&self, request: Request<Streaming<v1::RelayRequest>>) -> Answer<Self::RelayStream> {
        let admitted = self.door.admit_gateway(request.metadata());
        streams(admitted.and_then(|()| self.relays.open(request.into_inner())))
    }
}

impl Service {
    async fn create(&self, request: Request<v1::CreateRoomRequest>) -> Result<v1::CreateRoomResponse, Error> {
        let from = self.door.address(&request);
        let (metadata, _, asked) = request.into_parts();
        let (key, is_given) = caller::key(&asked.request_id, "request_id")?;
        let caller = caller::guest(&self.auth, &metadata, &key, "")?;
        if asked.name.is_empty() {
            return Err(Error::Missing("name"));
        }
        let name = RoomName::parse(&asked.name)?;
        let room = NewRoom {
            title: if asked.title.is_empty() { name.as_str().to_owned() } else { asked.title },
            name,
            topic: asked.topic,
            visibility: visibility(asked.visibility)?,
            created_by: caller.id,
            request_key: if is_given { key.as_str().to_owned() } else { String::new() },
        };
        let room = self.rooms.create(room, from).await?;
        Ok(v1::CreateRoomResponse { room: Some(self.shown(&room)) })
    }

    async fn get(&self, room: &str) -> Result<v1::GetRoomResponse, Error> {
        let room = self.rooms.get(&RoomRef::parse(room)?).await?;
        Ok(v1::GetRoomResponse { room: Some(self.shown(&room)) })
    }

    async fn list(&self, asked: v1::ListRoomsRequest) -> Result<v1::ListRoomsResponse, Error> {
        let after = page_token::parse_rooms(&asked.page_token)?;
        let limit = page_size(asked.page_size)?;
        let mut rooms = self.rooms.list(after.as_ref(), limit + 1).await?;
        let is_last = rooms.len() <= limit;
        rooms.truncate(limit);
        let last = rooms.last().filter(|_| !is_last);
        Ok(v1::ListRoomsResponse {
            next_page_token: last.map(|room| page_token::rooms_after(&room.name)).unwrap_or_default(),
            rooms: rooms.iter().map(|room| self.shown(room)).collect(),
        })
    }

    async fn update(&self, request: Request<v1::UpdateRoomRequest>) -> Result<v1::UpdateRoomResponse, Error> {
        let from = self.door.address(&request);
        let (metadata, _, asked) = request.into_parts();
        let room = RoomRef::parse(&asked.room)?;
        let (key, _) = caller::key(&asked.request_id, "request_id")?;
        let caller = caller::guest(&self.auth, &metadata, &key, "")?;
        let change = Change { title: asked.title, topic: asked.topic };
        let room = self.rooms.update(&room, caller, key, change, from).await?;
        Ok(v1::UpdateRoomResponse { room: Some(self.shown(&room)) })
    }

    async fn archive(
        &self,
        request: Request<v1::ArchiveRoomRequest>,
    ) -> Result<v1::ArchiveRoomResponse, Error> {
        let from = self.door.address(&request);
        let (metadata, _, asked) = request.into_parts();
        let room = RoomRef::parse(&asked.room)?;
        let (key, _) = caller::key(&asked.request_id, "request_id")?;
        let caller = caller::guest(&self.auth, &metadata, &key, "")?;
        let room = self.rooms.archive(&room, caller, key, from).await?;
        Ok(v1::ArchiveRoomResponse { room: Some(self.shown(&room)) })
    }

    async fn send(&self, request: Request<v1::SendMessageRequest>) -> Result<v1::SendMessageResponse, Error> {
        let from = self.door.address(&request);
        let (metadata, _, asked) = request.into_parts();
        let (key, key_is_clients) = caller::key(&asked.client_message_id, "client_message_id")?;
        let actor = caller::guest(&self.auth, &metadata, &key, &asked.name)?;
        let send = Send {
            room: RoomRef::parse(&asked.room)?,
            rate: RateKey::User(actor.id.clone()),
            from,
            actor,
            key,
            key_is_clients,
            content: asked.content,
            reply_to: asked.reply_to,
        };
        let (_, sent) = self.rooms.send(send).await?;
        let message = sent.event.message().ok_or_else(|| {
            Invalid::field("client_message_id", "this key names another event of yours, which is no message")
        })?;
        Ok(v1::SendMessageResponse { message: Some(convert::message(message)), repeated: sent.repeated })
    }

    async fn message(&self, asked: v1::GetMessageRequest) -> Result<v1::GetMessageResponse, Error> {
        let message = self.rooms.get_message(&RoomRef::parse(&asked.room)?, asked.id).await?;
        Ok(v1::GetMessageResponse { message: Some(convert::message(message)) })
    }

    async fn messages(&self, asked: v1::ListMessagesRequest) -> Result<v1::ListMessagesResponse, Error> {
        let room = RoomRef::parse(&asked.room)?;
        let span = match (asked.before_seq, asked.after_seq) {
            (None, None) => Span::Before(u64::MAX),
            (Some(seq), None) => Span::Before(seq),
            (None, Some(seq)) => Span::After(seq),
            (Some(_), Some(_)) => return Err(one_of("after_seq", "before_seq")),
        };
        let read = self.rooms.messages(&room, span, page_size(asked.page_size)?).await?;
        let messages = read.messages.into_iter().map(convert::message).collect();
        Ok(v1::ListMessagesResponse { messages, more: read.more })
    }

    async fn events(&self, asked: v1::ListEventsRequest) -> Result<v1::ListEventsResponse, Error> {
        let room = RoomRef::parse(&asked.room)?;
        let after = match (asked.after.as_str(), asked.after_seq) {
            ("", None) => After::Beginning,
            ("", Some(seq)) => After::Seq(seq),
            (cursor, None) => {
                After::Cursor(cursor.parse::<Cursor>().map_err(|_| Error::InvalidCursor("after"))?)
            }
            _ => return Err(one_of("after_seq", "after")),
        };
        let read = self.rooms.events(&room, after, page_size(asked.page_size)?).await?;
        Ok(v1::ListEventsResponse {
            events: read
                .events
                .iter()
                .map(|event| convert::event(&read.place.id, &read.place.name, event))
                .collect(),
            head: read.head.to_string(),
            after: read.base.map(|base| base.to_string()).unwrap_or_default(),
        })
    }

    async fn presence(&self, room: &str) -> Result<v1::GetPresenceResponse, Error> {
        let read = self.rooms.presence(&RoomRef::parse(room)?, settings::SHOWN_NAMES).await?;
        Ok(v1::GetPresenceResponse {
            users: read.users.iter().map(convert::user).collect(),
            count: u32::try_from(read.count).unwrap_or(u32::MAX),
        })
    }
}

fn visibility(asked: i32) -> Result<Visibility, Error> {
    match v1::Visibility::try_from(asked) {
        Ok(v1::Visibility::Unspecified | v1::Visibility::Public) => Ok(Visibility::Public),
        Err(_) => Err(Invalid::field("visibility", "a room is public").into()),
    }
}

fn page_size(asked: i32) -> Result<usize, Error> {
    let asked =
        usize::try_from(asked).map_err(|_| Invalid::field("page_size", "a page size is not negative"))?;
    Ok(settings::page_size(asked))
}

fn one_of(field: &'static str, other: &'static str) -> Error {
    Invalid::field(field, format!("{field} and {other} do not go together")).into()
}
