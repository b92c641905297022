//! What the operator decided about a migration.

use livedata_model::pattern::Pattern;
use livedata_model::spec::{DeletePolicy, DriftPolicy, MassDeleteLimit};

/// A percentage of a handful says nothing: below this many objects it does not count.
pub const PERCENT_FLOOR: u64 = 100;

#[derive(Clone, Debug, Hash)]
pub struct Policy {
    /// Of the migration at its source, canonical: `/`, `/data/lake`.
    pub root_path: String,
    pub deletes: DeletePolicy,
    pub drift: DriftPolicy,
    /// Rule R9.
    pub mass_delete_limit: MassDeleteLimit,
    pub trash_retention_ms: i64,
    /// Of files that are published after everything else in their directory, besides the built-in ones.
    pub barriers: Vec<Pattern>,
}

impl Policy {
    pub fn new(root_path: &str) -> Self {
        Self {
            root_path: root_path.to_owned(),
            deletes: DeletePolicy::default(),
            drift: DriftPolicy::default(),
            mass_delete_limit: MassDeleteLimit::default(),
            trash_retention_ms: 7 * 24 * 3_600_000,
            barriers: Vec::new(),
        }
    }
}
