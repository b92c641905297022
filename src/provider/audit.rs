//! The audit log: one line of JSON for every request that may change something, refused ones included, written before the
//! answer goes out.
//!
//! It says who (as the front door names the caller, and whose certificate the connection showed), what, when and with which outcome.
//! It never holds a body, a query but its `api-version`, or an authorization header, so no secret can get into it. A line that cannot
//! be written is told in the log of the program; the answer goes out all the same, because what it tells has happened.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use livedata_arm::SystemData;
use livedata_arm::headers as arm;
use serde::Serialize;

use crate::clock::{Clock, rfc3339};
use crate::listener::Incoming;
use crate::request::{Request, Response};

/// The file that the lines go to.
pub struct AuditLog(Mutex<File>);

impl AuditLog {
    /// Appended to; for its owner only.
    pub fn file(path: &Path) -> std::io::Result<Self> {
        let file = File::options().create(true).append(true).mode(0o600).open(path)?;
        Ok(Self(Mutex::new(file)))
    }

    /// In one write, so that lines of several processes do not mix.
    fn write(&self, entry: &Entry<'_>) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        let mut destination = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        destination.write_all(&line)
    }
}

/// What is known of a request before it is answered.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    listener: &'static str,
    method: String,
    /// Path of the resource, collection, action or operation.
    resource_id: String,
    api_version: Option<String>,
    request_id: String,
    correlation_id: Option<String>,
    client_request_id: Option<String>,
    tenant_id: Option<String>,
    caller: Caller,
}

/// All that the front door says of who called, and the certificate that it showed itself.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Caller {
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_id: Option<String>,
    /// SHA-256 of the client certificate of the connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    target: &'static str,
    time: String,
    #[serde(flatten)]
    asked: &'a Asked,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation_id: Option<&'a str>,
}

impl Asked {
    /// `None`: it can change nothing.
    pub fn of(
        listener: &'static str,
        incoming: &Incoming,
        request_id: &str,
        certificate: Option<String>,
    ) -> Option<Self> {
        if matches!(incoming.method.as_str(), "GET" | "HEAD" | "OPTIONS") {
            return None;
        }
        let header = |name: &str| incoming.header(name).map(str::to_owned);
        let system_data: Option<SystemData> = Request::system_data_of(incoming.header(arm::SYSTEM_DATA));
        let (principal, principal_type) =
            system_data.map_or((None, None), |data| (data.last_modified_by, data.last_modified_by_type));
        let query = Request::query_of(&incoming.query);
        Some(Self {
            listener,
            method: incoming.method.clone(),
            // A custom provider names the resource beside the address, which is a secret.
            resource_id: header(crate::custom_provider::REQUEST_PATH)
                .filter(|_| incoming.path == "/")
                .unwrap_or_else(|| incoming.path.clone()),
            api_version: query
                .into_iter()
                .find(|(name, _)| name.eq_ignore_ascii_case("api-version"))
                .map(|(_, value)| value),
            request_id: request_id.to_owned(),
            correlation_id: header(arm::CORRELATION_REQUEST_ID),
            client_request_id: header(arm::CLIENT_REQUEST_ID),
            tenant_id: header(arm::HOME_TENANT_ID).or_else(|| header(arm::CLIENT_TENANT_ID)),
            caller: Caller {
                principal,
                principal_type,
                principal_name: header(arm::CLIENT_PRINCIPAL_NAME),
                object_id: header(arm::CLIENT_OBJECT_ID),
                app_id: header(arm::CLIENT_APP_ID),
                certificate,
            },
        })
    }
}

/// Writes the line of a request that is about to be answered.
pub fn record(log: &AuditLog, clock: &Clock, asked: &Asked, response: &Response) {
    let header = |name: &str| {
        response.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    };
    let entry = Entry {
        target: "audit",
        time: rfc3339(clock.now()),
        asked,
        status: response.status,
        error_code: header(arm::ERROR_CODE),
        operation_id: header(arm::ASYNC_OPERATION).or_else(|| header("location")).and_then(last_segment),
    };
    if let Err(error) = log.write(&entry) {
        tracing::error!(request_id = asked.request_id, %error, "a line of the audit log cannot be written");
    }
}

/// Of the path of an address.
fn last_segment(address: &str) -> Option<&str> {
    address.split('?').next().and_then(|path| path.rsplit('/').next()).filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_known_by_the_end_of_its_address() {
        let address =
            "https://arm/subscriptions/s/providers/p/locations/l/operationStatuses/one?api-version=2";
        assert_eq!(last_segment(address), Some("one"));
        assert_eq!(last_segment(""), None);
    }
}
