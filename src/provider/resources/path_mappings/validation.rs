//! What a path mapping must satisfy by itself.

use livedata_arm::ArmError;

use super::PathMapping;
use super::model::Given;
use crate::errors;
use crate::resources::live_data_migrations::canonical;
use crate::view::View;
use crate::wire::Findings;

const TARGET_ID: &str = "properties.targetId";

pub fn check(view: &View, given: Given, findings: &Findings) -> Option<PathMapping> {
    let path = |target: &str, given: Option<String>| {
        let given = findings.required(target, given)?;
        canonical(&given, target, findings)
    };
    let source_path = path("properties.sourcePath", given.source_path);
    let target_path = path("properties.targetPath", given.target_path);
    let target_id = findings.required(TARGET_ID, given.target_id).and_then(|given| {
        let id = view.resource_id(&given);
        if id.is_none() {
            findings.add(&errors::INVALID_PROPERTY_VALUE, TARGET_ID, no_target(&given).message);
        }
        id
    });
    Some(PathMapping {
        source_path: source_path?,
        target_id: target_id?,
        target_path: target_path?,
        source_file_system: given.source_file_system,
        description: given.description,
    })
}

pub fn no_target(id: &str) -> ArmError {
    errors::INVALID_PROPERTY_VALUE.at(TARGET_ID, format!("'{id}' is not the full resource id of a target."))
}
