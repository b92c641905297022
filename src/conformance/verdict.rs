//! What a check comes to.

use serde::Serialize;

/// Why a rule does not hold.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    pub sent: String,
    pub came_back: String,
    pub wanted: String,
}

/// Ends a check before it has passed.
#[derive(Clone, Debug)]
pub enum Stop {
    Failed(Box<Finding>),
    /// With the reason.
    NotApplicable(String),
}

impl Stop {
    /// What a check needs could not be made.
    pub fn before_the_check(mut self) -> Self {
        if let Self::Failed(finding) = &mut self {
            finding.wanted.push_str("; what the rule itself is about was not reached");
        }
        self
    }
}

pub type Outcome<T = ()> = Result<T, Stop>;

pub fn not_applicable<T>(reason: impl Into<String>) -> Outcome<T> {
    Err(Stop::NotApplicable(reason.into()))
}

/// A rule's result.
#[derive(Clone, Debug)]
pub enum Verdict {
    Passed,
    Failed(Box<Finding>),
    NotApplicable(String),
    NotFromOutside(&'static str),
}

impl From<Outcome> for Verdict {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Ok(()) => Self::Passed,
            Err(Stop::Failed(finding)) => Self::Failed(finding),
            Err(Stop::NotApplicable(reason)) => Self::NotApplicable(reason),
        }
    }
}
