//! The one internal model of a metadata migration.

use std::collections::BTreeMap;

use livedata_model::spec::RunState;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct MetadataMigration {
    /// As Hive's `SHOW DATABASES LIKE` takes it.
    pub database_pattern: String,
    pub table_pattern: String,
    pub target_id: Option<String>,
    /// Decides at creation only.
    pub auto_start: bool,
    /// Instead of the settings of its target, by the names that documents give them.
    pub databricks: BTreeMap<String, String>,
    pub run: RunState,
    /// 0: never started.
    pub start_count: u64,
}

/// As it is sent in both versions.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum State {
    Created,
    Running,
    Stopped,
    Failed,
}

impl MetadataMigration {
    /// No agent has reported of one yet: what is wanted to run has been created, and that is all that is known.
    pub fn state(&self) -> State {
        match (self.run, self.start_count) {
            (RunState::Stopped, 1..) => State::Stopped,
            _ => State::Created,
        }
    }
}

/// A document, checked by itself.
pub struct MetadataMigrationInput {
    pub database_pattern: String,
    pub table_pattern: String,
    pub target_id: Option<String>,
    pub auto_start: bool,
    pub databricks: BTreeMap<String, String>,
}

/// A document of either version.
pub struct Given {
    pub database_pattern: Option<String>,
    pub table_pattern: Option<String>,
    pub target_id: Option<String>,
    pub auto_start: Option<bool>,
    pub databricks: BTreeMap<String, String>,
}
