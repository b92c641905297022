//! `status` of a migration: the agent's last report, seen in the light of the present intent.

use livedata_model::condition::{Condition, Truth};
use livedata_model::report::{MigrationReport, Progress};
use livedata_model::spec::RunState;
use livedata_model::state::MigrationState;
use serde::Serialize;

use super::AgentState;
use super::migrator_status::WireCondition;
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
    estimated_completion: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    #[serde(skip)]
    pub observed_generation: u64,
    /// Nothing more happens by itself.
    #[serde(skip)]
    pub is_settled: bool,
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
    let agent = core.observed.agent(core.store.as_ref(), migrator_key(&key)).await?;
    let state = state(document, report.as_ref());
    let (mut conditions, progress, last_error, seconds, observed_generation) = match report {
        Some(report) => {
            let MigrationReport {
                conditions,
                progress,
                last_error,
                estimated_seconds,
                observed_generation,
                ..
            } = report;
            (conditions, progress, last_error, estimated_seconds, observed_generation)
        }
        None => (Vec::new(), Progress::default(), None, None, 0),
    };
    if !agent.connected {
        conditions.push(disconnected(document, &agent));
    }
    let estimated_completion = seconds.filter(|_| agent.connected).and_then(|seconds| {
        let ms = i64::try_from(seconds).ok()?.checked_mul(1000)?.checked_add(core.clock.now_ms())?;
        Some(rfc3339_of_ms(ms))
    });
    Ok(MigrationStatus {
        state: state.as_str(),
        is_settled: state.is_settled(),
        conditions: conditions.into_iter().map(WireCondition::from).collect(),
        progress: progress.into(),
        estimated_completion,
        last_error,
        observed_generation,
    })
}

/// What the agent said, unless it has not seen the present intent yet: then what this intent makes of it.
fn state(document: &Document<Migration>, report: Option<&MigrationReport>) -> MigrationState {
    let migration = &document.spec;
    let reported = report.map(|report| (report.state, report.observed_generation >= document.generation));
    match (migration.run, reported) {
        (_, Some((state, true))) => state,
        (RunState::Running, Some((state, false))) if !state.is_settled() => state,
        (RunState::Running, _) => MigrationState::Scheduled,
        (RunState::Stopped, Some((state, false))) if !state.is_settled() => MigrationState::Stopping,
        (RunState::Stopped, Some((state, false))) => state,
        (RunState::Stopped, None) if migration.start_count == 0 => MigrationState::NotScheduled,
        (RunState::Stopped, None) => MigrationState::Stopped,
    }
}

fn disconnected(document: &Document<Migration>, agent: &AgentState) -> Condition {
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
