//! The new intent of a migration.

use livedata_model::spec::RunState;

use super::{Migration, MigrationInput};

/// A PUT never starts or stops a migration that is there; the actions do.
pub fn intent(stored: Option<&Migration>, area: String, input: MigrationInput) -> Migration {
    let (run, start_count) = match stored {
        Some(stored) => (stored.run, stored.start_count),
        None if input.auto_start => (RunState::Running, 1),
        None => (RunState::Stopped, 0),
    };
    Migration {
        path: input.path,
        target_id: input.target_id.to_string(),
        target_path: input.target_path,
        mode: input.mode,
        auto_start: input.auto_start,
        run,
        start_count,
        area,
    }
}

/// Starting what runs changes nothing; what is finished runs again.
pub fn started(stored: &Migration, finished: bool) -> Migration {
    if stored.run == RunState::Running && !finished {
        return stored.clone();
    }
    Migration { run: RunState::Running, start_count: stored.start_count + 1, ..stored.clone() }
}

pub fn stopped(stored: &Migration) -> Migration {
    Migration { run: RunState::Stopped, ..stored.clone() }
}
