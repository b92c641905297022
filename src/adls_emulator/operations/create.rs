//! Path - Create, for files and directories.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use super::{Context, reply};
use crate::index::{self, Create, NodeKind};
use crate::permissions::{self, AccessControl, Acl, NewAccess};
use crate::properties::{ContentSettings, UserProperties};
use crate::request::{Conditions, Location};
use crate::service_error::ServiceError;

pub(super) async fn create(context: &Context) -> Result<HttpResponse, ServiceError> {
    let place = context.place()?;
    if place.path.is_empty() {
        return Err(ServiceError::root_operation());
    }
    let kind = match context.call.query.get("resource") {
        Some("file") => NodeKind::File,
        Some("directory") => NodeKind::Directory,
        _ => return Err(ServiceError::invalid_query("resource", "expected file or directory")),
    };
    Location::check_new_path(&place.path)?;
    let conditions = Conditions::of(&context.call)?;
    let new = description(context, kind)?;
    let create = move |writing: &mut index::Writing<'_>| {
        let root = place.root(writing.connection)?;
        let existing = index::find(writing.connection, root, &place.path)?;
        conditions.check_for_write(existing.as_ref())?;
        match existing {
            Some(node) if node.kind != kind => Err(ServiceError::path_conflict().about(node.kind)),
            // Making a directory that is there changes nothing.
            Some(node) if node.kind.is_directory() => Ok((node, false)),
            Some(node) => {
                index::remove(writing, node.id)?;
                Ok((index::create(writing, root, &place.path, &new)?, true))
            }
            None => Ok((index::create(writing, root, &place.path, &new)?, false)),
        }
    };
    let (node, replaced) = context.service.index.write(create).await?;
    if replaced {
        context.service.garbage.notify_one();
    }
    Ok(reply::changed(StatusCode::CREATED, &node))
}

fn description(context: &Context, kind: NodeKind) -> Result<Create, ServiceError> {
    let call = &context.call;
    let umask = call.header("x-ms-umask").map(permissions::parse_umask).transpose()?;
    let umask = umask.unwrap_or(permissions::DEFAULT_UMASK);
    let default_mode = match kind {
        NodeKind::File => permissions::DEFAULT_FILE_MODE,
        NodeKind::Directory => permissions::DEFAULT_DIRECTORY_MODE,
    };
    let mode = call.header("x-ms-permissions").map(permissions::parse_permissions).transpose()?;
    let access = match call.header("x-ms-acl") {
        Some(_) if mode.is_some() => {
            return Err(ServiceError::invalid_header("x-ms-acl", "it excludes x-ms-permissions"));
        }
        Some(acl) => {
            let mut access = AccessControl::from_mode(0);
            access.set_acl(Acl::parse(acl, kind.is_directory())?);
            NewAccess::Exactly(access)
        }
        None => NewAccess::Bits { asked: mode, otherwise: default_mode, umask },
    };
    let mut settings = ContentSettings::default();
    settings.update_from(&call.headers, "x-ms-");
    Ok(Create {
        kind,
        owner: call.header("x-ms-owner").or(context.caller.owner()).map(str::to_owned),
        group: call.header("x-ms-group").map(str::to_owned),
        access,
        parent_umask: umask,
        properties: UserProperties::parse(call.header("x-ms-properties").unwrap_or(""))?.to_text(),
        settings: settings.to_text(),
    })
}
