//! The continuation of a Path - List, in the service's own form. Hadoop's driver knows that form and makes one itself to begin
//! a listing in the middle of a directory: base64 of `CRC 0 NAME`. The page begins with NAME, whether or not it is there, and
//! CRC is the CRC-64/NVME of `NAME#$0` as a signed number.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crc_fast::CrcAlgorithm;

use crate::service_error::ServiceError;

/// `name`: relative to the directory that is listed; a path where the listing is recursive.
pub(super) fn token(name: &str) -> String {
    BASE64.encode(format!("{} 0 {name}", checksum(name)))
}

pub(super) fn parse(token: &str) -> Result<String, ServiceError> {
    // A client that puts the token into the query as it is has its `+` read as a space.
    let bytes = BASE64.decode(token.replace(' ', "+")).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let parts = text.as_deref().and_then(|text| text.split_once(" 0 "));
    match parts {
        Some((crc, name)) if crc.parse() == Ok(checksum(name)) => Ok(name.to_owned()),
        _ => {
            Err(ServiceError::invalid_query("continuation", "it is not the continuation of a list of paths"))
        }
    }
}

fn checksum(name: &str) -> i64 {
    crc_fast::checksum(CrcAlgorithm::Crc64Nvme, format!("{name}#$0").as_bytes()).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_back_and_others_refused() {
        for name in ["a", "dir/file 0 x", "\u{fc}>>>???", ""] {
            assert_eq!(parse(&token(name)).unwrap(), name);
            assert_eq!(parse(&token(name).replace('+', " ")).unwrap(), name);
        }
        let other = BASE64.encode(format!("{} 0 b", checksum("a")));
        for text in ["", "!", "YQ==", &other, &BASE64.encode("1 0"), &token("a")[1..]] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
