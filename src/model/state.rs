//! The states of a migration, spelled as in ARM, and the legal steps between them.

use crate::spec::Mode;
use crate::wire_words;

wire_words! {
    /// `status.state` of a migration.
    pub enum MigrationState unknown NotScheduled {
        /// Created or reset, and not started since.
        1 => NotScheduled,
        /// Waiting for its turn (`maxRunningMigrations`) or for the agent.
        2 => Scheduled,
        /// The source is being listed and copied.
        3 => Running,
        /// Caught up: changes are copied as they happen.
        4 => Live,
        5 => Stopping,
        6 => Stopped,
        7 => Completed,
        8 => WaitingForNextRecurrence,
        9 => RecurrenceScheduled,
        10 => Failed,
    }
}

use MigrationState::{
    Completed, Failed, Live, NotScheduled, RecurrenceScheduled, Running, Scheduled, Stopped, Stopping,
    WaitingForNextRecurrence,
};

/// From, to.
type Step = (MigrationState, MigrationState);

/// Steps of every mode.
const COMMON: &[Step] = &[
    // A start, and the wait for the agent or for a turn.
    (NotScheduled, Scheduled),
    (NotScheduled, Running),
    (Stopped, Scheduled),
    (Stopped, Running),
    (Failed, Scheduled),
    (Failed, Running),
    (Scheduled, Running),
    // It lost its turn, or its agent started anew.
    (Running, Scheduled),
    // A stop; what waits has nothing to finish.
    (Running, Stopping),
    (Running, Stopped),
    (Stopping, Stopped),
    (Scheduled, Stopping),
    (Scheduled, Stopped),
    // Started again before the agent had heard of the stop.
    (Stopping, Scheduled),
    (Stopping, Running),
    // It cannot go on by itself.
    (Scheduled, Failed),
    (Running, Failed),
    (Stopping, Failed),
    // A reset.
    (Stopped, NotScheduled),
    (Failed, NotScheduled),
];

const ONE_TIME: &[Step] = &[
    (Running, Completed),
    // The last file was copied while it was being stopped.
    (Stopping, Completed),
    // Run again.
    (Completed, Scheduled),
    (Completed, Running),
    (Completed, NotScheduled),
];

const LIVE: &[Step] = &[
    (Running, Live),
    // It fell behind: events were lost, or a rescan was asked for.
    (Live, Running),
    (Live, Scheduled),
    (Live, Stopping),
    (Live, Stopped),
    (Live, Failed),
    // Its cursor is still good: nothing to scan.
    (Scheduled, Live),
    (Stopping, Live),
];

const RECURRING: &[Step] = &[
    (Running, WaitingForNextRecurrence),
    (WaitingForNextRecurrence, RecurrenceScheduled),
    (WaitingForNextRecurrence, Scheduled),
    (WaitingForNextRecurrence, Running),
    (WaitingForNextRecurrence, Stopping),
    (WaitingForNextRecurrence, Stopped),
    (RecurrenceScheduled, Scheduled),
    (RecurrenceScheduled, Running),
    (RecurrenceScheduled, Stopping),
    (RecurrenceScheduled, Stopped),
];

/// The legal steps of a mode. Staying is always legal.
pub fn steps(mode: Mode) -> impl Iterator<Item = Step> {
    let own = match mode {
        Mode::OneTime => ONE_TIME,
        Mode::Live => LIVE,
        Mode::Recurring => RECURRING,
    };
    COMMON.iter().chain(own).copied()
}

impl MigrationState {
    /// Whether a migration of this mode may go from `self` to `next` in one step.
    pub fn may_become(self, mode: Mode, next: Self) -> bool {
        self == next || steps(mode).any(|step| step == (self, next))
    }

    /// Nothing more happens by itself.
    pub fn is_settled(self) -> bool {
        matches!(self, NotScheduled | Stopped | Completed | Failed)
    }

    /// It is going on, or will as soon as it can: what commands are for.
    pub fn takes_commands(self) -> bool {
        !self.is_settled() && self != Stopping
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const ALL: [MigrationState; 10] = [
        NotScheduled,
        Scheduled,
        Running,
        Live,
        Stopping,
        Stopped,
        Completed,
        WaitingForNextRecurrence,
        RecurrenceScheduled,
        Failed,
    ];

    /// What may follow each state, written down once more from the user's side.
    fn followers(mode: Mode) -> Vec<(MigrationState, Vec<MigrationState>)> {
        match mode {
            Mode::OneTime => vec![
                (NotScheduled, vec![Scheduled, Running]),
                (Scheduled, vec![Running, Stopping, Stopped, Failed]),
                (Running, vec![Scheduled, Stopping, Stopped, Completed, Failed]),
                (Stopping, vec![Scheduled, Running, Stopped, Completed, Failed]),
                (Stopped, vec![NotScheduled, Scheduled, Running]),
                (Completed, vec![NotScheduled, Scheduled, Running]),
                (Failed, vec![NotScheduled, Scheduled, Running]),
            ],
            Mode::Live => vec![
                (NotScheduled, vec![Scheduled, Running]),
                (Scheduled, vec![Running, Live, Stopping, Stopped, Failed]),
                (Running, vec![Scheduled, Live, Stopping, Stopped, Failed]),
                (Live, vec![Scheduled, Running, Stopping, Stopped, Failed]),
                (Stopping, vec![Scheduled, Running, Live, Stopped, Failed]),
                (Stopped, vec![NotScheduled, Scheduled, Running]),
                (Failed, vec![NotScheduled, Scheduled, Running]),
            ],
            Mode::Recurring => vec![],
        }
    }

    #[test]
    fn every_pair_of_states_of_one_time_and_live() {
        for mode in [Mode::OneTime, Mode::Live] {
            let table = followers(mode);
            for from in ALL {
                for to in ALL {
                    let listed = table.iter().any(|(state, next)| *state == from && next.contains(&to));
                    assert_eq!(
                        from.may_become(mode, to),
                        from == to || listed,
                        "{mode:?}: {from:?} to {to:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn no_step_is_listed_twice() {
        for mode in [Mode::OneTime, Mode::Live, Mode::Recurring] {
            let all: Vec<_> = steps(mode).map(|(from, to)| (from.as_str(), to.as_str())).collect();
            assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{mode:?}");
        }
    }

    #[test]
    fn a_settled_migration_goes_on_only_through_a_start_or_a_reset() {
        for mode in [Mode::OneTime, Mode::Live, Mode::Recurring] {
            for (from, to) in steps(mode).filter(|(from, _)| from.is_settled()) {
                assert!(matches!(to, Scheduled | Running | NotScheduled), "{mode:?}: {from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn commands_are_for_what_goes_on() {
        let taking: Vec<_> = ALL.into_iter().filter(|state| state.takes_commands()).collect();
        assert_eq!(taking, [Scheduled, Running, Live, WaitingForNextRecurrence, RecurrenceScheduled]);
    }
}
