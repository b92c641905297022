//! One error type for every file system: what was attempted, on what, and what a caller may do about it.

use std::time::Duration;

pub type Result<T> = std::result::Result<T, Error>;

/// What a caller can do about an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub enum ErrorKind {
    /// The node or path does not exist (any more). During a migration this is normal life, not a fault.
    Gone,
    /// The caller lacks the right. Retrying does not help until somebody grants it.
    Denied,
    /// A condition did not hold, or something of another kind is in the way.
    Conflict,
    /// The content changed between two looks: look again and start over.
    Changed,
    /// The service asks for a pause.
    Throttled { retry_after: Option<Duration> },
    /// It is there and cannot be read, as after an error of the disk. Another try may succeed. It is a matter of this one path,
    /// unless everything is so.
    Unreadable,
    /// The service cannot be reached or did not answer. Whether a request took effect is unknown.
    Unreachable,
    /// The store as a whole turns us away: a wrong key, a disabled account, a container that is not there. Every request meets
    /// the same until an operator acts, so it says nothing about the one path.
    Unusable,
    /// The store does not take this name: characters or a length that it does not allow.
    NameRefused,
    /// What is to be kept with the path is larger than the store keeps.
    TooLarge,
    /// The request can never work: a protocol violation, a bug.
    Fatal,
}

impl ErrorKind {
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::Unreachable)
    }
}

/// `Display` says what was attempted and on what; the source error (if any) is not repeated in it.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {subject}: {message}")]
pub struct Error {
    kind: ErrorKind,
    operation: &'static str,
    subject: String,
    message: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub fn new(
        kind: ErrorKind,
        operation: &'static str,
        subject: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self { kind, operation, subject: subject.into(), message: message.into(), source: None }
    }

    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The part after the subject, for reports that name the path themselves.
    pub fn message(&self) -> &str {
        &self.message
    }
}
