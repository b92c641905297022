//! The command line: `livedata adls-emulator`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

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
    /// JSON file with the issuers whose tokens are taken: [{"issuer": URL, "audiences": [], "keys": [JSON Web Keys]}]
    #[arg(long, value_name = "FILE")]
    pub token_issuers: Option<PathBuf>,
    /// Certificate chain in PEM: the storage endpoint speaks TLS (SDKs send tokens over nothing else)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_certificate: Option<PathBuf>,
    /// Private key of the certificate in PEM
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub tls_key: Option<PathBuf>,
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
        storage_tls: storage_tls(args.tls_certificate.as_deref(), args.tls_key.as_deref())?,
        accounts: args.accounts,
    };
    let issuers = args.token_issuers.as_deref().map(read).transpose()?;
    let running = Emulator::start(options).await?;
    if let Some(issuers) = issuers {
        running.trust(&issuers).await?;
    }
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

fn read(path: &Path) -> Result<Vec<u8>, EmulatorError> {
    std::fs::read(path).map_err(|source| EmulatorError::File { path: path.to_owned(), source })
}

fn storage_tls(
    certificate: Option<&Path>,
    key: Option<&Path>,
) -> Result<Option<rustls::ServerConfig>, EmulatorError> {
    let (Some(certificate), Some(key)) = (certificate, key) else { return Ok(None) };
    let unusable = |reason: &dyn std::fmt::Display| EmulatorError::Tls { reason: reason.to_string() };
    let chain = CertificateDer::pem_slice_iter(&read(certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unusable(&error))?;
    let key = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|error| unusable(&error))?;
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map(Some)
        .map_err(|error| unusable(&error))
}
