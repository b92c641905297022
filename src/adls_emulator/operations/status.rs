//! HEAD of a path: Path - Get Properties with its actions, and Blob - Get Properties.

use actix_web::HttpResponse;
use actix_web::body::SizedStream;
use bytes::Bytes;

use super::create::TRANSACTION;
use super::{Context, reply};
use crate::authorization::{Caller, Role, allowed_bits};
use crate::clock;
use crate::index::{self, Node};
use crate::permissions::parse_triple;
use crate::properties::ContentSettings;
use crate::request::{Conditions, LeaseUse};
use crate::service_error::ServiceError;

pub(super) async fn status(context: &Context) -> Result<HttpResponse, ServiceError> {
    let action = context.call.query.get("action").unwrap_or("");
    // The Hadoop driver asks this of the root and reads a 400 as "flat namespace".
    if !context.account.hierarchical_namespace && action == "getAccessControl" {
        return Err(ServiceError::flat_namespace());
    }
    let (place, conditions) = (context.place()?, Conditions::of(&context.call)?);
    // The root has a status and access control, and no properties of its own: those are the filesystem's.
    if place.path.is_empty() && action.is_empty() {
        return Err(ServiceError::root_operation());
    }
    let lease = LeaseUse::of(&context.call)?;
    // Names are the same for people and for programs here: there is no directory of users to ask.
    context.call.query.flag("upn")?;
    let node = context.service.index.read(move |connection| place.node(connection)).await?;
    conditions.check_for_read(&node)?;
    lease.check_read(&node.lease, clock::now_ms())?;
    let mut response = HttpResponse::Ok();
    match action {
        "" | "getStatus" => {
            reply::describe(&mut response, &node, action.is_empty());
            if action.is_empty() {
                reply::access_control_list(&mut response, &node, &context.call);
            }
            reply::content_settings(&mut response, &node, true);
            if let Some(transaction) = ContentSettings::stored(&node.settings).transaction {
                reply::insert_text(&mut response, TRANSACTION, &transaction);
            }
        }
        "getAccessControl" => {
            reply::describe(&mut response, &node, false);
            reply::insert_text(&mut response, "x-ms-acl", &node.access.acl_text());
            return Ok(response.finish());
        }
        "checkAccess" => {
            check_access(context, node).await?;
            return Ok(response.finish());
        }
        _ => return Err(ServiceError::invalid_query("action", "no such action")),
    }
    let nothing = futures::stream::empty::<Result<Bytes, std::io::Error>>();
    Ok(response.body(SizedStream::new(node.length, nothing)))
}

/// Whether the caller may do `fsAction` at the path. Who is no identity has no lists to pass.
async fn check_access(context: &Context, node: Node) -> Result<(), ServiceError> {
    let invalid = || ServiceError::invalid_query("fsAction", "expected rwx with - for what is not asked");
    let asked = context.call.query.get("fsAction").ok_or_else(|| ServiceError::missing_query("fsAction"))?;
    let wanted = parse_triple(asked).ok_or_else(invalid)?;
    let Caller::Identity(identity) = context.caller.clone() else { return Ok(()) };
    let account = context.account.name.clone();
    let look = move |connection: &_| {
        let by_role = match index::role_of(connection, &account, &identity)? {
            None | Some(Role::Delegator) => 0,
            Some(Role::Reader) => parse_triple("r-x").unwrap_or(0),
            Some(Role::Contributor | Role::Owner) => parse_triple("rwx").unwrap_or(0),
        };
        Ok((by_role | allowed_bits(&node, &identity)) & wanted == wanted)
    };
    let allowed = context.service.index.read(look).await?;
    if allowed { Ok(()) } else { Err(ServiceError::permission_mismatch()) }
}
