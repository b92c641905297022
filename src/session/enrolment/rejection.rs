//! Why the enrolment listener refuses, in ARM's error shape.

use serde::{Deserialize, Serialize};

/// A refusal. The message is for the operator who reads the agent's log.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Rejection {
    #[error(
        "The install key is unknown, was revoked, or does not belong to this request. Get a fresh one with listInstallKey."
    )]
    InstallKeyInvalid,
    #[error(
        "The install key was used by another agent; each key enrols one. Get a fresh one with listInstallKey."
    )]
    InstallKeyUsed,
    #[error("The install key has expired. Get a fresh one with listInstallKey.")]
    InstallKeyExpired,
    #[error("The request is malformed: {0}.")]
    BadRequest(String),
    #[error(
        "The certificate was not issued to an agent by this provider, or the signature was not made by its key. Enrol the agent with a fresh install key."
    )]
    AgentUnknown,
    #[error(
        "The request was made {seconds_apart} s away from the provider's time, more than the {allowed} s allowed. Set the clock of the agent's machine right."
    )]
    ClockSkewed { seconds_apart: u64, allowed: u64 },
}

impl Rejection {
    pub fn http_status(&self) -> u16 {
        match self {
            Self::InstallKeyInvalid | Self::AgentUnknown | Self::ClockSkewed { .. } => 401,
            Self::InstallKeyUsed => 409,
            Self::InstallKeyExpired => 410,
            Self::BadRequest(_) => 400,
        }
    }

    pub fn code(&self) -> &'static str {
        match self {
            Self::InstallKeyInvalid => "InstallKeyInvalid",
            Self::InstallKeyUsed => "InstallKeyUsed",
            Self::InstallKeyExpired => "InstallKeyExpired",
            Self::BadRequest(_) => "BadRequest",
            Self::AgentUnknown => "AgentUnknown",
            Self::ClockSkewed { .. } => "ClockSkewed",
        }
    }

    /// The body of the HTTP reply.
    pub fn reply(&self) -> ErrorReply {
        ErrorReply { error: ErrorBody { code: self.code().to_owned(), message: self.to_string() } }
    }
}

/// `{"error": {"code": …, "message": …}}`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErrorReply {
    pub error: ErrorBody,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErrorBody {
    pub code: String,
    pub message: String,
}
