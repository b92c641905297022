//! What the operator decided about a migration.

/// Whether what vanishes at the source vanishes at the target.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DeletePolicy {
    /// Moved to the trash, and purged from there after a while.
    #[default]
    Mirror,
    /// It stays, and the migration has nothing more to do with it.
    Keep,
}

/// What happens to something at the target that somebody else changed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DriftPolicy {
    /// The source wins.
    #[default]
    Overwrite,
    /// The path is given up.
    Keep,
    /// The migration stops.
    Halt,
}

/// Rule R9: more deletions than this in the window wait for the operator.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MassDeleteLimit {
    /// Objects.
    pub count: u64,
    /// Of all objects at the target; does not count below [`MassDeleteLimit::FLOOR`] of them.
    pub percent: u64,
    pub window_ms: i64,
}

impl MassDeleteLimit {
    /// A percentage of a handful says nothing.
    pub const FLOOR: u64 = 100;
}

impl Default for MassDeleteLimit {
    fn default() -> Self {
        Self { count: 10_000, percent: 25, window_ms: 3_600_000 }
    }
}

#[derive(Clone, Debug)]
pub struct Policy {
    /// Of the migration at its source, canonical: `/`, `/data/lake`.
    pub root_path: String,
    pub deletes: DeletePolicy,
    pub drift: DriftPolicy,
    pub mass_delete_limit: MassDeleteLimit,
    pub trash_retention_ms: i64,
    /// Names of files, with `*`, that are published after everything else in their directory, besides the built-in ones.
    pub barriers: Vec<String>,
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
