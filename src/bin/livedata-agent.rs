//! `livedata-agent`: what is installed beside Hadoop. Wiring only; see the crate of `src/agent`.

#[path = "../process.rs"]
mod process;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(
    version,
    about = "Moves data from Hadoop to Azure, steered by a resource provider that it dials out to",
    arg_required_else_help = true
)]
struct Cli {
    #[command(flatten)]
    args: livedata_agent_runtime::command::Args,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let _telemetry = livedata_telemetry::init("livedata-agent", livedata_telemetry::LogTo::StandardError);
    process::run(async {
        livedata_agent_runtime::command::run(cli.args, process::asked_to_end()).await?;
        Ok(ExitCode::SUCCESS)
    })
}
