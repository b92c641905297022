//! A small client of Azure Resource Manager: signs in with a client secret, follows long-running operations.
//!
//! For programs that create what they need and for tests that look at what a user would see; users have `az`. Every call
//! is one that any ARM client makes. A token is asked for anew when it is close to its end.

use std::time::Duration;

use livedata_pki::trust;
use reqwest::{Method, Response};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};
use url::Url;

/// Longest wait for an operation; those of the provider end within 30 s.
const OPERATION_WITHIN: Duration = Duration::from_secs(120);
const REQUEST_WITHIN: Duration = Duration::from_secs(60);
/// A token is not used in its last minute.
const MARGIN: Duration = Duration::from_secs(60);

const OWN_VERSION: &str = "2026-11-01-preview";
const RESOURCES_VERSION: &str = "2024-11-01";
const STORAGE_VERSION: &str = "2023-05-01";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the authority of the front door cannot be used")]
    Authority(#[from] livedata_pki::Error),
    #[error("{url} does not answer")]
    Unreachable { url: String, source: reqwest::Error },
    #[error("{method} {url}: {code}: {message}")]
    Refused { method: Method, url: String, status: u16, code: String, message: String },
    #[error("{url} failed: {code}: {message}")]
    OperationFailed { url: String, code: String, message: String },
    #[error("{url} did not end within {} s", OPERATION_WITHIN.as_secs())]
    OperationEndless { url: String },
    #[error("{url} answered {status} with something that is not JSON")]
    NotJson { url: String, status: u16 },
}

impl Error {
    /// `error.code` of ARM's answer.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } | Self::OperationFailed { code, .. } => Some(code),
            _ => None,
        }
    }
}

type Result<T> = std::result::Result<T, Error>;

/// Where and as whom.
#[derive(Clone)]
pub struct SignIn {
    pub front_door: Url,
    /// The authority of the front door's certificate.
    pub authority_pem: String,
    pub tenant: String,
    pub subscription: String,
    pub client_id: String,
    pub client_secret: String,
}

pub struct ArmClient {
    http: reqwest::Client,
    sign_in: SignIn,
    token: Mutex<Option<(String, Instant)>>,
}

impl ArmClient {
    /// Contacts nobody yet.
    pub fn new(sign_in: SignIn) -> Result<Self> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(trust::only(&sign_in.authority_pem)?)
            .timeout(REQUEST_WITHIN)
            .no_proxy()
            .build()
            .map_err(|source| Error::Unreachable { url: sign_in.front_door.to_string(), source })?;
        Ok(Self { http, sign_in, token: Mutex::new(None) })
    }

    /// The id of something in the subscription: `/subscriptions/{id}{below}`.
    pub fn id(&self, below: &str) -> String {
        format!("/subscriptions/{}{below}", self.sign_in.subscription)
    }

    pub async fn get(&self, id: &str) -> Result<Value> {
        self.send(Method::GET, id, None).await?.json().await
    }

    /// What a link that an answer gave leads to, e.g. the next page.
    pub async fn get_url(&self, url: &str) -> Result<Value> {
        self.send_to(Method::GET, url, None).await?.json().await
    }

    /// Waits until the operation has ended; returns the resource as it is then.
    pub async fn put(&self, id: &str, body: &Value) -> Result<Value> {
        let answer = self.send(Method::PUT, id, Some(body)).await?;
        self.finish(&answer).await?;
        self.get(id).await
    }

    /// As [`ArmClient::put`], without waiting for the operation.
    pub async fn begin_put(&self, id: &str, body: &Value) -> Result<()> {
        self.send(Method::PUT, id, Some(body)).await.map(drop)
    }

    /// See [`ArmClient::put`].
    pub async fn patch(&self, id: &str, body: &Value) -> Result<Value> {
        let answer = self.send(Method::PATCH, id, Some(body)).await?;
        self.finish(&answer).await?;
        self.get(id).await
    }

    /// An action; returns its answer, which is null for one that has none.
    pub async fn post(&self, id: &str) -> Result<Value> {
        self.act(id, None).await
    }

    /// An action with a body.
    pub async fn post_with(&self, id: &str, body: &Value) -> Result<Value> {
        self.act(id, Some(body)).await
    }

    async fn act(&self, id: &str, body: Option<&Value>) -> Result<Value> {
        let answer = self.send(Method::POST, id, body).await?;
        self.finish(&answer).await?;
        if answer.response.status() == 202 { Ok(Value::Null) } else { answer.json().await }
    }

    /// Waits until it is gone.
    pub async fn delete(&self, id: &str) -> Result<()> {
        let answer = self.send(Method::DELETE, id, None).await?;
        self.finish(&answer).await
    }

    async fn send(&self, method: Method, id: &str, body: Option<&Value>) -> Result<Answer> {
        let base = self.sign_in.front_door.as_str().trim_end_matches('/');
        let separator = if id.contains('?') { '&' } else { '?' };
        let url = format!("{base}{id}{separator}api-version={}", api_version(id));
        self.send_to(method, &url, body).await
    }

    async fn send_to(&self, method: Method, url: &str, body: Option<&Value>) -> Result<Answer> {
        let unreachable = |source| Error::Unreachable { url: url.to_owned(), source };
        let request = self.http.request(method.clone(), url).bearer_auth(self.token().await?);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let response = request.send().await.map_err(unreachable)?;
        let answer = Answer { url: url.to_owned(), response };
        if answer.response.status().is_success() { Ok(answer) } else { Err(answer.refused(method).await) }
    }

    /// Follows `Azure-AsyncOperation`, or `Location` where that is all there is.
    async fn finish(&self, answer: &Answer) -> Result<()> {
        let header = |name| answer.response.headers().get(name).and_then(|value| value.to_str().ok());
        let status = answer.response.status();
        let (follow, by_location) = match (header("azure-asyncoperation"), header("location")) {
            (Some(url), _) => (url.to_owned(), false),
            (None, Some(url)) if status == 202 => (url.to_owned(), true),
            _ => return Ok(()),
        };
        let deadline = Instant::now() + OPERATION_WITHIN;
        loop {
            let asked = self.send_to(Method::GET, &follow, None).await?;
            let pause = asked.retry_after();
            let ended = if by_location {
                asked.response.status() != 202
            } else {
                is_ended(&follow, &asked.json().await?)?
            };
            if ended {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Error::OperationEndless { url: follow });
            }
            sleep(pause).await;
        }
    }

    /// A bearer token of the front door, kept until shortly before it expires.
    pub async fn token(&self) -> Result<String> {
        let mut token = self.token.lock().await;
        if let Some((text, until)) = token.as_ref()
            && *until > Instant::now()
        {
            return Ok(text.clone());
        }
        let base = self.sign_in.front_door.as_str().trim_end_matches('/');
        let url = format!("{base}/{}/oauth2/v2.0/token", self.sign_in.tenant);
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &self.sign_in.client_id)
            .append_pair("client_secret", &self.sign_in.client_secret)
            .append_pair("scope", &format!("{base}//.default"))
            .finish();
        let request =
            self.http.post(&url).header("content-type", "application/x-www-form-urlencoded").body(form);
        let response =
            request.send().await.map_err(|source| Error::Unreachable { url: url.clone(), source })?;
        let answer = Answer { url, response };
        if !answer.response.status().is_success() {
            return Err(answer.refused(Method::POST).await);
        }
        let reply = answer.json().await?;
        let text = reply["access_token"].as_str().unwrap_or_default().to_owned();
        let life = Duration::from_secs(reply["expires_in"].as_u64().unwrap_or(0));
        *token = Some((text.clone(), Instant::now() + life.saturating_sub(MARGIN)));
        Ok(text)
    }
}

/// Whether an operation's status document is final.
fn is_ended(url: &str, status: &Value) -> Result<bool> {
    match status["status"].as_str() {
        Some("Succeeded") => Ok(true),
        Some("Failed" | "Canceled") => Err(Error::OperationFailed {
            url: url.to_owned(),
            code: text_of(&status["error"]["code"]),
            message: text_of(&status["error"]["message"]),
        }),
        _ => Ok(false),
    }
}

fn api_version(id: &str) -> &'static str {
    let id = id.to_ascii_lowercase();
    match id.rsplit_once("/providers/").map(|(_, rest)| rest) {
        Some(rest) if rest.starts_with("livedata.platform/") && !rest.ends_with("/register") => OWN_VERSION,
        Some(rest) if rest.starts_with("microsoft.storage/") => STORAGE_VERSION,
        _ => RESOURCES_VERSION,
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

struct Answer {
    url: String,
    response: Response,
}

impl Answer {
    fn retry_after(&self) -> Duration {
        let header = self.response.headers().get("retry-after").and_then(|value| value.to_str().ok());
        Duration::from_secs(header.and_then(|text| text.parse().ok()).unwrap_or(1))
    }

    async fn json(self) -> Result<Value> {
        let (url, status) = (self.url, self.response.status().as_u16());
        let bytes =
            self.response.bytes().await.map_err(|source| Error::Unreachable { url: url.clone(), source })?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|_| Error::NotJson { url, status })
    }

    async fn refused(self, method: Method) -> Error {
        let (url, status) = (self.url.clone(), self.response.status().as_u16());
        match self.json().await {
            Err(error) => error,
            Ok(body) => {
                // The token endpoint speaks OAuth: `error` is the code itself.
                let (code, message) = match body["error"].as_str() {
                    Some(code) => (code.to_owned(), text_of(&body["error_description"])),
                    None => (text_of(&body["error"]["code"]), text_of(&body["error"]["message"])),
                };
                Error::Refused { method, url, status, code, message }
            }
        }
    }
}
