//! The one internal model of a path mapping.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct PathMapping {
    /// Canonical.
    pub source_path: String,
    pub target_id: String,
    /// Canonical.
    pub target_path: String,
    /// A word of the user's on the source; of no effect, because a migrator has one source.
    pub source_file_system: Option<String>,
    pub description: Option<String>,
}

/// A document of either version.
pub struct Given {
    pub source_path: Option<String>,
    pub target_id: Option<String>,
    pub target_path: Option<String>,
    pub source_file_system: Option<String>,
    pub description: Option<String>,
}
