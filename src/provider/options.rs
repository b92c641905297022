//! What a provider is started with.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use livedata_pki::Clients;
use livedata_session::AgentAuthority;
use livedata_storage_account::StorageAccounts;
use livedata_store::Store;
use livedata_store::sealed::SealingKeys;
use url::Url;

use crate::audit::AuditLog;
use crate::clock::Clock;
use crate::custom_provider::PathSecret;

pub struct Options {
    pub store: Arc<dyn Store>,
    /// Other providers may be on the same store.
    pub store_is_shared: bool,
    /// Seal secrets before they are stored.
    pub sealing_keys: SealingKeys,
    /// E.g. `LiveData.Platform`.
    pub namespace: String,
    /// Serves the public namespace `Wandisco.Fusion`, too, with the public version.
    pub compatible: bool,
    /// Port 0 takes a free one; [`crate::Running::arm_address`] tells which.
    pub arm_listen: SocketAddr,
    /// Must demand a client certificate: it is the only proof of a caller here.
    pub arm_tls: rustls::ServerConfig,
    /// Whom `arm_tls` lets in, if that may change while a connection lasts.
    pub arm_clients: Option<Clients>,
    pub enrolment_listen: SocketAddr,
    /// Server certificate only, whose chain must hold the certificate of its authority; agents pin that.
    pub enrolment_tls: rustls::ServerConfig,
    /// How agents reach the enrolment listener. `None`: `https://localhost:<bound port>`.
    pub enrolment_url: Option<Url>,
    /// SHA-256 of the certificate (DER) of the authority of `enrolment_tls`, hexadecimal.
    pub enrolment_authority_fingerprint: String,
    /// `None`: the dialect is not spoken.
    pub custom_provider: Option<CustomProviderListener>,
    /// `None`: nobody can ask for health and metrics.
    pub health: Option<HealthListener>,
    /// `None`: writes are not recorded.
    pub audit: Option<AuditLog>,
    /// Certifies agents; also gives the provider its own identity in sessions.
    pub authority: Arc<AgentAuthority>,
    pub relay: RelaySettings,
    pub storage_accounts: Arc<dyn StorageAccounts>,
    /// Sent with every answer that asks a client to come again; ARM allows 10 to 600.
    pub retry_after_seconds: u32,
    pub clock: Clock,
}

/// Where custom providers call: `https://{host}/{secret}` is the endpoint of all their types and actions.
pub struct CustomProviderListener {
    pub listen: SocketAddr,
    /// Server certificate only: these callers show none.
    pub tls: rustls::ServerConfig,
    pub secret: PathSecret,
}

/// Where `/healthz`, `/readyz` and `/metrics` are answered: in plain HTTP and to everybody, so on an address that only those reach
/// who may know.
pub struct HealthListener {
    pub listen: SocketAddr,
    /// Without which the provider cannot serve.
    pub certificates: Vec<Certificate>,
}

/// A certificate whose end is watched.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// For the operator, e.g. `servers`.
    pub name: String,
    /// Seconds since 1970.
    pub not_after: i64,
}

/// How agents are reached.
#[derive(Clone)]
pub struct RelaySettings {
    /// `wss://host[:port]`.
    pub url: Url,
    /// Trust in the relay's certificate.
    pub tls: Arc<rustls::ClientConfig>,
    /// Given to agents; `None`: the relay has a publicly trusted certificate.
    pub ca_pem: Option<String>,
    pub send_rule: Rule,
    pub listen_rule: Rule,
}

/// A shared access rule of the relay.
#[derive(Clone)]
pub struct Rule {
    pub name: String,
    pub key: String,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for RelaySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelaySettings").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}
