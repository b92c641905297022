//! GET of one resource.

use livedata_arm::ResourceId;

use super::{envelope, existing};
use crate::core::Core;
use crate::errors::Outcome;
use crate::kind::ResourceKind;
use crate::request::Response;

pub async fn get<K: ResourceKind>(core: &Core, id: &ResourceId) -> Outcome<Response> {
    let found = existing::<K>(core, id).await?;
    let etag = found.document.etag();
    Ok(Response::json(200, envelope::<K>(core, &found.document).await?).with("etag", etag))
}
