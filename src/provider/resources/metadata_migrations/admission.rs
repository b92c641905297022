//! A metadata migration against stored state.

use livedata_arm::{ProvisioningState, ResourceId};
use livedata_store::Change;

use super::MetadataMigrationInput;
use crate::core::Core;
use crate::document::{self, Loaded};
use crate::errors::{self, Outcome};
use crate::resources::metadata_targets::{self, MetadataTarget};

const TARGET_ID: &str = "properties.targetId";

/// Its target is one of the same migrator.
pub async fn check_target(
    core: &Core,
    id: &ResourceId,
    input: &MetadataMigrationInput,
    change: Change,
) -> Outcome<Change> {
    let Some(target) = input.target_id.as_ref().and_then(|given| given.parse::<ResourceId>().ok()) else {
        return Ok(change);
    };
    let key = target.key();
    let found =
        document::load::<MetadataTarget>(core.store.as_ref(), metadata_targets::COLLECTION, &key).await?;
    let there = |found: &Loaded<MetadataTarget>| found.document.provisioning != ProvisioningState::Deleting;
    let found = found.filter(|found| there(found) && target.parent() == id.parent()).ok_or_else(|| {
        let message = format!("'{target}' is not a metadata target of the migrator.");
        errors::METADATA_TARGET_NOT_FOUND.at(TARGET_ID, message)
    })?;
    Ok(change.expect(metadata_targets::COLLECTION, key, Some(found.version)))
}
