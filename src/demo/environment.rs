//! Front door, provider, relay and storage emulator on one folder.
//!
//! Each part listens on a port of its own and is reached through it by the others too, over TLS (mutual, where the provider
//! is called); nothing is short-circuited because it happens to live in the same process. Everything is kept in the folder:
//!
//! | what | where |
//! |---|---|
//! | ports, secrets (0600) | `ports.json`, `secrets.json` |
//! | authority of all servers here; clients trust `servers/ca.pem` | `servers/` |
//! | authority of front doors, which alone may call the provider | `front-doors/` |
//! | authority of agents | `agents/` |
//! | the provider's store, and the key that seals secrets in it | `provider.db`, `sealing.key` |
//! | what `livedata provider --data` runs on, beside these three | `provider/` |
//! | the front door's store and its key for tokens | `front-door/` |
//! | what `livedata relay --data` runs on | `relay/` |
//! | the emulator's accounts and files | `storage/` |
//! | a ready `AZURE_CONFIG_DIR` | `azure/` |
//! | the endpoint for custom providers (0600), where their dialect is spoken | `custom-provider.url` |
//! | the log of all of them, and who changed what through the provider (0600) | `livedata.log`, `audit.log` |

mod ports;
mod secrets;

use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use livedata_adls_emulator::{self as emulator, Emulator};
use livedata_front_door::{
    self as front_door, AzConfig, EmulatorAdmin, FrontDoor, ProvidedType, RegisteredProvider,
    ServicePrincipal, write_az_config,
};
use livedata_pki::{self as pki, Authority, Identity, file, trust};
use livedata_provider::{self as provider, API_VERSIONS};
use livedata_provider_service::{
    self as provider_service, Arm, Azure, AzureIdentity, CloudAddresses, Compat, CustomProviders, Enrolment,
    FRONT_DOOR_URI, Health, ProviderConfig, RelayRule,
};
use livedata_relay_server::{self as relay, Key, Limits, RelayConfig, RelayServer, Right, Rules};
use livedata_store::sqlite::SqliteStore;
use livedata_telemetry::{LogTo, Telemetry};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::arm_client::SignIn;
use ports::loopback;
pub use ports::{Choice as PortChoice, Ports};
use secrets::Secrets;

pub const NAMESPACE: &str = "LiveData.Platform";
pub const TENANT: &str = "7e2a9c54-0d1b-4c8e-9f36-51a7d0c4b8e1";
pub const SUBSCRIPTION: &str = "c3f1d8a6-5b27-4e90-8a4d-2f6b917e0c35";
/// The service principal that people sign in with.
pub const USER: &str = "9b04e6d2-73c8-4f15-b1ea-0c85f2a7d943";
const PROVIDER_PRINCIPAL: &str = "4d7fa1c9-e826-4b03-95d8-6ea3b05c1f72";
const LOG: &str = "livedata.log";
const AUDIT_LOG: &str = "audit.log";
const CLOUD: &str = "LiveDataLocal";
const LOCATIONS: [&str; 5] = ["West Europe", "North Europe", "UK South", "East US", "West US"];

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{} cannot be used; check that it belongs to this user and has room", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{} is damaged; restore it, or remove the whole folder to begin anew", path.display())]
    Format { path: PathBuf, source: serde_json::Error },
    #[error("{} holds no environment; start one there with `livedata dev --data`", .0.display())]
    NoEnvironment(PathBuf),
    #[error(
        "no six free ports in a row between {from} and {to} were found; end some of the programs that use them"
    )]
    NoPorts { from: u16, to: u16 },
    #[error("there are no six ports in a row from {first}")]
    NoSuchPorts { first: u16 },
    #[error(
        "the environment in {} has its ports from {kept}, which stand in what was created there; leave --port {wanted} away, or begin in another folder",
        folder.display()
    )]
    OtherPorts { folder: PathBuf, kept: u16, wanted: u16 },
    #[error("certificates cannot be made or read")]
    Certificates(#[from] pki::Error),
    #[error("a store cannot be opened")]
    Store(#[from] livedata_store::Error),
    #[error("the storage emulator does not start")]
    Emulator(#[from] emulator::EmulatorError),
    #[error("the relay's configuration cannot be used")]
    RelayConfig(#[from] relay::ConfigError),
    #[error("the relay does not start")]
    Relay(#[from] relay::StartError),
    #[error("the relay did not stop in good order")]
    RelayStop(#[source] std::io::Error),
    #[error("the provider does not start")]
    Provider(#[from] provider_service::Error),
    #[error("the front door does not start or stop")]
    FrontDoor(#[from] front_door::Error),
    #[error("an address cannot be written as a URL")]
    Url(#[from] url::ParseError),
}

/// Who runs a part of the environment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Service {
    Embedded,
    /// Another process does: `livedata relay --data FOLDER/relay`, `livedata provider --data FOLDER/provider`.
    Apart,
}

pub struct Options {
    /// Made when it is absent.
    pub folder: PathBuf,
    pub ports: PortChoice,
    pub relay: Service,
    pub provider: Service,
    /// What the front door and the provider ask clients to wait before they ask again.
    pub retry_after_seconds: u32,
    /// Serves the public namespace `Wandisco.Fusion`, too.
    pub compatible: bool,
    /// Address of the PostgreSQL database of the provider; `None`: a file in the folder.
    pub provider_store: Option<String>,
    /// Lets the provider speak the custom-provider dialect, too.
    pub custom_provider: bool,
    /// Where the provider tells its health and metrics; `None`: nowhere.
    pub health: Option<SocketAddr>,
}

/// The provider's own files, also when it runs here: so it can run as a process of its own the next time.
fn provider_config(
    options: &Options,
    ports: Ports,
    secrets: &Secrets,
    relay: &RelayConfig,
    front_door: &Url,
) -> Result<ProviderConfig, Error> {
    let rule = |name: &str, key: &str| RelayRule { name: name.to_owned(), key: key.to_owned() };
    Ok(ProviderConfig {
        namespace: NAMESPACE.to_owned(),
        compat: Compat { wandisco_fusion: options.compatible },
        store: options.provider_store.clone().unwrap_or_else(|| "../provider.db".to_owned()),
        sealing_key: "../sealing.key".into(),
        key_vault_key: None,
        former_key_vault_keys: Vec::new(),
        agent_authority: "../agents".into(),
        arm: Arm { listen: loopback(ports.provider), certificates_from: None },
        enrolment: Enrolment {
            listen: loopback(ports.enrolment),
            url: format!("https://localhost:{}/", ports.enrolment).parse()?,
        },
        custom_providers: options.custom_provider.then(|| CustomProviders {
            listen: loopback(ports.custom_provider()),
            secret: secrets.custom_provider.clone(),
        }),
        relay: provider_service::Relay {
            url: relay.public_url.clone(),
            send_rule: rule(SEND_RULE, &secrets.relay_send),
            listen_rule: rule(LISTEN_RULE, &secrets.relay_listen),
        },
        azure: Azure {
            cloud: None,
            addresses: Some(CloudAddresses {
                endpoint: front_door.clone(),
                authority: front_door.clone(),
                audience: front_door.to_string(),
                storage_suffix: "core.windows.net".to_owned(),
            }),
            identity: AzureIdentity::ServicePrincipal {
                tenant_id: TENANT.to_owned(),
                client_id: PROVIDER_PRINCIPAL.to_owned(),
                client_secret: secrets.provider.clone(),
            },
        },
        retry_after_seconds: options.retry_after_seconds,
        health: options.health.map(|listen| Health { listen }),
        audit_log: format!("../{AUDIT_LOG}").into(),
    })
}

/// A control plane at work.
pub struct Environment {
    folder: PathBuf,
    ports: Ports,
    secrets: Secrets,
    front_door: front_door::Running,
    provider: Option<provider_service::Running>,
    relay: Option<relay::Running>,
    emulator: emulator::Running,
    // The last to go.
    _telemetry: Telemetry,
}

impl Environment {
    /// Must be called within a multi-threaded tokio runtime, with a process-wide rustls provider installed.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let folder = std::path::absolute(&options.folder)
            .map_err(|source| Error::File { path: options.folder.clone(), source })?;
        let telemetry = log_into(&folder)?;
        let ports = Ports::load_or_choose(&folder, options.ports)?;
        let secrets = Secrets::load_or_create(&folder)?;
        let servers = Authority::load_or_create(&folder.join("servers"), "livedata local servers")?;
        let front_doors = Authority::load_or_create(&folder.join("front-doors"), "livedata front doors")?;
        let server = servers.issue_server(&["localhost"], &[loopback(0).ip()])?;

        let emulator = Emulator::start(emulator::Options {
            storage: emulator::Storage::Folder(folder.join("storage")),
            storage_address: loopback(ports.storage),
            admin_address: loopback(ports.storage_admin),
            admin_token: secrets.storage_admin.clone(),
            accounts: Vec::new(),
            ..emulator::Options::default()
        })
        .await?;
        let relay_config = write_relay(&folder.join("relay"), ports, &secrets, &server)?;
        let relay = match options.relay {
            Service::Apart => None,
            Service::Embedded => Some(
                RelayServer::start(relay::Options {
                    listen: relay_config.listen,
                    public_url: relay_config.public_url.clone(),
                    tls: Arc::new(server.server_config(None)?),
                    rules: relay_config.rules.clone(),
                    limits: Limits::default(),
                })
                .await?,
            ),
        };
        let front_door_url: Url = format!("https://localhost:{}/", ports.front_door).parse()?;
        let provider_folder = folder.join("provider");
        provider_config(&options, ports, &secrets, &relay_config, &front_door_url)?.save(&provider_folder)?;
        server.save(&provider_folder, "server")?;
        file::write(&provider_folder.join("front-doors.pem"), front_doors.certificate_pem(), file::PUBLIC)?;
        file::write(&provider_folder.join("authorities.pem"), servers.certificate_pem(), file::PUBLIC)?;
        let provider = match options.provider {
            Service::Apart => None,
            Service::Embedded => Some(provider_service::start(&provider_folder).await?),
        };
        let identity = front_doors.issue_client("livedata front door", FRONT_DOOR_URI)?;
        let front_door = FrontDoor::start(front_door::Options {
            store: Arc::new(SqliteStore::open(make(folder.join("front-door"))?.join("front-door.db")).await?),
            listen: loopback(ports.front_door),
            tls: server.server_config(None)?,
            public_url: Some(front_door_url.clone()),
            cloud_name: CLOUD.to_owned(),
            tenant_id: TENANT.to_owned(),
            subscription_id: SUBSCRIPTION.to_owned(),
            subscription_name: "livedata local".to_owned(),
            service_principals: vec![
                principal(USER, &secrets.user),
                principal(PROVIDER_PRINCIPAL, &secrets.provider),
            ],
            data_directory: folder.join("front-door"),
            providers: manifests(
                options.compatible,
                format!("https://localhost:{}/", ports.provider).parse()?,
                &identity.client_config(servers.certificate_pem())?,
            ),
            storage: EmulatorAdmin {
                admin_url: format!("http://{}", emulator.admin_address()).parse()?,
                admin_token: secrets.storage_admin.clone(),
                endpoint: emulator.storage_url().parse()?,
            },
            endpoint_tls: trust::system_and(servers.certificate_pem())?,
            retry_after_seconds: options.retry_after_seconds,
        })
        .await?;
        let environment =
            Self { folder, ports, secrets, front_door, provider, relay, emulator, _telemetry: telemetry };
        environment.ports.keep(&environment.folder)?;
        environment.write_az_config()?;
        if options.custom_provider {
            let url = format!(
                "https://localhost:{}/{}\n",
                ports.custom_provider(),
                environment.secrets.custom_provider
            );
            file::write(&environment.custom_provider_url_path(), &url, file::PRIVATE)?;
        }
        Ok(environment)
    }

    fn write_az_config(&self) -> Result<(), Error> {
        let folder = self.az_folder();
        write_az_config(
            &folder,
            &AzConfig {
                cloud_name: CLOUD,
                public_url: self.front_door.public_url(),
                ca_pem_path: &self.ca_pem_path(),
            },
        )?;
        Ok(file::write(&self.password_path(), &self.secrets.user, file::PRIVATE)?)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn log_path(&self) -> PathBuf {
        self.folder.join(LOG)
    }

    /// Where health and metrics are told, if they are.
    pub fn health_address(&self) -> Option<SocketAddr> {
        self.provider.as_ref()?.provider.health_address
    }

    pub fn audit_log_path(&self) -> PathBuf {
        self.folder.join(AUDIT_LOG)
    }

    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// To be `AZURE_CONFIG_DIR`; `environment` in it sets the variables of a shell.
    pub fn az_folder(&self) -> PathBuf {
        self.folder.join("azure")
    }

    /// The password of [`USER`], as `az login -p @FILE` reads it.
    pub fn password_path(&self) -> PathBuf {
        self.folder.join("azure").join("password")
    }

    /// Holds the endpoint for custom providers, if their dialect is spoken.
    pub fn custom_provider_url_path(&self) -> PathBuf {
        self.folder.join("custom-provider.url")
    }

    /// Whom clients of every server here have to trust.
    pub fn ca_pem_path(&self) -> PathBuf {
        self.folder.join("servers").join("ca.pem")
    }

    pub fn front_door_url(&self) -> &Url {
        self.front_door.public_url()
    }

    /// Base of the storage accounts' endpoints.
    pub fn storage_url(&self) -> &str {
        self.emulator.storage_url()
    }

    /// Ends everything in good order; what is under way goes on at the next start.
    pub async fn stop(self) -> Result<(), Error> {
        let front_door = self.front_door.stop().await;
        if let Some(provider) = self.provider {
            provider.stop().await;
        }
        if let Some(relay) = self.relay {
            relay.stop().await.map_err(Error::RelayStop)?;
        }
        self.emulator.stop().await?;
        Ok(front_door?)
    }
}

/// How a client signs in, as [`USER`], at the environment on `folder`, which may run in another process.
pub fn sign_in(folder: &Path) -> Result<SignIn, Error> {
    let ports: Ports = existing(folder, Ports::FILE)?;
    let secrets: Secrets = existing(folder, Secrets::FILE)?;
    let authority = folder.join("servers").join("ca.pem");
    Ok(SignIn {
        front_door: Url::parse(&format!("https://localhost:{}/", ports.front_door))?,
        authority_pem: file::read(&authority)?.ok_or(Error::NoEnvironment(folder.to_owned()))?,
        tenant: TENANT.to_owned(),
        subscription: SUBSCRIPTION.to_owned(),
        client_id: USER.to_owned(),
        client_secret: secrets.user,
    })
}

fn existing<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<T, Error> {
    read_json(&folder.join(name))?.ok_or_else(|| Error::NoEnvironment(folder.to_owned()))
}

const SEND_RULE: &str = "provider";
const LISTEN_RULE: &str = "agents";

/// The relay's own files, also when it runs here: so it can run as a process of its own the next time.
fn write_relay(
    folder: &Path,
    ports: Ports,
    secrets: &Secrets,
    server: &Identity,
) -> Result<RelayConfig, Error> {
    let may = |name: &str, key: &str, right| relay::Rule {
        name: name.to_owned(),
        primary_key: Key(key.to_owned()),
        secondary_key: None,
        rights: vec![right],
        scope_path: Some("agents".to_owned()),
    };
    let config = RelayConfig {
        listen: loopback(ports.relay),
        public_url: format!("wss://localhost:{}", ports.relay).parse()?,
        rules: Rules(vec![
            may(SEND_RULE, &secrets.relay_send, Right::Send),
            may(LISTEN_RULE, &secrets.relay_listen, Right::Listen),
        ]),
    };
    server.save(folder, "relay")?;
    config.save(folder)?;
    Ok(config)
}

fn principal(client_id: &str, secret: &str) -> ServicePrincipal {
    ServicePrincipal { client_id: client_id.to_owned(), client_secret: secret.to_owned() }
}

/// The provider under each of its namespaces.
fn manifests(compatible: bool, endpoint: Url, tls: &rustls::ClientConfig) -> Vec<RegisteredProvider> {
    let versions = |versions: &[&str]| versions.iter().map(|version| (*version).to_owned()).collect();
    let mut namespaces: Vec<(&str, Vec<String>)> = vec![(NAMESPACE, versions(API_VERSIONS))];
    if compatible {
        let public = provider::Version::V2023_11_01.as_str();
        namespaces.push((provider::PUBLIC_NAMESPACE, versions(&[public])));
    }
    let manifest = |(namespace, api_versions): (&str, Vec<String>)| RegisteredProvider {
        namespace: namespace.to_owned(),
        endpoint: endpoint.clone(),
        tls: tls.clone(),
        resource_types: provider::resource_types()
            .into_iter()
            .map(|resource_type| ProvidedType {
                resource_type,
                locations: LOCATIONS.map(str::to_owned).to_vec(),
                api_versions: api_versions.clone(),
            })
            .collect(),
    };
    namespaces.into_iter().map(manifest).collect()
}

/// The terminal belongs to the person in front of it.
fn log_into(folder: &Path) -> Result<Telemetry, Error> {
    let path = make(folder.to_owned())?.join(LOG);
    let file = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
    let file = file.map_err(|source| Error::File { path, source })?;
    Ok(livedata_telemetry::init("livedata", LogTo::File(file)))
}

fn make(folder: PathBuf) -> Result<PathBuf, Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    made.map_err(|source| Error::File { path: folder.clone(), source })?;
    Ok(folder)
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    let Some(text) = file::read(path)? else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|source| Error::Format { path: path.to_owned(), source })
}

fn write_json<T: Serialize>(path: &Path, content: &T) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(content)
        .map_err(|source| Error::Format { path: path.to_owned(), source })?;
    Ok(file::write(path, &text, file::PRIVATE)?)
}
