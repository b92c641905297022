//! One request and what came back for it.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use crate::verdict::{Finding, Outcome, Stop};

/// Longest piece of a body in a finding.
const SHOWN_CHARACTERS: usize = 800;

/// What a request was for, where rules differ by it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    Resource,
    OperationStatus,
    OperationResult,
    /// Sent by somebody who must be refused.
    Stranger,
}

#[derive(Clone, Debug)]
pub struct Exchange {
    pub purpose: Purpose,
    /// Not what a description of the API lets a client send.
    pub odd: bool,
    pub method: &'static str,
    /// Path and query as they were sent.
    pub address: String,
    pub sent_headers: Vec<(String, String)>,
    /// Those of them that a check set itself.
    pub special_headers: Vec<(String, String)>,
    pub sent_body: Option<String>,
    pub status: u16,
    /// Lower-case names.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    /// Null where the body is not JSON.
    pub json: Value,
    pub took: Duration,
}

impl Exchange {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn path(&self) -> &str {
        self.address.split('?').next().unwrap_or_default()
    }

    /// A text of the body by its JSON pointer.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.json.pointer(pointer).and_then(Value::as_str)
    }

    pub fn state(&self) -> Option<&str> {
        self.text("/properties/provisioningState")
    }

    pub fn code(&self) -> Option<&str> {
        self.text("/error/code")
    }

    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Where the operation that this began can be followed: its status, or else its result.
    pub fn operation(&self) -> Option<(&str, Purpose)> {
        if !self.is_success() {
            return None;
        }
        let status = self.header("azure-asyncoperation").map(|url| (url, Purpose::OperationStatus));
        let result = self.header("location").filter(|_| self.status == 202);
        status.or_else(|| result.map(|url| (url, Purpose::OperationResult)))
    }

    /// The failure of a rule that this exchange shows.
    pub fn failure(&self, wanted: impl Into<String>) -> Stop {
        let body = self.sent_body.as_deref().unwrap_or("");
        let body = if body.is_empty() { String::new() } else { format!(" {}", shortened(body)) };
        let came_back = String::from_utf8_lossy(&self.body);
        let headers = ["location", "azure-asyncoperation", "retry-after", "etag", "content-type"]
            .into_iter()
            .filter_map(|name| Some(format!(" [{name}: {}]", self.header(name)?)));
        Stop::Failed(Box::new(Finding {
            sent: format!("{} {}{}{body}", self.method, self.address, self.telling_headers()),
            came_back: format!("{}{} {}", self.status, headers.collect::<String>(), shortened(&came_back)),
            wanted: wanted.into(),
        }))
    }

    pub fn wants(&self, holds: bool, wanted: impl Into<String>) -> Outcome {
        if holds { Ok(()) } else { Err(self.failure(wanted)) }
    }

    /// `when` follows the list of statuses in the message.
    pub fn status_is(&self, allowed: &[u16], when: &str) -> Outcome {
        let list: Vec<String> = allowed.iter().map(u16::to_string).collect();
        self.wants(allowed.contains(&self.status), format!("status {}: {when}", list.join(" or ")))
    }

    /// One of the statuses, with an error in ARM's shape.
    pub fn refused(&self, allowed: &[u16], when: &str) -> Outcome {
        self.status_is(allowed, when)?;
        self.wants(self.code().is_some(), "a body {\"error\": {\"code\", \"message\"}}")
    }

    pub fn succeeded(&self, when: &str) -> Outcome {
        self.wants(self.is_success(), format!("status 2xx: {when}"))
    }

    fn telling_headers(&self) -> String {
        self.special_headers.iter().map(|(name, value)| format!(" [{name}: {value}]")).collect()
    }
}

fn shortened(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_CHARACTERS).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
