//! The one internal model of a data transfer agent.

use livedata_model::spec::Secret;
use serde::{Deserialize, Serialize};

use crate::secrets::Sealed;

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct DataTransferAgent {
    pub host: Option<String>,
    pub port: Option<u16>,
    pub sealed_access_token: Option<Sealed>,
    pub max_bytes_per_second: Option<u64>,
    /// Files at the same time.
    pub capacity: Option<u32>,
}

/// A document, checked by itself. The token is in the clear here, and nowhere later.
pub struct DataTransferAgentInput {
    pub host: Option<String>,
    pub port: Option<u16>,
    /// `None`: keep the stored one.
    pub access_token: Option<Secret>,
    pub max_bytes_per_second: Option<u64>,
    pub capacity: Option<u32>,
}

/// A document of either version.
pub struct Given {
    pub host: Option<String>,
    pub port: Option<i64>,
    pub access_token: Option<String>,
    pub max_bytes_per_second: Option<i64>,
    /// What the version calls the limit.
    pub bandwidth_target: &'static str,
    pub capacity: Option<i64>,
}
