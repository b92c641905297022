//! A lake on HDFS that is changed while it is followed.

use serde_json::{Value, json};

use super::cluster::Cluster;
use crate::site::{Site, has_condition, progress};
use livedata_testkit::gate::{Gate, Mode};
use livedata_workload::churn::FileSystem as _;
use livedata_workload::lake::Shape;

/// Everything that happened is at the target.
pub fn is_caught_up(status: &Value) -> bool {
    status["state"] == "Live" && status["lag"]["transactions"] == 0
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_follow_also_those_made_while_the_agent_was_dead() {
    let cluster = Cluster::from_environment();
    let site = Site::start().await;
    let shape = Shape { files: 200, directories: 20, total_bytes: 8 << 20, largest_bytes: 2 << 20, seed: 9 };
    cluster.make_lake("/live", "mover", &site.beside("original"), &shape).await;
    let (changes, text) = (cluster.changes(), |text: &str| text.as_bytes().to_vec());
    for directory in ["/live/old/deep", "/live/doomed"] {
        changes.make_directory(directory).await.unwrap();
    }
    for path in ["/live/old/deep/a", "/live/doomed/b", "/live/c", "/live/d"] {
        changes.write(path, text(path)).await.unwrap();
    }
    let migrator = site.make_migrator("m", cluster.source(), None).await;
    let agent = site.install_agent_as(&migrator, cluster.superuser_name()).await;
    let migration = site.start_migration_with(&migrator, "live", "/live", json!({"mode": "Live"})).await;
    site.wait(&migration, "caught up", is_caught_up).await;

    changes.write("/live/new", text("new")).await.unwrap();
    changes.append("/live/c", text("and more")).await.unwrap();
    changes.rename("/live/old", "/live/renamed").await.unwrap();
    changes.write("/live/renamed/deep/e", text("e")).await.unwrap();
    agent.kill().await;
    site.wait(&migrator, "Down", |status| status["phase"] == "Down").await;
    changes.delete("/live/doomed").await.unwrap();
    changes.rename("/live/c", "/live/d").await.unwrap();
    changes.rename("/live/renamed/deep", "/live/moved").await.unwrap();
    changes.set_permissions("/live/new", 0o600).await.unwrap();
    let _agent = site.run_agent_as("m", cluster.superuser_name());
    site.wait(&migrator, "Up", |status| status["phase"] == "Up").await;
    changes.write("/live/last", text("last")).await.unwrap();

    let arrived = |status: &Value| is_caught_up(status) && progress(status, "filesFailed") == 0;
    // The report may be of the moment before the last change was read: what is compared decides.
    let mut compared = None;
    for _ in 0..20 {
        site.wait(&migration, "caught up", arrived).await;
        let report = site.compare(cluster.side("/live"), "live").await;
        let equal = report.equal();
        compared = Some(report);
        if equal {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    let compared = compared.unwrap();
    assert!(compared.equal(), "{compared}");
    let status = site.status(&migration).await;
    let lost = |condition: &Value| condition["type"] == "EventsLost";
    assert!(!status["conditions"].as_array().unwrap().iter().any(lost), "{status:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_a_superuser_cannot_follow() {
    let cluster = Cluster::from_environment();
    let site = Site::start().await;
    let shape = Shape { files: 5, directories: 1, total_bytes: 1 << 12, largest_bytes: 1 << 11, seed: 1 };
    cluster.make_lake("/refused", "mover", &site.beside("original"), &shape).await;
    let migrator = site.make_migrator("m", cluster.source(), None).await;
    let _agent = site.install_agent(&migrator).await;
    let migration =
        site.start_migration_with(&migrator, "refused", "/refused", json!({"mode": "Live"})).await;
    let status = site.wait(&migration, "Failed", |status| status["state"] == "Failed").await;
    let error = status["lastError"].as_str().unwrap();
    assert!(error.contains("NotSuperuser") || error.contains("superuser"), "{status:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namenode_that_is_away_for_a_while_is_said_and_the_migration_goes_on_by_itself() {
    let cluster = Cluster::from_environment();
    let site = Site::start().await;
    let shape = Shape { files: 5, directories: 1, total_bytes: 1 << 12, largest_bytes: 1 << 11, seed: 4 };
    cluster.make_lake("/away", "mover", &site.beside("original"), &shape).await;
    let behind = tokio::net::lookup_host(cluster.namenode()).await.unwrap().next().unwrap();
    let gate = Gate::new(behind).await;
    let source = json!({"kind": "Hdfs", "uri": format!("hdfs://{}", gate.address())});
    let migrator = site.make_migrator("m", source, None).await;
    let _agent = site.install_agent_as(&migrator, cluster.superuser_name()).await;
    let migration = site.start_migration_with(&migrator, "away", "/away", json!({"mode": "Live"})).await;
    site.wait(&migration, "caught up", is_caught_up).await;

    gate.set(Mode::Closed);
    let changes = cluster.changes();
    changes.write("/away/meanwhile", b"meanwhile".to_vec()).await.unwrap();
    let unreachable = |status: &Value| has_condition(status, "SourceUnreachable");
    let status = site.wait(&migration, "SourceUnreachable", unreachable).await;
    assert_eq!((&status["state"], progress(&status, "filesFailed")), (&"Live".into(), 0), "{status:#}");
    gate.set(Mode::Open);
    let migrated = progress(&status, "filesMigrated");
    let status = site
        .wait(&migration, "caught up again", |status| {
            is_caught_up(status) && !unreachable(status) && progress(status, "filesMigrated") > migrated
        })
        .await;
    assert_eq!(progress(&status, "filesFailed"), 0, "{status:#}");
    assert!(!has_condition(&status, "EventsLost"), "the NameNode had kept everything: {status:#}");
    let compared = site.compare(cluster.side("/away"), "away").await;
    assert!(compared.equal(), "{compared}");
    // Owners of HDFS have names.
    let conditions = status["conditions"].as_array().unwrap();
    let unmapped = conditions.iter().find(|known| known["type"] == "OwnerUnmapped").unwrap();
    assert!(unmapped["message"].as_str().unwrap().contains("user 'mover'"), "{unmapped}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_changes_are_found_again_and_nothing_equal_is_sent_again() {
    let shared = Cluster::from_environment();
    let site = Site::start().await;
    let directory = site.beside("hadoop");
    let cluster = shared.up(&directory);
    let shape = Shape { files: 150, directories: 20, total_bytes: 8 << 20, largest_bytes: 2 << 20, seed: 9 };
    cluster.make_lake("/live", "mover", &site.beside("original"), &shape).await;
    let changes = cluster.changes();
    for path in ["/live/replaced", "/live/removed", "/live/moved"] {
        changes.write(path, path.as_bytes().to_vec()).await.unwrap();
    }
    let migrator = site.make_migrator("m", cluster.source(), None).await;
    let agent = site.install_agent_as(&migrator, cluster.superuser_name()).await;
    let migration = site.start_migration_with(&migrator, "live", "/live", json!({"mode": "Live"})).await;
    site.wait(&migration, "caught up", is_caught_up).await;
    agent.kill().await;
    site.wait(&migrator, "Down", |status| status["phase"] == "Down").await;

    changes.write("/live/replaced", b"another content".to_vec()).await.unwrap();
    changes.delete("/live/removed").await.unwrap();
    changes.rename("/live/moved", "/live/moved-on").await.unwrap();
    changes.write("/live/new", b"new".to_vec()).await.unwrap();
    // A restart finishes the segment of the log.
    shared.down(&directory);
    let cluster = shared.up(&directory);
    cluster.purge_log();
    let before = site.ingress_bytes().await;
    let agent = site.run_agent_as("m", cluster.superuser_name());
    agent.wait_until_said("are lost").await;
    site.wait(&migrator, "Up", |status| status["phase"] == "Up").await;
    let is_there = |status: &Value| is_caught_up(status) && progress(status, "filesFailed") == 0;
    let mut equal = false;
    for _ in 0..20 {
        site.wait(&migration, "caught up", is_there).await;
        equal = site.compare(cluster.side("/live"), "live").await.equal();
        if equal {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    assert!(equal, "{}", site.compare(cluster.side("/live"), "live").await);
    let sent = site.ingress_bytes().await - before;
    assert!(sent < 10_000, "{sent} bytes were sent again, of more than eight million");
    shared.down(&directory);
}
