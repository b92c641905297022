//! What only the agent can find wrong, as it stands in the migration's status.

use livedata_workload::SourceSide;
use livedata_workload::lake::{self, Shape};
use serde_json::{Value, json};

use crate::site::{Site, directory, has_condition, progress};

#[tokio::test(flavor = "multi_thread")]
async fn a_source_path_that_is_absent_fails_the_migration_and_writes_nothing() {
    let site = Site::start().await;
    std::fs::create_dir(site.beside("source")).unwrap();
    let migrator = site.make_migrator("m", directory(&site.beside("source")), None).await;
    let _agent = site.install_agent(&migrator).await;
    let migration = site.start_migration(&migrator, "x", "/nowhere").await;
    let status = site.wait(&migration, "Failed", |status| status["state"] == "Failed").await;
    assert!(has_condition(&status, "SourceRootMissing"), "{status:#}");
    assert!(status["lastError"].as_str().unwrap().contains("/nowhere"), "{status:#}");
    assert_eq!(site.listing().await, Vec::<String>::new());
    // Once it is there a start is enough.
    std::fs::create_dir(site.beside("source").join("nowhere")).unwrap();
    site.arm().post(&format!("{migration}/start")).await.unwrap();
    let status = site.wait(&migration, "Completed", |status| status["state"] == "Completed").await;
    assert!(!has_condition(&status, "SourceRootMissing"), "{status:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hdfs_that_does_not_answer_is_a_condition_and_not_an_end() {
    let site = Site::start().await;
    let source = json!({"kind": "Hdfs", "uri": "hdfs://127.0.0.1:1"});
    let migrator = site.make_migrator("m", source, None).await;
    let _agent = site.install_agent(&migrator).await;
    let migration = site.start_migration(&migrator, "x", "/lake").await;
    let status =
        site.wait(&migration, "SourceUnreachable", |status| has_condition(status, "SourceUnreachable")).await;
    assert_eq!(status["state"], "Scheduled", "{status:#}");
    assert!(status["lastError"].as_str().unwrap().contains("127.0.0.1:1"), "{status:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_account_key_is_said_and_no_file_arrives() {
    let site = Site::start().await;
    std::fs::create_dir(site.beside("source")).unwrap();
    std::fs::write(site.beside("source").join("file"), "content").unwrap();
    let migrator = site.make_migrator("m", directory(&site.beside("source")), None).await;
    let mut target = site.arm().get(&format!("{migrator}/targets/t")).await.unwrap();
    target["properties"]["credential"]["accountKey"] = "d3Jvbmc=".into();
    site.arm().put(&format!("{migrator}/targets/t"), &target).await.unwrap();
    let _agent = site.install_agent(&migrator).await;
    let migration = site.start_migration(&migrator, "x", "/").await;
    let refused = |status: &Value| {
        let conditions = status["conditions"].as_array().unwrap();
        conditions.iter().any(|known| {
            known["type"] == "TargetUnreachable" && known["reason"] == "Refused" && known["status"] == "True"
        })
    };
    let status = site.wait(&migration, "refused", refused).await;
    assert!(status["lastError"].as_str().unwrap().contains("account key"), "{status:#}");
    assert_eq!((progress(&status, "filesMigrated"), progress(&status, "filesFailed")), (0, 0));
    // With the right key it goes on by itself.
    target["properties"]["credential"]["accountKey"] = site.account_key().await.into();
    site.arm().put(&format!("{migrator}/targets/t"), &target).await.unwrap();
    let status = site.wait(&migration, "Completed", |status| status["state"] == "Completed").await;
    assert!(!has_condition(&status, "TargetUnreachable"), "{status:#}");
}

/// Keys are rotated while migrations of weeks run: no file may be given up for that.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_key_that_is_rotated_in_the_middle_holds_the_migration_and_nothing_is_lost() {
    let site = Site::start().await;
    let shape = Shape { files: 120, directories: 20, total_bytes: 24 << 20, largest_bytes: 4 << 20, seed: 8 };
    let lake = lake::make(&site.beside("source").join("lake"), &shape).unwrap();
    let migrator = site.make_migrator("m", directory(&site.beside("source")), Some(1 << 20)).await;
    let _agent = site.install_agent(&migrator).await;
    let migration = site.start_migration(&migrator, "lake", "/lake").await;
    site.wait(&migration, "under way", |status| progress(status, "bytesMigrated") > 0).await;
    let before = site.account_key().await;
    site.rotate_account_key().await;
    assert_ne!(site.account_key().await, before);
    let status =
        site.wait(&migration, "TargetUnreachable", |status| has_condition(status, "TargetUnreachable")).await;
    assert_eq!((&status["state"], progress(&status, "filesFailed")), (&"Running".into(), 0), "{status:#}");
    let credential = json!({"kind": "AccountKey", "accountKey": site.account_key().await});
    let patch = json!({"properties": {"credential": credential}});
    site.arm().patch(&format!("{migrator}/targets/t"), &patch).await.unwrap();
    site.arm().patch(&migrator, &json!({"properties": {"bandwidthPolicy": null}})).await.unwrap();
    let status = site.wait(&migration, "Completed", |status| status["state"] == "Completed").await;
    assert_eq!(
        (progress(&status, "filesFailed"), progress(&status, "filesMigrated")),
        (0, lake.files as u64)
    );
    let report = site.compare(SourceSide::Directory(site.beside("source").join("lake")), "lake").await;
    assert!(report.equal(), "{report}");
}

/// Several names of one file: each of them is a file at the target.
#[tokio::test(flavor = "multi_thread")]
async fn hard_links_arrive_under_all_their_names() {
    let site = Site::start().await;
    let source = site.beside("source");
    std::fs::create_dir_all(source.join("x")).unwrap();
    for number in 0..40 {
        let first = source.join(format!("f{number}"));
        std::fs::write(&first, format!("content {number}")).unwrap();
        std::fs::hard_link(&first, source.join(format!("g{number}"))).unwrap();
        let long = format!("x/{}{number}", "long name ".repeat(23));
        std::fs::hard_link(&first, source.join(long)).unwrap();
    }
    let migrator = site.make_migrator("m", directory(&source), None).await;
    let _agent = site.install_agent(&migrator).await;
    let migration = site.start_migration(&migrator, "all", "/").await;
    let status = site.wait(&migration, "Completed", |status| status["state"] == "Completed").await;
    assert_eq!((progress(&status, "filesMigrated"), progress(&status, "filesFailed")), (120, 0));
    let report = site.compare(SourceSide::Directory(source), "").await;
    assert!(report.equal(), "{report}");
}

/// Of a migration that follows its source, as its agent knows them.
#[tokio::test(flavor = "multi_thread")]
async fn what_holds_transfers_back_and_whose_names_are_left_out_stand_in_the_status() {
    let site = Site::start().await;
    let source = site.beside("source");
    std::fs::create_dir_all(source.join("lake")).unwrap();
    std::fs::write(source.join("lake/large"), vec![7; 8 << 20]).unwrap();
    let migrator = site.make_migrator("m", directory(&source), Some(256 << 10)).await;
    let _agent = site.install_agent(&migrator).await;
    let migration = site.start_migration_with(&migrator, "lake", "/lake", json!({"mode": "Live"})).await;
    let both =
        |status: &Value| has_condition(status, "BandwidthLimited") && has_condition(status, "OwnerUnmapped");
    let status = site.wait(&migration, "limited", both).await;
    let condition = |status: &Value, kind: &str| -> Value {
        let conditions = status["conditions"].as_array().unwrap();
        conditions.iter().find(|known| known["type"] == kind).unwrap().clone()
    };
    let limited = condition(&status, "BandwidthLimited");
    assert!(limited["message"].as_str().unwrap().contains("262144 bytes per second"), "{limited}");
    let unmapped = condition(&status, "OwnerUnmapped");
    assert!(unmapped["message"].as_str().unwrap().contains("1 user and 1 group "), "{unmapped}");
    assert!(!has_condition(&status, "PreflightWarning"), "{status:#}");

    site.arm().patch(&migrator, &json!({"properties": {"bandwidthPolicy": null}})).await.unwrap();
    let live = |status: &Value| status["state"] == "Live" && !has_condition(status, "BandwidthLimited");
    let status = site.wait(&migration, "Live", live).await;
    assert_eq!(condition(&status, "BandwidthLimited")["reason"], "Resolved");
}
