//! Append blobs of the Blob endpoint: Put Blob makes one, Append Block and Append Block From URL put a block behind it, Append Blob
//! Seal ends that. (One that Path - Create makes takes only appends of Path - Update, `append`.)
//!
//! A block goes to the blob's end in one step when all of it is here, so those of several writers follow each other whole. Until then
//! one that fits into a chunk is in memory and a larger one in a spool.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use rusqlite::Connection;

use super::blob::Write;
use super::body::{self, Announced, Body, Checksums};
use super::create::check_no_body;
use super::{Context, Place, copy, reply};
use crate::clock;
use crate::content::{Appending, CHUNK_BYTES, Content, Name, Spool};
use crate::index::{self, Node, Writing};
use crate::properties::{AppendBlob, ContentSettings};
use crate::request::{Call, Conditions, LeaseUse};
use crate::service_error::ServiceError;

const MEBIBYTE: u64 = 1024 * 1024;
const POSITION: &str = "x-ms-blob-condition-appendpos";
const MAX_SIZE: &str = "x-ms-blob-condition-maxsize";

/// Put Blob.
pub(super) async fn put_append_blob(context: &Context) -> Result<HttpResponse, ServiceError> {
    check_no_body(&context.call)?;
    let mut write = Write::of(context)?;
    // Only block blobs have one.
    write.settings.access_tier = None;
    write.settings.append_blob = Some(AppendBlob::default());
    let nothing = Spool::new(&context.service.content);
    nothing.open_for_writing()?;
    let node = write.commit(context, nothing, 0, Vec::new()).await?;
    Ok(reply::changed(StatusCode::CREATED, &node))
}

pub(super) async fn append_block(
    context: &Context,
    payload: &mut web::Payload,
) -> Result<HttpResponse, ServiceError> {
    let announced = Announced::of(&context.call)?;
    check_length(announced.length, most_bytes(&context.call))?;
    let checksums = Checksums::of(&context.call)?;
    let target = Target::of(context, announced.length)?;
    let (block, crc64, md5) = match announced.length <= CHUNK_BYTES as u64 {
        true => {
            let (mut body, mut digests, mut data) =
                (Body::new(context, payload, &announced), checksums.digests(), Bytes::new());
            while let Some(chunk) = body.next().await? {
                data = chunk;
            }
            digests.update(&data);
            checksums.check(&digests)?;
            (Block::Whole(data), digests.crc64(), digests.md5())
        }
        false => {
            let look = target.clone();
            context.service.index.read(move |connection| look.look(connection, clock::now_ms())).await?;
            let spool = Spool::new(&context.service.content);
            let appending = Appending::aside(&spool, 0, checksums.digests())?;
            let appending = body::receive(context, payload, appending, &announced).await?;
            let digests = appending.digests();
            checksums.check(digests)?;
            (Block::Aside(spool), digests.crc64(), digests.md5())
        }
    };
    let mut response = target.put(context, block).await?;
    reply::insert(&mut response, "x-ms-content-crc64", &BASE64.encode(crc64));
    if let Some(md5) = md5 {
        reply::insert(&mut response, "content-md5", &BASE64.encode(md5));
    }
    announced.confirm(&mut response);
    Ok(response)
}

pub(super) async fn append_block_from_url(context: &Context) -> Result<HttpResponse, ServiceError> {
    check_no_body(&context.call)?;
    let most = most_bytes(&context.call);
    let (spool, length) = copy::take_range(context, move |length| check_length(length, most)).await?;
    Target::of(context, length)?.put(context, Block::Aside(spool)).await
}

/// 100 MiB from version 2022-11-02 on, 4 MiB before.
fn most_bytes(call: &Call) -> u64 {
    let version = call.header("x-ms-version").or_else(|| call.query.get("sv")).unwrap_or("");
    if version >= "2022-11-02" { 100 * MEBIBYTE } else { 4 * MEBIBYTE }
}

fn check_length(length: u64, most: u64) -> Result<(), ServiceError> {
    match length {
        0 => Err(ServiceError::invalid_header("Content-Length", "a block needs at least one byte")),
        length if length > most => Err(ServiceError::request_body_too_large()),
        _ => Ok(()),
    }
}

enum Block {
    Whole(Bytes),
    Aside(Spool),
}

impl Block {
    fn write(self, content: &Content, node: &Node, length: u64) -> Result<(), ServiceError> {
        let target = content.open_for_writing(&Name::Node(node.id))?;
        match self {
            Self::Whole(data) => target.write(data, node.length)?,
            Self::Aside(spool) => {
                let source = content.open_for_reading(&Name::Spool(spool.name().to_owned()))?;
                source.copy(0..length, &target, node.length)?;
            }
        }
        Ok(())
    }
}

/// Which blob, and what has to be true of it.
#[derive(Clone)]
struct Target {
    place: Place,
    conditions: Conditions,
    lease: LeaseUse,
    /// Where the blob has to end.
    position: Option<u64>,
    /// How long it may become.
    max_size: Option<u64>,
    /// Of the block.
    length: u64,
}

impl Target {
    fn of(context: &Context, length: u64) -> Result<Self, ServiceError> {
        let call = &context.call;
        let number = |name: &str| {
            let parse =
                |text: &str| text.parse().map_err(|_| ServiceError::invalid_header(name, "not a number"));
            call.header(name).map(parse).transpose()
        };
        Ok(Self {
            place: context.place()?,
            conditions: Conditions::of(call)?,
            lease: LeaseUse::of(call)?,
            position: number(POSITION)?,
            max_size: number(MAX_SIZE)?,
            length,
        })
    }

    fn find(&self, connection: &Connection, now_ms: i64) -> Result<(Node, ContentSettings), ServiceError> {
        let node = self.place.node(connection)?;
        if node.kind.is_directory() {
            return Err(ServiceError::path_conflict().about(node.kind));
        }
        let settings = ContentSettings::stored(&node.settings);
        if settings.append_blob.is_none() {
            return Err(ServiceError::invalid_blob_type());
        }
        self.conditions.check(&node)?;
        self.lease.check_write(&node.lease, now_ms)?;
        if self.position.is_some_and(|position| position != node.length) {
            return Err(ServiceError::append_position_condition_not_met());
        }
        Ok((node, settings))
    }

    /// The blob as it is, if it takes the block.
    fn look(&self, connection: &Connection, now_ms: i64) -> Result<Node, ServiceError> {
        let (node, settings) = self.find(connection, now_ms)?;
        if settings.of_path_create {
            return Err(ServiceError::blob_operation_not_supported());
        }
        let past = node.length.saturating_add(self.length);
        if self.max_size.is_some_and(|most| past > most) {
            return Err(ServiceError::max_blob_size_condition_not_met());
        }
        count_block(&mut node.clone())?;
        Ok(node)
    }

    async fn put(self, context: &Context, block: Block) -> Result<HttpResponse, ServiceError> {
        let content = context.service.content.clone();
        let put = move |writing: &mut Writing<'_>| {
            let mut node = self.look(writing.connection, writing.now_ms)?;
            self.lease.begin(&mut node.lease, writing.now_ms)?;
            let (offset, blocks) = (node.length, count_block(&mut node)?);
            // Nobody sees it before the length is committed; what a refusal leaves, the next block is written over.
            block.write(&content, &node, self.length)?;
            node.length += self.length;
            index::update_node(writing, &mut node, true)?;
            Ok((node, offset, blocks))
        };
        let (node, offset, blocks) = context.service.index.write(put).await?;
        let mut response = reply::changed(StatusCode::CREATED, &node);
        reply::insert(&mut response, "x-ms-blob-append-offset", &offset.to_string());
        reply::insert(&mut response, "x-ms-blob-committed-block-count", &blocks.to_string());
        Ok(response)
    }
}

/// For a block that is put behind it, on either endpoint. Answers how many there are with it. An MD5 of the content before goes.
pub(super) fn count_block(node: &mut Node) -> Result<u32, ServiceError> {
    let mut settings = ContentSettings { content_md5: None, ..ContentSettings::stored(&node.settings) };
    let blob = settings.append_blob.as_mut().ok_or_else(ServiceError::invalid_blob_type)?;
    blob.add_block()?;
    let blocks = blob.blocks;
    node.settings = settings.to_text();
    Ok(blocks)
}

/// Changes neither the ETag nor the time of the last modification.
pub(super) async fn seal(context: &Context) -> Result<HttpResponse, ServiceError> {
    check_no_body(&context.call)?;
    let target = Target::of(context, 0)?;
    let seal = move |writing: &mut Writing<'_>| {
        let (node, mut settings) = target.find(writing.connection, writing.now_ms)?;
        if let Some(blob) = &mut settings.append_blob {
            blob.sealed = true;
        }
        index::save_settings(writing, node.id, &settings.to_text())?;
        Ok(node)
    };
    let node = context.service.index.write(seal).await?;
    let mut response = reply::changed(StatusCode::OK, &node);
    reply::insert(&mut response, "x-ms-blob-sealed", "true");
    Ok(response)
}
