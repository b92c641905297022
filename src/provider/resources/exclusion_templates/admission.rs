//! An exclusion template against stored state: the migrations that use it.

use livedata_arm::{ProvisioningState, ResourceId};
use livedata_store::Change;

use super::{COLLECTION, ExclusionTemplate};
use crate::core::{Core, migrator_key};
use crate::document::{self, Document, Loaded};
use crate::errors::{self, Outcome};
use crate::resources::live_data_migrations::{self, Migration};

pub fn key(migrator: &str, name: &str) -> String {
    format!("{migrator}/exclusiontemplates/{}", name.to_lowercase())
}

/// The template of this name beside a migration.
pub async fn find(
    core: &Core,
    migration: &ResourceId,
    name: &str,
) -> Outcome<Option<Loaded<ExclusionTemplate>>> {
    let migration = migration.key();
    let key = key(migrator_key(&migration), name);
    let found = document::load::<ExclusionTemplate>(core.store.as_ref(), COLLECTION, &key).await?;
    Ok(found.filter(|found| found.document.provisioning != ProvisioningState::Deleting))
}

/// The template is written again as it is: a deletion or a change at the same moment sees that somebody uses it.
pub fn hold(template: &Loaded<ExclusionTemplate>, change: Change) -> Outcome<Change> {
    let key = template.document.key();
    let change = change.expect(COLLECTION, key.as_str(), Some(template.version));
    document::put(change, COLLECTION, &key, &template.document)
}

/// Raises the generation of every migration that uses the template, so that its agent is told the new rule.
pub async fn tell_users(core: &Core, template: &ResourceId, mut change: Change) -> Outcome<Change> {
    for mut user in users(core, template).await? {
        let document = &mut user.document;
        let (collection, key) = (live_data_migrations::COLLECTION, document.key());
        change = change.expect(collection, key.as_str(), Some(user.version));
        let Some(applied) = document.applied.as_mut() else { continue };
        applied.generation = applied.generation.max(document.generation) + 1;
        document.generation = applied.generation;
        change = document::put(change, collection, &key, document)?;
    }
    Ok(change)
}

pub async fn check_unused(core: &Core, template: &Document<ExclusionTemplate>) -> Outcome<()> {
    let Ok(id) = template.id.parse::<ResourceId>() else { return Ok(()) };
    let users = users(core, &id).await?;
    if users.is_empty() {
        return Ok(());
    }
    let named: Vec<&str> = users.iter().take(5).map(|user| user.document.id.as_str()).collect();
    let more = if users.len() > 5 { format!(" and {} more", users.len() - 5) } else { String::new() };
    Err(errors::EXCLUSION_TEMPLATE_IN_USE
        .error(format!("The exclusion template '{}' is used by {}{more}.", template.id, named.join(", ")))
        .into())
}

async fn users(core: &Core, template: &ResourceId) -> Outcome<Vec<Loaded<Migration>>> {
    let key = template.key();
    let prefix = format!("{}/livedatamigrations/", migrator_key(&key));
    let mut users =
        document::all::<Migration>(core.store.as_ref(), live_data_migrations::COLLECTION, &prefix).await?;
    users.retain(|one| {
        // What agents are told may still be, or stay, another thing than what is wanted.
        let applied = one.document.applied.as_ref().map(|applied| &applied.spec);
        let mut specs = applied.into_iter().chain([&one.document.spec]);
        specs.any(|spec| {
            let mut names = spec.policies.exclusions.iter();
            names.any(|name| name.eq_ignore_ascii_case(template.name()))
        })
    });
    Ok(users)
}
