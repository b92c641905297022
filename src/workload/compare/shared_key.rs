//! SharedKey signatures: <https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key>, for requests
//! without a body.

use std::time::SystemTime;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, Method, RequestBuilder};
use url::Url;

const API_VERSION: &str = "2023-11-03";

/// RFC 3986: everything but the unreserved characters.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// Encodes each name of a path, not the slashes between them.
pub fn encode_path(path: &str) -> String {
    path.split('/').map(encode).collect::<Vec<_>>().join("/")
}

pub struct Account<'a> {
    pub name: &'a str,
    pub key: &'a hmac::Key,
}

impl Account<'_> {
    /// `path` is encoded and begins with a slash; `query` is not encoded.
    pub fn request(
        &self,
        http: &Client,
        method: Method,
        endpoint: &Url,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<RequestBuilder, url::ParseError> {
        let base = endpoint.as_str().trim_end_matches('/');
        let pairs: Vec<String> =
            query.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        let question = if pairs.is_empty() { "" } else { "?" };
        let url = Url::parse(&format!("{base}{path}{question}{}", pairs.join("&")))?;
        let date = httpdate::fmt_http_date(SystemTime::now());
        let text = self.string_to_sign(&method, url.path(), query, &date);
        let signature = STANDARD.encode(hmac::sign(self.key, text.as_bytes()));
        Ok(http
            .request(method, url)
            .header("x-ms-date", date)
            .header("x-ms-version", API_VERSION)
            .header("authorization", format!("SharedKey {}:{signature}", self.name)))
    }

    /// Method, eleven standard headers (all empty here), the `x-ms-` headers, account and path, the query in order of names.
    fn string_to_sign(&self, method: &Method, path: &str, query: &[(&str, &str)], date: &str) -> String {
        let mut sorted: Vec<_> = query.iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
        sorted.sort_unstable();
        let query: String = sorted.iter().map(|(name, value)| format!("\n{name}:{value}")).collect();
        let headers = format!("x-ms-date:{date}\nx-ms-version:{API_VERSION}");
        format!("{method}{}{headers}\n/{}{path}{query}", "\n".repeat(12), self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_once_each() {
        assert_eq!(
            encode_path("a b/100%/#1+2&3?/caf\u{e9}~-._"),
            "a%20b/100%25/%231%2B2%263%3F/caf%C3%A9~-._"
        );
    }

    #[test]
    fn the_string_to_sign_is_the_documented_one() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"key");
        let account = Account { name: "acct", key: &key };
        let query = [("resource", "filesystem"), ("Directory", "a b"), ("continuation", "x/=+")];
        assert_eq!(
            account.string_to_sign(&Method::GET, "/acct/fs/a%20b", &query, "DATE"),
            "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:DATE\nx-ms-version:2023-11-03\n\
             /acct/acct/fs/a%20b\ncontinuation:x/=+\ndirectory:a b\nresource:filesystem"
        );
    }
}
