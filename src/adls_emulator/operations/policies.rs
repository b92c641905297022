//! Get and Set Container ACL: the access policies that signatures may name. Public access does not exist here.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};

use super::{Context, read_text, reply};
use crate::authorization::Policies;
use crate::index::{self, Writing};
use crate::request::Conditions;
use crate::service_error::ServiceError;

const MAX_BODY_BYTES: usize = 64 * 1024;

pub(super) async fn get(context: &Context) -> Result<HttpResponse, ServiceError> {
    let place = context.place()?;
    let read = move |connection: &_| {
        let filesystem = place.filesystem(connection)?;
        let policies = index::policies(connection, filesystem.root)?;
        Ok((filesystem, policies))
    };
    let (filesystem, policies) = context.service.index.read(read).await?;
    let mut reply = reply::filesystem(StatusCode::OK, &filesystem);
    Ok(reply.content_type("application/xml").body(Policies::stored(&policies).to_xml()))
}

pub(super) async fn set(context: &Context, payload: &mut web::Payload) -> Result<HttpResponse, ServiceError> {
    if context.call.header("x-ms-blob-public-access").is_some() {
        return Err(ServiceError::public_access_not_permitted());
    }
    let policies = Policies::parse(&read_text(payload, MAX_BODY_BYTES).await?)?.to_text();
    let (place, conditions) = (context.place()?, Conditions::of(&context.call)?);
    let set = move |writing: &mut Writing<'_>| {
        let mut filesystem = place.filesystem(writing.connection)?;
        conditions.check_filesystem(&filesystem)?;
        index::save_policies(writing, filesystem.root, &policies)?;
        index::update_filesystem(writing, &place.account, &mut filesystem)?;
        Ok(filesystem)
    };
    let filesystem = context.service.index.write(set).await?;
    Ok(reply::filesystem(StatusCode::OK, &filesystem).finish())
}
