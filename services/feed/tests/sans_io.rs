//! The crate is sans-IO: none of its sources names a runtime or reads a clock.

use std::{
    fs,
    path::{Path, PathBuf},
};

#[test]
fn no_source_names_a_runtime_or_reads_a_clock() {
    let sources = sources_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    for path in &sources {
        let text = fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for word in ["tokio", "Instant::now", "SystemTime", "std::thread", "std::net", "async "] {
            assert!(!code.contains(word), "{path:?} names {word}");
        }
    }
    assert!(sources.len() > 5, "the sources were found");
}

fn sources_in(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).expect("the sources are there");
    let paths = files.map(|file| file.expect("the folder can be read").path());
    paths.flat_map(|path| if path.is_dir() { sources_in(&path) } else { vec![path] }).collect()
}
