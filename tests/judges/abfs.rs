//! Hadoop's ABFS driver, by its own tests: the contract of a Hadoop file system, and everything else that the project
//! publishes of them and that needs nothing of Azure's but the storage. `hadoop/exceptions.txt` lists the others.

use std::time::Duration;

use tokio::process::Command;

use super::emulator::{Emulator, KEY};

/// All of them take a quarter of an hour on an idle machine.
const PATIENCE: Duration = Duration::from_secs(3_600);
const CONTRACT: &str = r"org\.apache\.hadoop\.fs\.azurebfs\.contract\.ITest.*";

#[derive(Clone, Copy)]
enum Files {
    BlockBlobs,
    /// The driver makes all of them so, as it does below `fs.azure.appendblob.directories`.
    AppendBlobs,
}

async fn judge(classes: &str, files: Files) {
    let emulator = Emulator::start().await;
    let running = Command::new("java")
        .arg(format!("@{}", super::tool("LIVEDATA_JUDGE_ABFS")))
        .arg("Judge")
        .arg(super::tool("LIVEDATA_JUDGE_ABFS_TESTS"))
        .arg(super::file("hadoop/exceptions.txt"))
        .arg(classes)
        .env("JDK_JAVA_OPTIONS", options(&emulator, files))
        .current_dir(emulator.beside(""))
        .kill_on_drop(true)
        // What fails is seen when it fails, not a quarter of an hour later.
        .status();
    let ended = tokio::time::timeout(PATIENCE, running).await;
    let status = ended.unwrap_or_else(|_| panic!("the tests of {classes} do not end")).unwrap();
    assert!(status.success(), "{classes}: {status}");
}

fn options(emulator: &Emulator, files: Files) -> String {
    let property = |name: &str, value: &str| format!("-D{name}={value}");
    let folder = |name: &str| emulator.beside(name).display().to_string();
    [
        "-Xmx1g".to_owned(),
        // Some of the tests put something of their own into final fields.
        "--add-opens=java.base/java.lang.reflect=ALL-UNNAMED".to_owned(),
        property("judge.endpoint", &emulator.address()),
        property("judge.key", KEY),
        property("judge.append.blobs", &matches!(files, Files::AppendBlobs).to_string()),
        property("judge.log", &folder("log")),
        property("test.build.data", &folder("data-of-tests")),
        property("hadoop.tmp.dir", &folder("tmp")),
    ]
    .join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn contract() {
    judge(CONTRACT, Files::BlockBlobs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_with_append_blobs() {
    judge(CONTRACT, Files::AppendBlobs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything() {
    judge(r"org\.apache\.hadoop\.fs\.azurebfs\..*\.?ITest.*", Files::BlockBlobs).await;
}
