//! The crate is sans-IO: none of its sources names a runtime or reads a clock.

use std::{fs, path::Path};

#[test]
fn no_source_names_a_runtime_or_reads_a_clock() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut seen = 0;
    for file in fs::read_dir(sources).unwrap() {
        let path = file.unwrap().path();
        assert!(path.is_file(), "{path:?}: this test does not descend into folders");
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for word in ["tokio", "Instant::now", "SystemTime", "std::thread", "std::net", "async "] {
            assert!(!code.contains(word), "{path:?} names {word}");
        }
        seen += 1;
    }
    assert!(seen > 5, "the sources were found");
}
