//! Owner, group, permissions and access control lists.

use azure_core::http::Method;
use livedata_filesystem::{Condition, Etag, Result, TargetPath};

use super::required_etag;
use crate::Filesystem;
use crate::connection::{Call, etag, header};

/// The service takes permission bits or a whole list, not both.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Access {
    /// POSIX permission bits with sticky bit.
    Permissions(u16),
    /// `user::rwx,group::r-x,other::---,user:<object id>:rw-`, also with `default:` entries.
    List(String),
}

impl Access {
    pub(super) fn set_on(&self, call: &mut Call) {
        match self {
            Self::Permissions(bits) => call.header("x-ms-permissions", format!("{bits:04o}")),
            Self::List(entries) => call.header("x-ms-acl", entries.clone()),
        }
    }
}

/// What the service says about a path's access control.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AccessControl {
    pub owner: Option<String>,
    pub group: Option<String>,
    /// In the form `rwxr-x---`, with `t` for the sticky bit and `+` behind it when the list has more entries.
    pub permissions: Option<String>,
    pub list: Option<String>,
    pub etag: Option<Etag>,
}

/// A change: what is `None` stays as it is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AccessControlChange {
    pub owner: Option<String>,
    pub group: Option<String>,
    pub access: Option<Access>,
}

impl Filesystem {
    /// `Gone` if there is nothing.
    pub async fn access_control(&self, path: &TargetPath) -> Result<AccessControl> {
        let query = [("action", "getAccessControl"), ("upn", "false")];
        let call = self.call("read access control", Method::Head, path, &query)?;
        let response = self.send(call).await?;
        let text = |name| header(response.headers(), name).map(str::to_owned);
        Ok(AccessControl {
            owner: text("x-ms-owner"),
            group: text("x-ms-group"),
            permissions: text("x-ms-permissions"),
            list: text("x-ms-acl"),
            etag: etag(response.headers()),
        })
    }

    /// Sending the same change again is harmless.
    pub async fn set_access_control(
        &self,
        path: &TargetPath,
        change: &AccessControlChange,
        condition: &Condition,
    ) -> Result<Etag> {
        let mut call =
            self.call("set access control", Method::Patch, path, &[("action", "setAccessControl")])?;
        if let Some(access) = &change.access {
            access.set_on(&mut call);
        }
        if let Some(owner) = &change.owner {
            call.header("x-ms-owner", owner.clone());
        }
        if let Some(group) = &change.group {
            call.header("x-ms-group", group.clone());
        }
        call.condition(condition);
        let (operation, subject) = (call.operation, call.subject.clone());
        let response = self.send(call).await?;
        required_etag(response.headers(), operation, &subject)
    }
}
