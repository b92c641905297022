//! `status` of a migrator: where its agent stands.

use livedata_model::condition::{Condition, Truth};
use serde::Serialize;

use super::{AgentState, agent};
use crate::agents;
use crate::clock::rfc3339_of_ms;
use crate::core::Core;
use crate::document::Document;
use crate::errors::Outcome;
use crate::resources::migrators::Migrator;

/// As it is sent.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MigratorStatus {
    phase: Phase,
    #[serde(skip_serializing_if = "Option::is_none")]
    seen_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    round_trip_milliseconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clock_skew_milliseconds: Option<i64>,
    conditions: Vec<WireCondition>,
    /// What the Hadoop configuration beside the agent names.
    #[serde(skip)]
    source: Option<String>,
}

impl MigratorStatus {
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    pub fn seen_at(&self) -> Option<&str> {
        self.seen_at.as_deref()
    }

    pub fn agent_version(&self) -> Option<&str> {
        self.agent_version.as_deref()
    }

    pub fn is_installed(&self) -> bool {
        self.phase != Phase::NotInstalled
    }

    pub fn is_up(&self) -> bool {
        self.phase == Phase::Up
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
enum Phase {
    /// No agent has enrolled.
    NotInstalled,
    /// An agent has enrolled and never had a session.
    Connecting,
    Up,
    Down,
}

/// A condition as it is sent.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WireCondition {
    #[serde(rename = "type")]
    kind: String,
    status: &'static str,
    reason: String,
    message: String,
    last_transition_time: String,
}

impl WireCondition {
    pub fn is_true(&self, kind: &str) -> bool {
        self.kind == kind && self.status == Truth::True.as_str()
    }
}

impl From<Condition> for WireCondition {
    fn from(condition: Condition) -> Self {
        Self {
            kind: condition.kind,
            status: condition.status.as_str(),
            reason: condition.reason,
            message: condition.message,
            last_transition_time: rfc3339_of_ms(condition.last_transition_ms),
        }
    }
}

pub async fn migrator_status(core: &Core, document: &Document<Migrator>) -> Outcome<MigratorStatus> {
    let key = &document.key();
    let enrolled = agents::load(core, key).await?.is_some();
    // Nobody else is heard of.
    let agent = if enrolled { agent(core, key).await? } else { AgentState::default() };
    let phase = match (enrolled, agent.connected) {
        (false, _) => Phase::NotInstalled,
        (true, true) => Phase::Up,
        (true, false) if agent.seen_at_ms == 0 => Phase::Connecting,
        (true, false) => Phase::Down,
    };
    let mut conditions: Vec<Condition> = agent.conditions;
    // What the agent says of the migrator's own settings.
    let report = if enrolled { core.observed.migration(core.store.as_ref(), key).await? } else { None };
    let told = document.applied.as_ref().map_or(0, |applied| applied.generation);
    // It says nothing when all is well: what it said of earlier settings is over.
    let report = report.filter(|report| report.observed_generation >= told);
    conditions.extend(report.into_iter().flat_map(|report| report.conditions));
    if let Some(trouble) = agent.trouble.filter(|_| enrolled && !agent.connected) {
        conditions.push(Condition {
            kind: "AgentUnreachable".to_owned(),
            status: Truth::True,
            reason: trouble.reason.to_owned(),
            message: trouble.message,
            last_transition_ms: trouble.since_ms,
        });
    }
    Ok(MigratorStatus {
        phase,
        seen_at: (agent.seen_at_ms > 0).then(|| rfc3339_of_ms(agent.seen_at_ms)),
        agent_version: Some(agent.version).filter(|version| !version.is_empty()),
        round_trip_milliseconds: agent.round_trip_ms,
        clock_skew_milliseconds: agent.clock_skew_ms,
        conditions: conditions.into_iter().map(WireCondition::from).collect(),
        source: agent.source,
    })
}
