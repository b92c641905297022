//! From specifications to open file systems.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use livedata_adls::{
    AccountKey, AdlsTarget, Concurrency, Config, Credential, Filesystem, Identity, Network, Route, Sas,
    SasToken, Throttle,
};
use livedata_filesystem::chaos::Chaos;
use livedata_filesystem::local::LocalSource;
use livedata_filesystem::throttle::Bandwidth;
use livedata_filesystem::{ChangeFeed, FeedOptions, LocalFeed, Source, Target};
use livedata_hdfs::{HdfsFeed, HdfsSource};
use livedata_model::path;
use livedata_model::spec::{CredentialKind, MigratorSpec, SourceKind, TargetSpec};
use tokio::time::Instant;
use url::Url;

use crate::feed::Open;
use crate::host::{Host, TargetChaos};
use crate::preflight::{self, Facts};
use crate::support;

/// What all transfers of this agent share: their cap, with the moment that its clock counts from, and what is known of the
/// limits of storage accounts.
pub struct SharedLimits {
    bandwidth: Arc<Bandwidth>,
    zero: Instant,
    concurrency: Mutex<HashMap<Url, Arc<Concurrency>>>,
}

impl SharedLimits {
    pub fn new() -> Self {
        let (bandwidth, concurrency) = (Arc::new(Bandwidth::new(None)), Mutex::default());
        Self { bandwidth, zero: Instant::now(), concurrency }
    }

    pub fn set_rate(&self, bytes_per_second: Option<u64>) {
        self.bandwidth.set_rate(self.zero.elapsed(), bytes_per_second);
    }

    /// Now, and for how long by now a transfer has waited for the cap.
    pub fn waited(&self) -> (Duration, Duration) {
        let now = self.zero.elapsed();
        (now, self.bandwidth.waited(now))
    }

    /// Of the account with this endpoint.
    fn concurrency(&self, endpoint: &Url) -> Arc<Concurrency> {
        let mut known = self.concurrency.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(endpoint.clone()).or_default())
    }
}

fn source_uri(spec: &MigratorSpec) -> Result<Url, String> {
    if spec.source_uri.is_empty() {
        return Err("the migrator names no source, and the Hadoop configuration beside this agent \
                    (--hadoop-configuration) has no fs.defaultFS"
            .to_owned());
    }
    Url::parse(&spec.source_uri)
        .map_err(|error| format!("the source '{}' is not a URI: {error}", spec.source_uri))
}

/// The source of a migrator, and where its paths begin there. Errors are sentences for the operator.
pub fn source(spec: &MigratorSpec, host: &Host) -> Result<(Arc<dyn Source>, String), String> {
    let uri = source_uri(spec)?;
    match spec.source_kind {
        SourceKind::Hdfs => {
            let user = spec.source_user.as_deref().unwrap_or(&host.hadoop_user);
            let source = HdfsSource::connect(&uri, user).map_err(|error| error.to_string())?;
            Ok((Arc::new(source), uri.path().to_owned()))
        }
        SourceKind::LocalDirectory => {
            let root: PathBuf =
                uri.to_file_path().map_err(|()| format!("the source '{uri}' is not a file:///directory"))?;
            host.check_readable(&root)?;
            Ok((Arc::new(LocalSource::new(root)), String::new()))
        }
    }
}

/// Opens the changes of a migrator's source; to be called again when they break.
pub fn feed(spec: &MigratorSpec, host: &Host) -> Result<Open, String> {
    let uri = source_uri(spec)?;
    Ok(match spec.source_kind {
        SourceKind::Hdfs => {
            let user = spec.source_user.clone().unwrap_or_else(|| host.hadoop_user.clone());
            Box::new(move || {
                let feed = HdfsFeed::connect(&uri, &user);
                Box::pin(async move { Ok(Arc::new(feed?) as Arc<dyn ChangeFeed>) })
            })
        }
        SourceKind::LocalDirectory => {
            let root: PathBuf =
                uri.to_file_path().map_err(|()| format!("the source '{uri}' is not a file:///directory"))?;
            host.check_readable(&root)?;
            Box::new(move || {
                let root = root.clone();
                Box::pin(async move {
                    let feed = LocalFeed::start(root, FeedOptions::default()).await?;
                    Ok(Arc::new(feed) as Arc<dyn ChangeFeed>)
                })
            })
        }
    })
}

/// Looks at what a feed of the migrator's source will meet.
pub fn preflight(spec: &MigratorSpec, host: &Host) -> Option<preflight::Look> {
    let uri = Url::parse(&spec.source_uri).ok()?;
    Some(match spec.source_kind {
        SourceKind::Hdfs => {
            let user = spec.source_user.clone().unwrap_or_else(|| host.hadoop_user.clone());
            Box::new(move || {
                let (uri, user) = (uri.clone(), user.clone());
                Box::pin(async move {
                    let found = async { HdfsFeed::connect(&uri, &user)?.preflight().await }.await;
                    Facts::Hdfs { user, found }
                })
            })
        }
        SourceKind::LocalDirectory => {
            let root: PathBuf = uri.to_file_path().ok()?;
            Box::new(move || {
                let root = root.clone();
                Box::pin(async move { Facts::Local(LocalFeed::limits(root).await) })
            })
        }
    })
}

/// The path of a migration at its source.
pub fn source_path(base: &str, migration_path: &str) -> String {
    path::canonical(&format!("/{base}/{migration_path}")).unwrap_or_else(|_| migration_path.to_owned())
}

fn credential(spec: &TargetSpec, network: &Network) -> Result<Credential, String> {
    let given = &spec.credential;
    let authority = given.authority.as_deref().map(Url::parse).transpose();
    let authority =
        authority.map_err(|error| format!("the authority of the credential is no URL: {error}"))?;
    let identity = match given.kind {
        CredentialKind::AccountKey => {
            let key = AccountKey::from_base64(&given.secret.0)
                .ok_or_else(|| format!("the account key of '{}' is not base64", spec.account))?;
            return Ok(Credential::SharedKey(key));
        }
        CredentialKind::SharedAccessSignature => {
            let token = SasToken::parse(&given.secret.0)
                .ok_or_else(|| format!("the signature for '{}' is not a signed query", spec.account))?;
            return Ok(Credential::Sas(Sas::new(token)));
        }
        CredentialKind::ServicePrincipal => {
            let (Some(client_id), Some(tenant_id)) = (&given.client_id, &given.tenant_id) else {
                return Err("the service principal has no client or no tenant".to_owned());
            };
            let secret = given.secret.0.clone().into();
            Identity::ClientSecret { tenant_id: tenant_id.clone(), client_id: client_id.clone(), secret }
        }
        CredentialKind::WorkloadIdentity => Identity::Workload {
            tenant_id: given.tenant_id.clone(),
            client_id: given.client_id.clone(),
            token_file: None,
        },
        CredentialKind::ManagedIdentity | CredentialKind::Unknown => {
            return Err(support::of_target(spec).unwrap_or_default());
        }
    };
    identity.credential(network, authority.as_ref()).map_err(|error| error.to_string())
}

pub fn target(spec: &TargetSpec, shared: &SharedLimits, host: &Host) -> Result<Arc<dyn Target>, String> {
    let endpoint = Url::parse(&spec.endpoint)
        .map_err(|error| format!("the endpoint '{}' is not a URL: {error}", spec.endpoint))?;
    let route = match host.storage.addresses.get(&spec.account) {
        Some(address) => Route::Address(address.clone()),
        None => Route::from_environment(endpoint.scheme(), |name| std::env::var(name).ok())?,
    };
    let concurrency = shared.concurrency(&endpoint);
    let network = Network { route, authorities_pem: host.storage.authorities_pem.clone() };
    let credential = credential(spec, &network)?;
    let mut config = Config::new(endpoint, &spec.account, &spec.container, credential);
    config.network = network;
    config.throttle = Some(Throttle::new(Arc::clone(&shared.bandwidth), shared.zero));
    config.concurrency = concurrency;
    let filesystem = Filesystem::new(config).map_err(|error| error.to_string())?;
    let target: Arc<dyn Target> = Arc::new(AdlsTarget::new(filesystem));
    Ok(match host.target_chaos {
        None => target,
        Some(TargetChaos { seed, rates }) => Arc::new(Chaos::new(target, seed, rates, None)),
    })
}
