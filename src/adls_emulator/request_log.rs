//! The last requests, for whoever wants to know what a client really asked.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody as _};
use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};

use crate::clock;

/// Requests that are remembered.
const KEPT: usize = 10_000;

#[derive(Default)]
pub(crate) struct RequestLog {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    entries: VecDeque<Entry>,
    /// How many came before the first that is kept; the first request ever has the number 1.
    forgotten: u64,
}

/// What a request was and how it went. Account, operation and path are missing where the request did not get that far.
#[derive(Default)]
pub(crate) struct Entry {
    pub time_ms: i64,
    pub account: Option<String>,
    pub operation: Option<&'static str>,
    pub method: String,
    /// As sent, without the query.
    pub path: String,
    pub status: u16,
    pub code: Option<&'static str>,
    /// As announced by `Content-Length`.
    pub request_bytes: u64,
    /// The length of the reply's body; 0 for HEAD.
    pub response_bytes: u64,
    /// Until the answer was ready. Its body may take longer.
    pub duration: Duration,
    pub request_id: String,
    pub client_request_id: Option<String>,
    /// The fault rules that struck.
    pub faults: Vec<String>,
}

impl Entry {
    pub(crate) fn of(request: &HttpRequest, request_id: &str) -> Self {
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        Self {
            time_ms: clock::machine_ms(),
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            request_bytes: header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0),
            request_id: request_id.to_owned(),
            client_request_id: header("x-ms-client-request-id").map(str::to_owned),
            ..Self::default()
        }
    }

    pub(crate) fn answered(mut self, request: &HttpRequest, response: &HttpResponse) -> Self {
        self.status = response.status().as_u16();
        self.response_bytes = match response.body().size() {
            BodySize::Sized(bytes) if *request.method() != Method::HEAD => bytes,
            _ => 0,
        };
        self
    }
}

/// Which entries are asked for, as the query of `GET /requests`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Filter {
    /// Only entries with a greater `sequence`.
    after: u64,
    account: Option<String>,
    operation: Option<String>,
    path_prefix: Option<String>,
    status: Option<u16>,
    limit: Option<usize>,
}

impl Filter {
    fn takes(&self, entry: &Entry) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_ref().is_none_or(|wanted| Some(wanted.as_str()) == found)
        };
        is(&self.account, entry.account.as_deref())
            && is(&self.operation, entry.operation)
            && self.path_prefix.as_ref().is_none_or(|prefix| entry.path.starts_with(prefix))
            && self.status.is_none_or(|status| status == entry.status)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LogReply {
    requests: Vec<EntryReply>,
    /// Requests that came and are not remembered any more.
    forgotten: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EntryReply {
    sequence: u64,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'static str>,
    method: String,
    path: String,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    request_bytes: u64,
    response_bytes: u64,
    duration_us: u64,
    request_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_request_id: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<String>,
}

impl EntryReply {
    fn new(sequence: u64, entry: &Entry) -> Self {
        Self {
            sequence,
            time: clock::iso(entry.time_ms),
            account: entry.account.clone(),
            operation: entry.operation,
            method: entry.method.clone(),
            path: entry.path.clone(),
            status: entry.status,
            code: entry.code,
            request_bytes: entry.request_bytes,
            response_bytes: entry.response_bytes,
            duration_us: u64::try_from(entry.duration.as_micros()).unwrap_or(u64::MAX),
            request_id: entry.request_id.clone(),
            client_request_id: entry.client_request_id.clone(),
            faults: entry.faults.clone(),
        }
    }
}

impl RequestLog {
    pub(crate) fn add(&self, entry: Entry) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.entries.len() == KEPT {
            kept.entries.pop_front();
            kept.forgotten += 1;
        }
        kept.entries.push_back(entry);
    }

    /// In the order in which they were answered.
    pub(crate) fn read(&self, filter: &Filter) -> LogReply {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let sequences = kept.forgotten + 1..;
        let requests = sequences
            .zip(&kept.entries)
            .filter(|(sequence, entry)| *sequence > filter.after && filter.takes(entry))
            .take(filter.limit.unwrap_or(KEPT))
            .map(|(sequence, entry)| EntryReply::new(sequence, entry))
            .collect();
        LogReply { requests, forgotten: kept.forgotten }
    }

    pub(crate) fn clear(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.forgotten += kept.entries.len() as u64;
        kept.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_are_remembered_and_numbers_go_on() {
        let log = RequestLog::default();
        for number in 0..KEPT + 5 {
            let status = if number % 2 == 0 { 200 } else { 404 };
            log.add(Entry { path: format!("/fs/{number}"), status, ..Entry::default() });
        }
        let read = |filter| log.read(&filter);
        let all = read(Filter::default());
        assert_eq!((all.requests.len(), all.forgotten), (KEPT, 5));
        assert_eq!((all.requests[0].sequence, all.requests[0].path.as_str()), (6, "/fs/5"));
        let some = read(Filter { after: 9000, status: Some(404), limit: Some(2), ..Filter::default() });
        let sequences: Vec<u64> = some.requests.iter().map(|entry| entry.sequence).collect();
        assert_eq!(sequences, [9002, 9004]);
        log.clear();
        log.add(Entry::default());
        assert_eq!(read(Filter::default()).requests[0].sequence, KEPT as u64 + 6);
    }
}
