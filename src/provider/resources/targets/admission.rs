//! A target against stored state.

use livedata_arm::ArmError;
use livedata_store::Change;

use super::{Target, TargetInput};
use crate::areas;
use crate::core::Core;
use crate::document::Document;
use crate::errors::{self, Outcome};
use crate::resources::path_mappings;

/// Account and container are fixed: the areas of migrations are reserved in them.
pub fn check(stored: Option<&Target>, input: &TargetInput) -> Result<(), ArmError> {
    let Some(stored) = stored else { return Ok(()) };
    for (same, target) in [
        (
            stored.storage_account_id.eq_ignore_ascii_case(&input.storage_account_id),
            "properties.storageAccountId",
        ),
        (stored.storage_container == input.storage_container, "properties.storageContainer"),
    ] {
        if !same {
            let message = format!("The property '{target}' is fixed when the target is created.");
            return Err(errors::PROPERTY_CHANGE_NOT_ALLOWED.at(target, message));
        }
    }
    Ok(())
}

/// A target goes only when no migration writes through it; the reservations must not change until the commit.
pub async fn check_unused(core: &Core, document: &Document<Target>, change: Change) -> Outcome<Change> {
    let key = document.key();
    let change = path_mappings::check_unused(core, &key, &document.id, change).await?;
    let areas = areas::load(core, &document.spec).await?;
    let users: Vec<&str> =
        areas.list.iter().filter(|area| area.target == key).map(|area| area.migration_id.as_str()).collect();
    if users.is_empty() {
        return Ok(areas.unchanged(change));
    }
    let more = if users.len() > 5 { format!(" and {} more", users.len() - 5) } else { String::new() };
    let named: Vec<&str> = users.into_iter().take(5).collect();
    Err(errors::TARGET_IN_USE
        .error(format!(
            "The target '{}' is used by {}{more}. Delete them first.",
            document.id,
            named.join(", ")
        ))
        .into())
}
