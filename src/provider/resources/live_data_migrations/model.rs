//! The one internal model of a migration.

use livedata_arm::ResourceId;
use livedata_model::rules::{ActionPolicy, IdentityMapping, Priority};
use livedata_model::spec::{
    DeletePolicy, DriftPolicy, MassDeleteLimit, Mode, RunState, TRASH_RETENTION_SECONDS,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Migration {
    /// Canonical, at the source.
    pub path: String,
    pub target_id: String,
    /// Canonical, in the container.
    pub target_path: String,
    pub mode: Mode,
    /// Decides at creation only; afterwards there are `start` and `stop`.
    pub auto_start: bool,
    pub run: RunState,
    /// 0: not started since it was made or reset; each start raises it.
    pub start_count: u64,
    /// 0: never reset. A reset is numbered by the generation that it makes, which is higher than that of any start before it
    /// and lower than that of any after.
    #[serde(default)]
    pub reset_count: u64,
    /// Where its area is reserved: a key of [`crate::areas`].
    pub area: String,
    /// Id of the path mapping that made the target path.
    #[serde(default)]
    pub path_mapping: Option<String>,
    /// Absent in what was stored before there were policies.
    #[serde(default)]
    pub policies: Policies,
}

impl Migration {
    pub fn place(&self) -> Place {
        let Self { target_path, path_mapping, area, .. } = self.clone();
        Place { target_path, path_mapping, area }
    }
}

/// What may be changed at any time.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Policies {
    pub delete: DeletePolicy,
    pub drift: DriftPolicy,
    pub mass_delete_limit: MassDeleteLimit,
    pub trash_retention_seconds: u64,
    /// Patterns, checked. Empty: the agent's built-in list.
    pub barriers: Vec<String>,
    #[serde(default)]
    pub action: ActionPolicy,
    #[serde(default)]
    pub priority: Priority,
    /// Of mode `Recurring`: from the beginning of one pass to that of the next, at least.
    #[serde(default)]
    pub recurrence_seconds: Option<u64>,
    #[serde(default)]
    pub max_bytes_per_second: Option<u64>,
    #[serde(default)]
    pub identities: Vec<IdentityMapping>,
    /// Names of exclusion templates of the same migrator, in the casing given.
    #[serde(default)]
    pub exclusions: Vec<String>,
}

impl Default for Policies {
    fn default() -> Self {
        Self {
            delete: DeletePolicy::default(),
            drift: DriftPolicy::default(),
            mass_delete_limit: MassDeleteLimit::default(),
            trash_retention_seconds: TRASH_RETENTION_SECONDS,
            barriers: Vec::new(),
            action: ActionPolicy::default(),
            priority: Priority::default(),
            recurrence_seconds: None,
            max_bytes_per_second: None,
            identities: Vec::new(),
            exclusions: Vec::new(),
        }
    }
}

/// Where a migration writes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    pub target_path: String,
    pub path_mapping: Option<String>,
    /// Where it is reserved: a key of [`crate::areas`].
    pub area: String,
}

/// A migration's document, checked by itself.
pub struct MigrationInput {
    pub path: String,
    pub target_id: ResourceId,
    /// `None`: as it is stored, or as the path mappings have it.
    pub target_path: Option<String>,
    pub mode: Mode,
    pub auto_start: bool,
    pub policies: Policies,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_before_there_were_policies_is_at_the_defaults() {
        let stored = r#"{"path": "/a", "target_id": "/t", "target_path": "/b", "mode": "OneTime", "auto_start": false,
            "run": "Running", "start_count": 3, "area": "x"}"#;
        let migration: Migration = serde_json::from_str(stored).unwrap();
        assert_eq!((migration.start_count, migration.reset_count), (3, 0));
        assert_eq!(migration.policies, Policies::default());
    }
}
