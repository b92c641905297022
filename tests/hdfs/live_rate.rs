//! A lake on HDFS that applications change all the time, at hundreds of operations a second, while it is copied.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use livedata_workload::churn::{Churned, Plan, churn};
use livedata_workload::lake::Shape;
use livedata_workload::witness::{self, Witnessed, Written};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::cluster::Cluster;
use super::live::is_caught_up;
use crate::site::{Process, Site, has_condition, progress};

/// What is migrated: a lake that writers change, and files that prove what they are.
const ROOT: &str = "/live";
const LAKE: &str = "/live/lake";
const WITNESS: &str = "/live/witness";
/// Where things are moved that leave what is migrated.
const OUTSIDE: &str = "/live-outside";

/// How fast a machine is decides how long it takes to catch up with what never rests, and is not what is tested.
const LONGEST_CHANGES: Duration = Duration::from_secs(100);

/// Applications at work until told to stop.
struct Working<T> {
    stop: Arc<AtomicBool>,
    task: JoinHandle<T>,
}

impl<T> Working<T> {
    async fn finish(self) -> T {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await.unwrap()
    }
}

fn change(cluster: &Cluster, seed: u64) -> Working<Churned> {
    let stop = Arc::new(AtomicBool::new(false));
    // Each change waits for a disk: many writers make the rate.
    let plan = Plan {
        seed,
        writers: 96,
        operations: None,
        operations_per_second: Some(230.0),
        stop: Arc::clone(&stop),
    };
    let changes = cluster.changes();
    let task = tokio::spawn(async move {
        let churned = churn(&changes, LAKE, OUTSIDE, &plan).await.unwrap();
        println!("{churned}");
        churned
    });
    Working { stop, task }
}

fn write(cluster: &Cluster, seed: u64, renames: &Arc<AtomicBool>) -> Working<Written> {
    let stop = Arc::new(AtomicBool::new(false));
    let (changes, flags) = (cluster.changes(), (Arc::clone(&stop), Arc::clone(renames)));
    let task = tokio::spawn(async move {
        let written =
            witness::write(&changes, WITNESS, seed, Duration::from_millis(80), flags).await.unwrap();
        println!("{written:?}");
        written
    });
    Working { stop, task }
}

async fn watch(site: &Site) -> Working<Witnessed> {
    let stop = Arc::new(AtomicBool::new(false));
    let reader = witness::Reader::new(site.target_side(WITNESS.trim_start_matches('/')).await);
    let stopped = Arc::clone(&stop);
    Working { stop, task: tokio::spawn(async move { reader.watch(stopped).await.unwrap() }) }
}

/// `cargo xtask prove kills`: so many deaths more, at moments that the seed decides, at a target that fails now and then.
async fn die_often(site: &Site, mut agent: Process, user: &str) -> Process {
    let Ok(deaths) = std::env::var("LIVEDATA_KILLS") else { return agent };
    let deaths: u64 = deaths.parse().unwrap();
    for death in 0..deaths {
        // From a moment after the start to long after it has connected.
        let moment = (death + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        tokio::time::sleep(Duration::from_millis(100 + moment % 4_000)).await;
        agent.kill().await;
        let chaos = format!("{death}:0.01:0.01:0.01");
        agent = site.run_agent_with("m", user, &["--target-chaos", &chaos]);
    }
    println!("killed {deaths} times more");
    agent
}

fn live() -> Value {
    // The workload deletes more than an operator would let pass.
    json!({"mode": "Live", "massDeleteLimit": {"count": 1_000_000, "percent": 100, "window": "PT1H"}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_that_is_changed_all_the_time_ends_equal_though_the_agent_is_killed() {
    let cluster = Cluster::from_environment();
    let site = Site::start().await;
    let shape =
        Shape { files: 1_200, directories: 150, total_bytes: 48 << 20, largest_bytes: 8 << 20, seed: 9 };
    cluster.make_lake(LAKE, "mover", &site.beside("original"), &shape).await;
    let changes = change(&cluster, 21);
    let renames = Arc::new(AtomicBool::new(false));
    let writing = write(&cluster, 5, &renames);
    // The cap makes the scan last.
    let migrator = site.make_migrator("m", cluster.source(), Some(6 << 20)).await;
    let mut agent = site.install_agent_as(&migrator, cluster.superuser_name()).await;
    let migration = site.start_migration_with(&migrator, "live", ROOT, live()).await;
    let watching = watch(&site).await;
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
    let is_live = |status: &Value| status["state"] == "Live";
    let keeps_up =
        tokio::time::timeout(LONGEST_CHANGES, site.wait(&migration, "Live", is_live)).await.is_ok();
    let during_scan = changes.finish().await;
    if !keeps_up {
        println!("the changes had to end before everything had arrived: this machine is too slow for them");
    }
    site.wait(&migration, "Live", is_live).await;
    renames.store(true, Ordering::SeqCst);
    let changes = change(&cluster, 22);
    tokio::time::sleep(Duration::from_secs(8)).await;
    let _agent = die_often(&site, agent, cluster.superuser_name()).await;
    let after_scan = changes.finish().await;
    assert!(writing.finish().await.vouching > 5);
    let share = during_scan.changes * 100 / (during_scan.changes + after_scan.changes);
    println!("{share} % of the changes happened during the scan");
    // More deaths than three lengthen the time after the scan, which is what is proved then.
    assert!(share >= 30 || std::env::var_os("LIVEDATA_KILLS").is_some());

    let status = site.wait(&migration, "caught up", is_caught_up).await;
    let witnessed = watching.finish().await;
    println!("{witnessed}");
    assert!(witnessed.versions > 20 && witnessed.vouched > 10, "{witnessed}");
    assert_eq!(witnessed.violation_count, 0, "{witnessed}");
    assert_eq!(progress(&status, "filesFailed"), 0, "{status:#}");
    assert!(!has_condition(&status, "EventsLost"), "no event may get lost: {status:#}");
    let compared = site.compare(cluster.side(ROOT), "live").await;
    println!("{compared}");
    assert!(compared.equal(), "{compared}\n{status:#}");
}
