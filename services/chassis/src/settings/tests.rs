use std::{ffi::OsString, io::Write as _, time::Duration};

use super::*;

const TABLE: &[Setting] = &[
    Setting::new("LISTEN", "ADDRESS", "Where to listen").or("127.0.0.1:0"),
    Setting::new("FRAME_BYTES", "BYTES", "The largest frame").or("65536"),
    Setting::new("STALL_SECONDS", "SECONDS", "How long").or("20"),
    Setting::new("TOKEN", "TEXT", "A token").secret(),
];

fn source(args: &[&str], vars: &[(&str, &str)]) -> Source {
    let args = ["test"].iter().chain(args).map(OsString::from);
    let vars = vars.iter().map(|(name, value)| (name.into(), value.into()));
    Source::read(clap::Command::new("test"), &[TABLE, TABLE], &["STORE", "JWT_SECRET"], args, vars).unwrap()
}

#[test]
fn a_flag_precedes_a_variable_and_a_variable_the_default() {
    let mut source = source(
        &["--frame-bytes", "10"],
        &[("PARLOUR_FRAME_BYTES", "11"), ("PARLOUR_STALL_SECONDS", "0.25"), ("PARLOUR_LISTEN", "")],
    );
    assert_eq!(source.required("FRAME_BYTES", whole(1..=100_000_u32)), 10);
    assert_eq!(source.required("STALL_SECONDS", seconds(0.1..=60.0)), Duration::from_millis(250));
    assert_eq!(source.required("LISTEN", address).port(), 0);
    assert_eq!(source.optional("TOKEN", |text| Ok(text.to_owned())), None);
    assert_eq!(source.finish(), Ok(vec![]));
}

#[test]
fn all_mistakes_are_reported_at_once_and_each_once() {
    let mut source = source(
        &["--frame-bytes", "0"],
        &[("PARLOUR_LISTEN", "nowhere"), ("PARLOUR_STALL_SECONDS", "NaN"), ("PARLOUR_TOKEN", "hush")],
    );
    for _ in 0..2 {
        source.required("FRAME_BYTES", whole(1..=100_000_u32));
        source.required("LISTEN", address);
        source.required("STALL_SECONDS", seconds(0.1..=60.0));
        source.optional("TOKEN", |_| Err::<(), _>("too short".to_owned()));
    }
    let mistakes = source.finish().unwrap_err().0;
    assert_eq!(
        mistakes,
        [
            "--frame-bytes: `0`: expected a whole number from 1 to 100000",
            "PARLOUR_LISTEN: `nowhere`: expected an address and port, such as 127.0.0.1:9292 or [::]:9292",
            "PARLOUR_STALL_SECONDS: `NaN`: expected seconds from 0.1 to 60, such as 2.5",
            "PARLOUR_TOKEN: too short",
        ]
    );
}

#[test]
fn a_secret_comes_from_its_file_without_the_last_newline() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"hush\n").unwrap();
    let path = file.path().to_str().unwrap();
    for mut source in [source(&["--token-file", path], &[]), source(&[], &[("PARLOUR_TOKEN_FILE", path)])] {
        assert_eq!(source.optional("TOKEN", |text| Ok(text.to_owned())).as_deref(), Some("hush"));
    }
}

#[test]
fn a_secret_given_twice_or_from_no_file_is_a_mistake() {
    let twice = source(&["--token", "a", "--token-file", "/dev/null"], &[]);
    assert_eq!(twice.finish().unwrap_err().0, ["--token and --token-file are both given: give one"]);
    let nowhere = source(&[], &[("PARLOUR_TOKEN_FILE", "/nonexistent/token")]).finish().unwrap_err();
    assert!(nowhere.0[0].starts_with("PARLOUR_TOKEN_FILE: cannot read /nonexistent/token: "), "{nowhere}");
}

#[test]
fn unknown_variables_are_named_and_those_of_the_other_service_are_not() {
    let vars = [
        ("PARLOUR_ROOM_SERVICE_HOST", "10.0.0.1"),
        ("PARLOUR_STORE", "sqlite:x"),
        ("PARLOUR_JWT_SECRET_FILE", "/x"),
        ("PARLOUR_LISTEN_FILE", "/x"),
        ("HOME", "/"),
    ];
    let warnings = source(&[], &vars).finish().unwrap();
    assert_eq!(
        warnings,
        [
            "the variable PARLOUR_LISTEN_FILE is no setting: ignored",
            "the variable PARLOUR_ROOM_SERVICE_HOST is no setting: ignored",
        ]
    );
}

#[test]
fn an_unknown_flag_is_refused() {
    let args = ["test", "--nonsense"].map(OsString::from);
    let refused = Source::read(clap::Command::new("test"), &[TABLE], &[], args, []);
    assert_eq!(refused.unwrap_err().kind(), clap::error::ErrorKind::UnknownArgument);
}

#[test]
fn help_shows_variable_unit_and_default() {
    let args = ["test", "--help"].map(OsString::from);
    let help = Source::read(clap::Command::new("test"), &[TABLE], &[], args, []).unwrap_err().to_string();
    assert!(help.contains("--frame-bytes <BYTES>"), "{help}");
    assert!(help.contains("[env: PARLOUR_FRAME_BYTES] [default: 65536]"), "{help}");
    assert!(help.contains("--token-file <PATH>"), "{help}");
}

#[test]
fn a_secret_is_hidden_from_debug_output() {
    assert!(!format!("{:?}", source(&["--token", "hush"], &[])).contains("hush"));
}
