//! Wire form of an exclusion template in `2026-11-01-preview`.

use livedata_model::rules::PatternType;
use serde_json::{Value, json};

use super::model::{Given, Kind, TimeUnit};
use super::{ExclusionTemplate, Rule};
use crate::errors::Outcome;
use crate::observed::WireCondition;
use crate::wire_type;

wire_type! {
    pub struct Properties {
        exclusion_kind: Kind,
        provisioning_state: String,
        description: String,
        date_for_exclusion: String,
        max_file_size_bytes: i64,
        pattern: String,
        pattern_type: PatternType,
        time_value: i64,
        time_unit: TimeUnit,
        status: Value,
    }
}

pub fn into_given(wire: Properties) -> Given {
    Given {
        kind: wire.exclusion_kind,
        description: wire.description,
        date: wire.date_for_exclusion,
        max_bytes: wire.max_file_size_bytes,
        pattern: wire.pattern,
        pattern_target: "properties.pattern",
        pattern_type: wire.pattern_type.unwrap_or_default(),
        time_value: wire.time_value,
        time_unit: wire.time_unit,
    }
}

pub fn of_model(template: &ExclusionTemplate, conditions: &[WireCondition]) -> Outcome<Properties> {
    let mut wire = Properties {
        exclusion_kind: Some(template.rule.kind()),
        description: template.description.clone(),
        status: Some(json!({ "conditions": conditions })),
        ..Properties::default()
    };
    match &template.rule {
        Rule::Date { before, .. } => wire.date_for_exclusion = Some(before.clone()),
        Rule::FileSize { max_bytes } => {
            wire.max_file_size_bytes = Some(i64::try_from(*max_bytes).unwrap_or(i64::MAX));
        }
        Rule::Pattern { pattern, pattern_type } => {
            wire.pattern = Some(pattern.clone());
            wire.pattern_type = Some(*pattern_type);
        }
        Rule::Age { value, unit } => {
            wire.time_value = i64::try_from(*value).ok();
            wire.time_unit = Some(*unit);
        }
    }
    Ok(wire)
}
