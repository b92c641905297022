//! `livedata`: the services of the platform, one subcommand each. Wiring only; what a service promises is said at the head
//! of its crate.

mod process;
mod store_command;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use livedata_telemetry::LogTo;

#[derive(Parser)]
#[command(version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    // What these are is said at their arguments, at more length than a line for `--help`.
    Demo(livedata_demo::show::Args),
    Dev(livedata_demo::dev::Args),
    Churn(livedata_demo::churn::Args),
    Conformance(livedata_conformance::Args),
    /// Run an Azure Data Lake Storage Gen2 account on this machine
    AdlsEmulator(livedata_adls_emulator::Args),
    Provider(livedata_provider_service::Args),
    /// Run a relay that agents dial out to
    Relay(livedata_relay_server::Args),
    Store(store_command::Args),
    /// What `livedata-agent` does: for the demo, which knows no other program than its own
    #[command(hide = true)]
    Agent(livedata_agent_runtime::command::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let _telemetry = match &cli.command {
        Command::AdlsEmulator(_) | Command::Provider(_) | Command::Relay(_) => {
            Some(livedata_telemetry::init("livedata", LogTo::StandardError))
        }
        Command::Agent(_) => Some(livedata_telemetry::init("livedata-agent", LogTo::StandardError)),
        // They talk to a person: their log is a file in their folder.
        Command::Demo(_)
        | Command::Dev(_)
        | Command::Churn(_)
        | Command::Conformance(_)
        | Command::Store(_) => None,
    };
    process::run(async {
        let stop = process::asked_to_end();
        match cli.command {
            Command::Demo(args) => {
                let equal = livedata_demo::show::run(args, stop).await?;
                return Ok(if equal { ExitCode::SUCCESS } else { ExitCode::FAILURE });
            }
            Command::Dev(args) => livedata_demo::dev::run(args, stop).await?,
            Command::Churn(args) => livedata_demo::churn::run(args, stop).await?,
            Command::Conformance(args) => {
                let good = livedata_conformance::run(args).await?;
                return Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE });
            }
            Command::Store(args) => store_command::run(args).await?,
            Command::AdlsEmulator(args) => livedata_adls_emulator::run(args, stop).await?,
            Command::Provider(args) => livedata_provider_service::run(args, stop).await?,
            Command::Relay(args) => livedata_relay_server::run(args, stop).await?,
            Command::Agent(args) => livedata_agent_runtime::command::run(args, stop).await?,
        }
        Ok(ExitCode::SUCCESS)
    })
}
