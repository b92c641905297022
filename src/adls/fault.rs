//! What one failed try means: which [`ErrorKind`] a caller sees, whether another try may help, and whether the request
//! may have taken effect all the same.

use std::time::Duration;

use azure_core::error::ErrorKind as CoreKind;
use azure_core::http::headers::{HeaderName, Headers};
use livedata_filesystem::ErrorKind;
use serde::Deserialize;

use crate::clock::time_of_day;

/// The service's error codes that this client acts on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Code {
    FilesystemNotFound,
    InvalidFlushPosition,
    Other,
}

/// One try that did not succeed.
#[derive(Debug)]
pub(crate) struct Fault {
    pub kind: ErrorKind,
    pub code: Code,
    pub message: String,
    /// The same request may succeed if it is sent again.
    pub retryable: bool,
    /// The service may have carried the request out.
    pub outcome_unknown: bool,
    pub source: Option<azure_core::Error>,
}

#[derive(Deserialize)]
struct Envelope {
    error: Detail,
}

#[derive(Default, Deserialize)]
struct Detail {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Fault {
    /// No answer: the request did not get through, or its answer did not.
    pub(crate) fn unanswered(error: azure_core::Error) -> Self {
        if *error.kind() == CoreKind::Credential {
            return Self::without_token(&error);
        }
        let (message, retryable, outcome_unknown) = match error.kind() {
            CoreKind::Connection => {
                ("cannot connect to the storage endpoint: check its address, DNS, proxy and TLS", true, false)
            }
            CoreKind::Io => {
                ("the connection to the storage endpoint broke before the answer arrived", true, true)
            }
            _ => ("the request could not be sent", false, false),
        };
        let kind = if retryable { ErrorKind::Unreachable } else { ErrorKind::Fatal };
        Self {
            kind,
            code: Code::Other,
            message: message.to_owned(),
            retryable,
            outcome_unknown,
            source: Some(error),
        }
    }

    /// The request was not sent. Whoever gives the tokens says why, and has been asked more than once.
    fn without_token(error: &azure_core::Error) -> Self {
        Self {
            kind: ErrorKind::Unusable,
            code: Code::Other,
            message: format!("there is no access token to send: {error}"),
            retryable: false,
            outcome_unknown: false,
            source: None,
        }
    }

    /// The service answered with an error status. `body` is empty for HEAD: then the header alone carries the code.
    pub(crate) fn answered(status: u16, headers: &Headers, body: &[u8]) -> Self {
        let detail =
            serde_json::from_slice::<Envelope>(body).map(|envelope| envelope.error).unwrap_or_default();
        let header = headers.get_optional_str(&HeaderName::from_static("x-ms-error-code"));
        let code = header.filter(|code| !code.is_empty()).unwrap_or(&detail.code);
        let (kind, retryable) = classify(status, code, headers);
        // Only a refusal in the service's own words says that nothing was done.
        let outcome_unknown = status >= 500 && code != "ServerBusy";
        Self {
            kind,
            code: match code {
                "FilesystemNotFound" | "ContainerNotFound" => Code::FilesystemNotFound,
                "InvalidFlushPosition" => Code::InvalidFlushPosition,
                _ => Code::Other,
            },
            message: describe(status, code, &detail.message, headers),
            retryable,
            outcome_unknown,
            source: None,
        }
    }
}

fn classify(status: u16, code: &str, headers: &Headers) -> (ErrorKind, bool) {
    match (status, code) {
        (429 | 503, _) | (_, "ServerBusy") => {
            (ErrorKind::Throttled { retry_after: retry_after(headers) }, true)
        }
        (400, "Md5Mismatch" | "Crc64Mismatch") => (ErrorKind::Fatal, true),
        (400, "InvalidResourceName" | "InvalidUri" | "OutOfRangeInput") | (409, "PathIsTooDeep") => {
            (ErrorKind::NameRefused, false)
        }
        (400, "MetadataTooLarge" | "RequestHeaderFieldsTooLarge") | (431, _) => (ErrorKind::TooLarge, false),
        // A mistake in the configuration, or one that was made by changing it: not a path that went away or is closed to us.
        (404, "FilesystemNotFound" | "ContainerNotFound" | "ResourceNotFound") => {
            (ErrorKind::Unusable, false)
        }
        (
            401 | 403,
            "AuthenticationFailed"
            | "InvalidAuthenticationInfo"
            | "NoAuthenticationInformation"
            | "AuthorizationFailure"
            | "AuthorizationProtocolMismatch"
            | "AuthorizationServiceMismatch"
            | "AuthorizationSourceIPMismatch"
            | "KeyBasedAuthenticationNotPermitted"
            | "AccountIsDisabled",
        )
        | (_, "AccountRequiresHttps") => (ErrorKind::Unusable, false),
        (404, _) => (ErrorKind::Gone, false),
        (401 | 403, _) => (ErrorKind::Denied, false),
        (304 | 409 | 412, _) => (ErrorKind::Conflict, false),
        (416, _) => (ErrorKind::Changed, false),
        (408 | 500 | 502 | 504, _) => (ErrorKind::Unreachable, true),
        _ => (ErrorKind::Fatal, false),
    }
}

/// `Retry-After` in seconds or as a date, or the millisecond forms.
fn retry_after(headers: &Headers) -> Option<Duration> {
    let header = |name| headers.get_optional_str(&HeaderName::from_static(name));
    for name in ["x-ms-retry-after-ms", "retry-after-ms"] {
        if let Some(milliseconds) = header(name).and_then(|value| value.trim().parse().ok()) {
            return Some(Duration::from_millis(milliseconds));
        }
    }
    let value = header("retry-after")?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    Some(until.duration_since(time_of_day()).unwrap_or_default())
}

fn describe(status: u16, code: &str, message: &str, headers: &Headers) -> String {
    let mut text = format!("the storage service answered {status}");
    if !code.is_empty() {
        text.push(' ');
        text.push_str(code);
    }
    if let Some(advice) = advice(status, code) {
        text.push_str(": ");
        text.push_str(advice);
    }
    // The service appends its request id and time on further lines; the id follows below.
    if let Some(line) = message.lines().next().map(str::trim).filter(|line| !line.is_empty()) {
        text.push_str(&format!(" (\"{line}\")"));
    }
    if let Some(id) = headers.get_optional_str(&HeaderName::from_static("x-ms-request-id")) {
        text.push_str(&format!(", request id {id}"));
    }
    text
}

/// What it means and what to do, for the codes that an operator can do something about.
fn advice(status: u16, code: &str) -> Option<&'static str> {
    Some(match (status, code) {
        (_, "AuthenticationFailed") => {
            "the account key or the account name is wrong, the SAS is wrong or over, or this machine's clock is more than 15 \
             minutes off"
        }
        (_, "InvalidAuthenticationInfo") => {
            "the access token is not one that this account takes: check the identity's tenant and this machine's clock"
        }
        (_, "AuthorizationPermissionMismatch") => {
            "the SAS lacks a permission, or the identity a role or an ACL entry for this path: grant Storage Blob Data Owner or \
             Contributor"
        }
        (_, "AuthorizationSourceIPMismatch") => "the SAS is not for this machine's address",
        (_, "AuthorizationProtocolMismatch") => {
            "the SAS is for another protocol: correct the endpoint's scheme"
        }
        (_, "AuthorizationServiceMismatch") => "the SAS is not for the storage service: it must allow blobs",
        (_, "AuthorizationFailure") => {
            "the account's firewall or network rules refuse this machine: allow its address or use a private endpoint"
        }
        (_, "KeyBasedAuthenticationNotPermitted") => {
            "the account does not allow key access: enable it or use an identity"
        }
        (_, "AccountRequiresHttps") => "the account wants https: correct the endpoint's scheme",
        (_, "AccountIsDisabled") => "the storage account is disabled",
        (401 | 403, _) => "access was refused",
        (404, "FilesystemNotFound" | "ContainerNotFound") => {
            "the container does not exist in this storage account: create it or correct the target"
        }
        (404, "ResourceNotFound") => "the storage account does not exist: correct the target",
        (404, "RenameDestinationParentPathNotFound") => "the destination's parent directory does not exist",
        (_, "Md5Mismatch" | "Crc64Mismatch") => "the bytes were damaged on their way to the service",
        (_, "DirectoryNotEmpty") => "the directory is not empty",
        (_, "LeaseIdMissing" | "LeaseAlreadyPresent") => {
            "somebody has a lease on it: wait for its end or break it"
        }
        (412, _) => "somebody else changed it, or a condition does not hold",
        (429 | 503, _) => "the storage account is over its limits",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, code: &'static str, more: &[(&'static str, &'static str)]) -> Fault {
        let mut headers = Headers::new();
        headers.insert("x-ms-error-code", code);
        for (name, value) in more {
            headers.insert(*name, *value);
        }
        Fault::answered(status, &headers, b"")
    }

    #[test]
    fn every_status_has_its_kind() {
        let seconds = |seconds| ErrorKind::Throttled { retry_after: Some(Duration::from_secs(seconds)) };
        let none = ErrorKind::Throttled { retry_after: None };
        for (status, code, kind, retryable, outcome_unknown) in [
            (400, "Md5Mismatch", ErrorKind::Fatal, true, false),
            (400, "Crc64Mismatch", ErrorKind::Fatal, true, false),
            (400, "InvalidHeaderValue", ErrorKind::Fatal, false, false),
            (400, "InvalidResourceName", ErrorKind::NameRefused, false, false),
            (400, "InvalidUri", ErrorKind::NameRefused, false, false),
            (400, "OutOfRangeInput", ErrorKind::NameRefused, false, false),
            (400, "MetadataTooLarge", ErrorKind::TooLarge, false, false),
            (403, "AuthenticationFailed", ErrorKind::Unusable, false, false),
            (403, "AuthorizationFailure", ErrorKind::Unusable, false, false),
            (404, "ResourceNotFound", ErrorKind::Unusable, false, false),
            (403, "AuthorizationPermissionMismatch", ErrorKind::Denied, false, false),
            (403, "AuthorizationSourceIPMismatch", ErrorKind::Unusable, false, false),
            (401, "InvalidAuthenticationInfo", ErrorKind::Unusable, false, false),
            (404, "PathNotFound", ErrorKind::Gone, false, false),
            (404, "SourcePathNotFound", ErrorKind::Gone, false, false),
            (404, "FilesystemNotFound", ErrorKind::Unusable, false, false),
            (404, "RenameDestinationParentPathNotFound", ErrorKind::Gone, false, false),
            (409, "PathIsTooDeep", ErrorKind::NameRefused, false, false),
            (409, "PathAlreadyExists", ErrorKind::Conflict, false, false),
            (412, "ConditionNotMet", ErrorKind::Conflict, false, false),
            (416, "InvalidRange", ErrorKind::Changed, false, false),
            (429, "", none, true, false),
            (500, "OperationTimedOut", ErrorKind::Unreachable, true, true),
            (502, "", ErrorKind::Unreachable, true, true),
            (503, "ServerBusy", none, true, false),
            (503, "", none, true, true),
        ] {
            let fault = answered(status, code, &[]);
            assert_eq!(
                (fault.kind, fault.retryable, fault.outcome_unknown),
                (kind, retryable, outcome_unknown),
                "{status} {code}"
            );
        }
        assert_eq!(answered(503, "ServerBusy", &[("retry-after", "7")]).kind, seconds(7));
        assert_eq!(answered(503, "ServerBusy", &[("x-ms-retry-after-ms", "3000")]).kind, seconds(3));
        assert_eq!(answered(429, "", &[("retry-after", "Fri, 01 Jan 2021 00:00:00 GMT")]).kind, seconds(0));
    }

    #[test]
    fn the_code_comes_from_the_body_where_the_header_is_missing() {
        let body = br#"{"error":{"code":"InvalidFlushPosition","message":"The uploaded data is not contiguous.\nRequestId:1"}}"#;
        let fault = Fault::answered(400, &Headers::new(), body);
        assert_eq!(fault.code, Code::InvalidFlushPosition);
        assert_eq!(
            fault.message,
            "the storage service answered 400 InvalidFlushPosition (\"The uploaded data is not contiguous.\")"
        );
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let fault = answered(403, "AuthenticationFailed", &[("x-ms-request-id", "42")]);
        assert_eq!(
            fault.message,
            "the storage service answered 403 AuthenticationFailed: the account key or the account name is wrong, the SAS \
             is wrong or over, or this machine's clock is more than 15 minutes off, request id 42"
        );
    }
}
