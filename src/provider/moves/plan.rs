//! A whole move as one change, or why it cannot be.

use std::collections::{BTreeMap, BTreeSet};

use livedata_arm::{ArmError, ProvisioningState};
use livedata_model::cbor;
use livedata_model::command::Command;
use livedata_store::{Change, Error, Record};
use serde_json::Value;

use super::Way;
use crate::core::Core;
use crate::custom_provider::names;
use crate::errors::{self, Outcome};
use crate::registry::KINDS;
use crate::request::Request;
use crate::resources::migrators;
use crate::resources::path_mappings::index;
use crate::resources::targets::{self, Target};
use crate::{agents, areas, commands, document, install_keys, observed, subscriptions};

const PAGE: usize = 500;

pub async fn make(core: &Core, request: &Request, ways: &[Way]) -> Outcome<Change> {
    let Some(first) = ways.first() else { return Ok(Change::new()) };
    subscriptions::check(core, &first.to.subscription, request).await?;
    let mut change = subscriptions::unchanged(core, &first.to.subscription, Change::new()).await?;
    for way in ways {
        change = one(core, request, way, change).await?;
    }
    let keys: BTreeMap<String, String> = ways.iter().map(|way| (way.from.key(), way.to.key())).collect();
    let change = install_keys::moved(core, &keys, change).await?;
    areas_of(core, ways, change).await
}

async fn one(core: &Core, request: &Request, way: &Way, mut change: Change) -> Outcome<Change> {
    let (from, to) = (way.from.key(), way.to.key());
    let store = core.store.as_ref();
    if store.get(migrators::COLLECTION, &from).await?.is_none() {
        return Err(ArmError::not_found(&way.from.to_string()).into());
    }
    if store.get(migrators::COLLECTION, &to).await?.is_some() {
        let message = format!("There is a resource '{}' already.", way.to);
        return Err(errors::RESOURCE_EXISTS_IN_TARGET_GROUP.error(message).into());
    }
    if agents::load(core, &from).await?.is_some() {
        let message = format!(
            "The migrator '{}' has an agent, which keeps its place by the ids of resources; it cannot be moved.",
            way.from
        );
        return Err(errors::MIGRATOR_CANNOT_MOVE.error(message).into());
    }
    if names::any_below(core, &from).await? {
        let message = format!(
            "The migrator '{}', or something of it, was made through a custom provider of its resource group; it cannot \
             be moved.",
            way.from
        );
        return Err(errors::MIGRATOR_CANNOT_MOVE.error(message).into());
    }
    // An agent that is enrolled meanwhile ends the move.
    change = change.expect(agents::COLLECTION, from.as_str(), None);
    for kind in KINDS {
        let description = kind.description();
        for record in records(core, description.collection, way, description.is_tracked()).await? {
            let mut document: Value = serde_json::from_slice(&record.body)?;
            let state = document.get("provisioning").cloned().unwrap_or_default();
            let state: ProvisioningState = serde_json::from_value(state)?;
            if !state.is_terminal() {
                let message = format!("The resource '{}' is {state:?}: wait until it is not.", record.key);
                return Err(errors::ANOTHER_OPERATION_IN_PROGRESS.error(message).into());
            }
            way.rename(&mut document);
            // As if it had been created there.
            if let Some(members) = document.as_object_mut() {
                members.insert("system_data".to_owned(), serde_json::to_value(&request.system_data)?);
                members.insert("created_at".to_owned(), core.clock.now().unix_timestamp().into());
            }
            // What agents reported of an earlier resource of that name is not this one's.
            let key = way.key(&record.key);
            change = change.remove(observed::MIGRATIONS, key.as_str()).remove(observed::AGENTS, key);
            change = put(change, description.collection, &record, way, serde_json::to_vec(&document)?);
        }
    }
    if let Some(record) = store.get(index::INDEX, &from).await? {
        let mut mappings: Value = serde_json::from_slice(&record.body)?;
        way.rename(&mut mappings);
        change = put(change, index::INDEX, &record, way, serde_json::to_vec(&mappings)?);
    }
    for record in records(core, commands::COLLECTION, way, false).await? {
        let mut command: Command =
            cbor::decode(&record.body).map_err(|error| Error::Damaged(error.to_string()))?;
        command.migration = way.key(&command.migration);
        change = put(change, commands::COLLECTION, &record, way, cbor::encode(&command));
    }
    Ok(change)
}

/// The areas that the migrators' migrations write into go by their new ids. Those of several may be in one container.
async fn areas_of(core: &Core, ways: &[Way], mut change: Change) -> Outcome<Change> {
    let mut keys = BTreeSet::new();
    for way in ways {
        let prefix = format!("{}/{}/", way.from.key(), targets::COLLECTION);
        let targets = document::all::<Target>(core.store.as_ref(), targets::COLLECTION, &prefix).await?;
        keys.extend(targets.iter().map(|target| areas::key_of(&target.document.spec)));
    }
    for key in keys {
        let Some(record) = core.store.get(areas::COLLECTION, &key).await? else { continue };
        let list: Value = serde_json::from_slice(&record.body)?;
        let mut renamed = list.clone();
        ways.iter().for_each(|way| way.rename(&mut renamed));
        if renamed != list {
            change = change.expect(areas::COLLECTION, key.as_str(), Some(record.version));
            change = document::put(change, areas::COLLECTION, &key, &renamed)?;
        }
    }
    Ok(change)
}

/// The migrator's own record, or those of what belongs to it.
async fn records(core: &Core, collection: &'static str, way: &Way, own: bool) -> Outcome<Vec<Record>> {
    let key = way.from.key();
    if own {
        return Ok(core.store.get(collection, &key).await?.into_iter().collect());
    }
    let (prefix, mut all) = (format!("{key}/"), Vec::<Record>::new());
    loop {
        let after = all.last().map(|last| last.key.clone());
        let page = core.store.list(collection, &prefix, after.as_deref(), PAGE).await?;
        let ended = page.len() < PAGE;
        all.extend(page);
        if ended {
            return Ok(all);
        }
    }
}

/// From its old key to its new one, if nobody has changed it meanwhile.
fn put(change: Change, collection: &'static str, record: &Record, way: &Way, body: Vec<u8>) -> Change {
    let to = way.key(&record.key);
    change
        .expect(collection, record.key.as_str(), Some(record.version))
        .expect(collection, to.as_str(), None)
        .remove(collection, record.key.as_str())
        .put(collection, to, body)
}
