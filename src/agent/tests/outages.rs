//! What a migration meets while it follows its source: a target that is away or busy, a disk that is full. It says so, the
//! source is read on, and in the end everything is there.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed set-up fails the test")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use livedata_model::condition::Truth;
use livedata_model::report::MigrationReport;
use livedata_model::spec::RunState;
use livedata_model::state::MigrationState;
use livedata_testkit::gate::{Gate, Mode};
use livedata_testkit::{Agent, SmallDisk, World, live_migration, migration};
use livedata_workload::SourceSide;

/// A lake with one file, and a world that migrates it.
struct Scene {
    folder: tempfile::TempDir,
    world: World,
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("lake")).unwrap();
        std::fs::write(folder.path().join("lake/first"), "first").unwrap();
        let uri = url::Url::from_directory_path(folder.path()).unwrap();
        Self { world: World::new(uri.to_string(), "nobody").await, folder }
    }

    fn lake(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    /// Follows and has caught up.
    async fn live(&self) -> Agent {
        let mut agent = self.world.start_agent();
        let migration = live_migration(1, "/lake", RunState::Running, 1);
        agent.desire(vec![self.world.migrator(1, None), self.world.target(), migration]);
        agent.wait("caught up", caught_up).await;
        agent
    }

    fn write(&self, names: std::ops::Range<u32>) {
        for name in names {
            std::fs::write(self.lake().join(format!("file-{name}")), name.to_string()).unwrap();
        }
    }

    async fn assert_arrived(&self, files: u64) {
        let compared = self.world.compare(SourceSide::Directory(self.lake()), "lake").await;
        assert!(compared.equal() && compared.files == files, "{compared}");
    }
}

fn caught_up(report: &MigrationReport) -> bool {
    report.state == MigrationState::Live && report.lag.is_some_and(|lag| lag.transactions == 0)
}

fn holds(report: &MigrationReport, kind: &str) -> bool {
    report.conditions.iter().any(|known| known.kind == kind && known.status == Truth::True)
}

fn behind(report: &MigrationReport) -> u64 {
    report.lag.map_or(0, |lag| lag.transactions)
}

/// The target stays so until the migration says so and has read on; afterwards everything arrives.
async fn bears(mode: Mode, kind: &str) {
    let mut scene = Scene::new().await;
    let gate = Gate::new(scene.world.storage_address()).await;
    scene.world.go_through(&gate);
    let mut agent = scene.live().await;
    gate.set(mode);
    scene.write(0..20);
    let report = agent.wait(kind, |report| holds(report, kind)).await;
    assert_eq!(report.state, MigrationState::Live, "{report:?}");
    let before = behind(&report);
    scene.write(20..40);
    let report = agent.wait("read on", |report| behind(report) > before).await;
    assert!(holds(&report, kind), "{report:?}");
    assert_eq!(report.progress.files_failed, 0, "no path is given up for that: {report:?}");
    gate.set(Mode::Open);
    agent.wait("caught up again", |report| caught_up(report) && !holds(report, kind)).await;
    scene.assert_arrived(41).await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_does_not_answer_is_said_and_the_changes_are_read_on() {
    bears(Mode::Closed, "TargetUnreachable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_busy_is_said_and_the_changes_are_read_on() {
    bears(Mode::Busy, "TargetThrottled").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_in_the_middle_of_a_copy_pauses_it_and_loses_nothing() {
    let disk = SmallDisk::new(24);
    let mut scene = Scene::new().await;
    scene.world.keep_in(disk.path());
    scene.write(0..5_000);
    let mut agent = scene.world.start_agent();
    let migration = migration(1, "/lake", RunState::Running, 1);
    agent.desire(vec![scene.world.migrator(1, None), scene.world.target(), migration]);
    agent.wait("under way", |report| report.progress.files_migrated > 10).await;
    let ballast = disk.fill();
    let full = |report: &MigrationReport| {
        let mut conditions = report.conditions.iter();
        conditions.any(|known| known.reason == "JournalCannotGrow" && known.status == Truth::True)
    };
    let report = agent.wait("DiskFull", full).await;
    assert!(report.last_error.unwrap().contains("journal.db"), "the file is named");
    assert!(report.progress.files_failed == 0 && report.state == MigrationState::Running);
    // Over several tries to open the journal.
    agent.stays("DiskFull", Duration::from_secs(7), full).await;
    std::fs::remove_file(ballast).unwrap();
    let done = |report: &MigrationReport| report.state == MigrationState::Completed;
    let report = agent.wait("Completed", done).await;
    assert!(!holds(&report, "DiskFull") && report.progress.files_failed == 0, "{report:?}");
    scene.assert_arrived(5_001).await;
    agent.stop().await;
}

/// Below a folder of the agent's.
fn find(folder: &Path, name: &str) -> PathBuf {
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            match path.is_dir() {
                true => open.push(path),
                false if path.ends_with(name) => return path,
                false => {}
            }
        }
    }
    panic!("no {name} below {}", folder.display());
}

/// A file of an agent is damaged between its lives: it says which all the time, and what to do; when that is done, all goes on.
async fn bears_the_loss_of(name: &str) {
    let kept = tempfile::tempdir().unwrap();
    let mut scene = Scene::new().await;
    scene.world.keep_in(kept.path());
    scene.live().await.stop().await;
    let path = find(kept.path(), name);
    // What is still open would be written over the damage.
    let log = PathBuf::from(format!("{}-wal", path.display()));
    let closed = async {
        while log.exists() {
            tokio::task::yield_now().await
        }
    };
    tokio::time::timeout(Duration::from_secs(60), closed).await.unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[..16].fill(0x5a);
    std::fs::write(&path, bytes).unwrap();
    scene.write(0..3);
    let mut agent = scene.world.start_agent();
    let unusable = |report: &MigrationReport| holds(report, "JournalUnusable");
    let report = agent.wait("JournalUnusable", unusable).await;
    let said = report.conditions.iter().find(|known| known.kind == "JournalUnusable").unwrap();
    assert!(said.message.contains(path.to_str().unwrap()), "{said:?}");
    assert!(said.message.contains("is damaged") && said.message.contains("Move it away"), "{said:?}");
    agent.stays("JournalUnusable", Duration::from_secs(7), unusable).await;
    std::fs::rename(&path, kept.path().join("away")).unwrap();
    agent.wait("caught up", |report| caught_up(report) && !unusable(report)).await;
    scene.assert_arrived(4).await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_journal_is_said_until_it_is_moved_away() {
    bears_the_loss_of("journal.db").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_event_journal_is_said_until_it_is_moved_away() {
    bears_the_loss_of("events.db").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_the_agent_that_cannot_be_written_is_said_until_it_can() {
    let kept = tempfile::tempdir().unwrap();
    let mut scene = Scene::new().await;
    scene.world.keep_in(kept.path());
    let mut agent = scene.live().await;
    // Where the file is to be written beside stands a folder.
    let obstacle = kept.path().join("desired.cbor.new");
    std::fs::create_dir_all(obstacle.join("full")).unwrap();
    let next = || vec![live_migration(2, "/lake", RunState::Running, 1)];
    agent.try_to_desire(next()).unwrap_err();
    let said = |report: &MigrationReport| {
        let mut conditions = report.conditions.iter();
        conditions.any(|known| known.reason == "StateCannotBeWritten" && known.status == Truth::True)
    };
    let report = agent.wait("DiskFull", said).await;
    assert_eq!((report.state, report.observed_generation), (MigrationState::Live, 1), "it goes on as it is");
    std::fs::remove_dir_all(&obstacle).unwrap();
    agent.wait("found out by itself", |report| !said(report)).await;
    agent.desire(next());
    agent.wait("taken", |report| report.observed_generation == 2).await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_without_room_for_changes_is_said_and_when_there_is_room_they_arrive() {
    let disk = SmallDisk::new(24);
    let mut scene = Scene::new().await;
    scene.world.keep_in(disk.path());
    let mut agent = scene.live().await;
    let ballast = disk.fill();
    scene.write(0..3_000);
    let report = agent.wait("DiskFull", |report| holds(report, "DiskFull")).await;
    let full = report.conditions.iter().find(|known| known.kind == "DiskFull").unwrap();
    assert!(full.message.contains("Make room"), "{report:?}");
    assert_eq!(report.progress.files_failed, 0, "no path is given up for that: {report:?}");
    std::fs::remove_file(ballast).unwrap();
    agent
        .wait("caught up again", |report| {
            caught_up(report) && !holds(report, "DiskFull") && report.progress.files_migrated >= 3_001
        })
        .await;
    scene.assert_arrived(3_001).await;
    agent.stop().await;
}
