//! A migration whose journal is gone, or was reset: what is at the target already is found there, through the real emulator.

#![expect(clippy::unwrap_used, reason = "a failed set-up fails the test")]

use std::path::PathBuf;

use livedata_model::report::MigrationReport;
use livedata_model::spec::{Body, RunState};
use livedata_model::state::MigrationState;
use livedata_testkit::{Agent, World, live_migration, migration};
use livedata_workload::SourceSide;
use livedata_workload::lake::{self, Shape};

struct Scene {
    folder: tempfile::TempDir,
    world: World,
}

fn caught_up(report: &MigrationReport) -> bool {
    report.state == MigrationState::Live && report.lag.is_some_and(|lag| lag.transactions == 0)
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shape =
            Shape { files: 200, directories: 30, total_bytes: 4 << 20, largest_bytes: 1 << 20, seed: 5 };
        lake::make(&folder.path().join("lake"), &shape).unwrap();
        let uri = url::Url::from_directory_path(folder.path()).unwrap();
        Self { world: World::new(uri.to_string(), "nobody").await, folder }
    }

    fn lake(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    fn start(&self, generation: u64) -> Agent {
        let agent = self.world.start_agent();
        let live = live_migration(generation, "/lake", RunState::Running, 1);
        agent.desire(vec![self.world.migrator(generation, None), self.world.target(), live]);
        agent
    }

    /// One file goes, one comes, one changes, and one directory gets another name. Answers how many bytes are new.
    fn change(&self) -> u64 {
        let lake = self.lake();
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(&lake).unwrap().flatten().map(|entry| entry.path()).collect();
        files.retain(|path| path.is_file());
        std::fs::remove_file(&files[0]).unwrap();
        std::fs::write(&files[1], "changed").unwrap();
        std::fs::write(lake.join("came"), "new").unwrap();
        let moved = std::fs::read_dir(&lake).unwrap().flatten().find(|entry| entry.path().is_dir()).unwrap();
        std::fs::rename(moved.path(), lake.join("renamed")).unwrap();
        "changed".len() as u64 + "new".len() as u64
    }

    async fn assert_equal(&self, report: &MigrationReport) {
        let compared = self.world.compare(SourceSide::Directory(self.lake()), "lake").await;
        assert!(compared.equal(), "{compared}\n{report:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deletions_are_made_up_for_and_nothing_equal_is_sent_again() {
    let scene = Scene::new().await;
    let mut agent = scene.start(1);
    agent.wait("caught up", caught_up).await;
    agent.stop().await;
    let sent = scene.world.ingress_bytes().await;
    scene.world.lose_journals();
    let changed = scene.change();
    let mut agent = scene.start(2);
    let report = agent.wait("caught up", caught_up).await;
    scene.assert_equal(&report).await;
    assert_eq!(scene.world.ingress_bytes().await - sent, changed, "equal files were sent again");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_ours_stays() {
    let scene = Scene::new().await;
    let mut agent = scene.start(1);
    agent.wait("caught up", caught_up).await;
    agent.stop().await;
    scene.world.write_at_target("lake/theirs", b"a stranger's").await;
    scene.world.lose_journals();
    let mut agent = scene.start(2);
    agent.wait("caught up", caught_up).await;
    assert_eq!(scene.world.read_at_target("lake/theirs").await, b"a stranger's");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_without_a_feed_copies_nothing_that_is_equal_and_removes_nothing() {
    let scene = Scene::new().await;
    let desire = |agent: &Agent| {
        let once = migration(1, "/lake", RunState::Running, 1);
        agent.desire(vec![scene.world.migrator(1, None), scene.world.target(), once]);
    };
    std::fs::write(scene.lake().join("doomed"), "for a while").unwrap();
    let completed = |report: &MigrationReport| report.state == MigrationState::Completed;
    let mut agent = scene.world.start_agent();
    desire(&agent);
    let report = agent.wait("completed", completed).await;
    scene.assert_equal(&report).await;
    agent.stop().await;
    let sent = scene.world.ingress_bytes().await;
    scene.world.lose_journals();
    std::fs::remove_file(scene.lake().join("doomed")).unwrap();
    let mut agent = scene.world.start_agent();
    agent.wait("completed", completed).await;
    assert_eq!(scene.world.ingress_bytes().await, sent, "equal files were sent again");
    assert_eq!(scene.world.read_at_target("lake/doomed").await, b"for a while");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_removed_before_a_reset_is_purged_when_its_time_is_over() {
    let scene = Scene::new().await;
    let item = |generation, run, resets| {
        let mut item = live_migration(generation, "/lake", run, u64::from(run == RunState::Running));
        let Body::Migration(spec) = &mut item.body else { panic!() };
        (spec.reset_count, spec.trash_retention_seconds) = (resets, if resets == 0 { 86_400 } else { 1 });
        item
    };
    let mut agent = scene.world.start_agent();
    agent.desire(vec![scene.world.migrator(1, None), scene.world.target(), item(1, RunState::Running, 0)]);
    agent.wait("caught up", caught_up).await;
    scene.change();
    let changed = |report: &MigrationReport| report.progress.files_migrated > 200 && caught_up(report);
    agent.wait("the changes", changed).await;
    assert!(scene.world.trash().await > 0);
    agent.desire(vec![item(2, RunState::Stopped, 1)]);
    agent.wait("as new", |report| report.state == MigrationState::NotScheduled).await;
    agent.desire(vec![item(3, RunState::Running, 1)]);
    let report = agent.wait("caught up", |report| report.observed_generation == 3 && caught_up(report)).await;
    scene.assert_equal(&report).await;
    let purged = async { while scene.world.trash().await > 0 {} };
    tokio::time::timeout(std::time::Duration::from_secs(60), purged).await.unwrap();
    agent.stop().await;
}

/// A container's root says of nobody that it is theirs.
#[tokio::test(flavor = "multi_thread")]
async fn what_another_directory_left_at_the_root_of_a_container_is_not_ours() {
    let scene = Scene::new().await;
    let other = scene.folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("own"), "its own").unwrap();
    std::fs::write(scene.lake().join("left"), "left over").unwrap();
    for (generation, path) in [(1, "/lake"), (2, "/other")] {
        let mut item = live_migration(generation, path, RunState::Running, 1);
        let Body::Migration(spec) = &mut item.body else { panic!() };
        (spec.target_path, spec.incarnation) = ("/".into(), path.into());
        let mut agent = scene.world.start_agent();
        agent.desire(vec![scene.world.migrator(1, None), scene.world.target(), item]);
        let here = |report: &MigrationReport| report.observed_generation == generation && caught_up(report);
        agent.wait("caught up", here).await;
        agent.stop().await;
    }
    assert_eq!(scene.world.read_at_target("own").await, b"its own");
    assert_eq!(scene.world.read_at_target("left").await, b"left over");
}
