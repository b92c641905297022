//! The one internal model of a verification.

use livedata_model::verification::VerificationLevel;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    pub migration_id: String,
    /// As the client named the migration: by its id, or by its GUID.
    pub given_migration: String,
    pub what: What,
    pub cancelled: bool,
}

/// What is compared.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct What {
    pub level: VerificationLevel,
    pub sample_percent: Option<u32>,
    /// At the source, canonical; empty: the whole migration.
    pub paths: Vec<String>,
    pub depth: Option<u32>,
    /// RFC 3339 as given, and milliseconds since 1970.
    pub ignore_after: Option<(String, i64)>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum State {
    Queued,
    InProgress,
    Complete,
    Cancelled,
    Removed,
}

impl Verification {
    /// No agent has begun one yet.
    pub fn state(&self) -> State {
        if self.cancelled { State::Cancelled } else { State::Queued }
    }
}

/// A document, checked by itself.
pub struct VerificationInput {
    /// Id or GUID.
    pub migration: String,
    pub what: What,
}

/// A document of either version.
pub struct Given {
    pub migration_id: Option<String>,
    pub level: VerificationLevel,
    pub sample_percent: Option<i64>,
    pub original_paths: Vec<String>,
    pub depth: Option<i64>,
    pub ignore_after: Option<String>,
}
