//! Where a relay is and how to treat it.

use std::sync::Arc;
use std::time::Duration;

use url::{Host, Url};

use crate::address::resource_uri;
use crate::error::{Error, Result};

/// One path at one relay. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// `wss://host[:port]`. `ws://` is accepted for loopback hosts only.
    pub url: Url,
    /// The hybrid connection, not escaped, for example `agents/0001`.
    pub path: String,
    pub tls: Arc<rustls::ClientConfig>,
    /// How long DNS, TCP, TLS and the upgrade may take together.
    pub open_timeout: Duration,
    /// How often a listener sends an unsolicited Pong. Azure drops channels that are silent for about four minutes, and
    /// also channels that send Pings.
    pub keepalive: Duration,
    /// A listener whose relay has sent a Ping and then nothing for this long takes the connection for dead. The default
    /// is two missed pings of the embedded relay and half an interval more. Azure is not known to ping.
    pub silence_limit: Duration,
    /// Longest WebSocket message that a stream writes. Some middle boxes fail above 4 to 8 KiB.
    pub frame_bytes: usize,
}

impl Endpoint {
    pub fn new(url: Url, path: impl Into<String>, tls: Arc<rustls::ClientConfig>) -> Self {
        Self {
            url,
            path: path.into(),
            tls,
            open_timeout: Duration::from_secs(20),
            keepalive: Duration::from_secs(30),
            silence_limit: Duration::from_secs(50),
            frame_bytes: 32 * 1024,
        }
    }

    /// The resource to sign a token for: this path and everything below it.
    pub fn resource(&self) -> String {
        resource_uri(&self.url, &self.path)
    }
}

/// The parts of an address that are needed to open a connection.
pub(crate) struct Authority<'a> {
    pub host: Host<&'a str>,
    pub port: u16,
    pub secure: bool,
}

/// Checks that `url` can be opened: `wss`, or `ws` on this machine only, because the token would travel in the clear.
pub(crate) fn authority(url: &Url) -> Result<Authority<'_>> {
    let invalid = |reason| Error::InvalidAddress { address: without_query(url), reason };
    let host = url.host().ok_or_else(|| invalid("it has no host"))?;
    let loopback = match host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    let secure = match url.scheme() {
        "wss" => true,
        "ws" if loopback => false,
        "ws" => return Err(invalid("ws:// is allowed for loopback only")),
        _ => return Err(invalid("the scheme must be wss")),
    };
    let port = url.port_or_known_default().ok_or_else(|| invalid("it has no port"))?;
    Ok(Authority { host, port, secure })
}

/// An address that may be shown: the query can hold a rendezvous secret.
pub(crate) fn without_query(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    shown.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clear_text_is_for_loopback_only() {
        for (url, expected) in [
            ("wss://relay.example", true),
            ("ws://127.0.0.1:9", true),
            ("ws://[::1]:9", true),
            ("ws://localhost:9", true),
            ("ws://relay.example", false),
            ("https://relay.example", false),
        ] {
            assert_eq!(authority(&Url::parse(url).unwrap()).is_ok(), expected, "{url}");
        }
    }
}
