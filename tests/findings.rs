//! What only the agent can find wrong, as it stands in the migration's status.

use serde_json::json;

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
    let status = site.wait(&migration, "Failed", |status| status["state"] == "Failed").await;
    assert!(status["lastError"].as_str().unwrap().to_lowercase().contains("auth"), "{status:#}");
    assert_eq!(progress(&status, "filesMigrated"), 0);
    // With the right key the next start completes.
    target["properties"]["credential"]["accountKey"] = site.account_key().await.into();
    site.arm().put(&format!("{migrator}/targets/t"), &target).await.unwrap();
    site.arm().post(&format!("{migration}/start")).await.unwrap();
    site.wait(&migration, "Completed", |status| status["state"] == "Completed").await;
}
