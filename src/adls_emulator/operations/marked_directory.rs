//! Put Blob of an empty blob with the mark of a directory (`hdi_isfolder`), by which tools that know blobs only make one:
//! rclone, AzCopy.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use super::{Context, create, reply};
use crate::index::{self, NodeKind};
use crate::properties::{FOLDER_MARK, UserProperties};
use crate::request::{Call, Conditions, Location};
use crate::service_error::ServiceError;

pub(super) fn is_asked_for(call: &Call) -> bool {
    let mark = call.header(&format!("x-ms-meta-{FOLDER_MARK}"));
    mark.is_some_and(|mark| mark.eq_ignore_ascii_case("true")) && call.header("content-length") == Some("0")
}

/// Makes it, or gives the metadata to the one that is there.
pub(super) async fn put(context: &Context) -> Result<HttpResponse, ServiceError> {
    let place = context.place()?;
    if place.path.is_empty() {
        return Err(ServiceError::root_operation());
    }
    Location::check_new_path(&place.path)?;
    let conditions = Conditions::of(&context.call)?;
    let mut new = create::description(context, NodeKind::Directory)?;
    new.properties = UserProperties::from_metadata_headers(&context.call.headers)?.to_text();
    let put = move |writing: &mut index::Writing<'_>| {
        let root = place.root(writing.connection)?;
        let existing = index::find(writing.connection, root, &place.path)?;
        conditions.check_for_write(existing.as_ref())?;
        match existing {
            Some(mut node) if node.kind.is_directory() => {
                node.properties = new.properties;
                index::update_node(writing, &mut node, true)?;
                Ok(node)
            }
            Some(node) => Err(ServiceError::path_conflict().about(node.kind)),
            None => index::create(writing, root, &place.path, &new),
        }
    };
    let node = context.service.index.write(put).await?;
    Ok(reply::changed(StatusCode::CREATED, &node))
}
