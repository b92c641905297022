//! `cargo xtask bench`: measurements, by hand. Figures count when their command, commit, machine and date stand in
//! `docs/performance.md`.
//!
//! `adls` and `provider` need nothing but the program itself. `migration` brings what `benches/migration` needs, a Hadoop and the peers, and hands its arguments on. The Hadoop keeps
//! its sample data in the cache folder, because making that takes longer than most measurements.

use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;

use crate::hadoop::{self, HadoopCommand};
use crate::postgres::Postgres;
use crate::{cache, command, tools};

#[derive(Debug, Subcommand)]
pub enum Bench {
    /// The storage emulator's own speed, asked by a raw loader; `--help` lists the cases
    #[command(disable_help_flag = true)]
    Adls {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// The resource provider with a million resources, as ARM asks it; `--help` lists the cases. With --on-postgres a
    /// PostgreSQL of its own is started for it
    #[command(disable_help_flag = true)]
    Provider {
        #[arg(long)]
        on_postgres: bool,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// From a real HDFS to the emulator, beside DistCp and rclone; `--help` lists the cases
    #[command(disable_help_flag = true)]
    Migration {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

/// Of each daemon: a NameNode that is short of memory would be what is measured.
const HEAP: &str = "1g";

pub fn run(bench: &Bench) -> Result<()> {
    match bench {
        Bench::Adls { arguments } => {
            let mut program = command::cargo("bench")?;
            // All of the workspace, as below.
            program.args(["--locked", "--workspace", "--bench", "adls", "--"]).args(arguments);
            command::run(&mut program)
        }
        Bench::Provider { on_postgres: false, arguments } => command::run(&mut provider(arguments)?),
        Bench::Provider { on_postgres: true, arguments } => {
            let postgres = Postgres::start("bench")?;
            let mut program = provider(arguments)?;
            let outcome = command::run(program.env("LIVEDATA_POSTGRES", postgres.url()));
            postgres.stop(outcome)
        }
        Bench::Migration { arguments } => migration(arguments),
    }
}

fn provider(arguments: &[String]) -> Result<std::process::Command> {
    let mut program = command::cargo("bench")?;
    program.args(["--locked", "--workspace", "--bench", "provider", "--"]).args(arguments);
    Ok(program)
}

fn migration(arguments: &[String]) -> Result<()> {
    let mut program = command::cargo("bench")?;
    // All of the workspace, so that what the other commands have built is not built again with other features.
    program.args(["--locked", "--workspace", "--bench", "migration"]);
    // Built before anything is started, and asked for help without it.
    command::run(program.arg("--no-run"))?;
    let mut program = command::cargo("bench")?;
    program.args(["--locked", "--workspace", "--bench", "migration", "--"]).args(arguments);
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        return command::run(&mut program);
    }
    let directory = directory()?;
    program
        .env("LIVEDATA_RCLONE", tools::install_rclone()?)
        .env("LIVEDATA_DISTCP", hadoop::distcp_arguments()?)
        .env("LIVEDATA_HADOOP", directory.join("cluster.json"));
    let dir = Some(directory);
    hadoop::run(HadoopCommand::Up {
        dir: dir.clone(),
        heap: HEAP.to_owned(),
        version: None,
        settings: Vec::new(),
        without_datanode: false,
    })?;
    let outcome = command::run(&mut program);
    let down = hadoop::run(HadoopCommand::Down { dir });
    outcome.and(down)
}

/// The cluster's, with the sample data.
fn directory() -> Result<PathBuf> {
    Ok(cache::directory()?.join("hadoop-bench"))
}
