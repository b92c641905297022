//! A verification against stored state.

use livedata_arm::{ArmError, ResourceId};
use livedata_model::path;

use super::{Verification, VerificationInput};
use crate::core::{Core, migrator_key};
use crate::document;
use crate::errors::{self, Outcome};
use crate::resources::live_data_migrations::{self, Migration};

const MIGRATION_ID: &str = "properties.migrationId";

/// A run that has been ordered stays what it is: another comparison is another verification.
pub fn check_unchanged(stored: &Verification, input: &VerificationInput) -> Result<(), ArmError> {
    let same_migration = [&stored.migration_id, &stored.given_migration]
        .into_iter()
        .any(|known| known.eq_ignore_ascii_case(&input.migration));
    let (was, now) = (&stored.what, &input.what);
    for (same, target) in [
        (same_migration, MIGRATION_ID),
        (was.level == now.level, "properties.level"),
        (was.sample_percent == now.sample_percent, "properties.sample"),
        (was.paths == now.paths, "properties.originalPaths"),
        (was.depth == now.depth, "properties.verificationDepth"),
        (was.ignore_after == now.ignore_after, "properties.ignoreAfterTimestamp"),
    ] {
        if !same {
            let message = format!("The property '{target}' is fixed when the verification is created.");
            return Err(errors::PROPERTY_CHANGE_NOT_ALLOWED.at(target, message));
        }
    }
    Ok(())
}

/// The id of the migration of the same migrator that is named by its id, or by its GUID.
pub async fn find_migration(core: &Core, id: &ResourceId, input: &VerificationInput) -> Outcome<String> {
    let migrator = migrator_key(&id.key()).to_owned();
    let found = match input.migration.parse::<ResourceId>() {
        Ok(named) => {
            let (collection, key) = (live_data_migrations::COLLECTION, named.key());
            let found = document::load::<Migration>(core.store.as_ref(), collection, &key).await?;
            found.filter(|_| migrator_key(&key) == migrator).map(|found| found.document)
        }
        Err(_) => by_guid(core, &migrator, &input.migration).await?,
    };
    let Some(found) = found else {
        let message = format!("'{}' is not a migration of the migrator.", input.migration);
        return Err(errors::MIGRATION_NOT_FOUND.at(MIGRATION_ID, message).into());
    };
    let outside = input.what.paths.iter().position(|path| !path::is_inside(&found.spec.path, path));
    if let Some(at) = outside {
        let target = format!("properties.originalPaths[{at}]");
        let message = format!("The path is not inside '{}', the path of the migration.", found.spec.path);
        return Err(errors::PATH_OUTSIDE_MIGRATION.at(target, message).into());
    }
    Ok(found.id)
}

async fn by_guid(core: &Core, migrator: &str, guid: &str) -> Outcome<Option<document::Document<Migration>>> {
    let prefix = format!("{migrator}/livedatamigrations/");
    let all =
        document::all::<Migration>(core.store.as_ref(), live_data_migrations::COLLECTION, &prefix).await?;
    let mut documents = all.into_iter().map(|loaded| loaded.document);
    Ok(documents.find(|document| document.guid.eq_ignore_ascii_case(guid)))
}
