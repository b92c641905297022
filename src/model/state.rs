//! The states of a migration, spelled as in ARM, and the legal steps between them.

use crate::wire_words;

wire_words! {
    /// `status.state` of a migration.
    pub enum MigrationState unknown NotScheduled {
        /// Created and never started.
        1 => NotScheduled,
        /// Waiting for its turn (`maxRunningMigrations`) or for the agent.
        2 => Scheduled,
        3 => Running,
        4 => Live,
        5 => Stopping,
        6 => Stopped,
        7 => Completed,
        8 => WaitingForNextRecurrence,
        9 => RecurrenceScheduled,
        10 => Failed,
    }
}

impl MigrationState {
    /// Whether a migration may go from `self` to `next`. Staying is always legal.
    pub fn may_become(self, next: Self) -> bool {
        use MigrationState::{
            Completed, Failed, Live, NotScheduled, RecurrenceScheduled, Running, Scheduled, Stopped,
            Stopping, WaitingForNextRecurrence,
        };
        if self == next {
            return true;
        }
        match self {
            NotScheduled => matches!(next, Scheduled | Running | Failed | Stopped),
            Scheduled => matches!(next, Running | Stopping | Stopped | Failed),
            Running => {
                matches!(next, Live | Stopping | Stopped | Completed | WaitingForNextRecurrence | Failed)
            }
            Live => matches!(next, Running | Stopping | Stopped | Failed),
            Stopping => matches!(next, Stopped | Failed | Completed),
            Stopped | Failed => matches!(next, Scheduled | Running),
            Completed => matches!(next, Scheduled | Running),
            WaitingForNextRecurrence => {
                matches!(next, RecurrenceScheduled | Scheduled | Running | Stopping | Stopped)
            }
            RecurrenceScheduled => matches!(next, Scheduled | Running | Stopping | Stopped),
        }
    }

    /// Nothing more happens by itself.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::NotScheduled | Self::Stopped | Self::Completed | Self::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_migration_runs_again_only_through_a_start() {
        assert!(MigrationState::Completed.may_become(MigrationState::Running));
        assert!(!MigrationState::Completed.may_become(MigrationState::Stopping));
        assert!(!MigrationState::Stopped.may_become(MigrationState::Live));
    }
}
