//! Writing through the Blob endpoint: Put Blob, Put Block, and what all ways to write a whole blob share.
//!
//! A blob is written as a whole: the new content stands ready in a spool file before one transaction makes it the file, so
//! readers see the old file or the new one and a kill leaves one of them.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::body::{self, Announced, Checksums};
use super::{Context, Place, reply};
use crate::content::{Appending, Digests, Spool};
use crate::index::{self, Block, BlockId, BlockPlace, Create, NamedBlock, Node, NodeKind, Writing};
use crate::lease::Lease;
use crate::permissions::{self, NewAccess};
use crate::properties::{ContentSettings, UserProperties};
use crate::request::{Call, Conditions, LeaseUse, Location};
use crate::service_error::ServiceError;

const MAX_BLOCK_ID_BYTES: usize = 64;

pub(super) async fn put_blob(
    context: &Context,
    payload: &mut web::Payload,
) -> Result<HttpResponse, ServiceError> {
    // Hadoop's driver writes it in lower case.
    let appends = match context.call.header("x-ms-blob-type").map(str::to_lowercase).as_deref() {
        Some("blockblob") => false,
        Some("appendblob") => true,
        Some("pageblob") => return Err(ServiceError::not_with_hierarchical_namespace()),
        _ => {
            let reason = "expected BlockBlob, AppendBlob or PageBlob";
            return Err(ServiceError::invalid_header("x-ms-blob-type", reason));
        }
    };
    if super::marked_directory::is_asked_for(&context.call) {
        return super::marked_directory::put(context).await;
    }
    if appends {
        return super::append_block::put_append_blob(context).await;
    }
    let mut write = Write::of(context)?;
    let announced = Announced::of(&context.call)?;
    let checksums = Checksums::of(&context.call)?;
    let spool = Spool::new(&context.service.content);
    let appending =
        body::receive(context, payload, Appending::aside(&spool, 0, Digests::new(true))?, &announced).await?;
    checksums.check(appending.digests())?;
    let (crc64, md5) = (appending.digests().crc64(), appending.digests().md5());
    let md5 = md5.map(|md5| BASE64.encode(md5));
    // Without one of the client's own the service keeps the one that it has computed.
    write.settings.content_md5 = write.settings.content_md5.or_else(|| md5.clone());
    let node = write.commit(context, spool, announced.length, Vec::new()).await?;
    let mut response = reply::changed(StatusCode::CREATED, &node);
    reply::insert(&mut response, "x-ms-content-crc64", &BASE64.encode(crc64));
    reply::insert(&mut response, "content-md5", &md5.unwrap_or_default());
    announced.confirm(&mut response);
    Ok(response)
}

pub(super) async fn put_block(
    context: &Context,
    payload: &mut web::Payload,
) -> Result<HttpResponse, ServiceError> {
    let call = &context.call;
    let put = PutBlock::of(context)?;
    let announced = Announced::of(call)?;
    if announced.length == 0 {
        return Err(ServiceError::invalid_header("Content-Length", "a block needs at least one byte"));
    }
    let checksums = Checksums::of(call)?;
    let spool = Spool::new(&context.service.content);
    let appending = Appending::aside(&spool, 0, checksums.digests())?;
    let appending = body::receive(context, payload, appending, &announced).await?;
    checksums.check(appending.digests())?;
    let crc64 = BASE64.encode(appending.digests().crc64());
    put.record(context, spool, announced.length).await?;
    let mut response = put_block_reply();
    reply::insert(&mut response, "x-ms-content-crc64", &crc64);
    announced.confirm(&mut response);
    Ok(response)
}

pub(super) fn put_block_reply() -> HttpResponse {
    HttpResponse::Created().insert_header(("x-ms-request-server-encrypted", "true")).finish()
}

/// Which block of which blob.
pub(super) struct PutBlock {
    place: Place,
    id: String,
    lease: LeaseUse,
}

impl PutBlock {
    pub(super) fn of(context: &Context) -> Result<Self, ServiceError> {
        let id = context.call.query.get("blockid").unwrap_or("");
        let valid = BASE64.decode(id).is_ok_and(|id| (1..=MAX_BLOCK_ID_BYTES).contains(&id.len()));
        if !valid {
            return Err(ServiceError::invalid_query("blockid", "expected base64 of 1 to 64 bytes"));
        }
        let lease = LeaseUse::of(&context.call)?;
        Ok(Self { place: new_file_place(context)?, id: id.to_owned(), lease })
    }

    pub(super) async fn record(
        self,
        context: &Context,
        spool: Spool,
        length: u64,
    ) -> Result<(), ServiceError> {
        let Self { place, id, lease } = self;
        let record = move |writing: &mut Writing<'_>| {
            let root = place.root(writing.connection)?;
            match index::find(writing.connection, root, &place.path)? {
                Some(node) => {
                    check_blocks(&node)?;
                    lease.check_write(&node.lease, writing.now_ms)?;
                }
                None => lease.check_absent()?,
            }
            let block = Block { spool: spool.name().to_owned(), length };
            let blocks = BlockPlace { root, path: place.path.join("/") };
            index::put_block(writing, &blocks, &id, &block)?;
            writing.kept.push(spool.keep());
            Ok(())
        };
        context.service.index.write(record).await
    }
}

/// Only a block blob that was written through the Blob endpoint consists of blocks.
fn check_blocks(node: &Node) -> Result<(), ServiceError> {
    let settings = ContentSettings::stored(&node.settings);
    match (settings.append_blob, settings.of_path_create) {
        (Some(_), _) => Err(ServiceError::invalid_blob_type()),
        (None, true) => Err(ServiceError::blob_operation_not_supported()),
        (None, false) => Ok(()),
    }
}

fn new_file_place(context: &Context) -> Result<Place, ServiceError> {
    let place = context.place()?;
    if place.path.is_empty() {
        return Err(ServiceError::root_operation());
    }
    Location::check_new_path(&place.path)?;
    Ok(place)
}

/// What the path is to be, except its content.
pub(super) struct Write {
    pub place: Place,
    conditions: Conditions,
    lease: LeaseUse,
    pub settings: ContentSettings,
    pub properties: String,
    /// Out of blocks, which need a file that can have some.
    pub of_blocks: bool,
}

impl Write {
    pub(super) fn of(context: &Context) -> Result<Self, ServiceError> {
        let headers = &context.call.headers;
        let mut settings = ContentSettings::default();
        if context.call.query.get("comp").is_none() {
            settings.content_type = context.call.header("content-type").map(str::to_owned);
        }
        settings.update_from(headers, "x-ms-blob-");
        settings.access_tier = access_tier(&context.call)?;
        Ok(Self {
            place: new_file_place(context)?,
            conditions: Conditions::of(&context.call)?,
            lease: LeaseUse::of(&context.call)?,
            settings,
            properties: UserProperties::from_metadata_headers(headers)?.to_text(),
            of_blocks: false,
        })
    }

    /// `blocks`: what the content was put together from; refused if that is not what their ids name any more.
    pub(super) async fn commit(
        self,
        context: &Context,
        spool: Spool,
        length: u64,
        blocks: Vec<(BlockId, NamedBlock)>,
    ) -> Result<Node, ServiceError> {
        let mut new = Create {
            kind: NodeKind::File,
            owner: context.caller.owner().map(str::to_owned),
            group: None,
            access: NewAccess::Bits {
                asked: None,
                otherwise: permissions::DEFAULT_FILE_MODE,
                umask: permissions::DEFAULT_UMASK,
            },
            parent_umask: permissions::DEFAULT_UMASK,
            properties: self.properties,
            settings: self.settings.to_text(),
            lease: Lease::default(),
            expires_ms: None,
            encryption_context: None,
        };
        let Self { place, conditions, lease, of_blocks, settings, .. } = self;
        let commit = move |writing: &mut Writing<'_>| {
            let root = place.root(writing.connection)?;
            let block_place = BlockPlace { root, path: place.path.join("/") };
            let existing = index::find(writing.connection, root, &place.path)?;
            let (ids, blocks): (Vec<BlockId>, Vec<NamedBlock>) = blocks.into_iter().unzip();
            let there = existing.as_ref().map(|node| node.id);
            if !ids.is_empty() && index::find_blocks(writing.connection, &block_place, there, &ids)? != blocks
            {
                return Err(ServiceError::invalid_block_list());
            }
            conditions.check_for_write(existing.as_ref())?;
            match existing {
                Some(node) if node.kind.is_directory() => {
                    return Err(ServiceError::path_conflict().about(node.kind));
                }
                Some(node) => {
                    if of_blocks {
                        check_blocks(&node)?;
                    }
                    // The type stays what it is as long as the blob is there.
                    if ContentSettings::stored(&node.settings).blob_type() != settings.blob_type() {
                        return Err(ServiceError::invalid_blob_type());
                    }
                    new.lease = node.lease;
                    lease.begin(&mut new.lease, writing.now_ms)?;
                    index::remove(writing, node.id)?;
                }
                None => lease.check_absent()?,
            }
            index::discard_blocks(writing, &block_place)?;
            let mut node = index::create(writing, root, &place.path, &new)?;
            node.length = length;
            index::update_node(writing, &mut node, true)?;
            index::save_committed_blocks(writing, node.id, &blocks)?;
            writing.kept.push(spool.become_content(node.id)?);
            Ok(node)
        };
        let node = context.service.index.write(commit).await?;
        context.service.garbage.notify_one();
        Ok(node)
    }
}

/// Tiers change nothing here but are told again; from the archive nothing could be read.
pub(super) fn access_tier(call: &Call) -> Result<Option<String>, ServiceError> {
    match call.header("x-ms-access-tier") {
        None => Ok(None),
        Some(tier @ ("Hot" | "Cool" | "Cold")) => Ok(Some(tier.to_owned())),
        Some("Archive") => Err(ServiceError::not_implemented("the Archive tier")),
        Some(_) => Err(ServiceError::invalid_header("x-ms-access-tier", "expected Hot, Cool or Cold")),
    }
}
