//! Shared access signatures: a query that somebody with a key has signed, of an account, a service, a directory or by user
//! delegation. The client sends it as it is and knows nothing of what it allows.
//!
//! Every try is sent with the token that is in force at that moment, so one can be replaced before it expires.
//!
//! Contract: "Delegate access with a shared access signature" of the Azure Storage services REST reference; for renames the
//! header `x-ms-rename-source` of "Path - Create".

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use azure_core::http::headers::HeaderName;
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{Context, Request};

/// A signed query, encoded for a URL. Never printed.
#[derive(Clone, Eq, PartialEq)]
pub struct SasToken(Arc<str>);

impl SasToken {
    /// Takes a token as portals and tools show it, with or without the question mark. `None` if it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let query = text.strip_prefix('?').unwrap_or(text);
        let plain = query.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'?' | b'"'));
        let signed =
            query.split('&').any(|pair| pair.strip_prefix("sig=").is_some_and(|value| !value.is_empty()));
        (plain && signed).then(|| Self(query.into()))
    }
}

impl std::fmt::Debug for SasToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SasToken(redacted)")
    }
}

/// The token in force. Clones share it: whoever gets a new one puts it here, and every request from then on carries it.
#[derive(Clone, Debug)]
pub struct Sas(Arc<RwLock<SasToken>>);

impl Sas {
    pub fn new(token: SasToken) -> Self {
        Self(Arc::new(RwLock::new(token)))
    }

    pub fn renew(&self, token: SasToken) {
        // A poisoned lock only means that a holder panicked around one plain assignment.
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = token;
    }

    fn current(&self) -> SasToken {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Adds the token to the URL, and to the source of a rename, which is authorized for itself.
#[derive(Debug)]
pub(crate) struct SasPolicy(Sas);

impl SasPolicy {
    pub(crate) fn new(sas: Sas) -> Self {
        Self(sas)
    }
}

const RENAME_SOURCE: HeaderName = HeaderName::from_static("x-ms-rename-source");

#[async_trait]
impl Policy for SasPolicy {
    #[expect(
        elided_lifetimes_in_paths,
        reason = "the trait declares it so, and the expansion of async_trait must match"
    )]
    async fn send(&self, context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        let [policy, rest @ ..] = next else {
            return Err(azure_core::Error::with_message(
                azure_core::error::ErrorKind::Other,
                "the signing policy needs a transport behind it",
            ));
        };
        let SasToken(token) = self.0.current();
        let bare = request.url().clone();
        let query = match bare.query() {
            Some(query) if !query.is_empty() => format!("{query}&{token}"),
            _ => token.to_string(),
        };
        request.url_mut().set_query(Some(&query));
        let source = request.headers().get_optional_string(&RENAME_SOURCE);
        if let Some(source) = &source {
            request.insert_header(RENAME_SOURCE, format!("{source}?{token}"));
        }
        let answer = policy.send(context, request, rest).await;
        // The next try may carry another one.
        *request.url_mut() = bare;
        if let Some(source) = source {
            request.insert_header(RENAME_SOURCE, source);
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_taken_as_they_are_shown() {
        let plain = "sv=2023-11-03&sr=c&sp=rwdl&se=2030-01-01T00%3A00%3A00Z&sig=a%2Fb%2Bc%3D";
        for text in [plain.to_owned(), format!("?{plain}"), format!(" {plain}\n")] {
            assert_eq!(SasToken::parse(&text), Some(SasToken(plain.into())), "{text}");
        }
        for text in ["", "?", "sv=2023-11-03", "sig=", "sv=1&sig=a b", "sv=1&sig=x#y", "https://a/b?sig=x"] {
            assert_eq!(SasToken::parse(text), None, "{text}");
        }
    }

    #[test]
    fn tokens_are_never_printed() {
        let sas = Sas::new(SasToken::parse("sv=1&sig=secret").unwrap());
        assert!(!format!("{sas:?}").contains("secret"));
    }
}
