//! What can go wrong with keys, certificates and their files.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot {action} {}; check that the folder exists, has room and belongs to this user", path.display())]
    File { action: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{} holds a certificate but {} is missing; restore the key, or remove both files to start a new authority (everything issued so far is then untrusted)", certificate.display(), key.display())]
    KeyMissing { certificate: PathBuf, key: PathBuf },
    #[error("{what} is not a usable PEM document: {reason}")]
    Pem { what: String, reason: String },
    #[error(
        "the private key of {what} does not belong to its certificate; restore the pair from the same backup"
    )]
    KeyMismatch { what: String },
    #[error("the certificate request is refused: {0}")]
    Request(String),
    #[error("\"{0}\" cannot be a name in a certificate; use plain ASCII without spaces")]
    Name(String),
    #[error("the certificate is not valid here: {0}")]
    Untrusted(String),
    #[error("cannot make a key, certificate or signature")]
    Make(#[from] rcgen::Error),
    #[error("cannot make a TLS configuration")]
    Tls(#[from] rustls::Error),
    #[error("the system's random number generator failed")]
    Random,
}

/// What a caller can do about an [`Error`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// The disk: an operator has to look.
    Storage,
    /// What was given is wrong and stays wrong.
    Input,
    /// The other side's certificate or request does not convince.
    Denied,
    /// Cryptography failed without a fault in the input.
    Internal,
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Self::File { .. } | Self::KeyMissing { .. } => Kind::Storage,
            Self::Pem { .. } | Self::KeyMismatch { .. } | Self::Name(_) => Kind::Input,
            Self::Request(_) | Self::Untrusted(_) => Kind::Denied,
            Self::Make(_) | Self::Tls(_) | Self::Random => Kind::Internal,
        }
    }
}
