//! The gateway as a process: what it says about its settings, and how it ends.

use std::{
    net::TcpListener,
    process::{Command, Output},
};

/// The gateway with these settings and no others, on free ports.
fn gateway(settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parlour-gateway"));
    command.env_clear();
    command.env("PARLOUR_GATEWAY_LISTEN", "127.0.0.1:0").env("PARLOUR_ADMIN_LISTEN", "127.0.0.1:0");
    command.envs(settings.iter().copied());
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn bad_settings_are_all_reported_at_once_with_exit_status_2() {
    let settings =
        [("PARLOUR_FRAME_BYTES", "64k"), ("PARLOUR_ROOM_URL", "https://a:1"), ("PARLOUR_LOG", "a=b=c")];
    let output = gateway(&settings).arg("--stall-seconds=-1").output().expect("it starts");
    assert_eq!(output.status.code(), Some(2));
    let said = said(&output);
    for name in ["PARLOUR_FRAME_BYTES", "PARLOUR_ROOM_URL", "PARLOUR_LOG", "--stall-seconds"] {
        assert!(said.contains(&format!("error: {name}: ")), "{name} is not in\n{said}");
    }
}

#[test]
fn an_unknown_flag_is_refused_with_exit_status_2() {
    let output = gateway(&[]).arg("--nonsense").output().expect("it starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("--nonsense"));
}

#[test]
fn a_port_that_is_taken_is_a_sentence_and_exit_status_1() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let output = gateway(&[("PARLOUR_GATEWAY_LISTEN", &address)]).output().expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains(&format!("cannot listen on {address}")), "{}", said(&output));
}
