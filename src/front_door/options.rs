//! What a front door is started with.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use livedata_store::Store;
use url::Url;

pub struct Options {
    pub store: Arc<dyn Store>,
    /// Port 0 takes a free one; [`crate::Running::address`] tells which.
    pub listen: SocketAddr,
    /// With the server certificate; its names must cover the host of `public_url`.
    pub tls: rustls::ServerConfig,
    /// How clients reach this front door. `None`: `https://localhost:<bound port>`.
    pub public_url: Option<Url>,
    /// The name of this cloud in its metadata, e.g. `LiveDataLocal`.
    pub cloud_name: String,
    pub tenant_id: String,
    pub subscription_id: String,
    pub subscription_name: String,
    pub service_principals: Vec<ServicePrincipal>,
    /// Holds `token-signing-key.pem` (0600), made on first start.
    pub data_directory: PathBuf,
    pub providers: Vec<RegisteredProvider>,
    pub storage: EmulatorAdmin,
    /// Trust in the endpoints of custom providers.
    pub endpoint_tls: rustls::ClientConfig,
    /// Sent with every answer that asks a client to come again.
    pub retry_after_seconds: u32,
}

/// Who may sign in.
#[derive(Clone)]
pub struct ServicePrincipal {
    pub client_id: String,
    pub client_secret: String,
}

/// A resource provider behind this front door.
#[derive(Clone)]
pub struct RegisteredProvider {
    pub namespace: String,
    pub endpoint: Url,
    /// Mutual TLS: the certificate by which the provider knows this front door, and the authority it trusts.
    pub tls: rustls::ClientConfig,
    pub resource_types: Vec<ProvidedType>,
}

/// A row of the provider's manifest. Top-level types with at least one location are *tracked*: they appear in
/// `resources` lists and are removed with their resource group.
#[derive(Clone, Debug)]
pub struct ProvidedType {
    /// Type path without the namespace: `migrators`, `migrators/targets`.
    pub resource_type: String,
    /// Display names, e.g. `West Europe`.
    pub locations: Vec<String>,
    pub api_versions: Vec<String>,
}

/// The storage emulator in which `Microsoft.Storage` accounts live.
#[derive(Clone)]
pub struct EmulatorAdmin {
    pub admin_url: Url,
    pub admin_token: String,
    /// Base of the data endpoints; an account is one path segment below it.
    pub endpoint: Url,
}

impl fmt::Debug for ServicePrincipal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServicePrincipal").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

impl fmt::Debug for EmulatorAdmin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmulatorAdmin")
            .field("admin_url", &self.admin_url.as_str())
            .field("endpoint", &self.endpoint.as_str())
            .finish_non_exhaustive()
    }
}

impl ProvidedType {
    pub(crate) fn is_tracked(&self) -> bool {
        !self.resource_type.contains('/') && !self.locations.is_empty()
    }

    /// The newest stable api-version, else the newest preview: what `az` picks, too.
    pub(crate) fn preferred_api_version(&self) -> Option<&str> {
        let newest = |stable: bool| {
            let fits = |version: &&String| version.contains("-preview") != stable;
            self.api_versions.iter().filter(fits).max().map(String::as_str)
        };
        newest(true).or_else(|| newest(false))
    }
}
