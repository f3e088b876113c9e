//! The same frames as proto3 JSON, and the four rules that turn that into ours.

use parlour_proto::v1 as proto;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MessageDescriptor, SerializeOptions};
use serde_json::{Map, Value};

use super::*;

fn descriptor(name: &str) -> MessageDescriptor {
    let pool = DescriptorPool::decode(parlour_proto::FILE_DESCRIPTOR_SET).unwrap();
    pool.get_message_by_name(&format!("parlour.room.v1.{name}")).unwrap()
}

/// A message as proto3 JSON with proto field names (1), 64-bit integers as numbers (2), and what has no presence written.
fn proto3(name: &str, bytes: &[u8]) -> Value {
    let message = DynamicMessage::decode(descriptor(name), bytes).unwrap();
    let options = SerializeOptions::new()
        .use_proto_field_name(true)
        .stringify_64_bit_integers(false)
        .skip_default_fields(false);
    message.serialize_with_options(serde_json::value::Serializer, &options).unwrap()
}

/// Rules 3 and 4: enum values in lower case without their prefix; a oneof's field becomes `type`, its fields stand beside.
fn ours(descriptor: &MessageDescriptor, value: Value) -> Value {
    let Value::Object(fields) = value else { panic!("an object") };
    let mut written = Map::new();
    for field in descriptor.fields() {
        let Some(value) = fields.get(field.name()).filter(|value| !value.is_null()).cloned() else {
            continue;
        };
        if let Some(oneof) = field.containing_oneof().filter(|oneof| !oneof.is_synthetic()) {
            let Kind::Message(inner) = field.kind() else { panic!("{}: frames are messages", oneof.name()) };
            let Value::Object(inner) = ours(&inner, value) else { panic!("an object") };
            // The inner oneof's type, of an event within a frame, is the one that stands.
            written.entry("type").or_insert_with(|| field.name().into());
            for (name, value) in inner {
                written.insert(name, value);
            }
            continue;
        }
        let value = match field.kind() {
            Kind::Message(inner) if field.is_list() => {
                let Value::Array(items) = value else { panic!("a list") };
                items.into_iter().map(|item| ours(&inner, item)).collect()
            }
            Kind::Message(inner) if !field.is_map() && inner.full_name() != "google.protobuf.Timestamp" => {
                ours(&inner, value)
            }
            Kind::Enum(names) => {
                let prefix = format!("{}_", screaming(names.name()));
                value.as_str().unwrap().strip_prefix(&prefix).unwrap().to_lowercase().into()
            }
            _ => value,
        };
        written.insert(field.name().to_owned(), value);
    }
    // An event of a kind that nobody knows is of type `event`.
    if descriptor.name() == "Event" && !written.contains_key("type") {
        written.insert("type".into(), "event".into());
    }
    Value::Object(written)
}

fn screaming(name: &str) -> String {
    let mut written = String::new();
    for (at, letter) in name.char_indices() {
        if at > 0 && letter.is_uppercase() {
            written.push('_');
        }
        written.extend(letter.to_uppercase());
    }
    written
}

fn user() -> proto::User {
    proto::User { id: "guest_A".into(), name: "Ada \"<\u{1f600}".into(), guest: true }
}

fn time() -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: 1_700_000_000, nanos: 123_456_000 }
}

fn messages() -> Vec<proto::Message> {
    let bare = proto::Message { id: 1, user: Some(user()), created_at: Some(time()), ..Default::default() };
    let whole = proto::Message {
        id: 1 << 53,
        content: "line\none\u{2028}".into(),
        client_message_id: Some("key".into()),
        reply_to: Some(0),
        created_at: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
        ..bare.clone()
    };
    vec![bare, whole]
}

fn info() -> proto::RoomInfo {
    let visibility = proto::Visibility::Public.into();
    proto::RoomInfo { id: "R".into(), title: "T".into(), topic: String::new(), visibility, archived: false }
}

fn events() -> Vec<proto::Event> {
    use proto::event::Kind;
    let event = |kind| proto::Event { room: "general".into(), seq: 7, cursor: "00000000:7".into(), kind };
    let change = proto::RoomChange { user: Some(user()), info: Some(info()), created_at: Some(time()) };
    let mut events: Vec<_> = messages()
        .into_iter()
        .map(|message| event(Some(Kind::Message(proto::MessagePosted { data: Some(message) }))))
        .collect();
    events.push(event(Some(Kind::RoomChanged(proto::RoomChanged { data: Some(change) }))));
    events.push(event(None));
    events
}

fn responses() -> Vec<chat_response::Frame> {
    use chat_response::Frame;
    let room = || "general".to_owned();
    let limits = proto::Limits { frame_bytes: 1, content_chars: 2, rooms: 3, page: 4 };
    let welcome = proto::Welcome {
        session: "s".into(),
        user: Some(user()),
        limits: Some(limits),
        ..Default::default()
    };
    let joined = proto::Joined {
        room: room(),
        info: Some(info()),
        cursor: "00000000:7".into(),
        messages: messages(),
        more: true,
        users: vec![user()],
        count: 1,
    };
    let error = proto::Error { code: "UNAVAILABLE".into(), message: "later".into(), ..Default::default() };
    let presence =
        proto::Presence { room: room(), snapshot: true, users: vec![user()], count: 1, ..Default::default() };
    let diff = proto::Presence {
        room: room(),
        joined: vec![user()],
        left: vec![user()],
        changed: vec![user()],
        ..Default::default()
    };
    let heads = [("general".to_owned(), "00000000:7".to_owned())].into();
    let mut frames: Vec<_> = events().into_iter().map(Frame::Event).collect();
    frames.extend([
        Frame::Welcome(proto::Welcome { guest_token: Some("t".into()), heartbeat_ms: 5, ..welcome.clone() }),
        Frame::Welcome(welcome),
        Frame::Joined(joined),
        Frame::Joined(proto::Joined::default()),
        Frame::Ack(proto::Ack { room: Some(room()), seq: Some(7), created_at: Some(time()) }),
        Frame::Ack(proto::Ack::default()),
        Frame::Error(proto::Error { field: Some("room".into()), retry_after_ms: Some(0), ..error.clone() }),
        Frame::Error(error),
        Frame::History(proto::History { room: room(), messages: messages(), events: events(), more: true }),
        Frame::Typing(proto::Typing { room: room(), user: Some(user()), typing: false }),
        Frame::Presence(presence),
        Frame::Presence(diff),
        Frame::Heartbeat(proto::Heartbeat { heads }),
        Frame::Heartbeat(proto::Heartbeat::default()),
        Frame::Pong(proto::Pong {}),
        Frame::Resync(proto::Resync { room: room(), cursor: "00000000:7".into(), reason: "TOO_FAR".into() }),
        Frame::Gone(proto::Gone { room: room(), reason: "ROOM_NOT_FOUND".into() }),
        Frame::GoingAway(proto::GoingAway { retry_after_ms: 3, reason: "GOING_AWAY".into() }),
    ]);
    frames
}

fn requests() -> Vec<chat_request::Frame> {
    use chat_request::Frame;
    let room = || "general".to_owned();
    let rooms = [("general".to_owned(), String::new())].into();
    let hello = proto::Hello { version: Some(1), ..Default::default() };
    let post = proto::Post { room: room(), content: "hello".into(), ..Default::default() };
    vec![
        Frame::Hello(proto::Hello {
            token: Some("t".into()),
            name: Some("n".into()),
            rooms,
            ..hello.clone()
        }),
        Frame::Hello(proto::Hello { guest_token: Some("t".into()), ..hello }),
        Frame::Join(proto::Join { room: room(), cursor: Some("c".into()), history: Some(0), monitor: true }),
        Frame::Join(proto::Join { room: room(), ..Default::default() }),
        Frame::Leave(proto::Leave { room: room() }),
        Frame::Message(proto::Post {
            client_message_id: Some("k".into()),
            reply_to: Some(1 << 53),
            ..post.clone()
        }),
        Frame::Message(post),
        Frame::Typing(proto::SetTyping { room: room(), typing: true }),
        Frame::Typing(proto::SetTyping { room: room(), typing: false }),
        Frame::History(proto::ReadHistory { room: room(), before: Some(7), after: None, limit: Some(3) }),
        Frame::History(proto::ReadHistory { room: room(), after: Some(0), ..Default::default() }),
        Frame::Ping(proto::Ping {}),
    ]
}

/// Every frame of a stream is among the samples.
fn covers(name: &str, samples: impl Iterator<Item = Value>) {
    let kinds: std::collections::HashSet<_> =
        samples.map(|sample| sample["type"].as_str().unwrap().to_owned()).collect();
    let oneof = descriptor(name).oneofs().find(|oneof| oneof.name() == "frame").unwrap();
    for field in oneof.fields() {
        assert!(kinds.contains(field.name()), "no sample of {name}.{}", field.name());
    }
}

#[test]
fn every_frame_to_the_browser_is_its_proto3_json_under_the_four_rules() {
    let mut samples = Vec::new();
    for frame in responses() {
        for id in ["", "7"] {
            let message = proto::ChatResponse { id: id.into(), frame: Some(frame.clone()) };
            let proto3 = proto3("ChatResponse", &message.encode_to_vec());
            let mut expected = ours(&descriptor("ChatResponse"), proto3);
            if id.is_empty() {
                // `id` is written where it answers something.
                expected.as_object_mut().unwrap().remove("id");
            }
            let spoken: Value = serde_json::from_slice(&encode(id, &frame).body()).unwrap();
            assert_eq!(spoken, expected);
            samples.push(spoken);
        }
    }
    covers("ChatResponse", samples.into_iter());
}

#[test]
fn every_frame_of_the_browser_is_its_proto3_json_under_the_four_rules() {
    let mut samples = Vec::new();
    for frame in requests() {
        let message = proto::ChatRequest { id: "7".into(), frame: Some(frame.clone()) };
        let proto3 = proto3("ChatRequest", &message.encode_to_vec());
        let said = ours(&descriptor("ChatRequest"), proto3);
        let fields = Fields::parse(&said.to_string()).unwrap();
        assert_eq!((fields.id().as_deref(), fields.request()), (Ok("7"), Ok(frame)));
        samples.push(said);
    }
    covers("ChatRequest", samples.into_iter());
}
