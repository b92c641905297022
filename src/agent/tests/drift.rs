//! Somebody else writes at the target inside a migration's area: what becomes of it is `driftPolicy`'s to say.

#![expect(clippy::unwrap_used, reason = "a failed set-up fails the test")]

use std::path::PathBuf;

use livedata_model::command::CommandKind;
use livedata_model::condition::Truth;
use livedata_model::report::{FailureKind, MigrationReport};
use livedata_model::spec::{Body, DriftPolicy, Item, RunState};
use livedata_model::state::MigrationState;
use livedata_testkit::{Agent, World, live_migration};
use livedata_workload::SourceSide;

fn caught_up(report: &MigrationReport) -> bool {
    report.state == MigrationState::Live && report.lag.is_some_and(|lag| lag.transactions == 0)
}

fn drifted(report: &MigrationReport) -> bool {
    report.conditions.iter().any(|known| known.kind == "TargetDrift" && known.status == Truth::True)
}

struct Scene {
    folder: tempfile::TempDir,
    world: World,
    agent: Agent,
}

impl Scene {
    /// A live migration of two files; a stranger has written one of them at the target, and then it changes at the source.
    async fn new(policy: DriftPolicy) -> Self {
        let scene = Self::caught_up(policy).await;
        scene.world.write_at_target("lake/contended", b"theirs").await;
        std::fs::write(scene.lake().join("contended"), "ours, and newer").unwrap();
        scene
    }

    /// Nobody has written there yet.
    async fn caught_up(policy: DriftPolicy) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lake = folder.path().join("lake");
        std::fs::create_dir(&lake).unwrap();
        std::fs::write(lake.join("contended"), "ours").unwrap();
        std::fs::write(lake.join("other"), "other").unwrap();
        let uri = url::Url::from_directory_path(folder.path()).unwrap();
        let world = World::new(uri.to_string(), "nobody").await;
        let mut agent = world.start_agent();
        agent.desire(vec![world.migrator(1, None), world.target(), migration(1, policy)]);
        agent.wait("caught up", caught_up).await;
        Self { folder, world, agent }
    }

    fn lake(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    async fn assert_equal(&self) {
        let compared = self.world.compare(SourceSide::Directory(self.lake()), "lake").await;
        assert!(compared.equal(), "{compared}");
    }

    async fn assert_theirs_is_kept(&self) {
        assert_eq!(self.world.read_at_target("lake/contended").await, b"theirs");
    }
}

fn migration(generation: u64, policy: DriftPolicy) -> Item {
    let mut item = live_migration(generation, "/lake", RunState::Running, 1);
    if let Body::Migration(spec) = &mut item.body {
        spec.drift_policy = policy;
    }
    item
}

#[tokio::test(flavor = "multi_thread")]
async fn overwrite_puts_the_source_back_and_says_that_somebody_writes_there() {
    let mut scene = Scene::new(DriftPolicy::Overwrite).await;
    let report = scene.agent.wait("put back", |report| drifted(report) && caught_up(report)).await;
    let said = report.conditions.iter().find(|known| known.kind == "TargetDrift").unwrap();
    assert!(said.message.contains("/lake/contended"), "{said:?}");
    scene.assert_equal().await;
    // Also after a restart, until somebody has it looked at.
    scene.agent.stop().await;
    scene.agent = scene.world.start_agent();
    scene.agent.wait("still said", |report| drifted(report) && caught_up(report)).await;
    scene.agent.command("/migration", CommandKind::Rescan { path: "/lake/contended".into() });
    scene.agent.wait("looked at", |report| !drifted(report) && caught_up(report)).await;
    scene.agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stranger_put_there_first_is_replaced_and_said() {
    let mut scene = Scene::caught_up(DriftPolicy::Overwrite).await;
    scene.world.write_at_target("lake/first", b"theirs").await;
    std::fs::write(scene.lake().join("first"), "ours").unwrap();
    let names = |report: &MigrationReport, path: &str| {
        report.conditions.iter().any(|known| known.kind == "TargetDrift" && known.message.contains(path))
    };
    scene.agent.wait("replaced", |report| names(report, "/lake/first") && caught_up(report)).await;
    // A file where a directory is to be, and the other way round.
    scene.world.write_at_target("lake/directory", b"theirs").await;
    scene.world.write_at_target("lake/second/inside", b"theirs").await;
    std::fs::create_dir(scene.lake().join("directory")).unwrap();
    scene.agent.wait("set aside", |report| names(report, "/lake/directory") && caught_up(report)).await;
    std::fs::write(scene.lake().join("second"), "ours").unwrap();
    scene.agent.wait("set aside", |report| names(report, "/lake/second") && caught_up(report)).await;
    scene.assert_equal().await;
    scene.agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keep_leaves_theirs_names_the_path_and_follows_the_rest() {
    let mut scene = Scene::new(DriftPolicy::Keep).await;
    let failed = scene.agent.given_up(1).await;
    assert_eq!((failed[0].path.as_str(), failed[0].kind), ("/lake/contended", FailureKind::Drifted));
    assert!(failed[0].reason.contains("driftPolicy is Keep"), "{failed:?}");
    std::fs::write(scene.lake().join("other"), "goes on").unwrap();
    let report = scene.agent.wait("the rest", |report| caught_up(report) && drifted(report)).await;
    assert_eq!(report.progress.files_failed, 1, "{report:?}");
    scene.assert_theirs_is_kept().await;
    let arrives = async { while scene.world.read_at_target("lake/other").await != b"goes on" {} };
    tokio::time::timeout(std::time::Duration::from_secs(60), arrives).await.unwrap();
    // Once the operator has decided otherwise.
    scene.agent.desire(vec![migration(2, DriftPolicy::Overwrite)]);
    scene.agent.wait("the new policy", |report| report.observed_generation == 2 && caught_up(report)).await;
    scene.agent.command("/migration", CommandKind::RetryFailed);
    scene.agent.wait("put back", |report| report.progress.files_failed == 0 && caught_up(report)).await;
    scene.assert_equal().await;
    scene.agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn halt_ends_the_migration_and_leaves_theirs() {
    let mut scene = Scene::new(DriftPolicy::Halt).await;
    let report = scene.agent.wait("Failed", |report| report.state == MigrationState::Failed).await;
    let error = report.last_error.clone().unwrap();
    assert!(error.contains("contended") && error.contains("driftPolicy is Halt"), "{report:?}");
    assert!(drifted(&report), "{report:?}");
    let failed = scene.agent.given_up(1).await;
    assert_eq!(failed[0].kind, FailureKind::Drifted, "{failed:?}");
    scene.assert_theirs_is_kept().await;
    scene.agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keep_leaves_what_a_stranger_appended_and_what_was_there_before_ours() {
    let mut scene = Scene::caught_up(DriftPolicy::Keep).await;
    scene.world.append_at_target("lake/contended", 4, b" and theirs").await;
    scene.world.write_at_target("lake/first", b"theirs").await;
    std::fs::write(scene.lake().join("contended"), "ours, and newer").unwrap();
    std::fs::write(scene.lake().join("first"), "ours").unwrap();
    scene.agent.wait("kept", |report| drifted(report) && report.progress.files_failed == 2).await;
    assert_eq!(scene.world.read_at_target("lake/contended").await, b"ours and theirs");
    assert_eq!(scene.world.read_at_target("lake/first").await, b"theirs");
    scene.agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn overwrite_puts_back_what_a_stranger_appended_to() {
    let mut scene = Scene::caught_up(DriftPolicy::Overwrite).await;
    scene.world.append_at_target("lake/contended", 4, b" and theirs").await;
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(scene.lake().join("contended"), permissions).unwrap();
    scene.agent.wait("put back", |report| drifted(report) && caught_up(report)).await;
    scene.assert_equal().await;
    scene.agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_a_stranger_took_away_is_made_again_with_everything_in_it() {
    let mut scene = Scene::caught_up(DriftPolicy::Overwrite).await;
    std::fs::create_dir_all(scene.lake().join("a/below")).unwrap();
    for name in ["a/first", "a/below/second"] {
        std::fs::write(scene.lake().join(name), name).unwrap();
    }
    scene
        .agent
        .wait("the directory", |report| report.progress.files_migrated == 4 && caught_up(report))
        .await;
    scene.world.remove_at_target("lake/a").await;
    std::fs::write(scene.lake().join("a/first"), "again").unwrap();
    scene.agent.wait("put back", |report| drifted(report) && caught_up(report)).await;
    scene.assert_equal().await;
    scene.agent.stop().await;
}
