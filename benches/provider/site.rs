//! The provider's folder with a filled store, and the provider on it.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use livedata_pki::{Authority, Identity, file};
use livedata_provider_service::{
    Arm, Azure, AzureIdentity, CloudAddresses, Compat, Enrolment, FRONT_DOOR_URI, ProviderConfig, Relay,
    RelayRule, open_store,
};
use livedata_store::{Change, Store};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Arguments;
use crate::loader::Ask;
use crate::process::Running;

pub const SUBSCRIPTION: &str = "5f6f3b1e-0000-4000-8000-000000000001";
const VERSION: &str = "2026-11-01-preview";
const PER_GROUP: u64 = 1000;
/// Records in one transaction of the filling.
const BATCH: u64 = 5000;
const COLLECTION: &str = "migrators";

pub struct Site {
    data: PathBuf,
    port: u16,
    authority: Authority,
    caller: Identity,
    store: String,
    /// Removed at the end, unless it is to be kept.
    _folder: Option<TempDir>,
}

impl Site {
    /// With the store filled.
    pub async fn prepare(arguments: &Arguments) -> Result<Self> {
        let (folder, data) = match &arguments.keep {
            Some(kept) => (None, kept.clone()),
            None => {
                // Where the build is: on a real disk.
                let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
                let data = folder.path().to_owned();
                (Some(folder), data)
            }
        };
        let authority = Authority::load_or_create(&data.join("authority"), "benchmark")?;
        let caller = authority.issue_client("front door", FRONT_DOOR_URI)?;
        // Free a moment ago; the provider says so when somebody was faster.
        let port = || Ok::<_, std::io::Error>(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port());
        let (arm, enrolment) = (port()?, port()?);
        let store = arguments.postgres.clone().unwrap_or_else(|| "provider.db".to_owned());
        config(arm, enrolment, store.clone())?.save(&data)?;
        authority.issue_server(&["localhost"], &[])?.save(&data, "server")?;
        file::write(&data.join("front-doors.pem"), authority.certificate_pem(), file::PUBLIC)?;
        file::write(&data.join("authorities.pem"), authority.certificate_pem(), file::PUBLIC)?;
        let site = Self { data, port: arm, authority, caller, store, _folder: folder };
        site.fill(arguments.resources).await?;
        Ok(site)
    }

    pub fn store(&self) -> &str {
        if self.store.starts_with("postgres") { "PostgreSQL" } else { "SQLite" }
    }

    /// `livedata provider`, and how long it took until it answered.
    pub async fn start(&self) -> Result<(Running, Duration)> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_livedata"));
        command.args(["provider", "--data"]).arg(&self.data).env("LIVEDATA_LOG", "warn");
        let begun = Instant::now();
        let running = Running::start(&mut command, &self.data.join("provider.log"))?;
        running.until_said("ready").await?;
        let (status, _) = self.ask_once("GET", &migrator(0), None).await?;
        ensure!(status == 200 || status == 404, "the first request was answered with {status}");
        Ok((running, begun.elapsed()))
    }

    pub fn caller(&self) -> Result<rustls::ClientConfig> {
        Ok(self.caller.client_config(self.authority.certificate_pem())?)
    }

    /// For a server beside the provider that lets in the same caller.
    pub fn server(&self) -> Result<rustls::ServerConfig> {
        let clients = livedata_pki::Clients::certified(self.authority.certificate_pem(), FRONT_DOOR_URI)?;
        Ok(self.authority.issue_server(&["localhost"], &[])?.server_config_of(clients)?)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    async fn ask_once(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        let http = reqwest::Client::builder().tls_backend_preconfigured(self.caller()?).no_proxy().build()?;
        let url = format!("https://localhost:{}{path}", self.port);
        let request = http.request(method.parse()?, url);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.send().await?;
        Ok((answer.status().as_u16(), serde_json::from_str(&answer.text().await?).unwrap_or_default()))
    }

    /// One migrator is made through the provider; the others are copies of its record under other names.
    async fn fill(&self, resources: u64) -> Result<()> {
        let filled = open_store(&self.data, &self.store).await?;
        let is_there =
            async |number: u64| Ok::<_, anyhow::Error>(filled.get(COLLECTION, &key(number)).await?.is_some());
        if is_there(resources - 1).await? && !is_there(resources).await? {
            return Ok(());
        }
        ensure!(
            filled.list(COLLECTION, "", None, 1).await?.is_empty(),
            "the store holds something else than {resources} migrators; give another folder or database"
        );
        drop(filled);
        let (running, _) = self.start().await?;
        let (status, _) = self
            .ask_once(
                "PUT",
                &format!("/subscriptions/{SUBSCRIPTION}?api-version=2.0"),
                Some(&json!({ "state": "Registered", "registrationDate": "2026-01-01T00:00:00Z", "properties": {} })),
            )
            .await?;
        ensure!(status == 200, "the subscription was answered with {status}");
        let (status, answer) = self.ask_once("PUT", &migrator(0), Some(&body())).await?;
        ensure!(status == 201, "the first migrator was answered with {status}: {answer}");
        loop {
            let (_, found) = self.ask_once("GET", &migrator(0), None).await?;
            if found["properties"]["provisioningState"] == "Succeeded" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        drop(running);
        let store = open_store(&self.data, &self.store).await?;
        let first = store.get(COLLECTION, &key(0)).await?.context("the first migrator is not stored")?;
        let text = String::from_utf8(first.body)?;
        let document: Value = serde_json::from_str(&text)?;
        let guid = document["guid"].as_str().context("a document without guid")?.to_owned();
        let begun = Instant::now();
        self.copy(&store, &text, &guid, resources).await?;
        println!("filled in {:.0} s", begun.elapsed().as_secs_f64());
        Ok(())
    }

    async fn copy(&self, store: &Arc<dyn Store>, text: &str, guid: &str, resources: u64) -> Result<()> {
        for batch in (1..resources).step_by(BATCH as usize) {
            let mut change = Change::new();
            for number in batch..(batch + BATCH).min(resources) {
                let other = uuid::Uuid::from_u128(u128::from(number) | 4 << 76 | 8 << 60).to_string();
                let body = text
                    .replace("/resourceGroups/g0/", &format!("/resourceGroups/g{}/", number / PER_GROUP))
                    .replace("/migrators/m0\"", &format!("/migrators/m{number}\""))
                    .replace(guid, &other);
                change = change.put(COLLECTION, key(number), body);
            }
            store.commit(change).await?;
        }
        Ok(())
    }
}

/// The path of a migrator, with the version.
pub fn migrator(number: u64) -> String {
    let group = number / PER_GROUP;
    format!(
        "/subscriptions/{SUBSCRIPTION}/resourceGroups/g{group}/providers/LiveData.Platform/migrators/m{number}?api-version={VERSION}"
    )
}

/// The first page of a group's migrators, or of all.
pub fn page(group: Option<u64>) -> String {
    let group = group.map(|group| format!("/resourceGroups/g{group}")).unwrap_or_default();
    format!(
        "/subscriptions/{SUBSCRIPTION}{group}/providers/LiveData.Platform/migrators?api-version={VERSION}&$top=100"
    )
}

fn key(number: u64) -> String {
    migrator(number).split('?').next().unwrap_or_default().to_lowercase()
}

pub fn groups(resources: u64) -> u64 {
    resources.div_ceil(PER_GROUP)
}

pub fn body() -> Value {
    json!({
        "location": "westeurope",
        "tags": { "team": "data" },
        "properties": { "source": { "kind": "Hdfs", "uri": "hdfs://nameservice1" } }
    })
}

pub fn get(number: u64) -> Ask {
    Ask::new("GET", &migrator(number), None, 200)
}

pub fn list(group: Option<u64>) -> Ask {
    Ask::new("GET", &page(group), None, 200)
}

/// Makes a new migrator, in a group of its own kind.
pub fn put(name: &str, body: &str) -> Ask {
    let path = format!(
        "/subscriptions/{SUBSCRIPTION}/resourceGroups/new/providers/LiveData.Platform/migrators/{name}?api-version={VERSION}"
    );
    Ask::new("PUT", &path, Some(body), 201)
}

fn config(arm: u16, enrolment: u16, store: String) -> Result<ProviderConfig> {
    let rule = |name: &str| RelayRule { name: name.to_owned(), key: "unused".to_owned() };
    let nowhere = "https://localhost:1/".parse::<url::Url>()?;
    Ok(ProviderConfig {
        namespace: "LiveData.Platform".to_owned(),
        compat: Compat::default(),
        store,
        sealing_key: "sealing.key".into(),
        key_vault_key: None,
        former_key_vault_keys: Vec::new(),
        agent_authority: "agents".into(),
        arm: Arm { listen: ([127, 0, 0, 1], arm).into(), certificates_from: None },
        enrolment: Enrolment { listen: ([127, 0, 0, 1], enrolment).into(), url: nowhere.clone() },
        custom_providers: None,
        relay: Relay {
            url: "wss://localhost:1".parse()?,
            send_rule: rule("send"),
            listen_rule: rule("listen"),
        },
        azure: Azure {
            cloud: None,
            addresses: Some(CloudAddresses {
                endpoint: nowhere.clone(),
                authority: nowhere,
                audience: "unused".to_owned(),
                storage_suffix: "unused".to_owned(),
            }),
            identity: AzureIdentity::ManagedIdentity { client_id: None },
        },
        retry_after_seconds: 10,
        health: None,
        audit_log: "audit.log".into(),
    })
}
