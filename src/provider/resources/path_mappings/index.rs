//! The path mappings of one migrator in one record: collisions are found, and paths mapped, without reading them all. Whoever
//! changes it commits with the version that was read, so that of two mappings into the same place at the same moment exactly one
//! is stored.

use livedata_arm::ResourceId;
use livedata_model::path;
use livedata_store::Change;
use serde::{Deserialize, Serialize};

use super::{PathMapping, moved};
use crate::core::{Core, migrator_key};
use crate::document::{self, Document};
use crate::errors::{self, Outcome};

/// By the migrator's key.
pub const INDEX: &str = "path_mapping_index";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    pub id: String,
    pub source_path: String,
    /// Key of the target.
    pub target: String,
    pub target_path: String,
}

pub struct Index {
    migrator: String,
    version: Option<u64>,
    pub entries: Vec<Entry>,
}

/// `beside`: the key of any resource of the migrator.
pub async fn load(core: &Core, beside: &str) -> Outcome<Index> {
    let migrator = migrator_key(beside).to_owned();
    let record = core.store.get(INDEX, &migrator).await?;
    let version = record.as_ref().map(|record| record.version);
    let entries = record.map(|record| serde_json::from_slice(&record.body)).transpose()?.unwrap_or_default();
    Ok(Index { migrator, version, entries })
}

impl Index {
    fn write(self, change: Change) -> Outcome<Change> {
        let change = change.expect(INDEX, self.migrator.as_str(), self.version);
        if self.entries.is_empty() {
            return Ok(change.remove(INDEX, self.migrator));
        }
        document::put(change, INDEX, &self.migrator, &self.entries)
    }
}

/// Enters a mapping, or what it has become, unless another one writes into the same place.
pub async fn enter(core: &Core, id: &ResourceId, mapping: &PathMapping, change: Change) -> Outcome<Change> {
    let mut index = load(core, &id.key()).await?;
    let entry = Entry {
        id: id.to_string(),
        source_path: mapping.source_path.clone(),
        target: mapping.target_id.to_lowercase(),
        target_path: mapping.target_path.clone(),
    };
    index.entries.retain(|other| !other.id.eq_ignore_ascii_case(&entry.id));
    if let Some(other) = index.entries.iter().find(|other| collide(other, &entry)) {
        let message = format!(
            "'{}' overlaps '{}' of the path mapping '{}': files of different directories would meet there.",
            entry.target_path, other.target_path, other.id
        );
        return Err(errors::PATH_MAPPING_COLLISION.at("properties.targetPath", message).into());
    }
    index.entries.push(entry);
    index.write(change)
}

/// Two mappings collide when they meet at the target without having been one at the source.
fn collide(one: &Entry, other: &Entry) -> bool {
    if one.target != other.target || !path::overlap(&one.target_path, &other.target_path) {
        return false;
    }
    let (outer, inner) = if path::is_inside(&one.source_path, &other.source_path) {
        (one, other)
    } else if path::is_inside(&other.source_path, &one.source_path) {
        (other, one)
    } else {
        return true;
    };
    moved(&inner.source_path, &outer.source_path, &outer.target_path) != inner.target_path
}

pub async fn remove(core: &Core, document: &Document<PathMapping>, change: Change) -> Outcome<Change> {
    let mut index = load(core, &document.key()).await?;
    index.entries.retain(|entry| !entry.id.eq_ignore_ascii_case(&document.id));
    index.write(change)
}

/// A target goes only when no mapping leads there; the index must not change until the commit.
pub async fn check_unused(core: &Core, target: &str, id: &str, change: Change) -> Outcome<Change> {
    let index = load(core, target).await?;
    if let Some(user) = index.entries.iter().find(|entry| entry.target == target) {
        let message = format!("The target '{id}' is used by '{}'. Delete that first.", user.id);
        return Err(errors::TARGET_IN_USE.error(message).into());
    }
    Ok(change.expect(INDEX, index.migrator, index.version))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(source_path: &str, target: &str, target_path: &str) -> Entry {
        let text = str::to_owned;
        Entry {
            id: text("x"),
            source_path: text(source_path),
            target: text(target),
            target_path: text(target_path),
        }
    }

    #[test]
    fn mappings_collide_where_files_of_different_directories_would_meet() {
        let one = entry("/a", "t", "/x");
        for (other, expected) in [
            (entry("/b", "t", "/x"), true),
            (entry("/b", "t", "/x/y"), true),
            (entry("/b", "t", "/"), true),
            (entry("/b", "u", "/x"), false),
            (entry("/b", "t", "/xy"), false),
            (entry("/a/b", "t", "/x/b"), false),
            (entry("/a/b", "t", "/x/c"), true),
            (entry("/a/b", "t", "/z"), false),
        ] {
            assert_eq!((collide(&one, &other), collide(&other, &one)), (expected, expected), "{other:?}");
        }
    }
}
