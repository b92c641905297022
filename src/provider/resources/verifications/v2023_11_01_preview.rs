//! Wire form of a verification in `2023-11-01-preview`.

use serde::{Deserialize, Serialize};

use super::Verification;
use super::model::{Given, State};
use crate::view::View;
use crate::wire_type;

wire_type! {
    pub struct Properties {
        migration_id: String,
        ignore_after_timestamp: String,
        verification_depth: i64,
        original_paths: Vec<String>,
        provisioning_state: String,
        status: Status,
        report_location: String,
        report_summary: ReportSummary,
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Status {
    Queued,
    #[serde(rename = "In_Progress")]
    InProgress,
    Complete,
    Cancelled,
    Removed,
}

impl From<State> for Status {
    fn from(state: State) -> Self {
        match state {
            State::Queued => Self::Queued,
            State::InProgress => Self::InProgress,
            State::Complete => Self::Complete,
            State::Cancelled => Self::Cancelled,
            State::Removed => Self::Removed,
        }
    }
}

wire_type! {
    pub struct ReportSummary {
        created_at: String,
        started_at: String,
        finished_at: String,
        files_on_source: i64,
        directories_on_source: i64,
        bytes_on_source: i64,
        files_excluded: i64,
        files_excluded_exists_on_target: i64,
        files_excluded_not_exists_on_target: i64,
        directories_excluded: i64,
        directories_excluded_exists_on_target: i64,
        directories_excluded_not_exists_on_target: i64,
        bytes_excluded: i64,
        bytes_excluded_exists_on_target: i64,
        bytes_excluded_not_exists_on_target: i64,
        files_on_target: i64,
        directories_on_target: i64,
        bytes_on_target: i64,
        files_missing_on_target: i64,
        directories_missing_on_target: i64,
        files_missing_on_source: i64,
        directories_missing_on_source: i64,
        file_size_mismatches: i64,
        total_discrepancies: i64,
    }
}

wire_type! {
    /// What `cancel` answers.
    pub struct StatusResponse {
        verification_status: Status,
    }
}

/// Level and sample, which this version does not know, are as they are stored.
pub fn into_given(wire: Properties, stored: Option<&Verification>) -> Given {
    Given {
        migration_id: wire.migration_id,
        level: stored.map(|stored| stored.what.level).unwrap_or_default(),
        sample_percent: stored.and_then(|stored| stored.what.sample_percent).map(i64::from),
        original_paths: wire.original_paths.unwrap_or_default(),
        depth: wire.verification_depth,
        ignore_after: wire.ignore_after_timestamp,
    }
}

pub fn of_model(view: &View, verification: &Verification) -> Properties {
    let what = &verification.what;
    Properties {
        migration_id: Some(view.show(&verification.given_migration)),
        ignore_after_timestamp: what.ignore_after.as_ref().map(|(text, _)| text.clone()),
        verification_depth: what.depth.map(i64::from),
        original_paths: (!what.paths.is_empty()).then(|| what.paths.clone()),
        status: Some(verification.state().into()),
        ..Properties::default()
    }
}
