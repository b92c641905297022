//! Path - Delete. A directory of any size is detached at once; the sweeper cleans up behind it.

use actix_web::HttpResponse;

use super::Context;
use crate::index::{self, BlockPlace, Writing};
use crate::request::{Api, Conditions};
use crate::service_error::ServiceError;

pub(super) async fn delete(context: &Context) -> Result<HttpResponse, ServiceError> {
    let recursive = context.call.query.flag("recursive")?;
    let (place, conditions) = (context.place()?, Conditions::of(&context.call)?);
    if place.path.is_empty() {
        return Err(ServiceError::root_operation());
    }
    let content = context.service.content.clone();
    let delete = move |writing: &mut Writing<'_>| {
        let node = place.node(writing.connection)?;
        conditions.check(&node)?;
        if node.kind.is_directory() && !recursive && index::has_children(writing.connection, node.id)? {
            return Err(ServiceError::directory_not_empty());
        }
        let path = place.path.join("/");
        let blocks = BlockPlace { root: place.root(writing.connection)?, path };
        index::discard_blocks(writing, &content, &blocks)?;
        index::remove(writing, node.id)
    };
    context.service.index.write(delete).await?;
    context.service.garbage.notify_one();
    Ok(match context.call.api {
        Api::Dfs => HttpResponse::Ok(),
        Api::Blob => HttpResponse::Accepted(),
    }
    .finish())
}
