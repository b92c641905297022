//! From a real HDFS to the emulator, by the agent's own machinery; both sides compared by code that shares none with it.

mod cluster;

use livedata_model::spec::RunState;
use livedata_model::state::MigrationState;
use livedata_testkit::{World, migration};
use livedata_workload::lake::Shape;

use cluster::Cluster;

/// Commands in the NameNode's audit log that change nothing.
const READS: [&str; 6] = [
    "cmd=getfileinfo",
    "cmd=listStatus",
    "cmd=open",
    "cmd=getAclStatus",
    "cmd=checkAccess",
    "cmd=getServerDefaults",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_on_hdfs_arrives_whole_though_the_agent_dies_on_the_way() {
    let cluster = Cluster::from_environment();
    let shape =
        Shape { files: 2_000, directories: 200, total_bytes: 340 << 20, largest_bytes: 300 << 20, seed: 42 };
    let lake = cluster.make_lake("/lake", "mover", &shape).await;
    let world = World::new(cluster.uri(), "mover").await;
    let mut agent = world.start_agent();
    // The cap keeps the copy going long enough to be interrupted.
    agent.desire(vec![
        world.migrator(1, Some(40 << 20)),
        world.target(),
        migration(1, "/lake", RunState::Running, 1),
    ]);
    agent.wait("30 % of the bytes", |report| report.progress.bytes_migrated * 10 >= lake.bytes * 3).await;
    agent.stop().await;
    let before = world.ingress_bytes().await;
    let mut agent = world.start_agent();
    agent.desire(vec![world.migrator(2, None)]);
    let report = agent.wait("Completed", |report| report.state == MigrationState::Completed).await;
    let progress = &report.progress;
    assert_eq!(
        (progress.files_migrated, progress.bytes_migrated),
        (lake.files as u64, lake.bytes),
        "{report:?}"
    );
    assert_eq!((progress.files_failed, report.last_error), (0, None));
    let after = world.ingress_bytes().await - before;
    assert!(after < lake.bytes * 9 / 10, "{after} of {} bytes were sent after the restart", lake.bytes);
    let compared = world.compare(cluster.side("/lake"), "lake").await;
    println!("{compared}");
    assert!(compared.equal(), "{compared}");
    assert_eq!((compared.files, compared.bytes), (lake.files as u64, lake.bytes));
    agent.stop().await;
    let commands = cluster.audit_commands("mover");
    assert!(commands.len() > 1_000, "the audit log does not show the agent: {} lines", commands.len());
    let writes: Vec<&String> = commands.iter().filter(|command| !READS.contains(&command.as_str())).collect();
    assert!(writes.is_empty(), "the source is only read: {writes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_may_not_be_read_is_named_and_the_rest_arrives() {
    let cluster = Cluster::from_environment();
    let shape = Shape { files: 20, directories: 4, total_bytes: 1 << 20, largest_bytes: 1 << 18, seed: 7 };
    let lake = cluster.make_lake("/partly", "guest", &shape).await;
    cluster.superuser.mkdirs("/partly/locked", 0o700, true).await.unwrap();
    let world = World::new(cluster.uri(), "guest").await;
    let mut agent = world.start_agent();
    agent.desire(vec![
        world.migrator(1, None),
        world.target(),
        migration(1, "/partly", RunState::Running, 1),
    ]);
    let report = agent.wait("Completed", |report| report.state == MigrationState::Completed).await;
    assert_eq!(report.progress.files_failed, 1, "{report:?}");
    assert_eq!(report.progress.files_migrated, lake.files as u64);
    assert!(report.last_error.as_deref().unwrap().contains("/partly/locked"), "{report:?}");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hdfs_that_does_not_answer_is_a_condition() {
    let world = World::new("hdfs://127.0.0.1:1".to_owned(), "mover").await;
    let mut agent = world.start_agent();
    agent.desire(vec![world.migrator(1, None), world.target(), migration(1, "/lake", RunState::Running, 1)]);
    let report = agent
        .wait("SourceUnreachable", |report| {
            report.conditions.iter().any(|known| known.kind == "SourceUnreachable")
        })
        .await;
    assert_eq!(report.state, MigrationState::Scheduled);
    assert!(report.last_error.is_some());
    agent.stop().await;
}
