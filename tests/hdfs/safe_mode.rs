//! A NameNode in safe mode, and one that starts anew, under a migration that follows. Clusters of their own, because nobody can
//! write meanwhile.

use serde_json::{Value, json};

use super::cluster::Cluster;
use super::live::is_caught_up;
use crate::site::{Process, Site, has_condition, progress, until};
use livedata_workload::churn::{FileSystem as _, Hdfs};
use livedata_workload::lake::Shape;

const SHAPE: Shape =
    Shape { files: 60, directories: 12, total_bytes: 1 << 20, largest_bytes: 1 << 18, seed: 12 };
/// More than an agent has under way and read ahead: the rest is still to be asked for.
const LARGE_BYTES: usize = 96 << 20;
/// With which it takes minutes.
const SLOW_BYTES_PER_SECOND: u64 = 256 << 10;

/// A migration that has caught up and follows.
struct Following {
    migrator: String,
    migration: String,
    _agent: Process,
    /// When it had caught up.
    status: Value,
}

impl Following {
    async fn start(site: &Site, cluster: &Cluster) -> Self {
        cluster.make_lake("/lake", "mover", &site.beside("original"), &SHAPE).await;
        let changes = cluster.changes();
        for path in ["/lake/appended", "/lake/deleted", "/lake/renamed"] {
            changes.write(path, path.as_bytes().to_vec()).await.unwrap();
        }
        let migrator = site.make_migrator("m", cluster.source(), None).await;
        let agent = site.install_agent_as(&migrator, cluster.superuser_name()).await;
        let migration = site.start_migration_with(&migrator, "lake", "/lake", json!({"mode": "Live"})).await;
        let status = site.wait(&migration, "caught up", is_caught_up).await;
        Self { migrator, migration, _agent: agent, status }
    }

    async fn limit(&self, site: &Site, bytes_per_second: Option<u64>) {
        let policy = bytes_per_second.map(|most| json!({"maxBytesPerSecond": most}));
        site.arm().patch(&self.migrator, &json!({"properties": {"bandwidthPolicy": policy}})).await.unwrap();
    }

    /// A file that is read for so long that what comes next comes meanwhile.
    async fn begin_large_file(&self, site: &Site, changes: &Hdfs) {
        self.limit(site, Some(SLOW_BYTES_PER_SECOND)).await;
        changes.write("/lake/large", vec![7; LARGE_BYTES]).await.unwrap();
        let behind = |status: &Value| status["lag"]["transactions"].as_u64().is_some_and(|behind| behind > 0);
        site.wait(&self.migration, "behind", behind).await;
    }

    /// Both sides are equal, and nothing was listed once more to make them so.
    async fn arrives(&self, site: &Site, cluster: &Cluster) -> Value {
        // The report may be of the moment before the last change was read: what is compared decides.
        let mut looks = 0;
        let status = loop {
            let well = |status: &Value| is_caught_up(status) && !has_condition(status, "SourceUnreachable");
            let status = site.wait(&self.migration, "caught up", well).await;
            let compared = site.compare(cluster.side("/lake"), "lake").await;
            if compared.equal() {
                break status;
            }
            looks += 1;
            assert!(looks < 20, "{compared}");
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        };
        assert_eq!(progress(&status, "filesFailed"), 0, "{status:#}");
        assert!(!has_condition(&status, "EventsLost"), "{status:#}");
        let listed = |status: &Value| progress(status, "directoriesScanned");
        assert_eq!(listed(&status), listed(&self.status), "nothing is looked at again: {status:#}");
        status
    }
}

/// In directories that are known already: they need not be listed.
async fn change(changes: &Hdfs) {
    changes.write("/lake/new", b"new".to_vec()).await.unwrap();
    changes.append("/lake/appended", b" and more".to_vec()).await.unwrap();
    changes.rename("/lake/renamed", "/lake/moved").await.unwrap();
    changes.delete("/lake/deleted").await.unwrap();
    changes.set_permissions("/lake/new", 0o600).await.unwrap();
}

async fn assert_nobody_can_write(changes: &Hdfs) {
    // A NameNode that has just started does not answer at once.
    let refused = until(async || {
        let refused = changes.make_directory("/lake/refused").await.unwrap_err().to_string();
        refused.contains("safe mode").then_some(())
    });
    assert!(refused.await.is_some(), "the NameNode is not in safe mode");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_safe_mode_what_was_written_arrives_and_what_is_written_afterwards_too() {
    let shared = Cluster::from_environment();
    let site = Site::start().await;
    let directory = site.beside("hadoop");
    let cluster = shared.up(&directory);
    let following = Following::start(&site, &cluster).await;
    let changes = cluster.changes();
    following.begin_large_file(&site, &changes).await;
    cluster.safe_mode("enter");
    assert_nobody_can_write(&changes).await;
    // Reading goes on.
    let status = site.status(&following.migration).await;
    let before = progress(&status, "filesMigrated");
    assert_eq!(before, progress(&following.status, "filesMigrated"), "it was read before: {status:#}");
    following.limit(&site, None).await;
    let status = following.arrives(&site, &cluster).await;
    assert_eq!(progress(&status, "filesMigrated"), before + 1, "{status:#}");
    assert_nobody_can_write(&changes).await;

    cluster.safe_mode("leave");
    change(&changes).await;
    following.arrives(&site, &cluster).await;
    shared.down(&directory);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namenode_that_starts_anew_and_is_in_safe_mode_for_a_while_is_waited_for() {
    let shared = Cluster::from_environment();
    let site = Site::start().await;
    let directory = site.beside("hadoop");
    let cluster = shared.up(&directory);
    let following = Following::start(&site, &cluster).await;
    following.begin_large_file(&site, &cluster.changes()).await;
    shared.down(&directory);
    let unreachable = |status: &Value| has_condition(status, "SourceUnreachable");
    let status = site.wait(&following.migration, "SourceUnreachable", unreachable).await;
    let before = progress(&following.status, "filesMigrated");
    assert_eq!(
        (&status["state"], progress(&status, "filesMigrated")),
        (&"Live".into(), before),
        "{status:#}"
    );

    // It knows names and no blocks: the file that is not yet copied cannot be read.
    let cluster = shared.up_without_datanode(&directory);
    following.limit(&site, None).await;
    assert_nobody_can_write(&cluster.changes()).await;
    let in_safe_mode = |status: &Value| {
        unreachable(status)
            && status["conditions"].as_array().unwrap().iter().any(|known| {
                known["type"] == "SourceUnreachable"
                    && known["message"].as_str().unwrap().contains("safe mode")
            })
    };
    let status = site.wait(&following.migration, "told of the safe mode", in_safe_mode).await;
    assert_eq!(
        (&status["state"], progress(&status, "filesMigrated")),
        (&"Live".into(), before),
        "{status:#}"
    );
    assert_eq!(progress(&status, "filesFailed"), 0, "{status:#}");

    let cluster = shared.up(&directory);
    let status = following.arrives(&site, &cluster).await;
    assert_eq!(progress(&status, "filesMigrated"), before + 1, "{status:#}");
    change(&cluster.changes()).await;
    following.arrives(&site, &cluster).await;
    shared.down(&directory);
}
