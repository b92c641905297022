//! Which resource a custom resource is: its flat id does not name its migrator.
//!
//! A name is written in one transaction with the resource that it is for, and removed with it, however that goes: so a
//! name leads to a resource, and two resources never share one.

use livedata_arm::ResourceId;
use livedata_store::{Change, Error};
use serde::{Deserialize, Serialize};

use crate::core::Core;
use crate::document;
use crate::errors::Outcome;

/// By the custom resource's id, lower case.
pub const NAMES: &str = "custom_provider_names";
/// By the resource's key: its key in [`NAMES`].
const NAMED: &str = "custom_provider_named";

#[derive(Serialize, Deserialize)]
struct Name {
    /// Of the resource, in our namespace.
    id: String,
}

pub struct Found {
    pub id: ResourceId,
    pub version: u64,
}

pub async fn find(core: &Core, key: &str) -> Outcome<Option<Found>> {
    let Some(record) = core.store.get(NAMES, key).await? else { return Ok(None) };
    Ok(Some(Found { id: read(&record.body)?, version: record.version }))
}

pub async fn list(
    core: &Core,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Outcome<Vec<(String, ResourceId)>> {
    let records = core.store.list(NAMES, prefix, after, limit).await?;
    records.into_iter().map(|record| Ok((record.key, read(&record.body)?))).collect()
}

/// The custom resource's key of the resource with this key, if it has one.
pub async fn of(core: &Core, resource: &str) -> Outcome<Option<String>> {
    let record = core.store.get(NAMED, resource).await?;
    Ok(record.map(|record| String::from_utf8_lossy(&record.body).into_owned()))
}

/// Holds only as long as nobody has the name.
pub fn take(key: &str, id: &ResourceId) -> Outcome<Change> {
    let change = Change::new().expect(NAMES, key, None).put(NAMED, id.key(), key);
    document::put(change, NAMES, key, &Name { id: id.to_string() })
}

/// Whether a custom provider made the resource with this key, or one below it.
pub async fn any_below(core: &Core, resource: &str) -> Outcome<bool> {
    let below = core.store.list(NAMED, &format!("{resource}/"), None, 1).await?;
    Ok(!below.is_empty() || of(core, resource).await?.is_some())
}

/// The name goes with its resource.
pub async fn forget(core: &Core, resource: &str, change: Change) -> Outcome<Change> {
    Ok(match of(core, resource).await? {
        Some(key) => change.remove(NAMES, key).remove(NAMED, resource),
        None => change,
    })
}

fn read(body: &[u8]) -> Outcome<ResourceId> {
    let name: Name = serde_json::from_slice(body)?;
    Ok(name.id.parse().map_err(|_| Error::Damaged(name.id.clone()))?)
}
