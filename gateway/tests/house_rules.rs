//! Rules of the house that a reader of the code relies on.

use std::{fs, path::Path};

/// What decides who reads what takes its time from outside and waits for nothing, so that it can be simulated.
#[test]
fn what_is_sans_io_names_no_runtime_and_reads_no_clock() {
    let relay = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/relay");
    for file in ["audience.rs", "lane.rs", "presence.rs", "requests.rs", "rooms.rs"] {
        let text = fs::read_to_string(relay.join(file)).expect("the file is there");
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for forbidden in ["tokio", "Instant::now", "SystemTime", "async", ".await"] {
                assert!(!line.contains(forbidden), "{file} names {forbidden}: {line}");
            }
        }
    }
}
