//! The stages in which programs of others take part. Tests find them through the environment:
//!
//! | variable | what |
//! |---|---|
//! | `LIVEDATA_PYTHON` | a Python that has the data lake SDK and azure-identity |
//! | `LIVEDATA_AZ` | the Azure CLI |
//! | `LIVEDATA_POSTGRES` | address of a PostgreSQL in which databases may be made |
//! | `LIVEDATA_POSTGRES_STOPPABLE`, `LIVEDATA_POSTGRES_CONTROL` | address of another one, and the program that stops and starts it |
//! | `LIVEDATA_HADOOP`, and for the tests of `livedata-hdfs` `LIVEDATA_TEST_HDFS` | `cluster.json` of a running Hadoop |

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::counted;
use super::{Stage, integration_tests, workspace_tests};
use crate::hadoop::{self, HadoopCommand};
use crate::postgres::Postgres;
use crate::{cache, tools};

/// Two daemons beside tests and agents, on machines with little memory.
const HEAP: &str = "512m";
/// A NameNode holds a name in a few hundred bytes.
const HEAP_FOR_MILLIONS: &str = "2g";

/// A NameNode reads the whole segment of its log that a feed is in, each time. Histories of hours would fill one, and each
/// of them read all of it again and again.
const SHORT_SEGMENTS: [(&str, &str); 3] = [
    ("dfs.namenode.checkpoint.txns", "2000"),
    ("dfs.namenode.edit.log.autoroll.multiplier.threshold", "1.0"),
    ("dfs.namenode.edit.log.autoroll.check.interval.ms", "1000"),
];

/// A change does not wait for the disk.
const UNSYNCED: [(&str, &str); 1] = [("dfs.namenode.edits.noeditlogchannelflush", "true")];

pub fn hdfs() -> Result<()> {
    let tools = tools::install()?;
    let cluster = Cluster::start(None, HEAP, &[])?;
    let mut client = client_tests(&cluster)?;
    let mut tests = integration_tests()?;
    tests
        .arg(Stage::Hdfs.module())
        .env("LIVEDATA_HADOOP", cluster.file())
        .env("LIVEDATA_PYTHON", tools.python);
    let outcome = counted::run(&mut client).and_then(|()| counted::run(&mut tests));
    cluster.stop(outcome)
}

/// The tests of `livedata-hdfs` against a running Hadoop.
fn client_tests(cluster: &Cluster) -> Result<std::process::Command> {
    let mut tests = workspace_tests()?;
    tests
        .args(["--features", "livedata-hdfs/real-hdfs", "--test", "real_hdfs"])
        .env("LIVEDATA_TEST_HDFS", cluster.file());
    Ok(tests)
}

/// The simulated HDFS held against a real one of this version, in so many histories.
pub fn fidelity(version: &str, seeds: u64) -> Result<()> {
    let cluster = Cluster::start(Some(version), HEAP, &SHORT_SEGMENTS)?;
    let mut tests = client_tests(&cluster)?;
    tests.args(["--", "fidelity::", "--nocapture"]).env("LIVEDATA_FIDELITY_SEEDS", seeds.to_string());
    let outcome = counted::run(&mut tests);
    cluster.stop(outcome)
}

/// The agent that follows a lake is killed so many times more often than in the tier, and its target fails now and then.
pub fn kills(count: u64) -> Result<()> {
    let cluster = Cluster::start(None, HEAP, &[])?;
    let mut tests = integration_tests()?;
    tests
        .args(["hdfs::live_rate::", "--nocapture"])
        .env("LIVEDATA_HADOOP", cluster.file())
        .env("LIVEDATA_KILLS", count.to_string());
    let outcome = counted::run(&mut tests);
    cluster.stop(outcome)
}

/// A directory is renamed while it is scanned. `LIVEDATA_ENTRIES` has another number of entries in it.
pub fn rename(entries: u64) -> Result<()> {
    let entries = std::env::var("LIVEDATA_ENTRIES").unwrap_or_else(|_| entries.to_string());
    let cluster = Cluster::start(None, HEAP_FOR_MILLIONS, &UNSYNCED)?;
    let mut tests = integration_tests()?;
    tests
        .args(["hdfs::rename::", "--nocapture"])
        .env("LIVEDATA_HADOOP", cluster.file())
        .env("LIVEDATA_ENTRIES", entries);
    let outcome = counted::run(&mut tests);
    cluster.stop(outcome)
}

pub fn postgres() -> Result<()> {
    let server = Postgres::start("shared")?;
    let outcome = Postgres::start("stoppable").and_then(|stoppable| {
        let tests = || {
            let mut tests = integration_tests()?;
            tests
                .arg(Stage::Postgres.module())
                .env("LIVEDATA_POSTGRES", server.url())
                .env("LIVEDATA_POSTGRES_STOPPABLE", stoppable.url())
                .env("LIVEDATA_POSTGRES_CONTROL", stoppable.control_program()?);
            counted::run(&mut tests)
        };
        let outcome = tests();
        stoppable.stop(outcome)
    });
    server.stop(outcome)
}

/// As a test of the stage does with two of this version: the other one's program is given.
pub fn adjacent_versions(program: &Path) -> Result<()> {
    let server = Postgres::start("shared")?;
    let mut tests = integration_tests()?;
    tests
        .args(["postgres::providers::one_of_two_is_killed", "--nocapture"])
        .env("LIVEDATA_POSTGRES", server.url())
        .env("LIVEDATA_ADJACENT", program);
    let outcome = counted::run(&mut tests);
    server.stop(outcome)
}

pub fn az() -> Result<()> {
    let tools = tools::install()?;
    let mut tests = integration_tests()?;
    tests.arg(Stage::Az.module()).env("LIVEDATA_AZ", tools.az);
    counted::run(&mut tests)
}

pub fn demo() -> Result<()> {
    let mut tests = integration_tests()?;
    counted::run(tests.arg(Stage::Demo.module()))
}

/// A Hadoop of this run alone, so that nothing of an earlier run can help or hurt.
struct Cluster {
    directory: PathBuf,
}

impl Cluster {
    fn start(version: Option<&str>, heap: &str, settings: &[(&str, &str)]) -> Result<Self> {
        let cluster =
            Self { directory: cache::directory()?.join(format!("hadoop-test-{}", std::process::id())) };
        let up = HadoopCommand::Up {
            dir: Some(cluster.directory.clone()),
            heap: heap.to_owned(),
            version: version.map(str::to_owned),
            settings: settings.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
            without_datanode: false,
        };
        match hadoop::run(up) {
            Ok(()) => Ok(cluster),
            Err(error) => Err(cluster.stop_after(error)),
        }
    }

    fn file(&self) -> PathBuf {
        self.directory.join("cluster.json")
    }

    /// Ends the processes in any case; the data goes when the tests passed, and stays to be looked at when not.
    fn stop(&self, outcome: Result<()>) -> Result<()> {
        if let Err(error) = outcome {
            return Err(self.stop_after(error));
        }
        hadoop::run(HadoopCommand::Down { dir: Some(self.directory.clone()) })?;
        std::fs::remove_dir_all(&self.directory)
            .with_context(|| format!("cannot remove {}", self.directory.display()))
    }

    fn stop_after(&self, error: anyhow::Error) -> anyhow::Error {
        if let Err(second) = hadoop::run(HadoopCommand::Down { dir: Some(self.directory.clone()) }) {
            eprintln!("the cluster did not stop: {second:#}");
        }
        error.context(format!("the cluster's logs are in {}", self.directory.join("logs").display()))
    }
}
