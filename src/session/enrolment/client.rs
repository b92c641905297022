//! The agent's side of enrolment, over HTTPS to a server that is known by the fingerprint of its authority.

use std::path::{Path, PathBuf};
use std::time::Duration;

use livedata_pki as pki;
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::clock::wall_seconds;
use crate::enrolment::enrolled::key_path;
use crate::enrolment::{
    ENROL_PATH, Enrolled, EnrolmentReply, EnrolmentRequest, ErrorReply, InstallKey, RelayAccess, Server,
    TOKEN_PATH, TokenRequest,
};
use crate::{AgentIdentity, AgentName};

const REQUEST_WITHIN: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot reach {url}; check the network, a firewall or proxy, and that the provider runs")]
    Unreachable { url: String, source: reqwest::Error },
    #[error(
        "whoever answers at {url} is not the provider that made the install key (its authority is not {fingerprint}); something intercepts the connection, or the provider has a new authority: get a fresh key with listInstallKey"
    )]
    WrongServer { url: String, fingerprint: String },
    #[error("{message} ({code}, HTTP {status})")]
    Rejected { status: u16, code: String, message: String },
    #[error(
        "{url} answered HTTP {status} with something that is no reply of the provider; is the URL right?"
    )]
    Reply { url: String, status: u16 },
    #[error(
        "this install key is of migrator {offered}, but the agent in {} belongs to migrator {present}; give each migrator's agent a folder of its own", folder.display()
    )]
    AnotherMigrator { folder: PathBuf, present: String, offered: String },
    #[error("the provider's reply does not fit this agent")]
    Identity(#[from] crate::Error),
    #[error("cannot use this agent's key")]
    Key(#[from] pki::Error),
}

/// What a caller can do about an [`Error`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// The same request may succeed later.
    Retryable,
    /// The provider says no, or is not the provider: an operator has to act.
    Denied,
    /// This side's files, or a reply that cannot be used.
    Fatal,
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Unreachable { .. } => Kind::Retryable,
            Self::Rejected { status, .. } | Self::Reply { status, .. }
                if *status >= 500 || *status == 429 =>
            {
                Kind::Retryable
            }
            Self::WrongServer { .. } | Self::Rejected { .. } => Kind::Denied,
            Self::Reply { .. } | Self::AnotherMigrator { .. } | Self::Identity(_) | Self::Key(_) => {
                Kind::Fatal
            }
        }
    }
}

/// Spends an install key. The agent's key pair is made in `folder` before it is used, so that calling again after a
/// failure or a crash asks for the same identity; on success everything is saved there ([`Enrolled::load`]). In the
/// folder of another migrator's agent the key is not spent.
pub async fn enrol(
    key: &InstallKey,
    folder: &Path,
    instance_id: &str,
    agent_version: &str,
) -> Result<Enrolled, Error> {
    if let Some(present) = Enrolled::migrator_of(folder)?.filter(|present| *present != key.migrator_guid) {
        let offered = key.migrator_guid.clone();
        return Err(Error::AnotherMigrator { folder: folder.to_owned(), present, offered });
    }
    let request = pki::IdentityRequest::load_or_create(&key_path(folder))?;
    let body = EnrolmentRequest::new(key, request.der(), instance_id, agent_version);
    let server = Server { url: key.url.clone(), ca_fingerprint: key.ca_fingerprint.clone() };
    let reply: EnrolmentReply = post(&server, ENROL_PATH, &body).await?;
    let name = AgentName::new(&reply.migrator_guid, instance_id)?;
    let identity =
        AgentIdentity::new(request.complete(reply.certificate_chain_pem)?, reply.agent_authority_pem, &name)?;
    let enrolled = Enrolled { name, identity, server, relay: reply.relay };
    enrolled.save(folder)?;
    Ok(enrolled)
}

/// Asks for a new listen token, after an absence that outlived the old one. The caller saves it.
pub async fn renew_token(enrolled: &Enrolled) -> Result<RelayAccess, Error> {
    let body = TokenRequest::new(&enrolled.identity.identity, wall_seconds())?;
    post(&enrolled.server, TOKEN_PATH, &body).await
}

async fn post<Reply: DeserializeOwned>(
    server: &Server,
    path: &str,
    body: &impl Serialize,
) -> Result<Reply, Error> {
    let url = join(&server.url, path);
    let unreachable = |source: reqwest::Error| {
        if is_wrong_certificate(&source) {
            return Error::WrongServer { url: url.clone(), fingerprint: server.ca_fingerprint.clone() };
        }
        Error::Unreachable { url: url.clone(), source }
    };
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(pki::trust::pinned(&server.ca_fingerprint)?)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(REQUEST_WITHIN)
        .build()
        .map_err(unreachable)?;
    let response = client.post(&url).json(body).send().await.map_err(unreachable)?;
    let status = response.status();
    let bytes = response.bytes().await.map_err(unreachable)?;
    let no_reply = || Error::Reply { url: url.clone(), status: status.as_u16() };
    if status.is_success() {
        return serde_json::from_slice(&bytes).map_err(|_| no_reply());
    }
    let ErrorReply { error } = serde_json::from_slice(&bytes).map_err(|_| no_reply())?;
    Err(Error::Rejected { status: status.as_u16(), code: error.code, message: error.message })
}

/// The base may have a path of its own, with or without a slash at its end.
fn join(base: &Url, path: &str) -> String {
    base.as_str().trim_end_matches('/').to_owned() + path
}

/// rustls hides in an I/O error, which hides in what reqwest says.
fn is_wrong_certificate(error: &reqwest::Error) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        let inner = error.downcast_ref::<std::io::Error>().and_then(|error| error.get_ref());
        let tls =
            inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()).or_else(|| error.downcast_ref());
        if let Some(rustls::Error::InvalidCertificate(_)) = tls {
            return true;
        }
        next = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}
