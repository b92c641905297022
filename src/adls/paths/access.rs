//! Owner, group, permissions and access control lists.

use std::collections::BTreeSet;

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

    /// Sending the same change again is harmless, but changes the etag: when an answer was lost and the condition then fails, a
    /// look decides, and a path that is as this change leaves it is so by it.
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
        match self.send(call).await {
            Ok(response) => required_etag(response.headers(), operation, &subject),
            Err(failure) if failure.may_be_our_own(condition) => match self.access_control(path).await {
                Ok(found) => match &found.etag {
                    Some(etag) if change.is_done(&found) => Ok(etag.clone()),
                    _ => Err(failure.into()),
                },
                Err(look) => Err(failure.unresolved(operation, subject, look)),
            },
            Err(failure) => Err(failure.into()),
        }
    }
}

impl AccessControlChange {
    /// Whether a path that shows this may have had the change.
    fn is_done(&self, found: &AccessControl) -> bool {
        let as_given = |given: &Option<String>, found: &Option<String>| given.is_none() || given == found;
        as_given(&self.owner, &found.owner)
            && as_given(&self.group, &found.group)
            && match &self.access {
                None => true,
                Some(Access::Permissions(bits)) => {
                    found.permissions.as_deref().map(|text| text.trim_end_matches('+'))
                        == Some(&symbolic(*bits))
                }
                Some(Access::List(given)) => {
                    found.list.as_deref().is_some_and(|found| same_list(given, found))
                }
            }
    }
}

/// Whatever the order. A mask that was not given the service reckons itself.
fn same_list(given: &str, found: &str) -> bool {
    let entries = |list: &str| list.split(',').map(|entry| entry.trim().to_owned()).collect::<BTreeSet<_>>();
    let (given, found) = (entries(given), entries(found));
    let is_mask = |entry: &String| entry.trim_start_matches("default:").starts_with("mask::");
    given.is_subset(&found) && found.difference(&given).all(is_mask)
}

/// `rwxr-x---`, as the service writes it.
fn symbolic(bits: u16) -> String {
    let mut text = String::with_capacity(9);
    for shift in [6, 3, 0] {
        for (bit, letter) in [(4, 'r'), (2, 'w'), (1, 'x')] {
            text.push(if bits >> shift & bit != 0 { letter } else { '-' });
        }
    }
    if bits & 0o1000 != 0 {
        text.pop();
        text.push(if bits & 1 != 0 { 't' } else { 'T' });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_shows_whether_a_change_is_done() {
        let found = AccessControl {
            owner: Some("alice".to_owned()),
            group: Some("staff".to_owned()),
            permissions: Some("rwxr-x--T+".to_owned()),
            list: Some("user::rwx,user:bob:r-x,group::r-x,mask::r-x,other::---".to_owned()),
            etag: None,
        };
        let done = |access, owner: Option<&str>| {
            AccessControlChange { access, owner: owner.map(str::to_owned), group: None }.is_done(&found)
        };
        let list = |text: &str| Some(Access::List(text.to_owned()));
        assert!(done(None, Some("alice")) && !done(None, Some("bob")));
        assert!(done(Some(Access::Permissions(0o1750)), None));
        assert!(
            !done(Some(Access::Permissions(0o750)), None) && !done(Some(Access::Permissions(0o1751)), None)
        );
        assert!(
            done(list("user:bob:r-x, user::rwx,group::r-x,other::---"), None),
            "the mask is the service's"
        );
        assert!(!done(list("user::rwx,group::r-x,other::---"), None), "an entry more");
        assert!(!done(list("user::rwx,user:bob:rwx,group::r-x,other::---"), None), "another right");
    }
}
