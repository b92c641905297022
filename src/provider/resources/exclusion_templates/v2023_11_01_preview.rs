//! Wire form of an exclusion template in `2023-11-01-preview`, and of what a migration shows of it. Patterns are globs; a
//! regular expression that a newer client has made stays one.

use livedata_model::rules::PatternType;

use super::model::{Given, Kind, TimeUnit};
use super::{ExclusionTemplate, Rule};
use crate::wire_type;

wire_type! {
    pub struct Properties {
        exclusion_kind: Kind,
        provisioning_state: String,
        description: String,
        date_for_exclusion: String,
        max_file_size_bytes: i64,
        pattern_for_exclusion: String,
        time_value: i64,
        time_unit: TimeUnit,
    }
}

wire_type! {
    pub struct Details {
        exclusion_kind: Kind,
        description: String,
        date_for_exclusion: String,
        max_file_size_bytes: i64,
        pattern: String,
        pattern_type: String,
        time_value: i64,
        time_unit: TimeUnit,
    }
}

pub fn into_given(wire: Properties, stored: Option<&ExclusionTemplate>) -> Given {
    let pattern_type = match (stored.map(|stored| &stored.rule), &wire.pattern_for_exclusion) {
        (Some(Rule::Pattern { pattern, pattern_type }), Some(given)) if pattern == given => *pattern_type,
        _ => PatternType::Glob,
    };
    Given {
        kind: wire.exclusion_kind,
        description: wire.description,
        date: wire.date_for_exclusion,
        max_bytes: wire.max_file_size_bytes,
        pattern: wire.pattern_for_exclusion,
        pattern_target: "properties.patternForExclusion",
        pattern_type,
        time_value: wire.time_value,
        time_unit: wire.time_unit,
    }
}

pub fn of_model(template: &ExclusionTemplate) -> Properties {
    let details = details(template);
    Properties {
        exclusion_kind: details.exclusion_kind,
        provisioning_state: None,
        description: details.description,
        date_for_exclusion: details.date_for_exclusion,
        max_file_size_bytes: details.max_file_size_bytes,
        pattern_for_exclusion: details.pattern,
        time_value: details.time_value,
        time_unit: details.time_unit,
    }
}

pub fn details(template: &ExclusionTemplate) -> Details {
    let mut details = Details {
        exclusion_kind: Some(template.rule.kind()),
        description: template.description.clone(),
        ..Details::default()
    };
    match &template.rule {
        Rule::Date { before, .. } => details.date_for_exclusion = Some(before.clone()),
        Rule::FileSize { max_bytes } => {
            details.max_file_size_bytes = Some(i64::try_from(*max_bytes).unwrap_or(i64::MAX));
        }
        Rule::Pattern { pattern, pattern_type } => {
            details.pattern = Some(pattern.clone());
            // The words of the engine behind the public API.
            let word = match pattern_type {
                PatternType::Glob => "GLOB",
                PatternType::Regex => "JAVA_PCRE",
            };
            details.pattern_type = Some(word.to_owned());
        }
        Rule::Age { value, unit } => {
            details.time_value = i64::try_from(*value).ok();
            details.time_unit = Some(*unit);
        }
    }
    details
}
