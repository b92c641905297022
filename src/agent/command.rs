//! The command line: `livedata-agent`.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use livedata_session::enrolment::{InstallKey, KeyError};
use tokio_util::sync::CancellationToken;

use crate::hadoop_configuration;
use crate::host::{AddressOfAccount, Host, StorageAccess, TargetChaos};
use crate::installation::{self, Installation};
use crate::process;

/// Moves data from Hadoop to Azure, steered by a resource provider that it dials out to.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make this installation the agent of a migrator, by an install key of its action listInstallKey
    Enrol(Enrol),
    /// Run the enrolled agent until it is interrupted
    Run(Run),
}

#[derive(Debug, clap::Args)]
struct Enrol {
    /// Folder of this agent; made when missing
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,
    /// The install key; better given by the variable, or by --install-key-file, than for all to see on the command line
    #[arg(long, value_name = "KEY", env = "LIVEDATA_INSTALL_KEY", hide_env_values = true)]
    install_key: Option<String>,
    /// File with the install key, - for standard input
    #[arg(long, value_name = "FILE")]
    install_key_file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Run {
    /// Folder of this agent, which is enrolled
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,
    /// Who reads at HDFS, where the migrator names nobody
    #[arg(long, value_name = "NAME", env = "HADOOP_USER_NAME", default_value = "hdfs")]
    hadoop_user: String,
    /// Hadoop's client configuration: names the file system that is read where the migrator names no source
    #[arg(long, value_name = "FOLDER", env = "HADOOP_CONF_DIR", default_value = "/etc/hadoop/conf")]
    hadoop_configuration: PathBuf,
    /// A directory of this machine that migrations may read, may be repeated; without it they read HDFS only
    #[arg(long = "local-directory", value_name = "FOLDER")]
    local_directories: Vec<PathBuf>,
    /// Certificate authorities to trust at storage accounts besides the platform's, PEM
    #[arg(long, value_name = "FILE")]
    storage_ca_file: Option<PathBuf>,
    /// Where a storage account's private endpoint is, if its name does not lead there; may be repeated
    #[arg(long = "storage-address", value_name = "ACCOUNT=HOST[:PORT]")]
    storage_addresses: Vec<AddressOfAccount>,
    /// Let every target fail, as SEED:UNREACHABLE:LOST_REPLIES:THROTTLED, shares of all calls: for proofs
    #[arg(long, hide = true, value_name = "SEED:SHARE:SHARE:SHARE")]
    target_chaos: Option<TargetChaos>,
    /// End when standard input ends: for a program that starts this one as its child
    #[arg(long, hide = true)]
    until_stdin_ends: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("an install key is needed: --install-key-file FILE, or the variable LIVEDATA_INSTALL_KEY")]
    NoKey,
    #[error("the install key cannot be read from {}", file.display())]
    KeyFile { file: PathBuf, source: std::io::Error },
    #[error("the certificate authorities cannot be read from {}", file.display())]
    StorageAuthorities { file: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Installation(#[from] installation::Error),
    #[error(transparent)]
    Process(#[from] process::Error),
}

/// `stop` completes when the process was asked to end.
pub async fn run(args: Args, stop: impl Future<Output = ()>) -> Result<(), Error> {
    match args.command {
        Command::Enrol(enrol) => {
            let key = InstallKey::from_text(&enrol.key()?)?;
            let installation = Installation::open(&enrol.data)?;
            let enrolled = installation.enrol(&key).await?;
            println!("enrolled as {}", enrolled.name);
            println!("run it with: livedata-agent run --data {}", enrol.data.display());
            Ok(())
        }
        Command::Run(run) => {
            let cancel = CancellationToken::new();
            let installation = Installation::open(&run.data)?;
            let storage = run.storage()?;
            let host = Host {
                storage,
                folder: run.data,
                hadoop_user: run.hadoop_user,
                default_source: hadoop_configuration::default_filesystem(&run.hadoop_configuration),
                local_directories: run.local_directories,
                target_chaos: run.target_chaos,
            };
            let work = process::run(installation, host, cancel.clone());
            tokio::pin!(work);
            tokio::select! {
                ended = &mut work => return Ok(ended?),
                () = stop => {}
                () = stdin_ended(), if run.until_stdin_ends => {}
            }
            cancel.cancel();
            Ok(work.await?)
        }
    }
}

impl Run {
    fn storage(&self) -> Result<StorageAccess, Error> {
        let read = |file: &PathBuf| {
            let failed = |source| Error::StorageAuthorities { file: file.clone(), source };
            std::fs::read_to_string(file).map_err(failed)
        };
        let addresses = self.storage_addresses.iter().cloned();
        Ok(StorageAccess {
            authorities_pem: self.storage_ca_file.as_ref().map(read).transpose()?,
            addresses: addresses.map(|AddressOfAccount(account, address)| (account, address)).collect(),
        })
    }
}

impl Enrol {
    fn key(&self) -> Result<String, Error> {
        let Some(file) = &self.install_key_file else { return self.install_key.clone().ok_or(Error::NoKey) };
        let failed = |source| Error::KeyFile { file: file.clone(), source };
        if file == Path::new("-") {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(failed)?;
            return Ok(text);
        }
        std::fs::read_to_string(file).map_err(failed)
    }
}

/// On a thread of its own: a read that never returns must not keep the process from ending.
async fn stdin_ended() {
    let (ended, end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        // Whatever happened to it: nobody is there any more.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = ended.send(());
    });
    if end.await.is_err() {
        std::future::pending::<()>().await;
    }
}
