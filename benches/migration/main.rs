//! How fast a migration is: from a real HDFS to our ADLS emulator, on one machine, side by side with what others use.
//!
//! `cargo xtask bench migration` starts the cluster, installs the peers and runs this program, which finds both through
//! the environment (see [`setting`]). `docs/performance.md` has the figures.
//!
//! - [`cases`]: what is measured, one file each;
//! - [`movers`]: who copies: our agent, DistCp, rclone, and a bare loop over the same clients as the ceiling;
//! - [`setting`]: the cluster, the control plane with its emulator, the folder of this run;
//! - [`namenode`]: one of a few lines, that tells changes faster than a real one;
//! - [`process`]: a child, its CPU time and its memory; [`machine`]: whether the machine was ours alone;
//! - [`worker`]: the parts of this program that are measured themselves, as children of it.
//!
//! Every copy is counted at the target before its figures are shown: who leaves something out is not fast.

mod cases;
mod machine;
mod movers;
mod namenode;
mod process;
mod setting;
mod worker;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

// What the programs have that are measured, so that the bare loop is compared with like.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(
    bin_name = "cargo xtask bench migration",
    about = "Measures migrations from a real HDFS to the emulator"
)]
struct Arguments {
    /// What to measure, may be repeated [default: b1]
    #[arg(long = "case", value_enum)]
    cases: Vec<cases::Case>,
    /// Who copies in b1, b2 and b3, may be repeated [default: all]
    #[arg(long = "mover", value_enum)]
    movers: Vec<movers::Kind>,
    /// Share of the full workload, in (0, 1]; every figure says it
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Rounds of b1, b2 and b3: each mover once per round, ratios are of the medians
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// Also report from a machine on which others work; the figures are marked
    #[arg(long)]
    force: bool,
    /// Also say where the agent spends its time in b1, b2 and b3, by `perf`; figures of such a run are for nothing else
    #[arg(long)]
    profile: bool,
    /// What cargo gives to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    worker: Option<Part>,
}

#[derive(Subcommand)]
enum Part {
    #[command(hide = true)]
    Worker(worker::Worker),
}

fn main() -> ExitCode {
    // An error means that a provider is installed already, which is what is wanted.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let arguments = Arguments::parse();
    let outcome = tokio::runtime::Runtime::new().map_err(Into::into).and_then(|runtime| {
        runtime.block_on(async {
            match arguments.worker {
                Some(Part::Worker(worker)) => worker::run(worker).await,
                None => bench(arguments).await,
            }
        })
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn bench(arguments: Arguments) -> Result<()> {
    anyhow::ensure!(arguments.scale > 0.0 && arguments.scale <= 1.0, "--scale is a share in (0, 1]");
    let plan = cases::Plan {
        scale: arguments.scale,
        rounds: arguments.rounds.max(1),
        force: arguments.force,
        profile: arguments.profile,
        movers: if arguments.movers.is_empty() { movers::Kind::ALL.to_vec() } else { arguments.movers },
    };
    let setting = setting::Setting::start().await?;
    println!("{}", machine::describe());
    let chosen = if arguments.cases.is_empty() { vec![cases::Case::B1] } else { arguments.cases };
    for case in chosen {
        case.run(&plan, &setting).await?;
    }
    Ok(())
}
