//! Servers to compare with.
//!
//! Owns what they have in common: where they listen. Promises rooms by path, whose members are given each text that one
//! of them sends. Never keeps a message, checks one, or knows who is there: each is a bound of what Parlour could do.

use std::{io::Write as _, net::SocketAddr};

use clap::ValueEnum;

mod ceiling;
mod minimal;

/// What kind of server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// A bare epoll loop in one thread: a ready frame, one write to each socket.
    Ceiling,
    /// The same, but all frames that wait are one write.
    Gathering,
    /// axum's WebSocket and a broadcast channel a room, as its examples have it.
    Minimal,
}

/// Serves until it is ended, and prints where.
pub(crate) async fn serve(kind: Kind, listen: SocketAddr) -> anyhow::Result<()> {
    let listener = std::net::TcpListener::bind(listen)?;
    listener.set_nonblocking(true)?;
    writeln!(std::io::stdout(), "ws://{}", listener.local_addr()?)?;
    match kind {
        Kind::Ceiling => ceiling::serve(&listener, ceiling::Writing::Each)?,
        Kind::Gathering => ceiling::serve(&listener, ceiling::Writing::Gathered)?,
        Kind::Minimal => minimal::serve(tokio::net::TcpListener::from_std(listener)?).await?,
    }
    Ok(())
}
