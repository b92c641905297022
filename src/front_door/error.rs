//! Why the front door could not start, or not write a file for its user.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on {address}; is the port taken? Choose another one or stop the other program")]
    Listen { address: std::net::SocketAddr, source: std::io::Error },
    #[error("the server thread could not be started or ended early")]
    Server(#[source] std::io::Error),
    #[error("cannot read or write {path}; check that the folder exists and belongs to this user")]
    File { path: PathBuf, source: std::io::Error },
    #[error(
        "{path} does not hold an RSA key; move it away to have a new one made (tokens in use become invalid)"
    )]
    SigningKey { path: PathBuf },
    #[error("a signing key could not be made")]
    KeyGeneration,
    #[error("the client for provider {namespace} could not be set up; check its certificate and endpoint")]
    ProviderClient { namespace: String, source: reqwest::Error },
    #[error("the client for the storage emulator could not be set up")]
    EmulatorClient { source: reqwest::Error },
    #[error("TLS could not be set up")]
    Tls(#[source] rustls::Error),
    #[error("the store could not be read at start")]
    Store(#[from] livedata_store::Error),
    #[error("'{0}' cannot be used as the public address: an https URL with a host is needed")]
    PublicUrl(String),
}

/// What a caller can do about an [`Error`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ErrorKind {
    /// A setting or file has to change first.
    Configuration,
    /// Trying again later can help.
    Retryable,
    Fatal,
}

impl Error {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Listen { .. } | Self::Store(_) => ErrorKind::Retryable,
            Self::File { .. }
            | Self::SigningKey { .. }
            | Self::PublicUrl(_)
            | Self::ProviderClient { .. }
            | Self::EmulatorClient { .. } => ErrorKind::Configuration,
            Self::Server(_) | Self::KeyGeneration | Self::Tls(_) => ErrorKind::Fatal,
        }
    }
}
