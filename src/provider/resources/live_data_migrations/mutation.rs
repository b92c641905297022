//! The new intent of a migration.

use livedata_model::rules::ActionPolicy;
use livedata_model::spec::RunState;

use super::model::Place;
use super::{Migration, MigrationInput, Policies};

/// A PUT never starts or stops a migration that is there; the actions do.
pub fn intent(stored: Option<&Migration>, place: Place, input: MigrationInput) -> Migration {
    let (run, start_count, reset_count) = match stored {
        Some(stored) => (stored.run, stored.start_count, stored.reset_count),
        None if input.auto_start => (RunState::Running, 1, 0),
        None => (RunState::Stopped, 0, 0),
    };
    Migration {
        path: input.path,
        target_id: input.target_id.to_string(),
        target_path: place.target_path,
        mode: input.mode,
        auto_start: input.auto_start,
        run,
        start_count,
        reset_count,
        area: place.area,
        path_mapping: place.path_mapping,
        policies: input.policies,
    }
}

/// Starting what runs changes nothing; what is finished runs again. A start is numbered by the generation that it makes: when
/// a store was restored from a backup, generations are raised above what the agent has seen, and so is then the number of
/// the next start.
pub fn started(stored: &Migration, generation: u64, finished: bool) -> Migration {
    if stored.run == RunState::Running && !finished {
        return stored.clone();
    }
    let start_count = generation.max(stored.start_count) + 1;
    Migration { run: RunState::Running, start_count, ..stored.clone() }
}

pub fn stopped(stored: &Migration) -> Migration {
    Migration { run: RunState::Stopped, ..stored.clone() }
}

/// As if it had just been made.
pub fn reset(stored: &Migration, generation: u64, place: Place, action: ActionPolicy) -> Migration {
    let reset_count = generation.max(stored.reset_count) + 1;
    let policies = Policies { action, ..stored.policies.clone() };
    Migration {
        run: RunState::Stopped,
        start_count: 0,
        reset_count,
        target_path: place.target_path,
        path_mapping: place.path_mapping,
        area: place.area,
        policies,
        ..stored.clone()
    }
}
