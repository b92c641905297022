//! Wire form of a verification in `2026-11-01-preview`.

use livedata_model::verification::VerificationLevel;
use serde_json::{Value, json};

use super::Verification;
use super::model::Given;
use crate::observed::WireCondition;
use crate::view::View;
use crate::wire_type;

wire_type! {
    pub struct Properties {
        migration_id: String,
        level: VerificationLevel,
        /// Percent of the files.
        sample: i64,
        ignore_after_timestamp: String,
        verification_depth: i64,
        original_paths: Vec<String>,
        provisioning_state: String,
        status: Value,
    }
}

pub fn into_given(wire: Properties) -> Given {
    Given {
        migration_id: wire.migration_id,
        level: wire.level.unwrap_or_default(),
        sample_percent: wire.sample,
        original_paths: wire.original_paths.unwrap_or_default(),
        depth: wire.verification_depth,
        ignore_after: wire.ignore_after_timestamp,
    }
}

pub fn of_model(view: &View, verification: &Verification, conditions: &[WireCondition]) -> Properties {
    let what = &verification.what;
    Properties {
        migration_id: Some(view.show(&verification.migration_id)),
        level: Some(what.level),
        sample: what.sample_percent.map(i64::from),
        ignore_after_timestamp: what.ignore_after.as_ref().map(|(text, _)| text.clone()),
        verification_depth: what.depth.map(i64::from),
        original_paths: (!what.paths.is_empty()).then(|| what.paths.clone()),
        status: Some(json!({ "state": verification.state(), "conditions": conditions })),
        ..Properties::default()
    }
}
