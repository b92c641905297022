//! `cargo xtask hadoop`: a real Hadoop for tests and for trying things out. One NameNode and one DataNode, each its
//! own JVM, on loopback ports that were free, in an instance folder of their own.
//!
//! - `up` starts what is not running (the first time it also formats) and returns when the NameNode has left safe mode
//!   and counts one live DataNode, of Hadoop 3.4 or, with `--version`, of another from 2.7 on. Called again after a daemon was killed, it brings it back with the same ports and data.
//!   With `--without-datanode` it is a NameNode alone, which stays in safe mode as soon as there are blocks; a further `up`
//!   adds the DataNode.
//! - `down` ends exactly the processes that `up` started; data and logs stay until the folder is removed.
//! - `fs -- ARGS` runs Hadoop's own shell against it, as `HADOOP_USER_NAME` or else as the superuser; `admin -- ARGS` what
//!   Hadoop calls `dfsadmin`, such as `admin -- -safemode enter`.
//!
//! What `up` leaves for others is `cluster.json` in the instance folder; see [`cluster::ClusterFile`] for its fields.
//! Nothing of Hadoop is in the repository: the jars come from Maven once, into the cache folder (`LIVEDATA_CACHE`, or
//! `livedata` below the user's cache folder).

mod cluster;
mod configuration;
mod jars;
mod java;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum HadoopCommand {
    /// Start the cluster, or what is missing of it, and wait until it serves
    Up {
        /// Instance folder: configuration, data, logs and cluster.json
        #[arg(long)]
        dir: Option<PathBuf>,
        /// Heap limit of each daemon, as Java writes it
        #[arg(long, default_value = "512m")]
        heap: String,
        /// Version of Hadoop, such as 2.10.2; without it, the instance's own, and 3.4.3 for a new one
        #[arg(long)]
        version: Option<String>,
        /// One more property of hdfs-site.xml, as NAME=VALUE, until the NameNode starts again
        #[arg(long = "set", value_parser = property)]
        settings: Vec<(String, String)>,
        /// Return as soon as the NameNode answers, and start no DataNode
        #[arg(long)]
        without_datanode: bool,
    },
    /// Stop the cluster's processes; data and logs stay
    Down {
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Show what runs; exit code 1 when the cluster does not serve
    Status {
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Run a command of Hadoop's file system shell, for example `fs -- -ls /`
    Fs {
        #[arg(long)]
        dir: Option<PathBuf>,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        arguments: Vec<String>,
    },
    /// Run a command of Hadoop's `dfsadmin`, for example `admin -- -report`
    Admin {
        #[arg(long)]
        dir: Option<PathBuf>,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        arguments: Vec<String>,
    },
}

fn property(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a setting is NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

pub fn run(command: HadoopCommand) -> Result<()> {
    match command {
        HadoopCommand::Up { dir, heap, version, settings, without_datanode } => {
            let start = cluster::Start { heap, version, settings, datanode: !without_datanode };
            let cluster = cluster::up(&instance_directory(dir)?, &start)?;
            println!("{}", cluster.describe());
            Ok(())
        }
        HadoopCommand::Down { dir } => cluster::down(&instance_directory(dir)?),
        HadoopCommand::Status { dir } => cluster::status(&instance_directory(dir)?),
        HadoopCommand::Fs { dir, arguments } => {
            let status = cluster::client(&instance_directory(dir)?, cluster::SHELL, &arguments)?;
            anyhow::ensure!(status.success(), "the file system shell ended with {status}");
            Ok(())
        }
        HadoopCommand::Admin { dir, arguments } => {
            let status = cluster::client(&instance_directory(dir)?, cluster::ADMIN, &arguments)?;
            anyhow::ensure!(status.success(), "dfsadmin ended with {status}");
            Ok(())
        }
    }
}

/// Before everything else on the class path.
const ABFS_TESTS_CONFIGURATION: [(&str, &str); 2] = [
    ("azure-auth-keys.xml", include_str!("../../tests/judges/hadoop/azure-auth-keys.xml")),
    ("log4j.properties", include_str!("../../tests/judges/hadoop/log4j.properties")),
];

/// Arguments for `java` with which a client of Hadoop runs, DistCp and the ABFS driver among them, as a file that `java`
/// reads (`@FILE`).
pub fn distcp_arguments() -> Result<PathBuf> {
    let cache = cache_directory()?;
    let jars = jars::ensure_distcp(&cache)?;
    let configuration = cache.join("distcp-conf");
    configuration::write_client(&configuration)?;
    java::compile("ParallelMaps.java", include_str!("hadoop/ParallelMaps.java"), &jars, &configuration)?;
    let file = configuration.join("java.arguments");
    std::fs::write(&file, java::argument_file(&jars::classpath(&configuration, &jars)?))
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

/// How the ABFS driver's tests are run: arguments for `java`, as above, and the jar that has the tests.
pub fn abfs_tests() -> Result<(PathBuf, PathBuf)> {
    let cache = cache_directory()?;
    let (jars, tests) = jars::ensure_abfs_tests(&cache)?;
    let configuration = cache.join("abfs-tests-conf");
    std::fs::create_dir_all(&configuration)
        .with_context(|| format!("cannot create {}", configuration.display()))?;
    for (name, text) in ABFS_TESTS_CONFIGURATION {
        std::fs::write(configuration.join(name), text)?;
    }
    java::compile("Judge.java", include_str!("../../tests/judges/hadoop/Judge.java"), &jars, &configuration)?;
    let file = configuration.join("java.arguments");
    std::fs::write(&file, java::argument_file(&jars::classpath(&configuration, &jars)?))
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok((file, tests))
}

fn instance_directory(chosen: Option<PathBuf>) -> Result<PathBuf> {
    let directory = match chosen {
        Some(directory) => directory,
        None => cache_directory()?.join("hadoop-cluster"),
    };
    std::path::absolute(&directory).with_context(|| format!("cannot make {} absolute", directory.display()))
}

/// Where downloads live, outside every clone of the repository.
fn cache_directory() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(directory) = set("LIVEDATA_CACHE") {
        return Ok(directory);
    }
    if let Some(directory) = set("XDG_CACHE_HOME") {
        return Ok(directory.join("livedata"));
    }
    let home =
        set("HOME").context("neither LIVEDATA_CACHE, XDG_CACHE_HOME nor HOME is set: name a cache folder")?;
    Ok(home.join(".cache").join("livedata"))
}
