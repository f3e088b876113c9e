//! The JSON API.
//!
//! Owns `/api`: for those who want no socket, each route a thin call to a unary RPC. Promises that a repeated key is
//! answered as its first use was (P5), with the same status. Never caches, and never believes a header about who
//! calls but the credentials themselves.

use axum::{
    Extension, Json, Router,
    extract::{FromRequestParts, OriginalUri, Path, State},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{
    HeaderValue, StatusCode,
    header::{CACHE_CONTROL, LINK, LOCATION},
    request::Parts,
};
use parlour_proto::v1;
use tower_http::set_header::SetResponseHeaderLayer;

use super::{
    body::Object,
    link::{self, Asked},
    query::Query,
};
use crate::{
    error::Error,
    rates::Visitor,
    upstream::{Client, Upstream},
};

mod caller;
mod shapes;

use caller::Caller;

/// The routes below `/api`.
pub(super) fn router(upstream: Upstream) -> Router {
    Router::new()
        .route("/rooms", get(list_rooms).post(create_room))
        .route("/rooms/{room}", get(get_room))
        .route("/rooms/{room}/messages", get(list_messages).post(send_message))
        .route("/rooms/{room}/stats", get(stats))
        .route("/rooms/{room}/presence", get(presence))
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        .fallback(async || Error::NotFound)
        .layer(SetResponseHeaderLayer::overriding(CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .with_state(upstream)
}

/// A room's name or id, as the path has it.
struct RoomRef(String);

impl<S: Send + Sync> FromRequestParts<S> for RoomRef {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(room)) => Ok(Self(room)),
            Err(_) => Err(Error::Invalid { field: "room", expected: "a room's name or id" }),
        }
    }
}

async fn list_rooms(State(upstream): State<Upstream>, mut query: Query) -> Result<Response, Error> {
    let request =
        v1::ListRoomsRequest { page_size: query.size("page_size")?, page_token: query.text("page_token") };
    let list = |mut client: Client, request| async move { client.list_rooms(request).await };
    let page = upstream.unary(request, list).await?;
    Ok(Json(shapes::Rooms::from(page)).into_response())
}

async fn create_room(
    State(upstream): State<Upstream>,
    Extension(visitor): Extension<Visitor>,
    caller: Caller,
    mut body: Object,
) -> Result<Response, Error> {
    visitor.may_make_room()?;
    let request = v1::CreateRoomRequest {
        name: body.required_text("name")?,
        title: body.text("title")?.unwrap_or_default(),
        topic: body.text("topic")?.unwrap_or_default(),
        visibility: v1::Visibility::Unspecified.into(),
        request_id: caller.key().to_owned(),
    };
    let create = |mut client: Client, request| {
        let request = caller.request(request);
        async move { client.create_room(request).await }
    };
    let room = given(upstream.unary(request, create).await?.room)?;
    let location = HeaderValue::try_from(format!("/api/rooms/{}", room.name));
    let location = location.map_err(|_| Error::Internal("a room's name is no slug"))?;
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(shapes::Room::from(room))).into_response())
}

async fn get_room(State(upstream): State<Upstream>, room: RoomRef) -> Result<Response, Error> {
    Ok(Json(shapes::Room::from(read_room(&upstream, room).await?)).into_response())
}

async fn stats(State(upstream): State<Upstream>, room: RoomRef) -> Result<Response, Error> {
    Ok(Json(shapes::Stats::from(read_room(&upstream, room).await?)).into_response())
}

async fn list_messages(
    State(upstream): State<Upstream>,
    OriginalUri(uri): OriginalUri,
    room: RoomRef,
    query: Query,
) -> Result<Response, Error> {
    let asked = match (query.number("before")?, query.number("after")?) {
        (None, None) => Asked::Newest,
        (Some(seq), None) => Asked::Before(seq),
        (None, Some(seq)) => Asked::After(seq),
        (Some(_), Some(_)) => return Err(Error::Invalid { field: "after", expected: "without `before`" }),
    };
    let size = query.size("limit")?;
    let request = list_request(room, asked, size);
    let list = |mut client: Client, request| async move { client.list_messages(request).await };
    let page = upstream.unary(request, list).await?;
    let link = link::header(uri.path(), asked, size, &page.messages, page.more);
    let mut response = Json(shapes::messages(page.messages)?).into_response();
    if let Some(link) = link {
        response.headers_mut().insert(LINK, link);
    }
    Ok(response)
}

async fn send_message(
    State(upstream): State<Upstream>,
    room: RoomRef,
    Extension(visitor): Extension<Visitor>,
    caller: Caller,
    mut body: Object,
) -> Result<Response, Error> {
    visitor.may_send()?;
    let request = v1::SendMessageRequest {
        room: room.0,
        content: body.required_text("content")?,
        client_message_id: caller.key().to_owned(),
        reply_to: body.number("reply_to")?,
        name: body.text("username")?.unwrap_or_default(),
    };
    let send = |mut client: Client, request| {
        let request = caller.request(request);
        async move { client.send_message(request).await }
    };
    let sent = upstream
        .unary(request, send)
        .await
        .map_err(|status| Error::from(status).naming("name", "username"))?;
    Ok((StatusCode::CREATED, Json(shapes::Message::try_from(given(sent.message)?)?)).into_response())
}

async fn presence(State(upstream): State<Upstream>, room: RoomRef) -> Result<Response, Error> {
    let request = v1::GetPresenceRequest { room: room.0 };
    let get = |mut client: Client, request| async move { client.get_presence(request).await };
    let presence = upstream.unary(request, get).await?;
    Ok(Json(shapes::Presence::from(presence)).into_response())
}

async fn read_room(upstream: &Upstream, room: RoomRef) -> Result<v1::Room, Error> {
    let get = |mut client: Client, request| async move { client.get_room(request).await };
    given(upstream.unary(v1::GetRoomRequest { room: room.0 }, get).await?.room)
}

fn list_request(room: RoomRef, asked: Asked, page_size: i32) -> v1::ListMessagesRequest {
    let (before_seq, after_seq) = match asked {
        Asked::Newest => (None, None),
        Asked::Before(seq) => (Some(seq), None),
        Asked::After(seq) => (None, Some(seq)),
    };
    v1::ListMessagesRequest { room: room.0, before_seq, after_seq, page_size }
}

/// What an answer always has.
fn given<T>(part: Option<T>) -> Result<T, Error> {
    part.ok_or(Error::Internal("an answer of the room service lacks what it always has"))
}
