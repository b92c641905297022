//! Chores of the project, as `cargo xtask COMMAND`.
//!
//! - `test` is the tier that every change must pass: [`tier`];
//! - `judge` holds the storage emulator against suites that others wrote: [`tier::judges`];
//! - `prove` runs the longer proofs by hand: [`prove`];
//! - `sim` plays histories of the migration engine: [`sim`];
//! - `bench` measures, for `docs/performance.md`: [`bench`];
//! - `api` makes and checks the documents of the resource provider's surface: [`api`];
//! - `hadoop` is a real Hadoop on this machine: [`hadoop`]; a real PostgreSQL is started for its stage alone: [`postgres`];
//! - `tools` installs what tests need and the repository does not hold: [`tools`].
//!
//! Everything downloaded or built lies outside the clone, see [`cache`].

mod api;
mod bench;
mod cache;
mod command;
mod dependencies;
mod hadoop;
mod node;
mod postgres;
mod prove;
mod sim;
mod tier;
mod tools;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(about = "Chores of the project", bin_name = "cargo xtask")]
enum Xtask {
    /// Run the tests that every change must pass, all of them or the stages named
    Test {
        /// In order: tools, format, clippy, dependencies, api, build, unit, integration, hdfs, postgres, az, judges, demo
        stages: Vec<tier::Stage>,
    },
    /// Let suites that others wrote judge the storage emulator, all of them or those named
    Judge { suites: Vec<tier::judges::Suite> },
    /// Run one of the longer proofs; without a name, list them
    Prove { name: Option<String> },
    /// Play seeded histories of the migration engine in a simulated world
    Sim(sim::Sim),
    /// Measure how fast something is, beside its peers
    #[command(subcommand)]
    Bench(bench::Bench),
    /// The resource provider's surface: TypeSpec, OpenAPI, examples
    #[command(subcommand)]
    Api(api::Api),
    /// A real Hadoop cluster for tests
    #[command(subcommand)]
    Hadoop(hadoop::HadoopCommand),
    /// Install the tools of the tests into the cache folder
    Tools,
}

fn main() -> ExitCode {
    let result = match Xtask::parse() {
        Xtask::Test { stages } => tier::run(&stages),
        Xtask::Judge { suites } => tier::judges::run(&suites),
        Xtask::Prove { name } => prove::run(name.as_deref()),
        Xtask::Sim(sim) => sim::run(&sim),
        Xtask::Bench(bench) => bench::run(&bench),
        Xtask::Api(command) => api::run(&command),
        Xtask::Hadoop(command) => hadoop::run(command),
        Xtask::Tools => tools::install().map(|tools| println!("{tools}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
