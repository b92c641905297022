//! A metadata target against stored state.

use livedata_arm::ResourceId;

use super::{MetadataTarget, MetadataTargetInput};
use crate::core::Core;
use crate::errors::{self, Outcome};
use crate::resources::live_data_migrations::admission::target_of;

/// What it is stays; the target of its files is one of the same migrator.
pub async fn check(
    core: &Core,
    id: &ResourceId,
    stored: Option<&MetadataTarget>,
    input: &MetadataTargetInput,
) -> Outcome<()> {
    if stored.is_some_and(|stored| stored.kind != input.target.kind) {
        let target = "properties.metadataTargetKind";
        let message = format!("The property '{target}' is fixed when the metadata target is created.");
        return Err(errors::PROPERTY_CHANGE_NOT_ALLOWED.at(target, message).into());
    }
    let known = stored.and_then(|stored| stored.data_target_id.as_ref());
    // What has become wrong of what is kept does not stand in the way of other changes (rule 53).
    if let Some(given) = &input.target.data_target_id
        && known != Some(given)
        && let Ok(target) = given.parse::<ResourceId>()
    {
        target_of(core, id, &target).await.map_err(|failure| failure.renamed("properties.dataTargetId"))?;
    }
    Ok(())
}
