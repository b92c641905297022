//! Everything around one front door, on free ports and in a folder that goes away.

use std::sync::Arc;

use livedata_adls_emulator as emulator;
use livedata_front_door::{
    EmulatorAdmin, FrontDoor, Options, ProvidedType, RegisteredProvider, Running, ServicePrincipal,
};
use livedata_pki::{Authority, trust};
use livedata_store::Store;
use livedata_store::memory::MemoryStore;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

use crate::provider::{self, NAMESPACE, VERSION};

pub const TENANT: &str = "11111111-1111-1111-1111-111111111111";
pub const SUBSCRIPTION: &str = "22222222-2222-2222-2222-222222222222";
pub const CLIENT_ID: &str = "33333333-3333-3333-3333-333333333333";
pub const CLIENT_SECRET: &str = "correct horse battery staple";
const ADMIN_TOKEN: &str = "admin token of a test";

pub struct World {
    pub folder: tempfile::TempDir,
    pub store: Arc<dyn Store>,
    pub authority: Authority,
    pub provider: provider::Running,
    pub emulator: emulator::Running,
    pub client: reqwest::Client,
    pub token: String,
    front_door: Option<Running>,
}

pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or("")
    }
}

impl World {
    pub async fn new() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::load_or_create(&folder.path().join("ca"), "Test").unwrap();
        let server = authority.issue_server(&["localhost"], &["127.0.0.1".parse().unwrap()]).unwrap();
        let emulator = emulator::Emulator::start(emulator::Options {
            storage: emulator::Storage::Folder(folder.path().join("emulator")),
            storage_address: "127.0.0.1:0".parse().unwrap(),
            admin_address: "127.0.0.1:0".parse().unwrap(),
            admin_token: ADMIN_TOKEN.to_owned(),
            // Clients send tokens over nothing else.
            storage_tls: Some(server.server_config(None).unwrap()),
            accounts: Vec::new(),
            ..emulator::Options::default()
        })
        .await
        .unwrap();
        let provider = provider::start(&authority).await;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(trust::only(authority.certificate_pem()).unwrap())
            .no_proxy()
            .build()
            .unwrap();
        let mut world = Self {
            folder,
            store: Arc::new(MemoryStore::new()),
            authority,
            provider,
            emulator,
            client,
            token: String::new(),
            front_door: None,
        };
        world.open().await;
        world
    }

    /// Starts the front door, again on the same store and folder, and signs in.
    pub async fn open(&mut self) {
        let server = self.authority.issue_server(&["localhost"], &["127.0.0.1".parse().unwrap()]).unwrap();
        let identity = self.authority.issue_client("front door", "urn:test:front-door").unwrap();
        let provided = |resource_type: &str, locations: &[&str]| ProvidedType {
            resource_type: resource_type.to_owned(),
            locations: locations.iter().map(|location| (*location).to_owned()).collect(),
            api_versions: vec![VERSION.to_owned()],
        };
        let running = FrontDoor::start(Options {
            store: Arc::clone(&self.store),
            listen: "127.0.0.1:0".parse().unwrap(),
            tls: server.server_config(None).unwrap(),
            public_url: None,
            cloud_name: "TestCloud".to_owned(),
            tenant_id: TENANT.to_owned(),
            subscription_id: SUBSCRIPTION.to_owned(),
            subscription_name: "Test".to_owned(),
            service_principals: vec![ServicePrincipal {
                client_id: CLIENT_ID.to_owned(),
                client_secret: CLIENT_SECRET.to_owned(),
            }],
            data_directory: self.folder.path().join("front-door"),
            providers: vec![RegisteredProvider {
                namespace: NAMESPACE.to_owned(),
                endpoint: self.provider.endpoint(),
                tls: identity.client_config(self.authority.certificate_pem()).unwrap(),
                resource_types: vec![
                    provided("things", &["West Europe"]),
                    provided("things/parts", &["West Europe"]),
                    provided("operations", &[]),
                ],
            }],
            storage: EmulatorAdmin {
                admin_url: format!("http://{}", self.emulator.admin_address()).parse().unwrap(),
                admin_token: ADMIN_TOKEN.to_owned(),
                endpoint: self.emulator.storage_url().parse().unwrap(),
            },
            endpoint_tls: trust::only(self.authority.certificate_pem()).unwrap(),
            retry_after_seconds: 1,
        })
        .await
        .unwrap();
        self.front_door = Some(running);
        let answer = self.sign_in(CLIENT_ID, CLIENT_SECRET).await;
        self.token = answer.body["access_token"].as_str().unwrap().to_owned();
    }

    pub async fn close(&mut self) {
        self.front_door.take().unwrap().stop().await.unwrap();
    }

    /// Without a trailing slash.
    pub fn url(&self) -> String {
        self.front_door.as_ref().unwrap().public_url().as_str().trim_end_matches('/').to_owned()
    }

    pub async fn sign_in(&self, client_id: &str, secret: &str) -> Answer {
        self.token_request(TENANT, client_id, secret, &format!("{}//.default", self.url())).await
    }

    pub async fn token_request(&self, tenant: &str, client_id: &str, secret: &str, scope: &str) -> Answer {
        let form: String = [
            ("grant_type", "client_credentials"),
            ("client_id", client_id),
            ("client_secret", secret),
            ("scope", scope),
        ]
        .iter()
        .map(|(name, value)| {
            format!(
                "{name}={}&",
                percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC)
            )
        })
        .collect();
        let request = self.client.post(format!("{}/{tenant}/oauth2/v2.0/token", self.url())).body(form);
        read(request.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap()).await
    }

    /// `path` is sent as it is written, after the subscription.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let separator = if path.contains('?') { '&' } else { '?' };
        let version = match path {
            _ if path.contains(NAMESPACE) => VERSION,
            _ if path.contains("Microsoft.CustomProviders/") => "2018-09-01-preview",
            _ => "2024-11-01",
        };
        let url =
            format!("{}/subscriptions/{SUBSCRIPTION}{path}{separator}api-version={version}", self.url());
        self.client.request(method, url).bearer_auth(&self.token)
    }

    pub async fn get(&self, path: &str) -> Answer {
        read(self.request(Method::GET, path).send().await.unwrap()).await
    }

    /// Asks until nobody answers for `path`: what was stopped may still serve the connections that it had.
    pub async fn get_when_down(&self, path: &str) -> Answer {
        let waiting = async {
            loop {
                let answer = self.get(path).await;
                if answer.status == 503 {
                    return answer;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), waiting).await.unwrap()
    }

    pub async fn send(&self, method: Method, path: &str, body: &Value) -> Answer {
        read(self.request(method, path).json(body).send().await.unwrap()).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        read(self.request(Method::DELETE, path).send().await.unwrap()).await
    }

    pub async fn post(&self, path: &str) -> Answer {
        read(self.request(Method::POST, path).send().await.unwrap()).await
    }

    pub async fn make_group(&self, name: &str) {
        let body = serde_json::json!({"location": "westeurope"});
        let answer = self.send(Method::PUT, &format!("/resourcegroups/{name}"), &body).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
    }

    pub async fn register(&self) {
        assert_eq!(self.post(&format!("/providers/{NAMESPACE}/register")).await.status, 200);
    }

    /// Asks `location` until it answers something else than 202.
    pub async fn settle(&self, location: &str) -> Answer {
        loop {
            let response = self.client.get(location).bearer_auth(&self.token).send().await.unwrap();
            if response.status() != 202 {
                return read(response).await;
            }
            tokio::task::yield_now().await;
        }
    }
}

pub async fn read(response: Response) -> Answer {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = response.bytes().await.unwrap();
    let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
    Answer { status, headers, body }
}
