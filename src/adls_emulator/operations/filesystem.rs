//! Filesystems (DFS) and containers (Blob): the same thing under two names.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use super::{Context, Place, reply};
use crate::clock;
use crate::index;
use crate::properties::UserProperties;
use crate::request::{Api, Conditions, LeaseUse, Location};
use crate::service_error::ServiceError;

fn properties_of(context: &Context) -> Result<String, ServiceError> {
    let call = &context.call;
    let properties = match call.api {
        Api::Dfs => UserProperties::parse(call.header("x-ms-properties").unwrap_or(""))?,
        Api::Blob => UserProperties::from_metadata_headers(&call.headers)?,
    };
    Ok(properties.to_text())
}

pub(super) async fn create(context: &Context) -> Result<HttpResponse, ServiceError> {
    let place = context.place()?;
    Location::check_new_filesystem(&place.filesystem)?;
    let properties = properties_of(context)?;
    let owner = context.caller.owner().map(str::to_owned);
    let service = context.service.clone();
    let create = move |writing: &mut index::Writing<'_>| {
        let Place { account, filesystem, .. } = &place;
        if service.deletions.is_being_deleted(account, filesystem, writing.now_ms) {
            return Err(ServiceError::filesystem_being_deleted());
        }
        index::create_filesystem(writing, account, filesystem, owner.as_deref(), &properties)
    };
    let filesystem = context.service.index.write(create).await?;
    let mut reply = reply::filesystem(StatusCode::CREATED, &filesystem);
    Ok(reply.insert_header(namespace_header(context)).finish())
}

fn namespace_header(context: &Context) -> (&'static str, String) {
    ("x-ms-namespace-enabled", context.account.hierarchical_namespace.to_string())
}

pub(super) async fn delete(context: &Context) -> Result<HttpResponse, ServiceError> {
    let (place, conditions) = (context.place()?, Conditions::of(&context.call)?);
    let lease = LeaseUse::of(&context.call)?;
    let service = context.service.clone();
    let delete = move |writing: &mut index::Writing<'_>| {
        let filesystem = place.filesystem(writing.connection)?;
        conditions.check_filesystem(&filesystem)?;
        let leased = lease.check_write(&filesystem.lease, writing.now_ms);
        leased.map_err(ServiceError::on_container)?;
        index::delete_filesystem(writing, &place.account, &filesystem)?;
        service.deletions.note(&place.account, &place.filesystem, writing.now_ms);
        Ok(())
    };
    context.service.index.write(delete).await?;
    context.service.garbage.notify_one();
    Ok(HttpResponse::Accepted().finish())
}

pub(super) async fn properties(context: &Context) -> Result<HttpResponse, ServiceError> {
    let (place, lease) = (context.place()?, LeaseUse::of(&context.call)?);
    let filesystem = context.service.index.read(move |connection| place.filesystem(connection)).await?;
    let leased = lease.check_read(&filesystem.lease, clock::now_ms());
    leased.map_err(ServiceError::on_container)?;
    let mut reply = reply::filesystem(StatusCode::OK, &filesystem);
    reply.insert_header(namespace_header(context));
    reply::lease(&mut reply, &filesystem.lease);
    reply.insert_header(("x-ms-has-immutability-policy", "false"));
    reply.insert_header(("x-ms-has-legal-hold", "false"));
    reply::user_properties(&mut reply, &UserProperties::stored(&filesystem.properties));
    Ok(reply.finish())
}

pub(super) async fn set_properties(context: &Context) -> Result<HttpResponse, ServiceError> {
    let (place, conditions) = (context.place()?, Conditions::of(&context.call)?);
    let (properties, lease) = (properties_of(context)?, LeaseUse::of(&context.call)?);
    let update = move |writing: &mut index::Writing<'_>| {
        let mut filesystem = place.filesystem(writing.connection)?;
        conditions.check_filesystem(&filesystem)?;
        let leased = lease.check_read(&filesystem.lease, writing.now_ms);
        leased.map_err(ServiceError::on_container)?;
        filesystem.properties = properties;
        index::update_filesystem(writing, &place.account, &mut filesystem)?;
        Ok(filesystem)
    };
    let filesystem = context.service.index.write(update).await?;
    Ok(reply::filesystem(StatusCode::OK, &filesystem).finish())
}
