//! Shared Key authorization: every try is dated and signed anew, because the service refuses dates older than 15 minutes
//! and signatures cover the date.
//!
//! Contract: "Authorize with Shared Key" of the Azure Storage services REST reference, version 2015-02-21 and later.

use std::fmt::Write as _;
use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::hmac;
use azure_core::http::headers::{HeaderName, Headers};
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{Context, Method, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;
use zeroize::Zeroizing;

use crate::clock::time_of_day;

/// A storage account's key. It never leaves this type: only signatures do.
#[derive(Clone)]
pub struct AccountKey(Arc<hmac::Key>);

impl AccountKey {
    /// Takes the key as the portal shows it. `None` if it is not base64 or empty.
    pub fn from_base64(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).ok()?);
        (!bytes.is_empty()).then(|| Self(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &bytes))))
    }

    fn sign(&self, text: &str) -> String {
        STANDARD.encode(hmac::sign(&self.0, text.as_bytes()))
    }
}

impl std::fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AccountKey(redacted)")
    }
}

/// Sets `x-ms-date` and `Authorization`. Must be the last policy that touches the request.
#[derive(Debug)]
pub(crate) struct SharedKeyPolicy {
    account: String,
    key: AccountKey,
}

impl SharedKeyPolicy {
    pub(crate) fn new(account: String, key: AccountKey) -> Self {
        Self { account, key }
    }
}

#[async_trait]
impl Policy for SharedKeyPolicy {
    #[expect(
        elided_lifetimes_in_paths,
        reason = "the trait declares it so, and the expansion of async_trait must match"
    )]
    async fn send(&self, context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        request.insert_header("x-ms-date", httpdate::fmt_http_date(time_of_day()));
        let text = string_to_sign(&self.account, request.method(), request.url(), request.headers());
        request
            .insert_header("authorization", format!("SharedKey {}:{}", self.account, self.key.sign(&text)));
        match next {
            [policy, rest @ ..] => policy.send(context, request, rest).await,
            [] => Err(azure_core::Error::with_message(
                azure_core::error::ErrorKind::Other,
                "the signing policy needs a transport behind it",
            )),
        }
    }
}

/// The standard headers of the string to sign, in its order.
const SIGNED_HEADERS: [&str; 11] = [
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
];

fn string_to_sign(account: &str, method: Method, url: &Url, headers: &Headers) -> String {
    let mut text = method.as_str().to_owned();
    for name in SIGNED_HEADERS {
        let value = headers.get_optional_str(&HeaderName::from_static(name)).unwrap_or_default();
        text.push('\n');
        // Since version 2015-02-21 a length of zero is signed as an empty line.
        if !(name == "content-length" && value == "0") {
            text.push_str(value);
        }
    }
    text.push('\n');
    let mut extension_headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().trim()))
        .filter(|(name, _)| name.starts_with("x-ms-"))
        .collect();
    extension_headers.sort_unstable();
    for (name, value) in extension_headers {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name}:{value}");
    }
    canonical_resource(&mut text, account, url);
    text
}

/// `/account` + the path as sent, then each query parameter on a line, decoded, names in lower case and sorted.
fn canonical_resource(text: &mut String, account: &str, url: &Url) {
    text.push('/');
    text.push_str(account);
    text.push_str(url.path());
    let mut parameters: Vec<(String, String)> =
        url.query_pairs().map(|(name, value)| (name.to_lowercase(), value.into_owned())).collect();
    parameters.sort();
    let mut previous: Option<String> = None;
    for (name, value) in parameters {
        if previous.as_deref() == Some(name.as_str()) {
            text.push(',');
        } else {
            let _ = write!(text, "\n{name}:");
        }
        text.push_str(&value);
        previous = Some(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(account: &str, url: &str) -> String {
        let mut text = String::new();
        canonical_resource(&mut text, account, &url.parse().unwrap());
        text
    }

    #[test]
    fn the_documented_get_container_metadata_request() {
        let url =
            "https://myaccount.blob.core.windows.net/mycontainer?restype=container&comp=metadata&timeout=20";
        let mut headers = Headers::new();
        headers.insert("x-ms-version", "2015-02-21");
        headers.insert("x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT");
        assert_eq!(
            string_to_sign("myaccount", Method::Get, &url.parse().unwrap(), &headers),
            "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n\
             /myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20"
        );
    }

    #[test]
    fn the_documented_list_request_joins_repeated_parameters() {
        let url = "https://myaccount.blob.core.windows.net/mycontainer?restype=container&comp=list&include=snapshots\
                   &include=metadata&include=uncommittedblobs";
        assert_eq!(
            canonical("myaccount", url),
            "/myaccount/mycontainer\ncomp:list\ninclude:metadata,snapshots,uncommittedblobs\nrestype:container"
        );
    }

    #[test]
    fn the_path_is_signed_as_sent_and_the_query_decoded() {
        assert_eq!(
            canonical(
                "acct",
                "https://acct.dfs.core.windows.net/fs/a%20b%25?continuation=x%2By%3D&Action=append"
            ),
            "/acct/fs/a%20b%25\naction:append\ncontinuation:x+y="
        );
    }

    #[test]
    fn path_style_repeats_the_account() {
        assert_eq!(canonical("acct", "http://127.0.0.1:10000/acct/fs/x"), "/acct/acct/fs/x");
    }

    #[test]
    fn a_length_counts_unless_it_is_zero() {
        let url: Url = "https://acct.dfs.core.windows.net/fs/x".parse().unwrap();
        let mut headers = Headers::new();
        headers.insert("content-length", "11");
        headers.insert("if-none-match", "*");
        let text = string_to_sign("acct", Method::Put, &url, &headers);
        assert_eq!(text, "PUT\n\n\n11\n\n\n\n\n\n*\n\n\n/acct/fs/x");
        headers.insert("content-length", "0");
        let text = string_to_sign("acct", Method::Put, &url, &headers);
        assert_eq!(text, "PUT\n\n\n\n\n\n\n\n\n*\n\n\n/acct/fs/x");
    }

    #[test]
    fn signatures_are_hmac_sha256() {
        // RFC 4231, test case 2.
        let key = AccountKey::from_base64(&STANDARD.encode("Jefe")).unwrap();
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let signature = STANDARD.decode(key.sign("what do ya want for nothing?")).unwrap();
        let hexadecimal: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hexadecimal, expected);
    }

    #[test]
    fn keys_are_checked_and_never_printed() {
        assert!(AccountKey::from_base64("not base64!").is_none());
        assert!(AccountKey::from_base64("").is_none());
        let text = STANDARD.encode("Jefe");
        let printed = format!("{:?}", AccountKey::from_base64(&text).unwrap());
        assert_eq!(printed, "AccountKey(redacted)");
    }
}
