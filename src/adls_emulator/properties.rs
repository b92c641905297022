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

/// Of names and values together, as "Setting and retrieving properties and metadata for Blob resources" has it.
const MAX_BYTES: usize = 8 * 1024;

impl UserProperties {
    pub(crate) fn parse(text: &str) -> Result<Self, ServiceError> {
        let invalid = |reason| ServiceError::invalid_header("x-ms-properties", reason);
        let properties = Self::taken_apart(text).map_err(invalid)?;
        let mut before: Vec<&str> = Vec::new();
        for (name, _) in &properties.pairs {
            if name.is_empty() {
                return Err(ServiceError::empty_property_name());
            }
            if !is_identifier(name) {
                return Err(ServiceError::invalid_property_name());
            }
            if before.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                return Err(invalid("a name is given twice"));
            }
            before.push(name);
        }
        properties.of_allowed_size()
    }

    fn taken_apart(text: &str) -> Result<Self, &'static str> {
        let pair = |part: &str| {
            let (name, value) = part.split_once('=').ok_or("expected name=base64,name=base64")?;
            let value = BASE64.decode(value.trim()).map_err(|_| "a value is not base64")?;
            Ok::<_, &str>((name.trim().to_owned(), value))
        };
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        Ok(Self { pairs: parts.map(pair).collect::<Result<_, _>>()? })
    }

    /// The `x-ms-meta-*` headers of a Blob request.
    pub(crate) fn from_metadata_headers(headers: &HeaderMap) -> Result<Self, ServiceError> {
        let mut pairs: Vec<(String, Vec<u8>)> = Vec::new();
        for (name, value) in headers {
            let Some(name) = name.as_str().strip_prefix("x-ms-meta-") else { continue };
            if name.is_empty() {
                return Err(ServiceError::empty_metadata_key());
            }
            if !is_identifier(name) || pairs.iter().any(|(known, _)| known == name) {
                return Err(ServiceError::invalid_metadata());
            }
            pairs.push((name.to_owned(), value.as_bytes().to_vec()));
        }
        pairs.retain(|(name, _)| name != FOLDER_MARK);
        pairs.sort();
        Self { pairs }.of_allowed_size()
    }

    fn of_allowed_size(self) -> Result<Self, ServiceError> {
        let bytes: usize = self.pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > MAX_BYTES { Err(ServiceError::metadata_too_large()) } else { Ok(self) }
    }

    /// The form of `x-ms-properties`, which is also the stored form.
    pub(crate) fn to_text(&self) -> String {
        let pair = |(name, value): &(String, Vec<u8>)| format!("{name}={}", BASE64.encode(value));
        self.pairs.iter().map(pair).collect::<Vec<_>>().join(",")
    }

    /// From the stored form, which `to_text` wrote.
    pub(crate) fn stored(text: &str) -> Self {
        Self::taken_apart(text).unwrap_or_default()
    }

    pub(crate) fn pairs(&self) -> &[(String, Vec<u8>)] {
        &self.pairs
    }
}

/// The service wants names to be identifiers of C#; of those only ASCII ones fit into a header.
fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
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
    /// Made by Path - Create and not by the Blob endpoint: only the one it comes from writes to it, for the Data Lake endpoint
    /// appends ranges and the Blob endpoint commits blocks.
    #[serde(skip_serializing_if = "std::ops::Not::not", alias = "without_blocks")]
    pub of_path_create: bool,
    /// An append blob, on either endpoint; all others are block blobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub append_blob: Option<AppendBlob>,
}

/// What can be put behind it is there at once; nothing else of its content changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct AppendBlob {
    /// Committed, which all of them are.
    pub blocks: u32,
    /// Takes no more, as long as it is there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sealed: bool,
}

impl AppendBlob {
    const MAX_BLOCKS: u32 = 50_000;

    pub(crate) fn add_block(&mut self) -> Result<(), ServiceError> {
        match *self {
            Self { sealed: true, .. } => Err(ServiceError::blob_is_sealed()),
            Self { blocks: Self::MAX_BLOCKS.., .. } => Err(ServiceError::block_count_exceeds_limit()),
            Self { blocks, .. } => {
                self.blocks = blocks + 1;
                Ok(())
            }
        }
    }
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

    /// The value of `x-ms-blob-type`.
    pub(crate) fn blob_type(&self) -> &'static str {
        if self.append_blob.is_some() { "AppendBlob" } else { "BlockBlob" }
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
    fn a_full_append_blob_takes_no_block_and_a_sealed_one_neither() {
        let mut blob = AppendBlob { blocks: 49_999, sealed: false };
        blob.add_block().unwrap();
        assert_eq!(blob.blocks, 50_000);
        let refused = blob.add_block().unwrap_err();
        assert_eq!((refused.status.as_u16(), refused.code), (409, "BlockCountExceedsLimit"));
        let refused = AppendBlob { blocks: 1, sealed: true }.add_block().unwrap_err();
        assert_eq!((refused.status.as_u16(), refused.code), (409, "BlobIsSealed"));
    }

    #[test]
    fn settings_that_an_earlier_version_stored_are_read() {
        let settings = ContentSettings::stored(r#"{"content_type":"text/x","without_blocks":true}"#);
        assert!(settings.of_path_create && settings.append_blob.is_none());
        assert_eq!(ContentSettings::stored(&settings.to_text()), settings);
    }

    #[test]
    fn properties_round_trip_and_bad_ones_are_refused() {
        let text = "a=dmFsdWU=,b_2=";
        assert_eq!(UserProperties::parse(text).unwrap().to_text(), text);
        for (text, code) in [
            ("novalue", "InvalidHeaderValue"),
            ("a=%%", "InvalidHeaderValue"),
            ("a=YQ==,A=YQ==", "InvalidHeaderValue"),
            ("=YQ==", "InvalidPropertyName"),
            ("with space=YQ==", "InvalidPropertyName"),
            ("a-b=YQ==", "InvalidPropertyName"),
            ("1st=YQ==", "InvalidPropertyName"),
        ] {
            assert_eq!(UserProperties::parse(text).unwrap_err().code, code, "{text}");
        }
    }
}
