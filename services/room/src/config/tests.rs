use std::ffi::OsString;

use super::*;

fn read(vars: &[(&str, &str)]) -> Result<(Config, Vec<String>), Mistakes> {
    let vars = vars.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let mut source =
        Source::read(clap::Command::new("room"), &[SETTINGS], OTHERS, [OsString::from("room")], vars)
            .expect("the flags are known");
    let config = Config::read(&mut source);
    config.refuse_open(&mut source);
    source.finish().map(|warnings| (config, warnings))
}

#[test]
fn defaults_are_those_of_the_documents() {
    let config = Config::default();
    assert_eq!(config.listen.to_string(), "127.0.0.1:50051");
    assert_eq!(config.store.expose(), "sqlite:parlour.db");
    assert_eq!(config.rooms.iter().map(RoomName::as_str).collect::<Vec<_>>(), ["general", "random", "tech"]);
    assert!(config.guests_allowed && config.guest_key.is_none() && config.service_token.is_none());
    assert_eq!(format!("{:?}", config.settings), format!("{:?}", Settings::default()));
}

#[test]
fn all_mistakes_are_reported_at_once_and_no_secret_is_shown() {
    let mistakes = read(&[
        ("PARLOUR_ROOM_LISTEN", "0.0.0.0:50051"),
        ("PARLOUR_STORE", "mysql://user:hunter2@db/parlour"),
        ("PARLOUR_ROOMS", "general,Not A Slug"),
        ("PARLOUR_GUESTS", "maybe"),
        ("PARLOUR_GUEST_KEY", "short"),
        ("PARLOUR_SEND_RATE", "-1"),
        ("PARLOUR_HEARTBEAT_LOST_SECONDS", "25"),
    ])
    .expect_err("seven mistakes")
    .to_string();
    for part in ["ROOM_LISTEN", "STORE", "ROOMS", "GUESTS", "GUEST_KEY", "SEND_RATE", "HEARTBEAT_LOST"] {
        assert!(mistakes.contains(part), "{part} is not in:\n{mistakes}");
    }
    assert!(!mistakes.contains("short"), "{mistakes}");
    assert!(!mistakes.contains("hunter2"), "{mistakes}");
}

#[test]
fn a_variable_nobody_knows_is_named_and_the_gateways_are_not() {
    let (_, warnings) =
        read(&[("PARLOUR_ROOM_PORT", "tcp://1"), ("PARLOUR_ROOM_URL", "http://x:1")]).expect("fine");
    assert_eq!(warnings, ["the variable PARLOUR_ROOM_PORT is no setting: ignored"]);
}

#[test]
fn off_loopback_the_service_token_is_required_and_the_rest_is_said() {
    let open = [("PARLOUR_ROOM_LISTEN", "0.0.0.0:50051"), ("PARLOUR_SERVICE_TOKEN", "token")];
    let (config, _) = read(&open).expect("fine with a token");
    assert_eq!(config.warnings().len(), 2);
}
