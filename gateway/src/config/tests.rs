use std::ffi::OsString;

use super::*;

fn read(args: &[&str], vars: &[(&str, &str)]) -> Result<(Config, Vec<String>), Mistakes> {
    let args = ["gateway"].iter().chain(args).map(OsString::from);
    let vars = vars.iter().map(|(name, value)| (name.into(), value.into()));
    let mut source = Source::read(clap::Command::new("gateway"), &[SETTINGS], OTHERS, args, vars)
        .expect("the flags are known");
    let config = Config::read(&mut source);
    source.finish().map(|warnings| (config, warnings))
}

fn urls(config: &Config) -> &[Uri] {
    match &config.room {
        Target::Urls(urls) => urls,
        Target::InProcess(_) => &[],
    }
}

#[test]
fn defaults_are_those_of_the_documents() {
    let config = Config::default();
    assert_eq!(config.listen.to_string(), "127.0.0.1:9292");
    assert_eq!(config.admin_listen.map(|address| address.to_string()).as_deref(), Some("127.0.0.1:9091"));
    assert_eq!(urls(&config), ["http://127.0.0.1:50051"]);
    assert_eq!(config.drain, Duration::from_secs(20));
    assert_eq!(config.limits, Limits::default());
    assert!(config.warnings().is_empty());
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let vars = [
        ("PARLOUR_GATEWAY_LISTEN", "everywhere"),
        ("PARLOUR_ROOM_URL", "https://rooms.example:443"),
        ("PARLOUR_SERVICE_TOKEN", "two words"),
        ("PARLOUR_ALLOWED_ORIGINS", "https://a.example, nonsense"),
        ("PARLOUR_FRAME_BYTES", "64k"),
        ("PARLOUR_HEARTBEAT_SECONDS", "60"),
        ("PARLOUR_LOG_FORMAT", "xml"),
    ];
    let mistakes = read(&["--drain-seconds", "-1"], &vars).unwrap_err().to_string();
    for expected in [
        "PARLOUR_GATEWAY_LISTEN: `everywhere`: expected an address and port",
        "PARLOUR_ROOM_URL: `https://rooms.example:443`: the room service is reached over plain http so far",
        "PARLOUR_SERVICE_TOKEN: expected printable ASCII",
        "PARLOUR_ALLOWED_ORIGINS: `https://a.example, nonsense`: expected origins",
        "PARLOUR_FRAME_BYTES: `64k`: expected a whole number",
        "PARLOUR_HEARTBEAT_LOST_SECONDS must be more than PARLOUR_HEARTBEAT_SECONDS",
        "PARLOUR_LOG_FORMAT: `xml`: a log format is",
        "--drain-seconds: `-1`: expected seconds",
    ] {
        assert!(mistakes.contains(expected), "{expected}\nis not in\n{mistakes}");
    }
    assert_eq!(mistakes.lines().count(), 8, "{mistakes}");
    assert!(!mistakes.contains("two words"), "a secret is not shown");
}

#[test]
fn the_room_service_may_have_several_addresses_and_nothing_behind_them() {
    let (config, _) = read(&["--room-url", "http://a:1, http://[::1]:2/"], &[]).unwrap();
    assert_eq!(urls(&config), ["http://a:1/", "http://[::1]:2/"]);
    for wrong in ["", ",", "http://a:1/path", "http://a:1?q", "a:1", "ftp://a:1", "http://"] {
        assert!(read(&["--room-url", wrong], &[]).is_err(), "{wrong}");
    }
}

#[test]
fn unknown_variables_are_named_and_the_room_services_are_not() {
    let vars = [("PARLOUR_STORE", "x"), ("PARLOUR_GUEST_KEY_FILE", "x"), ("PARLOUR_GATEWAY_PORT", "tcp://x")];
    let (_, warnings) = read(&[], &vars).unwrap();
    assert_eq!(warnings, ["the variable PARLOUR_GATEWAY_PORT is no setting: ignored"]);
}

#[test]
fn a_room_service_off_loopback_without_a_token_is_said_aloud() {
    let (config, _) = read(&["--room-url", "http://rooms.example:50051"], &[]).unwrap();
    assert_eq!(config.warnings().len(), 2);
    let (config, _) =
        read(&["--room-url", "http://rooms.example:50051", "--service-token", "hush"], &[]).unwrap();
    assert_eq!(config.warnings().len(), 1);
    let (config, _) = read(&["--room-url", "http://localhost:50051,http://127.0.0.2:1"], &[]).unwrap();
    assert!(config.warnings().is_empty());
}
