//! `livedata demo`: the main job from end to end, on this machine, in about a minute.
//!
//! Everything is created through the environment's own ARM front door; the agent is a process of its own behind the relay;
//! the judge is `livedata-workload`, which shares no code with what it judges.

mod agent;
mod churner;
mod folder;
mod progress;
mod source;
mod watch;

use std::path::{Path, PathBuf};
use std::time::Duration;

use livedata_workload::{Report, TargetSide, compare, lake};
use serde_json::json;
use tokio::task::JoinHandle;
use url::Url;

use crate::arm_client::{self, ArmClient};
use crate::dev::sign_in_commands;
use crate::environment::{self, Environment, NAMESPACE, Options, PortChoice, Service};
use agent::{Agent, Installation};
use churner::Churner;
use folder::Folder;
use progress::Figures;
use source::{Given, Source};
use watch::{Watch, wait};

const GROUP: &str = "demo";
const ACCOUNT: &str = "demolake";
const CONTAINER: &str = "data";
const TARGET_PATH: &str = "/lake";
/// Operations a second on the sample.
const CHURN_RATE: u32 = 100;
/// Every demo is the same.
const CHURN_SEED: u64 = 1;

/// Show a migration from end to end on this machine
///
/// A lake is copied while it is changed all the time, followed until the changes end, and compared with its copy. It ends by
/// itself, with exit code 1 if anything differs.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to migrate instead of a sample: a directory, or hdfs://host:port/path; it is only read, unless --churn-rate says
    /// otherwise
    #[arg(long, value_name = "DIR|URL")]
    source: Option<Given>,
    /// Who reads at HDFS; to follow one (mode Live), a superuser
    #[arg(long, value_name = "NAME", env = "HADOOP_USER_NAME", default_value = "hdfs")]
    hadoop_user: String,
    /// Live follows the source's changes, OneTime copies once [default: Live; OneTime for an HDFS that is not churned]
    #[arg(long, value_name = "Live|OneTime")]
    mode: Option<Mode>,
    /// Operations a second that change the source while it is copied, 0 for none [default: 100; 0 with --source]. With
    /// --source, files of yours are CHANGED AND DELETED; see `livedata churn --help`
    #[arg(long, value_name = "NUMBER")]
    churn_rate: Option<u32>,
    /// How long the changes go on when the migration has become Live
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    churn_seconds: u64,
    /// The NameNode's web address, http://host:port, to churn an HDFS
    #[arg(long, value_name = "URL")]
    web: Option<Url>,
    /// Folder for the demo's data, which must be empty or absent; without it a temporary one that is removed at the end
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Leave everything running afterwards, until Ctrl-C, and print az commands to look around
    #[arg(long)]
    keep: bool,
}

/// `properties.mode` of the migration.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Mode {
    #[value(name = "Live")]
    Live,
    #[value(name = "OneTime")]
    OneTime,
}

impl Args {
    fn churn_rate(&self) -> u32 {
        self.churn_rate.unwrap_or(if self.source.is_some() { 0 } else { CHURN_RATE })
    }

    fn mode(&self) -> Result<Mode, Error> {
        let is_churned = self.churn_rate() > 0;
        if matches!(self.source, Some(Given::Hdfs(_))) && is_churned && self.web.is_none() {
            return Err(Error::NoWeb);
        }
        match (self.mode, &self.source) {
            (Some(Mode::OneTime), _) if is_churned => Err(Error::NeverEqual),
            (Some(mode), _) => Ok(mode),
            // Only a superuser may follow one.
            (None, Some(Given::Hdfs(_))) if !is_churned => Ok(Mode::OneTime),
            (None, _) => Ok(Mode::Live),
        }
    }
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
    #[error("to churn an HDFS, name the NameNode's web address: --web http://host:port")]
    NoWeb,
    #[error(
        "a source that is changed while it is copied once does not become equal: leave out --mode OneTime, or add --churn-rate 0"
    )]
    NeverEqual,
    #[error("the process that changes the source cannot be started or ended")]
    Churner(#[source] std::io::Error),
    #[error("the process that changes the source failed: {0}")]
    ChurnerEnded(String),
    #[error("the target has not caught up with the source within {seconds} s: {missing}")]
    NotCaughtUp { seconds: u64, missing: String },
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
    let mode = args.mode()?;
    let folder = Folder::of(args.data.as_deref())?;
    let mut stage = Stage::default();
    tokio::pin!(stop);
    let shown = tokio::select! {
        shown = show(&args, mode, folder.path(), &mut stage) => shown,
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
    processes: Processes,
}

/// That should go on by themselves.
#[derive(Default)]
struct Processes {
    agent: Option<Agent>,
    churner: Option<Churner>,
}

impl Processes {
    /// Fails when one is gone.
    async fn check(&mut self) -> Result<(), Error> {
        if let Some(agent) = &mut self.agent {
            agent.check()?;
        }
        if let Some(churner) = &mut self.churner
            && churner.has_ended()?
        {
            self.stop_churning().await?;
            return Err(Error::ChurnerEnded("it ended by itself".to_owned()));
        }
        Ok(())
    }

    /// What was done, for people; `None` if nobody changed anything.
    async fn stop_churning(&mut self) -> Result<Option<String>, Error> {
        match self.churner.take() {
            None => Ok(None),
            Some(churner) => churner.stop().await.map(Some),
        }
    }
}

impl Stage {
    async fn clear(mut self) -> Result<(), Error> {
        if let Some(preparing) = self.preparing {
            // It cannot be stopped, and its folder cannot be removed under it.
            let _ = preparing.await;
        }
        // One that does not end well must not keep the others.
        let churned = self.processes.stop_churning().await;
        if let Some(agent) = self.processes.agent {
            agent.stop().await?;
        }
        if let Some(environment) = self.environment {
            environment.stop().await?;
        }
        churned.map(drop)
    }
}

async fn show(args: &Args, mode: Mode, folder: &Path, stage: &mut Stage) -> Result<Report, Error> {
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
        relay: Service::Embedded,
        provider: Service::Embedded,
        retry_after_seconds: 1,
        compatible: false,
        provider_store: None,
        custom_provider: false,
        health: None,
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
    let processes = &mut stage.processes;
    let process_id = processes.agent.insert(started.await?).process_id();
    wait(&arm, &ids.migrator, processes, |status| status["phase"] == "Up").await?;
    step("agent", &format!("enrolled and connected through the relay, process {process_id}"));

    let target = json!({ "properties": {
        "storageAccountId": ids.account,
        "storageContainer": CONTAINER,
        "credential": { "kind": "AccountKey", "accountKey": key }
    } });
    arm.put(&ids.target, &target).await?;
    let rate = args.churn_rate();
    if rate > 0 {
        let web = args.web.as_ref().map(Url::as_str);
        let churner = processes.churner.insert(Churner::start(&source.side, web, rate, CHURN_SEED)?);
        let title = format!("process {} changes the lake, {rate} operations a second", churner.process_id());
        step("churn", &title);
    }
    let mode_name = match mode {
        Mode::Live => "Live",
        Mode::OneTime => "OneTime",
    };
    let migration = json!({ "properties": {
        "path": source.path,
        "targetId": ids.target,
        "targetPath": TARGET_PATH,
        "mode": mode_name,
        // The churn deletes without an end, and a small lake's share of deletes is soon a large one: at the default of 25 % in
        // an hour they would be held, and the demo wait for somebody to approve them.
        "massDeleteLimit": { "count": 1_000_000_000, "percent": 100 }
    } });
    arm.put(&ids.migration, &migration).await?;
    arm.post(&format!("{}/start", ids.migration)).await?;
    step("migration", &format!("{} to {ACCOUNT}/{CONTAINER}{TARGET_PATH}, {mode_name}", source.path));
    let mut watch = Watch::begin(&arm, &ids.migration);
    let migrated = migrate(&mut watch, mode, Duration::from_secs(args.churn_seconds), processes).await;
    watch.end();
    migrated?;

    step("comparison", "names, sizes, contents and permissions, read again from both sides");
    let storage = environment.storage_url();
    let unusable = |source| arm_client::Error::Unreachable { url: storage.to_owned(), source };
    let http = reqwest::Client::builder().no_proxy().build().map_err(unusable)?;
    let target = TargetSide::new(http, endpoint(environment)?, ACCOUNT, &key, CONTAINER, TARGET_PATH)?;
    Ok(compare(&source.side, &target).await?)
}

/// Until everything is at the target, and will be.
async fn migrate(
    watch: &mut Watch<'_>,
    mode: Mode,
    churn_on: Duration,
    processes: &mut Processes,
) -> Result<(), Error> {
    let status = match mode {
        Mode::OneTime => watch.until_copied("Completed", processes).await?,
        Mode::Live => {
            let status = watch.until_copied("Live", processes).await?;
            let now = Figures::of(&status);
            let bytes = indicatif::DecimalBytes(now.bytes_migrated);
            watch
                .say("live", &format!("{} files, {bytes} arrived; changes are followed", now.files_migrated));
            if processes.churner.is_some() {
                watch.for_a_while(churn_on, processes).await?;
                let churned = processes.stop_churning().await?;
                // What there was of each kind would fill the screen.
                let churned = churned.unwrap_or_default();
                watch.say("churn", churned.rsplit_once(": ").map_or(&*churned, |(total, _)| total));
            }
            let (status, after) = watch.until_caught_up(processes).await?;
            let seconds = after.as_secs_f64();
            watch.say("caught up", &format!("lag 0 transactions, {seconds:.1} s after the last change"));
            status
        }
    };
    let now = Figures::of(&status);
    if mode == Mode::OneTime {
        let bytes = indicatif::DecimalBytes(now.bytes_migrated);
        watch.say("", &format!("{} files, {bytes} arrived", now.files_migrated));
    }
    if now.files_failed > 0 {
        let last = status["lastError"].as_str().unwrap_or_default();
        watch.say("", &format!("{} files failed; the last: {last}", now.files_failed));
    }
    Ok(())
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
