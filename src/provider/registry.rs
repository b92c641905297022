//! All resource types of this provider: one line each.

use livedata_arm::ResourceId;

use crate::resources::{
    data_transfer_agents, exclusion_templates, live_data_migrations, metadata_migrations, metadata_targets,
    migrators, path_mappings, targets, verifications,
};
use crate::verbs::{Handler, Verbs};
use crate::view::Version;

/// The newest first, as in ARM's manifests: clients that do not choose take the first.
pub const API_VERSIONS: &[&str] = &[Version::V2026_11_01.as_str(), Version::V2023_11_01.as_str()];

/// The paths of all types below the namespace, for a front door's manifest.
pub fn resource_types() -> Vec<String> {
    KINDS.iter().map(|kind| kind.description().type_path()).collect()
}

pub static KINDS: &[&dyn Handler] = &[
    &Verbs::<migrators::Migrators>::NEW,
    &Verbs::<targets::Targets>::NEW,
    &Verbs::<path_mappings::PathMappings>::NEW,
    &Verbs::<exclusion_templates::ExclusionTemplates>::NEW,
    &Verbs::<live_data_migrations::LiveDataMigrations>::NEW,
    &Verbs::<verifications::Verifications>::NEW,
    &Verbs::<data_transfer_agents::DataTransferAgents>::NEW,
    &Verbs::<metadata_targets::MetadataTargets>::NEW,
    &Verbs::<metadata_migrations::MetadataMigrations>::NEW,
];

/// What hangs below a migrator, users before what they use: the order above, backwards.
pub fn children_in_order_of_deletion() -> impl Iterator<Item = &'static dyn Handler> {
    KINDS.iter().rev().copied().filter(|kind| !kind.description().is_tracked())
}

/// The type with this path, ignoring case (rule 10).
pub fn find(path: &[&str]) -> Option<&'static dyn Handler> {
    KINDS.iter().copied().find(|kind| {
        let known = kind.description().path;
        known.len() == path.len()
            && known.iter().zip(path).all(|(known, given)| known.eq_ignore_ascii_case(given))
    })
}

/// The type of the resource with this id.
pub fn of(id: &str) -> Option<(&'static dyn Handler, ResourceId)> {
    let id: ResourceId = id.parse().ok()?;
    let path: Vec<&str> = id.resource_type.types.iter().map(String::as_str).collect();
    find(&path).map(|kind| (kind, id))
}
