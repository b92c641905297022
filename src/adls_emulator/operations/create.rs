//! Path - Create, for files and directories.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use super::expiry::Expiry;
use super::{Context, reply};
use crate::index::{self, Create, NodeKind};
use crate::lease::Lease;
use crate::permissions::{self, AccessControl, Acl, NewAccess};
use crate::properties::{AppendBlob, ContentSettings, UserProperties};
use crate::request::{Call, Conditions, LeaseUse, Location, lease_duration, lease_id};
use crate::service_error::ServiceError;

/// The header by which a client names its create or rename, and which a HEAD tells again.
pub(super) const TRANSACTION: &str = "x-ms-client-transaction-id";

/// Of calls on paths whose headers say everything.
pub(super) fn check_no_body(call: &Call) -> Result<(), ServiceError> {
    match call.header("content-length") {
        None | Some("0") => Ok(()),
        Some(_) => Err(ServiceError::content_length_must_be_zero()),
    }
}

const MAX_ENCRYPTION_CONTEXT_BYTES: usize = 1024;

pub(super) async fn create(context: &Context) -> Result<HttpResponse, ServiceError> {
    let place = context.place()?;
    if place.path.is_empty() {
        return Err(ServiceError::root_operation());
    }
    check_no_body(&context.call)?;
    let kind = match context.call.query.get("resource") {
        Some("file") => NodeKind::File,
        Some("directory") => NodeKind::Directory,
        _ => return Err(ServiceError::invalid_query("resource", "expected file or directory")),
    };
    Location::check_new_path(&place.path)?;
    let conditions = Conditions::of(&context.call)?;
    let lease = LeaseUse::of(&context.call)?;
    let acquire = match lease_id(&context.call, "x-ms-proposed-lease-id")? {
        Some(id) => Some((id, lease_duration(&context.call)?)),
        None => None,
    };
    let expiry = expiry(&context.call, kind)?;
    let mut new = description(context, kind)?;
    let create = move |writing: &mut index::Writing<'_>| {
        let root = place.root(writing.connection)?;
        let existing = index::find(writing.connection, root, &place.path)?;
        conditions.check_for_write(existing.as_ref())?;
        let now_ms = writing.now_ms;
        let replaced = match existing {
            Some(node) if node.kind != kind => return Err(ServiceError::path_conflict().about(node.kind)),
            // Making a directory that is there changes nothing.
            Some(node) if node.kind.is_directory() => return Ok((node, false)),
            Some(node) => {
                new.lease = node.lease;
                lease.begin(&mut new.lease, now_ms)?;
                index::remove(writing, node.id)?;
                true
            }
            None => lease.check_absent().map(|()| false)?,
        };
        if let Some((id, duration)) = acquire {
            new.lease.acquire(Some(id), duration, now_ms)?;
        }
        if let Some(expiry) = expiry {
            new.expires_ms = expiry.resolve(now_ms, now_ms)?;
        }
        Ok((index::create(writing, root, &place.path, &new)?, replaced))
    };
    let (node, replaced) = context.service.index.write(create).await?;
    // Also for an expiry, which the sweeper has to wait for.
    if replaced || node.expires_ms.is_some() {
        context.service.garbage.notify_one();
    }
    Ok(reply::changed(StatusCode::CREATED, &node))
}

fn expiry(call: &Call, kind: NodeKind) -> Result<Option<Expiry>, ServiceError> {
    match Expiry::of(call)? {
        Some(_) if kind.is_directory() => {
            Err(ServiceError::unsupported_header("x-ms-expiry-option", "only files expire"))
        }
        expiry => Ok(expiry),
    }
}

fn encryption_context(call: &Call) -> Result<Option<String>, ServiceError> {
    let name = "x-ms-encryption-context";
    match call.header(name) {
        Some(text) if text.len() > MAX_ENCRYPTION_CONTEXT_BYTES => {
            Err(ServiceError::invalid_header(name, "it is longer than 1024 bytes"))
        }
        text => Ok(text.map(str::to_owned)),
    }
}

/// `None` for a block blob.
fn append_blob(call: &Call, kind: NodeKind) -> Result<Option<AppendBlob>, ServiceError> {
    match call.query.get("blobtype").map(str::to_lowercase).as_deref() {
        None | Some("blockblob") => Ok(None),
        Some("appendblob") if kind == NodeKind::File => Ok(Some(AppendBlob::default())),
        Some("appendblob") => Err(ServiceError::invalid_query("blobType", "a directory is no append blob")),
        Some(_) => Err(ServiceError::invalid_query("blobType", "expected blockblob or appendblob")),
    }
}

pub(super) fn description(context: &Context, kind: NodeKind) -> Result<Create, ServiceError> {
    let call = &context.call;
    let append_blob = append_blob(call, kind)?;
    let umask = call.header("x-ms-umask").map(permissions::parse_umask).transpose()?;
    let umask = umask.unwrap_or(permissions::DEFAULT_UMASK);
    let default_mode = match kind {
        NodeKind::File => permissions::DEFAULT_FILE_MODE,
        NodeKind::Directory => permissions::DEFAULT_DIRECTORY_MODE,
    };
    let mode = call.header("x-ms-permissions").map(permissions::parse_permissions).transpose()?;
    let access = match call.header("x-ms-acl") {
        Some(_) if mode.is_some() => {
            return Err(ServiceError::invalid_header("x-ms-acl", "it excludes x-ms-permissions"));
        }
        Some(acl) => {
            let mut access = AccessControl::from_mode(0);
            access.set_acl(Acl::parse(acl, kind.is_directory())?);
            NewAccess::Exactly(access)
        }
        None => NewAccess::Bits { asked: mode, otherwise: default_mode, umask },
    };
    let mut settings = ContentSettings::default();
    settings.update_from(&call.headers, "x-ms-");
    settings.transaction = call.header(TRANSACTION).map(str::to_owned);
    settings.of_path_create = kind == NodeKind::File;
    settings.append_blob = append_blob;
    Ok(Create {
        kind,
        owner: call.header("x-ms-owner").or(context.caller.owner()).map(str::to_owned),
        group: call.header("x-ms-group").map(str::to_owned),
        access,
        parent_umask: umask,
        properties: UserProperties::parse(call.header("x-ms-properties").unwrap_or(""))?.to_text(),
        settings: settings.to_text(),
        lease: Lease::default(),
        expires_ms: None,
        encryption_context: encryption_context(call)?,
    })
}
