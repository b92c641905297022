//! The command line: `livedata adls-emulator`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::account::AccountKey;
use crate::emulator::{Emulator, Options, Storage};
use crate::error::EmulatorError;
use crate::probe::{from_here, probe};

/// The account of whoever names none. Its key is known to everybody and protects nothing.
const WELL_KNOWN_ACCOUNT: &str = "devlake";
const WELL_KNOWN_KEY: &[u8; 64] = b"livedata adls-emulator: everybody knows this key, so trust none.";

const EXAMPLES: &str = "\
Start it:
  livedata adls-emulator --in-memory                 until Ctrl-C, nothing is kept
  livedata adls-emulator --data ~/lake               kept on disk; kill -9 loses nothing that was acknowledged
It prints the account, its key, and the secret of the admin endpoint. Both endpoints of the account, DFS and Blob, are that URL.

Accounts:
  Without --account and --accounts-file, and with none in the data folder, there is the account devlake with a key that is the
  same everywhere. An account of your own is  --account lake=$(openssl rand -base64 64 | tr -d '\\n')  and more are made by the
  admin endpoint: PUT /accounts/NAME. Every account has a hierarchical namespace and no containers at first.

Clients (KEY is what is printed, ENDPOINT is http://127.0.0.1:10004/devlake):
  Python          DataLakeServiceClient(ENDPOINT, credential=KEY), BlobServiceClient(ENDPOINT, credential=KEY)
  connection      DefaultEndpointsProtocol=http;AccountName=devlake;AccountKey=KEY;BlobEndpoint=ENDPOINT;DfsEndpoint=ENDPOINT
  az storage      --connection-string of that form; az storage fs: --account-name devlake --account-key KEY --blob-endpoint ENDPOINT
  rclone          --azureblob-account devlake --azureblob-key KEY --azureblob-endpoint ENDPOINT
  Hadoop (ABFS)   fs.azure.abfs.endpoint=127.0.0.1:10004, fs.azure.always.use.https=false, the key in fs.azure.account.key…
  Names work like addresses: ACCOUNT.dfs.ANYTHING and ACCOUNT.blob.ANYTHING name an account, if they lead here.

Tokens (bearer, as of Entra ID) come with --token-issuers, and SDKs send them over TLS only: --tls-certificate, --tls-key.
Whoever comes with one has the roles that PUT /accounts/NAME/roles gave, [{\"principalId\": OBJECT ID, \"role\": \"Contributor\"}]
(Delegator, Reader, Contributor or Owner), and beyond that what the access control lists grant.

Admin endpoint, for whoever has the admin token (Authorization: Bearer TOKEN):
  GET /health                                     for everybody; `livedata adls-emulator --probe` asks it
  GET /accounts, PUT|GET|DELETE /accounts/NAME, POST /accounts/NAME/regenerateKey {\"keyName\": \"key1\"}
  PUT|GET /accounts/NAME/roles, PUT|GET /tokenIssuers
  GET /counters                                   requests by operation, bytes, errors
  GET /requests?after=N&account=&operation=&pathPrefix=&status=&limit=   the last 10,000 requests; DELETE forgets them
  GET /accounts/NAME/traffic                      body bytes by the second, and the most of any second; DELETE begins anew
  PUT|GET|DELETE /accounts/NAME/limits            {\"requestsPerSecond\": 20000, \"ingressBitsPerSecond\": 25000000000,
                                                  \"egressBitsPerSecond\": 50000000000}; over them: 503 ServerBusy
  PUT|GET|DELETE /accounts/NAME/deletions         {\"filesystemSeconds\": 30, \"pathsPerRequest\": 1000}: so long a deleted
                                                  container's name is taken (409, by the service's clock), and what a
                                                  paginated delete removes at once; both are off by default
  PUT|GET /clock                                  {\"offsetMs\": 61000}: how far the service's clock is ahead (leases, expiry)
  PUT|GET|DELETE /faults/ID, GET|DELETE /faults   faults on demand

Faults are rules. A rule strikes requests that its selector takes in (all of it may be left out; GET /counters shows how
operations are called):
  PUT /faults/slow-appends
  {\"selector\": {\"account\": \"devlake\", \"operation\": \"PathAppend\", \"method\": \"PATCH\", \"pathPrefix\": \"/lake/dir\"},
   \"effect\": {\"latency\": {\"fromMs\": 10, \"toMs\": 50}}, \"probability\": 0.1, \"count\": 5, \"seed\": 7}
with one of these effects:
  {\"latency\": {\"fromMs\": 10, \"toMs\": 50}}       fixed without toMs
  {\"bandwidth\": {\"ingressBytesPerSecond\": 10000000, \"egressBytesPerSecond\": 20000000}}   shared by all it strikes
  {\"error\": {\"kind\": KIND, \"retryAfterSeconds\": 2, \"afterCommit\": true}}
      KIND: serverBusy, ingressOverLimit, egressOverLimit, operationsOverLimit (503), operationTimedOut, internalError
      (500), tooManyRequests (429); with afterCommit the operation is done before it is answered so
  \"lostReply\"                                     the operation is done, the connection is closed without an answer
  {\"reset\": \"beforeOperation\"}, {\"reset\": {\"requestBody\": {\"afterBytes\": 1000}}},
  {\"reset\": {\"responseBody\": {\"afterBytes\": 1000}}}
With --fault-header a request asks for an effect by itself: x-emulator-fault: {\"latency\": {\"fromMs\": 100}}";

/// Runs an ADLS Gen2 storage service on this machine until it is interrupted.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
#[command(group = clap::ArgGroup::new("what").args(["data", "in_memory", "probe"]).required(true))]
pub struct Args {
    /// Folder for all data; made when missing
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// Keep everything in memory, until the end of this process
    #[arg(long)]
    pub in_memory: bool,
    /// Address of the storage endpoint (DFS and Blob)
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:10004", overrides_with = "listen")]
    pub listen: SocketAddr,
    /// Address of the admin endpoint (accounts, keys, counters, faults)
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:10005", overrides_with = "admin_listen")]
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
    /// File with accounts, one NAME=BASE64KEY a line; # begins a comment
    #[arg(long, value_name = "FILE")]
    pub accounts_file: Option<PathBuf>,
    /// Let requests ask for faults of their own by the header x-emulator-fault
    #[arg(long)]
    pub fault_header: bool,
    /// Only ask the emulator that listens at --admin-listen whether it serves: for health checks
    #[arg(long)]
    pub probe: bool,
}

/// Serves until `stop` completes. Standard output gets the endpoints, and each secret that was not given.
pub async fn run(args: Args, stop: impl Future<Output = ()>) -> Result<(), EmulatorError> {
    if args.probe {
        return probe(args.admin_listen).await;
    }
    let made = args.admin_token.is_none();
    let admin_token = args.admin_token.unwrap_or_else(|| uuid::Uuid::new_v4().simple().to_string());
    let mut accounts = match &args.accounts_file {
        Some(file) => read_accounts(file)?,
        None => Vec::new(),
    };
    accounts.extend(args.accounts);
    let given = !accounts.is_empty();
    let well_known = AccountKey { name: WELL_KNOWN_ACCOUNT.to_owned(), key: WELL_KNOWN_KEY.to_vec() };
    let options = Options {
        storage: args.data.map_or(Storage::Memory, Storage::Folder),
        storage_address: args.listen,
        admin_address: args.admin_listen,
        admin_token: admin_token.clone(),
        storage_tls: storage_tls(args.tls_certificate.as_deref(), args.tls_key.as_deref())?,
        accounts,
        account_otherwise: Some(well_known),
        fault_header: args.fault_header,
    };
    let issuers = args.token_issuers.as_deref().map(read).transpose()?;
    let running = Emulator::start(options).await?;
    if let Some(issuers) = issuers {
        running.trust(&issuers).await?;
    }
    for name in running.account_names() {
        println!("account:          {}/{name}", running.storage_url());
        if !given && name == WELL_KNOWN_ACCOUNT {
            println!("  with the key    {}", BASE64.encode(WELL_KNOWN_KEY));
        }
    }
    println!("storage endpoint: {}/ACCOUNT", running.storage_url());
    println!("admin endpoint:   http://{}", from_here(running.admin_address()));
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

fn read_accounts(file: &Path) -> Result<Vec<AccountKey>, EmulatorError> {
    let text = read(file)?;
    let text = String::from_utf8_lossy(&text);
    let lines = text.lines().map(str::trim).enumerate();
    let accounts: Vec<AccountKey> = lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(at, line)| {
            line.parse().map_err(|error| EmulatorError::AccountsLine {
                path: file.to_owned(),
                line: at + 1,
                source: Box::new(error),
            })
        })
        .collect::<Result<_, _>>()?;
    if accounts.is_empty() {
        return Err(EmulatorError::NoAccounts { path: file.to_owned() });
    }
    Ok(accounts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_accounts() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("accounts");
        std::fs::write(&file, "# two\nlake1=a2V5\n\n  lake2=b3RoZXI=\n").unwrap();
        let accounts = read_accounts(&file).unwrap();
        let names: Vec<&str> = accounts.iter().map(|account| account.name.as_str()).collect();
        assert_eq!((names, accounts[1].key.as_slice()), (vec!["lake1", "lake2"], &b"other"[..]));
        std::fs::write(&file, "lake1=a2V5\nlake2=%\n").unwrap();
        let error = read_accounts(&file).unwrap_err();
        assert!(matches!(error, EmulatorError::AccountsLine { line: 2, .. }), "{error}");
        std::fs::write(&file, "# none yet\n").unwrap();
        let error = read_accounts(&file).unwrap_err();
        assert!(matches!(error, EmulatorError::NoAccounts { .. }), "{error}");
        let error = read_accounts(&folder.path().join("none")).unwrap_err();
        assert!(matches!(error, EmulatorError::File { .. }), "{error}");
    }
}
