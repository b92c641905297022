//! How names, properties and checksums are written into URLs and headers.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but RFC 3986's unreserved characters, so that no name can be taken for syntax.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Encodes one path segment or one query value, exactly once.
pub(crate) fn component(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Encodes a `/`-separated path segment by segment. `None` for a path with a segment that ends with a dot: `.` and `..`
/// have a meaning in URLs that no encoding can take away, and of other names the service drops the dot, so that two
/// files would become one (Hadoop's driver refuses such names for the same reason).
pub(crate) fn path(path: &str) -> Option<String> {
    let mut encoded = String::with_capacity(path.len());
    for (index, segment) in path.split('/').enumerate() {
        if segment.ends_with('.') {
            return None;
        }
        if index > 0 {
            encoded.push('/');
        }
        encoded.extend(utf8_percent_encode(segment, RESERVED));
    }
    Some(encoded)
}

/// The value of `x-ms-properties`: `name=base64(value)`, comma separated.
pub(crate) fn properties(properties: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> =
        properties.iter().map(|(name, value)| format!("{name}={}", STANDARD.encode(value))).collect();
    pairs.join(",")
}

/// Reads `x-ms-properties`. A pair that is not base64 of UTF-8 was not written by this client and is left out.
pub(crate) fn parse_properties(header: &str) -> BTreeMap<String, String> {
    header
        .split(',')
        .filter_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            let value = String::from_utf8(STANDARD.decode(value).ok()?).ok()?;
            Some((name.to_owned(), value))
        })
        .collect()
}

/// The value of `x-ms-content-crc64`: CRC-64/NVME, eight bytes little-endian, base64.
pub(crate) fn crc64(data: &[u8]) -> String {
    STANDARD.encode(crc_fast::checksum(CrcAlgorithm::Crc64Nvme, data).to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_once_per_segment() {
        assert_eq!(path("data/a b/100%#?+&=.csv").unwrap(), "data/a%20b/100%25%23%3F%2B%26%3D.csv");
        assert_eq!(path("größe/日本").unwrap(), "gr%C3%B6%C3%9Fe/%E6%97%A5%E6%9C%AC");
        assert_eq!(path("a%20b").unwrap(), "a%2520b");
        assert_eq!(path("-._~").unwrap(), "-._~");
    }

    #[test]
    fn names_that_end_with_a_dot_are_refused() {
        assert_eq!(path("a/../b"), None);
        assert_eq!(path("./a"), None);
        assert_eq!(path("a/name."), None);
        assert_eq!(path("a/.hidden.b").unwrap(), "a/.hidden.b");
        assert_eq!(path("").unwrap(), "");
    }

    #[test]
    fn properties_come_back() {
        let written: BTreeMap<String, String> =
            [("source_id".to_owned(), "a,b=c".to_owned()), ("empty".to_owned(), String::new())].into();
        let header = properties(&written);
        assert_eq!(header, "empty=,source_id=YSxiPWM=");
        assert_eq!(parse_properties(&header), written);
        assert!(parse_properties("").is_empty());
    }

    #[test]
    fn crc64_is_the_services_polynomial() {
        // The value in the test vectors of the service's own client: 208604604655264165 for "Hello World!".
        assert_eq!(crc64(b"Hello World!"), STANDARD.encode(208_604_604_655_264_165_u64.to_le_bytes()));
        assert_eq!(crc64(b"123456789"), STANDARD.encode(0xAE8B_1486_0A79_9888_u64.to_le_bytes()));
    }
}
