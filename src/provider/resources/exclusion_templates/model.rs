//! The one internal model of an exclusion template.

use livedata_model::rules::{Exclusion, PatternType};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ExclusionTemplate {
    pub rule: Rule,
    pub description: Option<String>,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Rule {
    /// Files modified before this; RFC 3339 as given, and milliseconds since 1970.
    Date {
        before: String,
        before_ms: i64,
    },
    /// Files larger than this.
    FileSize {
        max_bytes: u64,
    },
    Pattern {
        pattern: String,
        pattern_type: PatternType,
    },
    /// Files modified within this time before the start of the migration, or after it.
    Age {
        value: u64,
        unit: TimeUnit,
    },
}

/// As it is sent in both versions.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum TimeUnit {
    Minutes,
    Hours,
    Days,
}

impl TimeUnit {
    pub fn seconds(self) -> u64 {
        match self {
            Self::Minutes => 60,
            Self::Hours => 3_600,
            Self::Days => 86_400,
        }
    }
}

/// As it is sent in both versions.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Kind {
    #[serde(rename = "DateExclusion")]
    Date,
    #[serde(rename = "FileSizeExclusion")]
    FileSize,
    #[serde(rename = "PatternExclusion")]
    Pattern,
    #[serde(rename = "AgeExclusion")]
    Age,
}

impl Rule {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Date { .. } => Kind::Date,
            Self::FileSize { .. } => Kind::FileSize,
            Self::Pattern { .. } => Kind::Pattern,
            Self::Age { .. } => Kind::Age,
        }
    }

    /// What the agent is told.
    pub fn exclusion(&self, name: &str) -> Exclusion {
        let mut exclusion = Exclusion {
            name: name.to_owned(),
            pattern: None,
            pattern_type: PatternType::default(),
            modified_before_ms: None,
            max_bytes: None,
            younger_than_seconds: None,
        };
        match self {
            Self::Date { before_ms, .. } => exclusion.modified_before_ms = Some(*before_ms),
            Self::FileSize { max_bytes } => exclusion.max_bytes = Some(*max_bytes),
            Self::Pattern { pattern, pattern_type } => {
                exclusion.pattern = Some(pattern.clone());
                exclusion.pattern_type = *pattern_type;
            }
            Self::Age { value, unit } => {
                exclusion.younger_than_seconds = Some(value.saturating_mul(unit.seconds()));
            }
        }
        exclusion
    }
}

/// A document of either version.
pub struct Given {
    pub kind: Option<Kind>,
    pub description: Option<String>,
    pub date: Option<String>,
    pub max_bytes: Option<i64>,
    pub pattern: Option<String>,
    /// What the version calls the pattern.
    pub pattern_target: &'static str,
    pub pattern_type: PatternType,
    pub time_value: Option<i64>,
    pub time_unit: Option<TimeUnit>,
}
