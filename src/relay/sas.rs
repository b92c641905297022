//! Shared access signatures: the bearer tokens of a relay.
//!
//! `SharedAccessSignature sr={resource}&sig={signature}&se={unix seconds}&skn={rule name}` where the signature is
//! HMAC-SHA256 over `sr` *exactly as it stands in the token* plus a newline and `se`. Client libraries escape `sr` in
//! different ways (`%3A` or `%3a`, with or without port), so verification works on the raw text and only then decodes.
//! The key is the text of the key string itself, not its base64 content. Time is passed in, in seconds since 1970.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::address::Resource;

const SCHEME: &str = "SharedAccessSignature";
/// Everything but RFC 3986 "unreserved" is escaped, with upper-case digits.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What is shown to a relay as proof. Opaque to the protocol: a shared access signature or another bearer token.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Mints a shared access signature for `resource` (see [`crate::Endpoint::resource`]), valid until
    /// `expires_at_seconds` (Unix time).
    pub fn sign(resource: &str, key_name: &str, key: &str, expires_at_seconds: u64) -> Self {
        let raw_resource = utf8_percent_encode(resource, ESCAPED).to_string();
        Self::sign_raw(&raw_resource, key_name, key, expires_at_seconds)
    }

    fn sign_raw(raw_resource: &str, key_name: &str, key: &str, expires_at_seconds: u64) -> Self {
        let tag = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()),
            format!("{raw_resource}\n{expires_at_seconds}").as_bytes(),
        );
        let signature = STANDARD.encode(tag.as_ref());
        Self(format!(
            "{SCHEME} sr={raw_resource}&sig={}&se={expires_at_seconds}&skn={}",
            utf8_percent_encode(&signature, ESCAPED),
            utf8_percent_encode(key_name, ESCAPED)
        ))
    }

    /// The text that goes over the wire. A secret: never log it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// A token text that has the form of a shared access signature; nothing about it is proved yet.
#[derive(Clone)]
pub struct SharedAccessSignature {
    raw_resource: String,
    resource: Resource,
    signature: Vec<u8>,
    pub expires_at_seconds: u64,
    pub key_name: String,
}

/// The text is not a shared access signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed token: {0}")]
pub struct Malformed(&'static str);

impl SharedAccessSignature {
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let (scheme, fields) = text.trim().split_once(' ').ok_or(Malformed("no scheme"))?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return Err(Malformed("the scheme is not SharedAccessSignature"));
        }
        let (mut sr, mut sig, mut se, mut skn) = (None, None, None, None);
        for field in fields.trim().split('&') {
            let (name, value) = field.split_once('=').ok_or(Malformed("a field has no value"))?;
            let slot = match name {
                "sr" => &mut sr,
                "sig" => &mut sig,
                "se" => &mut se,
                "skn" => &mut skn,
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return Err(Malformed("a field stands twice"));
            }
        }
        let raw_resource = sr.ok_or(Malformed("sr is missing"))?.to_owned();
        let decoded = decode(&raw_resource)?;
        let signature = decode(sig.ok_or(Malformed("sig is missing"))?)?;
        Ok(Self {
            resource: Resource::from_uri(&decoded).ok_or(Malformed("sr names no host"))?,
            raw_resource,
            signature: STANDARD.decode(signature).map_err(|_| Malformed("sig is not base64"))?,
            expires_at_seconds: se
                .ok_or(Malformed("se is missing"))?
                .parse()
                .map_err(|_| Malformed("se is not a number"))?,
            key_name: decode(skn.ok_or(Malformed("skn is missing"))?)?,
        })
    }

    /// Whether `key` made this signature; takes the same time wherever the first difference is.
    pub fn is_signed_with(&self, key: &str) -> bool {
        hmac::verify(
            &hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()),
            format!("{}\n{}", self.raw_resource, self.expires_at_seconds).as_bytes(),
            &self.signature,
        )
        .is_ok()
    }

    /// What the token is for.
    pub fn resource(&self) -> &Resource {
        &self.resource
    }
}

fn decode(escaped: &str) -> Result<String, Malformed> {
    percent_decode_str(escaped)
        .decode_utf8()
        .map(|text| text.into_owned())
        .map_err(|_| Malformed("a field is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPPER: &str = "SharedAccessSignature sr=http%3A%2F%2Fns.example%3A443%2Fhyco&sig=wOkTJGTorr6aPbz0VBp%2FqP0Fb%2Fbxmh5LWuKYR41vlis%3D&se=1795425077&skn=agent";
    const LOWER: &str = "SharedAccessSignature sr=http%3a%2f%2fns.example%2fhyco%2f&sig=%2F0EwyUgeqrgjTbh%2Bj2ICbxuoBytFsFu1BlbEsLofv9A%3D&se=1795425077&skn=agent";

    #[test]
    fn minting_gives_the_published_vector() {
        let token = Token::sign("http://ns.example:443/hyco", "agent", "secretkey", 1_795_425_077);
        assert_eq!(token.expose(), UPPER);
    }

    #[test]
    fn both_escape_styles_verify_over_the_raw_text() {
        for text in [UPPER, LOWER] {
            let parsed = SharedAccessSignature::parse(text).unwrap();
            assert!(parsed.is_signed_with("secretkey"), "{text}");
            assert!(!parsed.is_signed_with("secretkey2"), "{text}");
            assert_eq!(parsed.key_name, "agent");
            assert_eq!(*parsed.resource(), Resource::new("ns.example", "hyco"));
        }
    }

    #[test]
    fn another_spelling_of_the_same_resource_breaks_the_signature() {
        let respelled = LOWER.replace("%3a%2f%2f", "%3A%2F%2F");
        let parsed = SharedAccessSignature::parse(&respelled).unwrap();
        assert_eq!(*parsed.resource(), Resource::new("ns.example", "hyco"));
        assert!(!parsed.is_signed_with("secretkey"));
    }

    #[test]
    fn malformed_texts_are_refused() {
        for text in [
            "",
            "Bearer abc",
            "SharedAccessSignature",
            "SharedAccessSignature sr=http%3A%2F%2Fh%2F",
            "SharedAccessSignature sr=http%3A%2F%2Fh%2F&sig=%%%&se=1&skn=a",
            "SharedAccessSignature sr=http%3A%2F%2Fh%2F&sig=AAAA&se=soon&skn=a",
            "SharedAccessSignature sr=http%3A%2F%2Fh%2F&sr=http%3A%2F%2Fh%2F&sig=AAAA&se=1&skn=a",
            "SharedAccessSignature sr=%ff&sig=AAAA&se=1&skn=a",
        ] {
            assert!(SharedAccessSignature::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_token_does_not_show_itself() {
        assert_eq!(format!("{:?}", Token::new("secret")), "Token(…)");
    }
}
