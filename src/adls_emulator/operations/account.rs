//! Calls on the account itself, on either endpoint.

use actix_web::HttpResponse;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL;
use quick_xml::escape::escape;

use super::Context;
use super::blob_list::lease;
use crate::clock;
use crate::index::{self, Filesystem};
use crate::properties::UserProperties;
use crate::service_error::ServiceError;

const MAX_PAGE: u64 = 5000;

struct FilesystemPage {
    filesystems: Vec<Filesystem>,
    next: Option<String>,
}

async fn page(context: &Context, token: &str, size: &str) -> Result<FilesystemPage, ServiceError> {
    let query = &context.call.query;
    let limit = page_size(query.number(size)?)?;
    let prefix = query.get("prefix").unwrap_or("").to_owned();
    let after = decode_token(query.get(token), token)?.unwrap_or_default();
    let account = context.account.name.clone();
    let read =
        move |connection: &_| index::filesystems_after(connection, &account, &prefix, &after, limit + 1);
    let mut filesystems = context.service.index.read(read).await?;
    let more = filesystems.len() > limit;
    filesystems.truncate(limit);
    let next = filesystems.last().filter(|_| more).map(|last| encode_token(&last.name));
    Ok(FilesystemPage { filesystems, next })
}

pub(super) fn page_size(asked: Option<u64>) -> Result<usize, ServiceError> {
    match asked {
        Some(0) => Err(ServiceError::query_out_of_range()),
        asked => Ok(usize::try_from(asked.unwrap_or(MAX_PAGE).min(MAX_PAGE)).unwrap_or(usize::MAX)),
    }
}

/// Continuations are opaque to clients.
pub(super) fn encode_token(name: &str) -> String {
    BASE64_URL.encode(name)
}

pub(super) fn decode_token(token: Option<&str>, name: &str) -> Result<Option<String>, ServiceError> {
    let decode = |token: &str| {
        let bytes = BASE64_URL.decode(token).ok();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        text.ok_or_else(|| ServiceError::invalid_query(name, "it is not a continuation of this emulator"))
    };
    token.map(decode).transpose()
}

pub(super) async fn list_filesystems(context: &Context) -> Result<HttpResponse, ServiceError> {
    let page = page(context, "continuation", "maxresults").await?;
    let entry = |filesystem: &Filesystem| {
        serde_json::json!({
            "name": filesystem.name,
            "lastModified": clock::http_date(filesystem.modified_ms),
            "eTag": filesystem.etag_text(),
        })
    };
    let filesystems: Vec<_> = page.filesystems.iter().map(entry).collect();
    let mut reply = HttpResponse::Ok();
    if let Some(next) = page.next {
        reply.insert_header(("x-ms-continuation", next));
    }
    Ok(reply.json(serde_json::json!({ "filesystems": filesystems })))
}

pub(super) async fn list_containers(context: &Context) -> Result<HttpResponse, ServiceError> {
    let page = page(context, "marker", "maxresults").await?;
    let query = &context.call.query;
    let with_metadata =
        query.get("include").is_some_and(|include| include.split(',').any(|part| part == "metadata"));
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"{}/\">",
        escape(&context.call.base_url)
    );
    for (name, element) in [("prefix", "Prefix"), ("marker", "Marker"), ("maxresults", "MaxResults")] {
        if let Some(value) = query.get(name) {
            xml.push_str(&format!("<{element}>{}</{element}>", escape(value)));
        }
    }
    xml.push_str("<Containers>");
    for filesystem in &page.filesystems {
        xml.push_str(&format!(
            "<Container><Name>{}</Name><Properties><Last-Modified>{}</Last-Modified><Etag>\"{}\"</Etag>",
            escape(&filesystem.name),
            clock::http_date(filesystem.modified_ms),
            filesystem.etag_text(),
        ));
        lease(&mut xml, &filesystem.lease);
        xml.push_str(
            "<HasImmutabilityPolicy>false</HasImmutabilityPolicy><HasLegalHold>false</HasLegalHold></Properties>",
        );
        if with_metadata {
            xml.push_str("<Metadata>");
            for (name, value) in UserProperties::stored(&filesystem.properties).pairs() {
                let value = String::from_utf8_lossy(value);
                xml.push_str(&format!("<{name}>{}</{name}>", escape(value.as_ref())));
            }
            xml.push_str("</Metadata>");
        }
        xml.push_str("</Container>");
    }
    let next = page.next.unwrap_or_default();
    xml.push_str(&format!("</Containers><NextMarker>{next}</NextMarker></EnumerationResults>"));
    Ok(HttpResponse::Ok().content_type("application/xml").body(xml))
}

pub(super) fn information(context: &Context) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(("x-ms-sku-name", "Standard_LRS"))
        .insert_header(("x-ms-account-kind", context.account.kind.clone()))
        .insert_header(("x-ms-is-hns-enabled", context.account.hierarchical_namespace.to_string()))
        .finish()
}
