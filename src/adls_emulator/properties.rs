//! What a client attaches to a path or filesystem: user properties and the content settings.
//!
//! User properties have two wire forms for the same data: `x-ms-properties` (name=base64, comma separated; DFS) and
//! `x-ms-meta-*` headers (Blob). They are stored in the DFS form.

use actix_web::http::header::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use crate::service_error::ServiceError;

/// Marks a directory on the Blob endpoint; it is computed, never stored.
pub(crate) const FOLDER_MARK: &str = "hdi_isfolder";

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct UserProperties {
    pairs: Vec<(String, Vec<u8>)>,
}

impl UserProperties {
    pub(crate) fn parse(text: &str) -> Result<Self, ServiceError> {
        let invalid = |reason| ServiceError::invalid_header("x-ms-properties", reason);
        let mut pairs: Vec<(String, Vec<u8>)> = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) =
                part.split_once('=').ok_or_else(|| invalid("expected name=base64,name=base64"))?;
            let name = name.trim();
            let plain =
                !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
            if !plain || pairs.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
                return Err(invalid(
                    "a name is empty, given twice, or has other characters than ASCII letters, digits and _",
                ));
            }
            let value = BASE64.decode(value.trim()).map_err(|_| invalid("a value is not base64"))?;
            pairs.push((name.to_owned(), value));
        }
        Ok(Self { pairs })
    }

    /// The `x-ms-meta-*` headers of a Blob request.
    pub(crate) fn from_metadata_headers(headers: &HeaderMap) -> Self {
        let mut pairs = Vec::new();
        for (name, value) in headers {
            if let Some(name) = name.as_str().strip_prefix("x-ms-meta-")
                && name != FOLDER_MARK
            {
                pairs.push((name.to_owned(), value.as_bytes().to_vec()));
            }
        }
        pairs.sort();
        Self { pairs }
    }

    /// The form of `x-ms-properties`, which is also the stored form.
    pub(crate) fn to_text(&self) -> String {
        let pair = |(name, value): &(String, Vec<u8>)| format!("{name}={}", BASE64.encode(value));
        self.pairs.iter().map(pair).collect::<Vec<_>>().join(",")
    }

    /// From the stored form, which `to_text` wrote.
    pub(crate) fn stored(text: &str) -> Self {
        Self::parse(text).unwrap_or_default()
    }

    pub(crate) fn pairs(&self) -> &[(String, Vec<u8>)] {
        &self.pairs
    }
}

/// The HTTP headers that a read of the file is answered with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ContentSettings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_disposition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_md5: Option<String>,
    /// Of the Blob endpoint; it changes nothing here but is told again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_tier: Option<String>,
    /// How the content came here, if by Copy Blob.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy: Option<Copied>,
    /// Of the Path - Create or rename that the path comes from: a client that lost the answer knows by it what it made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction: Option<String>,
    /// A file of Path - Create does not consist of blocks, and takes none.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub without_blocks: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Copied {
    pub id: String,
    pub source: String,
    pub bytes: u64,
    pub completed_ms: i64,
}

impl ContentSettings {
    /// Takes over each setting that the request carries; `prefix` is `x-ms-` on DFS and `x-ms-blob-` on Blob.
    pub(crate) fn update_from(&mut self, headers: &HeaderMap, prefix: &str) {
        let take = |slot: &mut Option<String>, name: &str| {
            let value = headers.get(format!("{prefix}{name}")).and_then(|value| value.to_str().ok());
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                *slot = Some(value.to_owned());
            }
        };
        take(&mut self.content_type, "content-type");
        take(&mut self.content_encoding, "content-encoding");
        take(&mut self.content_language, "content-language");
        take(&mut self.content_disposition, "content-disposition");
        take(&mut self.cache_control, "cache-control");
        take(&mut self.content_md5, "content-md5");
    }

    /// Each setting that `given` has.
    pub(crate) fn take_over(&mut self, given: &Self) {
        let take = |slot: &mut Option<String>, given: &Option<String>| {
            if given.is_some() {
                slot.clone_from(given);
            }
        };
        take(&mut self.content_type, &given.content_type);
        take(&mut self.content_encoding, &given.content_encoding);
        take(&mut self.content_language, &given.content_language);
        take(&mut self.content_disposition, &given.content_disposition);
        take(&mut self.cache_control, &given.cache_control);
        take(&mut self.content_md5, &given.content_md5);
    }

    pub(crate) fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(crate) fn stored(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_round_trip_and_bad_ones_are_refused() {
        let text = "a=dmFsdWU=,b_2=";
        assert_eq!(UserProperties::parse(text).unwrap().to_text(), text);
        for text in ["novalue", "a=%%", "a=YQ==,A=YQ==", "=YQ==", "with space=YQ=="] {
            assert!(UserProperties::parse(text).is_err(), "{text}");
        }
    }
}
