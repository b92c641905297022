//! Path - Create with `x-ms-rename-source`.
//!
//! What a directory at the destination means is said by `mode`. The reference names the modes and does not explain them; what
//! the service does shows in what its clients expect of it. In `legacy`, which all SDKs ask for, the source takes the
//! destination's place (an empty directory that was there is gone afterwards). In `posix`, the default and what the Hadoop
//! driver gets, it moves into that directory, as `mv` does.
//!
//! Length and depth are those of the destination itself. What lies below a directory may get longer and deeper than a new path
//! could be: to look at all of it would make the cost of a rename that of its size, and everything stays reachable.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use rusqlite::Connection;

use super::create::{TRANSACTION, check_no_body};
use super::{Context, reply};
use crate::index::{self, RenameRequest};
use crate::properties::{ContentSettings, UserProperties};
use crate::request::{Call, Conditions, LeaseUse, Location, decode_path};
use crate::service_error::ServiceError;

pub(super) async fn rename(context: &Context) -> Result<HttpResponse, ServiceError> {
    let call = &context.call;
    check_no_body(call)?;
    let into_directories = match call.query.get("mode") {
        None | Some("posix") => true,
        Some("legacy") => false,
        Some(_) => return Err(ServiceError::invalid_query("mode", "expected legacy or posix")),
    };
    let place = context.place()?;
    Location::check_new_path(&place.path)?;
    let (source_filesystem, source) = source(call)?;
    let conditions = Conditions::of(call)?;
    let source_conditions = Conditions::of_rename_source(call)?;
    let (lease, source_lease) = (LeaseUse::of(call)?, LeaseUse::of_rename_source(call)?);
    let transaction = call.header(TRANSACTION).map(str::to_owned);
    // They replace those of the source, which otherwise stay.
    let properties = call.header("x-ms-properties").map(UserProperties::parse).transpose()?;
    let rename = move |writing: &mut index::Writing<'_>| {
        let connection = writing.connection;
        let root = place.root(connection)?;
        let source_root = match index::filesystem_root(connection, &place.account, &source_filesystem) {
            Ok(root) => root,
            Err(error) if error.code == ServiceError::filesystem_not_found().code => {
                return Err(ServiceError::source_path_not_found());
            }
            Err(error) => return Err(error),
        };
        let mut destination = place.path;
        if into_directories
            && holds_another_directory(connection, (source_root, &source), (root, &destination))?
        {
            destination.extend(source.last().cloned());
            Location::check_new_path(&destination)?;
        }
        let request = RenameRequest {
            source_root,
            source,
            source_conditions,
            source_lease,
            root,
            destination,
            conditions,
            lease,
        };
        let node = index::rename(writing, &request)?;
        if let Some(properties) = properties {
            index::save_properties(writing, node.id, &properties.to_text())?;
        }
        if transaction.is_some() {
            let settings = ContentSettings { transaction, ..ContentSettings::stored(&node.settings) };
            index::save_settings(writing, node.id, &settings.to_text())?;
        }
        Ok(node)
    };
    let node = context.service.index.write(rename).await?;
    context.counters.add_rename(node.kind);
    context.service.garbage.notify_one();
    Ok(reply::changed(StatusCode::CREATED, &node))
}

/// Whether at the destination there is a directory that is not the source itself.
fn holds_another_directory(
    connection: &Connection,
    (source_root, source): (i64, &[String]),
    (root, destination): (i64, &[String]),
) -> Result<bool, ServiceError> {
    let Some(found) = index::find(connection, root, destination)? else { return Ok(false) };
    let source = index::find(connection, source_root, source)?;
    Ok(found.kind.is_directory() && source.is_none_or(|source| source.id != found.id))
}

/// `/{filesystem}/{path}`, percent-encoded, with the source's own query after a `?`. The account is not part of it, in path
/// style neither.
pub(crate) fn source(call: &Call) -> Result<(String, Vec<String>), ServiceError> {
    let header = call.header("x-ms-rename-source").unwrap_or("");
    let path = header.split('?').next().unwrap_or(header);
    let mut segments = decode_path(path).map_err(|_| ServiceError::invalid_source_uri())?.into_iter();
    let filesystem = segments.next().ok_or_else(ServiceError::invalid_source_uri)?;
    Ok((filesystem, segments.collect()))
}
