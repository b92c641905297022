//! A migrator's source is fixed: its migrations' journals and copies belong to that source.

use livedata_arm::ArmError;

use super::Migrator;
use crate::errors;

pub fn check(stored: Option<&Migrator>, input: &Migrator) -> Result<(), ArmError> {
    // What the agent found by itself may be written down once.
    let Some((stored, input)) = stored.and_then(|stored| stored.source.as_ref()).zip(input.source.as_ref())
    else {
        return Ok(());
    };
    for (same, target) in [
        (stored.kind == input.kind, "properties.source.kind"),
        (stored.uri == input.uri, "properties.source.uri"),
    ] {
        if !same {
            let message = format!("The property '{target}' is fixed when the migrator is created.");
            return Err(errors::PROPERTY_CHANGE_NOT_ALLOWED.at(target, message));
        }
    }
    Ok(())
}
