//! Wire form of a migration in `2023-11-01-preview`.

use livedata_model::rules::{ActionPolicy, Priority};
use livedata_model::spec::Mode;
use livedata_model::state::MigrationState;
use serde::{Deserialize, Serialize};

use super::v2026_11_01_preview::{MOST_EXCLUSIONS, RECURRENCE, Wire};
use super::{Migration, Policies};
use crate::document::Document;
use crate::errors;
use crate::resources::exclusion_templates::v2023_11_01_preview::Details;
use crate::view::View;
use crate::wire::Findings;
use crate::wire_type;

wire_type! {
    pub struct Properties {
        path: String,
        provisioning_state: String,
        target_id: String,
        auto_start: bool,
        path_mappings: Vec<PathMapping>,
        exclusions: Vec<Exclusion>,
        scan_only: bool,
        target_action_policy: TargetActionPolicy,
        migration_status: Status,
        migration_id: String,
        recurring_migration: bool,
        recurring_period_seconds: u32,
        priority: MigrationPriority,
    }
}

wire_type! {
    pub struct PathMapping {
        source_path: String,
        target_id: String,
        target_path: String,
        path_mapping_id: String,
        description: String,
    }
}

wire_type! {
    pub struct Exclusion {
        name: String,
        is_default: bool,
        is_fs_restriction: bool,
        details: Details,
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum TargetActionPolicy {
    Overwrite,
    SkipIfSizeMatch,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum MigrationPriority {
    Low,
    Normal,
    High,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Status {
    #[serde(rename = "Non-Scheduled")]
    NonScheduled,
    Scheduled,
    Running,
    Live,
    /// No action leads there.
    Paused,
    Stopping,
    Stopped,
    Completed,
    #[serde(rename = "Recurrence_Scheduled")]
    RecurrenceScheduled,
    #[serde(rename = "Waiting_For_Next_Recurrence")]
    WaitingForNextRecurrence,
}

impl From<MigrationState> for Status {
    /// There is no word for a failure: what has failed does not go on.
    fn from(state: MigrationState) -> Self {
        match state {
            MigrationState::NotScheduled => Self::NonScheduled,
            MigrationState::Scheduled => Self::Scheduled,
            MigrationState::Running => Self::Running,
            MigrationState::Live => Self::Live,
            MigrationState::Stopping => Self::Stopping,
            MigrationState::Stopped | MigrationState::Failed => Self::Stopped,
            MigrationState::Completed => Self::Completed,
            MigrationState::RecurrenceScheduled => Self::RecurrenceScheduled,
            MigrationState::WaitingForNextRecurrence => Self::WaitingForNextRecurrence,
        }
    }
}

wire_type! {
    /// Body of `reset`.
    pub struct Reset {
        reset_path_mapping: bool,
        target_action_policy: TargetActionPolicy,
    }
}

wire_type! {
    /// What `start`, `stop` and `reset` answer.
    pub struct StatusResponse {
        migration_status: Status,
    }
}

/// What this version cannot say is as it is stored.
pub fn into_wire(view: &View, wire: Properties, stored: Option<&Migration>, findings: Findings) -> Wire {
    let policies = stored.map(|stored| stored.policies.clone()).unwrap_or_default();
    let mode = match (wire.scan_only.unwrap_or(false), wire.recurring_migration.unwrap_or(false)) {
        (_, true) => Mode::Recurring,
        (true, false) => Mode::OneTime,
        (false, false) => Mode::Live,
    };
    let period = wire.recurring_period_seconds.map(u64::from);
    if period.is_some_and(|period| period > *RECURRENCE.end()) {
        let target = "properties.recurringPeriodSeconds";
        let message =
            format!("The property '{target}' must be a whole number from 0 to {}.", RECURRENCE.end());
        findings.add(&errors::INVALID_PROPERTY_VALUE, target, message);
    }
    Wire {
        path: findings.required("properties.path", wire.path),
        target_id: findings.required("properties.targetId", wire.target_id),
        target_path: None,
        mode: Some(mode),
        auto_start: wire.auto_start,
        recurrence_target: "properties.recurringPeriodSeconds",
        policies: Policies {
            action: match (wire.target_action_policy, policies.action) {
                // Of the two words of this version it is shown as the nearer one.
                (Some(TargetActionPolicy::SkipIfSizeMatch), ActionPolicy::SkipIfContentMatch) => {
                    ActionPolicy::SkipIfContentMatch
                }
                (Some(TargetActionPolicy::SkipIfSizeMatch), _) => ActionPolicy::SkipIfSizeMatch,
                (Some(TargetActionPolicy::Overwrite) | None, _) => ActionPolicy::Overwrite,
            },
            priority: match wire.priority {
                Some(MigrationPriority::Low) => Priority::Low,
                Some(MigrationPriority::High) => Priority::High,
                Some(MigrationPriority::Normal) | None => Priority::Normal,
            },
            recurrence_seconds: match mode {
                Mode::Recurring => Some(period.unwrap_or(0)),
                Mode::Live | Mode::OneTime => period.filter(|period| *period > 0),
            },
            exclusions: names(wire.exclusions.unwrap_or_default(), &findings),
            ..policies
        },
        view: view.clone(),
        findings,
    }
}

/// An exclusion is named; its details are those of the template.
fn names(exclusions: Vec<Exclusion>, findings: &Findings) -> Vec<String> {
    if exclusions.len() > MOST_EXCLUSIONS {
        let message = format!("A migration has at most {MOST_EXCLUSIONS} exclusions.");
        findings.add(&errors::INVALID_PROPERTY_VALUE, "properties.exclusions", message);
    }
    let named = exclusions.into_iter().enumerate().filter_map(|(at, exclusion)| {
        findings.required(&format!("properties.exclusions[{at}].name"), exclusion.name)
    });
    named.collect()
}

pub fn of_model(
    view: &View,
    document: &Document<Migration>,
    state: MigrationState,
    exclusions: Vec<Exclusion>,
) -> Properties {
    let migration = &document.spec;
    let policies = &migration.policies;
    let target_id = view.show(&migration.target_id);
    let mapped = migration.target_path != migration.path;
    Properties {
        path: Some(migration.path.clone()),
        target_id: Some(target_id.clone()),
        auto_start: Some(migration.auto_start),
        path_mappings: mapped.then(|| {
            vec![PathMapping {
                source_path: Some(migration.path.clone()),
                target_id: Some(target_id),
                target_path: Some(migration.target_path.clone()),
                path_mapping_id: migration.path_mapping.as_deref().map(|id| view.show(id)),
                description: None,
            }]
        }),
        exclusions: (!exclusions.is_empty()).then_some(exclusions),
        scan_only: Some(migration.mode != Mode::Live),
        target_action_policy: Some(match policies.action {
            ActionPolicy::Overwrite => TargetActionPolicy::Overwrite,
            ActionPolicy::SkipIfSizeMatch | ActionPolicy::SkipIfContentMatch => {
                TargetActionPolicy::SkipIfSizeMatch
            }
        }),
        migration_status: Some(state.into()),
        migration_id: Some(document.guid.clone()),
        recurring_migration: Some(migration.mode == Mode::Recurring),
        recurring_period_seconds: Some(
            policies.recurrence_seconds.and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(0),
        ),
        priority: Some(match policies.priority {
            Priority::Low => MigrationPriority::Low,
            Priority::Normal => MigrationPriority::Normal,
            Priority::High => MigrationPriority::High,
        }),
        ..Properties::default()
    }
}
