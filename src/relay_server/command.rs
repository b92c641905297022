//! The `relay` subcommand: a relay as a process of its own.

use std::io;
use std::path::PathBuf;

use crate::config::{ConfigError, RelayConfig, load_tls};
use crate::options::{Limits, Options};
use crate::server::{RelayServer, StartError};

/// Runs the relay that agents dial out to.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Directory with relay.json, relay.pem and relay.key.
    #[arg(long, value_name = "DIRECTORY")]
    pub data: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("the relay failed while it ran")]
    Run(#[source] io::Error),
}

/// Serves until `stop` completes; the caller decides which signals that means.
pub async fn run(args: Args, stop: impl Future<Output = ()>) -> Result<(), RunError> {
    let config = RelayConfig::load(&args.data)?;
    let running = RelayServer::start(Options {
        listen: config.listen,
        public_url: config.public_url,
        tls: load_tls(&args.data)?,
        rules: config.rules,
        limits: Limits::default(),
    })
    .await?;
    stop.await;
    running.stop().await.map_err(RunError::Run)
}
