//! How fast the resource provider answers with a million resources in its store, as ARM asks it: over mutual TLS, at a given rate.
//!
//! `cargo xtask bench provider` builds and runs this.
//!
//! - [`cases`]: what is measured;
//! - [`site`]: the provider's folder, its store, filled, and `livedata provider` as a process of its own;
//! - [`loader`]: requests at their times, whatever the answers do, and what each took from its time on;
//! - [`ceiling`]: a server that has nothing to look up, in the same web framework with the same TLS: the peer of each figure.

mod cases;
mod ceiling;
mod loader;
#[path = "../migration/machine.rs"]
#[expect(dead_code, reason = "another benchmark uses more of it")]
mod machine;
#[path = "../migration/process.rs"]
#[expect(dead_code, reason = "another benchmark uses more of it")]
mod process;
mod site;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

#[derive(Parser)]
#[command(
    bin_name = "cargo xtask bench provider",
    about = "Measures the resource provider with many resources in its store"
)]
pub struct Arguments {
    /// What to measure, may be repeated [default: all]
    #[arg(long = "case", value_enum)]
    cases: Vec<cases::Case>,
    /// Migrators in the store
    #[arg(long, default_value_t = 1_000_000)]
    resources: u64,
    /// PostgreSQL database that is filled and measured instead of SQLite; it must be empty
    #[arg(long, value_name = "ADDRESS", env = "LIVEDATA_POSTGRES", hide_env_values = true)]
    postgres: Option<String>,
    /// Seconds that each rate is kept up
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Connections of the loader
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Keep the filled SQLite store in this folder, and use what is there
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
    /// Also report from a machine on which others work; the figures are marked
    #[arg(long)]
    force: bool,
    /// What cargo gives to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // An error means that one is installed, which is what is wanted.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let outcome = tokio::runtime::Runtime::new()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(measure(&arguments)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: &Arguments) -> Result<()> {
    println!("{}", machine::describe());
    let site = site::Site::prepare(arguments).await?;
    println!("{} migrators in {}\n", arguments.resources, site.store());
    machine::ensure_quiet(&[], arguments.force).await?;
    let chosen = |case: &cases::Case| arguments.cases.is_empty() || arguments.cases.contains(case);
    println!(
        "| what | rate asked | answered/s | p50 ms | p99 ms | max ms | CPU ms/request | |\n|---|---|---|---|---|---|---|---|"
    );
    for case in cases::Case::ALL.into_iter().filter(chosen) {
        case.run(&site, arguments).await?;
    }
    Ok(())
}
