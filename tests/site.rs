//! A control plane in a process of its own, agents in theirs, and ARM's view of both: what a user has.

mod process;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use livedata_demo::arm_client::ArmClient;
use livedata_demo::environment;
use livedata_filesystem::{Condition, TargetPath};
use livedata_workload::{SourceSide, TargetSide};
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

pub use process::Process;

pub const LIVEDATA: &str = env!("CARGO_BIN_EXE_livedata");
pub const LIVEDATA_AGENT: &str = env!("CARGO_BIN_EXE_livedata-agent");

pub const ACCOUNT: &str = "lake";
const CONTAINER: &str = "data";
/// Longest wait for a state; reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(150);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The folder of an environment and the process that works on it, for as long as one does.
pub struct Site {
    // Before the folder, so that it has ended when that is removed.
    process: Option<Process>,
    arm: Option<ArmClient>,
    arguments: Vec<String>,
    program: String,
    /// Of the environment of the site and its agents.
    variables: Vec<(&'static str, String)>,
    folder: TempDir,
}

impl Site {
    /// With a resource group, a storage account and a container in it.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub async fn start_with(arguments: &[&str]) -> Self {
        let site = Self::bare(arguments).await;
        site.furnish().await;
        site
    }

    /// With the public namespace, too.
    pub async fn compatible() -> Self {
        let site = Self::bare(&["--compat-wandisco-fusion"]).await;
        site.furnish().await;
        site
    }

    /// The relay is a process of its own.
    pub async fn start_with_relay_apart() -> (Self, Process) {
        let site = Self::bare(&["--without-relay"]).await;
        site.furnish().await;
        let relay = site.start_relay();
        (site, relay)
    }

    /// The provider is a process of its own.
    pub async fn start_with_provider_apart() -> (Self, Process) {
        let site = Self::bare(&["--without-provider"]).await;
        let provider = site.start_provider().await;
        site.furnish().await;
        (site, provider)
    }

    /// Its processes have these variables.
    pub async fn start_with_variables(variables: Vec<(&'static str, String)>) -> Self {
        let site = Self::bare_with(&[], variables).await;
        site.furnish().await;
        site
    }

    /// Nothing is created yet.
    pub async fn bare(arguments: &[&str]) -> Self {
        Self::bare_with(arguments, Vec::new()).await
    }

    async fn bare_with(arguments: &[&str], variables: Vec<(&'static str, String)>) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let arguments = arguments.iter().map(|argument| (*argument).to_owned());
        let port = ["--port".to_owned(), ports().to_string()];
        let arguments = arguments.chain(port).collect();
        let program = LIVEDATA.to_owned();
        let mut site = Self { process: None, arm: None, arguments, program, variables, folder };
        site.bring_up().await;
        site
    }

    /// Another control plane that is the same but for its ports, and its arguments: on a copy of the folder of this one, which
    /// must be down.
    pub async fn twin(&self, program: &str, arguments: &[&str]) -> Self {
        assert!(self.process.is_none());
        let folder = tempfile::tempdir().unwrap();
        let port = ports();
        let copied =
            tokio::process::Command::new("cp").arg("-r").arg(self.data()).arg(folder.path()).status();
        assert!(copied.await.unwrap().success());
        std::fs::remove_file(folder.path().join("site").join("ports.json")).unwrap();
        let arguments = arguments.iter().map(|argument| (*argument).to_owned());
        let arguments = arguments.chain(["--port".to_owned(), port.to_string()]).collect();
        let (program, variables) = (program.to_owned(), self.variables.clone());
        let mut site = Self { process: None, arm: None, arguments, program, variables, folder };
        site.bring_up().await;
        site
    }

    /// Starts the process again after [`Site::kill`].
    pub async fn bring_up(&mut self) {
        let data = self.data().display().to_string();
        let more = self.arguments.iter().map(String::as_str);
        let arguments: Vec<&str> = ["dev", "--data", &data].into_iter().chain(more).collect();
        let process = Process::start(&self.program, &arguments, &self.variables());
        process.wait_until_said("ready").await;
        self.process = Some(process);
        self.arm = Some(ArmClient::new(environment::sign_in(&self.data()).unwrap()).unwrap());
    }

    /// kill -9 of front door, provider and storage emulator.
    pub async fn kill(&mut self) {
        self.process.take().unwrap().kill().await;
    }

    /// Ends it as Ctrl-C does.
    pub async fn terminate(&mut self) {
        let (status, said) = self.process.take().unwrap().terminate().await;
        assert!(status.success(), "{said}");
    }

    /// To front door, provider and storage emulator.
    pub async fn signal(&self, signal: &str) {
        self.process.as_ref().unwrap().signal(signal).await;
    }

    pub fn start_relay(&self) -> Process {
        let data = self.data().join("relay").display().to_string();
        Process::start(LIVEDATA, &["relay", "--data", &data], &[])
    }

    pub async fn start_provider(&self) -> Process {
        let data = self.data().join("provider").display().to_string();
        let process = Process::start(LIVEDATA, &["provider", "--data", &data], &[]);
        process.wait_until_said("ready").await;
        process
    }

    fn variables(&self) -> Vec<(&str, &str)> {
        self.variables.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }

    /// Folder of the environment.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("site")
    }

    /// A folder for something else.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn arm(&self) -> &ArmClient {
        self.arm.as_ref().unwrap()
    }

    async fn furnish(&self) {
        let arm = self.arm();
        arm.put(&arm.id("/resourcegroups/rg"), &json!({"location": "westeurope"})).await.unwrap();
        arm.post(&arm.id("/providers/LiveData.Platform/register")).await.unwrap();
        let account = json!({"kind": "StorageV2", "location": "westeurope", "sku": {"name": "Standard_LRS"},
            "properties": {"isHnsEnabled": true}});
        arm.put(&self.account(), &account).await.unwrap();
        self.filesystem().await.create_filesystem().await.unwrap();
    }

    async fn filesystem(&self) -> livedata_adls::Filesystem {
        let key = livedata_adls::AccountKey::from_base64(&self.account_key().await).unwrap();
        let credential = livedata_adls::Credential::SharedKey(key);
        let endpoint = self.endpoint().await.parse().unwrap();
        livedata_adls::Filesystem::new(livedata_adls::Config::new(endpoint, ACCOUNT, CONTAINER, credential))
            .unwrap()
    }

    fn account(&self) -> String {
        self.arm().id(&format!("/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/{ACCOUNT}"))
    }

    pub async fn account_key(&self) -> String {
        let keys = self.arm().post(&format!("{}/listKeys", self.account())).await.unwrap();
        keys["keys"][0]["value"].as_str().unwrap().to_owned()
    }

    pub async fn rotate_account_key(&self) {
        let body = json!({"keyName": "key1"});
        self.arm().post_with(&format!("{}/regenerateKey", self.account()), &body).await.unwrap();
    }

    /// DFS endpoint of the account.
    pub async fn endpoint(&self) -> String {
        let account = self.arm().get(&self.account()).await.unwrap();
        account["properties"]["primaryEndpoints"]["dfs"].as_str().unwrap().trim_end_matches('/').to_owned()
    }

    pub fn migrator_id(&self, name: &str) -> String {
        self.arm().id(&format!("/resourceGroups/rg/providers/LiveData.Platform/migrators/{name}"))
    }

    /// A migrator with a target `t`; `source` is `properties.source`.
    pub async fn make_migrator(&self, name: &str, source: Value, bytes_per_second: Option<u64>) -> String {
        let id = self.migrator_id(name);
        let mut properties = json!({"source": source});
        if let Some(most) = bytes_per_second {
            properties["bandwidthPolicy"] = json!({"maxBytesPerSecond": most});
        }
        self.arm().put(&id, &json!({"location": "westeurope", "properties": properties})).await.unwrap();
        let target = json!({"properties": {
            "storageAccountId": self.account(),
            "storageContainer": CONTAINER,
            "credential": {"kind": "AccountKey", "accountKey": self.account_key().await}
        }});
        self.arm().put(&format!("{id}/targets/t"), &target).await.unwrap();
        id
    }

    /// A migration of `path` to the same path, started.
    pub async fn start_migration(&self, migrator: &str, name: &str, path: &str) -> String {
        self.start_migration_with(migrator, name, path, json!({})).await
    }

    /// With further properties.
    pub async fn start_migration_with(
        &self,
        migrator: &str,
        name: &str,
        path: &str,
        mut properties: Value,
    ) -> String {
        let id = format!("{migrator}/liveDataMigrations/{name}");
        properties["path"] = path.into();
        properties["targetId"] = format!("{migrator}/targets/t").into();
        self.arm().put(&id, &json!({ "properties": properties })).await.unwrap();
        self.arm().post(&format!("{id}/start")).await.unwrap();
        id
    }

    pub async fn install_key(&self, migrator: &str) -> String {
        let minted = self.arm().post(&format!("{migrator}/listInstallKey")).await.unwrap();
        minted["installKey"].as_str().unwrap().to_owned()
    }

    /// `livedata-agent enrol` in the folder of this name; what it said on standard error if it failed.
    pub async fn enrol(&self, folder: &str, key: &str) -> Result<(), String> {
        let data = self.beside(folder).display().to_string();
        let mut process =
            Process::start(LIVEDATA_AGENT, &["enrol", "--data", &data], &[("LIVEDATA_INSTALL_KEY", key)]);
        let (status, said) = process.finish().await;
        if status.success() { Ok(()) } else { Err(said) }
    }

    /// `livedata-agent run` in the folder of this name.
    pub fn run_agent(&self, folder: &str) -> Process {
        self.run_agent_as(folder, "mover")
    }

    /// As a certain user of Hadoop.
    pub fn run_agent_as(&self, folder: &str, user: &str) -> Process {
        self.run_agent_with(folder, user, &[])
    }

    /// With further arguments.
    pub fn run_agent_with(&self, folder: &str, user: &str, more: &[&str]) -> Process {
        let data = self.beside(folder).display().to_string();
        let source = self.beside("source").display().to_string();
        let allowed = ["--local-directory", &source, "--hadoop-user", user];
        let arguments = [&["run", "--data", &data], &allowed[..], more].concat();
        Process::start(LIVEDATA_AGENT, &arguments, &self.variables())
    }

    /// Enrols and runs the agent of a migrator, in a folder of the migrator's name, until it is connected.
    pub async fn install_agent(&self, migrator: &str) -> Process {
        self.install_agent_as(migrator, "mover").await
    }

    pub async fn install_agent_as(&self, migrator: &str, user: &str) -> Process {
        let folder = migrator.rsplit('/').next().unwrap();
        self.enrol(folder, &self.install_key(migrator).await).await.unwrap();
        let agent = self.run_agent_as(folder, user);
        self.wait(migrator, "Up", |status| status["phase"] == "Up").await;
        agent
    }

    pub async fn status(&self, id: &str) -> Value {
        self.arm().get(id).await.unwrap()["properties"]["status"].take()
    }

    /// Looks at a resource through ARM until its `status` is so.
    pub async fn wait(&self, id: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        self.wait_within(PATIENCE, id, what, holds).await
    }

    /// The same for what takes longer than anything in the test tier.
    pub async fn wait_within(
        &self,
        patience: Duration,
        id: &str,
        what: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> Value {
        let last = std::sync::Mutex::new(Value::Null);
        let reached = until_within(patience, async || {
            let status = self.status(id).await;
            let reached = holds(&status);
            *last.lock().unwrap() = status.clone();
            reached.then_some(status)
        });
        match reached.await {
            Some(status) => status,
            None => panic!("{id} never was {what}: {:#}", last.lock().unwrap()),
        }
    }

    /// What the storage emulator has received in request bodies for the account.
    pub async fn ingress_bytes(&self) -> u64 {
        self.target_counters().await["ingress_bytes"].as_u64().unwrap_or(0)
    }

    /// What the storage emulator has counted for the account since its start.
    pub async fn target_counters(&self) -> Value {
        let file = |name: &str| -> Value {
            serde_json::from_slice(&std::fs::read(self.data().join(name)).unwrap()).unwrap()
        };
        let url = format!("http://127.0.0.1:{}/counters", file("ports.json")["storageAdmin"]);
        let token = file("secrets.json")["storageAdmin"].as_str().unwrap().to_owned();
        let reply = reqwest::Client::new().get(url).bearer_auth(token).send().await.unwrap();
        let mut counters: Value = serde_json::from_str(&reply.text().await.unwrap()).unwrap();
        counters["accounts"][ACCOUNT].take()
    }

    pub async fn remove_at_target(&self, path: &str) {
        let path = TargetPath::new(path);
        self.filesystem().await.delete(&path, false, &Condition::Any).await.unwrap();
    }

    /// Names at the top of the container, our own folder included.
    pub async fn listing(&self) -> Vec<String> {
        let (root, options) = (TargetPath::new(""), livedata_adls::ListOptions::default());
        let filesystem = self.filesystem().await;
        let page = filesystem.list(&root, options).next_page().await.unwrap().unwrap();
        page.into_iter().map(|entry| entry.path.as_str().to_owned()).collect()
    }

    /// Both sides, by clients of the comparer's own. `directory` is in the container.
    pub async fn compare(&self, source: SourceSide, directory: &str) -> livedata_workload::Report {
        livedata_workload::compare(&source, &self.target_side(directory).await).await.unwrap()
    }

    /// A directory of the container, read by a client that shares no code with the agent's.
    pub async fn target_side(&self, directory: &str) -> TargetSide {
        let endpoint = Url::parse(&self.endpoint().await).unwrap();
        let key = self.account_key().await;
        TargetSide::new(reqwest::Client::new(), endpoint, ACCOUNT, &key, CONTAINER, directory).unwrap()
    }
}

/// The first of seven ports in a row. No two sites of a run share any, not even while one of them is down; the demo takes its
/// ports from a higher range.
fn ports() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let slot = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add((std::process::id() % 1_100) as u16);
        let first = 12_000 + (slot % 1_100) * 7;
        if (first..first + 7).all(|port| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return first;
        }
    }
}

/// Asks again and again until there is an answer; `None` when patience is at its end.
pub async fn until<T>(ask: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    until_within(PATIENCE, ask).await
}

async fn until_within<T>(patience: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let asking = async {
        let mut tick = tokio::time::interval(LOOK_EVERY);
        loop {
            tick.tick().await;
            if let Some(answer) = ask().await {
                return answer;
            }
        }
    };
    tokio::time::timeout(patience, asking).await.ok()
}

pub fn has_condition(status: &Value, kind: &str) -> bool {
    let conditions = status["conditions"].as_array().unwrap();
    conditions.iter().any(|condition| condition["type"] == kind && condition["status"] == "True")
}

pub fn progress(status: &Value, name: &str) -> u64 {
    status["progress"][name].as_u64().unwrap()
}

/// `properties.source` for a directory on this machine.
pub fn directory(path: &std::path::Path) -> Value {
    json!({"kind": "LocalDirectory", "uri": Url::from_directory_path(path).unwrap()})
}
