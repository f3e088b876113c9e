//! A server whose sockets send back what they are sent, over the gateway's own socket code: a conformance suite can
//! judge that code, and has no use for our JSON. Prints its address, and serves until it is ended.

use std::io::Write as _;

use axum::{Router, routing::any};
use parlour_chassis::tasks::Tasks;
use parlour_gateway::{http, ws};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", listener.local_addr()?)?;
    out.flush()?;
    let tasks = Tasks::new();
    http::serve(listener, Router::new().route("/", any(ws::echo)).with_state(tasks.clone()), &tasks).await;
    Ok(())
}
