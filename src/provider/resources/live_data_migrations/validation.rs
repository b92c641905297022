//! What a migration's document must satisfy by itself.

use std::collections::BTreeSet;

use livedata_arm::ResourceId;
use livedata_model::path::{self, PathError};
use livedata_model::spec::Mode;

use super::MigrationInput;
use super::v2026_11_01_preview::Wire;
use crate::errors;
use crate::wire::Findings;

pub fn check(wire: Wire) -> Option<MigrationInput> {
    let path = wire.path.and_then(|path| canonical(&path, "properties.path", &wire.findings));
    let target_path =
        wire.target_path.as_ref().map(|given| canonical(given, "properties.targetPath", &wire.findings));
    let mode = wire.mode.unwrap_or(Mode::OneTime);
    if mode != Mode::Recurring && wire.policies.recurrence_seconds.is_some() {
        let message = format!("A migration of mode {} does not recur: leave it out.", mode.as_str());
        wire.findings.add(&errors::INVALID_PROPERTY_VALUE, wire.recurrence_target, message);
    }
    check_unique(&wire.policies.exclusions, &wire.findings);
    let target_id = wire.target_id.and_then(|given| {
        let given = wire.view.take(&given);
        let parsed = given.parse::<ResourceId>().ok().filter(|_| given.starts_with('/'));
        if parsed.is_none() {
            let message = format!("'{given}' is not the full resource id of a target.");
            wire.findings.add(&errors::INVALID_PROPERTY_VALUE, "properties.targetId", message);
        }
        parsed
    });
    Some(MigrationInput {
        path: path?,
        target_id: target_id?,
        target_path: target_path.flatten(),
        mode,
        auto_start: wire.auto_start.unwrap_or(false),
        policies: wire.policies,
    })
}

fn check_unique(exclusions: &[String], findings: &Findings) {
    let mut seen = BTreeSet::new();
    for (at, name) in exclusions.iter().enumerate() {
        if !seen.insert(name.to_lowercase()) {
            let message = format!("The exclusion '{name}' stands there twice.");
            findings.add(
                &errors::INVALID_PROPERTY_VALUE,
                format!("properties.exclusions[{at}].name"),
                message,
            );
        }
    }
}

pub fn canonical(given: &str, target: &str, findings: &Findings) -> Option<String> {
    let error = match path::canonical(given) {
        Ok(path) => return Some(path),
        Err(error) => error,
    };
    let code = if error == PathError::NotAbsolute { errors::PATH_NOT_ABSOLUTE } else { errors::INVALID_PATH };
    findings.add(&code, target, format!("'{given}' cannot be used: {error}."));
    None
}
