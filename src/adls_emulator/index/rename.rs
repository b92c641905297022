//! Moving a node: one row, whatever lies under it. The row is not rewritten otherwise, so ETag, times, owner, permissions,
//! list and properties stay; the Hadoop driver recognises its own rename by the ETag after a lost reply.

use rusqlite::{Connection, params};

use super::node::{Node, NodeKind};
use super::tree::{self, Entry};
use super::writer::Writing;
use crate::request::{Conditions, LeaseUse};
use crate::service_error::ServiceError;

pub(crate) struct RenameRequest {
    pub source_root: i64,
    pub source: Vec<String>,
    pub source_conditions: Conditions,
    pub source_lease: LeaseUse,
    pub root: i64,
    pub destination: Vec<String>,
    pub conditions: Conditions,
    pub lease: LeaseUse,
}

pub(crate) fn rename(writing: &mut Writing<'_>, request: &RenameRequest) -> Result<Node, ServiceError> {
    let connection = writing.connection;
    let Some((name, parents)) = request.destination.split_last() else {
        return Err(ServiceError::root_operation());
    };
    let mut source = tree::find(connection, request.source_root, &request.source)?
        .ok_or_else(ServiceError::source_path_not_found)?;
    if source.id == request.source_root {
        return Err(ServiceError::root_operation());
    }
    if !request.source_conditions.hold_for(&source) {
        return Err(ServiceError::source_condition_not_met());
    }
    let existing = tree::find(connection, request.root, &request.destination)?;
    request.conditions.check_for_write(existing.as_ref())?;
    let lease = source.lease.clone();
    request.source_lease.begin(&mut source.lease, writing.now_ms)?;
    let parent = destination_parent(connection, request.root, parents, source.id)?;
    match existing {
        Some(existing) if existing.id == source.id => return Ok(source),
        Some(existing) => {
            request.lease.check_write(&existing.lease, writing.now_ms)?;
            make_room(writing, &source, &existing)?;
        }
        None => {
            request.lease.check_absent()?;
            tree::remove_expired(writing, parent, name)?;
        }
    }
    if source.lease != lease {
        tree::save_lease(writing, source.id, &source.lease)?;
    }
    writing
        .connection
        .prepare_cached("UPDATE nodes SET parent = ?2, name = ?3 WHERE id = ?1")?
        .execute(params![source.id, parent, name])?;
    Ok(source)
}

/// The directory that will hold the destination. Meeting the source on the way down means moving it into itself.
fn destination_parent(
    connection: &Connection,
    root: i64,
    parents: &[String],
    source: i64,
) -> Result<i64, ServiceError> {
    let mut parent = root;
    for name in parents {
        parent = match tree::child(connection, parent, name)? {
            Some(Entry { id, kind: NodeKind::Directory }) if id == source => {
                return Err(ServiceError::invalid_rename_source_path());
            }
            Some(Entry { id, kind: NodeKind::Directory }) => id,
            Some(Entry { kind: NodeKind::File, .. }) => {
                return Err(ServiceError::path_conflict().about(NodeKind::File));
            }
            None => return Err(ServiceError::rename_destination_parent_not_found()),
        };
    }
    Ok(parent)
}

/// As POSIX rename: a file replaces a file, a directory replaces an empty directory.
fn make_room(writing: &mut Writing<'_>, source: &Node, existing: &Node) -> Result<(), ServiceError> {
    if existing.kind != source.kind {
        return Err(ServiceError::resource_types_differ().about(existing.kind));
    }
    if existing.kind.is_directory() && tree::has_children(writing.connection, existing.id)? {
        return Err(ServiceError::rename_destination_not_empty().about(existing.kind));
    }
    tree::remove(writing, existing.id)
}
