//! From host and URI path to account, filesystem and path.
//!
//! Two URL forms: `{account}.dfs.…/{filesystem}/{path}` (and `.blob.`), and `host:port/{account}/{filesystem}/{path}`.

use percent_encoding::percent_decode_str;

use super::Api;
use crate::service_error::ServiceError;

/// "Naming and referencing containers, blobs, and metadata" has 63 with the segments of host and container.
const MAX_DEPTH: usize = 61;
/// Of a path below its container, from the same page. That is where the characters come from as well.
const MAX_PATH_CHARS: usize = 1024;
const MAX_SEGMENT_CHARS: usize = 255;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub account: String,
    pub filesystem: Option<String>,
    /// Decoded names below the filesystem's root; empty for the root itself.
    pub path: Vec<String>,
}

impl Location {
    /// Also tells the endpoint where the host name says it.
    pub(crate) fn parse(
        host: &str,
        raw_path: &str,
        is_account: impl Fn(&str) -> bool,
    ) -> Result<(Self, Option<Api>), ServiceError> {
        let mut segments = decode_path(raw_path)?.into_iter();
        let mut labels = host.split('.');
        let by_host = match (labels.next(), labels.next()) {
            (Some(account), Some("dfs")) if is_account(account) => Some((account.to_owned(), Api::Dfs)),
            (Some(account), Some("blob")) if is_account(account) => Some((account.to_owned(), Api::Blob)),
            _ => None,
        };
        let (account, api) = match by_host {
            Some((account, api)) => (account, Some(api)),
            None => (segments.next().ok_or_else(ServiceError::account_not_found)?, None),
        };
        let location = Self { account, filesystem: segments.next(), path: segments.collect() };
        Ok((location, api))
    }

    /// What a path must satisfy before something is made at it.
    pub(crate) fn check_new_path(path: &[String]) -> Result<(), ServiceError> {
        if path.len() > MAX_DEPTH {
            return Err(ServiceError::path_is_too_deep());
        }
        let refused = |c: char| matches!(c, '\0'..='\u{1f}' | '\u{81}' | '\u{e000}');
        if path.iter().any(|name| name.chars().count() > MAX_SEGMENT_CHARS || name.contains(refused)) {
            return Err(ServiceError::invalid_resource_name());
        }
        let slashes = path.len().saturating_sub(1);
        if path.iter().map(|name| name.chars().count()).sum::<usize>() + slashes > MAX_PATH_CHARS {
            return Err(ServiceError::name_length_out_of_range());
        }
        Ok(())
    }

    pub(crate) fn check_new_filesystem(name: &str) -> Result<(), ServiceError> {
        if !(3..=63).contains(&name.len()) {
            return Err(ServiceError::name_length_out_of_range());
        }
        match Self::is_valid_filesystem_name(name) {
            true => Ok(()),
            false => Err(ServiceError::invalid_resource_name()),
        }
    }

    fn is_valid_filesystem_name(name: &str) -> bool {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let body = name.strip_prefix('$').unwrap_or(name);
        body.bytes().all(allowed) && !body.starts_with('-') && !name.ends_with('-') && !name.contains("--")
    }
}

/// Decodes exactly once, so `%2525` names `%25`; an encoded slash separates like a plain one. Empty segments are dropped.
pub(crate) fn decode_path(raw: &str) -> Result<Vec<String>, ServiceError> {
    let decoded = percent_decode_str(raw)
        .decode_utf8()
        .map_err(|_| ServiceError::invalid_uri("the path is not percent-encoded UTF-8"))?;
    split_path(&decoded)
}

/// What is decoded already.
pub(crate) fn split_path(decoded: &str) -> Result<Vec<String>, ServiceError> {
    let segments: Vec<String> = decoded.split('/').filter(|s| !s.is_empty()).map(str::to_owned).collect();
    if segments.iter().any(|segment| segment == "." || segment == "..") {
        return Err(ServiceError::invalid_uri("a path segment is . or .."));
    }
    Ok(segments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_url_forms_name_the_same_place() {
        let known = |name: &str| name == "acct";
        let (by_path, api) = Location::parse("127.0.0.1:80", "/acct/fs/a%20b/%2541/", known).unwrap();
        assert_eq!(api, None);
        let (by_host, api) = Location::parse("acct.dfs.local:80", "/fs/a%20b%2F%2541", known).unwrap();
        assert_eq!(api, Some(Api::Dfs));
        assert_eq!(by_path, by_host);
        assert_eq!(by_path.path, ["a b", "%41"]);
    }

    #[test]
    fn filesystem_names() {
        for name in ["abc", "a-b-c", "$logs", "0ab"] {
            assert!(Location::check_new_filesystem(name).is_ok(), "{name}");
        }
        for name in ["a--b", "Abc", "-ab", "ab-", "a_b"] {
            let error = Location::check_new_filesystem(name).unwrap_err();
            assert_eq!(error.code, "InvalidResourceName", "{name}");
        }
        for name in ["ab", &"a".repeat(64)] {
            assert_eq!(Location::check_new_filesystem(name).unwrap_err().code, "OutOfRangeInput", "{name}");
        }
    }
}
