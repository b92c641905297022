//! Path - Delete. A directory of any size is detached at once; the sweeper cleans up behind it, also when the account keeps
//! deleted paths for some days first.

use std::num::NonZeroUsize;

use actix_web::HttpResponse;

use super::Context;
use super::account::encode_token;
use crate::index::{self, BlockPlace, Writing};
use crate::request::{Api, Conditions, LeaseUse};
use crate::service_error::ServiceError;

const FIRST_PAGINATED_VERSION: &str = "2023-08-03";

pub(super) async fn delete(context: &Context) -> Result<HttpResponse, ServiceError> {
    let recursive = context.call.query.flag("recursive")?;
    let page = page(context)?;
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
            return Ok(Outcome::Done(None));
        }
        if node.kind.is_directory() && !recursive && index::has_children(writing.connection, node.id)? {
            return Err(ServiceError::directory_not_empty());
        }
        let days = index::delete_retention_days(writing.connection, &place.account)?;
        if let Some(paths) = page.filter(|_| recursive && days == 0)
            && index::remove_below(writing, node.id, paths)?
        {
            return Ok(Outcome::More);
        }
        let blocks = BlockPlace { root: place.root(writing.connection)?, path: place.path.join("/") };
        index::discard_blocks(writing, &blocks)?;
        match days {
            0 => index::remove(writing, node.id).map(|()| Outcome::Done(None)),
            days => {
                let deletion = index::soft_delete(writing, blocks.root, &blocks.path, node.id, days)?;
                Ok(Outcome::Done(Some(deletion)))
            }
        }
    };
    let outcome = context.service.index.write(delete).await?;
    context.service.garbage.notify_one();
    let mut response = match context.call.api {
        Api::Dfs => HttpResponse::Ok(),
        Api::Blob => HttpResponse::Accepted(),
    };
    match outcome {
        Outcome::Done(None) => {}
        Outcome::Done(Some(id)) => {
            response.insert_header(("x-ms-deletion-id", id.to_string()));
        }
        Outcome::More => {
            response.insert_header(("x-ms-continuation", encode_token("delete")));
        }
    }
    Ok(response.finish())
}

enum Outcome {
    /// With the number of the deletion, where deleted paths are kept.
    Done(Option<i64>),
    More,
}

/// How many paths a request removes at most. By itself a delete is done at once whatever its size, so there is no second page.
/// What is left is what is there: a continuation tells nothing more, and is ignored.
fn page(context: &Context) -> Result<Option<usize>, ServiceError> {
    let call = &context.call;
    let paginated = call.query.flag("paginated")?;
    let version = call.header("x-ms-version").unwrap_or("");
    if paginated && version < FIRST_PAGINATED_VERSION {
        return Err(ServiceError::unsupported_query(
            "paginated",
            "it needs x-ms-version 2023-08-03 or later",
        ));
    }
    let knobs = context.service.deletions.knobs(&context.account.name);
    Ok(knobs.paths_per_request.filter(|_| paginated).map(NonZeroUsize::get))
}
