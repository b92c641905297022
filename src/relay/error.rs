//! What can go wrong between us and a relay, and what a caller can do about it.

use std::io;
use std::time::Duration;

pub type Result<T> = std::result::Result<T, Error>;

/// What the caller can do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Try again after a back-off.
    Retryable,
    /// The relay asks for patience; see [`Error::retry_after`].
    Throttled,
    /// Nobody listens at this path now.
    Gone,
    /// The token does not allow this; get another one.
    Denied,
    /// The listener answered and does not want the stream.
    Rejected,
    /// A mistake in the configuration; trying again cannot help.
    Fatal,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot use relay address {address}: {reason}; correct the relay endpoint in the configuration")]
    InvalidAddress { address: String, reason: &'static str },

    #[error("cannot reach the relay at {endpoint}; check its name, port, firewall and that it runs")]
    Unreachable {
        endpoint: String,
        #[source]
        source: io::Error,
    },

    #[error("{endpoint} did not answer within {waited:?} while {step}")]
    TimedOut { endpoint: String, step: &'static str, waited: Duration },

    #[error("{endpoint} did not answer as a relay: {reason}; check that no proxy removes the Upgrade header")]
    NotARelay { endpoint: String, reason: String },

    #[error("the relay refused the token for {endpoint}: {description}; check key name, key and clock")]
    Unauthorized { endpoint: String, description: String },

    #[error("the token does not allow this at {endpoint}: {description}; check the rule's rights and path")]
    Forbidden { endpoint: String, description: String },

    #[error("nobody listens at {endpoint}: {description}; check that the agent runs and is connected")]
    NoListener { endpoint: String, description: String },

    #[error("the listener at {endpoint} rejected the stream with status {status}: {description}")]
    Rejected { endpoint: String, status: u16, description: String },

    #[error("no listener took the stream at {endpoint} in time: {description}")]
    Timeout { endpoint: String, description: String },

    #[error("the relay at {endpoint} is not available, status {status}: {description}")]
    Unavailable { endpoint: String, status: u16, description: String, retry_after: Option<Duration> },

    #[error("the relay closed the control channel with code {code}: {reason}")]
    Closed { code: u16, reason: String },

    #[error("the control channel broke")]
    ChannelLost(#[source] io::Error),

    #[error("the relay was silent for {0:?} although it sends pings; the connection is taken for dead")]
    Silent(Duration),

    #[error("the relay sent a control message that cannot be read")]
    BadMessage(#[source] serde_json::Error),

    #[error("could not get a relay token")]
    TokenSource(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidAddress { .. } => ErrorKind::Fatal,
            Self::Unauthorized { .. } | Self::Forbidden { .. } => ErrorKind::Denied,
            Self::NoListener { .. } => ErrorKind::Gone,
            Self::Rejected { .. } => ErrorKind::Rejected,
            Self::Unavailable { retry_after: Some(_), .. } => ErrorKind::Throttled,
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::NotARelay { .. }
            | Self::Timeout { .. }
            | Self::Unavailable { .. }
            | Self::Closed { .. }
            | Self::ChannelLost(_)
            | Self::Silent(_)
            | Self::BadMessage(_)
            | Self::TokenSource(_) => ErrorKind::Retryable,
        }
    }

    /// How long the relay asked us to wait, from its `Retry-After` header.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
