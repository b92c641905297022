//! Copies inside the emulator: Copy Blob, Put Blob From URL and Put Block From URL; and what Append Block From URL takes.
//!
//! The source is named by a URL of this emulator, and lies in this account or in another one; that its caller may read it was
//! looked at before (`authorization`). A copy is done when it is answered; there is never a pending one.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use super::blob::{PutBlock, Write, put_block_reply};
use super::body::Checksums;
use super::read::parse_range;
use super::{Context, Place, reply};
use crate::clock;
use crate::content::{Content, Digests, Name, Reading, Spool};
use crate::index::Node;
use crate::properties::{AppendBlob, ContentSettings, Copied};
use crate::request::{Call, Conditions, LeaseUse, Location, lease_id};
use crate::service_error::ServiceError;

/// Content that stands ready in a spool file, and what it is a copy of.
struct Taken {
    source: Node,
    spool: Spool,
    length: u64,
}

pub(super) async fn copy_blob(context: &Context) -> Result<HttpResponse, ServiceError> {
    let (node, copied) = copy(context, append_blob).await?;
    let mut response = reply::changed(StatusCode::ACCEPTED, &node);
    reply::insert(&mut response, "x-ms-copy-id", &copied.id);
    reply::insert(&mut response, "x-ms-copy-status", "success");
    Ok(response)
}

pub(super) async fn put_blob_from_url(context: &Context) -> Result<HttpResponse, ServiceError> {
    // It makes block blobs only.
    let (node, _) = copy(context, |_, _| Ok(None)).await?;
    Ok(reply::changed(StatusCode::CREATED, &node))
}

/// What Copy Blob makes of an append blob is one, with as many blocks, and sealed if the source is, or as the request says.
fn append_blob(call: &Call, source: &ContentSettings) -> Result<Option<AppendBlob>, ServiceError> {
    let name = "x-ms-seal-blob";
    let sealed = match call.header(name).map(str::to_lowercase).as_deref() {
        None => None,
        Some(_) if source.append_blob.is_none() => {
            return Err(ServiceError::invalid_header(name, "only an append blob can be sealed"));
        }
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => return Err(ServiceError::invalid_header(name, "expected true or false")),
    };
    Ok(source.append_blob.map(|blob| AppendBlob { sealed: sealed.unwrap_or(blob.sealed), ..blob }))
}

async fn copy(
    context: &Context,
    append_blob: impl FnOnce(&Call, &ContentSettings) -> Result<Option<AppendBlob>, ServiceError>,
) -> Result<(Node, Copied), ServiceError> {
    let mut write = Write::of(context)?;
    let Taken { source, spool, length } = take_source(context, None, |_| Ok(())).await?;
    let stored = ContentSettings::stored(&source.settings);
    // Whoever reads the copy's properties must not find a signature in them.
    let url = context.call.header("x-ms-copy-source").and_then(|url| url.split('?').next());
    let copied = Copied {
        id: uuid::Uuid::new_v4().to_string(),
        source: url.unwrap_or("").to_owned(),
        bytes: length,
        completed_ms: clock::now_ms(),
    };
    let asked = std::mem::take(&mut write.settings);
    write.settings = ContentSettings {
        access_tier: asked.access_tier.or(stored.access_tier.clone()),
        copy: Some(copied.clone()),
        transaction: None,
        of_path_create: false,
        append_blob: append_blob(&context.call, &stored)?,
        ..stored
    };
    write.settings.update_from(&context.call.headers, "x-ms-blob-");
    if write.properties.is_empty() {
        write.properties = source.properties;
    }
    let node = write.commit(context, spool, length, Vec::new()).await?;
    Ok((node, copied))
}

pub(super) async fn put_block_from_url(context: &Context) -> Result<HttpResponse, ServiceError> {
    let put = PutBlock::of(context)?;
    let check = |length| match length {
        0 => Err(ServiceError::invalid_header("x-ms-source-range", "a block needs at least one byte")),
        _ => Ok(()),
    };
    let (spool, length) = take_range(context, check).await?;
    put.record(context, spool, length).await?;
    Ok(put_block_reply())
}

/// What `x-ms-source-range` names of the source, or all of it, if its length may be that.
pub(super) async fn take_range(
    context: &Context,
    check: impl FnOnce(u64) -> Result<(), ServiceError> + Send + 'static,
) -> Result<(Spool, u64), ServiceError> {
    let range = context.call.header("x-ms-source-range").map(parse_range).transpose()?;
    let Taken { spool, length, .. } = take_source(context, range, check).await?;
    Ok((spool, length))
}

async fn take_source(
    context: &Context,
    asked: Option<(u64, Option<u64>)>,
    check: impl FnOnce(u64) -> Result<(), ServiceError> + Send + 'static,
) -> Result<Taken, ServiceError> {
    let place = source_place(context)?;
    let conditions = Conditions::of_rename_source(&context.call)?;
    let lease = LeaseUse::reading(lease_id(&context.call, "x-ms-source-lease-id")?);
    let checksums = Checksums::of_source(&context.call)?;
    let content = context.service.content.clone();
    let take = move |connection: &rusqlite::Connection| {
        let source = place.node(connection)?;
        if source.kind.is_directory() {
            return Err(ServiceError::path_conflict().about(source.kind));
        }
        if !conditions.hold_for(&source) {
            return Err(ServiceError::source_condition_not_met());
        }
        lease.check_read(&source.lease, clock::now_ms())?;
        let range = match asked {
            Some((first, _)) if first >= source.length => {
                return Err(ServiceError::invalid_range().with_length(source.length));
            }
            Some((first, last)) => {
                first..last.map_or(source.length, |last| last.saturating_add(1).min(source.length))
            }
            None => 0..source.length,
        };
        let length = range.end - range.start;
        check(length)?;
        if checksums.are_given() {
            let digests = match range.is_empty() {
                true => Digests::new(true),
                false => Reading::open(&content, source.id, range.clone()).map_err(gone)?.digests()?,
            };
            checksums.check(&digests)?;
        }
        let spool = copy_range(&content, source.id, range).map_err(gone)?;
        Ok(Taken { source, spool, length })
    };
    context.service.index.read(take).await
}

/// The source was deleted between the look into the index and the opening.
fn gone(error: io::Error) -> ServiceError {
    match error.kind() {
        io::ErrorKind::NotFound => ServiceError::path_not_found(),
        _ => error.into(),
    }
}

fn copy_range(content: &Arc<Content>, node: i64, range: Range<u64>) -> io::Result<Spool> {
    let spool = Spool::new(content);
    let target = spool.open_for_writing()?;
    if !range.is_empty() {
        content.open_for_reading(&Name::Node(node))?.copy(range, &target, 0)?;
    }
    Ok(spool)
}

/// Account, filesystem and path that `x-ms-copy-source` points to.
pub(crate) fn source(context: &Context) -> Result<(String, String, Vec<String>), ServiceError> {
    let Place { account, filesystem, path } = source_place(context)?;
    Ok((account, filesystem, path))
}

fn source_place(context: &Context) -> Result<Place, ServiceError> {
    let call = &context.call;
    let invalid = |reason: &str| ServiceError::invalid_header("x-ms-copy-source", reason);
    let source = call.header("x-ms-copy-source").unwrap_or("");
    let (url, query) = source.split_once('?').unwrap_or((source, ""));
    if query.split('&').any(|part| part.starts_with("snapshot=") || part.starts_with("versionid=")) {
        return Err(ServiceError::not_with_hierarchical_namespace());
    }
    let rest = url.split_once("://").map(|(_, rest)| rest);
    let (host, path) = rest.and_then(|rest| rest.split_once('/')).ok_or_else(|| invalid("expected a URL"))?;
    let accounts = &context.service.accounts;
    let (location, by_host) =
        Location::parse(host, &format!("/{path}"), |name| accounts.get(name).is_some())?;
    let here = call.base_url.split("://").nth(1).and_then(|rest| rest.split('/').next());
    let elsewhere = by_host.is_none() && here != Some(host);
    let served = accounts.get(&location.account).is_some_and(|account| account.hierarchical_namespace);
    if elsewhere || !served {
        return Err(ServiceError::cannot_verify_copy_source());
    }
    let filesystem = location.filesystem.ok_or_else(|| invalid("it names no container"))?;
    Ok(Place { account: location.account, filesystem, path: location.path })
}
