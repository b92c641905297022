//! How fast the storage emulator is, asked by a loader that does as little as possible: connections that stay open, requests that
//! were written and signed before the clock starts. What our client reaches is given as a share of these figures.
//!
//! `cargo xtask bench adls` builds and runs this. `docs/performance.md` has the figures.
//!
//! - [`cases`]: what is measured, one file each;
//! - [`emulator`]: `livedata adls-emulator`, a process of its own;
//! - [`loader`]: connections and threads; [`signed`]: requests, ready to be sent; [`client`]: ours;
//! - [`table`]: the figures.

mod cases;
mod client;
mod emulator;
mod loader;
#[path = "../migration/machine.rs"]
#[expect(dead_code, reason = "the other benchmark uses more of it")]
mod machine;
#[path = "../migration/process.rs"]
#[expect(dead_code, reason = "the other benchmark uses more of it")]
mod process;
mod signed;
mod table;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

#[derive(Parser)]
#[command(
    bin_name = "cargo xtask bench adls",
    about = "Measures the storage emulator with a raw loader, and our client beside it"
)]
struct Arguments {
    /// What to measure, may be repeated [default: all]
    #[arg(long = "case", value_enum)]
    cases: Vec<cases::Case>,
    /// Where the emulator keeps it, may be repeated [default: what the case is meant for]
    #[arg(long = "storage", value_enum)]
    storages: Vec<emulator::Storage>,
    /// Share of the full workload, in (0, 1]; every figure says how much it was
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Connections of `small` and `tree`
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Also report from a machine on which others work; the figures are marked
    #[arg(long)]
    force: bool,
    /// Also say where the emulator spends its time, by `perf`; figures of such a run are for nothing else
    #[arg(long)]
    profile: bool,
    /// What cargo gives to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
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
    anyhow::ensure!(arguments.scale > 0.0 && arguments.scale <= 1.0, "--scale is a share in (0, 1]");
    println!("{}", machine::describe());
    let plan = cases::Plan {
        scale: arguments.scale,
        connections: arguments.connections.max(1),
        force: arguments.force,
        profile: arguments.profile,
    };
    let mut table = table::Table::default();
    let chosen = if arguments.cases.is_empty() { cases::Case::ALL.to_vec() } else { arguments.cases.clone() };
    for case in chosen {
        let storages =
            if arguments.storages.is_empty() { case.storages() } else { arguments.storages.as_slice() };
        for storage in storages {
            case.run(&plan, *storage, &mut table).await?;
        }
    }
    print!("\n{table}");
    Ok(())
}
