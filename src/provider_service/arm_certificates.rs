//! The certificates by which Azure Resource Manager proves who it is, fetched and kept fresh.
//!
//! ARM publishes them at `GET {address}/metadata/authentication?api-version=2015-01-01` (rule 121 of the contract suite), as
//! `clientCertificates[{thumbprint, notBefore, notAfter, certificate}]`. The list replaces the one before as a whole. It is
//! fetched at the start and every hour; after a failure sooner again. When none could be fetched for [`MAX_AGE`], ARM is
//! refused until one can: the log says so from the first failure on. Redirects are refused: who may send us elsewhere could
//! name other certificates.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use livedata_pki::{PublishedCertificates, inspect};
use rustls::pki_types::CertificateDer;
use serde::Deserialize;
use tokio::task::JoinHandle;
use url::Url;

/// How long a list is believed after it was fetched.
pub const MAX_AGE: Duration = Duration::from_secs(24 * 3600);
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// A list is a few kilobytes.
const MAX_BYTES: usize = 1024 * 1024;

/// How often the list is fetched.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub refresh: Duration,
    /// After a failure: doubled with each that follows, up to `refresh`.
    pub retry: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { refresh: Duration::from_secs(3600), retry: Duration::from_secs(15) }
    }
}

/// Why no list was taken over.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("there was no answer")]
    Unavailable(#[from] reqwest::Error),
    #[error("the answer was status {0}")]
    Status(u16),
    #[error("the answer is longer than {MAX_BYTES} bytes")]
    TooLong,
    #[error("the answer is not a list of certificates")]
    Format(#[from] serde_json::Error),
    #[error("a certificate in the list cannot be read: {0}")]
    Certificate(String),
    /// Taken over, it would shut everybody out.
    #[error("the list holds no certificate")]
    Empty,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Published {
    client_certificates: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    /// DER in Base64.
    certificate: String,
}

/// Keeps the list fresh for as long as it is held.
pub struct ArmCertificates {
    task: JoinHandle<()>,
}

impl ArmCertificates {
    /// Nobody is in the list before the first answer; front doors can call meanwhile.
    pub fn start(
        from: Url,
        tls: rustls::ClientConfig,
        list: Arc<PublishedCertificates>,
        pace: Pace,
    ) -> reqwest::Result<Self> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            // Whoever sits on the way could name the certificates.
            .https_only(true)
            .timeout(ANSWER_WITHIN)
            .build()?;
        let task = tokio::spawn(async move {
            let (mut wait, mut retry);
            (wait, retry) = pace.after(refresh(&http, &from, &list).await, pace.retry);
            loop {
                tokio::time::sleep(wait).await;
                (wait, retry) = pace.after(refresh(&http, &from, &list).await, retry);
            }
        });
        Ok(Self { task })
    }
}

impl Drop for ArmCertificates {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Pace {
    /// When to fetch again, and how long to wait after the failure that may come then.
    fn after(self, fetched: bool, retry: Duration) -> (Duration, Duration) {
        if fetched { (self.refresh, self.retry) } else { (retry, (retry * 2).min(self.refresh)) }
    }
}

async fn refresh(http: &reqwest::Client, from: &Url, list: &PublishedCertificates) -> bool {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    match fetch(http, from).await {
        Ok(certificates) => {
            tracing::info!(%from, certificates = certificates.len(), "the certificates of Azure Resource Manager were fetched");
            list.replace(certificates, now());
            true
        }
        Err(error) => {
            let believed = list.check_current(now());
            tracing::warn!(
                %from,
                error = &error as &dyn std::error::Error,
                calls_of_arm_are_refused = believed.is_err(),
                "the certificates of Azure Resource Manager could not be fetched"
            );
            false
        }
    }
}

/// The list as it is published now.
pub async fn fetch(http: &reqwest::Client, from: &Url) -> Result<Vec<CertificateDer<'static>>, FetchError> {
    let mut url = from.clone();
    url.set_path("/metadata/authentication");
    url.set_query(Some("api-version=2015-01-01"));
    let mut response = http.get(url).send().await?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(FetchError::Status(response.status().as_u16()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_BYTES {
            return Err(FetchError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    parse(&body)
}

fn parse(body: &[u8]) -> Result<Vec<CertificateDer<'static>>, FetchError> {
    let published: Published = serde_json::from_slice(body)?;
    let read = |entry: Entry| {
        let unreadable = |error: &dyn std::fmt::Display| FetchError::Certificate(error.to_string());
        let der = STANDARD.decode(entry.certificate).map_err(|error| unreadable(&error))?;
        let certificate = CertificateDer::from(der);
        inspect::validity(&certificate).map_err(|error| unreadable(&error))?;
        Ok::<_, FetchError>(certificate)
    };
    let certificates = published.client_certificates.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    if certificates.is_empty() { Err(FetchError::Empty) } else { Ok(certificates) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_tried_again_sooner_and_then_less_often() {
        let pace = Pace::default();
        let (mut wait, mut retry) = pace.after(false, pace.retry);
        assert_eq!(wait, pace.retry);
        for _ in 0..20 {
            let before = wait;
            (wait, retry) = pace.after(false, retry);
            assert!(wait >= before && wait <= pace.refresh);
        }
        assert_eq!(wait, pace.refresh);
        assert_eq!(pace.after(true, retry), (pace.refresh, pace.retry));
    }

    #[test]
    fn what_is_not_a_list_of_certificates_is_not_taken_for_one() {
        for (text, wanted) in [
            ("{}", "not a list"),
            ("<html>", "not a list"),
            (r#"{"clientCertificates": []}"#, "no certificate"),
            (r#"{"clientCertificates": [{"certificate": "%%"}]}"#, "cannot be read"),
            (r#"{"clientCertificates": [{"certificate": "MIIB"}]}"#, "cannot be read"),
        ] {
            let told = parse(text.as_bytes()).unwrap_err().to_string();
            assert!(told.contains(wanted), "{text}: {told}");
        }
    }
}
