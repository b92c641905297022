//! Headers that several replies share.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder};

use crate::clock;
use crate::index::{Filesystem, Node};
use crate::lease::Lease;
use crate::properties::{ContentSettings, UserProperties};
use crate::request::{Api, Call};

/// An answer without a body that carries the node's ETag and time.
pub(super) fn changed(status: StatusCode, node: &Node) -> HttpResponse {
    let mut reply = HttpResponse::build(status);
    stamp(&mut reply, &node.etag_text(), node.modified_ms);
    reply.insert_header(("x-ms-request-server-encrypted", "true"));
    reply.finish()
}

pub(super) fn filesystem(status: StatusCode, filesystem: &Filesystem) -> HttpResponseBuilder {
    let mut reply = HttpResponse::build(status);
    stamp(&mut reply, &filesystem.etag_text(), filesystem.modified_ms);
    reply
}

pub(super) fn stamp_node(reply: &mut HttpResponseBuilder, node: &Node) {
    stamp(reply, &node.etag_text(), node.modified_ms);
}

/// Leaves the header out when the text cannot be one.
pub(super) fn insert(response: &mut HttpResponse, name: &'static str, value: &str) {
    if let Ok(value) = value.parse() {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
}

fn stamp(reply: &mut HttpResponseBuilder, etag: &str, modified_ms: i64) {
    reply.insert_header(("ETag", format!("\"{etag}\"")));
    reply.insert_header(("Last-Modified", clock::http_date(modified_ms)));
}

/// What HEAD and GET tell about a path on either endpoint: the headers of both do not conflict, and in path style it is not
/// always known which endpoint the client means.
pub(super) fn describe(reply: &mut HttpResponseBuilder, node: &Node, with_user_properties: bool) {
    stamp(reply, &node.etag_text(), node.modified_ms);
    reply.insert_header(("Accept-Ranges", "bytes"));
    reply.insert_header(("x-ms-resource-type", node.kind.as_str()));
    reply.insert_header(("x-ms-creation-time", clock::http_date(node.created_ms)));
    lease(reply, &node.lease);
    reply.insert_header(("x-ms-server-encrypted", "true"));
    if let Some(expires_ms) = node.expires_ms {
        reply.insert_header(("x-ms-expiry-time", clock::http_date(expires_ms)));
    }
    if let Some(encryption_context) = &node.encryption_context {
        insert_text(reply, "x-ms-encryption-context", encryption_context);
    }
    ownership(reply, node);
    if with_user_properties {
        let properties = UserProperties::stored(&node.properties);
        user_properties(reply, &properties);
        if node.kind.is_directory() {
            reply.insert_header(("x-ms-meta-hdi_isfolder", "true"));
        }
    }
}

pub(super) fn lease(reply: &mut HttpResponseBuilder, lease: &Lease) {
    let now_ms = clock::now_ms();
    let state = lease.state(now_ms);
    reply.insert_header(("x-ms-lease-status", state.status()));
    reply.insert_header(("x-ms-lease-state", state.as_str()));
    if let Some(duration) = lease.duration_text(now_ms) {
        reply.insert_header(("x-ms-lease-duration", duration));
    }
}

pub(super) fn ownership(reply: &mut HttpResponseBuilder, node: &Node) {
    insert_text(reply, "x-ms-owner", &node.owner);
    insert_text(reply, "x-ms-group", &node.group);
    reply.insert_header(("x-ms-permissions", node.access.permissions_text()));
}

/// Get Properties and Read tell the list from a version on that the release notes of the SDKs name.
pub(super) fn access_control_list(reply: &mut HttpResponseBuilder, node: &Node, call: &Call) {
    if call.api == Api::Dfs && call.header("x-ms-version").is_some_and(|version| version >= "2024-05-04") {
        insert_text(reply, "x-ms-acl", &node.access.acl_text());
    }
}

pub(super) fn user_properties(reply: &mut HttpResponseBuilder, properties: &UserProperties) {
    insert_text(reply, "x-ms-properties", &properties.to_text());
    for (name, value) in properties.pairs() {
        let name = HeaderName::from_bytes(format!("x-ms-meta-{name}").to_lowercase().as_bytes());
        // Values that no header can carry are readable through x-ms-properties only.
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            reply.insert_header((name, value));
        }
    }
}

pub(super) fn content_settings(reply: &mut HttpResponseBuilder, node: &Node, whole_file: bool) {
    let settings = ContentSettings::stored(&node.settings);
    let mut put = |name: &str, value: Option<&String>| {
        if let Some(value) = value {
            insert_text(reply, name, value);
        }
    };
    put("Content-Encoding", settings.content_encoding.as_ref());
    put("Content-Language", settings.content_language.as_ref());
    put("Content-Disposition", settings.content_disposition.as_ref());
    put("Cache-Control", settings.cache_control.as_ref());
    let md5 = settings.content_md5.as_ref();
    if whole_file {
        put("Content-MD5", md5);
    } else {
        // Content-MD5 of a partial reply would be that of the part.
        put("x-ms-content-md5", md5);
        put("x-ms-blob-content-md5", md5);
    }
    blob_type(reply, &settings);
    if let Some(copied) = &settings.copy {
        insert_text(reply, "x-ms-copy-id", &copied.id);
        insert_text(reply, "x-ms-copy-source", &copied.source);
        reply.insert_header(("x-ms-copy-status", "success"));
        reply.insert_header(("x-ms-copy-progress", format!("{0}/{0}", copied.bytes)));
        reply.insert_header(("x-ms-copy-completion-time", clock::http_date(copied.completed_ms)));
    }
    let content_type = settings.content_type.as_deref().unwrap_or("application/octet-stream");
    insert_text(reply, "Content-Type", content_type);
}

fn blob_type(reply: &mut HttpResponseBuilder, settings: &ContentSettings) {
    reply.insert_header(("x-ms-blob-type", settings.blob_type()));
    if let Some(blob) = settings.append_blob {
        reply.insert_header(("x-ms-blob-committed-block-count", blob.blocks));
        if blob.sealed {
            reply.insert_header(("x-ms-blob-sealed", "true"));
        }
        // Only block blobs have a tier.
        return;
    }
    insert_text(reply, "x-ms-access-tier", settings.access_tier.as_deref().unwrap_or("Hot"));
    if settings.access_tier.is_none() {
        reply.insert_header(("x-ms-access-tier-inferred", "true"));
    }
}

/// A shared access signature may name the headers that a read is answered with; they are signed with the rest of it.
pub(super) fn settings_of_signature(reply: &mut HttpResponseBuilder, call: &Call) {
    for (parameter, header) in [
        ("rscc", "Cache-Control"),
        ("rscd", "Content-Disposition"),
        ("rsce", "Content-Encoding"),
        ("rscl", "Content-Language"),
        ("rsct", "Content-Type"),
    ] {
        if let Some(value) = call.query.get(parameter) {
            insert_text(reply, header, value);
        }
    }
}

/// Leaves the header out when the stored text cannot be one.
pub(super) fn insert_text(reply: &mut HttpResponseBuilder, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
        reply.insert_header((name, value));
    }
}
