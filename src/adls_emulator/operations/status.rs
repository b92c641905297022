//! HEAD of a path: Path - Get Properties with its actions, and Blob - Get Properties.

use actix_web::HttpResponse;
use actix_web::body::SizedStream;
use bytes::Bytes;

use super::{Context, reply};
use crate::request::Conditions;
use crate::service_error::ServiceError;

pub(super) async fn status(context: &Context) -> Result<HttpResponse, ServiceError> {
    let action = context.call.query.get("action").unwrap_or("");
    // The Hadoop driver asks this of the root and reads a 400 as "flat namespace".
    if !context.account.hierarchical_namespace && action == "getAccessControl" {
        return Err(ServiceError::flat_namespace());
    }
    let (place, conditions) = (context.place()?, Conditions::of(&context.call)?);
    let node = context.service.index.read(move |connection| place.node(connection)).await?;
    conditions.check_for_read(&node)?;
    let mut response = HttpResponse::Ok();
    match action {
        "" | "getStatus" => {
            reply::describe(&mut response, &node, action.is_empty());
            reply::content_settings(&mut response, &node, true);
        }
        "getAccessControl" => {
            reply::describe(&mut response, &node, false);
            reply::insert_text(&mut response, "x-ms-acl", &node.access.acl_text());
            return Ok(response.finish());
        }
        // Callers with an account key may do everything.
        "checkAccess" => return Ok(response.finish()),
        _ => return Err(ServiceError::invalid_query("action", "no such action")),
    }
    let nothing = futures::stream::empty::<Result<Bytes, std::io::Error>>();
    Ok(response.body(SizedStream::new(node.length, nothing)))
}
