//! What is known about one path, and its user properties.

use std::collections::BTreeMap;
use std::time::SystemTime;

use azure_core::http::Method;
use azure_core::http::headers::Headers;
use livedata_filesystem::{Condition, ErrorKind, Etag, Result, TargetPath};

use super::required_etag;
use crate::connection::header;
use crate::{Filesystem, encoding};

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PathProperties {
    pub is_directory: bool,
    /// Flushed length; 0 for directories.
    pub length_bytes: u64,
    pub etag: Etag,
    pub last_modified: Option<SystemTime>,
    pub owner: Option<String>,
    pub group: Option<String>,
    /// In the form `rwxr-x---`.
    pub permissions: Option<String>,
    /// User properties.
    pub properties: BTreeMap<String, String>,
}

impl PathProperties {
    pub(super) fn from_headers(headers: &Headers, operation: &'static str, subject: &str) -> Result<Self> {
        let text = |name| header(headers, name).map(str::to_owned);
        Ok(Self {
            is_directory: header(headers, "x-ms-resource-type") == Some("directory"),
            length_bytes: header(headers, "content-length")
                .and_then(|length| length.parse().ok())
                .unwrap_or(0),
            etag: required_etag(headers, operation, subject)?,
            last_modified: header(headers, "last-modified")
                .and_then(|date| httpdate::parse_http_date(date).ok()),
            owner: text("x-ms-owner"),
            group: text("x-ms-group"),
            permissions: text("x-ms-permissions"),
            properties: header(headers, "x-ms-properties")
                .map(encoding::parse_properties)
                .unwrap_or_default(),
        })
    }
}

impl Filesystem {
    /// `None` if there is nothing at the path.
    pub async fn properties(&self, path: &TargetPath) -> Result<Option<PathProperties>> {
        // Of the root the service tells nothing but its access control, which has all that it needs: there are no user
        // properties, and it is known to be a directory.
        let query: &[(&str, &str)] = if path.is_root() { &[("action", "getAccessControl")] } else { &[] };
        let call = self.call("look at", Method::Head, path, query)?;
        let (operation, subject) = (call.operation, call.subject.clone());
        match self.send(call).await {
            Ok(response) => {
                let mut found = PathProperties::from_headers(response.headers(), operation, &subject)?;
                found.is_directory |= path.is_root();
                Ok(Some(found))
            }
            Err(failure) if failure.error.kind() == ErrorKind::Gone => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Replaces all user properties; at least one must be given, since the service takes an empty list for none.
    ///
    /// Sending the same again is harmless, but changes the etag: when an answer was lost and the condition then fails, a look
    /// decides, and a path that has just these properties has them from here.
    pub async fn set_properties(
        &self,
        path: &TargetPath,
        properties: &BTreeMap<String, String>,
        condition: &Condition,
    ) -> Result<Etag> {
        let mut call = self.call("set properties", Method::Patch, path, &[("action", "setProperties")])?;
        call.header("x-ms-properties", encoding::properties(properties));
        call.condition(condition);
        let (operation, subject) = (call.operation, call.subject.clone());
        match self.send(call).await {
            Ok(response) => required_etag(response.headers(), operation, &subject),
            Err(failure) if failure.may_be_our_own(condition) => match self.properties(path).await {
                Ok(Some(found)) if found.properties == *properties => Ok(found.etag),
                Ok(_) => Err(failure.into()),
                Err(look) => Err(failure.unresolved(operation, subject, look)),
            },
            Err(failure) => Err(failure.into()),
        }
    }
}
