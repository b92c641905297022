//! Finding, creating, changing and removing nodes by path.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::node::{COLUMNS, Node, NodeKind};
use super::writer::Writing;
use crate::clock;
use crate::lease::Lease;
use crate::permissions::{AccessControl, Acl, DEFAULT_DIRECTORY_MODE, NewAccess};
use crate::service_error::ServiceError;

/// The account owner's name, which SharedKey callers act as.
const SUPERUSER: &str = "$superuser";

pub(super) struct Entry {
    pub id: i64,
    pub kind: NodeKind,
}

/// A file whose time is over is not there, though its row may be.
pub(super) fn child(connection: &Connection, parent: i64, name: &str) -> Result<Option<Entry>, ServiceError> {
    let mut statement = connection
        .prepare_cached("SELECT id, is_directory, expires_ms FROM nodes WHERE parent = ?1 AND name = ?2")?;
    let entry = statement.query_row(params![parent, name], |row| {
        let kind = if row.get(1)? { NodeKind::Directory } else { NodeKind::File };
        let expires_ms: Option<i64> = row.get(2)?;
        Ok((Entry { id: row.get(0)?, kind }, expires_ms))
    });
    let entry = entry.optional()?;
    Ok(entry
        .filter(|(_, expires_ms)| expires_ms.is_none_or(|at| at > clock::now_ms()))
        .map(|(entry, _)| entry))
}

pub(crate) fn node_by_id(connection: &Connection, id: i64) -> Result<Option<Node>, ServiceError> {
    let sql = format!("SELECT {COLUMNS} FROM nodes WHERE id = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([id], Node::from_row).optional()?)
}

/// The node at `path` under the root directory `root`.
pub(crate) fn find(
    connection: &Connection,
    root: i64,
    path: &[String],
) -> Result<Option<Node>, ServiceError> {
    let mut id = root;
    for name in path {
        match child(connection, id, name)? {
            Some(entry) => id = entry.id,
            None => return Ok(None),
        }
    }
    node_by_id(connection, id)
}

pub(crate) fn require(connection: &Connection, root: i64, path: &[String]) -> Result<Node, ServiceError> {
    find(connection, root, path)?.ok_or_else(ServiceError::path_not_found)
}

/// The nodes from `root`, which is the first, along `path` as far as it exists.
pub(crate) fn lineage(
    connection: &Connection,
    root: i64,
    path: &[String],
) -> Result<Vec<Node>, ServiceError> {
    let mut found: Vec<Node> = node_by_id(connection, root)?.into_iter().collect();
    let mut id = root;
    for name in path {
        let Some(entry) = child(connection, id, name)? else { break };
        id = entry.id;
        found.extend(node_by_id(connection, id)?);
    }
    Ok(found)
}

pub(crate) fn directories_in(connection: &Connection, directory: i64) -> Result<Vec<Node>, ServiceError> {
    let sql = format!("SELECT {COLUMNS} FROM nodes WHERE parent = ?1 AND is_directory");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([directory], Node::from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(crate) fn has_children(connection: &Connection, directory: i64) -> Result<bool, ServiceError> {
    let mut statement = connection.prepare_cached(
        "SELECT 1 FROM nodes WHERE parent = ?1 AND (expires_ms IS NULL OR expires_ms > ?2) LIMIT 1",
    )?;
    Ok(statement.exists([directory, clock::now_ms()])?)
}

/// What a new file or directory starts with.
pub(crate) struct Create {
    pub kind: NodeKind,
    pub owner: Option<String>,
    pub group: Option<String>,
    pub access: NewAccess,
    /// For parents that have to be made on the way.
    pub parent_umask: u16,
    pub properties: String,
    pub settings: String,
    pub lease: Lease,
    pub expires_ms: Option<i64>,
    pub encryption_context: Option<String>,
}

impl Create {
    /// Nothing but its access control.
    pub(super) fn directory(access: NewAccess, parent_umask: u16) -> Self {
        Self {
            kind: NodeKind::Directory,
            owner: None,
            group: None,
            access,
            parent_umask,
            properties: String::new(),
            settings: String::new(),
            lease: Lease::default(),
            expires_ms: None,
            encryption_context: None,
        }
    }
}

/// Makes the node at `path`, and its parents where they are missing. The caller has looked whether something is there and has
/// removed a file that is to be overwritten.
pub(crate) fn create(
    writing: &mut Writing<'_>,
    root: i64,
    path: &[String],
    new: &Create,
) -> Result<Node, ServiceError> {
    let Some((name, parents)) = path.split_last() else {
        return Err(ServiceError::root_operation());
    };
    let parent = make_parents(writing, root, parents, new.parent_umask, new.owner.as_deref())?;
    let (above, group) = access_of(writing.connection, parent)?;
    let access = new.access.under(&above, new.kind.is_directory());
    let id = insert(writing, Some(parent), name, new, &access, Some(&group))?;
    node_by_id(writing.connection, id)?.ok_or_else(ServiceError::path_not_found)
}

/// The directory at `parents`, made where it is missing, then owned by `owner`.
pub(super) fn make_parents(
    writing: &mut Writing<'_>,
    root: i64,
    parents: &[String],
    umask: u16,
    owner: Option<&str>,
) -> Result<i64, ServiceError> {
    let mut parent = root;
    for name in parents {
        parent = match child(writing.connection, parent, name)? {
            Some(Entry { id, kind: NodeKind::Directory }) => id,
            Some(Entry { kind: NodeKind::File, .. }) => {
                return Err(ServiceError::path_conflict().about(NodeKind::File));
            }
            None => {
                let access = NewAccess::Bits { asked: None, otherwise: DEFAULT_DIRECTORY_MODE, umask };
                let mut implicit = Create::directory(access, umask);
                implicit.owner = owner.map(str::to_owned);
                let (above, group) = access_of(writing.connection, parent)?;
                let access = implicit.access.under(&above, true);
                insert(writing, Some(parent), name, &implicit, &access, Some(&group))?
            }
        };
    }
    Ok(parent)
}

/// And the owning group.
fn access_of(connection: &Connection, directory: i64) -> Result<(AccessControl, String), ServiceError> {
    let mut statement =
        connection.prepare_cached("SELECT mode, acl, owning_group FROM nodes WHERE id = ?1")?;
    let access = statement.query_row([directory], |row| {
        let acl: Option<String> = row.get(1)?;
        let extended = acl.and_then(|text| Acl::parse(&text, true).ok());
        Ok((AccessControl { mode: row.get(0)?, extended }, row.get(2)?))
    });
    access.optional()?.ok_or_else(ServiceError::path_not_found)
}

/// `group_above`: the parent's owning group, which is handed on unless another one is given.
pub(super) fn insert(
    writing: &mut Writing<'_>,
    parent: Option<i64>,
    name: &str,
    new: &Create,
    access: &AccessControl,
    group_above: Option<&str>,
) -> Result<i64, ServiceError> {
    let (etag, now_ms, connection) = (writing.next_etag(), writing.now_ms, writing.connection);
    let mut statement = connection.prepare_cached(
        "INSERT INTO nodes (parent, name, is_directory, length, etag, modified_ms, created_ms, owner, owning_group, \
         mode, acl, properties, settings, lease, expires_ms, encryption_context) \
         VALUES (?1, ?2, ?3, 0, ?4, ?5, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?;
    let acl = access.extended.as_ref().map(ToString::to_string);
    let lease = new.lease.to_text();
    let values = params![
        parent,
        name,
        new.kind.is_directory(),
        etag,
        now_ms,
        new.owner.as_deref().unwrap_or(SUPERUSER),
        new.group.as_deref().or(group_above).unwrap_or(SUPERUSER),
        access.mode,
        acl,
        new.properties,
        new.settings,
        lease,
        new.expires_ms,
        new.encryption_context,
    ];
    match (statement.execute(values), parent) {
        (Ok(_), _) => {}
        // Looked for only here, because hardly any create meets an expired file.
        (Err(error), Some(parent)) if is_taken(&error) && remove_expired(writing, parent, name)? => {
            statement.execute(values)?;
        }
        (Err(error), _) => return Err(error.into()),
    }
    Ok(connection.last_insert_rowid())
}

fn is_taken(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation)
}

/// Frees a name that only a file holds whose time is over. Answers whether there was one.
pub(super) fn remove_expired(
    writing: &mut Writing<'_>,
    parent: i64,
    name: &str,
) -> Result<bool, ServiceError> {
    let find = "SELECT id FROM nodes WHERE parent = ?1 AND name = ?2 AND expires_ms <= ?3";
    let mut statement = writing.connection.prepare_cached(find)?;
    let expired = statement.query_row(params![parent, name, clock::now_ms()], |row| row.get(0)).optional()?;
    match expired {
        Some(id) => remove(writing, id).map(|()| true),
        None => Ok(false),
    }
}

/// Saves everything a client can change, with a new ETag; the place in the tree and the times of creation stay.
pub(crate) fn update_node(
    writing: &mut Writing<'_>,
    node: &mut Node,
    touch_modified: bool,
) -> Result<(), ServiceError> {
    node.etag = writing.next_etag();
    if touch_modified {
        node.modified_ms = writing.now_ms;
    }
    let mut statement = writing.connection.prepare_cached(
        "UPDATE nodes SET length = ?2, etag = ?3, modified_ms = ?4, owner = ?5, owning_group = ?6, mode = ?7, \
         acl = ?8, properties = ?9, settings = ?10, lease = ?11, expires_ms = ?12 WHERE id = ?1",
    )?;
    statement.execute(params![
        node.id,
        i64::try_from(node.length).map_err(|_| ServiceError::request_body_too_large())?,
        node.etag,
        node.modified_ms,
        node.owner,
        node.group,
        node.access.mode,
        node.access.extended.as_ref().map(ToString::to_string),
        node.properties,
        node.settings,
        node.lease.to_text(),
        node.expires_ms,
    ])?;
    Ok(())
}

/// Saves only the lease, which is no change of the node: ETag and times stay.
pub(crate) fn save_lease(writing: &mut Writing<'_>, id: i64, lease: &Lease) -> Result<(), ServiceError> {
    let mut statement = writing.connection.prepare_cached("UPDATE nodes SET lease = ?2 WHERE id = ?1")?;
    statement.execute(params![id, lease.to_text()])?;
    Ok(())
}

/// As `save_lease`, for the settings.
pub(crate) fn save_settings(writing: &mut Writing<'_>, id: i64, settings: &str) -> Result<(), ServiceError> {
    let mut statement = writing.connection.prepare_cached("UPDATE nodes SET settings = ?2 WHERE id = ?1")?;
    statement.execute(params![id, settings])?;
    Ok(())
}

/// As `save_lease`, for the user properties.
pub(crate) fn save_properties(
    writing: &mut Writing<'_>,
    id: i64,
    properties: &str,
) -> Result<(), ServiceError> {
    let mut statement =
        writing.connection.prepare_cached("UPDATE nodes SET properties = ?2 WHERE id = ?1")?;
    statement.execute(params![id, properties])?;
    Ok(())
}

/// Removes at most `limit` of the paths below a directory, each before the one that holds it. Answers whether something is left.
pub(crate) fn remove_below(
    writing: &mut Writing<'_>,
    directory: i64,
    mut limit: usize,
) -> Result<bool, ServiceError> {
    let mut find =
        writing.connection.prepare_cached("SELECT id, is_directory FROM nodes WHERE parent = ?1 LIMIT 1")?;
    let mut way = vec![directory];
    while let Some(&at) = way.last() {
        let below = find.query_row([at], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        match below {
            Some((directory, true)) => {
                way.push(directory);
                continue;
            }
            Some(_) if limit == 0 => return Ok(true),
            Some((file, false)) => remove(writing, file)?,
            None if at == directory => return Ok(false),
            None if limit == 0 => return Ok(true),
            None => {
                remove(writing, at)?;
                way.pop();
            }
        }
        limit -= 1;
    }
    Ok(false)
}

/// Takes the node out of the tree at once; what lies under a directory and the content files are cleaned up later.
pub(crate) fn remove(writing: &mut Writing<'_>, id: i64) -> Result<(), ServiceError> {
    let connection = writing.connection;
    connection
        .prepare_cached(
            "INSERT INTO garbage (node, is_directory) SELECT id, is_directory FROM nodes WHERE id = ?1",
        )?
        .execute([id])?;
    connection.prepare_cached("DELETE FROM nodes WHERE id = ?1")?.execute([id])?;
    Ok(())
}
