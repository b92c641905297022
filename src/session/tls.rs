//! TLS 1.3 inside a relayed stream: from bytes that a stranger carries to a [`Channel`] with a known peer.

use std::sync::Arc;
use std::time::Duration;

use livedata_pki::WrongPeer;
use rustls_pki_types::ServerName;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::{AgentIdentity, AgentName, Channel, Error, PROVIDER_URI, ProviderIdentity, Transport};

const HANDSHAKE_WITHIN: Duration = Duration::from_secs(20);

/// Calls the agent at the other end and makes sure that it is `expected`; anybody else is [`Error::WrongAgent`].
///
/// In TLS 1.3 the caller is done before the agent has judged the caller's certificate: a refusal shows at the first
/// `recv`, as [`Error::Tls`].
pub async fn open_as_provider(
    stream: impl Transport + 'static,
    identity: &ProviderIdentity,
    expected: &AgentName,
) -> Result<Channel, Error> {
    let config = identity.identity.client_config_for(&identity.authority_pem, &expected.to_string())?;
    // The agent is known by the URI in its certificate; TLS wants some name.
    let name = ServerName::try_from("agent.invalid").map_err(|_| Error::Name("agent.invalid".into()))?;
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, stream);
    match timeout(HANDSHAKE_WITHIN, handshake).await {
        Ok(Ok(stream)) => Ok(Channel::over(stream)),
        Ok(Err(error)) => Err(failure(error, |wrong| Error::WrongAgent {
            expected: wrong.expected.clone(),
            presented: wrong.presented.clone(),
        })),
        Err(_) => Err(no_handshake()),
    }
}

/// Answers a caller and makes sure that it is the provider of this agent's authority.
pub async fn accept_as_agent(
    stream: impl Transport + 'static,
    identity: &AgentIdentity,
) -> Result<Channel, Error> {
    let config = identity.identity.server_config_for(&identity.authority_pem, PROVIDER_URI)?;
    match timeout(HANDSHAKE_WITHIN, TlsAcceptor::from(Arc::new(config)).accept(stream)).await {
        Ok(Ok(stream)) => Ok(Channel::over(stream)),
        Ok(Err(error)) => {
            Err(failure(error, |wrong| Error::WrongProvider { presented: wrong.presented.clone() }))
        }
        Err(_) => Err(no_handshake()),
    }
}

fn no_handshake() -> Error {
    Error::NoAnswer { awaited: "its part of the TLS handshake", seconds: HANDSHAKE_WITHIN.as_secs() }
}

fn failure(error: std::io::Error, wrong_peer: impl Fn(&WrongPeer) -> Error) -> Error {
    match from_io(error) {
        Error::Tls(error) => WrongPeer::in_error(&error).map(wrong_peer).unwrap_or(Error::Tls(error)),
        other => other,
    }
}

/// rustls wraps its errors in I/O errors.
pub(crate) fn from_io(error: std::io::Error) -> Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(tls) => Error::Tls(tls.clone()),
        None => Error::Connection(error),
    }
}
