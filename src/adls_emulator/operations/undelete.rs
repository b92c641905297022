//! Undelete Blob (`comp=undelete`): brings back what was deleted while the account keeps deleted paths.

use actix_web::HttpResponse;

use super::Context;
use crate::index::{self, Writing};
use crate::request::{Location, decode_path};
use crate::service_error::ServiceError;

const SOURCE: &str = "x-ms-undelete-source";

pub(super) async fn undelete(context: &Context) -> Result<HttpResponse, ServiceError> {
    let place = context.place()?;
    if place.path.is_empty() {
        return Err(ServiceError::root_operation());
    }
    Location::check_new_path(&place.path)?;
    let (source, id) = match context.call.header(SOURCE) {
        Some(text) => source(text)?,
        None => (place.path.join("/"), None),
    };
    let undelete = move |writing: &mut Writing<'_>| {
        let root = place.root(writing.connection)?;
        match index::undelete(writing, root, &source, id, &place.path)? {
            Some(node) => Ok(node),
            // Without a source it also stands for "is it there": what was not deleted needs no way back.
            None if id.is_none() => place.node(writing.connection),
            None => Err(ServiceError::path_not_found()),
        }
    };
    let node = context.service.index.write(undelete).await?;
    Ok(HttpResponse::Ok().insert_header(("x-ms-resource-type", node.kind.as_str())).finish())
}

/// `path?deletionid=number`, the path percent-encoded and below the filesystem.
fn source(text: &str) -> Result<(String, Option<i64>), ServiceError> {
    let invalid = || ServiceError::invalid_header(SOURCE, "expected path?deletionid=number, percent-encoded");
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let path = decode_path(path).map_err(|_| invalid())?.join("/");
    let id = query.split('&').find_map(|part| part.strip_prefix("deletionid="));
    let id = id.and_then(|id| id.parse().ok()).ok_or_else(invalid)?;
    Ok((path, Some(id)))
}
