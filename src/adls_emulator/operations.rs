//! What each call does. This file tells the calls apart; the folder has one file for each group of them.

mod access_recursive;
mod account;
mod append;
mod append_block;
mod batch;
mod blob;
mod blob_list;
mod block_list;
mod body;
mod continuation;
mod copy;
mod create;
mod delete;
mod deleted_list;
mod expiry;
mod filesystem;
mod flush;
mod lease;
mod list;
mod marked_directory;
mod policies;
mod read;
mod rename;
mod reply;
mod service_properties;
mod status;
mod undelete;
mod update;

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::{HttpResponse, web};
use futures::StreamExt as _;
use rusqlite::Connection;

use crate::account::Account;
use crate::authorization::{self, Caller};
use crate::counters::AccountCounters;
use crate::index::{self, Filesystem, Node};
use crate::request::{Api, Call};
use crate::server::Service;
use crate::service_error::ServiceError;
pub(crate) use copy::source as copy_source;
pub(crate) use rename::source as rename_source;

macro_rules! operations {
    ($($name:ident,)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Operation { $($name,)* }

        impl Operation {
            /// Of all of them.
            pub(crate) const NAMES: &[&str] = &[$(stringify!($name),)*];

            /// The name in the counters.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

operations! {
    UserDelegationKey,
    ContainerGetPolicies,
    ContainerSetPolicies,
    AccountInformation,
    ServiceProperties,
    ServiceSetProperties,
    FilesystemList,
    ContainerList,
    FilesystemCreate,
    FilesystemDelete,
    FilesystemProperties,
    FilesystemSetProperties,
    FilesystemLease,
    PathList,
    PathCreate,
    PathRename,
    PathAppend,
    PathFlush,
    PathSetProperties,
    PathSetAccessControl,
    PathSetAccessControlRecursive,
    PathStatus,
    PathRead,
    PathDelete,
    PathLease,
    PathSetExpiry,
    PathUndelete,
    BlobBatch,
    BlobList,
    BlobPut,
    BlobPutFromUrl,
    BlobCopy,
    BlobPutBlock,
    BlobPutBlockFromUrl,
    BlobPutBlockList,
    BlobGetBlockList,
    BlobAppendBlock,
    BlobAppendBlockFromUrl,
    BlobSeal,
    BlobSetMetadata,
    BlobSetHttpHeaders,
    BlobSetTier,
}

impl Operation {
    pub(crate) fn of(call: &Call) -> Result<Self, ServiceError> {
        let query = |name: &str| call.query.get(name);
        let reads = call.method == Method::GET || call.method == Method::HEAD;
        // It may be asked on every level.
        if reads && (query("restype"), query("comp")) == (Some("account"), Some("properties")) {
            return Ok(Self::AccountInformation);
        }
        match (&call.location.filesystem, call.location.path.is_empty()) {
            (None, _) => Self::of_account(call),
            (Some(_), true)
                if query("resource") == Some("filesystem") || query("restype") == Some("container") =>
            {
                Self::of_filesystem(call)
            }
            (Some(_), _) => Self::of_path(call),
        }
    }

    fn of_account(call: &Call) -> Result<Self, ServiceError> {
        let query = |name: &str| call.query.get(name);
        match (query("resource"), query("restype"), query("comp")) {
            (_, Some("service"), Some("userdelegationkey")) if call.method == Method::POST => {
                Ok(Self::UserDelegationKey)
            }
            (_, Some("service"), Some("properties")) if call.method == Method::PUT => {
                Ok(Self::ServiceSetProperties)
            }
            (_, _, Some("batch")) if call.method == Method::POST => Ok(Self::BlobBatch),
            (_, _, Some("blobs")) => Err(ServiceError::no_index_tags()),
            _ if call.method != Method::GET && call.method != Method::HEAD => {
                Err(ServiceError::unsupported_http_verb())
            }
            (Some("account"), _, _) => Ok(Self::FilesystemList),
            (_, None, Some("list")) => Ok(Self::ContainerList),
            (_, Some("service"), Some("properties")) => Ok(Self::ServiceProperties),
            _ => Err(ServiceError::not_implemented("this account operation")),
        }
    }

    fn of_filesystem(call: &Call) -> Result<Self, ServiceError> {
        match (call.method.as_str(), call.query.get("comp"), call.api) {
            ("PUT", None, _) => Ok(Self::FilesystemCreate),
            ("DELETE", None, _) => Ok(Self::FilesystemDelete),
            ("PATCH", None, Api::Dfs) | ("PUT", Some("metadata"), Api::Blob) => {
                Ok(Self::FilesystemSetProperties)
            }
            ("PUT", Some("lease"), Api::Blob) => Ok(Self::FilesystemLease),
            ("GET", None, Api::Dfs) => Ok(Self::PathList),
            ("GET", Some("list"), Api::Blob) => Ok(Self::BlobList),
            ("HEAD", None, _)
            | ("GET", None | Some("metadata"), Api::Blob)
            | ("HEAD", Some("metadata"), Api::Blob) => Ok(Self::FilesystemProperties),
            ("GET" | "HEAD", Some("acl"), Api::Blob) => Ok(Self::ContainerGetPolicies),
            ("PUT", Some("acl"), Api::Blob) => Ok(Self::ContainerSetPolicies),
            ("POST", Some("batch"), Api::Blob) => Ok(Self::BlobBatch),
            ("GET", Some("blobs"), Api::Blob) => Err(ServiceError::no_index_tags()),
            (_, None, _) => Err(ServiceError::unsupported_http_verb()),
            (_, Some(comp), _) => Err(ServiceError::not_implemented(&format!("comp={comp} of a container"))),
        }
    }

    fn of_path(call: &Call) -> Result<Self, ServiceError> {
        if call.query.get("snapshot").is_some() || call.query.get("versionid").is_some() {
            return Err(ServiceError::not_with_hierarchical_namespace());
        }
        let from_url = call.header("x-ms-copy-source").is_some();
        if let Some(comp) = call.query.get("comp") {
            return match (call.method.as_str(), comp) {
                ("PUT", "block") if from_url => Ok(Self::BlobPutBlockFromUrl),
                ("PUT", "block") => Ok(Self::BlobPutBlock),
                ("PUT", "blocklist") => Ok(Self::BlobPutBlockList),
                ("GET", "blocklist") => Ok(Self::BlobGetBlockList),
                ("PUT", "appendblock") if from_url => Ok(Self::BlobAppendBlockFromUrl),
                ("PUT", "appendblock") => Ok(Self::BlobAppendBlock),
                ("PUT", "seal") => Ok(Self::BlobSeal),
                ("PUT", "lease") => Ok(Self::PathLease),
                ("PUT", "expiry") => Ok(Self::PathSetExpiry),
                ("PUT", "undelete") => Ok(Self::PathUndelete),
                ("PUT", "tier") => Ok(Self::BlobSetTier),
                // Every copy is done when it is answered.
                ("PUT", "copy") => Err(ServiceError::no_pending_copy()),
                ("PUT", "metadata") => Ok(Self::BlobSetMetadata),
                ("PUT", "properties") => Ok(Self::BlobSetHttpHeaders),
                ("GET" | "HEAD", "metadata") => Ok(Self::PathStatus),
                (_, "tags") => Err(ServiceError::no_index_tags()),
                (_, "snapshot" | "page" | "pagelist" | "incrementalcopy") => {
                    Err(ServiceError::not_with_hierarchical_namespace())
                }
                _ => Err(ServiceError::not_implemented(&format!("{} with comp={comp}", call.method))),
            };
        }
        match (call.method.as_str(), call.query.get("action")) {
            ("PUT", _) if call.header("x-ms-rename-source").is_some() => Ok(Self::PathRename),
            ("PUT", _) if call.query.get("resource").is_some() => Ok(Self::PathCreate),
            ("PUT", None) if from_url && call.header("x-ms-blob-type").is_some() => Ok(Self::BlobPutFromUrl),
            ("PUT", None) if from_url => Ok(Self::BlobCopy),
            ("PUT", None) if call.header("x-ms-blob-type").is_some() => Ok(Self::BlobPut),
            ("PUT", _) => {
                Err(ServiceError::not_implemented("PUT of a path without resource or x-ms-rename-source"))
            }
            ("PATCH", Some("append")) => Ok(Self::PathAppend),
            ("PATCH", Some("flush")) => Ok(Self::PathFlush),
            ("PATCH", Some("setProperties")) => Ok(Self::PathSetProperties),
            ("PATCH", Some("setAccessControl")) => Ok(Self::PathSetAccessControl),
            ("PATCH", Some("setAccessControlRecursive")) => Ok(Self::PathSetAccessControlRecursive),
            ("PATCH", _) => Err(ServiceError::invalid_query("action", "no such action")),
            ("HEAD", _) => Ok(Self::PathStatus),
            ("GET", _) => Ok(Self::PathRead),
            ("DELETE", _) => Ok(Self::PathDelete),
            ("POST", None) => Ok(Self::PathLease),
            _ => Err(ServiceError::unsupported_http_verb()),
        }
    }
}

/// What an operation works with.
pub(crate) struct Context {
    pub call: Call,
    pub account: Arc<Account>,
    pub caller: Caller,
    pub service: web::Data<Service>,
    pub counters: Arc<AccountCounters>,
}

/// Where in the index a request points; moves into queries and mutations.
#[derive(Clone)]
struct Place {
    account: String,
    filesystem: String,
    path: Vec<String>,
}

impl Context {
    fn place(&self) -> Result<Place, ServiceError> {
        let location = &self.call.location;
        Ok(Place {
            account: self.account.name.clone(),
            filesystem: location.filesystem.clone().ok_or_else(ServiceError::filesystem_not_found)?,
            path: location.path.clone(),
        })
    }
}

impl Place {
    fn filesystem(&self, connection: &Connection) -> Result<Filesystem, ServiceError> {
        index::filesystem(connection, &self.account, &self.filesystem)
    }

    fn root(&self, connection: &Connection) -> Result<i64, ServiceError> {
        index::filesystem_root(connection, &self.account, &self.filesystem)
    }

    fn node(&self, connection: &Connection) -> Result<Node, ServiceError> {
        index::require(connection, self.root(connection)?, &self.path)
    }
}

/// A body that is text, such as XML.
pub(crate) async fn read_text(payload: &mut web::Payload, most_bytes: usize) -> Result<String, ServiceError> {
    String::from_utf8(read_body(payload, most_bytes).await?).map_err(|_| ServiceError::invalid_xml())
}

/// A body that is not content.
async fn read_body(payload: &mut web::Payload, most_bytes: usize) -> Result<Vec<u8>, ServiceError> {
    let mut body = Vec::new();
    while let Some(chunk) = payload.next().await {
        body.extend_from_slice(&chunk.map_err(|_| ServiceError::body_cut())?);
        if body.len() > most_bytes {
            return Err(ServiceError::request_body_too_large());
        }
    }
    Ok(body)
}

/// What a request must not be served without, as its caller would believe that it had taken effect.
fn refuse_unsupported(call: &Call) -> Result<(), ServiceError> {
    for (name, reason) in [
        ("x-ms-encryption-key", "this emulator does not encrypt what it keeps"),
        ("x-ms-encryption-scope", "this emulator does not encrypt what it keeps"),
        ("x-ms-immutability-policy-until-date", "this emulator has no immutability policies"),
        ("x-ms-legal-hold", "this emulator has no legal holds"),
    ] {
        if call.header(name).is_some() {
            return Err(ServiceError::unsupported_header(name, reason));
        }
    }
    if call.header("x-ms-tags").or(call.header("x-ms-if-tags")).is_some() {
        return Err(ServiceError::not_with_hierarchical_namespace());
    }
    Ok(())
}

pub(crate) async fn run(
    operation: Operation,
    context: Context,
    payload: &mut web::Payload,
) -> Result<HttpResponse, ServiceError> {
    let on_paths = !context.call.location.path.is_empty()
        || matches!(operation, Operation::PathList | Operation::BlobList);
    if on_paths && !context.account.hierarchical_namespace {
        return Err(ServiceError::flat_namespace());
    }
    refuse_unsupported(&context.call)?;
    authorization::authorise(&context, operation).await?;
    match operation {
        Operation::UserDelegationKey => authorization::user_delegation_key(&context, payload).await,
        Operation::ContainerGetPolicies => policies::get(&context).await,
        Operation::ContainerSetPolicies => policies::set(&context, payload).await,
        Operation::AccountInformation => Ok(account::information(&context)),
        Operation::ServiceProperties => service_properties::get(&context).await,
        Operation::ServiceSetProperties => service_properties::set(&context, payload).await,
        Operation::FilesystemList => account::list_filesystems(&context).await,
        Operation::ContainerList => account::list_containers(&context).await,
        Operation::FilesystemCreate => filesystem::create(&context).await,
        Operation::FilesystemDelete => filesystem::delete(&context).await,
        Operation::FilesystemProperties => filesystem::properties(&context).await,
        Operation::FilesystemSetProperties => filesystem::set_properties(&context).await,
        Operation::FilesystemLease => lease::lease_container(&context).await,
        Operation::PathList => list::list(&context).await,
        Operation::PathCreate => create::create(&context).await,
        Operation::PathRename => rename::rename(&context).await,
        Operation::PathAppend => append::append(&context, payload).await,
        Operation::PathFlush => flush::flush(&context).await,
        Operation::PathSetProperties => update::set_properties(&context).await,
        Operation::PathSetAccessControl => update::set_access_control(&context).await,
        Operation::PathSetAccessControlRecursive => {
            access_recursive::set_access_control_recursive(&context).await
        }
        Operation::PathStatus => status::status(&context).await,
        Operation::PathRead => read::read(&context).await,
        Operation::PathDelete => delete::delete(&context).await,
        Operation::PathLease => lease::lease_path(&context).await,
        Operation::PathSetExpiry => expiry::set_expiry(&context).await,
        Operation::PathUndelete => undelete::undelete(&context).await,
        Operation::BlobBatch => batch::submit(&context, payload).await,
        Operation::BlobList => blob_list::list_blobs(&context).await,
        Operation::BlobPut => blob::put_blob(&context, payload).await,
        Operation::BlobPutFromUrl => copy::put_blob_from_url(&context).await,
        Operation::BlobCopy => copy::copy_blob(&context).await,
        Operation::BlobPutBlock => blob::put_block(&context, payload).await,
        Operation::BlobPutBlockFromUrl => copy::put_block_from_url(&context).await,
        Operation::BlobPutBlockList => block_list::put_block_list(&context, payload).await,
        Operation::BlobGetBlockList => block_list::get_block_list(&context).await,
        Operation::BlobAppendBlock => append_block::append_block(&context, payload).await,
        Operation::BlobAppendBlockFromUrl => append_block::append_block_from_url(&context).await,
        Operation::BlobSeal => append_block::seal(&context).await,
        Operation::BlobSetMetadata => update::set_metadata(&context).await,
        Operation::BlobSetHttpHeaders => update::set_http_headers(&context).await,
        Operation::BlobSetTier => update::set_tier(&context).await,
    }
}
