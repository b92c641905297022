//! A migration that follows a local directory while it is changed, through the real emulator.

#![expect(clippy::unwrap_used, reason = "a failed set-up fails the test")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use livedata_model::command::CommandKind;
use livedata_model::condition::Truth;
use livedata_model::report::MigrationReport;
use livedata_model::spec::{Body, RunState};
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

fn has_condition(report: &MigrationReport, kind: &str) -> bool {
    report.conditions.iter().any(|condition| condition.kind == kind && condition.status == Truth::True)
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

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_while_live_has_a_rate_and_a_run_its_name() {
    let live = Live::new(&small()).await;
    let mut agent = live.start(1);
    let before = agent.wait("caught up", caught_up).await;
    let sent = before.sent.unwrap();
    assert_eq!(sent.bytes, live.world.ingress_bytes().await);
    let count = u64::try_from(small().files).unwrap();
    assert_eq!((sent.files, before.progress.files_migrated), (count, count));
    agent.wait("at rest", |report| report.progress.bytes_per_second == 0).await;
    for number in 0..50 {
        std::fs::write(live.lake().join(format!("new-{number}")), vec![7; 10_000]).unwrap();
    }
    let flows = |report: &MigrationReport| {
        report.state == MigrationState::Live
            && report.progress.bytes_per_second > 0
            && report.progress.files_per_second > 0
    };
    let flowing = agent.wait("at work", flows).await;
    assert_eq!((flowing.run.as_ref(), flowing.run.is_some()), (before.run.as_ref(), true));
    agent.wait("over", |report| caught_up(report) && report.progress.bytes_per_second == 0).await;
    agent.stop().await;
    let mut agent = live.start(2);
    let again = agent.wait("caught up", caught_up).await;
    assert_eq!(again.run, before.run, "a gap is looked at within the run");
    assert_ne!(again.sent.unwrap().since_ms, sent.since_ms);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_looks_at_everything_and_sends_nothing_again() {
    let live = Live::new(&small()).await;
    let mut agent = live.start(1);
    let before = agent.wait("caught up", caught_up).await.progress;
    agent.stop().await;
    let sent = live.world.ingress_bytes().await;
    // For a local directory every restart is a gap; meanwhile one file came, one went, one directory was renamed.
    let lake = live.lake();
    std::fs::write(lake.join("came"), "new").unwrap();
    let gone = std::fs::read_dir(&lake).unwrap().flatten().find(|entry| entry.path().is_file()).unwrap();
    std::fs::remove_file(gone.path()).unwrap();
    let moved = std::fs::read_dir(&lake).unwrap().flatten().find(|entry| entry.path().is_dir()).unwrap();
    std::fs::rename(moved.path(), lake.join("renamed")).unwrap();
    let mut agent = live.start(2);
    let again = |report: &MigrationReport| {
        report.progress.files_migrated == before.files_migrated + 1 && caught_up(report)
    };
    let report = agent.wait("looked at everything again", again).await;
    let compared = live.compare().await;
    assert!(compared.equal(), "{compared}\n{report:?}");
    assert_eq!(live.world.ingress_bytes().await - sent, 3, "equal files were sent again");
    let now = report.progress;
    assert_eq!(
        (now.files_scanned, now.bytes_scanned),
        (compared.files, compared.bytes),
        "what is there, once"
    );
    assert_eq!(now.directories_scanned, before.directories_scanned);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_goes_ends_the_migration_and_removes_nothing() {
    let live = Live::new(&small()).await;
    let mut agent = live.start(1);
    agent.wait("caught up", caught_up).await;
    let kept = live.folder.path().join("kept");
    std::fs::rename(live.lake(), &kept).unwrap();
    let report = agent.wait("Failed", |report| report.state == MigrationState::Failed).await;
    assert!(has_condition(&report, "SourceRootMissing"), "{report:?}");
    let compared = live.world.compare(SourceSide::Directory(kept), "lake").await;
    assert!(compared.equal(), "{compared}");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_deletions_than_the_limit_wait_for_the_operator() {
    let live = Live::new(&small()).await;
    for number in 0..6 {
        std::fs::write(live.lake().join(format!("doomed-{number}")), "for a while").unwrap();
    }
    let mut agent = live.start(1);
    agent.wait("caught up", caught_up).await;
    let mut item = live_migration(2, "/lake", RunState::Running, 1);
    let Body::Migration(spec) = &mut item.body else { panic!() };
    spec.mass_delete_limit.count = 2;
    agent.desire(vec![item]);
    agent.wait("the new limit", |report| report.observed_generation == 2 && caught_up(report)).await;
    let mut removed = 0;
    for entry in std::fs::read_dir(live.lake()).unwrap().flatten().filter(|entry| entry.path().is_file()) {
        std::fs::remove_file(entry.path()).unwrap();
        removed += 1;
    }
    assert!(removed > 4, "{removed}");
    let report = agent.wait("held", |report| has_condition(report, "DeletesHeld")).await;
    assert!(report.lag.is_some_and(|lag| lag.transactions > 0), "{report:?}");
    assert!(!live.compare().await.equal());
    agent.command("/migration", CommandKind::ApproveDeletes);
    agent.wait("approved", |report| caught_up(report) && !has_condition(report, "DeletesHeld")).await;
    let compared = live.compare().await;
    assert!(compared.equal(), "{compared}");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_forgets_and_finds_what_is_equal() {
    let live = Live::new(&small()).await;
    for number in 0..6 {
        std::fs::write(live.lake().join(format!("doomed-{number}")), "for a while").unwrap();
    }
    let mut agent = live.start(1);
    agent.wait("caught up", caught_up).await;
    let mut item = live_migration(2, "/lake", RunState::Stopped, 0);
    let Body::Migration(spec) = &mut item.body else { panic!() };
    spec.reset_count = 1;
    let sent = live.world.ingress_bytes().await;
    agent.desire(vec![item.clone()]);
    agent.wait("as new", |report| report.state == MigrationState::NotScheduled).await;
    let Body::Migration(spec) = &mut item.body else { panic!() };
    (spec.run, spec.start_count) = (RunState::Running, 1);
    item.generation = 3;
    agent.desire(vec![item]);
    agent.wait("caught up", |report| report.observed_generation == 3 && caught_up(report)).await;
    let compared = live.compare().await;
    assert!(compared.equal(), "{compared}");
    assert_eq!(live.world.ingress_bytes().await, sent, "equal files were sent again");
    agent.stop().await;
}
