//! The rules are plain values: what is sans-IO names neither a runtime nor a clock.

use std::{fs, path::Path};

/// Files and folders whose every file is sans-IO.
const SANS_IO: [&str; 6] = [
    "src/domain",
    "src/domain.rs",
    "src/hub/live",
    "src/hub/live.rs",
    "src/hub/presence.rs",
    "src/rpc/relay",
];
/// What they do not name.
const FORBIDDEN: [&str; 4] = ["tokio", "Instant::now", "SystemTime", "tonic"];

#[test]
fn sans_io_files_name_neither_a_runtime_nor_a_clock() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for place in SANS_IO {
        let place = root.join(place);
        let files = if place.is_dir() {
            fs::read_dir(&place).expect("a folder").map(|entry| entry.expect("an entry").path()).collect()
        } else {
            vec![place]
        };
        for file in files {
            let text = fs::read_to_string(&file).expect("a file");
            for word in FORBIDDEN {
                assert!(!text.contains(word), "{} names {word}", file.display());
            }
            seen += 1;
        }
    }
    assert!(seen >= 13, "{seen} files");
}
