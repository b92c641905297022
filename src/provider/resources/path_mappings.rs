//! Path mappings: where a path of the source stands at a target. One decides the target path of each migration that is made
//! without one; a migration that is there keeps its place until it is reset with `resetPathMapping`.

pub mod index;
mod model;
mod v2023_11_01_preview;
mod v2026_11_01_preview;
mod validation;

use async_trait::async_trait;
use livedata_arm::ResourceId;
use livedata_model::path;
use livedata_model::rules::PathMappingSpec;
use livedata_store::Change;
use serde_json::{Map, Value};

use crate::core::Core;
use crate::document::Document;
use crate::errors::Outcome;
use crate::kind::{Description, Names, ResourceKind};
use crate::observed;
use crate::resources::live_data_migrations::admission::target_of;
use crate::resources::targets;
use crate::view::View;
use crate::wire::{self, Reader};

pub use index::check_unused;
pub use model::PathMapping;

pub const COLLECTION: &str = "path_mappings";

pub struct PathMappings;

#[async_trait]
impl ResourceKind for PathMappings {
    type Input = PathMapping;
    type Spec = PathMapping;
    type Admitted = ();

    const DESCRIPTION: Description = Description {
        path: &["migrators", "pathMappings"],
        collection: COLLECTION,
        display: "path mappings of a migrator",
        actions: &[],
        public_patch: &[],
        names: Names::Usual,
    };

    fn read(view: &View, properties: Reader<'_>, _stored: Option<&PathMapping>) -> Option<PathMapping> {
        let findings = properties.findings().clone();
        let given = if view.version.is_public() {
            v2023_11_01_preview::into_given(properties.typed()?)
        } else {
            v2026_11_01_preview::into_given(properties.typed()?)
        };
        validation::check(view, given, &findings)
    }

    async fn admit(
        core: &Core,
        id: &ResourceId,
        _stored: Option<&Document<PathMapping>>,
        input: &PathMapping,
        change: Change,
    ) -> Outcome<(Change, ())> {
        let target: ResourceId =
            input.target_id.parse().map_err(|_| validation::no_target(&input.target_id))?;
        let target = target_of(core, id, &target).await?;
        // A deletion of the target at the same moment raises its version.
        let change = change.expect(targets::COLLECTION, target.document.key(), Some(target.version));
        Ok((index::enter(core, id, input, change).await?, ()))
    }

    fn mutate(
        _core: &Core,
        _guid: &str,
        _stored: Option<&PathMapping>,
        input: PathMapping,
        (): (),
    ) -> Outcome<PathMapping> {
        Ok(input)
    }

    async fn write(
        core: &Core,
        view: &View,
        document: &Document<PathMapping>,
    ) -> Outcome<Map<String, Value>> {
        if view.version.is_public() {
            return wire::properties(&v2023_11_01_preview::of_model(view, &document.spec));
        }
        let conditions = observed::conditions(core, document).await?;
        wire::properties(&v2026_11_01_preview::of_model(view, &document.spec, &conditions))
    }

    async fn erase(core: &Core, document: &Document<PathMapping>, change: Change) -> Outcome<Change> {
        index::remove(core, document, change).await
    }
}

/// The place of `path` at a target, by the mapping that knows it best, and that mapping's id; without one the path is the same
/// at both sides. `target`: key of the target; `beside`: a resource of the same migrator.
pub async fn map(
    core: &Core,
    beside: &ResourceId,
    path: &str,
    target: &str,
) -> Outcome<(String, Option<String>)> {
    let index = index::load(core, &beside.key()).await?;
    let best = index
        .entries
        .into_iter()
        .filter(|entry| entry.target == target && path::is_inside(&entry.source_path, path))
        .max_by_key(|entry| entry.source_path.len());
    Ok(match best {
        None => (path.to_owned(), None),
        Some(entry) => (moved(path, &entry.source_path, &entry.target_path), Some(entry.id)),
    })
}

/// `path`, which is inside `from`, at the same place below `to`.
fn moved(path: &str, from: &str, to: &str) -> String {
    let rest = path.strip_prefix(from).unwrap_or(path).trim_start_matches('/');
    match (to.trim_end_matches('/'), rest) {
        ("", "") => "/".to_owned(),
        (to, "") => to.to_owned(),
        (to, rest) => format!("{to}/{rest}"),
    }
}

/// What the agent is told.
pub fn desired(spec: &PathMapping) -> PathMappingSpec {
    PathMappingSpec {
        source_path: spec.source_path.clone(),
        target: spec.target_id.to_lowercase(),
        target_path: spec.target_path.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_moves_with_what_it_is_inside_of() {
        for (path, from, to, expected) in [
            ("/a/b/c", "/a", "/x", "/x/b/c"),
            ("/a", "/a", "/x/y", "/x/y"),
            ("/a/b", "/", "/x", "/x/a/b"),
            ("/a/b", "/a", "/", "/b"),
            ("/a", "/a", "/", "/"),
            ("/", "/", "/x", "/x"),
        ] {
            assert_eq!(moved(path, from, to), expected, "{path} {from} {to}");
        }
    }
}
