//! A whole migration as the supervisor runs it: a local directory on disk, the emulator over HTTP, the journal in SQLite.
//! Both sides are compared by `livedata-workload`, which shares no code with what it judges.

#![expect(clippy::unwrap_used, reason = "a failed set-up fails the test")]

use livedata_model::condition::Truth;
use livedata_model::report::MigrationReport;
use livedata_model::spec::{Body, RunState, Secret};
use livedata_model::state::MigrationState;
use livedata_testkit::{World, migration};
use livedata_workload::lake::{self, Shape, Summary};
use livedata_workload::{Report, SourceSide};

struct Local {
    folder: tempfile::TempDir,
    world: World,
}

impl Local {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let uri = url::Url::from_directory_path(folder.path()).unwrap();
        Self { world: World::new(uri.to_string(), "nobody").await, folder }
    }

    fn make_lake(&self, shape: &Shape) -> Summary {
        lake::make(&self.folder.path().join("lake"), shape).unwrap()
    }

    async fn compare(&self) -> Report {
        self.world.compare(SourceSide::Directory(self.folder.path().join("lake")), "lake").await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_arrives_whole_and_a_second_run_sends_nothing() {
    let local = Local::new().await;
    let world = &local.world;
    let summary = local.make_lake(&Shape {
        files: 400,
        directories: 60,
        total_bytes: 24 << 20,
        largest_bytes: 9 << 20,
        seed: 11,
    });
    let mut agent = world.start_agent();
    agent.desire(vec![world.migrator(1, None), world.target(), migration(1, "/lake", RunState::Running, 1)]);
    let report = agent.wait("Completed", |report| report.state == MigrationState::Completed).await;
    let progress = &report.progress;
    assert_eq!(
        (progress.files_migrated, progress.bytes_migrated),
        (summary.files as u64, summary.bytes),
        "{report:?}"
    );
    assert_eq!((progress.files_scanned, progress.files_failed), (summary.files as u64, 0));
    let compared = local.compare().await;
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
    let local = Local::new().await;
    let world = &local.world;
    let summary = local.make_lake(&Shape {
        files: 120,
        directories: 20,
        total_bytes: 200 << 20,
        largest_bytes: 180 << 20,
        seed: 5,
    });
    let mut agent = world.start_agent();
    // The cap keeps the copy going long enough to be interrupted.
    agent.desire(vec![
        world.migrator(1, Some(60 << 20)),
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
    let compared = local.compare().await;
    assert!(compared.equal(), "{compared}");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_root_is_a_failed_migration_and_nothing_is_written() {
    let local = Local::new().await;
    let world = &local.world;
    let mut agent = world.start_agent();
    agent.desire(vec![
        world.migrator(1, None),
        world.target(),
        migration(1, "/nowhere", RunState::Running, 1),
    ]);
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
    let local = Local::new().await;
    let world = &local.world;
    local.make_lake(&Shape {
        files: 60,
        directories: 10,
        total_bytes: 40 << 20,
        largest_bytes: 30 << 20,
        seed: 3,
    });
    let mut agent = world.start_agent();
    agent.desire(vec![
        world.migrator(1, Some(8 << 20)),
        world.target(),
        migration(1, "/lake", RunState::Running, 1),
    ]);
    agent.wait("Running", |report| report.state == MigrationState::Running).await;
    agent.desire(vec![migration(2, "/lake", RunState::Stopped, 1)]);
    agent.wait("Stopped", |report| report.state == MigrationState::Stopped).await;
    agent.desire(vec![world.migrator(2, None), migration(3, "/lake", RunState::Running, 2)]);
    agent.wait("Completed", |report| report.state == MigrationState::Completed).await;
    let compared = local.compare().await;
    assert!(compared.equal(), "{compared}");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_account_key_is_reported_and_no_file_arrives() {
    let local = Local::new().await;
    let world = &local.world;
    local.make_lake(&Shape { files: 5, directories: 2, total_bytes: 4096, largest_bytes: 2048, seed: 1 });
    let mut agent = world.start_agent();
    let mut target = world.target();
    if let Body::Target(spec) = &mut target.body {
        spec.credential.secret = Secret("d3Jvbmc=".into());
    }
    agent.desire(vec![world.migrator(1, None), target, migration(1, "/lake", RunState::Running, 1)]);
    let refused = |report: &MigrationReport| {
        report.conditions.iter().any(|known| {
            (known.kind.as_str(), known.reason.as_str(), known.status)
                == ("TargetUnreachable", "Refused", Truth::True)
        })
    };
    let report = agent.wait("refused", refused).await;
    assert!(report.last_error.as_deref().unwrap().contains("account key"), "{report:?}");
    assert_eq!((report.progress.files_migrated, report.progress.files_failed), (0, 0));
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_made_anew_under_the_same_id_does_not_inherit_what_the_old_one_did() {
    let local = Local::new().await;
    let world = &local.world;
    let shape = Shape { files: 12, directories: 3, total_bytes: 1 << 16, largest_bytes: 1 << 14, seed: 9 };
    local.make_lake(&shape);
    let mut agent = world.start_agent();
    agent.desire(vec![world.migrator(1, None), world.target(), migration(1, "/lake", RunState::Running, 1)]);
    agent.wait("Completed", |report| report.state == MigrationState::Completed).await;
    // Deleted and made anew while the agent was away: it sees nothing but another body under the known id.
    let mut elsewhere = migration(2, "/lake", RunState::Running, 1);
    if let Body::Migration(spec) = &mut elsewhere.body {
        spec.target_path = "/elsewhere".into();
    }
    agent.desire(vec![elsewhere]);
    agent
        .wait("completed again", |report| {
            report.observed_generation == 2 && report.state == MigrationState::Completed
        })
        .await;
    let side = SourceSide::Directory(local.folder.path().join("lake"));
    let compared = world.compare(side, "elsewhere").await;
    assert!(compared.equal(), "{compared}");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_removed_while_the_agent_was_down_leaves_no_journal() {
    let local = Local::new().await;
    let world = &local.world;
    local.make_lake(&Shape { files: 5, directories: 2, total_bytes: 4096, largest_bytes: 2048, seed: 1 });
    let mut agent = world.start_agent();
    agent.desire(vec![world.migrator(1, None), world.target(), migration(1, "/lake", RunState::Running, 1)]);
    agent.wait("Completed", |report| report.state == MigrationState::Completed).await;
    agent.stop().await;
    assert_eq!(world.journals(), 1);
    world.remove_offline("/migration");
    let mut agent = world.start_agent();
    agent.desire(vec![migration(2, "/lake", RunState::Stopped, 0)]);
    agent.wait("NotScheduled", |report| report.state == MigrationState::NotScheduled).await;
    assert_eq!(world.journals(), 0);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_names_are_left_out_is_still_known_after_a_restart() {
    let local = Local::new().await;
    let world = &local.world;
    local.make_lake(&Shape { files: 5, directories: 2, total_bytes: 4096, largest_bytes: 2048, seed: 1 });
    let mut agent = world.start_agent();
    agent.desire(vec![world.migrator(1, None), world.target(), migration(1, "/lake", RunState::Running, 1)]);
    let unmapped = |report: &MigrationReport| {
        let mut conditions = report.conditions.iter();
        conditions.find(|known| known.kind == "OwnerUnmapped" && known.status == Truth::True).cloned()
    };
    let done = |report: &MigrationReport| report.state == MigrationState::Completed;
    let before = unmapped(&agent.wait("Completed", done).await).unwrap();
    assert!(before.message.contains("1 user and 1 group"), "{before:?}");
    agent.stop().await;
    // Nothing is looked at any more.
    let mut agent = world.start_agent();
    let after = unmapped(&agent.wait("Completed", done).await).unwrap();
    assert_eq!(after.message, before.message);
    agent.stop().await;
}
