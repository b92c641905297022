//! A sender that waits for an answer.

use std::collections::BTreeMap;

use url::Url;

use crate::address::{normal_path, reject_address};
use crate::endpoint::{Endpoint, without_query};
use crate::error::{Error, Result};
use crate::frames::{Accept, RemoteEndpoint};
use crate::handshake::{Answer, Upgrade, upgrade};
use crate::stream::{self, RelayStream};

/// A sender waits at the relay, for 30 s. Dropping this leaves it waiting until then.
#[derive(Debug)]
pub struct Incoming {
    accept: Accept,
    url: Url,
    endpoint: Endpoint,
}

impl Incoming {
    pub(super) fn new(accept: Accept, endpoint: Endpoint) -> Result<Self> {
        let url = Url::parse(&accept.address).map_err(|_| Error::InvalidAddress {
            address: "in an accept message".to_owned(),
            reason: "it is not a URL",
        })?;
        // Whoever controls the relay must not make this machine speak in the clear to its neighbours.
        if url.scheme() != endpoint.url.scheme() {
            return Err(Error::InvalidAddress {
                address: without_query(&url),
                reason: "an accept message must lead to the same kind of connection as the relay's own",
            });
        }
        Ok(Self { accept, url, endpoint })
    }

    /// The tracing id of the sender or of the relay.
    pub fn id(&self) -> &str {
        &self.accept.id
    }

    /// What the sender appended to the path, decoded and in lower case, without slashes at the ends.
    pub fn suffix(&self) -> String {
        let full = normal_path(self.url.path());
        let own = normal_path(&self.endpoint.path);
        full.strip_prefix(&own).unwrap_or_default().trim_matches('/').to_owned()
    }

    /// The sender's request headers, as the relay saw them.
    pub fn headers(&self) -> &BTreeMap<String, String> {
        &self.accept.connect_headers
    }

    /// Where the sender came from, when the relay tells.
    pub fn remote_endpoint(&self) -> Option<&RemoteEndpoint> {
        self.accept.remote_endpoint.as_ref()
    }

    /// Meets the sender. The address is opened as it was received, without a token.
    pub async fn accept(self) -> Result<RelayStream> {
        match self.open(&self.url).await? {
            Answer::Open(socket) => Ok(RelayStream::new(*socket, self.endpoint.frame_bytes)),
            Answer::Refused(refused) => Err(refused.into_error(without_query(&self.url))),
        }
    }

    /// Sends the sender away with an HTTP status (400 to 599) and a description that it will see.
    pub async fn reject(self, status: u16, description: &str) -> Result<()> {
        let url = reject_address(&self.url, status, description);
        match self.open(&url).await? {
            // 410 is the relay's word for "I have passed it on".
            Answer::Refused(refused) if refused.status == 410 => Ok(()),
            Answer::Refused(refused) => Err(refused.into_error(without_query(&url))),
            Answer::Open(_) => Err(Error::NotARelay {
                endpoint: without_query(&url),
                reason: "it opened a stream for a rejection".to_owned(),
            }),
        }
    }

    async fn open(&self, url: &Url) -> Result<Answer> {
        upgrade(Upgrade {
            url,
            tls: &self.endpoint.tls,
            token: None,
            open_timeout: self.endpoint.open_timeout,
            answer_timeout: self.endpoint.open_timeout,
            config: stream::socket_config(),
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn incoming(relay: &str, address: &str) -> Result<Incoming> {
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
        let endpoint = Endpoint::new(Url::parse(relay).unwrap(), "agents/1", Arc::new(tls));
        let accept = Accept {
            address: address.to_owned(),
            id: String::new(),
            connect_headers: BTreeMap::new(),
            remote_endpoint: None,
        };
        Incoming::new(accept, endpoint)
    }

    #[test]
    fn a_relay_behind_tls_cannot_lead_to_a_neighbour_in_the_clear() {
        // Azure's rendezvous addresses are on other hosts than the namespace.
        assert!(incoming("wss://relay.example", "wss://node-7.relay.example/$hc/agents/1?x=1").is_ok());
        for address in ["ws://127.0.0.1:8088/jmx", "ws://relay.example/x", "http://127.0.0.1/", "nonsense"] {
            assert!(incoming("wss://relay.example", address).is_err(), "{address}");
        }
        assert!(incoming("ws://127.0.0.1:9", "ws://127.0.0.1:9/x").is_ok());
    }
}
