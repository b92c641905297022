//! `livedata`: the services of the platform, one subcommand each. Wiring only; what a service promises is said at the head
//! of its crate.

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
    /// Run an Azure Data Lake Storage Gen2 account on this machine
    AdlsEmulator(livedata_adls_emulator::Args),
    /// Run a relay that agents dial out to
    Relay(livedata_relay_server::Args),
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    livedata_telemetry::init(LogTo::StandardError);
    // An error means that a provider is installed already, which is what is wanted.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match cli.command {
            Command::AdlsEmulator(args) => livedata_adls_emulator::run(args).await?,
            Command::Relay(args) => livedata_relay_server::run(args, interrupted()).await?,
        }
        Ok(())
    })
}

/// Completes at Ctrl-C. Where that signal cannot be had, the process ends by being killed.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
