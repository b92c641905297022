//! Writing through the Blob endpoint: Put Blob, Put Block, Put Block List.
//!
//! A blob is written as a whole: the new content stands ready in a spool file before one transaction makes it the file, so
//! readers see the old file or the new one and a kill leaves one of them.

use std::fs::OpenOptions;
use std::io;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use quick_xml::Reader;
use quick_xml::events::Event;

use super::body::{self, Checksums};
use super::{Context, Place, read_text, reply};
use crate::content::{Appending, Content, Spool};
use crate::index::{self, Block, BlockPlace, Create, Node, NodeKind, Writing};
use crate::permissions::{self, NewAccess};
use crate::properties::{ContentSettings, UserProperties};
use crate::request::{Conditions, Location};
use crate::service_error::ServiceError;

/// 50,000 blocks, the service's limit, with ids of 64 bytes in base64 and their elements.
const MAX_BLOCK_LIST_BYTES: usize = 8 * 1024 * 1024;
const MAX_BLOCK_ID_BYTES: usize = 64;

pub(super) async fn put_blob(
    context: &Context,
    payload: &mut web::Payload,
) -> Result<HttpResponse, ServiceError> {
    if context.call.header("x-ms-blob-type") != Some("BlockBlob") {
        return Err(ServiceError::not_implemented("other blobs than block blobs"));
    }
    let mut write = Write::of(context)?;
    let length = body::announced_length(&context.call)?;
    let checksums = Checksums::of(&context.call)?;
    let spool = Spool::new(&context.service.content);
    let appending = body::receive(context, payload, Appending::aside(&spool, 0, true)?, length).await?;
    checksums.check(&appending)?;
    let (crc64, md5) = (appending.digests().crc64(), appending.digests().md5());
    let md5 = md5.map(|md5| BASE64.encode(md5));
    // Without one of the client's own the service keeps the one that it has computed.
    write.settings.content_md5 = write.settings.content_md5.or_else(|| md5.clone());
    let node = write.commit(context, spool, length, None).await?;
    let mut response = reply::changed(StatusCode::CREATED, &node);
    insert(&mut response, "x-ms-content-crc64", &BASE64.encode(crc64));
    insert(&mut response, "content-md5", &md5.unwrap_or_default());
    Ok(response)
}

pub(super) async fn put_block(
    context: &Context,
    payload: &mut web::Payload,
) -> Result<HttpResponse, ServiceError> {
    let call = &context.call;
    let id = call.query.get("blockid").unwrap_or("");
    let valid = BASE64.decode(id).is_ok_and(|id| (1..=MAX_BLOCK_ID_BYTES).contains(&id.len()));
    if !valid {
        return Err(ServiceError::invalid_query("blockid", "expected base64 of 1 to 64 bytes"));
    }
    let length = body::announced_length(call)?;
    if length == 0 {
        return Err(ServiceError::invalid_header("Content-Length", "a block needs at least one byte"));
    }
    let checksums = Checksums::of(call)?;
    let place = new_file_place(context)?;
    let spool = Spool::new(&context.service.content);
    let appending = Appending::aside(&spool, 0, checksums.md5.is_some())?;
    let appending = body::receive(context, payload, appending, length).await?;
    checksums.check(&appending)?;
    let crc64 = BASE64.encode(appending.digests().crc64());
    let (id, content) = (id.to_owned(), context.service.content.clone());
    let record = move |writing: &mut Writing<'_>| {
        let block = Block { spool: spool.name().to_owned(), length };
        let blocks = BlockPlace { root: place.root(writing.connection)?, path: place.path.join("/") };
        index::put_block(writing, &content, &blocks, &id, &block)?;
        spool.keep();
        Ok(())
    };
    context.service.index.write(record).await?;
    let mut response = HttpResponse::Created();
    response.insert_header(("x-ms-content-crc64", crc64));
    response.insert_header(("x-ms-request-server-encrypted", "true"));
    Ok(response.finish())
}

pub(super) async fn put_block_list(
    context: &Context,
    payload: &mut web::Payload,
) -> Result<HttpResponse, ServiceError> {
    let write = Write::of(context)?;
    let ids = block_ids(&read_text(payload, MAX_BLOCK_LIST_BYTES).await?)?;
    let content = context.service.content.clone();
    let place = write.place.clone();
    let assemble = move |connection: &rusqlite::Connection| {
        let place = BlockPlace { root: place.root(connection)?, path: place.path.join("/") };
        let blocks = index::blocks(connection, &place, &ids)?;
        let spool = join(&content, &blocks)?;
        Ok((ids, blocks, spool))
    };
    let (ids, blocks, spool) = context.service.index.read(assemble).await?;
    let length = blocks.iter().map(|block| block.length).sum();
    let node = write.commit(context, spool, length, Some((ids, blocks))).await?;
    Ok(reply::changed(StatusCode::CREATED, &node))
}

fn insert(response: &mut HttpResponse, name: &'static str, value: &str) {
    if let Ok(value) = value.parse() {
        response.headers_mut().insert(actix_web::http::header::HeaderName::from_static(name), value);
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
struct Write {
    place: Place,
    conditions: Conditions,
    settings: ContentSettings,
    properties: String,
}

impl Write {
    fn of(context: &Context) -> Result<Self, ServiceError> {
        let headers = &context.call.headers;
        let mut settings = ContentSettings::default();
        if context.call.query.get("comp").is_none() {
            settings.content_type = context.call.header("content-type").map(str::to_owned);
        }
        settings.update_from(headers, "x-ms-blob-");
        Ok(Self {
            place: new_file_place(context)?,
            conditions: Conditions::of(&context.call)?,
            settings,
            properties: UserProperties::from_metadata_headers(headers).to_text(),
        })
    }

    /// `blocks`: which ids the content was put together from; refused if they are others by now.
    async fn commit(
        self,
        context: &Context,
        spool: Spool,
        length: u64,
        blocks: Option<(Vec<String>, Vec<Block>)>,
    ) -> Result<Node, ServiceError> {
        let content = context.service.content.clone();
        let new = Create {
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
        };
        let Self { place, conditions, .. } = self;
        let commit = move |writing: &mut Writing<'_>| {
            let root = place.root(writing.connection)?;
            let block_place = BlockPlace { root, path: place.path.join("/") };
            if let Some((ids, blocks)) = blocks
                && index::blocks(writing.connection, &block_place, &ids)? != blocks
            {
                return Err(ServiceError::invalid_block_list());
            }
            let existing = index::find(writing.connection, root, &place.path)?;
            conditions.check_for_write(existing.as_ref())?;
            match existing {
                Some(node) if node.kind.is_directory() => {
                    return Err(ServiceError::path_conflict().about(node.kind));
                }
                Some(node) => index::remove(writing, node.id)?,
                None => {}
            }
            index::discard_blocks(writing, &content, &block_place)?;
            let mut node = index::create(writing, root, &place.path, &new)?;
            node.length = length;
            index::update_node(writing, &mut node, true)?;
            spool.become_content(&content, node.id)?;
            Ok(node)
        };
        let node = context.service.index.write(commit).await?;
        context.service.garbage.notify_one();
        Ok(node)
    }
}

/// One spool file out of those of the blocks.
fn join(content: &Arc<Content>, blocks: &[Block]) -> io::Result<Spool> {
    let spool = Spool::new(content);
    let mut joined = OpenOptions::new().write(true).create_new(true).open(spool.path())?;
    for block in blocks {
        io::copy(&mut std::fs::File::open(content.spool_path(&block.spool))?, &mut joined)?;
    }
    Ok(spool)
}

/// The ids of a block list. Blocks that an earlier list committed cannot be named again here: they are one file by then.
fn block_ids(xml: &str) -> Result<Vec<String>, ServiceError> {
    let mut reader = Reader::from_str(xml);
    let mut ids = Vec::new();
    let mut open: Vec<String> = Vec::new();
    loop {
        match reader.read_event().map_err(|_| ServiceError::invalid_xml())? {
            Event::Start(element) => open.push(element.name().as_ref().to_owned()),
            Event::End(_) => drop(open.pop()),
            Event::Text(text) if open.len() == 2 => match open.last().map(String::as_str) {
                Some("Latest" | "Uncommitted") => ids.push(text.trim().to_owned()),
                _ => return Err(ServiceError::not_implemented("block lists that name committed blocks")),
            },
            Event::Eof if open.is_empty() => return Ok(ids),
            Event::Eof => return Err(ServiceError::invalid_xml()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_lists() {
        let list = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<BlockList>\n  <Latest>YQ==</Latest><Uncommitted>Yg==</Uncommitted>\n</BlockList>";
        assert_eq!(block_ids(list).unwrap(), ["YQ==", "Yg=="]);
        assert!(block_ids("<BlockList></BlockList>").unwrap().is_empty());
        assert!(block_ids("<BlockList />").unwrap().is_empty());
        for xml in [
            "<BlockList><Latest>YQ==</Latest>",
            "<BlockList><Committed>YQ==</Committed></BlockList>",
            "<a></b>",
        ] {
            assert!(block_ids(xml).is_err(), "{xml}");
        }
    }
}
