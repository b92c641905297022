//! Starting and stopping. The web server runs on a thread of its own, so any tokio runtime can start an emulator.

use std::collections::HashSet;
use std::fs::{DirBuilder, File};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use tokio::sync::oneshot;

use crate::account::{Account, AccountBook, AccountKey, new_key};
use crate::admin::{self, Admin};
use crate::authorization::{Issuer, Issuers};
use crate::clock;
use crate::content::Content;
use crate::counters::Counters;
use crate::deletions::Deletions;
use crate::error::EmulatorError;
use crate::faults::{Connection, Faults};
use crate::index::{self, Index};
use crate::probe::from_here;
use crate::request_log::RequestLog;
use crate::server::{self, Service};
use crate::service_error::ServiceError;

pub struct Options {
    pub storage: Storage,
    /// Port 0 takes a free one.
    pub storage_address: SocketAddr,
    pub admin_address: SocketAddr,
    /// Secret that the admin endpoint asks for.
    pub admin_token: String,
    /// With it the storage endpoint speaks TLS; without it plain HTTP, which is meant for the loopback interface.
    pub storage_tls: Option<rustls::ServerConfig>,
    /// Made when missing, with a hierarchical namespace; the key becomes the account's first.
    pub accounts: Vec<AccountKey>,
    /// Made when there would be no account at all.
    pub account_otherwise: Option<AccountKey>,
    /// Whether requests may ask for faults of their own by the header `x-emulator-fault`.
    pub fault_header: bool,
}

/// Where everything is kept.
#[derive(Debug, Clone)]
pub enum Storage {
    /// Made when missing, readable by its owner only: it holds account keys.
    Folder(PathBuf),
    /// Gone with the emulator.
    Memory,
}

/// On free ports of the loopback interface, in memory. The admin token has to be given.
impl Default for Options {
    fn default() -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            storage: Storage::Memory,
            storage_address: address,
            admin_address: address,
            admin_token: String::new(),
            storage_tls: None,
            accounts: Vec::new(),
            account_otherwise: None,
            fault_header: false,
        }
    }
}

pub struct Emulator;

/// A running emulator. Dropping it stops it too, without waiting.
pub struct Running {
    storage_address: SocketAddr,
    admin_address: SocketAddr,
    storage_url: String,
    handles: Vec<ServerHandle>,
    sweeper: Option<tokio::task::JoinHandle<()>>,
    thread: Option<JoinHandle<()>>,
    service: web::Data<Service>,
    lock: Option<File>,
}

impl Emulator {
    pub async fn start(options: Options) -> Result<Running, EmulatorError> {
        if options.admin_token.is_empty() {
            return Err(EmulatorError::EmptyAdminToken);
        }
        let (storage, faults) = (options.storage.clone(), Faults::new(options.fault_header));
        let opened = tokio::task::spawn_blocking(move || open(&storage, faults)).await;
        let (lock, mut service) =
            opened.map_err(|error| EmulatorError::NotReady { reason: error.to_string() })??;
        ensure_delegation_secret(&mut service).await?;
        let service = web::Data::new(service);
        ensure_accounts(&service, options.accounts).await?;
        if service.accounts.all().is_empty() {
            ensure_accounts(&service, options.account_otherwise.into_iter().collect()).await?;
        }
        let storage = listen(options.storage_address)?;
        let admin_listener = listen(options.admin_address)?;
        let storage_address = local(&storage, options.storage_address)?;
        let admin_address = local(&admin_listener, options.admin_address)?;
        let scheme = if options.storage_tls.is_some() { "https" } else { "http" };
        let storage_url = format!("{scheme}://{}", from_here(storage_address));
        let admin = web::Data::new(Admin { token: options.admin_token, storage_url: storage_url.clone() });
        let (ready, started) = oneshot::channel();
        let servers = Servers { storage, storage_tls: options.storage_tls, admin_listener, admin };
        let served = service.clone();
        let thread = std::thread::Builder::new()
            .name("adls-emulator".to_owned())
            .spawn(move || servers.run(served, ready))
            .map_err(|source| EmulatorError::Thread { source })?;
        let handles = started
            .await
            .map_err(|_| EmulatorError::NotReady { reason: "it ended early".to_owned() })?
            .map_err(|source| EmulatorError::Thread { source })?;
        let sweeper = tokio::spawn(sweep(service.clone()));
        service.garbage.notify_one();
        tracing::info!(%storage_url, %admin_address, "ADLS emulator is ready");
        Ok(Running {
            storage_address,
            admin_address,
            storage_url,
            handles,
            sweeper: Some(sweeper),
            thread: Some(thread),
            service,
            lock,
        })
    }
}

impl Running {
    pub fn storage_address(&self) -> SocketAddr {
        self.storage_address
    }

    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// `http://127.0.0.1:port`, also when it listens on all addresses; an account's endpoint is this, a slash and its name.
    pub fn storage_url(&self) -> &str {
        &self.storage_url
    }

    /// Takes tokens of these issuers from now on: a JSON array of objects with `issuer`, `audiences` and `keys` (JSON Web
    /// Keys). They are kept in the data folder.
    pub async fn trust(&self, issuers: &[u8]) -> Result<(), EmulatorError> {
        let invalid = |source| EmulatorError::InvalidIssuers { source };
        let issuers: Vec<Issuer> = serde_json::from_slice(issuers).map_err(invalid)?;
        for issuer in issuers {
            let failed = |error: ServiceError| EmulatorError::NotReady { reason: error.to_string() };
            self.service.issuers.save(&self.service.index, issuer).await.map_err(failed)?;
        }
        Ok(())
    }

    pub fn account_names(&self) -> Vec<String> {
        self.service.accounts.all().iter().map(|account| account.name.clone()).collect()
    }

    /// Cuts open connections (what was acknowledged is on disk already), closes the data folder and waits for all of it.
    pub async fn stop(mut self) -> Result<(), EmulatorError> {
        self.abort();
        for handle in std::mem::take(&mut self.handles) {
            handle.stop(false).await;
        }
        let (thread, service) = (self.thread.take(), self.service.clone());
        let close = move || {
            let joined = thread.map_or(Ok(()), JoinHandle::join);
            service.index.close();
            joined.map_err(|_| EmulatorError::NotReady { reason: "it had panicked".to_owned() })
        };
        let closed = tokio::task::spawn_blocking(close).await;
        closed.map_err(|error| EmulatorError::NotReady { reason: error.to_string() })??;
        // Explicitly: a worker thread that ends a little later must not keep the folder locked.
        self.lock.as_ref().map_or(Ok(()), File::unlock).map_err(|source| EmulatorError::Thread { source })
    }

    fn abort(&mut self) {
        if let Some(sweeper) = self.sweeper.take() {
            sweeper.abort();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.abort();
        for handle in &self.handles {
            // The command is sent at once; the future would only wait for its end.
            drop(handle.stop(false));
        }
    }
}

fn open(storage: &Storage, faults: Faults) -> Result<(Option<File>, Service), EmulatorError> {
    let (lock, content, index) = match storage {
        Storage::Folder(folder) => {
            let (lock, content) = open_folder(folder)?;
            let index = Index::open(&folder.join("index.sqlite"), content.clone())?;
            (Some(lock), content, index)
        }
        Storage::Memory => {
            let content = Arc::new(Content::in_memory());
            (None, content.clone(), Index::in_memory(content)?)
        }
    };
    let (accounts, live, issuers, secret) = index
        .read_now(|connection| {
            let issuers = index::setting(connection, index::TOKEN_ISSUERS)?;
            let secret = index::setting(connection, index::DELEGATION_SECRET)?;
            Ok((index::all_accounts(connection)?, index::live_spools(connection)?, issuers, secret))
        })
        .map_err(|error| EmulatorError::NotReady { reason: error.to_string() })?;
    content
        .remove_stale_spools(&live.into_iter().collect::<HashSet<_>>())
        .map_err(|error| EmulatorError::NotReady { reason: error.to_string() })?;
    let service = Service {
        index,
        content,
        accounts: AccountBook::new(accounts),
        counters: Counters::default(),
        issuers: Issuers::new(
            issuers.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default(),
        ),
        delegation_secret: secret.unwrap_or_default(),
        faults,
        deletions: Deletions::default(),
        requests: RequestLog::default(),
        garbage: tokio::sync::Notify::new(),
    };
    Ok((lock, service))
}

fn open_folder(folder: &Path) -> Result<(File, Arc<Content>), EmulatorError> {
    let failed = |source| EmulatorError::DataFolder { path: folder.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let lock =
        File::options().write(true).create(true).truncate(false).open(folder.join("lock")).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            return Err(EmulatorError::DataFolderInUse { path: folder.to_owned() });
        }
        Err(std::fs::TryLockError::Error(source)) => return Err(failed(source)),
    }
    Ok((lock, Arc::new(Content::open(folder).map_err(failed)?)))
}

/// Made once for a data folder.
async fn ensure_delegation_secret(service: &mut Service) -> Result<(), EmulatorError> {
    let failed = |error: ServiceError| EmulatorError::NotReady { reason: error.to_string() };
    if service.delegation_secret.is_empty() {
        let secret = new_key().map_err(failed)?;
        let saved = secret.clone();
        let save = move |writing: &mut index::Writing<'_>| {
            index::save_setting(writing, index::DELEGATION_SECRET, &saved)
        };
        service.index.write(save).await.map_err(failed)?;
        service.delegation_secret = secret;
    }
    Ok(())
}

async fn ensure_accounts(service: &Service, accounts: Vec<AccountKey>) -> Result<(), EmulatorError> {
    let failed = |error: ServiceError| EmulatorError::NotReady { reason: error.to_string() };
    for AccountKey { name, key } in accounts {
        let known = service.accounts.get(&name);
        if known.as_ref().is_some_and(|account| account.keys.first() == Some(&key)) {
            continue;
        }
        let second = match &known {
            Some(account) => account.keys[1].clone(),
            None => new_key().map_err(failed)?,
        };
        let account = Account {
            kind: known.as_ref().map_or_else(|| "StorageV2".to_owned(), |account| account.kind.clone()),
            hierarchical_namespace: known.as_ref().is_none_or(|account| account.hierarchical_namespace),
            name,
            keys: [key, second],
        };
        service.accounts.save(&service.index, account).await.map_err(failed)?;
    }
    Ok(())
}

fn listen(address: SocketAddr) -> Result<TcpListener, EmulatorError> {
    let listener = TcpListener::bind(address).map_err(|source| EmulatorError::Listen { address, source })?;
    listener.set_nonblocking(true).map_err(|source| EmulatorError::Listen { address, source })?;
    Ok(listener)
}

fn local(listener: &TcpListener, address: SocketAddr) -> Result<SocketAddr, EmulatorError> {
    listener.local_addr().map_err(|source| EmulatorError::Listen { address, source })
}

struct Servers {
    storage: TcpListener,
    storage_tls: Option<rustls::ServerConfig>,
    admin_listener: TcpListener,
    admin: web::Data<Admin>,
}

impl Servers {
    fn run(self, service: web::Data<Service>, ready: oneshot::Sender<std::io::Result<Vec<ServerHandle>>>) {
        actix_web::rt::System::new().block_on(async move {
            match self.build(service) {
                Ok((storage, admin)) => {
                    let handles = vec![storage.handle(), admin.handle()];
                    if ready.send(Ok(handles)).is_err() {
                        return;
                    }
                    let (storage, admin) = futures::join!(storage, admin);
                    for error in [storage, admin].into_iter().filter_map(Result::err) {
                        tracing::error!(%error, "an emulator endpoint ended with an error");
                    }
                }
                // The receiver waits for exactly this message.
                Err(error) => drop(ready.send(Err(error))),
            }
        });
    }

    fn build(
        self,
        service: web::Data<Service>,
    ) -> std::io::Result<(actix_web::dev::Server, actix_web::dev::Server)> {
        let shared = service.clone();
        let storage = HttpServer::new(move || {
            App::new().app_data(shared.clone()).default_service(web::to(server::handle))
        })
        .on_connect(Connection::remember)
        .keep_alive(IDLE)
        .disable_signals();
        let storage = match self.storage_tls {
            Some(tls) => storage.listen_rustls_0_23(self.storage, tls)?,
            None => storage.listen(self.storage)?,
        };
        let admin = self.admin;
        let admin = HttpServer::new(move || {
            App::new()
                .app_data(service.clone())
                .app_data(admin.clone())
                .default_service(web::to(admin::handle))
        })
        .workers(1)
        .disable_signals()
        .listen(self.admin_listener)?;
        Ok((storage.run(), admin.run()))
    }
}

/// Longer than clients keep a connection that they do not use: who closes first is then never the emulator.
const IDLE: Duration = Duration::from_secs(300);

/// How long the sweeper trusts the time at which a file expires: the clock may be set meanwhile.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Until something was deleted, or a file expires.
async fn something_to_sweep(service: &Service) {
    let expiry = service.index.read(index::next_expiry).await.unwrap_or_default();
    match expiry {
        Some(at_ms) => {
            let left_ms = at_ms.saturating_sub(clock::now_ms()).max(0).unsigned_abs();
            let wait = Duration::from_millis(left_ms).min(LONGEST_WAIT);
            // Either way there is something to look for.
            drop(tokio::time::timeout(wait, service.garbage.notified()).await);
        }
        None => service.garbage.notified().await,
    }
}

/// Cleans up behind deletes and expired files, one small step at a time, until there is nothing left; then waits.
async fn sweep(service: web::Data<Service>) {
    loop {
        something_to_sweep(&service).await;
        let mut unlinked = Vec::new();
        loop {
            let garbage = match service
                .index
                .write(move |writing| index::sweep_step(writing, &unlinked))
                .await
            {
                Ok(garbage) => garbage,
                Err(error) => {
                    tracing::warn!(%error, "cleaning up after deletes stopped; the next delete starts it again");
                    break;
                }
            };
            let content = service.content.clone();
            let remove = move || {
                for name in &garbage.contents {
                    content.remove(name);
                }
                garbage
            };
            match tokio::task::spawn_blocking(remove).await {
                Ok(garbage) if garbage.more => unlinked = garbage.contents,
                _ => break,
            }
        }
    }
}
