//! Opens the socket under a WebSocket: DNS, TCP, TLS.

use std::io;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::endpoint::authority;
use crate::error::{Error, Result};

pub(crate) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// A connected socket, with or without TLS.
pub(crate) type Transport = Box<dyn Socket>;

pub(crate) async fn dial(url: &Url, tls: &Arc<rustls::ClientConfig>) -> Result<Transport> {
    let authority = authority(url)?;
    let endpoint = format!("{}:{}", authority.host, authority.port);
    let unreachable = |source: io::Error| Error::Unreachable { endpoint: endpoint.clone(), source };

    let tcp = match authority.host {
        Host::Domain(name) => TcpStream::connect((name, authority.port)).await,
        Host::Ipv4(address) => TcpStream::connect((address, authority.port)).await,
        Host::Ipv6(address) => TcpStream::connect((address, authority.port)).await,
    }
    .map_err(unreachable)?;
    // Session frames are small and wait for answers; Nagle would hold them back.
    tcp.set_nodelay(true).map_err(unreachable)?;
    if !authority.secure {
        return Ok(Box::new(tcp));
    }

    let name = match authority.host {
        Host::Domain(name) => ServerName::try_from(name.to_owned())
            .map_err(|e| unreachable(io::Error::new(io::ErrorKind::InvalidInput, e)))?,
        Host::Ipv4(address) => ServerName::IpAddress(std::net::IpAddr::V4(address).into()),
        Host::Ipv6(address) => ServerName::IpAddress(std::net::IpAddr::V6(address).into()),
    };
    let mut config = rustls::ClientConfig::clone(tls);
    // The upgrade exists in HTTP/1.1 only; whatever else the caller's configuration offers must not be chosen.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.map_err(unreachable)?;
    Ok(Box::new(stream))
}
