//! From a real HDFS to the emulator, by programs as a user runs them; both sides compared by code that shares none with
//! them, and by Microsoft's own SDK.

mod cluster;
mod live;
mod live_rate;
mod rename;
mod safe_mode;

use std::path::Path;
use std::process::Command;

use livedata_workload::lake::Shape;
use serde_json::{Value, json};

use crate::site::{LIVEDATA, Process, Site, progress};
use cluster::Cluster;

/// Commands in the NameNode's audit log that change nothing.
const READS: [&str; 9] = [
    "cmd=getfileinfo",
    "cmd=listStatus",
    "cmd=open",
    "cmd=getAclStatus",
    "cmd=getXAttrs",
    "cmd=getCurrentEditLogTxid",
    "cmd=getEditsFromTxid",
    "cmd=checkAccess",
    "cmd=getServerDefaults",
];

/// What `tests/hdfs/reader.py` says about a tree.
fn read(arguments: &[&str]) -> Value {
    let python = std::env::var("LIVEDATA_PYTHON")
        .unwrap_or_else(|_| panic!("LIVEDATA_PYTHON must name a Python with the data lake SDK"));
    let script = Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("tests/hdfs/reader.py");
    let output = Command::new(python).arg(script).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_on_hdfs_arrives_whole_though_the_agent_is_killed_on_the_way() {
    let cluster = Cluster::from_environment();
    let site = Site::start().await;
    let shape =
        Shape { files: 2_000, directories: 200, total_bytes: 340 << 20, largest_bytes: 300 << 20, seed: 42 };
    let original = site.beside("original");
    let lake = cluster.make_lake("/lake", "mover", &original, &shape).await;
    // The cap keeps the copy going long enough to be interrupted.
    let migrator = site.make_migrator("m", cluster.source(), Some(40 << 20)).await;
    let agent = site.install_agent(&migrator).await;
    let migration = site.start_migration(&migrator, "lake", "/lake").await;

    let share = |status: &Value| progress(status, "bytesMigrated") * 100 / lake.bytes;
    let status = site.wait(&migration, "at 30 %", |status| share(status) >= 30).await;
    assert!(share(&status) <= 80, "too late to be killed in the middle: {status:#}");
    agent.kill().await;
    site.wait(&migrator, "Down", |status| status["phase"] == "Down").await;
    let before = site.ingress_bytes().await;
    let agent = site.run_agent("m");
    site.arm().patch(&migrator, &json!({"properties": {"bandwidthPolicy": null}})).await.unwrap();
    let status = site.wait(&migration, "Completed", |status| status["state"] == "Completed").await;
    assert_eq!(
        (progress(&status, "filesMigrated"), progress(&status, "bytesMigrated")),
        (lake.files as u64, lake.bytes),
        "{status:#}"
    );
    assert_eq!((progress(&status, "filesFailed"), &status["lastError"]), (0, &Value::Null));
    let after = site.ingress_bytes().await - before;
    assert!(after < lake.bytes * 9 / 10, "{after} of {} bytes were sent after the restart", lake.bytes);
    // Less than the one large file: it is streamed. The budget of a release build is in docs/architecture.md.
    let peak = agent.peak_memory_bytes();
    println!("the agent held at most {peak} bytes");
    assert!(peak < 250 << 20, "the agent held {peak} bytes");

    let compared = site.compare(cluster.side("/lake"), "lake").await;
    println!("{compared}");
    assert!(compared.equal(), "{compared}");
    assert_eq!((compared.files, compared.bytes), (lake.files as u64, lake.bytes));
    let arrived = read(&["adls", &site.endpoint().await, "lake", &site.account_key().await, "data", "lake"]);
    let entries = arrived.as_object().unwrap().len();
    assert_eq!(entries, lake.files + lake.directories);
    let expected = read(&["directory", original.to_str().unwrap()]);
    for (path, entry) in expected.as_object().unwrap() {
        assert_eq!(&arrived[path], entry, "{path}");
    }

    let commands = cluster.audit_commands("mover");
    assert!(commands.len() > 1_000, "the audit log does not show the agent: {} lines", commands.len());
    let writes: Vec<&String> = commands.iter().filter(|command| !READS.contains(&command.as_str())).collect();
    assert!(writes.is_empty(), "the source is only read: {writes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_may_not_be_read_is_named_and_the_rest_arrives() {
    let cluster = Cluster::from_environment();
    let site = Site::start().await;
    let shape = Shape { files: 20, directories: 4, total_bytes: 1 << 20, largest_bytes: 1 << 18, seed: 7 };
    let lake = cluster.make_lake("/partly", "mover", &site.beside("original"), &shape).await;
    cluster.superuser.mkdirs("/partly/locked", 0o700, true).await.unwrap();
    let migrator = site.make_migrator("m", cluster.source(), None).await;
    let agent = site.install_agent(&migrator).await;
    let migration = site.start_migration(&migrator, "partly", "/partly").await;
    let status = site.wait(&migration, "Completed", |status| status["state"] == "Completed").await;
    assert_eq!(progress(&status, "filesFailed"), 1, "{status:#}");
    assert_eq!(progress(&status, "filesMigrated"), lake.files as u64);
    let error = status["lastError"].as_str().unwrap();
    assert!(error.contains("/partly/locked") && error.contains("ermission denied"), "{error}");
    assert!(agent.said().contains("/partly/locked"), "{}", agent.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_takes_a_lake_on_hdfs() {
    let cluster = Cluster::from_environment();
    let folder = tempfile::tempdir().unwrap();
    let shape = Shape { files: 30, directories: 5, total_bytes: 1 << 20, largest_bytes: 1 << 18, seed: 3 };
    cluster.make_lake("/shown", "mover", &folder.path().join("original"), &shape).await;
    let source = format!("{}/shown", cluster.source()["uri"].as_str().unwrap());
    let arguments = ["demo", "--source", &source, "--hadoop-user", "mover"];
    let (status, said) = Process::start(LIVEDATA, &arguments, &[]).finish().await;
    assert!(status.success() && said.contains("30 files"), "{said}");
    assert!(said.contains("result  equal"), "{said}");
}
