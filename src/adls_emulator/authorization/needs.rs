//! What each operation takes of whoever is not the holder of an account key.

use crate::operations::Operation;
use crate::request::{Api, Call};
use crate::service_error::ServiceError;

/// The built-in roles: Storage Blob Delegator, and Storage Blob Data Reader, Contributor, Owner. Each includes the ones before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub(crate) enum Role {
    /// May ask for the key that signs for it, and nothing else.
    Delegator,
    Reader,
    Contributor,
    Owner,
}

impl Role {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Delegator => "Delegator",
            Self::Reader => "Reader",
            Self::Contributor => "Contributor",
            Self::Owner => "Owner",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let all = [Self::Delegator, Self::Reader, Self::Contributor, Self::Owner];
        all.into_iter().find(|role| role.as_str() == text)
    }
}

/// Letter of `srt`, the resource types of an account's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResourceType {
    Service,
    Container,
    Object,
}

impl ResourceType {
    pub(super) fn letter(self) -> char {
        match self {
            Self::Service => 's',
            Self::Container => 'c',
            Self::Object => 'o',
        }
    }
}

/// What of the access control lists has to grant it, for an identity whose role does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// No list can: only a role.
    RoleOnly,
    /// Execute on every directory on the way.
    Reach,
    /// These bits on the path itself.
    Own(u16),
    /// Read and execute on the directory, and on all below it where the listing goes there.
    List { recursive: bool },
    /// Write and execute on the directory that gets a new entry, or write on what is there; unless the request itself wants to
    /// be refused then.
    Create { overwrites: bool },
    /// Write and execute on the parent; everything on every directory that goes with it.
    Delete { recursive: bool },
    /// Of a rename's destination: entering its directory, and removing or entering what is there.
    Rename,
    /// Only the owner of the path.
    ByOwner,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Need {
    /// Letters of a signature: one of these groups has to be there as a whole.
    pub letters: &'static [&'static str],
    pub resource_type: ResourceType,
    pub role: Role,
    pub access: Access,
}

impl Access {
    pub(super) const READ: Self = Self::Own(READ);
}

impl Need {
    /// Of the filesystem itself, and not of what is in it.
    pub(super) fn of_whole_filesystem(&self) -> bool {
        self.resource_type != ResourceType::Object
            && !self.letters.iter().any(|letters| matches!(*letters, "l" | ""))
    }
}

const READ: u16 = 4;
const WRITE: u16 = 2;

/// `None`: it does nothing by itself.
pub(super) fn of(operation: Operation, call: &Call) -> Result<Option<Need>, ServiceError> {
    use Operation as O;
    use ResourceType::{Container, Object, Service};
    let need = |letters, resource_type, role, access| Need { letters, resource_type, role, access };
    let reads = |access| need(&["r"], Object, Role::Reader, access);
    let writes = |access| need(&["w"], Object, Role::Contributor, access);
    let create = Access::Create { overwrites: call.header("if-none-match") != Some("*") };
    Ok(Some(match operation {
        // Each request in it is looked at.
        O::BlobBatch => return Ok(None),
        // Everybody who is let in may ask what kind of account it is.
        O::AccountInformation => need(&[""], Service, Role::Reader, Access::RoleOnly),
        O::ServiceProperties => need(&["r"], Service, Role::Reader, Access::RoleOnly),
        O::FilesystemList | O::ContainerList => need(&["l"], Service, Role::Reader, Access::RoleOnly),
        // No signature can ask for the key that signs others.
        O::UserDelegationKey => need(&[], Service, Role::Delegator, Access::RoleOnly),
        O::FilesystemCreate => need(&["c", "w"], Container, Role::Contributor, Access::RoleOnly),
        O::FilesystemDelete => need(&["d"], Container, Role::Contributor, Access::RoleOnly),
        O::FilesystemProperties => need(&["r"], Container, Role::Reader, Access::RoleOnly),
        O::ServiceSetProperties => need(&["w"], Service, Role::Contributor, Access::RoleOnly),
        O::FilesystemSetProperties | O::FilesystemLease => {
            need(&["w"], Container, Role::Contributor, Access::RoleOnly)
        }
        // An account's signature has no letter for policies, and a container's cannot reach the container itself.
        O::ContainerGetPolicies | O::ContainerSetPolicies => {
            need(&[], Container, Role::Owner, Access::RoleOnly)
        }
        O::PathList => {
            let access = Access::List { recursive: call.query.flag("recursive")? };
            need(&["l"], Container, Role::Reader, access)
        }
        O::BlobList => {
            let access = Access::List { recursive: call.query.get("delimiter").is_none() };
            need(&["l"], Container, Role::Reader, access)
        }
        O::PathRead | O::BlobGetBlockList => reads(Access::READ),
        O::PathStatus if call.api == Api::Blob => reads(Access::Reach),
        O::PathStatus => match call.query.get("action") {
            // The letter `e` is for exactly these two.
            Some("getStatus" | "getAccessControl") => Need { letters: &["r", "e"], ..reads(Access::Reach) },
            // Answered by the operation itself, which knows the bits that are asked about.
            Some("checkAccess") => Need { letters: &["r", "e"], ..reads(Access::Reach) },
            _ => reads(Access::Reach),
        },
        O::PathCreate if call.header("x-ms-owner").or(call.header("x-ms-group")).is_some() => {
            need(&["wo", "co"], Object, Role::Contributor, create)
        }
        O::PathCreate | O::BlobPut | O::BlobPutFromUrl | O::BlobCopy => {
            need(&["w", "c"], Object, Role::Contributor, create)
        }
        O::BlobPutBlock | O::BlobPutBlockList | O::BlobPutBlockFromUrl => writes(create),
        O::PathAppend | O::PathFlush | O::BlobAppendBlock | O::BlobAppendBlockFromUrl => {
            need(&["w", "a"], Object, Role::Contributor, Access::Own(READ | WRITE))
        }
        O::PathSetProperties
        | O::PathLease
        | O::PathSetExpiry
        | O::BlobSetMetadata
        | O::BlobSetHttpHeaders
        | O::BlobSetTier
        | O::BlobSeal => writes(Access::Own(WRITE)),
        // What is deleted has no list any more that could grant it.
        O::PathUndelete => writes(Access::RoleOnly),
        // Who gets there may begin; the operation itself decides path by path.
        O::PathSetAccessControlRecursive => need(&["p"], Object, Role::Owner, Access::Reach),
        O::PathDelete => {
            let recursive = call.query.flag("recursive")?;
            need(&["d"], Object, Role::Contributor, Access::Delete { recursive })
        }
        // The letters of an account's signature know no `m`.
        O::PathRename => need(&["m", "wd"], Object, Role::Contributor, Access::Rename),
        O::PathSetAccessControl => {
            let owns = call.header("x-ms-owner").or(call.header("x-ms-group")).is_some();
            let permits = call.header("x-ms-acl").or(call.header("x-ms-permissions")).is_some();
            let letters: &[&str] = match (owns, permits) {
                (true, true) => &["op"],
                (true, false) => &["o"],
                (false, _) => &["p"],
            };
            need(letters, Object, Role::Owner, Access::ByOwner)
        }
    }))
}
