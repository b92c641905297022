//! Path - Delete. A directory of any size is detached at once; the sweeper cleans up behind it, also when the account keeps
//! deleted paths for some days first.

use actix_web::HttpResponse;

use super::Context;
use crate::index::{self, BlockPlace, Writing};
use crate::request::{Api, Call, Conditions, LeaseUse};
use crate::service_error::ServiceError;

const FIRST_PAGINATED_VERSION: &str = "2023-08-03";

pub(super) async fn delete(context: &Context) -> Result<HttpResponse, ServiceError> {
    let recursive = context.call.query.flag("recursive")?;
    check_pages(&context.call)?;
    let (place, conditions) = (context.place()?, Conditions::of(&context.call)?);
    let lease = LeaseUse::of(&context.call)?;
    if place.path.is_empty() {
        return Err(ServiceError::root_operation());
    }
    let only_snapshots = match context.call.header("x-ms-delete-snapshots") {
        None | Some("include") => false,
        // There are none, and the file itself is to stay.
        Some("only") => true,
        Some(_) => {
            return Err(ServiceError::invalid_header("x-ms-delete-snapshots", "expected include or only"));
        }
    };
    let delete = move |writing: &mut Writing<'_>| {
        let node = place.node(writing.connection)?;
        conditions.check(&node)?;
        lease.check_write(&node.lease, writing.now_ms)?;
        if only_snapshots {
            return Ok(None);
        }
        if node.kind.is_directory() && !recursive && index::has_children(writing.connection, node.id)? {
            return Err(ServiceError::directory_not_empty());
        }
        let blocks = BlockPlace { root: place.root(writing.connection)?, path: place.path.join("/") };
        index::discard_blocks(writing, &blocks)?;
        match index::delete_retention_days(writing.connection, &place.account)? {
            0 => index::remove(writing, node.id).map(|()| None),
            days => index::soft_delete(writing, blocks.root, &blocks.path, node.id, days).map(Some),
        }
    };
    let deletion = context.service.index.write(delete).await?;
    context.service.garbage.notify_one();
    let mut response = match context.call.api {
        Api::Dfs => HttpResponse::Ok(),
        Api::Blob => HttpResponse::Accepted(),
    };
    if let Some(id) = deletion {
        response.insert_header(("x-ms-deletion-id", id.to_string()));
    }
    Ok(response.finish())
}

/// A delete is done at once whatever its size, so there is no second page; a continuation that comes nevertheless is ignored.
fn check_pages(call: &Call) -> Result<(), ServiceError> {
    let version = call.header("x-ms-version").unwrap_or("");
    if call.query.flag("paginated")? && version < FIRST_PAGINATED_VERSION {
        return Err(ServiceError::unsupported_query(
            "paginated",
            "it needs x-ms-version 2023-08-03 or later",
        ));
    }
    Ok(())
}
