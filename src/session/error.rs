//! What breaks a conversation.

use std::path::PathBuf;

use livedata_model::cbor::DecodeError;
use livedata_pki as pki;

/// What a handler of the caller's reports: opaque here, it ends the conversation.
pub type HandlerError = Box<dyn std::error::Error + Send + Sync>;

/// The error of an agent's handler that does not end the conversation: what it was to store cannot be stored at present. It is
/// asked again, and until then nothing is acknowledged.
#[derive(Debug, thiserror::Error)]
#[error("it cannot be stored at present")]
pub struct NotNow(#[source] pub HandlerError);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "called the agent {expected}, but {} answered; the call is refused. If an agent was moved or installed anew, enrol it with a fresh install key",
        holder(presented)
    )]
    WrongAgent { expected: String, presented: Vec<String> },
    #[error("{} called, which is not the provider; it is refused", holder(presented))]
    WrongProvider { presented: Vec<String> },
    #[error(
        "\"{0}\" cannot name an agent: migrator GUID and instance id have 1 to 64 letters, digits or hyphens"
    )]
    Name(String),
    #[error("TLS inside the relayed stream failed; both sides must hold certificates of the same provider")]
    Tls(#[source] rustls::Error),
    #[error("the relayed stream broke")]
    Connection(#[source] std::io::Error),
    #[error("a message is longer than {} bytes", livedata_model::message::MAX_MESSAGE_BYTES)]
    TooLong,
    #[error(
        "the peer sent bytes that are no message of this protocol; are both sides of a supported version?"
    )]
    Malformed(#[source] DecodeError),
    #[error("expected {expected} from the peer, received {received}")]
    Unexpected { expected: &'static str, received: &'static str },
    #[error("the peer did not send {awaited} within {seconds} s")]
    NoAnswer { awaited: &'static str, seconds: u64 },
    #[error(
        "the provider offered session epoch {offered}, but this agent has seen {seen}; an older provider or a restored database is answering"
    )]
    OldEpoch { offered: u64, seen: u64 },
    #[error(
        "the provider chose protocol version {chosen}, which this agent does not speak; upgrade the older side"
    )]
    Protocol { chosen: u16 },
    #[error("the peer does not read what it is sent")]
    PeerNotReading,
    #[error("the handler of this session failed")]
    Handler(#[source] HandlerError),
    #[error("the enrolment in {} is damaged ({reason}); restore it from a backup, or enrol again with a fresh install key of the same migrator", folder.display())]
    EnrolmentDamaged { folder: PathBuf, reason: String },
    #[error("cannot use the certificates of this side")]
    Certificates(#[from] pki::Error),
}

fn holder(presented: &[String]) -> String {
    match presented {
        [] => "somebody whose certificate names nobody".to_owned(),
        names => format!("the holder of the certificate of {}", names.join(", ")),
    }
}

/// What a caller can do about an [`Error`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Open a new session after a pause.
    Retryable,
    /// The peer is not who it should be, or is not to be obeyed. Trying again is harmless but will not help by itself.
    Denied,
    /// The two sides do not speak the same protocol.
    Protocol,
    /// This side is at fault: handler, files.
    Local,
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Connection(_) | Self::NoAnswer { .. } | Self::PeerNotReading => Kind::Retryable,
            Self::WrongAgent { .. } | Self::WrongProvider { .. } | Self::Tls(_) | Self::OldEpoch { .. } => {
                Kind::Denied
            }
            Self::TooLong | Self::Malformed(_) | Self::Unexpected { .. } | Self::Protocol { .. } => {
                Kind::Protocol
            }
            Self::Name(_) | Self::Handler(_) | Self::EnrolmentDamaged { .. } | Self::Certificates(_) => {
                Kind::Local
            }
        }
    }
}
