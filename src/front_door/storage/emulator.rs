//! The client of the storage emulator's admin endpoint.

use std::time::Duration;

use livedata_arm::ArmError;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::error::Error;
use crate::options::EmulatorAdmin;

const ANSWER_WITHIN: Duration = Duration::from_secs(20);

pub(crate) struct Emulator {
    settings: EmulatorAdmin,
    client: reqwest::Client,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Container {
    pub name: String,
    pub etag: String,
    /// Milliseconds since 1970.
    pub last_modified_ms: i64,
}

#[derive(Deserialize)]
struct Account {
    keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Key {
    value: String,
}

impl Emulator {
    pub fn new(settings: EmulatorAdmin) -> Result<Self, Error> {
        // Spoken to in plain HTTP on the loopback interface: no certificates to load or to trust.
        let nobody = rustls::RootCertStore::empty();
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(rustls::DEFAULT_VERSIONS)
            .map_err(Error::Tls)?
            .with_root_certificates(nobody)
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .timeout(ANSWER_WITHIN)
            .build()
            .map_err(|source| Error::EmulatorClient { source })?;
        Ok(Self { settings, client })
    }

    /// Base of both data endpoints of an account, with a trailing slash as the public service gives them.
    pub fn endpoint_of(&self, name: &str) -> String {
        format!("{}/{name}/", self.settings.endpoint.as_str().trim_end_matches('/'))
    }

    /// The same call twice is fine.
    pub async fn create(&self, name: &str, kind: &str, hierarchical_namespace: bool) -> Result<(), ArmError> {
        let body = json!({ "hierarchicalNamespace": hierarchical_namespace, "kind": kind });
        self.call(reqwest::Method::PUT, name, "", Some(&body)).await.map(drop)
    }

    /// Takes the tokens of this issuer from now on.
    pub async fn trust(&self, issuer: &Value) -> Result<(), ArmError> {
        let mut url = self.settings.admin_url.clone();
        url.set_path("/tokenIssuers");
        let request = self.client.put(url).bearer_auth(&self.settings.admin_token).json(issuer);
        let response = request.send().await.map_err(|error| unavailable(&error))?;
        match response.status().as_u16() {
            200..=299 => Ok(()),
            status => Err(refused("token issuers", status)),
        }
    }

    /// Makes these principals owners of the account's data, and nobody else.
    pub async fn give_data_to(&self, name: &str, owners: impl Iterator<Item = &str>) -> Result<(), ArmError> {
        let roles: Vec<Value> =
            owners.map(|owner| json!({ "principalId": owner, "role": "Owner" })).collect();
        self.call(reqwest::Method::PUT, name, "/roles", Some(&Value::from(roles))).await.map(drop)
    }

    /// An account that is not there is fine, too.
    pub async fn delete(&self, name: &str) -> Result<(), ArmError> {
        self.call(reqwest::Method::DELETE, name, "", None).await.map(drop)
    }

    /// key1 and key2.
    pub async fn keys(&self, name: &str) -> Result<Vec<String>, ArmError> {
        self.read_keys(self.call(reqwest::Method::GET, name, "", None).await?).await
    }

    /// The keys after one of them was made anew.
    pub async fn regenerate_key(&self, name: &str, key_name: &str) -> Result<Vec<String>, ArmError> {
        let body = json!({ "keyName": key_name });
        self.read_keys(self.call(reqwest::Method::POST, name, "/regenerateKey", Some(&body)).await?).await
    }

    /// What the emulator knows of a container; `None`: there is none.
    pub(super) async fn container(&self, account: &str, name: &str) -> Result<Option<Container>, ArmError> {
        let mut url = self.url(account, "/filesystems/");
        // As one segment, whatever a client has written there.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(name);
        }
        let request = self.client.get(url).bearer_auth(&self.settings.admin_token);
        let response = request.send().await.map_err(|error| unavailable(&error))?;
        match response.status().as_u16() {
            200 => response.json().await.map(Some).map_err(|error| unavailable(&error)),
            404 => Ok(None),
            status => Err(refused(&format!("container {name} of account {account}"), status)),
        }
    }

    async fn call(
        &self,
        method: reqwest::Method,
        name: &str,
        action: &str,
        body: Option<&Value>,
    ) -> Result<reqwest::Response, ArmError> {
        let mut request =
            self.client.request(method, self.url(name, action)).bearer_auth(&self.settings.admin_token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| unavailable(&error))?;
        match response.status().as_u16() {
            200..=299 => Ok(response),
            409 => Err(super::account::taken(name)),
            status => Err(refused(&format!("account {name}"), status)),
        }
    }

    fn url(&self, name: &str, action: &str) -> Url {
        let mut url = self.settings.admin_url.clone();
        url.set_path(&format!("/accounts/{name}{action}"));
        url
    }

    async fn read_keys(&self, response: reqwest::Response) -> Result<Vec<String>, ArmError> {
        let account: Account = response.json().await.map_err(|error| unavailable(&error))?;
        Ok(account.keys.into_iter().map(|key| key.value).collect())
    }
}

fn unavailable(error: &reqwest::Error) -> ArmError {
    tracing::warn!(error = ?error, "the storage emulator did not answer");
    ArmError::new(
        503,
        "StorageEmulatorUnavailable",
        "The storage emulator cannot be reached. Check that it is running.",
    )
}

fn refused(about: &str, status: u16) -> ArmError {
    tracing::error!(about, status, "the storage emulator refused an admin call");
    let message = format!(
        "The storage emulator answered {status} for {about}. Check that the front door has its admin token."
    );
    ArmError::new(502, "StorageEmulatorRefused", message)
}
