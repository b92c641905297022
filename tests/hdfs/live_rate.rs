//! A lake on HDFS that applications change all the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use livedata_workload::churn::{Churned, Plan, churn};
use livedata_workload::lake::Shape;
use serde_json::{Value, json};

use super::cluster::Cluster;
use crate::site::{Site, progress};

/// Writers that change a lake until told to stop.
struct Churning {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Churned>,
}

impl Churning {
    fn start(cluster: &Cluster, path: &str, seed: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        // Each change waits for a disk: many writers make the rate.
        let plan = Plan {
            seed,
            writers: 64,
            operations: None,
            operations_per_second: Some(220.0),
            stop: Arc::clone(&stop),
        };
        let (changes, scope) = (cluster.changes(), path.to_owned());
        let task = tokio::spawn(async move {
            churn(&changes, &scope, &format!("{scope}-outside"), &plan).await.unwrap()
        });
        Self { stop, task }
    }

    async fn finish(self) -> Churned {
        self.stop.store(true, Ordering::SeqCst);
        let churned = self.task.await.unwrap();
        println!("{churned}");
        churned
    }
}

fn live() -> Value {
    // The workload deletes more than an operator would let pass.
    json!({"mode": "Live", "massDeleteLimit": {"count": 1_000_000, "percent": 100, "window": "PT1H"}})
}

fn has_condition(status: &Value, kind: &str) -> bool {
    let conditions = status["conditions"].as_array().unwrap();
    conditions.iter().any(|condition| condition["type"] == kind)
}

/// Everything that happened is at the target.
fn is_caught_up(status: &Value) -> bool {
    status["state"] == "Live" && status["lag"]["transactions"] == 0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_that_is_changed_all_the_time_ends_equal_though_the_agent_is_killed() {
    let cluster = Cluster::from_environment();
    let site = Site::start().await;
    let shape =
        Shape { files: 1_200, directories: 150, total_bytes: 48 << 20, largest_bytes: 8 << 20, seed: 9 };
    cluster.make_lake("/live", "mover", &site.beside("original"), &shape).await;
    let during_scan = Churning::start(&cluster, "/live", 21);
    // The cap makes the scan last.
    let migrator = site.make_migrator("m", cluster.source(), Some(6 << 20)).await;
    let mut agent = site.install_agent_as(&migrator, cluster.superuser_name()).await;
    let migration = site.start_migration_with(&migrator, "live", "/live", live()).await;
    // Three deaths, each at another moment of the copy.
    for share in [10, 35, 60] {
        let enough = |status: &Value| progress(status, "filesMigrated") * 100 >= share * shape.files as u64;
        site.wait(&migration, "further", enough).await;
        agent.kill().await;
        site.wait(&migrator, "Down", |status| status["phase"] == "Down").await;
        agent = site.run_agent_as("m", cluster.superuser_name());
        site.wait(&migrator, "Up", |status| status["phase"] == "Up").await;
    }
    site.arm().patch(&migrator, &json!({"properties": {"bandwidthPolicy": null}})).await.unwrap();
    site.wait(&migration, "Live", |status| status["state"] == "Live").await;
    let during_scan = during_scan.finish().await;
    let after_scan = Churning::start(&cluster, "/live", 22);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let after_scan = after_scan.finish().await;
    let share = during_scan.changes * 100 / (during_scan.changes + after_scan.changes);
    println!("{share} % of the changes happened during the scan");
    assert!(share >= 30);

    let status = site.wait(&migration, "caught up", is_caught_up).await;
    assert_eq!(progress(&status, "filesFailed"), 0, "{status:#}");
    assert!(!has_condition(&status, "EventsLost"), "no event may get lost: {status:#}");
    let compared = site.compare(cluster.side("/live"), "live").await;
    println!("{compared}");
    assert!(compared.equal(), "{compared}\n{status:#}");
}
