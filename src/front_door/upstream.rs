//! The client of one registered provider: mutual TLS, a bounded answer, no redirects followed (rule 103).

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use livedata_arm::{ArmError, ErrorBody};
use serde_json::Value;
use url::Url;

use crate::app::App;
use crate::error::Error;
use crate::forward::OnBehalfOf;
use crate::options::{ProvidedType, RegisteredProvider};

/// ARM gives a provider this long (rule 101) …
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// … and takes no longer answer than this (rule 100).
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;
/// A list that has more pages than this does not end.
const MAX_PAGES: usize = 10_000;

pub(crate) struct Upstream {
    pub namespace: String,
    pub resource_types: Vec<ProvidedType>,
    endpoint: Url,
    client: reqwest::Client,
    /// The state of the subscription that it was told last, by this process.
    told: tokio::sync::Mutex<Option<String>>,
}

pub(crate) struct Answer {
    pub status: u16,
    /// Lower-case names.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

impl Upstream {
    pub fn new(provider: RegisteredProvider) -> Result<Self, Error> {
        let client = client(provider.tls)
            .map_err(|source| Error::ProviderClient { namespace: provider.namespace.clone(), source })?;
        Ok(Self {
            namespace: provider.namespace,
            resource_types: provider.resource_types,
            endpoint: provider.endpoint,
            client,
            told: tokio::sync::Mutex::new(None),
        })
    }

    /// Whether both namespaces lead to the same place.
    pub fn is_same_provider(&self, other: &Self) -> bool {
        self.endpoint == other.endpoint
    }

    /// Sees to it that the provider knows the subscription's state (rule 110) before it is asked for anything.
    pub async fn introduce(&self, subscription: &str, state: &str) -> Result<(), ArmError> {
        let mut told = self.told.lock().await;
        if told.as_deref() == Some(state) {
            return Ok(());
        }
        let target = format!("/subscriptions/{subscription}?api-version=2.0");
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let body = serde_json::json!({ "state": state, "properties": {} }).to_string();
        let answer = self.call(reqwest::Method::PUT, &target, headers, body.into()).await?;
        // A provider that does not take part in this is not asked again and again.
        if answer.status == 200 || answer.status == 404 || answer.status == 405 {
            *told = Some(state.to_owned());
            return Ok(());
        }
        let message = format!("The provider of {} does not take the subscription's state.", self.namespace);
        Err(ArmError::new(503, "ServiceUnavailable", message))
    }

    /// `target` is path and query, encoded.
    pub async fn call(
        &self,
        method: reqwest::Method,
        target: &str,
        headers: Vec<(String, String)>,
        body: Bytes,
    ) -> Result<Answer, ArmError> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut url = self.endpoint.clone();
        url.set_path(path);
        url.set_query((!query.is_empty()).then_some(query));
        let mut request = self.client.request(method, url).body(body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        exchange(&self.namespace, request).await
    }

    /// All top-level resources of one type, every page.
    pub async fn list(
        &self,
        app: &App,
        group: Option<&str>,
        resource_type: &str,
        api_version: &str,
        behalf: &OnBehalfOf,
    ) -> Result<Vec<Value>, ArmError> {
        let scope = group.map_or_else(String::new, |group| format!("/resourceGroups/{group}"));
        let mut target = format!(
            "/subscriptions/{}{scope}/providers/{}/{resource_type}?api-version={api_version}",
            app.subscription_id, self.namespace
        );
        let mut resources = Vec::new();
        for _ in 0..MAX_PAGES {
            let answer = self
                .call(reqwest::Method::GET, &target, behalf.headers(&target, false), Bytes::new())
                .await?;
            if answer.status == 404 {
                break;
            }
            if answer.status != 200 {
                return Err(answer.into_error(&target));
            }
            let page: Value = serde_json::from_slice(&answer.body).map_err(|_| self.unreadable(&target))?;
            let value =
                page.get("value").and_then(Value::as_array).ok_or_else(|| self.unreadable(&target))?;
            resources.extend(value.iter().cloned());
            match page.get("nextLink").and_then(Value::as_str).filter(|link| !link.is_empty()) {
                Some(link) => target = self.target_of(link).ok_or_else(|| self.unreadable(&target))?,
                None => break,
            }
        }
        Ok(resources)
    }

    /// A `nextLink` names the public address; only its path and query matter here.
    fn target_of(&self, link: &str) -> Option<String> {
        let url = Url::parse(link).ok()?;
        Some(url[url::Position::BeforePath..url::Position::AfterQuery].to_owned())
    }

    fn unreadable(&self, target: &str) -> ArmError {
        let message =
            format!("Provider '{}' answered GET {target} with something that is not a list.", self.namespace);
        ArmError::new(502, "ResourceProviderAnswerUnreadable", message)
    }
}

/// Whoever is asked gets the time of a provider, and leads nowhere else.
pub(crate) fn client(tls: rustls::ClientConfig) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_WITHIN)
        .timeout(ANSWER_WITHIN)
        .build()
}

/// Sends a request to `who`, and reads the whole answer.
pub(crate) async fn exchange(who: &str, request: reqwest::RequestBuilder) -> Result<Answer, ArmError> {
    let response = request.send().await.map_err(|error| unavailable(who, error))?;
    let status = response.status().as_u16();
    let headers = response
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    let mut body = BytesMut::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| unavailable(who, error))?;
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            let message = format!("The answer of provider '{who}' is longer than {MAX_ANSWER_BYTES} bytes.");
            return Err(ArmError::new(500, "ResourceProviderAnswerTooLong", message));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, headers, body: body.freeze() })
}

fn unavailable(who: &str, error: reqwest::Error) -> ArmError {
    // The address of a custom provider's endpoint is a secret.
    let error = error.without_url();
    tracing::warn!(provider = who, error = ?error, "a resource provider did not answer");
    if error.is_timeout() && !error.is_connect() {
        let seconds = ANSWER_WITHIN.as_secs();
        let message = format!("The resource provider '{who}' did not answer within {seconds} seconds.");
        return ArmError::new(504, "GatewayTimeout", message);
    }
    let message = format!(
        "The resource provider '{who}' cannot be reached. Check that it is running and that both sides trust each other's certificates, then try again."
    );
    ArmError::new(503, "ResourceProviderUnavailable", message)
}

/// Whether this is an error as ARM has it.
pub(crate) fn is_error(body: &[u8]) -> bool {
    serde_json::from_slice::<ErrorBody>(body).is_ok()
}

impl Answer {
    /// The error that the provider answered with, or a description of an answer that is none.
    pub fn into_error(self, what: &str) -> ArmError {
        match serde_json::from_slice::<ErrorBody>(&self.body) {
            Ok(body) => {
                let mut error = ArmError::new(self.status, body.error.code, body.error.message);
                error.target = body.error.target;
                error.details = body.error.details;
                error
            }
            Err(_) => {
                let message = format!("The resource provider answered {} for '{what}'.", self.status);
                ArmError::new(502, "ResourceProviderAnswerUnreadable", message)
            }
        }
    }
}
