//! Path - Update, action append: any position, any order, several at a time.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::BytesMut;
use futures::StreamExt as _;

use super::flush::Flush;
use super::{Context, reply};
use crate::content::{Appending, CHUNK_BYTES, Content};
use crate::index::{self, NewExtent, Node};
use crate::request::{Call, Conditions};
use crate::service_error::ServiceError;

/// The service's limit for one body.
const MAX_BODY_BYTES: u64 = 4000 * 1024 * 1024;

struct Checksums {
    md5: Option<Vec<u8>>,
    crc64: Option<Vec<u8>>,
}

pub(super) async fn append(
    context: &Context,
    payload: &mut web::Payload,
) -> Result<HttpResponse, ServiceError> {
    let call = &context.call;
    let position = call.query.number("position")?;
    let position = position.ok_or_else(|| ServiceError::invalid_query("position", "it is required"))?;
    let length = body_length(call)?;
    let past = position.checked_add(length).filter(|past| i64::try_from(*past).is_ok());
    let past = past.ok_or_else(|| ServiceError::invalid_query("position", "it is too large"))?;
    let checksums =
        Checksums { md5: digest(call, "content-md5", 16)?, crc64: digest(call, "x-ms-content-crc64", 8)? };
    if call.header("x-ms-structured-body").is_some() {
        return Err(ServiceError::not_implemented("structured bodies (x-ms-structured-body)"));
    }
    let flush = if call.query.flag("flush")? { Some(Flush::of(call, past)?) } else { None };
    let conditions = Conditions::of(call)?;

    let place = context.place()?;
    let node = context.service.index.read(move |connection| place.node(connection)).await?;
    check_target(&node, position)?;
    conditions.check(&node)?;
    let content = context.service.content.clone();
    let with_md5 = checksums.md5.is_some();
    let open = move |connection: &_| open_target(connection, &content, node.id, position, past, with_md5);
    let appending = context.service.index.read(open).await?;

    let appending = receive(context, payload, appending, length).await?;
    check_digests(&appending, &checksums)?;
    let crc64 = BASE64.encode(appending.digests().crc64());
    let node =
        record(context, appending, NewExtent { node: node.id, first: position, past, spool: None }, flush)
            .await?;

    let mut response = reply::changed(StatusCode::ACCEPTED, &node);
    let headers = response.headers_mut();
    if let Ok(value) = crc64.parse() {
        headers.insert(actix_web::http::header::HeaderName::from_static("x-ms-content-crc64"), value);
    }
    Ok(response)
}

fn body_length(call: &Call) -> Result<u64, ServiceError> {
    let text = call.header("content-length").ok_or_else(ServiceError::missing_content_length)?;
    match text.parse() {
        Ok(0) => Err(ServiceError::invalid_header("Content-Length", "an append needs at least one byte")),
        Ok(length) if length > MAX_BODY_BYTES => Err(ServiceError::request_body_too_large()),
        Ok(length) => Ok(length),
        Err(_) => Err(ServiceError::invalid_header("Content-Length", "not a number")),
    }
}

fn digest(call: &Call, name: &str, length: usize) -> Result<Option<Vec<u8>>, ServiceError> {
    let decode = |text| match BASE64.decode(text) {
        Ok(bytes) if bytes.len() == length => Ok(bytes),
        _ => Err(ServiceError::invalid_header(name, "not the base64 of a checksum")),
    };
    call.header(name).map(decode).transpose()
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

/// The claim comes before the first query: a range that another request recorded before it gave up its claim is seen.
fn open_target(
    connection: &rusqlite::Connection,
    content: &Arc<Content>,
    node: i64,
    position: u64,
    past: u64,
    with_md5: bool,
) -> Result<Appending, ServiceError> {
    let claim = content.claims().claim(node, position..past);
    let overlaps = index::overlaps_extents(connection, node, position, past)?;
    match claim {
        Some(claim) if !overlaps => Ok(Appending::direct(content, claim, node, position, with_md5)?),
        _ => Ok(Appending::spooled(content, position, with_md5)?),
    }
}

async fn receive(
    context: &Context,
    payload: &mut web::Payload,
    mut appending: Appending,
    length: u64,
) -> Result<Appending, ServiceError> {
    let (mut received, mut buffer) =
        (0, BytesMut::with_capacity(CHUNK_BYTES.min(usize::try_from(length).unwrap_or(CHUNK_BYTES))));
    loop {
        let chunk = payload.next().await.transpose().map_err(|_| ServiceError::body_cut())?;
        let ended = chunk.is_none();
        if let Some(chunk) = chunk {
            context.counters.add_ingress(chunk.len() as u64);
            received += chunk.len() as u64;
            if received > length {
                return Err(ServiceError::invalid_header("Content-Length", "the body is longer"));
            }
            buffer.extend_from_slice(&chunk);
        }
        if buffer.len() >= CHUNK_BYTES || (ended && !buffer.is_empty()) {
            let data = buffer.split();
            let write = move || appending.write(&data).map(|()| appending);
            let written = tokio::task::spawn_blocking(write).await;
            appending = written.map_err(|error| ServiceError::internal(&error))??;
        }
        if ended {
            return if received == length { Ok(appending) } else { Err(ServiceError::body_cut()) };
        }
    }
}

fn check_digests(appending: &Appending, expected: &Checksums) -> Result<(), ServiceError> {
    let digests = appending.digests();
    if expected.crc64.as_ref().is_some_and(|crc64| *crc64 != digests.crc64()) {
        return Err(ServiceError::crc64_mismatch());
    }
    if expected.md5.as_deref() != digests.md5().as_ref().map(|md5| md5.as_slice()) {
        return Err(ServiceError::md5_mismatch());
    }
    Ok(())
}

/// The claim goes along and is given up only after the commit, whether or not the client still waits.
async fn record(
    context: &Context,
    mut appending: Appending,
    mut extent: NewExtent,
    flush: Option<Flush>,
) -> Result<Node, ServiceError> {
    extent.spool = appending.spool_name();
    let content = context.service.content.clone();
    let record = move |writing: &mut index::Writing<'_>| {
        let mut node = index::add_extent(writing, &content, &extent)?;
        if let Some(flush) = &flush {
            flush.apply(writing, &content, &mut node)?;
        }
        appending.keep();
        Ok((node, appending))
    };
    let (node, _claim) = context.service.index.write(record).await?;
    Ok(node)
}
