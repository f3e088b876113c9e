//! `parlour-room` by another name: built to make mistakes, it does not take the place of what is shipped.

#[path = "../src/main.rs"]
mod service;

fn main() -> anyhow::Result<std::process::ExitCode> {
    service::main()
}
