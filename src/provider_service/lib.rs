//! The resource provider as a process of its own: `livedata provider --data FOLDER`.
//!
//! The folder holds all that makes a provider this one and not another; several providers that share a PostgreSQL database
//! have copies of one folder and differ in nothing but the addresses that they listen on.
//!
//! | what | file |
//! |---|---|
//! | configuration (0600: it holds secrets), see [`ProviderConfig`] | `provider.json` |
//! | certificate chain of the listeners, with its authority's certificate last, and the key (0600) | `server.pem`, `server.key` |
//! | the authority of registered front doors; absent: there are none | `front-doors.pem` |
//! | authorities that are trusted besides the system's; agents get them for the relay | `authorities.pem` |
//! | the authority of agents | `agents/` |
//! | the key that seals secrets in the store | `sealing.key` |
//! | the store, where it is not PostgreSQL | `provider.db` |
//!
//! Who may call the ARM listener is decided in the TLS handshake: front doors that `front-doors.pem` certified, and Azure
//! Resource Manager by the certificates that it publishes ([`arm_certificates`]). Start reading at [`start`].

pub mod arm_certificates;
mod config;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use livedata_key_vault::KeyVaultKey;
use livedata_pki::{self as pki, Clients, Identity, PublishedCertificates, inspect, trust};
use livedata_provider::{
    self as provider, AuditLog, Clock, CustomProviderListener, HealthListener, PathSecret, Provider,
    RelaySettings,
};
use livedata_session::AgentAuthority;
use livedata_storage_account::{LookUpError, ManagementClient, Settings, StorageAccounts};
use livedata_store::Store;
use livedata_store::postgres::PostgresStore;
use livedata_store::sealed::{SealingKeys, WrappingKey};
use livedata_store::sqlite::SqliteStore;

use arm_certificates::{ArmCertificates, Pace};
pub use config::{
    Arm, Azure, AzureIdentity, CloudAddresses, Compat, CustomProviders, Enrolment, Health, ProviderConfig,
    Relay, RelayRule,
};

/// The URI by which a registered front door is certified.
pub const FRONT_DOOR_URI: &str = "urn:livedata:front-door";

/// Run the resource provider as a process of its own
///
/// ARM or a front door call it, agents enrol at it. The folder holds its configuration, certificates and keys.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder with provider.json, server.pem, server.key and what else the provider needs
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{} cannot be read; check that it is there and belongs to this user", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{} is not a provider's configuration, see line {line}, column {column}; docs/provider.md says what is", path.display())]
    Format { path: PathBuf, line: usize, column: usize },
    #[error("{0}")]
    Config(String),
    #[error("{} is missing; the listeners need a certificate chain there and its key in server.key beside it", .0.display())]
    NoCertificate(PathBuf),
    #[error("certificates or keys cannot be used")]
    Certificates(#[from] pki::Error),
    #[error("the authority of agents cannot be made or read")]
    Agents(#[from] livedata_session::Error),
    #[error("the store cannot be opened")]
    Store(#[from] livedata_store::Error),
    #[error(
        "the secret path of custom providers cannot be used; give customProviders.secret at least 32 random characters"
    )]
    CustomProviders(#[from] provider::WeakSecret),
    #[error("the file of sealing keys cannot be used")]
    Keys(#[source] livedata_store::Error),
    #[error("Azure Key Vault cannot be asked")]
    KeyVault(#[from] livedata_key_vault::SetUpError),
    #[error("the look-up of storage accounts cannot be set up")]
    StorageAccounts(#[from] LookUpError),
    #[error("the client that fetches ARM's certificates cannot be set up")]
    ArmCertificates(#[source] reqwest::Error),
    #[error("the provider does not start")]
    Start(#[from] provider::StartError),
}

/// A provider at work, with what keeps its list of ARM's certificates fresh.
pub struct Running {
    pub provider: provider::Running,
    _arm_certificates: Option<ArmCertificates>,
}

impl Running {
    pub async fn stop(self) {
        self.provider.stop().await;
    }
}

/// Serves until `stop` completes; the caller decides which signals that means.
pub async fn run(args: Args, stop: impl Future<Output = ()>) -> Result<(), Error> {
    let running = start(&args.data).await?;
    if let Some(address) = running.provider.health_address {
        println!("health, metrics  http://{address}/readyz, http://{address}/metrics");
    }
    println!(
        "ARM listener     https://{}\nenrolment        https://{}\nready; Ctrl-C ends it, the same command goes on",
        running.provider.arm_address, running.provider.enrolment_address
    );
    stop.await;
    running.stop().await;
    Ok(())
}

/// Starts the provider of a folder. Must be called within a multi-threaded tokio runtime, with a process-wide rustls provider
/// installed.
pub async fn start(folder: &Path) -> Result<Running, Error> {
    let config = ProviderConfig::load(folder)?;
    let server =
        Identity::load(folder, "server")?.ok_or_else(|| Error::NoCertificate(folder.join("server.pem")))?;
    let authorities = pki::file::read(&folder.join("authorities.pem"))?;
    let tls = || trusted(authorities.as_deref());
    let (clients, arm_certificates) = clients(folder, &config, tls)?;
    let cloud = config.azure.cloud()?;
    let store = open_store(folder, &config.store).await?;
    // Others may be on the same database; a file is for one.
    let store_is_shared = config.store.contains("://");
    check_keys(folder, &config, store.as_ref()).await?;
    let sealing_keys = sealing_keys(folder, &config).await?;
    let custom_provider = match config.custom_providers {
        None => None,
        Some(custom) => Some(CustomProviderListener {
            listen: custom.listen,
            tls: server.server_config(None)?,
            secret: PathSecret::new(&custom.secret)?,
        }),
    };
    let authority = AgentAuthority::load_or_create(&folder.join(&config.agent_authority))?;
    let health = match &config.health {
        None => None,
        Some(health) => Some(HealthListener {
            listen: health.listen,
            certificates: watched(folder, &server, &authority)?,
        }),
    };
    let path = folder.join(&config.audit_log);
    let audit = AuditLog::file(&path).map_err(|source| Error::File { path, source })?;
    let provider = Provider::start(provider::Options {
        store,
        store_is_shared,
        sealing_keys,
        namespace: config.namespace,
        compatible: config.compat.wandisco_fusion,
        arm_listen: config.arm.listen,
        arm_tls: server.server_config_of(clients.clone())?,
        arm_clients: Some(clients),
        enrolment_listen: config.enrolment.listen,
        enrolment_tls: server.server_config(None)?,
        enrolment_url: Some(config.enrolment.url),
        enrolment_authority_fingerprint: inspect::fingerprint(&server.last_certificate()?),
        custom_provider,
        health,
        audit: Some(audit),
        authority: Arc::new(authority),
        relay: RelaySettings {
            url: config.relay.url,
            tls: Arc::new(tls()?),
            ca_pem: authorities.clone(),
            send_rule: config.relay.send_rule.into(),
            listen_rule: config.relay.listen_rule.into(),
        },
        storage_accounts: Arc::new(ManagementClient::new(Settings {
            cloud,
            identity: config.azure.identity.into(),
            tls: tls()?,
        })?) as Arc<dyn StorageAccounts>,
        retry_after_seconds: config.retry_after_seconds,
        clock: Clock::default(),
    })
    .await?;
    Ok(Running { provider, _arm_certificates: arm_certificates })
}

/// The certificates without which the provider serves nobody.
fn watched(
    folder: &Path,
    server: &Identity,
    agents: &AgentAuthority,
) -> Result<Vec<provider::Certificate>, Error> {
    let mut certificates = vec![
        ("server", server.certificate()?),
        ("agents", inspect::first_certificate(agents.certificate_pem(), "the authority of agents")?),
    ];
    if let Some(pem) = pki::file::read(&folder.join("front-doors.pem"))? {
        certificates.push(("front doors", inspect::first_certificate(&pem, "front-doors.pem")?));
    }
    let mut watched = Vec::new();
    for (name, certificate) in certificates {
        let (_, end) = inspect::validity(&certificate)?;
        let not_after = i64::try_from(end).unwrap_or(i64::MAX);
        watched.push(provider::Certificate { name: name.to_owned(), not_after });
    }
    Ok(watched)
}

/// Who may call the ARM listener.
fn clients(
    folder: &Path,
    config: &ProviderConfig,
    tls: impl Fn() -> Result<rustls::ClientConfig, pki::Error>,
) -> Result<(Clients, Option<ArmCertificates>), Error> {
    let front_doors = match pki::file::read(&folder.join("front-doors.pem"))? {
        Some(pem) => Some(Clients::certified(&pem, FRONT_DOOR_URI)?),
        None => None,
    };
    let Some(from) = &config.arm.certificates_from else {
        let nobody = || {
            Error::Config(format!(
                "nobody could call this provider: give {} the authority of its front doors, or arm.certificatesFrom the \
                 address where Azure Resource Manager publishes its certificates (https://admin.management.azure.com)",
                folder.join("front-doors.pem").display()
            ))
        };
        return Ok((front_doors.ok_or_else(nobody)?, None));
    };
    if from.scheme() != "https" {
        let told = format!(
            "arm.certificatesFrom is an https address, not {from}: who could change the answer could call"
        );
        return Err(Error::Config(told));
    }
    let list = Arc::new(PublishedCertificates::new(arm_certificates::MAX_AGE));
    let kept = ArmCertificates::start(from.clone(), tls()?, Arc::clone(&list), Pace::default())
        .map_err(Error::ArmCertificates)?;
    let arm = Clients::published(list);
    Ok((front_doors.map_or(arm.clone(), |front_doors| front_doors.or(arm)), Some(kept)))
}

/// The system's authorities and the folder's.
fn trusted(authorities: Option<&str>) -> Result<rustls::ClientConfig, pki::Error> {
    match authorities {
        Some(pem) => trust::system_and(pem),
        None => trust::system(),
    }
}

/// The key of Azure Key Vault that wraps the provider's, if there is to be one.
fn wrapping_key(folder: &Path, config: &ProviderConfig) -> Result<Option<Arc<dyn WrappingKey>>, Error> {
    let Some(key) = config.key_vault_key.clone() else { return Ok(None) };
    let authorities = pki::file::read(&folder.join("authorities.pem"))?;
    let key = KeyVaultKey::new(livedata_key_vault::Settings {
        key,
        former: config.former_key_vault_keys.clone(),
        identity: config.azure.identity.clone().into(),
        authority: config.azure.cloud()?.authority,
        named_cloud: config.azure.addresses.is_none(),
        tls: trusted(authorities.as_deref())?,
    })?;
    Ok(Some(Arc::new(key)))
}

/// The provider's file of keys, made if it is missing. A vault that does not answer keeps nobody from everything else: what is
/// wrapped is asked for again and again.
async fn sealing_keys(folder: &Path, config: &ProviderConfig) -> Result<SealingKeys, Error> {
    let path = folder.join(&config.sealing_key);
    let Some(wrapping) = wrapping_key(folder, config)? else {
        return SealingKeys::load_or_create(path).map_err(Error::Keys);
    };
    let keys = SealingKeys::load_or_create_wrapped(&path, wrapping).await.map_err(Error::Keys)?;
    if let Err(error) = keys.refresh().await {
        tracing::error!(%error, "the provider starts without all of its sealing keys; what they seal cannot be read, and is withheld from agents");
    }
    if !keys.unwrapped_in_file().is_empty() {
        tracing::warn!(
            file = %path.display(),
            "keys lie in the file as they are, not wrapped by Azure Key Vault: `livedata store rotate-key --data` replaces them, and takes them \
             away with --remove"
        );
    }
    Ok(keys)
}

/// What an operator's commands need of a provider's folder: its file of keys, which must be there, and is not refreshed yet, and the
/// address of its store.
pub fn keys_and_store(folder: &Path) -> Result<(SealingKeys, String), Error> {
    let config = ProviderConfig::load(folder)?;
    let path = folder.join(&config.sealing_key);
    let keys = match wrapping_key(folder, &config)? {
        None => SealingKeys::load(path),
        Some(wrapping) => SealingKeys::load_wrapped(path, wrapping),
    };
    let keys = keys.map_err(Error::Keys)?;
    let store = match config.store {
        address if address.contains("://") => address,
        file => folder.join(file).display().to_string(),
    };
    Ok((keys, store))
}

/// A store that holds something was sealed with a key and knows agents of an authority: new ones would be of no use there,
/// and hide that the old ones are missing.
async fn check_keys(folder: &Path, config: &ProviderConfig, store: &dyn Store) -> Result<(), Error> {
    let missing = [&config.sealing_key, &config.agent_authority].map(|path| folder.join(path));
    let missing = missing.into_iter().find(|path| !path.exists());
    let Some(missing) = missing else { return Ok(()) };
    if store.list("migrators", "", None, 1).await?.is_empty() {
        return Ok(());
    }
    Err(Error::Config(format!(
        "{} is missing, and the store was filled by a provider that had one; copy it from there, or from a backup",
        missing.display()
    )))
}

/// `postgres://…` or a file below the folder.
pub async fn open_store(folder: &Path, address: &str) -> Result<Arc<dyn Store>, Error> {
    if address.starts_with("postgres://") || address.starts_with("postgresql://") {
        return Ok(Arc::new(PostgresStore::open(address).await?));
    }
    if address.contains("://") {
        // Not repeated: it may hold a password.
        let told = "store is neither a file nor an address that begins with postgres://; correct it";
        return Err(Error::Config(told.to_owned()));
    }
    Ok(Arc::new(SqliteStore::open(folder.join(address)).await?))
}
