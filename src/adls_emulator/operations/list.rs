//! Path - List.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;

use super::account::page_size;
use super::{Context, continuation, reply};
use crate::clock;
use crate::index::{self, Node, Page};
use crate::request::split_path;
use crate::service_error::ServiceError;

/// Numbers and flags are strings on the wire; `isDirectory` is left out for files.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_directory: Option<&'static str>,
    content_length: String,
    last_modified: String,
    etag: String,
    owner: String,
    group: String,
    permissions: String,
    creation_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiry_time: Option<String>,
    #[serde(rename = "EncryptionContext", skip_serializing_if = "Option::is_none")]
    encryption_context: Option<String>,
}

impl Entry {
    fn new(name: String, node: Node) -> Self {
        Self {
            name,
            is_directory: node.kind.is_directory().then_some("true"),
            content_length: node.length.to_string(),
            last_modified: clock::http_date(node.modified_ms),
            etag: node.etag_text(),
            permissions: node.access.permissions_text(),
            creation_time: clock::file_time(node.created_ms).to_string(),
            expiry_time: node.expires_ms.map(|at| clock::file_time(at).to_string()),
            encryption_context: node.encryption_context,
            owner: node.owner,
            group: node.group,
        }
    }
}

#[derive(Serialize)]
struct Listing {
    paths: Vec<Entry>,
}

pub(super) async fn list(context: &Context) -> Result<HttpResponse, ServiceError> {
    let query = &context.call.query;
    let recursive = match query.get("recursive") {
        Some(_) => query.flag("recursive")?,
        None => return Err(ServiceError::missing_query("recursive")),
    };
    let limit = page_size(query.number("maxResults")?)?;
    // Names are the same for people and for programs here: there is no directory of users to ask.
    query.flag("upn")?;
    let (parameter, from) = match query.get("continuation") {
        Some(token) => ("continuation", continuation::parse(token)?),
        None => {
            let from = query.get("beginFrom").map(split_path).transpose()?.unwrap_or_default();
            ("beginFrom", from.join("/"))
        }
    };
    if from.contains('/') && !recursive {
        let reason = "without recursive=true it is one name";
        return Err(ServiceError::invalid_query(parameter, reason));
    }
    let directory = query.get("directory").map(split_path).transpose()?.unwrap_or_default();
    let place = context.place()?;
    let read = move |connection: &_| {
        let filesystem = place.filesystem(connection)?;
        let node = index::require(connection, filesystem.root, &directory)?;
        let mut path = directory.join("/");
        if !node.kind.is_directory() {
            return Ok((filesystem, Page { entries: vec![(path, node)], next: None }));
        }
        let mut page = index::list_paths(connection, node.id, "", recursive, &from, limit)?;
        if !path.is_empty() {
            path.push('/');
            for (name, _) in &mut page.entries {
                name.insert_str(0, &path);
            }
        }
        Ok((filesystem, page))
    };
    let (filesystem, page) = context.service.index.read(read).await?;
    let mut response = reply::filesystem(StatusCode::OK, &filesystem);
    if let Some(next) = page.next {
        response.insert_header(("x-ms-continuation", continuation::token(&next)));
    }
    let paths: Vec<Entry> = page.entries.into_iter().map(|(name, node)| Entry::new(name, node)).collect();
    let body = serde_json::to_vec(&Listing { paths });
    let body = body.map_err(|error| ServiceError::internal(&error))?;
    Ok(response.content_type("application/json;charset=utf-8").body(body))
}
