//! Where a process is reached.
//!
//! Owns how its ports are opened. Promises that the system keeps little of what a peer has yet to take (P8), so that one
//! who takes slowly is seen to take, and one who takes nothing costs little. Never accepts.

use std::{io, net::SocketAddr};

use tokio::net::TcpListener;

/// What the system keeps for a connection besides what is on its way, in bytes. By itself it keeps up to 4 MiB and asks
/// for more once a third of that is gone: whoever takes 20 KiB a second would seem to take nothing for a minute.
pub const UNSENT_BYTES: u32 = 64 * 1024;

/// Opens a port.
///
/// # Errors
/// The system refuses it.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address).await?;
    // Connections inherit it.
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(&listener).set_tcp_notsent_lowat(UNSENT_BYTES)?;
    Ok(listener)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn p8_of_every_connection_little_is_kept_unsent() {
        let listener = bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let _peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        assert_eq!(socket2::SockRef::from(&accepted).tcp_notsent_lowat().unwrap(), UNSENT_BYTES);
    }
}
