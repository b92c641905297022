//! A container like one of ADLS Gen2 with a hierarchical name space: etags that survive renames, conditions, directories
//! renamed in one step, properties.

use std::collections::{BTreeMap, BTreeSet};

use livedata_engine::Place;
use livedata_model::node::{ContentVersion, NodeId};

/// Somebody else's content.
pub const FOREIGN: u64 = u64::MAX - 1;
/// Neither one version nor another.
pub const TORN: u64 = u64::MAX;

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Object {
    /// `None`: a directory.
    pub content: Option<u64>,
    /// Of a file.
    pub length_bytes: u64,
    pub etag: String,
    pub node: Option<NodeId>,
    pub version: Option<ContentVersion>,
    pub attributes: u64,
    pub modified_ms: i64,
}

#[derive(Clone, Debug, Default, Hash)]
pub struct Adls {
    /// By [`key`]; the roots of tree and trash are always there.
    pub objects: BTreeMap<String, Object>,
    pub staging: BTreeMap<String, Object>,
    /// Given so far, by the number of the node; 0: of somebody else's objects.
    etags: BTreeMap<u64, u64>,
    /// What was purged of the trash. The one who asked may never have heard that it was.
    pub purged: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    NoSource,
    SourceDiffers,
    NoParent,
    Occupied,
}

pub fn key(place: &Place) -> String {
    match place {
        Place::Tree(path) if path.is_empty() => "T".to_owned(),
        Place::Tree(path) => format!("T/{path}"),
        Place::Trash(path) => format!("X/{path}"),
    }
}

impl Adls {
    /// Never given before. Counted for each object by itself, so that what was done to two of them in either order is the
    /// same in the end.
    pub fn fresh_etag(&mut self, of: u64) -> String {
        let count = self.etags.entry(of).or_default();
        *count += 1;
        format!("{of}.{count}")
    }

    pub fn is_directory(&self, key: &str) -> bool {
        key == "T" || key == "X" || self.objects.get(key).is_some_and(|object| object.content.is_none())
    }

    /// Names in a directory after this one, with what they are; `None`: there is none.
    pub fn list(&self, directory: &str, after: Option<&str>) -> Option<Vec<(String, &Object)>> {
        if !self.is_directory(directory) {
            return None;
        }
        let below = format!("{directory}/");
        let inside = self.objects.range(below.clone()..).take_while(|(key, _)| key.starts_with(&below));
        let named = inside.filter_map(|(key, object)| Some((key.get(below.len()..)?.to_owned(), object)));
        let direct = named.filter(|(name, _)| !name.contains('/'));
        Some(direct.filter(|(name, _)| after.is_none_or(|after| name.as_str() > after)).collect())
    }

    /// `expected`: the etag of what may be replaced; `None`: nothing may be there.
    pub fn rename(
        &mut self,
        from: &str,
        to: &str,
        etag: Option<&str>,
        expected: Option<&str>,
    ) -> Result<Vec<Object>, Refused> {
        let Some(object) = self.objects.get(from) else { return Err(Refused::NoSource) };
        if etag.is_some_and(|etag| etag != object.etag) {
            return Err(Refused::SourceDiffers);
        }
        let below = format!("{from}/");
        if to.starts_with(&below) {
            return Err(Refused::Occupied);
        }
        let replaced = self.check_destination(to, expected)?;
        // A file takes the place of files only, as does a directory of directories.
        if replaced.iter().any(|there| there.content.is_some() != object.content.is_some()) {
            return Err(Refused::Occupied);
        }
        if from == to {
            return Ok(Vec::new());
        }
        let moved: Vec<String> = std::iter::once(from.to_owned())
            .chain(
                self.objects
                    .range(below.clone()..)
                    .map(|(key, _)| key.clone())
                    .take_while(|key| key.starts_with(&below)),
            )
            .collect();
        for path in moved {
            if let Some(object) = self.objects.remove(&path) {
                self.objects.insert(format!("{to}{}", path.get(from.len()..).unwrap_or("")), object);
            }
        }
        Ok(replaced)
    }

    /// What a successful rename to this place would replace.
    pub fn check_destination(&self, to: &str, expected: Option<&str>) -> Result<Vec<Object>, Refused> {
        let parent = to.rsplit_once('/').map_or("T", |(parent, _)| parent);
        match (self.objects.get(to), expected) {
            (None, None) => {}
            (Some(there), Some(expected)) if there.content.is_some() && there.etag == expected => {}
            // If-Match on nothing fails too.
            _ => return Err(Refused::Occupied),
        }
        if !self.is_directory(parent) {
            return Err(Refused::NoParent);
        }
        Ok(self.objects.get(to).cloned().into_iter().collect())
    }

    pub fn remove(&mut self, key: &str) -> Vec<Object> {
        let below = format!("{key}/");
        let mut gone: Vec<Object> = self.objects.remove(key).into_iter().collect();
        let keys: Vec<String> = self
            .objects
            .range(below.clone()..)
            .map(|(key, _)| key.clone())
            .take_while(|key| key.starts_with(&below))
            .collect();
        gone.extend(keys.iter().filter_map(|key| self.objects.remove(key)));
        gone
    }
}
