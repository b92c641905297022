//! What a fault does, in the form in which it is asked for.

use std::num::NonZeroU64;

use actix_web::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::pacer::Pacer;
use crate::service_error::ServiceError;

/// A delay beyond this is a mistake in a unit.
const MAX_LATENCY_MS: u64 = 24 * 60 * 60 * 1000;

/// One of: `{"latency": {"fromMs": 10, "toMs": 50}}`, `{"bandwidth": {"ingressBytesPerSecond": 1000000}}`,
/// `{"error": {"kind": "serverBusy", "retryAfterSeconds": 2}}`, `"lostReply"`, `{"reset": "beforeOperation"}`,
/// `{"reset": {"requestBody": {"afterBytes": 1000}}}`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Effect {
    Latency(Latency),
    Bandwidth(Bandwidth),
    Error(Failure),
    /// The operation is done, and the connection is closed without an answer.
    LostReply,
    Reset(Reset),
}

/// How long a request waits before its operation.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Latency {
    pub from_ms: u64,
    /// With it the wait is anything from the one to the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_ms: Option<u64>,
}

/// A ceiling for bodies, which all requests that the rule strikes share.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Bandwidth {
    #[serde(skip_serializing_if = "Option::is_none")]
    ingress_bytes_per_second: Option<NonZeroU64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    egress_bytes_per_second: Option<NonZeroU64>,
    #[serde(skip)]
    ingress: Pacer,
    #[serde(skip)]
    egress: Pacer,
}

impl Bandwidth {
    pub(super) fn ingress(&self) -> Option<(&Pacer, NonZeroU64)> {
        self.ingress_bytes_per_second.map(|rate| (&self.ingress, rate))
    }

    pub(super) fn egress(&self) -> Option<(&Pacer, NonZeroU64)> {
        self.egress_bytes_per_second.map(|rate| (&self.egress, rate))
    }
}

/// An error of the service.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Failure {
    pub kind: FailureKind,
    /// Sent as `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u32>,
    /// The operation is done before the error is answered.
    #[serde(default)]
    pub after_commit: bool,
}

/// Codes and messages are the service's ("Common REST API error codes"); clients tell the three limits apart by the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum FailureKind {
    IngressOverLimit,
    EgressOverLimit,
    OperationsOverLimit,
    ServerBusy,
    OperationTimedOut,
    InternalError,
    TooManyRequests,
}

impl FailureKind {
    pub(super) fn error(self) -> ServiceError {
        let (status, code, message) = match self {
            Self::IngressOverLimit => (503, "ServerBusy", "Ingress is over the account limit."),
            Self::EgressOverLimit => (503, "ServerBusy", "Egress is over the account limit."),
            Self::OperationsOverLimit => {
                (503, "ServerBusy", "Operations per second is over the account limit.")
            }
            Self::ServerBusy => (
                503,
                "ServerBusy",
                "The server is currently unable to receive requests. Please retry your request.",
            ),
            Self::OperationTimedOut => {
                (500, "OperationTimedOut", "The operation could not be completed within the permitted time.")
            }
            Self::InternalError => {
                (500, "InternalError", "The server encountered an internal error. Please retry the request.")
            }
            Self::TooManyRequests => {
                (429, "TooManyRequests", "Too many requests. Please retry your request.")
            }
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        ServiceError::new(status, code, message)
    }
}

impl Failure {
    pub(super) fn error(self) -> ServiceError {
        let mut error = self.kind.error();
        error.retry_after_seconds = self.retry_after_seconds;
        error
    }
}

/// Where the connection breaks, with a TCP reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub(crate) enum Reset {
    BeforeOperation,
    /// After at least so many bytes of the request's body; nothing of the operation is done.
    RequestBody {
        after_bytes: u64,
    },
    /// After at most so many bytes of the reply's body: what is still on its way to the client is lost with the connection.
    ResponseBody {
        after_bytes: u64,
    },
}

impl Effect {
    /// What the types do not say.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::Latency(Latency { from_ms, to_ms }) => {
                let to_ms = to_ms.unwrap_or(*from_ms);
                if to_ms < *from_ms || to_ms > MAX_LATENCY_MS {
                    return Err("latency needs fromMs <= toMs <= one day".to_owned());
                }
                Ok(())
            }
            Self::Bandwidth(bandwidth) if bandwidth.ingress().is_none() && bandwidth.egress().is_none() => {
                Err("bandwidth needs ingressBytesPerSecond, egressBytesPerSecond or both".to_owned())
            }
            Self::Bandwidth(_) | Self::Error(_) | Self::LostReply | Self::Reset(_) => Ok(()),
        }
    }
}
