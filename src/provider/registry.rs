//! All resource types of this provider: one line each.

use livedata_arm::ResourceId;

use crate::resources::{live_data_migrations, migrators, targets};
use crate::verbs::{Handler, Verbs};

pub const API_VERSIONS: &[&str] = &["2026-11-01-preview"];

pub static KINDS: &[&dyn Handler] = &[
    &Verbs::<migrators::Migrators>::NEW,
    &Verbs::<targets::Targets>::NEW,
    &Verbs::<live_data_migrations::LiveDataMigrations>::NEW,
];

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
