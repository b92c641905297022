//! Making files and directories, with everything that can be said about them in the one request.

use std::collections::BTreeMap;

use azure_core::http::Method;
use livedata_filesystem::{Condition, ErrorKind, Etag, Result, TargetPath};

use super::{Access, required_etag};
use crate::retry::Failure;
use crate::{Filesystem, encoding};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ResourceKind {
    File,
    Directory,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CreateOptions {
    /// Taken exactly: the umask is 0. `None`: the service's default (its umask of 0027, or the parent's default list).
    pub access: Option<Access>,
    pub owner: Option<String>,
    pub group: Option<String>,
    /// User properties; names `[A-Za-z0-9_]+`.
    pub properties: BTreeMap<String, String>,
}

impl Filesystem {
    /// Makes a directory or an empty file, and its missing parents. `Conflict` if the condition does not hold or a
    /// resource of the other kind is there.
    ///
    /// When an answer was lost and the condition then fails, a look decides: an empty resource of this kind with these
    /// properties is taken for our own.
    pub async fn create(
        &self,
        path: &TargetPath,
        kind: ResourceKind,
        options: &CreateOptions,
        condition: &Condition,
    ) -> Result<Etag> {
        let (operation, resource) = match kind {
            ResourceKind::File => ("create file", "file"),
            ResourceKind::Directory => ("create directory", "directory"),
        };
        let mut call = self.call(operation, Method::Put, path, &[("resource", resource)])?;
        if let Some(access) = &options.access {
            access.set_on(&mut call);
            if matches!(access, Access::Permissions(_)) {
                call.header("x-ms-umask", "0000");
            }
        }
        if let Some(owner) = &options.owner {
            call.header("x-ms-owner", owner.clone());
        }
        if let Some(group) = &options.group {
            call.header("x-ms-group", group.clone());
        }
        if !options.properties.is_empty() {
            call.header("x-ms-properties", encoding::properties(&options.properties));
        }
        call.condition(condition);
        let subject = call.subject.clone();
        match self.send(call).await {
            Ok(response) => required_etag(response.headers(), operation, &subject),
            Err(failure) if failure.outcome_unknown && failure.error.kind() == ErrorKind::Conflict => {
                self.find_created(path, kind, options, condition, failure).await
            }
            Err(failure) => Err(failure.into()),
        }
    }

    async fn find_created(
        &self,
        path: &TargetPath,
        kind: ResourceKind,
        options: &CreateOptions,
        condition: &Condition,
        failure: Failure,
    ) -> Result<Etag> {
        match self.properties(path).await {
            Ok(Some(found))
                if found.is_directory == (kind == ResourceKind::Directory)
                    && found.length_bytes == 0
                    && found.properties == options.properties
                    && *condition != Condition::Unchanged(found.etag.clone()) =>
            {
                Ok(found.etag)
            }
            Ok(_) => Err(failure.into()),
            Err(look) => Err(failure.unresolved("create", self.subject(path), look)),
        }
    }
}
