use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::ws::plain;

fn read(text: &str) -> Result<chat_request::Frame, Fault> {
    Fields::parse(text)?.request()
}

#[test]
fn p11_each_fault_has_its_code_and_field() {
    let deep = format!(r#"{{"type":"ping","x":{}}}"#, "[".repeat(60_000));
    for (text, code, field) in [
        ("", "INVALID_FRAME", None),
        ("nonsense", "INVALID_FRAME", None),
        ("[]", "INVALID_FRAME", None),
        ("null", "INVALID_FRAME", None),
        (deep.as_str(), "INVALID_FRAME", None),
        ("{}", "MISSING_FIELD", Some("type")),
        (r#"{"type":7}"#, "INVALID_FIELD", Some("type")),
        (r#"{"type":"dance"}"#, "UNKNOWN_FRAME", None),
        (r#"{"type":"hello"}"#, "MISSING_FIELD", Some("version")),
        (r#"{"type":"hello","version":"1"}"#, "INVALID_FIELD", Some("version")),
        (r#"{"type":"hello","version":1,"rooms":{"general":1}}"#, "INVALID_FIELD", Some("rooms")),
        (r#"{"type":"join"}"#, "MISSING_FIELD", Some("room")),
        (r#"{"type":"join","room":"general","history":-1}"#, "INVALID_FIELD", Some("history")),
        (r#"{"type":"join","room":"general","monitor":1}"#, "INVALID_FIELD", Some("monitor")),
        (r#"{"type":"message","room":"general"}"#, "MISSING_FIELD", Some("content")),
        (
            r#"{"type":"message","room":"general","content":"x","reply_to":9007199254740993}"#,
            "INVALID_FIELD",
            Some("reply_to"),
        ),
        (r#"{"type":"history","room":"general","before":1,"after":1}"#, "INVALID_FIELD", Some("after")),
    ] {
        let error = read(text).unwrap_err().to_error();
        let start: String = text.chars().take(40).collect();
        assert_eq!((error.code.as_str(), error.field.as_deref()), (code, field), "{start}");
    }
}

#[test]
fn p11_an_id_is_a_short_text() {
    let id = |text: &str| Fields::parse(text).unwrap().id();
    assert_eq!(id(r#"{"type":"ping"}"#), Ok(String::new()));
    assert_eq!(id(&format!(r#"{{"id":"{}"}}"#, "é".repeat(64))), Ok("é".repeat(64)));
    assert!(id(&format!(r#"{{"id":"{}"}}"#, "x".repeat(65))).is_err());
    assert!(id(r#"{"id":7}"#).is_err());
}

#[test]
fn p12_unknown_fields_are_ignored_and_null_is_absent() {
    let frame =
        read(r#"{"type":"join","room":"general","cursor":null,"colour":{"a":[1]},"id":"1"}"#).unwrap();
    let chat_request::Frame::Join(join) = frame else { panic!("a join") };
    assert_eq!((join.room.as_str(), join.cursor, join.history, join.monitor), ("general", None, None, false));
}

#[test]
fn an_answer_echoes_its_id() {
    let text = |frame: Frame| serde_json::from_slice::<Value>(&frame.body()).unwrap();
    assert_eq!(
        text(encode("7", &chat_response::Frame::Pong(proto::Pong {}))),
        json!({"type": "pong", "id": "7"})
    );
    assert_eq!(text(encode("", &chat_response::Frame::Pong(proto::Pong {}))), json!({"type": "pong"}));
}

proptest! {
    #[test]
    fn no_outside_text_panics_the_decoders(text in ".*") {
        if let Ok(fields) = Fields::parse(&text) {
            drop((fields.kind().is_ok(), fields.id(), fields.request(), plain::request(&fields)));
        }
    }

    #[test]
    fn no_object_panics_the_decoders(
        kind in "hello|join|leave|message|typing|history|ping|x",
        field in "room|content|cursor|history|rooms|version|before|after|limit|id|username|reply_to",
        value in r#"-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,3})?|"[a-z:0-9]{0,70}"|\[\]|\{"a":[0-9]\}|null|true"#,
    ) {
        let text = format!(r#"{{"type":"{kind}","{field}":{value}}}"#);
        // A number such as 00 is no JSON, which is a fault like any other.
        if let Ok(fields) = Fields::parse(&text) {
            drop((fields.id(), fields.request(), plain::request(&fields)));
        }
    }
}
