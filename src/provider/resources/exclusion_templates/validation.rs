//! What an exclusion template must satisfy by itself.

use globset::GlobBuilder;
use livedata_model::rules::PatternType;
use regex::RegexBuilder;

use super::model::{Given, Kind};
use super::{ExclusionTemplate, Rule};
use crate::clock::parse_rfc3339;
use crate::errors;
use crate::wire::Findings;

const LONGEST_PATTERN: usize = 1024;
/// What a compiled expression may take, so that one template cannot exhaust an agent.
const MOST_EXPRESSION_BYTES: usize = 1 << 20;
const MOST_AGE: u64 = 1_000_000;

pub fn check(given: Given, findings: &Findings) -> Option<ExclusionTemplate> {
    let kind = findings.required("properties.exclusionKind", given.kind)?;
    let mine = |of: Kind| of == kind;
    for (foreign, target) in [
        (given.date.is_some() && !mine(Kind::Date), "properties.dateForExclusion"),
        (given.max_bytes.is_some() && !mine(Kind::FileSize), "properties.maxFileSizeBytes"),
        (given.pattern.is_some() && !mine(Kind::Pattern), given.pattern_target),
        (given.time_value.is_some() && !mine(Kind::Age), "properties.timeValue"),
        (given.time_unit.is_some() && !mine(Kind::Age), "properties.timeUnit"),
    ] {
        if foreign {
            let message = format!("An exclusion of kind {kind:?} has no such property: leave it out.");
            findings.add(&errors::INVALID_PROPERTY_VALUE, target, message);
        }
    }
    let wrong =
        |target: &str, message: String| findings.add(&errors::INVALID_PROPERTY_VALUE, target, message);
    let rule = match kind {
        Kind::Date => {
            let before = findings.required("properties.dateForExclusion", given.date)?;
            let Some(at) = parse_rfc3339(&before) else {
                let message = format!("'{before}' is not a time, as 2026-11-01T00:00:00Z is.");
                wrong("properties.dateForExclusion", message);
                return None;
            };
            let before_ms = i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()?;
            Rule::Date { before, before_ms }
        }
        Kind::FileSize => {
            let most = findings.required("properties.maxFileSizeBytes", given.max_bytes)?;
            let Ok(max_bytes) = u64::try_from(most) else {
                wrong("properties.maxFileSizeBytes", format!("A file has no {most} bytes."));
                return None;
            };
            Rule::FileSize { max_bytes }
        }
        Kind::Pattern => {
            let pattern = findings.required(given.pattern_target, given.pattern)?;
            if let Err(why) = check_pattern(&pattern, given.pattern_type) {
                wrong(given.pattern_target, format!("'{pattern}' cannot be used: {why}."));
                return None;
            }
            Rule::Pattern { pattern, pattern_type: given.pattern_type }
        }
        Kind::Age => {
            let value = findings.required("properties.timeValue", given.time_value);
            let unit = findings.required("properties.timeUnit", given.time_unit);
            let (value, unit) = (value?, unit?);
            let Some(value) = u64::try_from(value).ok().filter(|value| (1..=MOST_AGE).contains(value)) else {
                wrong("properties.timeValue", format!("An age is a whole number from 1 to {MOST_AGE}."));
                return None;
            };
            Rule::Age { value, unit }
        }
    };
    Some(ExclusionTemplate { rule, description: given.description })
}

fn check_pattern(pattern: &str, pattern_type: PatternType) -> Result<(), String> {
    if pattern.is_empty() {
        return Err("it is empty".to_owned());
    }
    if pattern.len() > LONGEST_PATTERN {
        return Err(format!("it is longer than {LONGEST_PATTERN} bytes"));
    }
    match pattern_type {
        PatternType::Glob => {
            let glob = GlobBuilder::new(pattern).literal_separator(true).build();
            glob.map(drop).map_err(|error| error.kind().to_string())
        }
        PatternType::Regex => {
            let expression = RegexBuilder::new(pattern).size_limit(MOST_EXPRESSION_BYTES).build();
            let last = |text: String| {
                text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
            };
            expression.map(drop).map_err(|error| last(error.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_read_in_their_own_syntax() {
        for good in ["*.tmp", "/data/**/x?", "{a,b}*", "[a-c].log"] {
            assert_eq!(check_pattern(good, PatternType::Glob), Ok(()), "{good}");
        }
        for bad in ["", "[a", "{a"] {
            assert!(check_pattern(bad, PatternType::Glob).is_err(), "{bad}");
        }
        for good in [r"^/tmp/.*\.bak$", "a|b"] {
            assert_eq!(check_pattern(good, PatternType::Regex), Ok(()), "{good}");
        }
        for bad in ["(", "a{1000}{1000}{1000}", ""] {
            assert!(check_pattern(bad, PatternType::Regex).is_err(), "{bad}");
        }
        assert!(check_pattern(&"a".repeat(1025), PatternType::Glob).is_err());
    }
}
