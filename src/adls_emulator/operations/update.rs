//! Changes that touch no content: user properties, access control, and their Blob forms.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use super::blob::access_tier;
use super::{Context, reply};
use crate::index::{self, Node, Writing};
use crate::permissions;
use crate::properties::{ContentSettings, UserProperties};
use crate::request::{Conditions, LeaseUse};
use crate::service_error::ServiceError;

/// `touch_modified`: access control changes the ETag but not the time of the last modification.
async fn change(
    context: &Context,
    touch_modified: bool,
    apply: impl FnOnce(&mut Node) -> Result<(), ServiceError> + Send + 'static,
) -> Result<HttpResponse, ServiceError> {
    let (place, conditions) = (context.place()?, Conditions::of(&context.call)?);
    let lease = LeaseUse::of(&context.call)?;
    let update = move |writing: &mut Writing<'_>| {
        let mut node = place.node(writing.connection)?;
        conditions.check(&node)?;
        lease.begin(&mut node.lease, writing.now_ms)?;
        apply(&mut node)?;
        index::update_node(writing, &mut node, touch_modified)?;
        Ok(node)
    };
    let node = context.service.index.write(update).await?;
    Ok(reply::changed(StatusCode::OK, &node))
}

/// Replaces all user properties and the MD5: what is not given is removed. The other content settings stay then.
pub(super) async fn set_properties(context: &Context) -> Result<HttpResponse, ServiceError> {
    if context.call.location.path.is_empty() {
        return Err(ServiceError::root_operation());
    }
    let headers = context.call.headers.clone();
    let properties = UserProperties::parse(context.call.header("x-ms-properties").unwrap_or(""))?;
    let apply = move |node: &mut Node| {
        node.properties = properties.to_text();
        let mut settings = ContentSettings { content_md5: None, ..ContentSettings::stored(&node.settings) };
        settings.update_from(&headers, "x-ms-");
        node.settings = settings.to_text();
        Ok(())
    };
    change(context, true, apply).await
}

pub(super) async fn set_access_control(context: &Context) -> Result<HttpResponse, ServiceError> {
    let header = |name: &str| context.call.header(name).map(str::to_owned);
    let (owner, group, acl) = (header("x-ms-owner"), header("x-ms-group"), header("x-ms-acl"));
    let mode = context.call.header("x-ms-permissions").map(permissions::parse_permissions).transpose()?;
    if mode.is_some() && acl.is_some() {
        return Err(ServiceError::invalid_header("x-ms-acl", "it excludes x-ms-permissions"));
    }
    if mode.is_none() && acl.is_none() && owner.is_none() && group.is_none() {
        let message = "one of x-ms-acl, x-ms-permissions, x-ms-owner and x-ms-group is required";
        return Err(ServiceError::invalid_header("x-ms-acl", message));
    }
    let apply = move |node: &mut Node| {
        if let Some(acl) = acl {
            node.access.set_acl_text(&acl, node.kind.is_directory())?;
        }
        if let Some(mode) = mode {
            node.access.set_mode(mode);
        }
        if let Some(owner) = owner {
            node.owner = owner;
        }
        if let Some(group) = group {
            node.group = group;
        }
        Ok(())
    };
    change(context, false, apply).await
}

/// Blob: replaces all metadata.
pub(super) async fn set_metadata(context: &Context) -> Result<HttpResponse, ServiceError> {
    let properties = UserProperties::from_metadata_headers(&context.call.headers)?.to_text();
    let apply = move |node: &mut Node| {
        node.properties = properties;
        Ok(())
    };
    change(context, true, apply).await
}

/// Blob: replaces all content settings; those not given are cleared.
pub(super) async fn set_http_headers(context: &Context) -> Result<HttpResponse, ServiceError> {
    // The same request resizes a page blob, and no blob here is one.
    for name in ["x-ms-blob-content-length", "x-ms-sequence-number-action", "x-ms-blob-sequence-number"] {
        if context.call.header(name).is_some() {
            return Err(ServiceError::invalid_blob_type());
        }
    }
    let mut settings = ContentSettings::default();
    settings.update_from(&context.call.headers, "x-ms-blob-");
    let apply = move |node: &mut Node| {
        let stored = ContentSettings::stored(&node.settings);
        let given = std::mem::take(&mut settings);
        settings = ContentSettings {
            access_tier: stored.access_tier,
            copy: stored.copy,
            transaction: stored.transaction,
            of_path_create: stored.of_path_create,
            append_blob: stored.append_blob,
            ..given
        };
        node.settings = settings.to_text();
        Ok(())
    };
    change(context, true, apply).await
}

/// Blob: only remembers the tier, which is no change of the file: ETag and times stay.
pub(super) async fn set_tier(context: &Context) -> Result<HttpResponse, ServiceError> {
    let name = "x-ms-access-tier";
    let tier = access_tier(&context.call)?.ok_or_else(|| ServiceError::missing_header(name))?;
    let (place, lease) = (context.place()?, LeaseUse::of(&context.call)?);
    let set = move |writing: &mut Writing<'_>| {
        let node = place.node(writing.connection)?;
        if node.kind.is_directory() {
            return Err(ServiceError::path_conflict().about(node.kind));
        }
        lease.check_read(&node.lease, writing.now_ms)?;
        let mut settings = ContentSettings::stored(&node.settings);
        if settings.append_blob.is_some() {
            return Err(ServiceError::invalid_blob_type());
        }
        settings.access_tier = Some(tier);
        index::save_settings(writing, node.id, &settings.to_text())
    };
    context.service.index.write(set).await?;
    Ok(HttpResponse::Ok().finish())
}
