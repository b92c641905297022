//! `livedata demo`: the main job from end to end, on this machine, in about a minute.
//!
//! Everything is created through the environment's own ARM front door; the agent is a process of its own behind the relay;
//! the judge is `livedata-workload`, which shares no code with what it judges.

mod agent;
mod progress;
mod source;

use std::path::{Path, PathBuf};
use std::time::Duration;

use livedata_workload::{Report, TargetSide, compare, lake};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::arm_client::{self, ArmClient};
use crate::dev::sign_in_commands;
use crate::environment::{self, Environment, NAMESPACE, Options, PortChoice, Relay};
use agent::{Agent, Installation};
use progress::{Figures, Progress};
use source::{Given, Source};

const GROUP: &str = "demo";
const ACCOUNT: &str = "demolake";
const CONTAINER: &str = "data";
const TARGET_PATH: &str = "/lake";
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// What goes away by itself within this time is not worth a word.
const QUIET_FOR: Duration = Duration::from_secs(5);

/// Shows a migration from end to end on this machine, and ends by itself.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to migrate instead of a sample: a directory, or hdfs://host:port/path; it is only read
    #[arg(long, value_name = "DIR|URL")]
    source: Option<Given>,
    /// Who reads at HDFS
    #[arg(long, value_name = "NAME", env = "HADOOP_USER_NAME", default_value = "hdfs")]
    hadoop_user: String,
    /// Folder for the demo's data, which must be empty or absent; without it a temporary one that is removed at the end
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Leave everything running afterwards, until Ctrl-C, and print az commands to look around
    #[arg(long)]
    keep: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{} is not empty: name a folder that is empty or absent", .0.display())]
    NotEmpty(PathBuf),
    #[error("no folder for the demo's data")]
    Folder(#[source] std::io::Error),
    #[error("the source {} cannot be read", path.display())]
    Source { path: PathBuf, source: std::io::Error },
    #[error("the sample lake cannot be written")]
    Lake(#[from] lake::Error),
    #[error("the local control plane does not work")]
    Environment(#[from] environment::Error),
    #[error("the front door did not do what it was asked")]
    Arm(#[from] arm_client::Error),
    #[error("the container cannot be made")]
    Container(#[source] livedata_filesystem::Error),
    #[error("the agent's process cannot be started or ended")]
    Agent(#[source] std::io::Error),
    #[error("the agent could not be enrolled: {0}")]
    Enrolment(String),
    #[error("the agent ended ({status}); its log is {}", log.display())]
    AgentEnded { status: String, log: PathBuf },
    #[error("the migration ended as {state}: {reason}")]
    Migration { state: String, reason: String },
    #[error("the two sides cannot be compared")]
    Compare(#[from] livedata_workload::compare::Error),
    #[error("a part of the demo broke: {0}")]
    Broken(String),
    #[error("interrupted")]
    Interrupted,
}

/// Whether both sides are equal. `stop` completes when the process was asked to end.
pub async fn run(args: Args, stop: impl Future<Output = ()>) -> Result<bool, Error> {
    let folder = Folder::of(args.data.as_deref())?;
    let mut stage = Stage::default();
    tokio::pin!(stop);
    let shown = tokio::select! {
        shown = show(&args, folder.path(), &mut stage) => shown,
        () = &mut stop => Err(Error::Interrupted),
    };
    if let Ok(report) = &shown {
        println!("{report}");
    }
    if let (Ok(_), true, Some(environment)) = (&shown, args.keep, &stage.environment) {
        println!("{}", look_around(environment));
        stop.await;
    }
    let cleared = stage.clear().await;
    match shown {
        Ok(report) => {
            cleared?;
            folder.remove()?;
            Ok(report.equal())
        }
        Err(Error::Interrupted) => {
            folder.remove()?;
            Err(Error::Interrupted)
        }
        Err(error) => {
            // Somebody will want to know why.
            eprintln!("data and logs are left in {}", folder.keep().display());
            Err(error)
        }
    }
}

/// What has been started and has to be ended, however the show goes.
#[derive(Default)]
struct Stage {
    /// A lake that is being written.
    preparing: Option<JoinHandle<Result<Source, Error>>>,
    environment: Option<Environment>,
    agent: Option<Agent>,
}

impl Stage {
    async fn clear(self) -> Result<(), Error> {
        if let Some(preparing) = self.preparing {
            // It cannot be stopped, and its folder cannot be removed under it.
            let _ = preparing.await;
        }
        if let Some(agent) = self.agent {
            agent.stop().await?;
        }
        if let Some(environment) = self.environment {
            environment.stop().await?;
        }
        Ok(())
    }
}

async fn show(args: &Args, folder: &Path, stage: &mut Stage) -> Result<Report, Error> {
    let (given, lake, user) = (args.source.clone(), folder.to_owned(), args.hadoop_user.clone());
    let preparing =
        stage.preparing.insert(tokio::task::spawn_blocking(move || Source::prepare(given, &lake, &user)));
    let prepared = preparing.await;
    stage.preparing = None;
    let source = prepared.map_err(|error| Error::Broken(error.to_string()))??;
    step("source", &source.title);
    let started = Environment::start(Options {
        folder: folder.to_owned(),
        ports: PortChoice::Free,
        relay: Relay::Embedded,
        retry_after_seconds: 1,
    });
    let environment = stage.environment.insert(started.await?);
    step(
        "control plane",
        &format!("front door, provider, relay, storage emulator: {}", environment.front_door_url()),
    );

    let arm = ArmClient::new(environment::sign_in(environment.folder())?)?;
    let ids = Ids::new(&arm);
    let key = make_account(&arm, &ids, environment).await?;
    step("storage", &format!("account {ACCOUNT} with container {CONTAINER}"));
    let migrator = json!({ "location": "westeurope", "properties": { "source": source.property } });
    arm.put(&ids.migrator, &migrator).await?;
    let minted = arm.post(&format!("{}/listInstallKey", ids.migrator)).await?;
    let (data, log) = (folder.join("agent"), folder.join("agent.log"));
    let started = Agent::install(Installation {
        data: &data,
        log: &log,
        install_key: minted["installKey"].as_str().unwrap_or_default(),
        hadoop_user: &args.hadoop_user,
        local_directory: source.local_directory(),
    });
    let agent = stage.agent.insert(started.await?);
    wait(&arm, &ids.migrator, agent, |status| status["phase"] == "Up").await?;
    step("agent", &format!("enrolled and connected through the relay, process {}", agent.process_id()));

    let target = json!({ "properties": {
        "storageAccountId": ids.account,
        "storageContainer": CONTAINER,
        "credential": { "kind": "AccountKey", "accountKey": key }
    } });
    arm.put(&ids.target, &target).await?;
    let migration = json!({ "properties": {
        "path": source.path, "targetId": ids.target, "targetPath": TARGET_PATH, "mode": "OneTime"
    } });
    arm.put(&ids.migration, &migration).await?;
    arm.post(&format!("{}/start", ids.migration)).await?;
    step("migration", &format!("{} to {ACCOUNT}/{CONTAINER}{TARGET_PATH}", source.path));
    migrate(&arm, &ids.migration, agent).await?;

    step("comparison", "names, sizes, contents and permissions, read again from both sides");
    let storage = environment.storage_url();
    let unusable = |source| arm_client::Error::Unreachable { url: storage.to_owned(), source };
    let http = reqwest::Client::builder().no_proxy().build().map_err(unusable)?;
    let target = TargetSide::new(http, endpoint(environment)?, ACCOUNT, &key, CONTAINER, TARGET_PATH)?;
    Ok(compare(&source.side, &target).await?)
}

fn step(name: &str, what: &str) {
    println!("  {name:<14}{what}");
}

/// Group, registration, account, container; returns the account's key.
async fn make_account(arm: &ArmClient, ids: &Ids, environment: &Environment) -> Result<String, Error> {
    arm.put(&arm.id(&format!("/resourcegroups/{GROUP}")), &json!({ "location": "westeurope" })).await?;
    arm.post(&arm.id(&format!("/providers/{NAMESPACE}/register"))).await?;
    let account = json!({
        "kind": "StorageV2",
        "location": "westeurope",
        "sku": { "name": "Standard_LRS" },
        "properties": { "isHnsEnabled": true }
    });
    arm.put(&ids.account, &account).await?;
    let keys = arm.post(&format!("{}/listKeys", ids.account)).await?;
    let key = keys["keys"][0]["value"].as_str().unwrap_or_default().to_owned();
    let shared = livedata_adls::AccountKey::from_base64(&key).map(livedata_adls::Credential::SharedKey);
    if let Some(credential) = shared {
        let config = livedata_adls::Config::new(endpoint(environment)?, ACCOUNT, CONTAINER, credential);
        let filesystem = livedata_adls::Filesystem::new(config).map_err(Error::Container)?;
        filesystem.create_filesystem().await.map_err(Error::Container)?;
    }
    Ok(key)
}

fn endpoint(environment: &Environment) -> Result<url::Url, Error> {
    let text = format!("{}/{ACCOUNT}", environment.storage_url());
    Ok(text.parse().map_err(environment::Error::Url)?)
}

/// Shows progress until the migration ends; an error unless it ends well.
async fn migrate(arm: &ArmClient, migration: &str, agent: &mut Agent) -> Result<(), Error> {
    let mut progress = Progress::begin();
    let ended = wait(arm, migration, agent, |status| {
        progress.show(Figures::of(status));
        matches!(status["state"].as_str(), Some("Completed" | "Failed" | "Stopped"))
    })
    .await;
    progress.end();
    let status = ended?;
    let state = status["state"].as_str().unwrap_or_default();
    let reason = status["lastError"].as_str();
    if state != "Completed" {
        return Err(Error::Migration {
            state: state.to_owned(),
            reason: reason.unwrap_or("no reason was given").to_owned(),
        });
    }
    let now = Figures::of(&status);
    step(
        "",
        &format!("{} files, {} arrived", now.files_migrated, indicatif::DecimalBytes(now.bytes_migrated)),
    );
    if now.files_failed > 0 {
        step("", &format!("{} files failed; the last: {}", now.files_failed, reason.unwrap_or_default()));
    }
    Ok(())
}

/// Looks at a resource until its status is as wanted. What keeps it from becoming so is said as it appears.
async fn wait(
    arm: &ArmClient,
    id: &str,
    agent: &mut Agent,
    mut wanted: impl FnMut(&Value) -> bool,
) -> Result<Value, Error> {
    let started = Instant::now();
    let mut said = None;
    loop {
        let status = arm.get(id).await?["properties"]["status"].take();
        if wanted(&status) {
            return Ok(status);
        }
        agent.check()?;
        let trouble = trouble_of(&status).filter(|_| started.elapsed() > QUIET_FOR);
        if let Some(trouble) = trouble.filter(|trouble| said.as_ref() != Some(trouble)) {
            step("waiting", &trouble);
            said = Some(trouble);
        }
        sleep(LOOK_EVERY).await;
    }
}

/// The first condition that is in the way.
fn trouble_of(status: &Value) -> Option<String> {
    let mut conditions = status["conditions"].as_array()?.iter();
    let bad = |condition: &&Value| condition["status"] == "True" && condition["type"] != "Scanning";
    let condition = conditions.find(bad)?;
    let text = |name: &str| condition[name].as_str().unwrap_or_default().to_owned();
    Some(format!("{}: {}", text("type"), text("message")))
}

struct Ids {
    account: String,
    migrator: String,
    target: String,
    migration: String,
}

impl Ids {
    fn new(arm: &ArmClient) -> Self {
        let group = arm.id(&format!("/resourceGroups/{GROUP}/providers"));
        let migrator = format!("{group}/{NAMESPACE}/migrators/demo");
        Self {
            account: format!("{group}/Microsoft.Storage/storageAccounts/{ACCOUNT}"),
            target: format!("{migrator}/targets/{ACCOUNT}"),
            migration: format!("{migrator}/liveDataMigrations/lake"),
            migrator,
        }
    }
}

fn look_around(environment: &Environment) -> String {
    format!(
        "\neverything is still running, in {}\nin another terminal, with az:\n{}\
         \x20 az resource list -g {GROUP} -o table\n\
         \x20 az resource show -g {GROUP} --namespace {NAMESPACE} --parent migrators/demo --resource-type liveDataMigrations -n lake\n\
         Ctrl-C ends it",
        environment.folder().display(),
        sign_in_commands(environment)
    )
}

/// Where the demo's data is.
enum Folder {
    Own(PathBuf),
    Temporary(tempfile::TempDir),
}

impl Folder {
    fn of(given: Option<&Path>) -> Result<Self, Error> {
        let Some(folder) = given else {
            return tempfile::tempdir().map(Self::Temporary).map_err(Error::Folder);
        };
        std::fs::create_dir_all(folder).map_err(Error::Folder)?;
        if std::fs::read_dir(folder).map_err(Error::Folder)?.next().is_some() {
            return Err(Error::NotEmpty(folder.to_owned()));
        }
        Ok(Self::Own(folder.to_owned()))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Own(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }

    /// Of a temporary one nothing is left.
    fn remove(self) -> Result<(), Error> {
        match self {
            Self::Own(_) => Ok(()),
            Self::Temporary(folder) => folder.close().map_err(Error::Folder),
        }
    }

    fn keep(self) -> PathBuf {
        match self {
            Self::Own(folder) => folder,
            Self::Temporary(folder) => folder.keep(),
        }
    }
}
