//! What is: an agent's account of its resources.

use crate::condition::Condition;
use crate::state::MigrationState;
use crate::wire_struct;

wire_struct! {
    /// `status.progress` of a migration. Counters start over with each run; `bytes_migrated` may go back when a file that
    /// was partly uploaded turns out to have changed.
    #[derive(Default)]
    pub struct Progress {
        1 => directories_scanned: u64,
        2 => files_scanned: u64,
        3 => bytes_scanned: u64,
        4 => files_migrated: u64,
        /// Published bytes, plus what is already durable (flushed) of files still in the staging area.
        5 => bytes_migrated: u64,
        6 => files_excluded: u64,
        7 => files_failed: u64,
        8 => bytes_per_second: u64,
        9 => files_per_second: u64,
    }
}

wire_struct! {
    /// `status.lag`: how far the target is behind the source. Of migrations with a change feed only.
    #[derive(Copy)]
    pub struct Lag {
        /// Of the source, that have not been taken up yet.
        1 => transactions: u64,
        /// How long ago the oldest change happened that is not at the target yet; 0: none is known.
        2 => seconds: u64,
        /// Every change up to this position of the source is at the target.
        3 => watermark: u64,
    }
}

wire_struct! {
    /// One migration as the agent sees it.
    pub struct MigrationReport {
        1 => id: String,
        /// The generation of desired state that this answers.
        2 => observed_generation: u64,
        3 => state: MigrationState,
        4 => progress: Progress,
        5 => conditions: Vec<Condition>,
        /// The last thing that went wrong: path and reason.
        6 => last_error: Option<String>,
        /// Seconds until the copy is complete at the present rate, if that can be said.
        7 => estimated_seconds: Option<u64>,
        8 => lag: Option<Lag>,
    }
}

wire_struct! {
    /// The agent about itself.
    pub struct AgentReport {
        1 => version: String,
        2 => conditions: Vec<Condition>,
    }
}
