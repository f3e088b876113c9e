//! Compiles the contract with protox, so that no protoc has to be installed.

use std::{env, error::Error, fs, path::Path};

use prost::Message as _;

const FILES: [&str; 6] = ["room", "message", "presence", "session", "relay", "room_service"];

fn main() -> Result<(), Box<dyn Error>> {
    let files = FILES.map(|name| format!("parlour/room/v1/{name}.proto"));
    for file in &files {
        println!("cargo:rerun-if-changed={file}");
    }
    let descriptors = protox::compile(&files, ["."])?;
    let out = env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?;
    fs::write(Path::new(&out).join("parlour.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    Ok(())
}
