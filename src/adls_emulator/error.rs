//! What can go wrong when the emulator starts or stops. Errors of single requests are `service_error`.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What a caller can do about an [`EmulatorError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The options are wrong; the same call will fail again.
    Configuration,
    /// Another process holds the address or the data folder; free it and start again.
    Busy,
    /// The machine refused (disk, threads); the message says what.
    Machine,
}

#[derive(Debug, thiserror::Error)]
pub enum EmulatorError {
    #[error("the data folder {path} cannot be prepared; check that it is writable")]
    DataFolder { path: PathBuf, source: io::Error },
    #[error(
        "the data folder {path} is used by another running emulator; stop that one or choose another folder"
    )]
    DataFolderInUse { path: PathBuf },
    #[error(
        "the index {path} cannot be opened or read; if the file is damaged, remove the data folder and start anew"
    )]
    Index { path: PathBuf, source: rusqlite::Error },
    #[error("cannot listen on {address}; choose another address or stop the program that uses it")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("the admin token is empty; give a secret of your choice")]
    EmptyAdminToken,
    #[error("the account '{name}' is not valid: {reason}")]
    InvalidAccount { name: String, reason: String },
    #[error("the list of token issuers is not what is expected: an array of issuer, audiences, keys")]
    InvalidIssuers { source: serde_json::Error },
    #[error("the file {path} cannot be read")]
    File { path: PathBuf, source: io::Error },
    #[error("the certificate or the key for TLS cannot be used: {reason}")]
    Tls { reason: String },
    #[error("line {line} of the accounts file {path} is not NAME=BASE64KEY; correct it")]
    AccountsLine { path: PathBuf, line: usize, source: Box<EmulatorError> },
    #[error(
        "the accounts file {path} holds no account; write one NAME=BASE64KEY a line, or leave the file away"
    )]
    NoAccounts { path: PathBuf },
    #[error("no emulator serves at {address}")]
    NotServing { address: SocketAddr, source: io::Error },
    #[error("the server thread could not be run")]
    Thread { source: io::Error },
    #[error("the server thread ended before it was ready: {reason}")]
    NotReady { reason: String },
}

impl EmulatorError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::EmptyAdminToken
            | Self::InvalidAccount { .. }
            | Self::InvalidIssuers { .. }
            | Self::NoAccounts { .. }
            | Self::File { .. }
            | Self::Tls { .. }
            | Self::AccountsLine { .. } => ErrorKind::Configuration,
            Self::DataFolderInUse { .. } | Self::Listen { .. } => ErrorKind::Busy,
            Self::DataFolder { .. }
            | Self::Index { .. }
            | Self::NotServing { .. }
            | Self::Thread { .. }
            | Self::NotReady { .. } => ErrorKind::Machine,
        }
    }
}
