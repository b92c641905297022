//! A directory of very many entries that gets another name while it is listed and copied. What was there moves with it, at
//! once, and the rest arrives under the new name.
//!
//! `LIVEDATA_ENTRIES` says how many; with few, the listing is over before anybody can rename.

use std::time::Duration;

use serde_json::json;

use super::cluster::Cluster;
use super::live::is_caught_up;
use crate::site::{Site, has_condition, progress};

const FEW: u64 = 3_000;
/// For each thousand entries, on a machine with other work.
const PATIENCE_PER_THOUSAND: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_large_directory_that_is_renamed_during_the_scan_is_renamed_once_at_the_target() {
    let asked = std::env::var("LIVEDATA_ENTRIES").ok().map(|entries| entries.parse().unwrap());
    let entries: u64 = asked.unwrap_or(FEW);
    let patience = Duration::from_secs(150) + PATIENCE_PER_THOUSAND * (entries / 1_000) as u32;
    let cluster = Cluster::from_environment();
    let site = Site::start().await;
    cluster.make_files("/large/before", entries).await;
    println!("made {entries} files");
    let inode = cluster.inode("/large/before").await;
    let migrator = site.make_migrator("m", cluster.source(), None).await;
    let _agent = site.install_agent_as(&migrator, cluster.superuser_name()).await;
    let migration = site.start_migration_with(&migrator, "large", "/large", json!({"mode": "Live"})).await;
    let some = |status: &serde_json::Value| progress(status, "filesMigrated") >= (entries / 100).min(2_000);
    site.wait(&migration, "under way", some).await;
    cluster.superuser.rename("/large/before", "/large/after", false).await.unwrap();
    let status = site.status(&migration).await;
    let (scanned, migrated) = (progress(&status, "filesScanned"), progress(&status, "filesMigrated"));
    println!("renamed when {scanned} were listed and {migrated} had arrived");
    assert_eq!(status["state"], "Running", "{status:#}");
    assert!(migrated > 0 && migrated < entries, "{status:#}");

    let status = site.wait_within(patience, &migration, "caught up", is_caught_up).await;
    let counters = site.target_counters().await;
    println!("{counters:#}");
    assert_eq!(counters["directories_renamed"], 1, "{counters:#}");
    assert_eq!(counters["files_renamed"], entries, "each is made visible once: {counters:#}");
    // Besides the files: the root, the directory, and our own folders.
    let created = counters["requests"]["PathCreate"].as_u64().unwrap();
    assert!(created < entries + 20, "{counters:#}");
    assert_eq!(
        (progress(&status, "filesMigrated"), progress(&status, "filesFailed")),
        (entries, 0),
        "{status:#}"
    );
    assert!(!has_condition(&status, "EventsLost"), "{status:#}");
    // Listings of the directory on both sides of the rename. The agent names it by its id.
    let log = cluster.audit_log();
    let listed = format!("cmd=listStatus\tsrc=/.reserved/.inodes/{inode}\t");
    let renamed = log.find("\tsrc=/large/before\tdst=/large/after\t").unwrap();
    let pages = [&log[..renamed], &log[renamed..]].map(|part| part.matches(&listed).count());
    println!("{} pages were listed before the rename and {} after", pages[0], pages[1]);
    assert!(pages[0] > 0 && (pages[1] > 0 || asked.is_none()), "{pages:?}");
    let compared = site.compare(cluster.side("/large"), "large").await;
    println!("{compared}");
    assert!(compared.equal() && compared.files == entries, "{compared}");
}
