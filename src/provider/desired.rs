//! Desired state of one agent: what of its migrator's resources has been applied, in the order in which it must arrive; and
//! the commands that wait for it.

use std::collections::HashSet;

use livedata_arm::ProvisioningState;
use livedata_model::spec::{Body, Item, RunState};
use livedata_session::provider::Desired;
use serde::de::DeserializeOwned;

use crate::commands;
use crate::core::Core;
use crate::document::{self, Applied, Document};
use crate::errors::Outcome;
use crate::kind::ResourceKind;
use crate::resources::data_transfer_agents::{self, DataTransferAgents};
use crate::resources::exclusion_templates;
use crate::resources::live_data_migrations::{self, LiveDataMigrations};
use crate::resources::metadata_migrations::{self, MetadataMigrations};
use crate::resources::metadata_targets::{self, MetadataTargets};
use crate::resources::migrators::{self, Migrator, Migrators};
use crate::resources::path_mappings::{self, PathMappings};
use crate::resources::targets::{self, Targets};
use crate::resources::verifications::{self, Verifications};
use crate::subscriptions;

/// Nothing, if there is no such migrator (any more): one that was made anew under its name has another GUID and another agent,
/// and its secrets are not for this one.
pub async fn of(core: &Core, migrator: &str, guid: &str) -> Outcome<Desired> {
    // First, so that what a command relies on has been applied by the time that the items are read.
    let commands = commands::of(core, migrator).await?;
    let found =
        document::load::<Migrator>(core.store.as_ref(), Migrators::DESCRIPTION.collection, migrator).await?;
    let Some(document) =
        found.map(|found| found.document).filter(is_wanted).filter(|migrator| migrator.guid == guid)
    else {
        return Ok(Desired::default());
    };
    let may_run = subscriptions::lets_run(core, migrator).await?;
    let mut items = Vec::new();
    let mut withheld = Vec::new();
    if let Some(Applied { generation, spec }) = &document.applied {
        let body = Body::Migrator(migrators::desired(&document, spec));
        let (id, trace) = (migrator.to_owned(), document.trace.clone());
        items.push(Item { id, generation: *generation, body, trace });
    }
    let mut told = HashSet::new();
    for target in children::<Targets>(core, migrator).await? {
        if let Some(Applied { generation, spec }) = &target.applied {
            let body = targets::desired(core, &target.guid, spec).map(Body::Target);
            told.insert(target.key());
            items.extend(readable(&target, *generation, body, &mut withheld));
        }
    }
    for mapping in children::<PathMappings>(core, migrator).await? {
        if let Some(Applied { generation, spec }) = &mapping.applied {
            let body = Body::PathMapping(path_mappings::desired(spec));
            items.push(Item {
                id: mapping.key(),
                generation: *generation,
                body,
                trace: mapping.trace.clone(),
            });
        }
    }
    for agent in children::<DataTransferAgents>(core, migrator).await? {
        if let Some(Applied { generation, spec }) = &agent.applied {
            let body = data_transfer_agents::desired(core, &agent.guid, spec).map(Body::DataTransferAgent);
            items.extend(readable(&agent, *generation, body, &mut withheld));
        }
    }
    for migration in children::<LiveDataMigrations>(core, migrator).await? {
        if let Some(Applied { generation, spec }) = &migration.applied
            && let target = spec.target_id.to_lowercase()
            && told.contains(&target)
        {
            // What the agent has of the target may be of an earlier one, to which nothing new must go.
            if withheld.contains(&target) {
                withheld.push(migration.key());
                continue;
            }
            // A migration that is not told is removed, with its journal; one that cannot keep its rules only rests.
            let exclusions = exclusion_templates::of_migration(core, migrator, spec).await?;
            let knows_rules = exclusions.is_some();
            let mut told =
                live_data_migrations::desired(&migration.guid, spec, exclusions.unwrap_or_default());
            if !may_run || !knows_rules {
                told.run = RunState::Stopped;
            }
            let body = Body::Migration(told);
            items.push(Item {
                id: migration.key(),
                generation: *generation,
                body,
                trace: migration.trace.clone(),
            });
        }
    }
    for target in children::<MetadataTargets>(core, migrator).await? {
        if let Some(Applied { generation, spec }) = &target.applied {
            let body = metadata_targets::desired(core, &target.guid, spec).map(Body::MetadataTarget);
            items.extend(readable(&target, *generation, body, &mut withheld));
        }
    }
    for migration in children::<MetadataMigrations>(core, migrator).await? {
        if let Some(Applied { generation, spec }) = &migration.applied {
            let body = Body::MetadataMigration(metadata_migrations::desired(&migration.guid, spec));
            items.push(Item {
                id: migration.key(),
                generation: *generation,
                body,
                trace: migration.trace.clone(),
            });
        }
    }
    for verification in children::<Verifications>(core, migrator).await? {
        if let Some(Applied { generation, spec }) = &verification.applied {
            let body = Body::Verification(verifications::desired(&verification.guid, spec));
            let trace = verification.trace.clone();
            items.push(Item { id: verification.key(), generation: *generation, body, trace });
        }
    }
    Ok(Desired { items, withheld, commands })
}

/// One secret that cannot be opened does not keep everything else from the agent, which goes on with what it has of this one.
fn readable<S>(
    document: &Document<S>,
    generation: u64,
    body: Outcome<Body>,
    withheld: &mut Vec<String>,
) -> Option<Item> {
    let id = document.key();
    match body {
        Ok(body) => Some(Item { id, generation, body, trace: document.trace.clone() }),
        Err(error) => {
            tracing::debug!(id, error = &error as &dyn std::error::Error, "withheld from the agent");
            withheld.push(id);
            None
        }
    }
}

fn is_wanted<S>(document: &Document<S>) -> bool {
    document.provisioning != ProvisioningState::Deleting
}

async fn children<K: ResourceKind>(core: &Core, migrator: &str) -> Outcome<Vec<Document<K::Spec>>>
where
    K::Spec: DeserializeOwned,
{
    let last = K::DESCRIPTION.path.last().copied().unwrap_or_default().to_lowercase();
    let prefix = format!("{migrator}/{last}/");
    let all = document::all::<K::Spec>(core.store.as_ref(), K::DESCRIPTION.collection, &prefix).await?;
    Ok(all.into_iter().map(|loaded| loaded.document).filter(is_wanted).collect())
}
