//! `status` of a migration: the agent's last report, seen in the light of the present intent.

use livedata_model::condition::{Condition, Truth};
use livedata_model::report::{Lag, MigrationReport, Progress};
use livedata_model::spec::RunState;
use livedata_model::state::MigrationState;
use serde::Serialize;

use super::migrator_status::WireCondition;
use super::{AgentState, agent};
use crate::clock::rfc3339_of_ms;
use crate::core::{Core, migrator_key};
use crate::document::Document;
use crate::errors::Outcome;
use crate::resources::live_data_migrations::Migration;

/// As it is sent.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MigrationStatus {
    state: &'static str,
    conditions: Vec<WireCondition>,
    progress: WireProgress,
    #[serde(skip_serializing_if = "Option::is_none")]
    lag: Option<WireLag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    estimated_completion: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    #[serde(skip)]
    pub observed_generation: u64,
    #[serde(skip)]
    pub now: MigrationState,
}

impl MigrationStatus {
    /// Whether this condition is `True`.
    pub fn holds(&self, kind: &str) -> bool {
        self.conditions.iter().any(|condition| condition.is_true(kind))
    }
}

#[derive(Debug, Serialize)]
struct WireLag {
    transactions: u64,
    seconds: u64,
    watermark: u64,
}

impl From<Lag> for WireLag {
    fn from(Lag { transactions, seconds, watermark }: Lag) -> Self {
        Self { transactions, seconds, watermark }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct WireProgress {
    directories_scanned: u64,
    files_scanned: u64,
    bytes_scanned: u64,
    files_migrated: u64,
    bytes_migrated: u64,
    files_excluded: u64,
    files_failed: u64,
    bytes_per_second: u64,
    files_per_second: u64,
}

impl From<Progress> for WireProgress {
    fn from(progress: Progress) -> Self {
        Self {
            directories_scanned: progress.directories_scanned,
            files_scanned: progress.files_scanned,
            bytes_scanned: progress.bytes_scanned,
            files_migrated: progress.files_migrated,
            bytes_migrated: progress.bytes_migrated,
            files_excluded: progress.files_excluded,
            files_failed: progress.files_failed,
            bytes_per_second: progress.bytes_per_second,
            files_per_second: progress.files_per_second,
        }
    }
}

pub async fn migration_status(core: &Core, document: &Document<Migration>) -> Outcome<MigrationStatus> {
    let key = document.key();
    let report = core.observed.migration(core.store.as_ref(), &key).await?;
    let agent = agent(core, migrator_key(&key)).await?;
    // What was said before a reset is about another run of it.
    let report = report.filter(|report| report.observed_generation >= document.spec.reset_count);
    let seen =
        report.as_ref().map(|report| (report.state, report.observed_generation >= document.generation));
    let now = state(&document.spec, seen);
    let (mut conditions, progress, last_error, seconds, observed_generation, lag) = match report {
        Some(report) => {
            let MigrationReport {
                conditions,
                progress,
                last_error,
                estimated_seconds,
                observed_generation,
                lag,
                ..
            } = report;
            (conditions, progress, last_error, estimated_seconds, observed_generation, lag)
        }
        None => (Vec::new(), Progress::default(), None, None, 0, None),
    };
    if !agent.connected {
        conditions.push(disconnected(document, &agent));
    }
    // Only what runs, under the eyes of its agent, comes nearer to its end.
    let estimated_completion =
        seconds.filter(|_| agent.connected && now == MigrationState::Running).and_then(|seconds| {
            let ms = i64::try_from(seconds).ok()?.checked_mul(1000)?.checked_add(core.clock.now_ms())?;
            Some(rfc3339_of_ms(ms))
        });
    Ok(MigrationStatus {
        state: now.as_str(),
        now,
        conditions: conditions.into_iter().map(WireCondition::from).collect(),
        progress: progress.into(),
        lag: lag.map(WireLag::from),
        estimated_completion,
        last_error,
        observed_generation,
    })
}

/// What the agent said, unless it has not seen the present intent yet: then what this intent makes of it. `seen`: the
/// reported state, and whether it answers the present intent.
fn state(migration: &Migration, seen: Option<(MigrationState, bool)>) -> MigrationState {
    let is_new = migration.start_count == 0;
    match (migration.run, seen) {
        (_, Some((state, true))) => state,
        (RunState::Running, Some((state, false))) if !state.is_settled() => state,
        (RunState::Running, _) => MigrationState::Scheduled,
        (RunState::Stopped, _) if is_new => MigrationState::NotScheduled,
        (RunState::Stopped, Some((state, false))) if !state.is_settled() => MigrationState::Stopping,
        // It was started and stopped again before the agent heard of either.
        (RunState::Stopped, Some((MigrationState::NotScheduled, false)) | None) => MigrationState::Stopped,
        (RunState::Stopped, Some((state, false))) => state,
    }
}

pub fn disconnected<S>(document: &Document<S>, agent: &AgentState) -> Condition {
    Condition {
        kind: "AgentDisconnected".to_owned(),
        status: Truth::True,
        reason: "NoSession".to_owned(),
        message: "The migrator's agent has no session with the provider. A running copy goes on; changes and progress \
                  wait for the agent. The migrator's status says more."
            .to_owned(),
        last_transition_ms: if agent.since_ms > 0 { agent.since_ms } else { document.created_at * 1000 },
    }
}

#[cfg(test)]
mod tests {
    use MigrationState::{Completed, Failed, Live, NotScheduled, Running, Scheduled, Stopped, Stopping};
    use livedata_model::spec::Mode;

    use super::*;
    use crate::resources::live_data_migrations::Policies;

    fn migration(run: RunState, start_count: u64) -> Migration {
        Migration {
            path: "/a".into(),
            target_id: "/t".into(),
            target_path: "/a".into(),
            mode: Mode::Live,
            auto_start: false,
            run,
            start_count,
            reset_count: 0,
            area: "a".into(),
            path_mapping: None,
            policies: Policies::default(),
        }
    }

    #[test]
    fn the_agents_word_counts_when_it_knows_the_intent() {
        for said in [NotScheduled, Scheduled, Running, Live, Stopping, Stopped, Completed, Failed] {
            for run in [RunState::Running, RunState::Stopped] {
                assert_eq!(state(&migration(run, 1), Some((said, true))), said);
            }
        }
    }

    #[test]
    fn an_intent_that_the_agent_has_not_seen_shows_at_once() {
        let (start, stop) = (migration(RunState::Running, 2), migration(RunState::Stopped, 1));
        for (said, started, stopped) in [
            (None, Scheduled, Stopped),
            (Some(NotScheduled), Scheduled, Stopped),
            (Some(Scheduled), Scheduled, Stopping),
            (Some(Running), Running, Stopping),
            (Some(Live), Live, Stopping),
            (Some(Stopping), Stopping, Stopping),
            (Some(Stopped), Scheduled, Stopped),
            (Some(Completed), Scheduled, Completed),
            (Some(Failed), Scheduled, Failed),
        ] {
            let seen = said.map(|said| (said, false));
            assert_eq!((state(&start, seen), state(&stop, seen)), (started, stopped), "{said:?}");
            let fresh = migration(RunState::Stopped, 0);
            assert_eq!(state(&fresh, seen), NotScheduled, "{said:?}");
        }
    }

    #[test]
    fn what_is_shown_instead_is_a_legal_step_from_what_was_said() {
        for mode in [Mode::OneTime, Mode::Live] {
            for said in [Scheduled, Running, Live, Stopping, Stopped, Completed, Failed] {
                if (mode == Mode::OneTime && said == Live) || (mode == Mode::Live && said == Completed) {
                    continue;
                }
                for run in [RunState::Running, RunState::Stopped] {
                    let shown = state(&Migration { mode, ..migration(run, 2) }, Some((said, false)));
                    assert!(said.may_become(mode, shown), "{mode:?}: {said:?} to {shown:?}");
                }
            }
        }
    }
}
