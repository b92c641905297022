//! The command line: `livedata adls-emulator`.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::account::AccountKey;
use crate::emulator::{Emulator, Options};
use crate::error::EmulatorError;

/// Runs an ADLS Gen2 storage service on this machine until it is interrupted.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder for all data; made when missing
    #[arg(long, value_name = "FOLDER")]
    pub data: PathBuf,
    /// Address of the storage endpoint (DFS and Blob)
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:10004")]
    pub listen: SocketAddr,
    /// Address of the admin endpoint (accounts, keys, counters)
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:10005")]
    pub admin_listen: SocketAddr,
    /// Secret for the admin endpoint; a new one is made and printed when it is not given
    #[arg(long, value_name = "SECRET", env = "ADLS_EMULATOR_ADMIN_TOKEN", hide_env_values = true)]
    pub admin_token: Option<String>,
    /// Account with its key; may be repeated
    #[arg(long = "account", value_name = "NAME=BASE64KEY")]
    pub accounts: Vec<AccountKey>,
}

/// Serves until `stop` completes. Standard output gets the endpoints, and the admin token if it was made here.
pub async fn run(args: Args, stop: impl Future<Output = ()>) -> Result<(), EmulatorError> {
    let made = args.admin_token.is_none();
    let admin_token = args.admin_token.unwrap_or_else(|| uuid::Uuid::new_v4().simple().to_string());
    let names: Vec<String> = args.accounts.iter().map(|account| account.name.clone()).collect();
    let options = Options {
        data_folder: args.data,
        storage_address: args.listen,
        admin_address: args.admin_listen,
        admin_token: admin_token.clone(),
        storage_tls: None,
        accounts: args.accounts,
    };
    let running = Emulator::start(options).await?;
    for name in names {
        println!("account {name}: {}/{name}", running.storage_url());
    }
    println!("storage endpoint: {}/ACCOUNT", running.storage_url());
    println!("admin endpoint:   http://{}", running.admin_address());
    if made {
        println!("admin token:      {admin_token}");
    }
    stop.await;
    running.stop().await
}
