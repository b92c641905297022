//! `cargo xtask test`: stages in order, each timed; the first that fails ends the run. The table at the end is printed in
//! any case.
//!
//! Nothing is skipped silently: a test marked as ignored fails its stage, and so does a stage whose filter finds no test.

pub mod counted;
pub mod judges;
pub mod real;
mod table;

use std::time::Instant;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::{api, cache, command, dependencies, tools};
use table::{Outcome, Table};

/// The one profile for tests and for the programs that they start.
const PROFILE: [&str; 3] = ["--profile", "ci", "--locked"];

/// Modules of the integration tests that drive real clients or servers, each in the stage of that name.
const REAL: [Stage; 5] = [Stage::Hdfs, Stage::Postgres, Stage::Az, Stage::Judges, Stage::Demo];

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Stage {
    Tools,
    Format,
    Clippy,
    Dependencies,
    Api,
    Build,
    Unit,
    Integration,
    Hdfs,
    Postgres,
    Az,
    Judges,
    Demo,
}

impl Stage {
    fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// As the name of a test begins.
    fn module(self) -> String {
        format!("{}::", self.name())
    }

    fn run(self) -> Result<()> {
        match self {
            Self::Tools => tools::install().map(|tools| println!("{tools}")),
            Self::Format => command::run(command::cargo("fmt")?.args(["--all", "--", "--check"])),
            Self::Clippy => command::run(command::cargo("clippy")?.args(PROFILE).args([
                "--workspace",
                "--all-targets",
                "--all-features",
                "--",
                "-D",
                "warnings",
            ])),
            Self::Dependencies => dependencies::check(),
            Self::Api => api::stage(),
            Self::Build => {
                command::run(command::cargo("build")?.args(PROFILE).args(["--workspace", "--bins"]))
            }
            Self::Unit => {
                let mut crates = workspace_tests()?;
                counted::run(crates.args(["--exclude", "livedata", "--tests"]))?;
                // Of the root package there are programs only; a test in them would run here.
                let mut programs = workspace_tests()?;
                counted::run(programs.arg("--bins"))
            }
            Self::Integration => {
                let mut tests = integration_tests()?;
                for stage in REAL {
                    tests.arg("--skip").arg(stage.module());
                }
                counted::run(&mut tests)
            }
            Self::Hdfs => real::hdfs(),
            Self::Postgres => real::postgres(),
            Self::Az => real::az(),
            Self::Judges => judges::short(),
            Self::Demo => real::demo(),
        }
    }
}

/// The root package's integration tests; what follows are arguments of the test program.
fn integration_tests() -> Result<std::process::Command> {
    let mut command = workspace_tests()?;
    command.args(["--test", "integration", "--"]);
    Ok(command)
}

/// The whole workspace is named although only a part of it runs: dependencies are built with the features of all that is
/// named, and built anew when these differ from those of the stage before.
pub fn workspace_tests() -> Result<std::process::Command> {
    let mut command = command::cargo("test")?;
    command.args(PROFILE).arg("--workspace");
    Ok(command)
}

/// No stage named: all of them.
pub fn run(chosen: &[Stage]) -> Result<()> {
    cache::ensure_room(&cache::directory()?)?;
    cache::ensure_room(&cache::target_directory()?)?;
    let mut table = Table::default();
    let mut failure = None;
    for stage in Stage::value_variants().iter().copied() {
        if !chosen.is_empty() && !chosen.contains(&stage) {
            table.add(stage.name(), None, Outcome::NotChosen);
        } else if failure.is_some() {
            table.add(stage.name(), None, Outcome::NotReached);
        } else {
            println!("\n== {} ==", stage.name());
            let started = Instant::now();
            let result = stage.run();
            let outcome = if result.is_ok() { Outcome::Passed } else { Outcome::Failed };
            table.add(stage.name(), Some(started.elapsed()), outcome);
            failure = result.err().map(|error| (stage, error));
        }
    }
    println!("\n{table}");
    match failure {
        None => Ok(()),
        Some((stage, error)) => bail!("the stage {} failed: {error:#}", stage.name()),
    }
}
