//! One request and one response, apart from the web framework.

use bytes::Bytes;
use livedata_arm::etag::Preconditions;
use livedata_arm::{ArmError, SystemData};
use livedata_store::Change;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use url::Url;

use crate::errors;
use crate::json;
use crate::view::View;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    Get,
    Head,
    Put,
    Patch,
    Post,
    Delete,
}

impl Method {
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "PUT" => Self::Put,
            "PATCH" => Self::Patch,
            "POST" => Self::Post,
            "DELETE" => Self::Delete,
            _ => return None,
        })
    }
}

/// What the verbs need of a request. `referer` is the address that the client used: links in replies are built on it.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: Method,
    pub view: View,
    /// Decoded, empty segments dropped.
    pub segments: Vec<String>,
    /// Decoded.
    pub query: Vec<(String, String)>,
    pub referer: Url,
    pub preconditions: Preconditions,
    pub system_data: Option<SystemData>,
    /// The caller's, as the front door tells it.
    pub tenant: Option<String>,
    pub content_type: Option<String>,
    pub body: Bytes,
    /// W3C `traceparent` of the work on this request.
    pub trace: Option<String>,
    /// It came through the custom-provider dialect; what is written together with the resource.
    pub custom_provider: Option<Change>,
}

impl Request {
    pub fn segments_of(path: &str) -> Vec<String> {
        path.split('/')
            .filter(|segment| !segment.is_empty())
            .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
            .collect()
    }

    pub fn query_of(text: &str) -> Vec<(String, String)> {
        url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()
    }

    /// A query parameter; keys ignore case (rule 10).
    pub fn parameter(&self, key: &str) -> Option<&str> {
        self.query.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value.as_str())
    }

    /// `x-ms-arm-resource-system-data`; absent or malformed is no error (rule 35).
    pub fn system_data_of(header: Option<&str>) -> Option<SystemData> {
        header.and_then(|text| serde_json::from_str(text).ok())
    }

    /// The body as a JSON object (rules 39 and 99).
    pub fn document(&self) -> Result<Map<String, Value>, ArmError> {
        if self.body.is_empty() {
            return Err(
                errors::INVALID_REQUEST_CONTENT.error("The request has no body; a JSON object is required.")
            );
        }
        let media_type = self.content_type.as_deref().unwrap_or("").split(';').next().unwrap_or("").trim();
        let is_json = media_type.eq_ignore_ascii_case("application/json")
            || media_type.eq_ignore_ascii_case("application/merge-patch+json");
        if !is_json {
            return Err(errors::UNSUPPORTED_MEDIA_TYPE
                .error(format!("The content type '{media_type}' is not supported; send application/json.")));
        }
        match json::parse(&self.body) {
            Ok(Value::Object(document)) => Ok(document),
            Ok(_) => Err(errors::INVALID_REQUEST_CONTENT.error("The body must be a JSON object.")),
            Err(error) => {
                Err(errors::INVALID_REQUEST_CONTENT.error(format!("The body is not valid JSON: {error}.")))
            }
        }
    }

    /// Scheme, host and port that the client used.
    pub fn origin(&self) -> String {
        self.referer.origin().ascii_serialization()
    }
}

/// What goes back; the listener adds the headers that every reply has.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Option<Value>,
    /// Which of the addresses there are was asked, for metrics; `None`: none of them.
    pub route: Option<String>,
}

impl Response {
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: None, route: None }
    }

    pub fn json(status: u16, body: Value) -> Self {
        Self { body: Some(body), ..Self::empty(status) }
    }

    pub fn error(error: &ArmError) -> Self {
        let body = serde_json::to_value(error.body()).unwrap_or(Value::Null);
        Self::json(error.status, body).with(livedata_arm::headers::ERROR_CODE, error.code.clone())
    }

    #[must_use]
    pub fn with(mut self, header: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((header, value.into()));
        self
    }
}
