//! What a verification must satisfy by itself.

use super::VerificationInput;
use super::model::{Given, What};
use crate::clock::parse_rfc3339;
use crate::errors;
use crate::resources::live_data_migrations::canonical;
use crate::view::View;
use crate::wire::Findings;

const MOST_PATHS: usize = 256;
const MOST_PATH_BYTES: usize = 64 * 1024;

pub fn check(view: &View, given: Given, findings: &Findings) -> Option<VerificationInput> {
    let wrong =
        |target: &str, message: String| findings.add(&errors::INVALID_PROPERTY_VALUE, target, message);
    let migration = findings.required("properties.migrationId", given.migration_id);
    let sample_percent = given.sample_percent.map(|percent| u32::try_from(percent).unwrap_or(0));
    if sample_percent.is_some_and(|percent| !(1..=100).contains(&percent)) {
        wrong("properties.sample", "A sample is 1 to 100 percent of the files.".to_owned());
    }
    let levels = |depth: i64| i32::try_from(depth).ok().and_then(|depth| u32::try_from(depth).ok());
    let depth = given.depth.map(|depth| levels(depth).ok_or(depth));
    if let Some(Err(depth)) = depth {
        wrong("properties.verificationDepth", format!("{depth} is not a number of levels."));
    }
    let ignore_after = given.ignore_after.map(|text| match parse_rfc3339(&text) {
        Some(at) => i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok().map(|ms| (text, ms)),
        None => {
            let message = format!("'{text}' is not a time, as 2026-11-01T00:00:00Z is.");
            wrong("properties.ignoreAfterTimestamp", message);
            None
        }
    });
    let bytes: usize = given.original_paths.iter().map(String::len).sum();
    if given.original_paths.len() > MOST_PATHS || bytes > MOST_PATH_BYTES {
        let message =
            format!("A verification has at most {MOST_PATHS} paths of {MOST_PATH_BYTES} bytes together.");
        wrong("properties.originalPaths", message);
    }
    let paths: Vec<String> = given
        .original_paths
        .iter()
        .enumerate()
        .filter_map(|(at, path)| canonical(path, &format!("properties.originalPaths[{at}]"), findings))
        .collect();
    Some(VerificationInput {
        migration: view.take(&migration?),
        what: What {
            level: given.level,
            sample_percent,
            paths,
            depth: depth.and_then(Result::ok),
            ignore_after: ignore_after.flatten(),
        },
    })
}
