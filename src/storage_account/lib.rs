//! Look-up of Azure storage accounts through Azure Resource Manager, or through a local front door that speaks like it.
//!
//! [`StorageAccounts`] is all that the rest of the workspace sees: one call that says what kind of account stands behind a
//! name, whether it has a hierarchical namespace, and where its DFS endpoint is. [`ManagementClient`] implements it with
//! `azure_mgmt_storage`, whose own transport and credentials are switched off: requests go through `transport` over the
//! workspace's one HTTP client, tokens come from an [`Identity`](livedata_entra::Identity) of Entra ID in the [`Cloud`] where the account is.
//!
//! One call is one try: whoever calls decides about repeating. Secrets are never printed. Start reading at
//! [`StorageAccounts`].

mod account;
mod cloud;
mod credential;
mod management_client;
mod transport;

pub use account::{Account, LookUpError, NetworkRules, StorageAccounts};
pub use cloud::Cloud;
pub use management_client::{ManagementClient, Settings};
