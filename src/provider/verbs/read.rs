//! GET of one resource, and the outcome of an action on it.

use livedata_arm::ResourceId;

use super::{envelope, existing};
use crate::core::Core;
use crate::document;
use crate::errors::Outcome;
use crate::kind::ResourceKind;
use crate::request::{Request, Response};

pub async fn get<K: ResourceKind>(core: &Core, request: &Request, id: &ResourceId) -> Outcome<Response> {
    let found = existing::<K>(core, id).await?;
    let etag = found.document.etag();
    Ok(Response::json(200, envelope::<K>(core, &request.view, &found.document).await?).with("etag", etag))
}

pub async fn acted<K: ResourceKind>(core: &Core, request: &Request, id: &ResourceId) -> Outcome<Response> {
    let found = document::load::<K::Spec>(core.store.as_ref(), K::DESCRIPTION.collection, &id.key()).await?;
    let Some(found) = found else { return Ok(Response::empty(204)) };
    let answer = K::acted(core, &request.view, &found.document).await?;
    Ok(answer.map_or_else(|| Response::empty(204), |answer| Response::json(200, answer)))
}
