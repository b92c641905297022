//! Path - Update, action append: any position, any order, several at a time.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::body::{self, Announced, Checksums};
use super::flush::Flush;
use super::{Context, reply};
use crate::clock;
use crate::content::{Appending, Content, Spool};
use crate::index::{self, NewExtent, Node};
use crate::request::{Call, Conditions, LeaseUse};
use crate::service_error::ServiceError;

pub(super) async fn append(
    context: &Context,
    payload: &mut web::Payload,
) -> Result<HttpResponse, ServiceError> {
    let call = &context.call;
    let position = call.query.number("position")?;
    let position = position.ok_or_else(|| ServiceError::invalid_query("position", "it is required"))?;
    let announced = body_announced(call)?;
    let past = position.checked_add(announced.length).filter(|past| i64::try_from(*past).is_ok());
    let past = past.ok_or_else(|| ServiceError::invalid_query("position", "it is too large"))?;
    let checksums = Checksums::of(call)?;
    let flush = if call.query.flag("flush")? { Some(Flush::of(call, past)?) } else { None };
    let lease = LeaseUse::of_append(call, flush.is_some())?;
    let conditions = Conditions::of(call)?;

    let place = context.place()?;
    let node = context.service.index.read(move |connection| place.node(connection)).await?;
    check_target(&node, position)?;
    conditions.check(&node)?;
    lease.check_write(&node.lease, clock::now_ms())?;
    let content = context.service.content.clone();
    let with_md5 = checksums.md5.is_some();
    let open = move |connection: &_| open_target(connection, &content, node.id, position, past, with_md5);
    let (appending, spool) = context.service.index.read(open).await?;

    let appending = body::receive(context, payload, appending, &announced).await?;
    checksums.check(appending.digests())?;
    let crc64 = BASE64.encode(appending.digests().crc64());
    let name = spool.as_ref().map(|spool| spool.name().to_owned());
    let extent = NewExtent { node: node.id, first: position, past, spool: name };
    let node = record(context, appending, spool, extent, Commit { flush, lease }).await?;

    let mut response = reply::changed(StatusCode::ACCEPTED, &node);
    reply::insert(&mut response, "x-ms-content-crc64", &crc64);
    announced.confirm(&mut response);
    if lease.renews() {
        reply::insert(&mut response, "x-ms-lease-renewed", "true");
    }
    Ok(response)
}

/// What else is done together with the append.
struct Commit {
    flush: Option<Flush>,
    lease: LeaseUse,
}

fn body_announced(call: &Call) -> Result<Announced, ServiceError> {
    match Announced::of(call)? {
        Announced { length: 0, .. } => {
            Err(ServiceError::invalid_header("Content-Length", "an append needs at least one byte"))
        }
        announced => Ok(announced),
    }
}

fn check_target(node: &Node, position: u64) -> Result<(), ServiceError> {
    if node.kind.is_directory() {
        return Err(ServiceError::path_conflict().about(node.kind));
    }
    if position < node.length {
        // No flush could ever commit it, so it is refused here rather than dropped there.
        return Err(ServiceError::invalid_flush_position());
    }
    Ok(())
}

/// The spool is there when the body goes aside. The claim comes before the first query: a range that another request
/// recorded before it gave up its claim is seen.
fn open_target(
    connection: &rusqlite::Connection,
    content: &Arc<Content>,
    node: i64,
    position: u64,
    past: u64,
    with_md5: bool,
) -> Result<(Appending, Option<Spool>), ServiceError> {
    let claim = content.claims().claim(node, position..past);
    let overlaps = index::overlaps_extents(connection, node, position, past)?;
    match claim {
        Some(claim) if !overlaps => Ok((Appending::direct(content, claim, node, position, with_md5)?, None)),
        _ => {
            let spool = Spool::new(content);
            Ok((Appending::aside(&spool, position, with_md5)?, Some(spool)))
        }
    }
}

/// The claim goes along and is given up only after the commit, whether or not the client still waits.
async fn record(
    context: &Context,
    appending: Appending,
    spool: Option<Spool>,
    extent: NewExtent,
    commit: Commit,
) -> Result<Node, ServiceError> {
    let content = context.service.content.clone();
    let record = move |writing: &mut index::Writing<'_>| {
        let mut node = index::add_extent(writing, &content, &extent)?;
        let Commit { flush, lease } = &commit;
        let before = node.lease.clone();
        lease.begin(&mut node.lease, writing.now_ms)?;
        lease.finish(&mut node.lease, writing.now_ms)?;
        if let Some(flush) = flush {
            flush.apply(writing, &content, &mut node)?;
        } else if node.lease != before {
            index::save_lease(writing, node.id, &node.lease)?;
        }
        if let Some(spool) = spool {
            spool.keep();
        }
        Ok((node, appending))
    };
    let (node, _claim) = context.service.index.write(record).await?;
    Ok(node)
}
