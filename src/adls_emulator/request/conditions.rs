//! `If-Match`, `If-None-Match`, `If-Modified-Since`, `If-Unmodified-Since`, and the same for a rename's source.

use std::time::SystemTime;

use super::Call;
use crate::clock;
use crate::index::{Filesystem, Node};
use crate::service_error::ServiceError;

#[derive(Debug, Clone, Default)]
pub(crate) struct Conditions {
    if_match: Option<String>,
    if_none_match: Option<String>,
    modified_since: Option<SystemTime>,
    unmodified_since: Option<SystemTime>,
}

struct State {
    etag: String,
    modified_ms: i64,
}

impl Conditions {
    pub(crate) fn of(call: &Call) -> Result<Self, ServiceError> {
        Self::with_prefix(call, "")
    }

    pub(crate) fn of_rename_source(call: &Call) -> Result<Self, ServiceError> {
        Self::with_prefix(call, "x-ms-source-")
    }

    fn with_prefix(call: &Call, prefix: &str) -> Result<Self, ServiceError> {
        let tag =
            |name: &str| call.header(&format!("{prefix}{name}")).map(|tag| tag.trim_matches('"').to_owned());
        let date = |name: &str| {
            let name = format!("{prefix}{name}");
            let parse = |text| {
                httpdate::parse_http_date(text)
                    .map_err(|_| ServiceError::invalid_header(&name, "not an HTTP date"))
            };
            call.header(&name).map(parse).transpose()
        };
        Ok(Self {
            if_match: tag("if-match"),
            if_none_match: tag("if-none-match"),
            modified_since: date("if-modified-since")?,
            unmodified_since: date("if-unmodified-since")?,
        })
    }

    pub(crate) fn hold_for(&self, node: &Node) -> bool {
        self.hold(&State { etag: node.etag_text(), modified_ms: node.modified_ms })
    }

    /// For a read: an unchanged resource is 304, another failed condition 412.
    pub(crate) fn check_for_read(&self, node: &Node) -> Result<(), ServiceError> {
        let state = State { etag: node.etag_text(), modified_ms: node.modified_ms };
        if !self.hold(&state) {
            let changed = Self { if_none_match: None, modified_since: None, ..self.clone() };
            return Err(if changed.hold(&state) {
                ServiceError::not_modified()
            } else {
                ServiceError::condition_not_met()
            });
        }
        Ok(())
    }

    pub(crate) fn check(&self, node: &Node) -> Result<(), ServiceError> {
        if self.hold_for(node) { Ok(()) } else { Err(ServiceError::condition_not_met()) }
    }

    pub(crate) fn check_filesystem(&self, filesystem: &Filesystem) -> Result<(), ServiceError> {
        let state = State { etag: filesystem.etag_text(), modified_ms: filesystem.modified_ms };
        if self.hold(&state) { Ok(()) } else { Err(ServiceError::condition_not_met()) }
    }

    /// For a write to a path that may not exist yet. `If-None-Match: *` means create only, and has its own answer.
    pub(crate) fn check_for_write(&self, existing: Option<&Node>) -> Result<(), ServiceError> {
        match existing {
            Some(node) if self.if_none_match.as_deref() == Some("*") => {
                Err(ServiceError::path_already_exists().about(node.kind))
            }
            Some(node) => self.check(node),
            None if self.if_match.is_some() => Err(ServiceError::condition_not_met()),
            None => Ok(()),
        }
    }

    fn hold(&self, state: &State) -> bool {
        // HTTP dates carry whole seconds.
        let modified = httpdate::parse_http_date(&clock::http_date(state.modified_ms)).ok();
        let matches = |tag: &String| tag == "*" || *tag == state.etag;
        self.if_match.as_ref().is_none_or(matches)
            && !self.if_none_match.as_ref().is_some_and(matches)
            && self.modified_since.is_none_or(|since| modified.is_some_and(|modified| modified > since))
            && self.unmodified_since.is_none_or(|since| modified.is_some_and(|modified| modified <= since))
    }
}
