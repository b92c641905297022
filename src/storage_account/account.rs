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
    pub location: String,
    /// Kinds of account that cannot have a hierarchical namespace have none.
    pub dfs_endpoint: Option<Url>,
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
}
