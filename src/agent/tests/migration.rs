//! A whole migration as the supervisor runs it: a local directory on disk, the emulator over HTTP, the journal in SQLite.
//! Both sides are compared by `livedata-workload`, which shares no code with what it judges.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed set-up fails the test")]

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use livedata_adls_emulator::{AccountKey, Emulator, Options, Running};
use livedata_agent_runtime::ledger::Ledger;
use livedata_agent_runtime::supervisor::Supervisor;
use livedata_model::condition::Truth;
use livedata_model::message::Sync;
use livedata_model::report::MigrationReport;
use livedata_model::spec::{
    Body, Credential, CredentialKind, Item, MigrationSpec, MigratorSpec, Mode, RunState, Secret, SourceKind,
    TargetSpec,
};
use livedata_model::state::MigrationState;
use livedata_workload::lake::{self, Shape};
use livedata_workload::{SourceSide, TargetSide, compare};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use url::Url;

const KEY: &str = "bGl2ZWRhdGEgdGVzdHMgdXNlIHRoaXMga2V5IGFuZCBub2JvZHkgZWxzZSBldmVyIGRvZXM=";

/// A source, an emulator, and what an agent keeps on disk between its starts.
struct World {
    source: tempfile::TempDir,
    agent: tempfile::TempDir,
    emulator: Running,
    _emulator_folder: tempfile::TempDir,
}

/// One life of the agent.
struct Agent {
    ledger: Arc<Mutex<Ledger>>,
    changed: Arc<Notify>,
    reports: watch::Receiver<Arc<Vec<MigrationReport>>>,
    cancel: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl World {
    async fn new() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let emulator = Emulator::start(Options {
            data_folder: folder.path().join("emulator"),
            storage_address: "127.0.0.1:0".parse().unwrap(),
            admin_address: "127.0.0.1:0".parse().unwrap(),
            admin_token: "admin".into(),
            storage_tls: None,
            accounts: vec![format!("lake={KEY}").parse::<AccountKey>().unwrap()],
        })
        .await
        .unwrap();
        let world = Self {
            source: tempfile::tempdir().unwrap(),
            agent: tempfile::tempdir().unwrap(),
            emulator,
            _emulator_folder: folder,
        };
        world.filesystem().create_filesystem().await.unwrap();
        world
    }

    fn endpoint(&self) -> String {
        format!("{}/lake", self.emulator.storage_url())
    }

    fn filesystem(&self) -> livedata_adls::Filesystem {
        let key = livedata_adls::AccountKey::from_base64(KEY).unwrap();
        let credential = livedata_adls::Credential::SharedKey(key);
        let endpoint = Url::parse(&self.endpoint()).unwrap();
        livedata_adls::Filesystem::new(livedata_adls::Config::new(endpoint, "lake", "data", credential))
            .unwrap()
    }

    fn root(&self) -> &Path {
        self.source.path()
    }

    fn make_lake(&self, shape: &Shape) -> lake::Summary {
        lake::make(&self.root().join("lake"), shape).unwrap()
    }

    fn start_agent(&self) -> Agent {
        let ledger = Arc::new(Mutex::new(Ledger::open(self.agent.path()).unwrap()));
        let (reports, reported) = watch::channel(Arc::default());
        let (changed, cancel) = (Arc::new(Notify::new()), CancellationToken::new());
        let supervisor = Supervisor::new(
            Arc::clone(&ledger),
            Arc::clone(&changed),
            reports,
            self.agent.path().to_owned(),
            "nobody".into(),
        );
        let task = tokio::spawn(supervisor.run(cancel.clone()));
        Agent { ledger, changed, reports: reported, cancel, task }
    }

    async fn compare(&self) -> livedata_workload::Report {
        let source = SourceSide::Directory(self.root().join("lake"));
        let endpoint = Url::parse(&self.endpoint()).unwrap();
        let target = TargetSide::new(reqwest::Client::new(), endpoint, "lake", KEY, "data", "lake").unwrap();
        compare(&source, &target).await.unwrap()
    }

    async fn ingress_bytes(&self) -> u64 {
        let url = format!("http://{}/counters", self.emulator.admin_address());
        let reply = reqwest::Client::new().get(url).bearer_auth("admin").send().await.unwrap();
        let counters: serde_json::Value = serde_json::from_str(&reply.text().await.unwrap()).unwrap();
        // An account that nobody has spoken to has no counters yet.
        counters.pointer("/accounts/lake/ingress_bytes").and_then(serde_json::Value::as_u64).unwrap_or(0)
    }

    fn migrator(&self, bytes_per_second: Option<u64>) -> Item {
        Item {
            id: "/migrator".into(),
            generation: 1,
            body: Body::Migrator(MigratorSpec {
                guid: "00000000-0000-0000-0000-000000000001".into(),
                source_kind: SourceKind::LocalDirectory,
                source_uri: Url::from_directory_path(self.root()).unwrap().to_string(),
                source_user: None,
                max_bytes_per_second: bytes_per_second,
                max_running_migrations: None,
            }),
        }
    }

    fn target(&self) -> Item {
        Item {
            id: "/target".into(),
            generation: 1,
            body: Body::Target(TargetSpec {
                account: "lake".into(),
                container: "data".into(),
                endpoint: self.endpoint(),
                credential: Credential { kind: CredentialKind::AccountKey, secret: Secret(KEY.into()) },
            }),
        }
    }
}

fn migration(generation: u64, path: &str, run: RunState, start_count: u64) -> Item {
    Item {
        id: "/migration".into(),
        generation,
        body: Body::Migration(MigrationSpec {
            target: "/target".into(),
            source_path: path.into(),
            target_path: path.into(),
            mode: Mode::OneTime,
            run,
            start_count,
        }),
    }
}

impl Agent {
    fn desire(&self, items: Vec<Item>) {
        let sync = Sync { revision: 1, upserts: items, removals: vec![] };
        let stale = self.ledger.lock().unwrap().apply(sync).unwrap();
        assert!(stale.is_empty());
        self.changed.notify_one();
    }

    async fn wait(&mut self, what: &str, holds: impl Fn(&MigrationReport) -> bool) -> MigrationReport {
        let reached = self.reports.wait_for(|reports| reports.first().is_some_and(&holds));
        let found = tokio::time::timeout(Duration::from_secs(120), reached)
            .await
            .map(|found| found.map(|found| found[0].clone()));
        match found {
            Ok(Ok(report)) => report,
            _ => panic!("never {what}: {:?}", self.reports.borrow().first()),
        }
    }

    async fn stop(self) {
        self.cancel.cancel();
        self.task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_arrives_whole_and_a_second_run_sends_nothing() {
    let world = World::new().await;
    let summary = world.make_lake(&Shape {
        files: 400,
        directories: 60,
        total_bytes: 24 << 20,
        largest_bytes: 9 << 20,
        seed: 11,
    });
    let mut agent = world.start_agent();
    agent.desire(vec![world.migrator(None), world.target(), migration(1, "/lake", RunState::Running, 1)]);
    let report = agent.wait("Completed", |report| report.state == MigrationState::Completed).await;
    let progress = &report.progress;
    assert_eq!(
        (progress.files_migrated, progress.bytes_migrated),
        (summary.files as u64, summary.bytes),
        "{report:?}"
    );
    assert_eq!((progress.files_scanned, progress.files_failed), (summary.files as u64, 0));
    let compared = world.compare().await;
    assert!(compared.equal(), "{compared}");
    assert_eq!((compared.files, compared.bytes), (summary.files as u64, summary.bytes));
    let sent = world.ingress_bytes().await;
    assert!(sent >= summary.bytes);
    agent.desire(vec![migration(2, "/lake", RunState::Running, 2)]);
    let again = agent.wait("completed again", |report| {
        report.observed_generation == 2 && report.state == MigrationState::Completed
    });
    assert_eq!(again.await.progress.files_migrated, summary.files as u64);
    assert_eq!(world.ingress_bytes().await, sent, "equal files were sent again");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_dies_in_the_middle_goes_on_where_it_was() {
    let world = World::new().await;
    let summary = world.make_lake(&Shape {
        files: 120,
        directories: 20,
        total_bytes: 200 << 20,
        largest_bytes: 180 << 20,
        seed: 5,
    });
    let mut agent = world.start_agent();
    // The cap keeps the copy going long enough to be interrupted.
    agent.desire(vec![
        world.migrator(Some(60 << 20)),
        world.target(),
        migration(1, "/lake", RunState::Running, 1),
    ]);
    let half = summary.bytes / 3;
    agent.wait("a third", |report| report.progress.bytes_migrated >= half).await;
    agent.stop().await;
    let before = world.ingress_bytes().await;
    let mut agent = world.start_agent();
    let report = agent.wait("Completed", |report| report.state == MigrationState::Completed).await;
    assert_eq!(report.progress.bytes_migrated, summary.bytes);
    let after = world.ingress_bytes().await - before;
    assert!(
        after < summary.bytes - half / 2,
        "{after} of {} bytes were sent after the restart",
        summary.bytes
    );
    let compared = world.compare().await;
    assert!(compared.equal(), "{compared}");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_root_is_a_failed_migration_and_nothing_is_written() {
    let world = World::new().await;
    let mut agent = world.start_agent();
    agent.desire(vec![world.migrator(None), world.target(), migration(1, "/nowhere", RunState::Running, 1)]);
    let report = agent.wait("Failed", |report| report.state == MigrationState::Failed).await;
    let missing = report.conditions.iter().find(|condition| condition.kind == "SourceRootMissing").unwrap();
    assert_eq!(missing.status, Truth::True);
    assert!(report.last_error.as_deref().unwrap().contains("/nowhere"), "{report:?}");
    assert_eq!(world.ingress_bytes().await, 0);
    agent.stop().await;
    // A restarted agent still knows why, without trying again.
    let mut agent = world.start_agent();
    let report = agent.wait("Failed", |report| report.state == MigrationState::Failed).await;
    assert!(report.conditions.iter().any(|condition| condition.kind == "SourceRootMissing"));
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_migration_rests_and_starts_again() {
    let world = World::new().await;
    world.make_lake(&Shape {
        files: 60,
        directories: 10,
        total_bytes: 40 << 20,
        largest_bytes: 30 << 20,
        seed: 3,
    });
    let mut agent = world.start_agent();
    agent.desire(vec![
        world.migrator(Some(8 << 20)),
        world.target(),
        migration(1, "/lake", RunState::Running, 1),
    ]);
    agent.wait("Running", |report| report.state == MigrationState::Running).await;
    agent.desire(vec![migration(2, "/lake", RunState::Stopped, 1)]);
    agent.wait("Stopped", |report| report.state == MigrationState::Stopped).await;
    let mut fast = world.migrator(None);
    fast.generation = 2;
    agent.desire(vec![fast, migration(3, "/lake", RunState::Running, 2)]);
    agent.wait("Completed", |report| report.state == MigrationState::Completed).await;
    let compared = world.compare().await;
    assert!(compared.equal(), "{compared}");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_account_key_is_reported_and_nothing_is_written() {
    let world = World::new().await;
    world.make_lake(&Shape { files: 5, directories: 2, total_bytes: 4096, largest_bytes: 2048, seed: 1 });
    let mut agent = world.start_agent();
    let mut target = world.target();
    if let Body::Target(spec) = &mut target.body {
        spec.credential.secret = Secret("d3Jvbmc=".into());
    }
    agent.desire(vec![world.migrator(None), target, migration(1, "/lake", RunState::Running, 1)]);
    let report = agent.wait("Failed", |report| report.state == MigrationState::Failed).await;
    assert!(report.last_error.is_some(), "{report:?}");
    assert_eq!(report.progress.files_migrated, 0);
    agent.stop().await;
}
