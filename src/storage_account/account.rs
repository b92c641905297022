//! What a look-up tells, and how it can fail.

use async_trait::async_trait;
use url::Url;

/// A storage account as far as a migration target needs to know it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Account {
    /// The ARM id as the service spells it.
    pub id: String,
    /// `StorageV2`, `BlobStorage`, …
    pub kind: String,
    pub hierarchical_namespace: bool,
    /// The region, as the service spells it: `westeurope`.
    pub location: String,
    /// Kinds of account that cannot have a hierarchical namespace have none.
    pub dfs_endpoint: Option<Url>,
    pub network: NetworkRules,
}

/// From where the account's data may be reached.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NetworkRules {
    /// Over public addresses not at all, whatever the rules say.
    pub public_access_disabled: bool,
    /// Only from what the rules name.
    pub deny_by_default: bool,
    /// Public addresses and ranges (CIDR) that are admitted.
    pub addresses: Vec<String>,
    /// ARM ids of the subnets that are admitted.
    pub subnets: Vec<String>,
    /// Approved private endpoints.
    pub private_endpoints: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum LookUpError {
    #[error("there is no such storage account")]
    NotFound,
    /// The caller's identity was refused, or may not read this account.
    #[error("the storage account may not be read: {0}")]
    Denied(String),
    /// No answer, or none that can be understood. A later try may succeed.
    #[error("the storage account could not be looked up: {0}")]
    Unavailable(String),
}

/// Reads storage accounts.
#[async_trait]
pub trait StorageAccounts: Send + Sync + 'static {
    async fn get(&self, subscription: &str, resource_group: &str, name: &str)
    -> Result<Account, LookUpError>;

    /// In which cloud accounts are looked up: they are reached at `{account}.dfs.{suffix}`.
    fn storage_suffix(&self) -> &str;

    /// Whether the account has a container of this name.
    async fn has_container(
        &self,
        subscription: &str,
        resource_group: &str,
        name: &str,
        container: &str,
    ) -> Result<bool, LookUpError>;
}
