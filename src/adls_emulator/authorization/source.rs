//! The other path that a rename or a copy names: it has to be allowed as well, by a signature of its own or as the request is.

use super::needs::Access;
use crate::operations::{Context, Operation, copy_source, rename_source};
use crate::request::Query;
use crate::service_error::ServiceError;

pub(super) struct Source {
    pub account: String,
    pub filesystem: String,
    pub path: Vec<String>,
    /// Its own query, with a signature.
    pub signed: Option<Query>,
    /// Letters of a signature: one of these has to be there.
    pub letters: &'static [&'static str],
    pub access: Access,
}

impl Source {
    pub(super) fn of(context: &Context, operation: Operation) -> Result<Option<Self>, ServiceError> {
        let (header, (account, filesystem, path), letters, access): (_, _, &[&str], _) = match operation {
            Operation::PathRename => {
                let (filesystem, path) = rename_source(&context.call)?;
                let named = (context.account.name.clone(), filesystem, path);
                ("x-ms-rename-source", named, &["m", "d"], Access::Delete { recursive: false })
            }
            operation if copies(operation) => {
                ("x-ms-copy-source", copy_source(context)?, &["r"], Access::READ)
            }
            _ => return Ok(None),
        };
        let query =
            context.call.header(header).and_then(|source| source.split_once('?')).map(|(_, query)| query);
        let query = Query::parse(query.unwrap_or(""))?;
        let signed = query.get("sig").is_some().then_some(query);
        Ok(Some(Self { account, filesystem, path, signed, letters, access }))
    }
}

fn copies(operation: Operation) -> bool {
    use Operation as O;
    matches!(operation, O::BlobCopy | O::BlobPutFromUrl | O::BlobPutBlockFromUrl | O::BlobAppendBlockFromUrl)
}

/// The source of a copy from another account. What the caller may do in this one says nothing about it, the account's key
/// neither: it takes a signature of its own.
pub(super) fn of_another_account(
    context: &Context,
    operation: Operation,
) -> Result<Option<Source>, ServiceError> {
    let source = if copies(operation) { Source::of(context, operation)? } else { None };
    match source.filter(|source| source.account != context.account.name) {
        Some(source) if source.signed.is_none() => Err(ServiceError::cannot_verify_copy_source()),
        source => Ok(source),
    }
}
