//! What a caller decides about one file system of one storage account.

use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::TokenCredential;
use livedata_filesystem::throttle::{Bandwidth, Ticket};
use tokio::time::Instant;
use url::Url;

use crate::{AccountKey, Concurrency, Network, Sas};

/// One container (the DFS API says *file system*) of one storage account, and how to speak to it.
#[derive(Clone, Debug)]
pub struct Config {
    /// `https://account.dfs.core.windows.net`, or with the account as first path segment: `http://127.0.0.1:10000/account`.
    pub endpoint: Url,
    pub account: String,
    /// The container's name.
    pub filesystem: String,
    pub credential: Credential,
    pub network: Network,
    pub retry: RetryBudget,
    /// Sent as `User-Agent`; visible ASCII only.
    pub user_agent: String,
    /// Request bodies are held to this rate.
    pub throttle: Option<Throttle>,
    /// To be shared by all who send to one storage account, whose limits it finds out.
    pub concurrency: Arc<Concurrency>,
}

impl Config {
    /// With the defaults: straight to the service, the platform's authorities, no cap on bandwidth,
    /// [`RetryBudget::default`].
    pub fn new(
        endpoint: Url,
        account: impl Into<String>,
        filesystem: impl Into<String>,
        credential: Credential,
    ) -> Self {
        Self {
            endpoint,
            account: account.into(),
            filesystem: filesystem.into(),
            credential,
            network: Network::default(),
            retry: RetryBudget::default(),
            user_agent: concat!("livedata/", env!("CARGO_PKG_VERSION")).to_owned(),
            throttle: None,
            concurrency: Arc::default(),
        }
    }
}

/// Who the client says it is.
#[derive(Clone, Debug)]
pub enum Credential {
    /// One of the account's two keys: full rights, no ACL is consulted.
    SharedKey(AccountKey),
    /// What somebody with a key, or with a user delegation key, allows the bearer; it can be renewed while in use.
    Sas(Sas),
    /// An identity of Microsoft Entra ID: roles and ACLs decide. [`crate::Identity`] makes the usual ones. Only over https.
    Token(Arc<dyn TokenCredential>),
}

/// How long one operation may go on trying. Whichever runs out first ends it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RetryBudget {
    /// Requests in all, the first one included; at least one is always sent.
    pub tries: u32,
    /// Time from the first request on. No pause is begun that would end after it.
    pub elapsed: Duration,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { tries: 8, elapsed: Duration::from_secs(120) }
    }
}

/// A bandwidth cap together with the moment that its clock counts from. Everyone who books in one [`Bandwidth`] must
/// count from the same moment.
#[derive(Clone, Debug)]
pub struct Throttle {
    bandwidth: Arc<Bandwidth>,
    clock_zero: Instant,
}

impl Throttle {
    pub fn new(bandwidth: Arc<Bandwidth>, clock_zero: Instant) -> Self {
        Self { bandwidth, clock_zero }
    }

    pub(crate) fn book(&self, bytes: u64) -> Ticket {
        self.bandwidth.book(self.clock_zero.elapsed(), bytes)
    }

    /// How long, as things stand, until what was booked may go.
    pub(crate) fn wait(&self, ticket: Ticket) -> Duration {
        self.bandwidth.wait(self.clock_zero.elapsed(), ticket)
    }
}
