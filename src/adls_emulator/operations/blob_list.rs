//! List Blobs: every path below a prefix, or with the delimiter `/` only the next level of them.
//!
//! As on an account with a hierarchical namespace: directories are listed too, as blobs in a flat listing (marked in their
//! metadata) and as prefixes in one with a delimiter.

use actix_web::HttpResponse;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use quick_xml::escape::escape;

use super::account::{decode_token, encode_token, page_size};
use super::{Context, deleted_list};
use crate::clock;
use crate::index::{self, Node, Page};
use crate::lease::Lease;
use crate::properties::{ContentSettings, FOLDER_MARK, UserProperties};
use crate::service_error::ServiceError;

pub(super) async fn list_blobs(context: &Context) -> Result<HttpResponse, ServiceError> {
    let query = &context.call.query;
    match query.get("showonly") {
        None => {}
        Some("deleted") => return deleted_list::list_deleted(context).await,
        Some(_) => return Err(ServiceError::invalid_query("showonly", "expected deleted")),
    }
    let flat = match query.get("delimiter") {
        None => true,
        Some("/") => false,
        Some(_) => return Err(ServiceError::invalid_query("delimiter", "only / divides paths here")),
    };
    let limit = page_size(query.number("maxresults")?)?;
    let marker = decode_token(query.get("marker"), "marker")?;
    let prefix = query.get("prefix").unwrap_or("").to_owned();
    let (directory, name) = prefix.rsplit_once('/').unwrap_or(("", &prefix));
    let from = match marker {
        Some(marker) => FirstName::Below(marker),
        None => from_below(query.get("startFrom"), directory),
    };
    if query.get("endBefore").is_some() {
        return Err(ServiceError::not_implemented("endBefore in List Blobs"));
    }
    let (directory, name) = (directory.to_owned(), name.to_owned());
    let place = context.place()?;
    let read = move |connection: &_| {
        let root = place.root(connection)?;
        let path: Vec<String> =
            directory.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let Some(node) = index::find(connection, root, &path)?.filter(|node| node.kind.is_directory()) else {
            return Ok(Page { entries: Vec::new(), next: None });
        };
        let from = match &from {
            FirstName::Below(from) => from,
            FirstName::Beginning => "",
            FirstName::Behind => return Ok(Page { entries: Vec::new(), next: None }),
        };
        let mut page = index::list_paths(connection, node.id, &name, flat, from, limit)?;
        if !directory.is_empty() {
            for (name, _) in &mut page.entries {
                *name = format!("{directory}/{name}");
            }
        }
        Ok(page)
    };
    let include = Include::of(context)?;
    let page = context.service.index.read(read).await?;
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
            xml.push_str(&format!("<BlobPrefix>{}</BlobPrefix>", name_element(&format!("{name}/"))));
        } else {
            blob(&mut xml, name, node, include);
        }
    }
    let next = page.next.as_deref().map(encode_token).unwrap_or_default();
    xml.push_str(&format!("</Blobs><NextMarker>{next}</NextMarker></EnumerationResults>"));
    Ok(HttpResponse::Ok().content_type("application/xml").body(xml))
}

/// Where `startFrom` lies, as seen from the directory that is listed.
enum FirstName {
    Beginning,
    Below(String),
    Behind,
}

fn from_below(start: Option<&str>, directory: &str) -> FirstName {
    let names = |path: &str| -> Vec<String> {
        path.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect()
    };
    let (start, directory) = (names(start.unwrap_or("")), names(directory));
    match start.strip_prefix(directory.as_slice()) {
        Some([]) => FirstName::Beginning,
        Some(below) => FirstName::Below(below.join("/")),
        None if start < directory => FirstName::Beginning,
        None => FirstName::Behind,
    }
}

/// What else is asked for with each blob.
#[derive(Debug, Clone, Copy, Default)]
struct Include {
    metadata: bool,
    permissions: bool,
}

impl Include {
    fn of(context: &Context) -> Result<Self, ServiceError> {
        let mut include = Self::default();
        let asked = context.call.query.get("include").unwrap_or("");
        for part in asked.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match part {
                "metadata" => include.metadata = true,
                "permissions" => include.permissions = true,
                // There are never any of these, so a listing with them is the same as one without.
                "snapshots"
                | "versions"
                | "tags"
                | "copy"
                | "deleted"
                | "deletedwithversions"
                | "immutabilitypolicy"
                | "legalhold" => {}
                "uncommittedblobs" => {
                    return Err(ServiceError::not_implemented("include=uncommittedblobs in List Blobs"));
                }
                _ => return Err(ServiceError::invalid_query("include", "one of its parts is not known")),
            }
        }
        Ok(include)
    }
}

/// Names that XML cannot hold are percent-encoded, and said to be, as List Blobs does from version 2021-02-12 on.
pub(super) fn name_element(name: &str) -> String {
    let fits = |letter: char| match letter {
        '\t' | '\n' | '\r' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        letter => letter >= ' ',
    };
    match name.chars().all(fits) {
        true => format!("<Name>{}</Name>", escape(name)),
        false => format!("<Name Encoded=\"true\">{}</Name>", utf8_percent_encode(name, NON_ALPHANUMERIC)),
    }
}

fn blob(xml: &mut String, name: &str, node: &Node, include: Include) {
    let settings = ContentSettings::stored(&node.settings);
    xml.push_str(&format!(
        "<Blob>{}<Properties><Creation-Time>{}</Creation-Time><Last-Modified>{}</Last-Modified>\
         <Etag>{}</Etag><ResourceType>{}</ResourceType><Content-Length>{}</Content-Length>",
        name_element(name),
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
    xml.push_str(&format!("<BlobType>{}</BlobType>", settings.blob_type()));
    match (settings.append_blob, settings.access_tier.as_deref()) {
        (Some(append), _) => xml.push_str(&format!("<Sealed>{}</Sealed>", append.sealed)),
        (None, Some(tier)) => xml.push_str(&format!("<AccessTier>{tier}</AccessTier>")),
        (None, None) => {
            xml.push_str("<AccessTier>Hot</AccessTier><AccessTierInferred>true</AccessTierInferred>")
        }
    }
    lease(xml, &node.lease);
    if let Some(expires_ms) = node.expires_ms {
        xml.push_str(&format!("<Expiry-Time>{}</Expiry-Time>", clock::http_date(expires_ms)));
    }
    if let Some(encryption_context) = &node.encryption_context {
        xml.push_str(&format!(
            "<EncryptionContext>{}</EncryptionContext>",
            escape(encryption_context.as_str())
        ));
    }
    if include.permissions {
        for (element, value) in [
            ("Owner", node.owner.as_str()),
            ("Group", &node.group),
            ("Permissions", &node.access.permissions_text()),
            ("Acl", &node.access.acl_text()),
        ] {
            xml.push_str(&format!("<{element}>{}</{element}>", escape(value)));
        }
    }
    xml.push_str("<ServerEncrypted>true</ServerEncrypted></Properties>");
    if include.metadata {
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

/// The elements that tell of a lease, in lists of blobs and of containers.
pub(super) fn lease(xml: &mut String, lease: &Lease) {
    let now_ms = clock::now_ms();
    let state = lease.state(now_ms);
    xml.push_str(&format!(
        "<LeaseStatus>{}</LeaseStatus><LeaseState>{}</LeaseState>",
        state.status(),
        state.as_str()
    ));
    if let Some(duration) = lease.duration_text(now_ms) {
        xml.push_str(&format!("<LeaseDuration>{duration}</LeaseDuration>"));
    }
}
