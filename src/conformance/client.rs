//! Speaks to the endpoint as ARM does, or as a client of ARM does, and keeps every exchange.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use crate::exchange::{Exchange, Purpose};
use crate::profile::Speaks;
use crate::record::Recorder;
use crate::verdict::{Finding, Outcome, Stop};

/// A minute is what ARM waits (rule 101); a little more, so that a slower answer is seen to be one.
const PATIENCE: Duration = Duration::from_secs(75);
/// What clients wait where the server does not say (rule 79).
const PAUSE: Duration = Duration::from_secs(60);
/// The address that the client of ARM is told to have used.
const FRONT: &str = "https://arm.conformance.example";
const WHO: &str = "conformance@arm.conformance.example";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the certificate or key in {what} cannot be used")]
    Certificate { what: String, source: reqwest::Error },
    #[error("a certificate of a stranger cannot be made")]
    Stranger(#[from] rcgen::Error),
    #[error("an HTTP client cannot be made")]
    Client(#[from] reqwest::Error),
}

/// What proves who calls.
pub enum Credential {
    None,
    /// Certificate chain and key.
    Certificate {
        pem: Vec<u8>,
        what: String,
    },
    Bearer(String),
}

pub struct Connection {
    pub endpoint: Url,
    pub credential: Credential,
    /// Trusted instead of the system's authorities.
    pub authority_pem: Option<Vec<u8>>,
    pub speaks: Speaks,
    pub api_version: String,
    /// Never shown.
    pub secrets: Vec<String>,
}

/// Callers who must be refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stranger {
    WithoutCredential,
    /// A certificate that nobody vouches for.
    ForeignCertificate,
    WorthlessToken,
}

pub struct Client {
    http: reqwest::Client,
    without_certificate: reqwest::Client,
    foreign_certificate: reqwest::Client,
    base: String,
    bearer: Option<String>,
    has_certificate: bool,
    pub speaks: Speaks,
    api_version: String,
    secrets: Vec<String>,
    exchanges: Mutex<Vec<Arc<Exchange>>>,
    recorder: Option<Recorder>,
}

/// A request that is being put together.
pub struct Call<'a> {
    client: &'a Client,
    method: Method,
    address: String,
    version: Option<String>,
    headers: Vec<(String, String)>,
    without: Vec<&'static str>,
    body: Option<(&'static str, Bytes)>,
    purpose: Purpose,
    odd: bool,
}

impl Client {
    /// Contacts nobody yet. A process-wide rustls provider must be installed.
    pub fn new(connection: Connection, recorder: Option<Recorder>) -> Result<Self, Error> {
        let builder = || -> Result<reqwest::ClientBuilder, Error> {
            let builder = reqwest::Client::builder()
                .timeout(PATIENCE)
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none());
            Ok(match &connection.authority_pem {
                None => builder,
                Some(pem) => {
                    let certificates = reqwest::Certificate::from_pem_bundle(pem)
                        .map_err(|source| Error::Certificate { what: "--ca".into(), source })?;
                    builder.tls_certs_only(certificates)
                }
            })
        };
        let identity = |pem: &[u8], what: &str| {
            reqwest::Identity::from_pem(pem)
                .map_err(|source| Error::Certificate { what: what.to_owned(), source })
        };
        let mut http = builder()?;
        let (mut bearer, mut has_certificate) = (None, false);
        match &connection.credential {
            Credential::None => {}
            Credential::Bearer(token) => bearer = Some(token.clone()),
            Credential::Certificate { pem, what } => {
                has_certificate = true;
                http = http.identity(identity(pem, what)?);
            }
        }
        let made = rcgen::generate_simple_self_signed(vec!["arm.conformance.example".to_owned()])?;
        let foreign = format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem());
        let mut secrets = connection.secrets;
        secrets.extend(bearer.clone());
        Ok(Self {
            http: http.build()?,
            without_certificate: builder()?.build()?,
            foreign_certificate: builder()?.identity(identity(foreign.as_bytes(), "a stranger")?).build()?,
            base: connection.endpoint.as_str().trim_end_matches('/').to_owned(),
            bearer,
            has_certificate,
            speaks: connection.speaks,
            api_version: connection.api_version,
            secrets,
            exchanges: Mutex::default(),
            recorder,
        })
    }

    pub fn is_provider(&self) -> bool {
        self.speaks == Speaks::Provider
    }

    pub fn has_certificate(&self) -> bool {
        self.has_certificate
    }

    pub fn has_token(&self) -> bool {
        self.bearer.is_some()
    }

    /// Scheme, host and port of the addresses that are given to clients of ARM.
    pub fn front(&self) -> String {
        match self.speaks {
            Speaks::Provider => FRONT.to_owned(),
            Speaks::FrontDoor => self.base.clone(),
        }
    }

    pub fn exchanges(&self) -> Vec<Arc<Exchange>> {
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn get(&self, path: &str) -> Call<'_> {
        self.call(Method::GET, path)
    }

    pub fn put(&self, path: &str, body: &Value) -> Call<'_> {
        self.call(Method::PUT, path).json(body)
    }

    pub fn patch(&self, path: &str, body: &Value) -> Call<'_> {
        self.call(Method::PATCH, path).json(body)
    }

    pub fn delete(&self, path: &str) -> Call<'_> {
        self.call(Method::DELETE, path)
    }

    pub fn post(&self, path: &str) -> Call<'_> {
        self.call(Method::POST, path)
    }

    pub fn call(&self, method: Method, path: &str) -> Call<'_> {
        Call {
            client: self,
            method,
            address: path.to_owned(),
            version: Some(self.api_version.clone()),
            headers: Vec::new(),
            without: Vec::new(),
            body: None,
            purpose: Purpose::Resource,
            odd: false,
        }
    }

    /// An address that the endpoint gave, which a client of ARM would send to ARM.
    pub fn follow(&self, link: &str, purpose: Purpose) -> Call<'_> {
        let address = match Url::parse(link) {
            Ok(url) => url[url::Position::BeforePath..url::Position::AfterQuery].to_owned(),
            Err(_) => link.to_owned(),
        };
        Call { version: None, purpose, ..self.call(Method::GET, &address) }
    }

    /// Waits until the operation that an exchange began has ended; its last look at it. `None`: there was no operation.
    pub async fn finish(&self, begun: &Exchange, limit: Duration) -> Outcome<Option<Arc<Exchange>>> {
        let Some((link, purpose)) = begun.operation() else { return Ok(None) };
        let deadline = Instant::now() + limit;
        loop {
            let look = self.follow(link, purpose).send().await?;
            let goes_on = match purpose {
                Purpose::OperationResult => look.status == 202,
                _ => {
                    look.status_is(&[200], "the status of an operation can be read")?;
                    !matches!(look.text("/status"), Some("Succeeded" | "Failed" | "Canceled"))
                }
            };
            if !goes_on {
                return Ok(Some(look));
            }
            let pause = look.header("retry-after").and_then(|text| text.parse().ok());
            let pause = pause.map_or(PAUSE, Duration::from_secs);
            if Instant::now() + pause > deadline {
                return Err(look.failure(format!("the operation to end within {} s", limit.as_secs())));
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// What may be shown of a text.
    pub fn redacted(&self, text: &str) -> String {
        let secrets = self.secrets.iter().filter(|secret| !secret.is_empty());
        secrets.fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "(secret)"))
    }

    pub fn redact(&self, finding: &mut Finding) {
        for text in [&mut finding.sent, &mut finding.came_back, &mut finding.wanted] {
            *text = self.redacted(text);
        }
    }

    /// Whether all could be recorded.
    pub fn recorded(&self) -> std::io::Result<()> {
        self.recorder.as_ref().map_or(Ok(()), Recorder::finish)
    }

    fn keep(&self, exchange: Exchange) -> Arc<Exchange> {
        let exchange = Arc::new(exchange);
        let mut exchanges = self.exchanges.lock().unwrap_or_else(PoisonError::into_inner);
        exchanges.push(Arc::clone(&exchange));
        if let Some(recorder) = &self.recorder {
            recorder.record(exchanges.len(), &exchange, &|text| self.redacted(text));
        }
        exchange
    }
}

/// `x-ms-arm-resource-system-data` of a write by somebody.
pub fn system_data(who: &str) -> String {
    let now = time::OffsetDateTime::now_utc();
    let at = now.format(&time::format_description::well_known::Rfc3339).unwrap_or_default();
    json!({
        "createdBy": who, "createdByType": "User", "createdAt": at,
        "lastModifiedBy": who, "lastModifiedByType": "User", "lastModifiedAt": at
    })
    .to_string()
}

impl Call<'_> {
    /// Replaces what would be sent otherwise.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Leaves out a header that ARM would add.
    pub fn without(mut self, name: &'static str) -> Self {
        self.without.push(name);
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.raw("application/json", body.to_string())
    }

    pub fn raw(mut self, media_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.body = Some((media_type, body.into()));
        self
    }

    pub fn version(mut self, version: &str) -> Self {
        self.version = Some(version.to_owned());
        self
    }

    /// Says that the request is not what a description of the API lets a client send, whatever comes back.
    pub fn odd(mut self) -> Self {
        self.odd = true;
        self
    }

    pub fn without_version(mut self) -> Self {
        self.version = None;
        self
    }

    fn target(&self) -> String {
        let separator = if self.address.contains('?') { '&' } else { '?' };
        match &self.version {
            Some(version) => format!("{}{separator}api-version={version}", self.address),
            None => self.address.clone(),
        }
    }

    fn complete_headers(&self, target: &str) -> Vec<(String, String)> {
        let mut headers = vec![
            ("x-ms-client-request-id".to_owned(), uuid::Uuid::new_v4().to_string()),
            ("accept".to_owned(), "application/json".to_owned()),
        ];
        if self.client.is_provider() {
            headers.push(("referer".to_owned(), format!("{FRONT}{target}")));
            headers.push(("x-ms-correlation-request-id".to_owned(), uuid::Uuid::new_v4().to_string()));
            if !matches!(self.method, Method::GET | Method::HEAD) {
                headers.push(("x-ms-arm-resource-system-data".to_owned(), system_data(WHO)));
            }
        }
        if let Some((media_type, _)) = &self.body {
            headers.push(("content-type".to_owned(), (*media_type).to_owned()));
        }
        headers.retain(|(name, _)| {
            !self.without.contains(&name.as_str()) && !self.headers.iter().any(|(given, _)| given == name)
        });
        headers.extend(self.headers.iter().cloned());
        headers
    }

    pub async fn send(self) -> Outcome<Arc<Exchange>> {
        let (client, bearer) = (self.client, self.client.bearer.clone());
        self.send_over(&client.http, bearer).await.map_err(|(unanswered, error)| {
            let mut text = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(error) = cause {
                text = format!("{text}: {error}");
                cause = error.source();
            }
            Stop::Failed(Box::new(Finding {
                sent: unanswered,
                came_back: format!("no answer: {text}"),
                wanted: "an answer within 60 s".into(),
            }))
        })
    }

    /// As somebody who must be refused; `None`: there was no connection.
    pub async fn send_as(mut self, stranger: Stranger) -> Option<Arc<Exchange>> {
        self.purpose = Purpose::Stranger;
        let (http, bearer) = match stranger {
            Stranger::WithoutCredential => (&self.client.without_certificate, None),
            Stranger::ForeignCertificate => (&self.client.foreign_certificate, None),
            Stranger::WorthlessToken => {
                let token = self.client.bearer.as_deref().unwrap_or_default();
                let signature = token.rfind('.').map_or(0, |at| at + 1);
                let claims = token.get(..signature).unwrap_or_default();
                (&self.client.http, Some(format!("{claims}{}", "A".repeat(token.len() - signature))))
            }
        };
        let http = http.clone();
        self.send_over(&http, bearer).await.ok()
    }

    async fn send_over(
        self,
        http: &reqwest::Client,
        bearer: Option<String>,
    ) -> Result<Arc<Exchange>, (String, reqwest::Error)> {
        let client = self.client;
        let target = self.target();
        let headers = self.complete_headers(&target);
        let mut request = http.request(self.method.clone(), format!("{}{target}", client.base));
        for (name, value) in &headers {
            request = request.header(name, value);
        }
        if let Some(token) = bearer {
            request = request.bearer_auth(token);
        }
        if let Some((_, body)) = &self.body {
            request = request.body(body.clone());
        }
        let began = Instant::now();
        let unanswered = |error| (format!("{} {target}", self.method), error);
        let response = request.send().await.map_err(unanswered)?;
        let status = response.status().as_u16();
        let received = response.headers().iter();
        let received = received
            .map(|(name, value)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect();
        let body = response.bytes().await.map_err(unanswered)?;
        let sent_body = self.body.as_ref().map(|(_, body)| String::from_utf8_lossy(body).into_owned());
        Ok(client.keep(Exchange {
            purpose: self.purpose,
            odd: self.odd,
            method: name_of(&self.method),
            address: target,
            sent_headers: headers,
            special_headers: self.headers,
            sent_body,
            status,
            headers: received,
            json: serde_json::from_slice(&body).unwrap_or(Value::Null),
            body,
            took: began.elapsed(),
        }))
    }
}

fn name_of(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "POST" => "POST",
        "DELETE" => "DELETE",
        _ => "other",
    }
}
