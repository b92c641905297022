//! Extended attributes as user properties of a target, and back.
//!
//! A property is called `livedata_xattr_` and the attribute's name, in which everything but lower-case letters and digits
//! is written as `_` and two hexadecimal digits per byte: legal as a property name, and unharmed by a service that
//! does not tell upper case from lower. Its value is the attribute's value in base64.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

const PREFIX: &str = "livedata_xattr_";

/// Names and values of all user properties of a path together: the limit for a blob's metadata, which they are, in
/// <https://learn.microsoft.com/rest/api/storageservices/setting-and-retrieving-properties-and-metadata-for-blob-resources>.
const SERVICE_LIMIT_BYTES: usize = 8 * 1024;

/// Kept free for the properties that say where a copy came from.
const OTHER_PROPERTIES_BYTES: usize = 512;

/// What the properties of one path's extended attributes may take.
const LIMIT_BYTES: usize = SERVICE_LIMIT_BYTES - OTHER_PROPERTIES_BYTES;

/// The attributes of one path do not fit.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "its extended attributes need {needed_bytes} bytes as properties of the target and {LIMIT_BYTES} are allowed; the \
     largest is {attribute} with a value of {value_bytes} bytes: remove or shorten it at the source"
)]
pub struct TooLarge {
    /// The one that takes most.
    pub attribute: String,
    pub value_bytes: usize,
    pub needed_bytes: usize,
}

/// The properties that hold these attributes.
pub fn properties_of(xattrs: &BTreeMap<String, Vec<u8>>) -> Result<BTreeMap<String, String>, TooLarge> {
    let size = |name: &str, value: &[u8]| property_name(name).len() + BASE64.encode(value).len();
    let needed_bytes = xattrs.iter().map(|(name, value)| size(name, value)).sum();
    let largest = xattrs.iter().max_by_key(|(name, value)| size(name, value));
    if let Some((attribute, value)) = largest.filter(|_| needed_bytes > LIMIT_BYTES) {
        return Err(TooLarge { attribute: attribute.clone(), value_bytes: value.len(), needed_bytes });
    }
    Ok(xattrs.iter().map(|(name, value)| (property_name(name), BASE64.encode(value))).collect())
}

/// The attributes that these properties hold; other properties, and what [`properties_of`] cannot have written, are left out.
pub fn xattrs_of(properties: &BTreeMap<String, String>) -> BTreeMap<String, Vec<u8>> {
    let read = |(name, value): (&String, &String)| {
        let name = name.to_ascii_lowercase();
        Some((attribute_name(name.strip_prefix(PREFIX)?)?, BASE64.decode(value).ok()?))
    };
    properties.iter().filter_map(read).collect()
}

fn property_name(attribute: &str) -> String {
    let mut name = PREFIX.to_owned();
    for byte in attribute.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' => name.push(byte.into()),
            _ => name.push_str(&format!("_{byte:02x}")),
        }
    }
    name
}

fn attribute_name(encoded: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'_' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xattrs(pairs: &[(&str, &[u8])]) -> BTreeMap<String, Vec<u8>> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect()
    }

    #[test]
    fn attributes_come_back_whatever_they_are_called_and_hold() {
        let every_byte: Vec<u8> = (0..=255).collect();
        let written = xattrs(&[
            ("user.origin", b"hdfs"),
            ("user.Origin", b"another"),
            ("user.größe_2e_", &every_byte),
            ("user.empty", b""),
            ("trusted.a-b c=,;\"", b"\0"),
        ]);
        let mut properties = properties_of(&written).unwrap();
        assert_eq!(properties.len(), written.len());
        assert_eq!(properties["livedata_xattr_user_2eorigin"], "aGRmcw==");
        let distinct: std::collections::BTreeSet<String> =
            properties.keys().map(|name| name.to_ascii_lowercase()).collect();
        assert_eq!(distinct.len(), written.len(), "names that differ in case only stay apart");
        for name in properties.keys() {
            assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{name}");
        }
        properties.insert("livedata_source_id".to_owned(), "00".to_owned());
        assert_eq!(xattrs_of(&properties), written);
        let shouted = properties.into_iter().map(|(name, value)| (name.to_uppercase(), value)).collect();
        assert_eq!(xattrs_of(&shouted), written, "a service may change the case of names");
    }

    #[test]
    fn foreign_properties_are_no_attributes() {
        for (name, value) in
            [("livedata_xattr_a_", "YQ=="), ("livedata_xattr_a_g0", "YQ=="), ("xattr", "YQ==")]
        {
            assert!(xattrs_of(&[(name.to_owned(), value.to_owned())].into()).is_empty(), "{name}");
        }
        assert!(xattrs_of(&[("livedata_xattr_a".to_owned(), "not base64".to_owned())].into()).is_empty());
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_size() {
        let name = property_name("user.big").len();
        let room = (LIMIT_BYTES - name) / 4 * 3;
        properties_of(&xattrs(&[("user.big", &vec![7; room])])).unwrap();
        let both = xattrs(&[("user.big", &vec![7; room]), ("user.small", b"x")]);
        let error = properties_of(&both).unwrap_err();
        assert_eq!((error.attribute.as_str(), error.value_bytes), ("user.big", room));
        assert!(error.needed_bytes > LIMIT_BYTES);
        assert!(error.to_string().contains("user.big"), "{error}");
    }
}
