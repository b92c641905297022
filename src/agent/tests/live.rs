//! A migration that follows a local directory while it is changed, through the real emulator.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed set-up fails the test")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use livedata_model::report::MigrationReport;
use livedata_model::spec::RunState;
use livedata_model::state::MigrationState;
use livedata_testkit::{Agent, World, live_migration};
use livedata_workload::churn::{self, Churned, Plan, churn};
use livedata_workload::lake::{self, Shape};
use livedata_workload::{Report, SourceSide};

struct Live {
    folder: tempfile::TempDir,
    world: World,
}

impl Live {
    async fn new(shape: &Shape) -> Self {
        let folder = tempfile::tempdir().unwrap();
        lake::make(&folder.path().join("lake"), shape).unwrap();
        let uri = url::Url::from_directory_path(folder.path()).unwrap();
        Self { world: World::new(uri.to_string(), "nobody").await, folder }
    }

    fn lake(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    fn start(&self, generation: u64) -> Agent {
        let agent = self.world.start_agent();
        agent.desire(vec![
            self.world.migrator(generation, None),
            self.world.target(),
            live_migration(generation, "/lake", RunState::Running, 1),
        ]);
        agent
    }

    /// Until told to stop.
    fn churn(&self, seed: u64, stop: &Arc<AtomicBool>) -> tokio::task::JoinHandle<Churned> {
        let (lake, outside) = (self.lake(), self.folder.path().join("outside"));
        let plan = Plan {
            seed,
            writers: 4,
            operations: None,
            operations_per_second: Some(250.0),
            stop: Arc::clone(stop),
        };
        tokio::spawn(async move {
            churn(&churn::Local, lake.to_str().unwrap(), outside.to_str().unwrap(), &plan).await.unwrap()
        })
    }

    async fn compare(&self) -> Report {
        self.world.compare(SourceSide::Directory(self.lake()), "lake").await
    }
}

fn small() -> Shape {
    Shape { files: 300, directories: 40, total_bytes: 12 << 20, largest_bytes: 5 << 20, seed: 3 }
}

/// Everything that happened is at the target.
fn caught_up(report: &MigrationReport) -> bool {
    report.state == MigrationState::Live && report.lag.is_some_and(|lag| lag.transactions == 0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_that_is_changed_all_the_time_ends_equal() {
    let live = Live::new(&small()).await;
    let stop = Arc::new(AtomicBool::new(false));
    let churning = live.churn(7, &stop);
    let mut agent = live.start(1);
    agent.wait("Live", |report| report.state == MigrationState::Live).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    stop.store(true, Ordering::SeqCst);
    println!("{}", churning.await.unwrap());
    let report = agent.wait("caught up", caught_up).await;
    assert_eq!(report.progress.files_failed, 0, "{report:?}");
    let compared = live.compare().await;
    assert!(compared.equal(), "{compared}\n{report:?}");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_dies_again_and_again_under_change_ends_equal() {
    let live = Live::new(&small()).await;
    let stop = Arc::new(AtomicBool::new(false));
    let churning = live.churn(8, &stop);
    for generation in 1..4 {
        let mut agent = live.start(generation);
        agent.wait("something", |report| report.progress.files_migrated > 50).await;
        agent.stop().await;
    }
    stop.store(true, Ordering::SeqCst);
    println!("{}", churning.await.unwrap());
    let mut agent = live.start(5);
    let report = agent.wait("caught up", caught_up).await;
    let compared = live.compare().await;
    assert!(compared.equal(), "{compared}\n{report:?}");
    agent.stop().await;
}
