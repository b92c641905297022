//! A control plane with its storage emulator as one process (`livedata dev`), and our agent as another.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use livedata_adls::{AccountKey, Config, Credential, Filesystem};
use livedata_demo::arm_client::ArmClient;
use livedata_demo::environment;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::process::Running;

pub const ACCOUNT: &str = "lake";
const LIVEDATA: &str = env!("CARGO_BIN_EXE_livedata");
const LIVEDATA_AGENT: &str = env!("CARGO_BIN_EXE_livedata-agent");
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub struct Site {
    process: Running,
    arm: ArmClient,
    data: PathBuf,
    http: reqwest::Client,
    pub key: String,
    /// DFS endpoint of the account, in path style.
    pub endpoint: String,
}

/// What the emulator has counted.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    pub requests: BTreeMap<String, u64>,
    pub ingress_bytes: u64,
}

impl Counters {
    pub fn since(&self, before: &Self) -> Self {
        let new = |(name, count): (&String, &u64)| {
            let count = count - before.requests.get(name).copied().unwrap_or(0);
            (count > 0).then(|| (name.clone(), count))
        };
        let requests = self.requests.iter().filter_map(new).collect();
        Self { requests, ingress_bytes: self.ingress_bytes - before.ingress_bytes }
    }

    pub fn total(&self) -> u64 {
        self.requests.values().sum()
    }

    /// Requests that change something.
    pub fn writes(&self) -> u64 {
        let reads = ["PathList", "PathStatus", "PathRead", "BlobList", "FilesystemProperties"];
        self.requests.iter().filter(|(name, _)| !reads.contains(&name.as_str())).map(|(_, count)| count).sum()
    }
}

/// The agent of one migrator.
pub struct Agent {
    pub process: Running,
    pub migrator: String,
    pub folder: PathBuf,
}

impl Site {
    pub async fn start(folder: &Path) -> Result<Self> {
        let data = folder.join("site");
        let mut command = Command::new(LIVEDATA);
        command.arg("dev").arg("--data").arg(&data).args(["--port", "0"]);
        let process = Running::start(&mut command, &folder.join("site.log"))?;
        process.until_said("ready").await?;
        let arm = ArmClient::new(environment::sign_in(&data)?)?;
        arm.put(&arm.id("/resourcegroups/rg"), &json!({"location": "westeurope"})).await?;
        arm.post(&arm.id("/providers/LiveData.Platform/register")).await?;
        let id = account_id(&arm);
        let account = json!({"kind": "StorageV2", "location": "westeurope", "sku": {"name": "Standard_LRS"},
            "properties": {"isHnsEnabled": true}});
        arm.put(&id, &account).await?;
        let account = arm.get(&id).await?;
        let endpoint =
            account["properties"]["primaryEndpoints"]["dfs"].as_str().context("no DFS endpoint")?;
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let keys = arm.post(&format!("{id}/listKeys")).await?;
        let key = keys["keys"][0]["value"].as_str().context("no account key")?.to_owned();
        let http = reqwest::Client::new();
        Ok(Self { process, arm, data, http, key, endpoint })
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub fn arm(&self) -> &ArmClient {
        &self.arm
    }

    /// `host:port` of the storage endpoint.
    pub fn storage_address(&self) -> Result<String> {
        let url = url::Url::parse(&self.endpoint)?;
        let host = url.host_str().context("the endpoint has no host")?;
        Ok(format!("{host}:{}", url.port_or_known_default().context("the endpoint has no port")?))
    }

    pub fn container(&self, name: &str) -> Result<Filesystem> {
        container(&self.endpoint, &self.key, name)
    }

    /// The account's counters. The admin endpoint's whereabouts are in the environment's folder.
    pub async fn counters(&self) -> Result<Counters> {
        let file = |name: &str| -> Result<Value> {
            Ok(serde_json::from_slice(&std::fs::read(self.data.join(name))?)?)
        };
        let url = format!("http://127.0.0.1:{}/counters", file("ports.json")?["storageAdmin"]);
        let token = file("secrets.json")?["storageAdmin"].as_str().unwrap_or_default().to_owned();
        let reply = self.http.get(url).bearer_auth(token).send().await?.error_for_status()?;
        let reply: Value = serde_json::from_str(&reply.text().await?)?;
        let counters = &reply["accounts"][ACCOUNT];
        let requests = counters["requests"].as_object().into_iter().flatten();
        Ok(Counters {
            requests: requests.map(|(name, count)| (name.clone(), count.as_u64().unwrap_or(0))).collect(),
            ingress_bytes: counters["ingress_bytes"].as_u64().unwrap_or(0),
        })
    }

    /// A migrator whose agent is connected. `user`: who it is at HDFS.
    pub async fn install_agent(
        &self,
        name: &str,
        source: &str,
        container: &str,
        user: &str,
    ) -> Result<Agent> {
        let migrator =
            self.arm.id(&format!("/resourceGroups/rg/providers/LiveData.Platform/migrators/{name}"));
        let body =
            json!({"location": "westeurope", "properties": {"source": {"kind": "Hdfs", "uri": source}}});
        self.arm.put(&migrator, &body).await?;
        let target = json!({"properties": {
            "storageAccountId": account_id(&self.arm),
            "storageContainer": container,
            "credential": {"kind": "AccountKey", "accountKey": self.key}
        }});
        self.arm.put(&format!("{migrator}/targets/t"), &target).await?;
        let minted = self.arm.post(&format!("{migrator}/listInstallKey")).await?;
        let key = minted["installKey"].as_str().context("no install key")?;
        let beside = self.data.parent().context("no parent")?;
        let folder = beside.join(name);
        let agent = |subcommand: &str| {
            let mut command = Command::new(LIVEDATA_AGENT);
            command.arg(subcommand).arg("--data").arg(&folder);
            command
        };
        let enrolled = agent("enrol").env("LIVEDATA_INSTALL_KEY", key).output()?;
        ensure!(enrolled.status.success(), "cannot enrol: {}", String::from_utf8_lossy(&enrolled.stderr));
        let log = beside.join(format!("{name}.log"));
        let process = Running::start(agent("run").args(["--hadoop-user", user]), &log)?;
        self.wait(&migrator, PATIENCE, |status| status["phase"] == "Up").await?;
        Ok(Agent { process, migrator, folder })
    }

    /// A migration of `path`, not started yet.
    pub async fn make_migration(&self, agent: &Agent, path: &str, mode: &str) -> Result<String> {
        let id = format!("{}/liveDataMigrations/m", agent.migrator);
        let properties =
            json!({"path": path, "targetId": format!("{}/targets/t", agent.migrator), "mode": mode});
        self.arm.put(&id, &json!({ "properties": properties })).await?;
        Ok(id)
    }

    /// Looks at a resource through ARM until its `status` is so.
    pub async fn wait(&self, id: &str, patience: Duration, holds: impl Fn(&Value) -> bool) -> Result<Value> {
        let begun = Instant::now();
        loop {
            let status = self.arm.get(id).await?["properties"]["status"].take();
            if holds(&status) {
                return Ok(status);
            }
            if begun.elapsed() > patience {
                bail!("{id} is not as it should be after {} s: {status:#}", patience.as_secs());
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// The agent leaves; its data at the target stays.
    pub async fn remove_agent(&self, agent: Agent) -> Result<()> {
        let Agent { process, migrator, folder } = agent;
        drop(process);
        std::fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        Ok(self.arm.delete(&migrator).await?)
    }
}

pub fn container(endpoint: &str, key: &str, name: &str) -> Result<Filesystem> {
    let key = AccountKey::from_base64(key).context("the account key is not base64")?;
    Ok(Filesystem::new(Config::new(endpoint.parse()?, ACCOUNT, name, Credential::SharedKey(key)))?)
}

fn account_id(arm: &ArmClient) -> String {
    arm.id(&format!("/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/{ACCOUNT}"))
}
