//! One request as the handlers see it: path normalised, query decoded, body read.

use bytes::Bytes;
use livedata_arm::{ApiVersion, ArmError, headers};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// Longest request body that is taken (rule 99).
pub(crate) const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

pub(crate) struct Incoming {
    pub method: Method,
    /// Path and query exactly as the client sent them.
    pub target: String,
    /// Still percent-encoded, slashes collapsed, no trailing one: what a provider gets.
    pub path: String,
    /// Decoded segments of `path`.
    pub segments: Vec<String>,
    /// Without the question mark, still encoded.
    pub query: String,
    parameters: Vec<(String, String)>,
    /// Lower-case names.
    headers: Vec<(String, String)>,
    pub body: Bytes,
    pub correlation_id: String,
    pub client_request_id: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Method {
    Get,
    Head,
    Put,
    Patch,
    Post,
    Delete,
    /// Anything else; no route takes it.
    Other,
}

impl Method {
    pub fn parse(name: &str) -> Self {
        match name {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "PUT" => Self::Put,
            "PATCH" => Self::Patch,
            "POST" => Self::Post,
            "DELETE" => Self::Delete,
            _ => Self::Other,
        }
    }

    /// Whether it may change something other than by removing it.
    pub fn is_write(self) -> bool {
        matches!(self, Self::Put | Self::Patch | Self::Post)
    }
}

impl Incoming {
    pub fn new(
        method: Method,
        target: &str,
        headers: Vec<(String, String)>,
        body: Bytes,
    ) -> Result<Self, ArmError> {
        let (raw_path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut path = String::with_capacity(raw_path.len());
        let mut segments = Vec::new();
        for raw in raw_path.split('/').filter(|segment| !segment.is_empty()) {
            let decoded = percent_decode_str(raw).decode_utf8().map_err(|_| bad_path())?.into_owned();
            // A segment that a URL library could take as "one up" or as two segments would let a request reach
            // another path at the provider than the one that was checked here.
            let misleading = decoded == "." || decoded == ".." || decoded.contains(['/', '\\']);
            if misleading || decoded.chars().any(char::is_control) {
                return Err(bad_path());
            }
            path.push('/');
            path.push_str(raw);
            segments.push(decoded);
        }
        let parameters = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let given =
            |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let correlation_id = given(headers::CORRELATION_REQUEST_ID)
            .filter(|id| Uuid::parse_str(id).is_ok())
            .unwrap_or_else(|| Uuid::new_v4().to_string());
        let client_request_id =
            given(headers::CLIENT_REQUEST_ID).unwrap_or_else(|| Uuid::new_v4().to_string());
        Ok(Self {
            method,
            target: target.to_owned(),
            path,
            segments,
            query: query.to_owned(),
            parameters,
            headers,
            body,
            correlation_id,
            client_request_id,
        })
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A query parameter; names compare ignoring case (rule 10).
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub fn api_version(&self) -> Result<ApiVersion, ArmError> {
        let Some(text) = self.parameter("api-version").filter(|text| !text.is_empty()) else {
            return Err(ArmError::new(
                400,
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
            ));
        };
        text.parse().map_err(|error| ArmError::new(400, "InvalidApiVersionParameter", format!("{error}.")))
    }

    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ArmError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            ArmError::new(
                400,
                "InvalidRequestContent",
                format!("The request body is not the JSON document that is expected here: {error}."),
            )
        })
    }
}

fn bad_path() -> ArmError {
    ArmError::new(
        400,
        "InvalidRequestUri",
        "The path holds a segment that no resource can have: a dot segment, an encoded slash, a control character or broken UTF-8.",
    )
}

pub(crate) fn body_too_long() -> ArmError {
    ArmError::new(
        413,
        "RequestEntityTooLarge",
        format!("The request body is longer than {MAX_BODY_BYTES} bytes. Send a smaller document."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(target: &str) -> Result<Incoming, ArmError> {
        Incoming::new(Method::Get, target, Vec::new(), Bytes::new())
    }

    #[test]
    fn collapses_slashes_and_decodes() {
        let request =
            get("/subscriptions//s/a%20b/?Api-Version=2024-01-01&$filter=name%20eq%20%27x%27").unwrap();
        assert_eq!(request.path, "/subscriptions/s/a%20b");
        assert_eq!(request.segments, ["subscriptions", "s", "a b"]);
        assert_eq!(request.parameter("$filter"), Some("name eq 'x'"));
        assert_eq!(request.api_version().unwrap().as_str(), "2024-01-01");
    }

    #[test]
    fn refuses_segments_that_could_change_the_path() {
        for bad in ["/a/../b", "/a/%2e%2e/b", "/a/.%2E", "/a%2fb", "/a%5Cb", "/a%00", "/%ff"] {
            assert_eq!(get(bad).err().map(|error| error.status), Some(400), "{bad}");
        }
    }
}
