//! List Blobs: every path below a prefix, or with the delimiter `/` only the next level of them.
//!
//! As on an account with a hierarchical namespace: directories are listed too, as blobs in a flat listing (marked in their
//! metadata) and as prefixes in one with a delimiter.

use actix_web::HttpResponse;
use quick_xml::escape::escape;

use super::Context;
use super::account::{decode_token, encode_token, page_size};
use crate::clock;
use crate::index::{self, Node, Page};
use crate::properties::{ContentSettings, FOLDER_MARK, UserProperties};
use crate::service_error::ServiceError;

pub(super) async fn list_blobs(context: &Context) -> Result<HttpResponse, ServiceError> {
    let query = &context.call.query;
    let flat = match query.get("delimiter") {
        None => true,
        Some("/") => false,
        Some(_) => return Err(ServiceError::invalid_query("delimiter", "only / divides paths here")),
    };
    let limit = page_size(query.number("maxresults")?, "maxresults")?;
    let after = decode_token(query.get("marker"), "marker")?;
    let prefix = query.get("prefix").unwrap_or("").to_owned();
    let (directory, name) = prefix.rsplit_once('/').unwrap_or(("", &prefix));
    let (directory, name) = (directory.to_owned(), name.to_owned());
    let place = context.place()?;
    let read = move |connection: &_| {
        let root = place.root(connection)?;
        let path: Vec<String> =
            directory.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let Some(node) = index::find(connection, root, &path)?.filter(|node| node.kind.is_directory()) else {
            return Ok(Page { entries: Vec::new(), next: None });
        };
        let mut page = index::list_paths(connection, node.id, &name, flat, after.as_deref(), limit)?;
        if !directory.is_empty() {
            for (name, _) in &mut page.entries {
                *name = format!("{directory}/{name}");
            }
        }
        Ok(page)
    };
    let page = context.service.index.read(read).await?;
    let with_metadata =
        query.get("include").is_some_and(|include| include.split(',').any(|part| part == "metadata"));
    let container = context.call.location.filesystem.as_deref().unwrap_or("");
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"{}/\" ContainerName=\"{}\">",
        escape(&context.call.base_url),
        escape(container)
    );
    let echoed = [
        ("prefix", "Prefix"),
        ("marker", "Marker"),
        ("maxresults", "MaxResults"),
        ("delimiter", "Delimiter"),
    ];
    for (name, element) in echoed {
        if let Some(value) = query.get(name) {
            xml.push_str(&format!("<{element}>{}</{element}>", escape(value)));
        }
    }
    xml.push_str("<Blobs>");
    for (name, node) in &page.entries {
        if node.kind.is_directory() && !flat {
            xml.push_str(&format!("<BlobPrefix><Name>{}/</Name></BlobPrefix>", escape(name.as_str())));
        } else {
            blob(&mut xml, name, node, with_metadata);
        }
    }
    let next = page.next.as_deref().map(encode_token).unwrap_or_default();
    xml.push_str(&format!("</Blobs><NextMarker>{next}</NextMarker></EnumerationResults>"));
    Ok(HttpResponse::Ok().content_type("application/xml").body(xml))
}

fn blob(xml: &mut String, name: &str, node: &Node, with_metadata: bool) {
    let settings = ContentSettings::stored(&node.settings);
    xml.push_str(&format!(
        "<Blob><Name>{}</Name><Properties><Creation-Time>{}</Creation-Time><Last-Modified>{}</Last-Modified>\
         <Etag>{}</Etag><ResourceType>{}</ResourceType><Content-Length>{}</Content-Length>",
        escape(name),
        clock::http_date(node.created_ms),
        clock::http_date(node.modified_ms),
        node.etag_text(),
        node.kind.as_str(),
        node.length,
    ));
    let content_type = settings.content_type.as_deref().unwrap_or("application/octet-stream");
    for (element, value) in [
        ("Content-Type", Some(content_type)),
        ("Content-Encoding", settings.content_encoding.as_deref()),
        ("Content-Language", settings.content_language.as_deref()),
        ("Content-MD5", settings.content_md5.as_deref()),
        ("Cache-Control", settings.cache_control.as_deref()),
        ("Content-Disposition", settings.content_disposition.as_deref()),
    ] {
        xml.push_str(&format!("<{element}>{}</{element}>", escape(value.unwrap_or(""))));
    }
    xml.push_str(
        "<BlobType>BlockBlob</BlobType><AccessTier>Hot</AccessTier><AccessTierInferred>true</AccessTierInferred>\
         <LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState><ServerEncrypted>true</ServerEncrypted>\
         </Properties>",
    );
    if with_metadata {
        xml.push_str("<Metadata>");
        for (name, value) in UserProperties::stored(&node.properties).pairs() {
            let value = String::from_utf8_lossy(value);
            xml.push_str(&format!("<{name}>{}</{name}>", escape(value.as_ref())));
        }
        if node.kind.is_directory() {
            xml.push_str(&format!("<{FOLDER_MARK}>true</{FOLDER_MARK}>"));
        }
        xml.push_str("</Metadata>");
    }
    xml.push_str("</Blob>");
}
