//! What roles and access control lists grant an identity.
//!
//! The role on the account comes first: what it covers needs no list. What it does not cover the lists on the way have to
//! grant, as the service's table of common scenarios has it.

use rusqlite::Connection;

use super::needs::{Access, Need, Role};
use super::source::Source;
use super::{Caller, Identity};
use crate::index::{self, Node};
use crate::operations::Context;
use crate::permissions::STICKY;
use crate::request::addressed_path;
use crate::service_error::ServiceError;

const READ: u16 = 4;
const WRITE: u16 = 2;
const EXECUTE: u16 = 1;
const ALL: u16 = READ | WRITE | EXECUTE;

pub(super) async fn check(
    context: &Context,
    identity: &Identity,
    need: &Need,
    source: Option<&Source>,
) -> Result<(), ServiceError> {
    let (account, identity, need) = (context.account.name.clone(), identity.clone(), *need);
    let filesystem = context.call.location.filesystem.clone();
    let path = addressed_path(&context.call)?;
    let source = source.map(|source| (source.filesystem.clone(), source.path.clone(), source.access));
    let header = |name: &str| context.call.header(name).map(str::to_owned);
    let (owner, group) = (header("x-ms-owner"), header("x-ms-group"));
    let look = move |connection: &_| {
        let role = index::role_of(connection, &account, &identity)?;
        // Only a superuser gives away what is its own; anybody may name a group that it belongs to.
        let another = owner.is_some_and(|owner| !owner.eq_ignore_ascii_case(&identity.object_id));
        let foreign = group.is_some_and(|group| !identity.is_member_of(&group));
        if role < Some(Role::Owner) && (another || foreign) {
            return Err(ServiceError::permission_mismatch());
        }
        if role.is_some_and(|role| role >= need.role) {
            return Ok(());
        }
        let Some(filesystem) = filesystem.filter(|_| need.access != Access::RoleOnly) else {
            return Err(ServiceError::permission_mismatch());
        };
        let way = |filesystem: &str, path: &[String]| Way::find(connection, &account, filesystem, path);
        let lists = Lists { connection, identity: &identity };
        lists.check(&way(&filesystem, &path)?, need.access)?;
        match source {
            Some((filesystem, path, access)) => lists.check(&way(&filesystem, &path)?, access),
            None => Ok(()),
        }
    };
    context.service.index.read(look).await
}

/// For who may make what is new and nothing else.
pub(super) async fn check_absent(context: &Context) -> Result<(), ServiceError> {
    let account = context.account.name.clone();
    let Some(filesystem) = context.call.location.filesystem.clone() else { return Ok(()) };
    let path = addressed_path(&context.call)?;
    let look = move |connection: &_| match Way::find(connection, &account, &filesystem, &path)?.itself() {
        Some(_) => Err(ServiceError::unauthorized_overwrite()),
        None => Ok(()),
    };
    context.service.index.read(look).await
}

/// Whose access control lists a caller may change: everybody's, or those of paths that all of these own.
pub(crate) struct Authority {
    owners: Vec<String>,
}

impl Authority {
    pub(crate) async fn of(context: &Context) -> Result<Self, ServiceError> {
        let identities = match &context.caller {
            Caller::Key => Vec::new(),
            Caller::Signature(grant) => grant.checked_as(),
            Caller::Identity(identity) => vec![identity.clone()],
        };
        let account = context.account.name.clone();
        let look = move |connection: &_| {
            let mut owners = Vec::new();
            for identity in identities {
                if index::role_of(connection, &account, &identity)? < Some(Role::Owner) {
                    owners.push(identity.object_id);
                }
            }
            Ok(Self { owners })
        };
        context.service.index.read(look).await
    }

    pub(crate) fn check(&self, node: &Node) -> Result<(), ServiceError> {
        match self.owners.iter().all(|owner| node.owner.eq_ignore_ascii_case(owner)) {
            true => Ok(()),
            false => Err(ServiceError::permission_mismatch()),
        }
    }
}

/// The nodes from the root of a filesystem to a path, as far as they exist.
struct Way {
    found: Vec<Node>,
    /// The last of `found` is the path itself.
    complete: bool,
}

impl Way {
    fn find(
        connection: &Connection,
        account: &str,
        filesystem: &str,
        path: &[String],
    ) -> Result<Self, ServiceError> {
        let root = index::filesystem(connection, account, filesystem)?.root;
        let found = index::lineage(connection, root, path)?;
        let complete = found.len() == path.len() + 1;
        Ok(Self { found, complete })
    }

    fn parents(&self) -> &[Node] {
        let past = self.found.len() - usize::from(self.complete && !self.found.is_empty());
        self.found.get(..past).unwrap_or_default()
    }

    fn itself(&self) -> Option<&Node> {
        self.found.last().filter(|_| self.complete)
    }
}

struct Lists<'a> {
    connection: &'a Connection,
    identity: &'a Identity,
}

impl Lists<'_> {
    fn check(&self, way: &Way, access: Access) -> Result<(), ServiceError> {
        for directory in way.parents() {
            self.require(directory, EXECUTE)?;
        }
        match access {
            Access::RoleOnly => Err(ServiceError::permission_mismatch()),
            Access::Reach => Ok(()),
            Access::Own(bits) => way.itself().map_or(Ok(()), |node| self.require(node, bits)),
            Access::List { recursive } => match way.itself() {
                Some(node) if recursive => self.require_all_below(node, READ | EXECUTE),
                Some(node) => self.require(node, READ | EXECUTE),
                None => Ok(()),
            },
            Access::Create { overwrites } => match way.itself() {
                Some(node) if overwrites => {
                    self.require(node, WRITE).map_err(|_| ServiceError::unauthorized_overwrite())
                }
                // Which the operation refuses.
                Some(_) => Ok(()),
                None => self.may_enter(way),
            },
            Access::Rename => match way.itself() {
                // What is there goes; or what is renamed moves into it, if it is a directory.
                Some(node) => {
                    self.may_delete(way, false)?;
                    if node.kind.is_directory() { self.require(node, WRITE | EXECUTE) } else { Ok(()) }
                }
                None => self.may_enter(way),
            },
            Access::Delete { recursive } => self.may_delete(way, recursive),
            Access::ByOwner => match way.itself() {
                Some(node) if node.owner.eq_ignore_ascii_case(&self.identity.object_id) => Ok(()),
                Some(_) => Err(ServiceError::permission_mismatch()),
                None => Ok(()),
            },
        }
    }

    /// Something new gets into the last directory that there is.
    fn may_enter(&self, way: &Way) -> Result<(), ServiceError> {
        way.found.last().map_or(Ok(()), |directory| self.require(directory, WRITE | EXECUTE))
    }

    fn may_delete(&self, way: &Way, recursive: bool) -> Result<(), ServiceError> {
        let Some(node) = way.itself() else { return Ok(()) };
        if let Some(parent) = way.parents().last() {
            self.require(parent, WRITE | EXECUTE)?;
            let owns = |node: &Node| node.owner.eq_ignore_ascii_case(&self.identity.object_id);
            if parent.access.mode & STICKY != 0 && !owns(node) && !owns(parent) {
                return Err(ServiceError::permission_mismatch());
            }
        }
        if recursive && node.kind.is_directory() { self.require_all_below(node, ALL) } else { Ok(()) }
    }

    /// The directory, and every directory below it.
    fn require_all_below(&self, top: &Node, bits: u16) -> Result<(), ServiceError> {
        let mut open = vec![top.clone()];
        while let Some(node) = open.pop() {
            if node.kind.is_directory() {
                self.require(&node, bits)?;
                open.extend(index::directories_in(self.connection, node.id)?);
            }
        }
        Ok(())
    }

    fn require(&self, node: &Node, bits: u16) -> Result<(), ServiceError> {
        match allowed_bits(node, self.identity) & bits == bits {
            true => Ok(()),
            false => Err(ServiceError::permission_mismatch()),
        }
    }
}

/// The bits that the node's list grants: the owner's, a named user's, those of all groups together, or the rest's. The mask
/// holds for all but the owner.
pub(crate) fn allowed_bits(node: &Node, identity: &Identity) -> u16 {
    if node.owner.eq_ignore_ascii_case(&identity.object_id) {
        return node.access.mode >> 6 & ALL;
    }
    let is_member = |group: &str| identity.is_member_of(group);
    match &node.access.extended {
        Some(list) => list.bits_of(&identity.object_id, is_member, &node.group),
        None if is_member(&node.group) => node.access.mode >> 3 & ALL,
        None => node.access.mode & ALL,
    }
}
