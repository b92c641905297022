//! A migration against stored state: its target, and the area that it will write.

use livedata_arm::{ArmError, ProvisioningState, ResourceId};
use livedata_model::command::CommandKind;
use livedata_model::path;
use livedata_model::spec::RunState;
use livedata_model::state::MigrationState;
use livedata_store::Change;

use super::model::Place;
use super::{Migration, MigrationInput};
use crate::areas::{self, Area};
use crate::core::Core;
use crate::document::{self, Document, Loaded};
use crate::errors::{self, Outcome};
use crate::observed::{self, MigrationStatus};
use crate::resources::targets::{self, Target};
use crate::resources::{exclusion_templates, path_mappings};

const TARGET_ID: &str = "properties.targetId";

/// What decides where data comes from and goes to is fixed.
pub fn check_unchanged(stored: &Migration, input: &MigrationInput) -> Result<(), ArmError> {
    for (same, target) in [
        (stored.path == input.path, "properties.path"),
        (stored.target_id.eq_ignore_ascii_case(&input.target_id.to_string()), TARGET_ID),
        (
            input.target_path.as_ref().is_none_or(|given| stored.target_path == *given),
            "properties.targetPath",
        ),
        (stored.mode == input.mode, "properties.mode"),
    ] {
        if !same {
            let message = format!("The property '{target}' is fixed when the migration is created.");
            return Err(errors::PROPERTY_CHANGE_NOT_ALLOWED.at(target, message));
        }
    }
    Ok(())
}

/// Adds the reservation of the area to the change that creates the migration. Also returns where that is.
pub async fn reserve(
    core: &Core,
    id: &ResourceId,
    input: &MigrationInput,
    change: Change,
) -> Outcome<(Change, Place)> {
    let Loaded { document: target, version } = target_of(core, id, &input.target_id).await?;
    // From here on the target stays: its deletion raises its version, and relies on the areas being as they were.
    let change = change.expect(targets::COLLECTION, target.key(), Some(version));
    let (target_path, path_mapping) = match &input.target_path {
        Some(given) => (given.clone(), None),
        None => path_mappings::map(core, id, &input.path, &input.target_id.key()).await?,
    };
    check_mapped(&target_path)?;
    let areas = areas::load(core, &target.spec).await?;
    let place = Place { target_path, path_mapping, area: areas.key().to_owned() };
    let (target, path) = (input.target_id.key(), place.target_path.clone());
    let change = areas.reserve(Area { migration_id: id.to_string(), target, path }, change)?;
    // What an earlier migration of this name had reported last must not be taken for this one's.
    core.observed.forget(&id.key());
    Ok((change.remove(observed::MIGRATIONS, id.key()), place))
}

/// A mapping must not lead where no path may be given, as into the folder of ours.
fn check_mapped(target_path: &str) -> Result<(), ArmError> {
    path::canonical(target_path).map(drop).map_err(|error| {
        let message = format!("The path mappings lead to '{target_path}', which cannot be used: {error}.");
        errors::INVALID_PATH.at("properties.path", message)
    })
}

/// Where a migration writes once its path mappings are looked at again; its area moves with it.
pub async fn replace(
    core: &Core,
    document: &Document<Migration>,
    change: Change,
) -> Outcome<(Change, Place)> {
    let stored = &document.spec;
    let id: ResourceId =
        document.id.parse().map_err(|_| livedata_store::Error::Damaged(document.id.clone()))?;
    let target = stored.target_id.to_lowercase();
    let (target_path, path_mapping) = path_mappings::map(core, &id, &stored.path, &target).await?;
    check_mapped(&target_path)?;
    let place = Place { target_path, path_mapping, area: stored.area.clone() };
    if place.target_path == stored.target_path {
        return Ok((change, place));
    }
    let mut areas = areas::load_key(core, stored.area.clone()).await?;
    areas.list.retain(|area| !area.migration_id.eq_ignore_ascii_case(&document.id));
    let area = Area { migration_id: document.id.clone(), target, path: place.target_path.clone() };
    Ok((areas.reserve(area, change)?, place))
}

/// Every exclusion is a template of the migrator, and stays one for as long as it is used.
pub async fn check_exclusions(
    core: &Core,
    id: &ResourceId,
    input: &MigrationInput,
    mut change: Change,
) -> Outcome<Change> {
    let mut missing = Vec::new();
    for (at, name) in input.policies.exclusions.iter().enumerate() {
        match exclusion_templates::find(core, id, name).await? {
            Some(template) => change = exclusion_templates::hold(&template, change)?,
            None => {
                let target = format!("properties.exclusions[{at}].name");
                let message = format!("The migrator has no exclusion template '{name}'.");
                missing.push(errors::EXCLUSION_TEMPLATE_NOT_FOUND.at(target, message));
            }
        }
    }
    ArmError::several(missing).map_or(Ok(change), |error| Err(error.into()))
}

/// The target, if it is one of the same migrator and may be written to.
pub async fn target_of(core: &Core, id: &ResourceId, target: &ResourceId) -> Outcome<Loaded<Target>> {
    let of_targets = target
        .resource_type
        .full()
        .eq_ignore_ascii_case(&format!("{}/migrators/targets", core.namespaces.own));
    if !of_targets {
        let message = format!(
            "'{target}' is not a target: its type must be {}/migrators/targets.",
            core.namespaces.own
        );
        return Err(errors::INVALID_PROPERTY_VALUE.at(TARGET_ID, message).into());
    }
    if target.parent() != id.parent() {
        let message = format!("'{target}' belongs to another migrator than the migration.");
        return Err(errors::TARGET_OF_ANOTHER_MIGRATOR.at(TARGET_ID, message).into());
    }
    let found = document::load::<Target>(core.store.as_ref(), targets::COLLECTION, &target.key()).await?;
    let Some(found) = found else {
        return Err(errors::TARGET_NOT_FOUND
            .at(TARGET_ID, format!("The target '{target}' was not found."))
            .into());
    };
    let hopeless = match found.document.provisioning {
        ProvisioningState::Deleting => true,
        state => state.is_terminal() && found.document.applied.is_none(),
    };
    if hopeless { Err(not_ready(&target.to_string()).into()) } else { Ok(found) }
}

/// A reset takes away what a migration that goes on would still be using.
pub fn check_settled(document: &Document<Migration>, now: MigrationState) -> Result<(), ArmError> {
    if now.is_settled() {
        return Ok(());
    }
    let message = format!(
        "The migration '{}' is {}: stop it, wait until its state is Stopped, then reset it.",
        document.id,
        now.as_str()
    );
    Err(errors::MIGRATION_NOT_STOPPED.error(message))
}

/// Commands are for what goes on: what is stopped would do them at some start, when nobody expects it any more. Deletes are
/// approved only when the agent has said that it holds some: those that it will hold later are for another approval.
pub fn check_command(
    document: &Document<Migration>,
    status: &MigrationStatus,
    kind: &CommandKind,
) -> Result<(), ArmError> {
    if document.spec.run != RunState::Running || !status.now.takes_commands() {
        let message = format!("The migration '{}' is {}: start it first.", document.id, status.now.as_str());
        return Err(errors::MIGRATION_NOT_RUNNING.error(message));
    }
    if *kind == CommandKind::ApproveDeletes && !status.holds("DeletesHeld") {
        let message = format!("The migration '{}' holds no deletes that wait for approval.", document.id);
        return Err(errors::NO_DELETES_HELD.error(message));
    }
    Ok(())
}

pub fn not_ready(target: &str) -> ArmError {
    let message = format!("The target '{target}' was refused or is being deleted; its own status says why.");
    errors::TARGET_NOT_READY.at(TARGET_ID, message)
}
