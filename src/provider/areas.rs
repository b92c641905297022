//! Who writes where: the reserved areas of each container, over all migrators.
//!
//! One record per storage account and container. Whoever adds, removes or relies on an area commits with the version that
//! it has read, so that of two overlapping migrations at the same moment exactly one is stored. A migration that is being
//! made also relies on the version of its target, so that neither vanishes under the other.

use livedata_arm::ArmError;
use livedata_model::path;
use livedata_store::Change;
use serde::{Deserialize, Serialize};

use crate::core::Core;
use crate::document;
use crate::errors::{self, Outcome};
use crate::resources::targets::Target;

pub const COLLECTION: &str = "areas";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Area {
    pub migration_id: String,
    /// Key of the target resource.
    pub target: String,
    pub path: String,
}

/// The areas of one container as read.
pub struct Areas {
    key: String,
    version: Option<u64>,
    pub list: Vec<Area>,
}

pub async fn load(core: &Core, target: &Target) -> Outcome<Areas> {
    load_key(core, key_of(target)).await
}

pub fn key_of(target: &Target) -> String {
    format!("{}|{}", target.storage_account_id.to_lowercase().trim_end_matches('/'), target.storage_container)
}

pub async fn load_key(core: &Core, key: String) -> Outcome<Areas> {
    let record = core.store.get(COLLECTION, &key).await?;
    let version = record.as_ref().map(|record| record.version);
    let list = record.map(|record| serde_json::from_slice(&record.body)).transpose()?.unwrap_or_default();
    Ok(Areas { key, version, list })
}

impl Areas {
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The change is right only as long as the areas are as read.
    pub fn unchanged(&self, change: Change) -> Change {
        change.expect(COLLECTION, self.key.as_str(), self.version)
    }

    /// Reserves an area, unless it touches another migration's.
    pub fn reserve(mut self, area: Area, change: Change) -> Outcome<Change> {
        if let Some(other) = self.list.iter().find(|other| path::overlap(&other.path, &area.path)) {
            return Err(in_use(&area, other).into());
        }
        self.list.push(area);
        let change = self.unchanged(change);
        document::put(change, COLLECTION, &self.key, &self.list)
    }

    pub fn release(mut self, migration_id: &str, change: Change) -> Outcome<Change> {
        self.list.retain(|area| !area.migration_id.eq_ignore_ascii_case(migration_id));
        let change = self.unchanged(change);
        if self.list.is_empty() {
            return Ok(change.remove(COLLECTION, self.key));
        }
        document::put(change, COLLECTION, &self.key, &self.list)
    }
}

fn in_use(area: &Area, other: &Area) -> ArmError {
    errors::TARGET_AREA_IN_USE.at(
        "properties.targetPath",
        format!(
            "'{}' overlaps '{}' in the same container, which the migration '{}' writes.",
            area.path, other.path, other.migration_id
        ),
    )
}
