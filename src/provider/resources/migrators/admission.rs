//! A migrator's source is fixed: its migrations' journals and copies belong to that source.

use livedata_arm::ArmError;

use super::Migrator;
use crate::errors;

pub fn check(stored: Option<&Migrator>, input: &Migrator) -> Result<(), ArmError> {
    let Some(stored) = stored else { return Ok(()) };
    for (same, target) in [
        (stored.source.kind == input.source.kind, "properties.source.kind"),
        (stored.source.uri == input.source.uri, "properties.source.uri"),
    ] {
        if !same {
            let message = format!("The property '{target}' is fixed when the migrator is created.");
            return Err(errors::PROPERTY_CHANGE_NOT_ALLOWED.at(target, message));
        }
    }
    Ok(())
}
