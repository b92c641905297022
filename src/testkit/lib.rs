//! Helpers of tests (dev only): an agent's supervisor with a real emulator as target.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of tests: a failed set-up fails the test")]

mod disk;
pub mod gate;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::TryStreamExt as _;
use livedata_adls_emulator::{AccountKey, Emulator, Options, Running, Storage};
use livedata_agent_runtime::host::{Host, StorageAccess};
use livedata_agent_runtime::ledger::Ledger;
use livedata_agent_runtime::supervisor::{Outlets, Supervisor};
use livedata_filesystem::{Attributes, Condition, Target as _, TargetPath, Upload};
use livedata_model::command::{Command, CommandKind};
use livedata_model::message::Sync;
use livedata_model::path::RESERVED;
use livedata_model::report::{FailedPath, FailedPaths, MigrationReport};
use livedata_model::spec::{
    Body, Credential, Item, MassDeleteLimit, MigrationSpec, MigratorSpec, Mode, RunState, SourceKind,
    TargetSpec,
};
use livedata_workload::{SourceSide, TargetSide, compare};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use url::Url;

pub use disk::SmallDisk;

const KEY: &str = "bGl2ZWRhdGEgdGVzdHMgdXNlIHRoaXMga2V5IGFuZCBub2JvZHkgZWxzZSBldmVyIGRvZXM=";

/// An emulator, the address of a source, and what an agent keeps on disk between its starts.
pub struct World {
    source: String,
    user: String,
    agent: PathBuf,
    _agent_folder: tempfile::TempDir,
    /// Where the storage service is for the agent.
    storage: SocketAddr,
    emulator: Running,
    _emulator_folder: tempfile::TempDir,
}

/// One life of the agent.
pub struct Agent {
    ledger: Arc<Mutex<Ledger>>,
    changed: Arc<Notify>,
    reports: watch::Receiver<Arc<Vec<MigrationReport>>>,
    failed_paths: watch::Receiver<Arc<Vec<FailedPaths>>>,
    cancel: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl World {
    /// `source` is a `file:` or `hdfs:` URI; `user` is who reads there.
    pub async fn new(source: String, user: &str) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let emulator = Emulator::start(Options {
            storage: Storage::Folder(folder.path().join("emulator")),
            storage_address: "127.0.0.1:0".parse().unwrap(),
            admin_address: "127.0.0.1:0".parse().unwrap(),
            admin_token: "admin".into(),
            accounts: vec![format!("lake={KEY}").parse::<AccountKey>().unwrap()],
            ..Options::default()
        })
        .await
        .unwrap();
        let agent = tempfile::tempdir().unwrap();
        let world = Self {
            source,
            user: user.to_owned(),
            agent: agent.path().to_owned(),
            _agent_folder: agent,
            storage: address_of(emulator.storage_url()),
            emulator,
            _emulator_folder: folder,
        };
        world.filesystem().create_filesystem().await.unwrap();
        world
    }

    fn endpoint(&self) -> String {
        format!("{}/lake", self.emulator.storage_url())
    }

    /// Where the storage service really is.
    pub fn storage_address(&self) -> SocketAddr {
        address_of(self.emulator.storage_url())
    }

    /// Agents speak to the storage service through this gate from now on.
    pub fn go_through(&mut self, gate: &gate::Gate) {
        self.storage = gate.address();
    }

    /// What agents keep is in this folder from now on.
    pub fn keep_in(&mut self, folder: &Path) {
        self.agent = folder.to_owned();
    }

    /// As somebody else: replaces the file whatever it is.
    pub async fn write_at_target(&self, path: &str, content: &'static [u8]) {
        let (target, path) = (livedata_adls::AdlsTarget::new(self.filesystem()), TargetPath::new(path));
        target.create_file(&path, &Attributes::default(), &Condition::Any).await.unwrap();
        let upload = Upload { position: 0, data: content.into() };
        target.append(&path, upload, true).await.unwrap();
    }

    /// As others do it who know the length.
    pub async fn append_at_target(&self, path: &str, position: u64, content: &'static [u8]) {
        let (target, path) = (livedata_adls::AdlsTarget::new(self.filesystem()), TargetPath::new(path));
        target.append(&path, Upload { position, data: content.into() }, true).await.unwrap();
    }

    /// With everything below.
    pub async fn remove_at_target(&self, path: &str) {
        let target = livedata_adls::AdlsTarget::new(self.filesystem());
        target.delete(&TargetPath::new(path), true, &Condition::Any).await.unwrap();
    }

    pub async fn read_at_target(&self, path: &str) -> Vec<u8> {
        let path = TargetPath::new(path);
        let content = self.filesystem().read(&path, None, &Condition::Any).await.unwrap();
        let pieces: Vec<_> = content.bytes.try_collect().await.unwrap();
        pieces.concat()
    }

    fn filesystem(&self) -> livedata_adls::Filesystem {
        let key = livedata_adls::AccountKey::from_base64(KEY).unwrap();
        let credential = livedata_adls::Credential::SharedKey(key);
        let endpoint = Url::parse(&self.endpoint()).unwrap();
        livedata_adls::Filesystem::new(livedata_adls::Config::new(endpoint, "lake", "data", credential))
            .unwrap()
    }

    /// How many migrations have a journal on the agent's disk.
    pub fn journals(&self) -> usize {
        std::fs::read_dir(self.agent.join("migrations")).map_or(0, Iterator::count)
    }

    /// What the agent has written about migrations and sources is gone, as for another agent that takes over.
    pub fn lose_journals(&self) {
        std::fs::remove_dir_all(self.agent.join("migrations")).unwrap();
        // Only a migration that follows its source has one.
        let _ = std::fs::remove_dir_all(self.agent.join("feeds"));
    }

    /// How many things are in the trash at the target, of all migrations.
    pub async fn trash(&self) -> usize {
        let target = livedata_adls::AdlsTarget::new(self.filesystem());
        let folder = TargetPath::new(&format!("{RESERVED}/{MIGRATOR}/trash"));
        let mut count = 0;
        let migrations = target.list(&folder, None).await.map(|page| page.entries).unwrap_or_default();
        for (migration, _) in migrations {
            count += target.list(&folder.join(&migration), None).await.unwrap().entries.len();
        }
        count
    }

    /// Takes an item out of desired state while no agent runs.
    pub fn remove_offline(&self, id: &str) {
        let removal = Sync { revision: 1, upserts: vec![], removals: vec![id.to_owned()] };
        Ledger::open(&self.agent).unwrap().apply(1, removal).unwrap();
    }

    pub fn start_agent(&self) -> Agent {
        let ledger = Arc::new(Mutex::new(Ledger::open(&self.agent).unwrap()));
        let (reports, reported) = watch::channel(Arc::default());
        let (listed, failed_paths) = watch::channel(Arc::default());
        let (changed, cancel) = (Arc::new(Notify::new()), CancellationToken::new());
        let supervisor = Supervisor::new(
            Arc::clone(&ledger),
            Arc::clone(&changed),
            Outlets { reports, failed_paths: listed },
            watch::Sender::new(false).subscribe(),
            Host {
                folder: self.agent.clone(),
                hadoop_user: self.user.clone(),
                default_source: None,
                local_directories: vec!["/".into()],
                storage: StorageAccess::default(),
                target_chaos: None,
            },
        );
        let task = tokio::spawn(supervisor.run(cancel.clone()));
        Agent { ledger, changed, reports: reported, failed_paths, cancel, task }
    }

    /// Both sides, by clients of the comparer's own. `directory` is in the container.
    pub async fn compare(&self, source: SourceSide, directory: &str) -> livedata_workload::Report {
        let endpoint = Url::parse(&self.endpoint()).unwrap();
        let target =
            TargetSide::new(reqwest::Client::new(), endpoint, "lake", KEY, "data", directory).unwrap();
        compare(&source, &target).await.unwrap()
    }

    /// What the emulator has received in request bodies.
    pub async fn ingress_bytes(&self) -> u64 {
        let url = format!("http://{}/counters", self.emulator.admin_address());
        let reply = reqwest::Client::new().get(url).bearer_auth("admin").send().await.unwrap();
        let counters: serde_json::Value = serde_json::from_str(&reply.text().await.unwrap()).unwrap();
        // An account that nobody has spoken to has no counters yet.
        counters.pointer("/accounts/lake/ingress_bytes").and_then(serde_json::Value::as_u64).unwrap_or(0)
    }

    pub fn migrator(&self, generation: u64, bytes_per_second: Option<u64>) -> Item {
        let hdfs = self.source.starts_with("hdfs:");
        Item {
            id: "/migrator".into(),
            generation,
            body: Body::Migrator(MigratorSpec {
                max_bytes_per_second: bytes_per_second,
                ..MigratorSpec::new(
                    MIGRATOR,
                    if hdfs { SourceKind::Hdfs } else { SourceKind::LocalDirectory },
                    self.source.clone(),
                )
            }),
            trace: None,
        }
    }

    pub fn target(&self) -> Item {
        Item {
            id: "/target".into(),
            generation: 1,
            body: Body::Target(TargetSpec {
                account: "lake".into(),
                container: "data".into(),
                endpoint: format!("http://{}/lake", self.storage),
                credential: Credential::account_key(KEY),
            }),
            trace: None,
        }
    }
}

const MIGRATOR: &str = "00000000-0000-0000-0000-000000000001";

fn address_of(url: &str) -> SocketAddr {
    Url::parse(url).unwrap().socket_addrs(|| None).unwrap()[0]
}

/// The one migration of these tests.
pub fn migration(generation: u64, path: &str, run: RunState, start_count: u64) -> Item {
    migration_of(Mode::OneTime, generation, path, run, start_count)
}

/// One that follows its source, whatever vanishes there.
pub fn live_migration(generation: u64, path: &str, run: RunState, start_count: u64) -> Item {
    let mut item = migration_of(Mode::Live, generation, path, run, start_count);
    if let Body::Migration(spec) = &mut item.body {
        spec.mass_delete_limit = MassDeleteLimit { count: 1_000_000, percent: 100, window_seconds: 3_600 };
    }
    item
}

fn migration_of(mode: Mode, generation: u64, path: &str, run: RunState, start_count: u64) -> Item {
    Item {
        id: "/migration".into(),
        generation,
        body: Body::Migration(MigrationSpec {
            run,
            start_count,
            ..MigrationSpec::new("/target", path, mode, "first")
        }),
        trace: None,
    }
}

impl Agent {
    /// Has the agent do something once, in the present life of a migration.
    pub fn command(&self, migration: &str, kind: CommandKind) {
        let mut ledger = self.ledger.lock().unwrap();
        let spec = ledger.items().find_map(|item| match &item.body {
            Body::Migration(spec) if item.id == migration => Some(spec.clone()),
            _ => None,
        });
        let spec = spec.unwrap();
        let command = Command {
            id: format!("{kind:?}"),
            migration: migration.to_owned(),
            incarnation: spec.incarnation,
            reset_count: spec.reset_count,
            kind,
            trace: None,
        };
        assert_eq!(ledger.take(1, vec![command]).unwrap().len(), 1);
        self.changed.notify_one();
    }

    pub fn desire(&self, items: Vec<Item>) {
        self.try_to_desire(items).unwrap();
    }

    /// Fails where the agent cannot store it.
    pub fn try_to_desire(&self, items: Vec<Item>) -> Result<(), livedata_agent_runtime::ledger::Error> {
        let sync = Sync { revision: 1, upserts: items, removals: vec![] };
        let stale = self.ledger.lock().unwrap().apply(1, sync)?;
        assert!(stale.is_empty());
        self.changed.notify_one();
        Ok(())
    }

    /// Waits until the report of the one migration is so; fails the test after two minutes.
    pub async fn wait(&mut self, what: &str, holds: impl Fn(&MigrationReport) -> bool) -> MigrationReport {
        let reached = self.reports.wait_for(|reports| reports.first().is_some_and(&holds));
        let found = tokio::time::timeout(Duration::from_secs(120), reached)
            .await
            .map(|found| found.map(|found| found[0].clone()));
        match found {
            Ok(Ok(report)) => report,
            _ => panic!("never {what}: {:?}", self.reports.borrow().first()),
        }
    }

    /// Whatever is reported for so long, the one migration's report is so.
    pub async fn stays(&mut self, what: &str, how_long: Duration, holds: impl Fn(&MigrationReport) -> bool) {
        let ended = self.reports.wait_for(|reports| reports.first().is_some_and(|report| !holds(report)));
        let ended =
            tokio::time::timeout(how_long, ended).await.map(|ended| ended.map(|reports| reports[0].clone()));
        assert!(ended.is_err(), "not {what}: {ended:?}");
    }

    /// Waits until the one migration has given up so many paths.
    pub async fn given_up(&mut self, count: usize) -> Vec<FailedPath> {
        let listed =
            self.failed_paths.wait_for(|lists| lists.first().is_some_and(|list| list.entries.len() == count));
        let found = tokio::time::timeout(Duration::from_secs(120), listed)
            .await
            .map(|found| found.map(|lists| lists[0].entries.clone()));
        match found {
            Ok(Ok(entries)) => entries,
            _ => panic!("never {count} paths: {:?}", self.failed_paths.borrow()),
        }
    }

    /// Ends it where it is; for what it was doing this is a crash.
    pub async fn stop(self) {
        self.cancel.cancel();
        self.task.await.unwrap();
    }
}
