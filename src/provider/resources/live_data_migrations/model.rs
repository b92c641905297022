//! The one internal model of a migration.

use livedata_arm::ResourceId;
use livedata_model::spec::{Mode, RunState};
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
    /// 0: never started; each start raises it.
    pub start_count: u64,
    /// Where its area is reserved: a key of [`crate::areas`].
    pub area: String,
}

/// A migration's document, checked by itself.
pub struct MigrationInput {
    pub path: String,
    pub target_id: ResourceId,
    pub target_path: String,
    pub mode: Mode,
    pub auto_start: bool,
}
