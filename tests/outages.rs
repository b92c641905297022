//! Processes that die with kill -9 while a migration runs.

use livedata_workload::SourceSide;
use livedata_workload::lake::{self, Shape, Summary};
use serde_json::json;

use crate::site::{Process, Site, directory, has_condition, progress, until};

const SHAPE: Shape =
    Shape { files: 150, directories: 20, total_bytes: 120 << 20, largest_bytes: 60 << 20, seed: 21 };
/// Slow enough that there is a middle.
const BYTES_PER_SECOND: u64 = 8 << 20;

fn make_lake(site: &Site) -> Summary {
    lake::make(&site.beside("source").join("lake"), &SHAPE).unwrap()
}

async fn assert_equal(site: &Site, lake: &Summary) {
    let report = site.compare(SourceSide::Directory(site.beside("source").join("lake")), "lake").await;
    assert!(report.equal(), "{report}");
    assert_eq!((report.files, report.bytes), (lake.files as u64, lake.bytes));
}

/// A migration under way.
struct Copying {
    migrator: String,
    migration: String,
    agent: Process,
}

/// Begins the migration of the lake and waits until so much has arrived.
async fn copying(site: &Site, bytes: u64) -> Copying {
    let source = directory(&site.beside("source"));
    let migrator = site.make_migrator("m", source, Some(BYTES_PER_SECOND)).await;
    let agent = site.install_agent(&migrator).await;
    let migration = site.start_migration(&migrator, "lake", "/lake").await;
    site.wait(&migration, "under way", |status| progress(status, "bytesMigrated") > bytes).await;
    Copying { migrator, migration, agent }
}

async fn lift_the_cap(site: &Site, migrator: &str) {
    site.arm().patch(migrator, &json!({"properties": {"bandwidthPolicy": null}})).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_relay_copying_goes_on_and_reports_resume_with_it() {
    let (site, relay) = Site::start_with_relay_apart().await;
    let lake = make_lake(&site);
    let Copying { migrator, migration, agent } = copying(&site, lake.bytes / 20).await;

    relay.kill().await;
    let away =
        site.wait(&migration, "AgentDisconnected", |status| has_condition(status, "AgentDisconnected"));
    let told = progress(&away.await, "bytesMigrated");
    let sent = site.ingress_bytes().await;
    until(async || (site.ingress_bytes().await > sent + (4 << 20)).then_some(())).await.unwrap();
    let still = site.status(&migration).await;
    assert_eq!(progress(&still, "bytesMigrated"), told, "nobody could report, and yet: {still:#}");
    assert!(has_condition(&still, "AgentDisconnected"));

    let _relay = site.start_relay();
    site.wait(&migration, "reported again", |status| {
        progress(status, "bytesMigrated") > told && !has_condition(status, "AgentDisconnected")
    })
    .await;
    lift_the_cap(&site, &migrator).await;
    site.wait(&migration, "Completed", |status| status["state"] == "Completed").await;
    assert_equal(&site, &lake).await;
    drop(agent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_that_is_killed_comes_back_with_everything_and_the_migration_completes() {
    let mut site = Site::start().await;
    let lake = make_lake(&site);
    let Copying { migrator, migration, agent } = copying(&site, lake.bytes / 20).await;

    let before = site.arm().get(&migration).await.unwrap();
    site.kill().await;
    site.bring_up().await;
    let after = site.arm().get(&migration).await.unwrap();
    for name in ["id", "etag", "systemData"] {
        assert_eq!(after[name], before[name], "{name}");
    }
    for name in ["path", "targetId", "generation", "provisioningState"] {
        assert_eq!(after["properties"][name], before["properties"][name], "{name}");
    }
    site.wait(&migrator, "Up", |status| status["phase"] == "Up").await;
    lift_the_cap(&site, &migrator).await;
    site.wait(&migration, "Completed", |status| status["state"] == "Completed").await;
    assert_equal(&site, &lake).await;
    drop(agent);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_killed_goes_on_where_it_was() {
    let site = Site::start().await;
    let lake = make_lake(&site);
    let Copying { migrator, migration, agent } = copying(&site, lake.bytes / 2).await;

    agent.kill().await;
    site.wait(&migrator, "Down", |status| status["phase"] == "Down").await;
    let before = site.ingress_bytes().await;
    let _agent = site.run_agent("m");
    lift_the_cap(&site, &migrator).await;
    site.wait(&migration, "Completed", |status| status["state"] == "Completed").await;
    let after = site.ingress_bytes().await - before;
    assert!(after < lake.bytes * 7 / 10, "{after} of {} bytes were sent after the restart", lake.bytes);
    assert_equal(&site, &lake).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_made_anew_while_its_agent_was_away_looks_at_everything_again() {
    let site = Site::start().await;
    let source = site.beside("source").join("lake");
    std::fs::create_dir_all(&source).unwrap();
    std::fs::write(source.join("old"), "old").unwrap();
    let migrator = site.make_migrator("m", directory(&site.beside("source")), None).await;
    let agent = site.install_agent(&migrator).await;
    let migration = site.start_migration(&migrator, "lake", "/lake").await;
    site.wait(&migration, "Completed", |status| status["state"] == "Completed").await;
    agent.kill().await;

    site.arm().delete(&migration).await.unwrap();
    std::fs::write(source.join("new"), "new").unwrap();
    site.remove_at_target("lake/old").await;
    assert_eq!(site.start_migration(&migrator, "lake", "/lake").await, migration);
    assert_eq!(site.status(&migration).await["state"], "Scheduled");
    let _agent = site.run_agent("m");
    site.wait(&migration, "Completed", |status| status["state"] == "Completed").await;
    let report = site.compare(SourceSide::Directory(source), "lake").await;
    assert!(report.equal() && report.files == 2, "{report}");
}
