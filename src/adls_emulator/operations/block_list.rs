//! Put Block List and Get Block List.

use std::io;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use quick_xml::Reader;
use quick_xml::escape::escape;
use quick_xml::events::Event;

use super::blob::Write;
use super::{Context, read_text, reply};
use crate::clock;
use crate::content::{Content, Name, Spool};
use crate::index::{self, BlockId, BlockPlace, BlockSource, ListedBlock, NamedBlock};
use crate::properties::ContentSettings;
use crate::request::LeaseUse;
use crate::service_error::ServiceError;

/// 50,000 blocks, the service's limit, with ids of 64 bytes in base64 and their elements.
const MAX_BLOCK_LIST_BYTES: usize = 8 * 1024 * 1024;
const MAX_BLOCKS: usize = 50_000;

pub(super) async fn put_block_list(
    context: &Context,
    payload: &mut web::Payload,
) -> Result<HttpResponse, ServiceError> {
    let mut write = Write::of(context)?;
    write.of_blocks = true;
    let ids = block_ids(&read_text(payload, MAX_BLOCK_LIST_BYTES).await?)?;
    let content = context.service.content.clone();
    let place = write.place.clone();
    let assemble = move |connection: &rusqlite::Connection| {
        let root = place.root(connection)?;
        let node = index::find(connection, root, &place.path)?.map(|node| node.id);
        let place = BlockPlace { root, path: place.path.join("/") };
        let blocks = index::find_blocks(connection, &place, node, &ids)?;
        let spool = join(&content, &blocks).map_err(gone)?;
        Ok((ids.into_iter().zip(blocks).collect::<Vec<_>>(), spool))
    };
    let (blocks, spool) = context.service.index.read(assemble).await?;
    let length = blocks.iter().map(|(_, block)| block.length).sum();
    let node = write.commit(context, spool, length, blocks).await?;
    Ok(reply::changed(StatusCode::CREATED, &node))
}

/// Another request replaced the file or committed the blocks between the look into the index and the reading.
fn gone(error: io::Error) -> ServiceError {
    match error.kind() {
        io::ErrorKind::NotFound => ServiceError::invalid_block_list(),
        _ => error.into(),
    }
}

/// One spool out of all the blocks.
fn join(content: &Arc<Content>, blocks: &[NamedBlock]) -> io::Result<Spool> {
    let spool = Spool::new(content);
    let (joined, mut at) = (spool.open_for_writing()?, 0);
    for block in blocks {
        let (source, first) = match &block.source {
            BlockSource::Spool(name) => (Name::Spool(name.clone()), 0),
            BlockSource::File { node, first } => (Name::Node(*node), *first),
        };
        content.open_for_reading(&source)?.copy(first..first + block.length, &joined, at)?;
        at += block.length;
    }
    Ok(spool)
}

/// `<BlockList>` with an element for each block. Whatever else there is makes it another document: a list that was not understood
/// must not become a shorter file.
fn block_ids(xml: &str) -> Result<Vec<BlockId>, ServiceError> {
    let mut reader = Reader::from_str(xml);
    let mut ids = Vec::new();
    let mut open: Vec<String> = Vec::new();
    let (mut rooted, mut named) = (false, false);
    loop {
        match reader.read_event().map_err(|_| ServiceError::invalid_xml())? {
            Event::Start(element) => {
                let name = element.name().as_ref().to_owned();
                begin(&name, &open, &mut rooted)?;
                open.push(name);
                named = false;
            }
            // An empty list is one; an element without an id is none.
            Event::Empty(element) if open.is_empty() => begin(element.name().as_ref(), &open, &mut rooted)?,
            Event::End(_) => {
                if open.len() == 2 && !named {
                    return Err(ServiceError::invalid_xml());
                }
                open.pop();
            }
            Event::Text(text) if text.trim().is_empty() => {}
            Event::Text(text) if open.len() == 2 && !named => {
                let id = text.trim().to_owned();
                ids.push(match open.last().map(String::as_str) {
                    Some("Latest") => BlockId::Latest(id),
                    Some("Uncommitted") => BlockId::Uncommitted(id),
                    Some("Committed") => BlockId::Committed(id),
                    _ => return Err(ServiceError::invalid_xml()),
                });
                named = true;
                if ids.len() > MAX_BLOCKS {
                    return Err(ServiceError::block_list_too_long());
                }
            }
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
            Event::Eof if open.is_empty() && rooted => return Ok(ids),
            _ => return Err(ServiceError::invalid_xml()),
        }
    }
}

/// Whether an element of this name may begin here.
fn begin(name: &str, open: &[String], rooted: &mut bool) -> Result<(), ServiceError> {
    let expected = match open.len() {
        0 => !std::mem::replace(rooted, true) && name == "BlockList",
        1 => true,
        _ => false,
    };
    if expected { Ok(()) } else { Err(ServiceError::invalid_xml()) }
}

pub(super) async fn get_block_list(context: &Context) -> Result<HttpResponse, ServiceError> {
    let (with_committed, with_uncommitted) = match context.call.query.get("blocklisttype") {
        None | Some("committed") => (true, false),
        Some("uncommitted") => (false, true),
        Some("all") => (true, true),
        Some(_) => {
            let reason = "expected committed, uncommitted or all";
            return Err(ServiceError::invalid_query("blocklisttype", reason));
        }
    };
    let (place, lease) = (context.place()?, LeaseUse::of(&context.call)?);
    let read = move |connection: &rusqlite::Connection| {
        let root = place.root(connection)?;
        let node = index::find(connection, root, &place.path)?;
        let committed = match &node {
            Some(node) => index::committed_blocks(connection, node.id)?,
            None => Vec::new(),
        };
        let place = BlockPlace { root, path: place.path.join("/") };
        Ok((node, committed, index::uncommitted_blocks(connection, &place)?))
    };
    let (node, committed, uncommitted) = context.service.index.read(read).await?;
    let mut response = HttpResponse::Ok();
    match &node {
        Some(node) if node.kind.is_directory() => {
            return Err(ServiceError::path_conflict().about(node.kind));
        }
        Some(node) if ContentSettings::stored(&node.settings).append_blob.is_some() => {
            return Err(ServiceError::invalid_blob_type());
        }
        Some(node) => {
            lease.check_read(&node.lease, clock::now_ms())?;
            reply::stamp_node(&mut response, node);
        }
        // A blob that only has blocks so far is not there, but its blocks are.
        None if uncommitted.is_empty() => return Err(ServiceError::path_not_found()),
        None => lease.check_absent()?,
    }
    response.insert_header(("x-ms-blob-content-length", node.map_or(0, |node| node.length)));
    let mut xml = "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>".to_owned();
    let kinds = [
        ("CommittedBlocks", with_committed, committed),
        ("UncommittedBlocks", with_uncommitted, uncommitted),
    ];
    for (element, wanted, blocks) in kinds {
        if wanted {
            list(&mut xml, element, &blocks);
        }
    }
    xml.push_str("</BlockList>");
    Ok(response.content_type("application/xml").body(xml))
}

fn list(xml: &mut String, element: &str, blocks: &[ListedBlock]) {
    xml.push_str(&format!("<{element}>"));
    for ListedBlock { id, length } in blocks {
        xml.push_str(&format!("<Block><Name>{}</Name><Size>{length}</Size></Block>", escape(id.as_str())));
    }
    xml.push_str(&format!("</{element}>"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_lists() {
        let list = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<BlockList>\n  <Latest>YQ==</Latest><Uncommitted>Yg==</Uncommitted>\n<Committed>Yw==</Committed></BlockList>";
        let id = str::to_owned;
        assert_eq!(
            block_ids(list).unwrap(),
            [BlockId::Latest(id("YQ==")), BlockId::Uncommitted(id("Yg==")), BlockId::Committed(id("Yw=="))]
        );
        assert!(block_ids("<BlockList></BlockList>").unwrap().is_empty());
        assert!(block_ids("<BlockList />").unwrap().is_empty());
        for xml in
            ["<BlockList><Latest>YQ==</Latest>", "<BlockList><Other>YQ==</Other></BlockList>", "<a></b>"]
        {
            assert!(block_ids(xml).is_err(), "{xml}");
        }
    }
}
