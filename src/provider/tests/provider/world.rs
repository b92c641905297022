//! A provider to talk to, and the accounts that it finds.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use livedata_pki::{Authority, Clients, Identity, PublishedCertificates, trust};
use livedata_provider::{
    AuditLog, Certificate, Clock, CustomProviderListener, HealthListener, Options, PathSecret, Provider,
    RelaySettings, Rule, Running,
};
use livedata_session::AgentAuthority;
use livedata_storage_account::{Account, LookUpError, NetworkRules, StorageAccounts};
use livedata_store::memory::MemoryStore;
use livedata_store::sealed::SealingKeys;
use livedata_store::{Change, Record, Store};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

pub const VERSION: &str = "2026-11-01-preview";
pub const GROUP: &str = "/subscriptions/s1/resourceGroups/rg1";
/// The path of the custom-provider listener.
pub const PATH_SECRET: &str = "6f1d2c3b4a5968778695a4b3c2d1e0f0";
pub const ACCOUNT_KEY: &str = "dmVyeS1zZWNyZXQtYWNjb3VudC1rZXk=";

/// How an account answers.
#[derive(Clone, Copy, PartialEq)]
pub enum Behaviour {
    Good,
    /// As `Good`, behind a firewall.
    Walled,
    WithoutNamespace,
    OldKind,
    Denied,
    /// No answer at all: the call hangs.
    Silent,
}

#[derive(Default)]
pub struct Accounts {
    pub behaviours: Mutex<HashMap<String, Behaviour>>,
    /// Whether [`NO_CONTAINER`] is missing.
    pub missing_container: AtomicBool,
    asked: AtomicUsize,
}

impl Accounts {
    /// How often somebody has looked for a container, which each look-up of a target does once.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl StorageAccounts for Accounts {
    async fn get(&self, subscription: &str, group: &str, name: &str) -> Result<Account, LookUpError> {
        let behaviour = self.behaviours.lock().unwrap().get(name).copied();
        let (kind, hierarchical_namespace) = match behaviour {
            None => return Err(LookUpError::NotFound),
            Some(Behaviour::Denied) => return Err(LookUpError::Denied("AuthorizationFailed".into())),
            Some(Behaviour::Silent) => return std::future::pending().await,
            Some(Behaviour::Good | Behaviour::Walled) => ("StorageV2", true),
            Some(Behaviour::WithoutNamespace) => ("StorageV2", false),
            Some(Behaviour::OldKind) => ("Storage", false),
        };
        Ok(Account {
            id: account_id(name).replace("s1", subscription).replace("rg1", group),
            kind: kind.into(),
            hierarchical_namespace,
            location: "westus".into(),
            dfs_endpoint: Some(format!("https://{name}.dfs.example/").parse().unwrap()),
            network: NetworkRules {
                deny_by_default: behaviour == Some(Behaviour::Walled),
                ..NetworkRules::default()
            },
        })
    }

    fn storage_suffix(&self) -> &str {
        "core.windows.net"
    }

    async fn has_container(
        &self,
        subscription: &str,
        group: &str,
        name: &str,
        container: &str,
    ) -> Result<bool, LookUpError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.get(subscription, group, name)
            .await
            .map(|_| container != NO_CONTAINER || !self.missing_container.load(Ordering::SeqCst))
    }
}

/// A container that is not there is called so.
const NO_CONTAINER: &str = "missing";

pub fn account_id(name: &str) -> String {
    format!("{GROUP}/providers/Microsoft.Storage/storageAccounts/{name}")
}

/// Everything that outlives a provider process.
pub struct World {
    pub folder: TempDir,
    pub accounts: Arc<Accounts>,
    pub store: Arc<dyn Store>,
    /// Seconds by which the provider's clock is ahead.
    pub ahead: Arc<AtomicI64>,
    pub web_authority: Authority,
    pub agent_authority: Arc<AgentAuthority>,
    pub relay: RelaySettings,
    /// Whether the custom-provider dialect is spoken.
    pub custom_provider: bool,
    /// Whether several providers are started on the store.
    pub shared: bool,
    /// Certificates that the health listener watches: name and end, in seconds since 1970.
    pub certificates: Vec<(String, i64)>,
    /// Callers that are known by their certificate alone, as Azure Resource Manager is.
    pub published: Arc<PublishedCertificates>,
}

impl World {
    pub fn new() -> Self {
        Self::on(Arc::new(MemoryStore::new()))
    }

    pub fn on(store: Arc<dyn Store>) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let accounts = Accounts { missing_container: true.into(), ..Accounts::default() };
        for (name, behaviour) in [
            ("lake", Behaviour::Good),
            ("other", Behaviour::Good),
            ("walled", Behaviour::Walled),
            ("flat", Behaviour::WithoutNamespace),
            ("oldkind", Behaviour::OldKind),
            ("private", Behaviour::Denied),
            ("silent", Behaviour::Silent),
        ] {
            accounts.behaviours.lock().unwrap().insert(name.into(), behaviour);
        }
        let web_authority = Authority::load_or_create(&folder.path().join("web"), "test web").unwrap();
        let rule = |name: &str| Rule { name: name.into(), key: format!("{name}-key") };
        Self {
            accounts: Arc::new(accounts),
            store,
            ahead: Arc::default(),
            agent_authority: Arc::new(AgentAuthority::load_or_create(&folder.path().join("agents")).unwrap()),
            relay: RelaySettings {
                url: "wss://localhost:1".parse().unwrap(),
                tls: Arc::new(trust::only(web_authority.certificate_pem()).unwrap()),
                ca_pem: Some(web_authority.certificate_pem().to_owned()),
                send_rule: rule("send"),
                listen_rule: rule("listen"),
            },
            custom_provider: false,
            shared: false,
            certificates: Vec::new(),
            published: Arc::new(PublishedCertificates::new(Duration::from_secs(3600))),
            web_authority,
            folder,
        }
    }

    pub fn server_identity(&self) -> Identity {
        self.web_authority.issue_server(&["localhost"], &["127.0.0.1".parse().unwrap()]).unwrap()
    }

    pub fn audit_log(&self) -> std::path::PathBuf {
        self.folder.path().join("audit.log")
    }

    pub async fn start(&self) -> Running {
        self.start_with(1).await
    }

    pub async fn start_with(&self, retry_after_seconds: u32) -> Running {
        // What a front door has said of the subscription that all tests use.
        let registered = br#"{"state": "Registered", "pending": false}"#;
        self.store.commit(Change::new().put("subscriptions", "s1", registered)).await.unwrap();
        let identity = self.server_identity();
        let ahead = Arc::clone(&self.ahead);
        let front_door =
            Clients::certified(self.web_authority.certificate_pem(), "urn:livedata:front-door").unwrap();
        let clients = front_door.or(Clients::published(Arc::clone(&self.published)));
        Provider::start(Options {
            store: Arc::clone(&self.store),
            store_is_shared: self.shared,
            sealing_keys: SealingKeys::load_or_create(self.folder.path().join("sealing.key")).unwrap(),
            namespace: "LiveData.Platform".into(),
            compatible: true,
            arm_listen: "127.0.0.1:0".parse().unwrap(),
            arm_tls: identity.server_config_of(clients.clone()).unwrap(),
            arm_clients: Some(clients),
            enrolment_listen: "127.0.0.1:0".parse().unwrap(),
            enrolment_tls: identity.server_config(None).unwrap(),
            enrolment_url: None,
            enrolment_authority_fingerprint: self.web_authority.fingerprint(),
            custom_provider: self.custom_provider.then(|| CustomProviderListener {
                listen: "127.0.0.1:0".parse().unwrap(),
                tls: identity.server_config(None).unwrap(),
                secret: PathSecret::new(PATH_SECRET).unwrap(),
            }),
            health: Some(HealthListener {
                listen: "127.0.0.1:0".parse().unwrap(),
                certificates: self
                    .certificates
                    .iter()
                    .map(|(name, not_after)| Certificate { name: name.clone(), not_after: *not_after })
                    .collect(),
            }),
            audit: Some(AuditLog::file(&self.audit_log()).unwrap()),
            authority: Arc::clone(&self.agent_authority),
            relay: self.relay.clone(),
            storage_accounts: Arc::clone(&self.accounts) as Arc<dyn StorageAccounts>,
            retry_after_seconds,
            clock: Clock::new(move || {
                time::OffsetDateTime::now_utc() + time::Duration::seconds(ahead.load(Ordering::SeqCst))
            }),
        })
        .await
        .unwrap()
    }

    /// A client with a certificate that the ARM listener accepts.
    pub fn client(&self, running: &Running) -> Client {
        let identity = self.web_authority.issue_client("front door", "urn:livedata:front-door").unwrap();
        self.client_with(&identity, running)
    }

    pub fn client_with(&self, identity: &Identity, running: &Running) -> Client {
        let tls = identity.client_config(self.web_authority.certificate_pem()).unwrap();
        Client {
            http: http(tls),
            version: VERSION,
            base: format!("https://localhost:{}", running.arm_address.port()),
        }
    }

    pub fn client_without_certificate(&self) -> reqwest::Client {
        http(trust::only(self.web_authority.certificate_pem()).unwrap())
    }

    /// All that is stored, but operations and what agents are known for: what a refused request must leave alone.
    pub async fn resources(&self) -> Vec<Record> {
        let mut all = Vec::new();
        for collection in
            ["migrators", "targets", "live_data_migrations", "areas", "work", "operations", "agents"]
        {
            all.extend(self.store.list(collection, "", None, 1000).await.unwrap());
        }
        all
    }

    pub async fn remove(&self, collection: &'static str, key: &str) {
        self.store.commit(Change::new().remove(collection, key)).await.unwrap();
    }
}

fn http(tls: rustls::ClientConfig) -> reqwest::Client {
    // A connection that has rested is closed by the listener; a request that meets the end of it would be lost.
    let rests = Duration::from_secs(2);
    reqwest::Client::builder().tls_backend_preconfigured(tls).pool_idle_timeout(rests).build().unwrap()
}

/// Speaks to the ARM listener as a front door does.
#[derive(Clone)]
pub struct Client {
    pub http: reqwest::Client,
    pub base: String,
    pub version: &'static str,
}

pub struct Reply {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Reply {
    pub async fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.unwrap();
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
        Self { status, headers, body }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    pub fn assert_error(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.body["error"]["code"].as_str()), (status, Some(code)), "{}", self.body);
        assert_eq!(self.header("x-ms-error-code"), code);
        assert!(!self.body["error"]["message"].as_str().unwrap().is_empty());
        assert!(
            livedata_provider::errors::ALL.iter().any(|known| known.name == code),
            "{code} is not in the table"
        );
    }
}

impl Client {
    /// The same, speaking the public version.
    pub fn public(&self) -> Self {
        Self { version: "2023-11-01-preview", ..self.clone() }
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Reply {
        self.send(Method::PATCH, path, Some(body)).await
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let separator = if path.contains('?') { '&' } else { '?' };
        let address = format!("{path}{separator}api-version={}", self.version);
        self.http
            .request(method, format!("{}{address}", self.base))
            .header("referer", format!("https://arm.example:8443{address}"))
    }

    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Reply {
        let request = self.request(method, path);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        Reply::of(request.send().await.unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, None).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Reply {
        self.send(Method::PUT, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, None).await
    }

    pub async fn post(&self, path: &str) -> Reply {
        self.send(Method::POST, path, None).await
    }

    /// Follows an operation to its end and returns its status document.
    pub async fn finish(&self, reply: &Reply) -> Value {
        let address = reply.header("azure-asyncoperation").to_owned();
        assert!(
            address.starts_with("https://arm.example:8443/subscriptions/"),
            "{address:?}: {}",
            reply.body
        );
        let path = address.strip_prefix("https://arm.example:8443").unwrap();
        loop {
            let status = Reply::of(self.http.get(format!("{}{path}", self.base)).send().await.unwrap()).await;
            assert_eq!(status.status, 200, "{}", status.body);
            if status.body["status"] != "InProgress" {
                return status.body;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Waits until a GET shows what is expected.
    pub async fn wait(&self, path: &str, what: &str, expected: impl Fn(&Reply) -> bool) -> Reply {
        let waiting = async {
            loop {
                let reply = self.get(path).await;
                if expected(&reply) {
                    return reply;
                }
                tokio::task::yield_now().await;
            }
        };
        match tokio::time::timeout(Duration::from_secs(60), waiting).await {
            Ok(reply) => reply,
            Err(_) => panic!("{path} never showed {what}: {}", self.get(path).await.body),
        }
    }

    #[track_caller]
    pub fn made(status: &Value) {
        assert_eq!(status["status"], "Succeeded", "{status}");
    }

    pub async fn make(&self, path: &str, body: &Value) -> Reply {
        let reply = self.put(path, body).await;
        assert!(matches!(reply.status, 200 | 201), "{path}: {}", reply.body);
        Self::made(&self.finish(&reply).await);
        reply
    }

    pub async fn make_migrator(&self, name: &str) -> String {
        let path = migrator(name);
        self.make(&path, &migrator_body()).await;
        path
    }

    pub async fn make_target(&self, migrator: &str, name: &str) -> String {
        let path = format!("{migrator}/targets/{name}");
        self.make(&path, &target_body("lake", "data")).await;
        path
    }

    /// A migrator `name` with a target `t`.
    pub async fn make_pair(&self, name: &str) -> (String, String) {
        let migrator = self.make_migrator(name).await;
        let target = self.make_target(&migrator, "t").await;
        (migrator, target)
    }
}

pub fn migrator(name: &str) -> String {
    format!("{GROUP}/providers/LiveData.Platform/migrators/{name}")
}

pub fn migrator_body() -> Value {
    json!({"location": "West US", "tags": {"Team": "lake"}, "properties": {
        "source": {"kind": "Hdfs", "uri": "hdfs://nn.example:8020", "user": "livedata"}
    }})
}

pub fn target_body(account: &str, container: &str) -> Value {
    json!({"properties": {
        "storageAccountId": account_id(account),
        "storageContainer": container,
        "credential": {"kind": "AccountKey", "accountKey": ACCOUNT_KEY}
    }})
}

pub fn migration_body(target: &str, path: &str) -> Value {
    json!({"properties": {"path": path, "targetId": target}})
}
