//! `--probe`: whether an emulator serves. For the health checks of containers, whose images hold no client for HTTP.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::error::EmulatorError;

const PATIENCE: Duration = Duration::from_secs(5);
const REQUEST: &[u8] = b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

/// Asks the admin endpoint, which speaks plain HTTP whatever the storage endpoint speaks.
pub(crate) async fn probe(admin: SocketAddr) -> Result<(), EmulatorError> {
    let address = from_here(admin);
    let unhealthy = |source| EmulatorError::NotServing { address, source };
    let reply = tokio::time::timeout(PATIENCE, ask(address)).await;
    let reply = reply.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(unhealthy)?;
    match reply.starts_with(b"HTTP/1.1 200") {
        true => Ok(()),
        false => Err(unhealthy(io::Error::other("it does not answer as a healthy emulator"))),
    }
}

async fn ask(address: SocketAddr) -> io::Result<Vec<u8>> {
    let mut socket = TcpStream::connect(address).await?;
    socket.write_all(REQUEST).await?;
    let mut reply = Vec::new();
    socket.take(64 * 1024).read_to_end(&mut reply).await?;
    Ok(reply)
}

/// Who listens on all addresses is reached on this machine by the loopback one.
pub(crate) fn from_here(listening: SocketAddr) -> SocketAddr {
    let loopback = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(loopback, listening.port())
}
