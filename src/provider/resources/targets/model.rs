//! The one internal model of a target.

use livedata_model::spec::Secret;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// ARM id of the storage account, as given.
    pub storage_account_id: String,
    pub storage_container: String,
    /// The user's own word on the DFS endpoint; goes before what the look-up finds.
    pub storage_endpoint: Option<String>,
    /// Base64 of the sealed key.
    pub sealed_account_key: String,
    /// What the last look-up of the account told.
    pub found: Option<Found>,
}

impl Target {
    pub fn account_name(&self) -> &str {
        self.storage_account_id.rsplit('/').next().unwrap_or("")
    }
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Found {
    pub reachable: Tristate,
    pub hierarchical_namespace: Tristate,
    pub dfs_endpoint: Option<String>,
    /// One PascalCase word and a sentence, for the conditions.
    pub reason: String,
    pub message: String,
    /// Milliseconds since 1970.
    pub at_ms: i64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Tristate {
    True,
    Unknown,
}

/// A target's document, checked by itself. The key is in the clear here, and nowhere later.
pub struct TargetInput {
    pub storage_account_id: String,
    pub storage_container: String,
    pub storage_endpoint: Option<String>,
    /// `None`: keep the stored one.
    pub account_key: Option<Secret>,
}
