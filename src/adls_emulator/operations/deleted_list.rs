//! List Blobs with `showonly=deleted`: the paths that can be brought back, as the DataLake SDKs list them.

use actix_web::HttpResponse;
use quick_xml::escape::escape;

use super::Context;
use super::account::{decode_token, encode_token, page_size};
use super::blob_list::name_element;
use crate::clock;
use crate::index::{self, Deleted, Node};
use crate::service_error::ServiceError;

pub(super) async fn list_deleted(context: &Context) -> Result<HttpResponse, ServiceError> {
    let query = &context.call.query;
    let limit = page_size(query.number("maxresults")?)?;
    let (after_path, after_id) = position(decode_token(query.get("marker"), "marker")?)?;
    let prefix = query.get("prefix").unwrap_or("").to_owned();
    let place = context.place()?;
    let read = move |connection: &_| {
        let root = place.root(connection)?;
        let after = (after_path.as_str(), after_id);
        index::deleted_paths(connection, root, &prefix, after, limit + 1, clock::now_ms())
    };
    let mut paths = context.service.index.read(read).await?;
    let more = paths.len() > limit;
    paths.truncate(limit);
    let container = context.call.location.filesystem.as_deref().unwrap_or("");
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"{}/\" ContainerName=\"{}\"><Blobs>",
        escape(&context.call.base_url),
        escape(container)
    );
    for (deleted, node) in &paths {
        blob(&mut xml, deleted, node);
    }
    let last = paths.last().filter(|_| more);
    let next = last.map(|(last, _)| encode_token(&format!("{}/{}", last.id, last.path))).unwrap_or_default();
    xml.push_str(&format!("</Blobs><NextMarker>{next}</NextMarker></EnumerationResults>"));
    Ok(HttpResponse::Ok().content_type("application/xml").body(xml))
}

/// The last path and deletion of the page before.
fn position(token: Option<String>) -> Result<(String, i64), ServiceError> {
    let Some(token) = token else {
        return Ok((String::new(), 0));
    };
    let parsed = token.split_once('/').and_then(|(id, path)| Some((path.to_owned(), id.parse().ok()?)));
    parsed.ok_or_else(|| ServiceError::invalid_query("marker", "it is not a continuation of this listing"))
}

fn blob(xml: &mut String, deleted: &Deleted, node: &Node) {
    xml.push_str(&format!(
        "<Blob>{}<Deleted>true</Deleted><DeletionId>{}</DeletionId><Properties>\
         <Creation-Time>{}</Creation-Time><Last-Modified>{}</Last-Modified><Etag>{}</Etag>\
         <ResourceType>{}</ResourceType><Content-Length>{}</Content-Length><BlobType>BlockBlob</BlobType>\
         <DeletedTime>{}</DeletedTime><RemainingRetentionDays>{}</RemainingRetentionDays></Properties></Blob>",
        name_element(&deleted.path),
        deleted.id,
        clock::http_date(node.created_ms),
        clock::http_date(node.modified_ms),
        node.etag_text(),
        node.kind.as_str(),
        node.length,
        clock::http_date(deleted.deleted_ms),
        deleted.days_left(clock::now_ms()),
    ));
}
